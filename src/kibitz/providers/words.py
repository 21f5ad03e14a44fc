"""Words, sentences and n-grams of a text, as every judge of texts counts them.

A word is a run of letters and digits in one script; `don't` is one word, `well-known` is two. In scripts that write
no spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each character is a word, so that texts in them have a length
and an overlap at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

from kibitz.base.errors import UsageError

# Kana, Han with extensions, Thai and Lao, Burmese, Khmer.
_UNSPACED = (
    "\u0e01-\u0e5b\u0e81-\u0edf\u1000-\u109f\u1780-\u17ff\u3041-\u3096\u30a1-\u30fa\u30fc"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+(?:['’][^\\W\\d_{_UNSPACED}]+)*")
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
# Begins only where a run of signs begins and never gives back: a million dots take as long as they are many.
_SENTENCE = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|[。！？]+[」』”’）]*|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)"
)
_ABBREVIATED = """
mr mrs ms dr prof sr jr st vs etc fig vol approx dept est inc ltd co corp gen col sgt capt rev hon
jan feb mar apr jun jul aug sep sept oct nov dec
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_BEFORE = re.compile(r"([^\W\d_]+(?:\.[^\W\d_])*)$")

_STOPPING = """
a about above after again against all also am an and any are as at be because been before being below between
both but by can could did do does doing down during each few for from further had has have having he her here
hers herself him himself his how i if in into is it its itself just me might more most must my myself no nor not
now of off on once only or other our ours ourselves out over own same shall she should so some such than that
the their theirs them themselves then there these they this those through to too under until up upon us very was
we were what when where which while who whom why will with within without would you your yours yourself
yourselves
"""
STOP_WORDS = frozenset(_STOPPING.split())
"""English words that say nothing by themselves; of other languages every word counts."""


def text(value: object, what: str = "response") -> str:
    """A text to judge: as it is, or several of them one below the other.

    Raises:
        UsageError: it is neither a text nor a list of texts.
    """
    if isinstance(value, str):
        return value
    several = _listed(value)
    if several is not None:
        return "\n\n".join(several)
    raise UsageError(
        f"{what} is {_shown(value)}, not a text or a list of texts; select the place where the text is"
    )


def texts(value: object, what: str) -> list[str]:
    """One or several texts, each by itself.

    Raises:
        UsageError: it is neither a text nor a list of texts, or no text at all.
    """
    several = [value] if isinstance(value, str) else _listed(value)
    if not several:
        raise UsageError(f"{what} is {_shown(value)}, not a text or a list of at least one text")
    return several


def _listed(value: object) -> list[str] | None:
    if not isinstance(value, list | tuple | set | frozenset):
        return None
    several = [*cast("Iterable[Any]", value)]
    return several if all(isinstance(each, str) for each in several) else None


def _shown(value: object) -> str:
    said = repr(value)
    return f"{type(value).__name__} {said if len(said) <= 60 else said[:59] + '…'}"


def words(value: str) -> list[str]:
    """The words as they are written."""
    return _WORD.findall(value)


def tokens(value: str) -> list[str]:
    """Runs of letters and digits in small letters, as ROUGE counts them; `don't` is two."""
    return _TOKEN.findall(value.lower())


def content(value: str) -> list[str]:
    """The words in small letters without those that say nothing; all of them where none is left."""
    every = [each.lower().replace("’", "'") for each in words(value)]
    telling = [each for each in every if each.split("'")[0] not in STOP_WORDS]
    return telling or every


def sentences(value: str) -> list[str]:
    """The sentences, by their last signs, empty lines and items of lists; what has no word is none.

    A dot after an initial or a common abbreviation ends no sentence.
    """
    found: list[str] = []
    begin = 0
    for end in _SENTENCE.finditer(value):
        if end[0] == "." and _abbreviated(value, end.start()):
            continue
        found.append(value[begin : end.end()])
        begin = end.end()
    found.append(value[begin:])
    return [stripped for each in found if (stripped := each.strip()) and _WORD.search(stripped)]


def _abbreviated(value: str, dot: int) -> bool:
    near = value[max(0, dot - 20) : dot]
    before = _BEFORE.search(near)
    if before is None:
        # The number of an item: after it comes what it says.
        return near.rpartition("\n")[2].strip().isdigit() and (dot <= 20 or "\n" in near)
    last = before[1]
    return (
        (len(last) == 1 and last.isupper() and last != "I")
        or "." in last
        or (last.lower() in _ABBREVIATIONS and last.lower() != "no")
    )


def grams(of: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    """How often each run of `size` things occurs."""
    return Counter(zip(*(of[start:] for start in range(size)), strict=False))


def character_grams(value: str, size: int) -> Counter[str]:
    """How often each run of `size` characters occurs."""
    return Counter(value[at : at + size] for at in range(len(value) - size + 1))


def shared(one: Counter[Any], other: Counter[Any]) -> int:
    """How many occurrences two counts have in common."""
    few, many = (one, other) if len(one) <= len(other) else (other, one)
    return sum(min(count, many[each]) for each, count in few.items() if each in many)


def f_score(precision: float, recall: float, beta: float = 1.0) -> float:
    """The weighted harmonic mean of both; 0 where both are 0."""
    weight = beta * beta
    below = weight * precision + recall
    return (1 + weight) * precision * recall / below if below else 0.0
