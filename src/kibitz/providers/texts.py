"""Judges of what a text says literally and how long it is: nothing is guessed, the same text has the same score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from kibitz.base.provider import Provider
from kibitz.providers import words
from kibitz.query import patterns

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_SIGNS = re.compile(r"[^\w\s]|_")


def plain(text: str) -> str:
    """A text as SQuAD compares answers: small letters, no signs, no English articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", _SIGNS.sub("", text.lower())).split())


class Texts(Provider):
    """What a text says and how long it is."""

    local: ClassVar[bool] = True

    def equals(self, response: str, reference: str) -> float:
        """1 where both are the same, character by character."""
        return float(words.text(response) == words.text(reference, "reference"))

    def exact_match(self, response: str, reference: str | Sequence[str]) -> float:
        """1 where it is one of the references, without regard to case, signs, English articles and spaces.

        Source: the evaluation script of SQuAD 1.1 (Rajpurkar et al. 2016).
        """
        said = plain(words.text(response))
        return float(any(said == plain(each) for each in words.texts(reference, "reference")))

    def contains(self, response: str, text: str, ignore_case: bool = True) -> float:
        """1 where `text` occurs in it."""
        return self.contains_all(response, [text], ignore_case)

    def contains_any(self, response: str, texts: Sequence[str], ignore_case: bool = True) -> float:
        """1 where at least one of the texts occurs in it."""
        return float(any(_found(response, texts, ignore_case)))

    def contains_all(self, response: str, texts: Sequence[str], ignore_case: bool = True) -> float:
        """1 where each of the texts occurs in it."""
        return float(all(_found(response, texts, ignore_case)))

    def share_contained(
        self, response: str, texts: Sequence[str], ignore_case: bool = True
    ) -> float:
        """Which share of the texts occurs in it."""
        found = _found(response, texts, ignore_case)
        return sum(found) / len(found)

    def starts_with(self, response: str, text: str, ignore_case: bool = True) -> float:
        """1 where it begins with `text`, spaces before it aside."""
        said, wanted = _cased(response, text, ignore_case)
        return float(said.lstrip().startswith(wanted))

    def ends_with(self, response: str, text: str, ignore_case: bool = True) -> float:
        """1 where it ends with `text`, spaces after it aside."""
        said, wanted = _cased(response, text, ignore_case)
        return float(said.rstrip().endswith(wanted))

    def matches(self, response: str, pattern: str, ignore_case: bool = False) -> float:
        """1 where a regular expression is found in it.

        The expressions are RE2's, whose time grows with the text only; the first 100,000 characters are looked at.

        Raises:
            QueryError: the pattern cannot be used; says where it goes wrong.
            UsageError: `google-re2` is not installed (`kibitz[server]` brings it).
        """
        patterns.check(pattern, case_insensitive=ignore_case)
        return float(patterns.compile(pattern, ignore_case).is_in(words.text(response)))

    def not_empty(self, response: str) -> float:
        """1 where there is more than spaces."""
        return float(bool(words.text(response).strip()))

    def word_count(self, response: str) -> int:
        """How many words there are: 0 and up. Scripts without spaces count characters."""
        return len(words.words(words.text(response)))

    def character_count(self, response: str) -> int:
        """How many characters there are: 0 and up."""
        return len(words.text(response))

    def sentence_count(self, response: str) -> int:
        """How many sentences there are, items of lists among them: 0 and up."""
        return len(words.sentences(words.text(response)))

    def length_ratio(self, response: str, reference: str) -> float:
        """The shorter of both counts of words by the longer: 1 where they are alike, 0 where only one is empty."""
        one = len(words.words(words.text(response)))
        other = len(words.words(words.text(reference, "reference")))
        return min(one, other) / max(one, other) if max(one, other) else 1.0


def _cased(response: object, text: object, ignore_case: bool) -> tuple[str, str]:
    said, wanted = words.text(response), words.text(text, "text")
    return (said.casefold(), wanted.casefold()) if ignore_case else (said, wanted)


def _found(response: object, texts: object, ignore_case: bool) -> list[bool]:
    said, wanted = words.text(response), words.texts(texts, "texts")
    if not ignore_case:
        return [each in said for each in wanted]
    folded = said.casefold()
    return [each.casefold() in folded for each in wanted]
