"""BLEU and chrF of one text, as sacreBLEU counts them, from 0 to 1 instead of to 100.

Both were made for whole corpora. Of one sentence they are coarse: compare means over many texts, never one with one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from kibitz.base.provider import Provider
from kibitz.providers import words

_ORDER = 4
_CHARACTERS = 6
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_SPLITS = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Translation(Provider):
    """How close a text is to one or more references, in runs of words or characters."""

    local: ClassVar[bool] = True

    def bleu(self, response: str, reference: str | Sequence[str]) -> float:
        """BLEU with up to four words; what has no match counts as 1/2, 1/4 … of one, for sentences are short.

        The text is taken apart as mteval-v13a does. Orders longer than the text are left out. Source: Papineni et al.
        (2002); smoothing: Chen and Cherry (2014), method 3; as `sacrebleu.sentence_bleu` has it.
        """
        said = _tokens(words.text(response))
        wanted = [_tokens(each) for each in words.texts(reference, "reference")]
        if not said:
            return 0.0
        logs: list[float] = []
        smoothing = 1.0
        for size in range(1, _ORDER + 1):
            runs = words.grams(said, size)
            if not runs:
                break
            most: Counter[tuple[str, ...]] = Counter()
            for each in wanted:
                most |= words.grams(each, size)
            common = words.shared(runs, most)
            if common == 0:
                smoothing *= 2
            logs.append(math.log((common or 1 / smoothing) / runs.total()))
            if size == 1 and common == 0:
                # Not one word in common: sacreBLEU calls it 0 whatever is smoothed.
                return 0.0
        near = min((abs(len(each) - len(said)), len(each)) for each in wanted)[1]
        brevity = 1.0 if len(said) >= near else math.exp(1 - near / len(said))
        return brevity * math.exp(sum(logs) / len(logs))

    def chrf(self, response: str, reference: str | Sequence[str]) -> float:
        """chrF2: F-score of runs of one to six characters, recall counting double. Source: Popović (2015)."""
        return self._chrf(response, reference, 0)

    def chrf_plus(self, response: str, reference: str | Sequence[str]) -> float:
        """chrF++: chrF2 with single words and pairs of words too. Source: Popović (2017)."""
        return self._chrf(response, reference, 2)

    def _chrf(self, response: object, reference: object, word_order: int) -> float:
        said = _orders(words.text(response), word_order)
        return max(
            _f2(said, _orders(each, word_order)) for each in words.texts(reference, "reference")
        )


def _tokens(text: str) -> list[str]:
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, sign in _ENTITIES:
        text = text.replace(name, sign)
    text = f" {text.rstrip()} "
    for pattern, apart in _SPLITS:
        text = pattern.sub(apart, text)
    return text.split()


def _orders(text: str, word_order: int) -> list[Counter[Any]]:
    close = "".join(text.split())
    found: list[Counter[Any]] = [
        words.character_grams(close, size) for size in range(1, _CHARACTERS + 1)
    ]
    if word_order:
        apart = _apart(text)
        found += [words.grams(apart, size) for size in range(1, word_order + 1)]
    return found


def _apart(text: str) -> list[str]:
    """The words with one sign at their end, or else at their beginning, apart."""
    found: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            found += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            found += [word[0], word[1:]]
        else:
            found.append(word)
    return found


def _f2(said: Sequence[Counter[Any]], wanted: Sequence[Counter[Any]]) -> float:
    precision = recall = 0.0
    orders = 0
    for one, other in zip(said, wanted, strict=True):
        if one and other:
            common = words.shared(one, other)
            precision += common / one.total()
            recall += common / other.total()
            orders += 1
    return words.f_score(precision / orders, recall / orders, 2.0) if orders else 0.0
