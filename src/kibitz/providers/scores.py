"""What a judge said, read as a score.

A judge is asked for JSON and may say anything. The score is taken from the first of these that is there:

1. JSON with `score`, `rating`, `grade` or `answer`, alone, in a fence or in the middle of prose;
2. a number with such a label, the one of a final or overall score before others;
3. `x out of y`, `x/y` and `x %`, which are their own scale;
4. the only number of the last line, the scale itself not counted (`from 0 to 10`).

Where that is no single number, where it is not on the scale that was asked for, or where the judge refused, there is
no score: `JudgeAnswerError` with what was said. Nothing is guessed, clamped or replaced by a number that stands for
a failure. What was said is only ever read: as JSON, and by patterns that take time in proportion to its length.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Never, cast

from msgspec import Struct

from kibitz.base.errors import JudgeAnswerError, UsageError
from kibitz.providers import retrying

MAX_CHARS = 200_000
"""Longer answers are not read."""
SHOWN_CHARS = 500
_MAX_STARTS = 200
"""How many braces are tried as the beginning of JSON."""

_LABELS = ("score", "rating", "grade", "answer")
_NUMBER = r"[-−+]?(?:\d+(?:[.,]\d+)?|\.\d+)"
_ALONE = re.compile(rf"(?<![\w.,/]){_NUMBER}(?![\w]|[.,/]\d)")
_LABELLED = re.compile(
    rf"(?P<final>\b(?:final|overall|total)\s{{1,3}})?\b(?P<label>score|rating|grade|answer)\b[\"'`*_]{{0,4}}"
    rf"\s{{0,3}}(?::|=|is|of|-(?=\s)|–|—|→){{0,2}}\s{{0,3}}[\"'`*_(\[]{{0,4}}\s{{0,3}}"
    rf"(?P<number>{_NUMBER})(?![\w]|[.,]\d)"
    rf"(?:\s{{0,3}}(?P<percent>%)|\s{{0,3}}(?:/|out\s{{1,3}}of)\s{{0,3}}(?P<of>\d+(?:\.\d+)?))?",
    re.IGNORECASE,
)
_FRACTION = re.compile(
    rf"(?<![\w.,/])(?P<number>{_NUMBER})[*_]{{0,2}}\s{{0,3}}(?:(?P<percent>%)|(?:/|out\s{{1,3}}of)\s{{0,3}}"
    rf"(?P<of>\d+(?:\.\d+)?)(?![\w/]))",
    re.IGNORECASE,
)
_SCALE = re.compile(
    rf"[(\[]?(?<![\w.,/])(?P<low>{_NUMBER})\s{{0,3}}(?:-|–|—|to|and|through|\.\.)\s{{0,3}}(?P<high>{_NUMBER})"
    rf"(?![\w/]|[.,]\d)[)\]]?",
    re.IGNORECASE,
)
_WORDS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}
_WORD = re.compile(
    rf"\W*(?:(?:score|rating|grade|answer)\W{{1,6}})?({'|'.join(_WORDS)})\W*", re.IGNORECASE
)
_REFUSAL = re.compile(
    r"\b(?:i\s(?:can(?:no|')?t|can\snot|won't|will\snot|am\s(?:not\sable|unable)|must\s(?:decline|refuse))"
    r"|i'm\s(?:not\sable|unable|sorry)|i\sam\ssorry|unable\sto\s(?:assist|comply|help|judge|rate|evaluate)"
    r"|as\san\sai)\b",
    re.IGNORECASE,
)


class Scale(Struct, frozen=True):
    """From which number to which a judge is asked to judge."""

    low: float = 0
    high: float = 3

    def __post_init__(self) -> None:
        for name, value in (("min_score", self.low), ("max_score", self.high)):
            # Given from outside: the type is a promise that nobody has checked yet.
            said: Any = value
            if (
                isinstance(said, bool)
                or not isinstance(said, int | float)
                or not math.isfinite(said)
            ):
                raise UsageError(f"{name} is {said!r}, not a number", field=name)
        if self.low >= self.high:
            raise UsageError(
                f"min_score {self.low:g} is not below max_score {self.high:g}", field="min_score"
            )

    @property
    def whole(self) -> bool:
        """Whether whole numbers are asked for: where both ends are given as such."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def share(self, raw: float) -> float:
        """Where a number is on the scale: 0 at its low end, 1 at its high end."""
        return (raw - self.low) / (self.high - self.low)


class Reading(Struct, frozen=True):
    """What was read."""

    score: float
    """From 0 to 1."""
    said: dict[str, Any]
    """The other fields of the JSON, or `{"reason": …}` of what was said around the number."""


def read(text: str | None, scale: Scale) -> Reading:
    """The score of an answer.

    Raises:
        JudgeAnswerError: there is none; the message says why, and the beginning of what was said.
    """
    if text is None or not text.strip():
        raise JudgeAnswerError("the judge said nothing", text=text or "")
    if len(text) > MAX_CHARS:
        raise _no_score(f"the judge said {len(text):,} characters, {MAX_CHARS:,} are read", text)
    # What a reasoning model thinks aloud is no answer.
    said = text.rpartition("</think>")[2].strip() or text
    found = _of_json(said, scale)
    if found is not None:
        return found
    return Reading(_of_text(said, scale), {"reason": said.strip()})


def _of_json(text: str, scale: Scale) -> Reading | None:
    labelled = [
        (each, by_label[label])
        for each in objects(text)
        if (by_label := {key.lower(): key for key in each})
        and (label := next((label for label in _LABELS if label in by_label), None)) is not None
    ]
    if not labelled:
        return None
    scores = {_of_value(each[name], scale, text) for each, name in labelled}
    if len(scores) > 1:
        raise _several([str(each[name]) for each, name in labelled], text)
    chosen, name = labelled[-1]
    said = {key: value for key, value in chosen.items() if key != name}
    return Reading(scores.pop(), said)


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text, in order, those inside others left out."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    at, tried = text.find("{"), 0
    while at >= 0 and tried < _MAX_STARTS:
        tried += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found.append(cast("dict[str, Any]", value))
        at = text.find("{", end)
    return found


def _of_value(value: Any, scale: Scale, text: str) -> float:
    if isinstance(value, bool):
        if (scale.low, scale.high) == (0, 1):
            return float(value)
        raise _no_score(f"the judge's score is {value}", text)
    if isinstance(value, int | float):
        return _on_scale(value, scale, text)
    if isinstance(value, str) and value.strip():
        return _of_text(value, scale, text)
    raise _no_score(f"the judge's score is {json.dumps(value)[:60]}", text)


def _of_text(said: str, scale: Scale, text: str | None = None) -> float:
    text = text or said
    rest = _SCALE.sub(lambda each: " " if _is_scale(each, scale) else each[0], said)
    labelled = list(_LABELLED.finditer(rest))
    answers = [each for each in labelled if each["label"].lower() == "answer"]
    others = [each for each in labelled if each not in answers]
    for chosen in ([each for each in labelled if each["final"]], others, answers):
        if chosen:
            return _same([_of_match(each, scale, text) for each in chosen], chosen, text)
    if _REFUSAL.search(said):
        raise _no_score("the judge refused", text)
    fractions = list(_FRACTION.finditer(rest))
    if fractions:
        return _same([_of_match(each, scale, text) for each in fractions], fractions, text)
    return _of_last_line(rest, scale, text)


def _of_last_line(said: str, scale: Scale, text: str) -> float:
    lines = [line for line in said.splitlines() if line.strip()]
    numbers = _ALONE.findall(lines[-1]) if lines else []
    if len(numbers) == 1:
        return _on_scale(_number(numbers[0]), scale, text)
    word = _WORD.fullmatch(said[:200]) if len(said) <= 200 else None
    if word:
        return _on_scale(_WORDS[word[1].lower()], scale, text)
    every = _ALONE.findall(said)
    if not every:
        raise _no_score("the judge gave no number", text)
    raise _several(every, text)


def _of_match(match: re.Match[str], scale: Scale, text: str) -> float:
    raw = _number(match["number"])
    of = 100.0 if match["percent"] else float(match["of"]) if match["of"] else None
    if of is None or of == scale.high:
        return _on_scale(raw, scale, text)
    if of <= 0 or not 0 <= raw <= of:
        raise _no_score(f"the judge's score is {match[0].strip()!r}", text)
    return raw / of


def _same(scores: list[float], matches: list[re.Match[str]], text: str) -> float:
    if len(set(scores)) > 1:
        raise _several([each[0].strip() for each in matches], text)
    return scores[0]


def _is_scale(match: re.Match[str], scale: Scale) -> bool:
    return (_number(match["low"]), _number(match["high"])) == (scale.low, scale.high)


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "."))


def _on_scale(raw: float, scale: Scale, text: str) -> float:
    if not math.isfinite(raw) or not scale.low <= raw <= scale.high:
        raise _no_score(
            f"the judge's score is {raw:g}, and it was asked for one from {scale.low:g} to {scale.high:g}",
            text,
        )
    return scale.share(raw)


def _several(numbers: list[str], text: str) -> JudgeAnswerError:
    shown = ", ".join(dict.fromkeys(number[:40] for number in numbers[:10]))
    return _no_score(f"the judge gave several numbers ({shown}) and none as its score", text)


def _no_score(why: str, text: str) -> JudgeAnswerError:
    return JudgeAnswerError(
        f"{why}: {retrying.shorten(text, SHOWN_CHARS)!r}", text=text[:SHOWN_CHARS]
    )


def refused(said: str) -> Never:
    """Raise for an answer that the service itself marks as a refusal."""
    raise _no_score("the judge refused", said)
