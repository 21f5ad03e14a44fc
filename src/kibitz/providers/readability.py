"""How hard an English text is to read, by the formulas that schools and authorities use.

All of them see only how long words and sentences are: nonsense in short words is easy. They were fitted to English
prose of a hundred words and more; a list or code makes them say little.

Syllables are counted by a rule and not looked up: groups of vowels (`y` among them), more for vowels that are said
apart, less for an `e` that is not said, and at least one. Of the words of running English, as models write it, 97 in
100 come out as the CMU Pronouncing Dictionary has them, and all together within half a per cent.
"""

from __future__ import annotations

import math
import re
from typing import ClassVar, NamedTuple

from kibitz.base.provider import Provider
from kibitz.providers import words

_VOWELS = re.compile(r"[aeiouyàáâäæèéêëìíîïòóôöœùúûü]+")
_SILENT = re.compile(
    r"(?:[^aeiouyl]|[aeiouy]l)e(?:ly|ments?|ful|less|ness)?$|(?:[^aeiouysxzcghl]|th|[aeiouy]l)es$|[^aeiouytd]ed$"
)
_APART = re.compile(
    r"i(?:a(?!n|l|g|r)|o(?!n|u)|u)|eo(?!u|p)|[^gq]ua(?!r)|[aeiouy]ing|[^f]ie(?=nc|t)|[aei]ea$|[dr]eas?$|crea(?=t)"
    r"|[aeiou]y(?=[aeiou])"
)


class Counts(NamedTuple):
    """What the formulas are about; each is at least 1 but the hard ones."""

    words: int
    sentences: int
    syllables: int
    letters: int
    hard: int
    """Words of three and more syllables."""


def syllables(word: str) -> int:
    """How many syllables an English word has, by the rule above."""
    small = word.lower().replace("’", "").replace("'", "")
    groups = len(_VOWELS.findall(small)) + len(_APART.findall(small))
    if groups > 1 and _SILENT.search(small):
        groups -= 1
    return max(1, groups)


def counts(text: str) -> Counts:
    """What is counted in a text."""
    every = [each for each in words.words(text) if not each.isdigit()] or words.words(text)
    per_word = [syllables(each) for each in every]
    return Counts(
        words=max(1, len(every)),
        sentences=max(1, len(words.sentences(text))),
        syllables=max(1, sum(per_word)),
        letters=max(1, sum(map(len, every))),
        hard=sum(each > 2 for each in per_word),
    )


class Readability(Provider):
    """How hard a text is to read. Grades are years of school in the US; an empty text has 0 everywhere."""

    local: ClassVar[bool] = True

    def flesch_reading_ease(self, response: str) -> float:
        """Not 0 to 1: about 0 (hard) to 100 (easy), and beyond in odd texts; 60 to 70 is plain English.

        206.835 - 1.015 words/sentences - 84.6 syllables/words. Source: Flesch (1948), "A new readability yardstick".
        """
        if not _written(response):
            return 0.0
        of = counts(words.text(response))
        return 206.835 - 1.015 * of.words / of.sentences - 84.6 * of.syllables / of.words

    def flesch_kincaid_grade(self, response: str) -> float:
        """A grade. 0.39 words/sentences + 11.8 syllables/words - 15.59. Source: Kincaid et al. (1975)."""
        if not _written(response):
            return 0.0
        of = counts(words.text(response))
        return 0.39 * of.words / of.sentences + 11.8 * of.syllables / of.words - 15.59

    def automated_readability_index(self, response: str) -> float:
        """A grade. 4.71 letters/words + 0.5 words/sentences - 21.43. Source: Smith and Senter (1967)."""
        if not _written(response):
            return 0.0
        of = counts(words.text(response))
        return 4.71 * of.letters / of.words + 0.5 * of.words / of.sentences - 21.43

    def coleman_liau_index(self, response: str) -> float:
        """A grade. 5.88 letters/words - 29.6 sentences/words - 15.8. Source: Coleman and Liau (1975)."""
        if not _written(response):
            return 0.0
        of = counts(words.text(response))
        return 5.88 * of.letters / of.words - 29.6 * of.sentences / of.words - 15.8

    def gunning_fog(self, response: str) -> float:
        """A grade. 0.4 (words/sentences + 100 hard/words), hard: three syllables and more. Source: Gunning (1952).

        Gunning leaves out names and some endings; this does not.
        """
        if not _written(response):
            return 0.0
        of = counts(words.text(response))
        return 0.4 * (of.words / of.sentences + 100 * of.hard / of.words)

    def smog_grade(self, response: str) -> float:
        """A grade. 1.0430 sqrt(30 hard/sentences) + 3.1291; made for thirty sentences. Source: McLaughlin (1969)."""
        if not _written(response):
            return 0.0
        of = counts(words.text(response))
        return 1.0430 * math.sqrt(30 * of.hard / of.sentences) + 3.1291

    def plain_english(self, response: str) -> float:
        """The Flesch reading ease by 100, held between 0 and 1."""
        return min(1.0, max(0.0, self.flesch_reading_ease(response) / 100))


def _written(response: object) -> bool:
    return bool(words.words(words.text(response)))
