"""Find passages by words: BM25 over word stems, kept in a file between runs.

BM25 scores a passage by the words it shares with the question: rare words count more, repeats count less
and less, long passages are held back (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
"""

from __future__ import annotations

import math
import os
import platform
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from kibitz.cli.demo import library
from kibitz.cli.demo.library import Passage

SATURATION = 1.2
"""k1: how soon further repeats of a word stop counting."""
LENGTH_WEIGHT = 0.75
"""b: how much a long passage is held back, 0 to 1."""
NAME_WEIGHT = 3
"""A word of the documented name counts like this many in the text."""
FORMAT = 2
"""Raise it when passages or stems change, so that an older file is built again."""

_STOP_WORDS = (
    "a about all an and any are as at be been but by can could did do does for from get give given has have "
    "how i if in into is it its like may me most my no not of on one or our out should so some such than that "
    "the their them then there these they this to two up use used using want was way we were what when "
    "where which who why will with without would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text in lower case; `snake_case`, `camelCase` and dotted names come apart."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return re.findall(r"[a-z]+|[0-9]+", text.lower())


def stems(text: str) -> list[str]:
    """The stems of the words that say what a text is about: stop words and single letters are left out."""
    return [stem(word) for word in words(text) if len(word) > 1 and word not in STOP_WORDS]


def stem(word: str) -> str:
    """A word without its English ending: `parsing`, `parsed` and `parses` are `pars`, as is `parse`."""
    for ending in (
        "ations",
        "ation",
        "ings",
        "ing",
        "ies",
        "ied",
        "ers",
        "er",
        "ed",
        "es",
        "s",
        "e",
        "y",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    # `splitting` without its ending is `splitt`; `process` and `call` keep their two letters in every form.
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word


class Hit(Struct, frozen=True):
    """A passage and how well it fits; scores compare only within one search."""

    number: int
    score: float


class Index(Struct, frozen=True):
    """Passages, and where each stem occurs in them."""

    signature: str
    passages: list[Passage]
    lengths: list[int]
    postings: dict[str, list[tuple[int, int]]]
    """Stem to (passage, how often)."""

    def rarity(self, word_stem: str) -> float:
        """How much a stem tells, 0 or more: much where few passages have it."""
        having = len(self.postings.get(word_stem, ()))
        return math.log(1 + (len(self.passages) - having + 0.5) / (having + 0.5))

    def search(self, word_stems: list[str], limit: int) -> list[Hit]:
        """The best passages for some stems, best first; ties in the order of the library."""
        mean = sum(self.lengths) / len(self.lengths)
        scores: dict[int, float] = defaultdict(float)
        for each in dict.fromkeys(word_stems):
            rarity = self.rarity(each)
            for number, times in self.postings.get(each, ()):
                held = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * self.lengths[number] / mean
                scores[number] += rarity * times * (SATURATION + 1) / (times + SATURATION * held)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
        return [Hit(number, round(score, 3)) for number, score in best]


def build(passages: list[Passage]) -> Index:
    lengths: list[int] = []
    postings: dict[str, list[tuple[int, int]]] = {}
    for number, passage in enumerate(passages):
        counts = Counter(stems(passage.text))
        for each in stems(passage.name):
            counts[each] += NAME_WEIGHT
        lengths.append(counts.total())
        for each, times in counts.items():
            postings.setdefault(each, []).append((number, times))
    return Index(_signature(), passages, lengths, postings)


def load_or_build(file: Path, progress: Callable[[int, int, str], None]) -> Index:
    """The index kept in the file, or a new one that is then kept there.

    `progress` hears (modules read, modules in all, the module read now).
    """
    kept = _load(file)
    if kept is not None:
        return kept
    sources = library.sources()
    total = len(sources) + len(library.COMPILED)
    passages: list[Passage] = []
    for done, path in enumerate(sources):
        progress(done, total, path.stem)
        passages.extend(library.parsed(path))
    for done, name in enumerate(library.COMPILED, len(sources)):
        progress(done, total, name)
        passages.extend(library.compiled(name))
    progress(total, total, "index")
    index = build(passages)
    _save(index, file)
    return index


def _signature() -> str:
    return f"{FORMAT} {platform.python_implementation()} {platform.python_version()}"


def _load(file: Path) -> Index | None:
    """What the file holds; None where it is missing, damaged or of another Python."""
    try:
        index = msgspec.msgpack.decode(file.read_bytes(), type=Index)
    except (OSError, msgspec.DecodeError):
        return None
    return index if index.signature == _signature() else None


def _save(index: Index, file: Path) -> None:
    """Keep the index whole or not at all: a half-written file is never read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(msgspec.msgpack.encode(index))
    partial.replace(file)
