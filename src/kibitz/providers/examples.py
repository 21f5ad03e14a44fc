"""Examples of judgements for a judge to follow, from what people said.

    liked = examples_from(
        calls("acme/support-bot").where(feedback("annotation.helpful").exists()).limit(8),
        given={"prompt": "inputs.question", "response": "output"},
        score="annotation.helpful",
        low=1, high=5,
    )
    OpenAI(examples={"relevance": liked})

They become part of what the judge is made with: other examples are another feedback definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from kibitz.base import judgements
from kibitz.base.errors import UsageError
from kibitz.base.records import Call, Feedback

MAX_EXAMPLES = 32
DEFAULT_LIMIT = 8


class Example(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Material that was judged before, and how."""

    given: dict[str, Any]
    """By parameter of the judge."""
    score: float
    """From 0 to 1; it is shown on the scale that the judge is asked for."""
    reason: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise UsageError(
                f"the score of an example is {self.score!r}, not from 0 to 1", field="score"
            )


def read(said: object) -> tuple[Example, ...]:
    """Examples as they were given: as such, or as dicts of the same fields.

    Raises:
        UsageError: they are no examples, or too many.
    """
    try:
        found = msgspec.convert(msgspec.to_builtins(said), tuple[Example, ...])
    except (TypeError, msgspec.MsgspecError, UsageError) as error:
        raise UsageError(
            f'examples are a list of {{"given": {{…}}, "score": 0.5, "reason": "…"}}: {error}',
            field="examples",
        ) from error
    if len(found) > MAX_EXAMPLES:
        raise UsageError(f"{len(found)} examples are more than {MAX_EXAMPLES}", field="examples")
    return found


def plain(said: object) -> Any:
    """Examples as JSON, each with all its fields, so that what is the same is written alike."""
    if isinstance(said, Mapping):
        by_family = cast("Mapping[str, Any]", said)
        return {family: plain(each) for family, each in by_family.items()}
    return [msgspec.to_builtins(each) for each in read(said)]


def examples_from(
    calls: Iterable[Call],
    *,
    given: Mapping[str, str],
    score: str,
    low: float = 0,
    high: float = 1,
    values: Mapping[str, float] | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[dict[str, Any]]:
    """What people said of calls, as the `examples` of a judge.

    A call of which nobody said it, or that lacks a place of `given`, is passed over. Where several people judged a call
    it counts the mean of them. Notes on a call are its reason.

    Args:
        calls: Calls with their values and feedback: a set of calls (`kibitz.calls(…)`), a page, a list.
        given: Where each argument of the judge is: `{"prompt": "inputs.question", "response": "output"}`; dots between
            keys, numbers for places in lists.
        score: The type of the feedback, and where in its payload the judgement is if it is elsewhere than `value` of an
            annotation, `output` of a runnable or `emoji` of a reaction: `annotation.helpful`, `review:stars`.
        low: The judgement that is the lowest …
        high: … and the one that is the highest score.
        values: What words and emojis count, from 0 to 1: `{"good": 1, "bad": 0}`.
        limit: How many at most, the first ones.

    Raises:
        UsageError: a judgement is not from `low` to `high`, or is a text that `values` does not have.
    """
    if not low < high:
        raise UsageError(f"low {low!r} is not below high {high!r}", field="low")
    kind, _, place = score.partition(":")
    path = (place or _place(kind)).split(".")
    found: list[dict[str, Any]] = []
    for call in calls:
        if len(found) >= limit:
            break
        said = _standing(call, kind)
        judged = [_share(_at(each.payload, path), each, low, high, values) for each in said]
        material = {
            name: _at({"inputs": call.inputs, "output": call.output}, where.split("."))
            for name, where in given.items()
        }
        if judged and not any(value in (None, msgspec.UNSET) for value in material.values()):
            notes = [str(each.payload.get("note", "")) for each in _standing(call, judgements.NOTE)]
            example = Example(
                given=material, score=sum(judged) / len(judged), reason=" ".join(notes)
            )
            found.append(msgspec.to_builtins(example))
    return found


def _place(kind: str) -> str:
    if kind.startswith(judgements.RUNNABLE):
        return "output"
    return "emoji" if kind == judgements.REACTION else "value"


def _standing(call: Call, kind: str) -> list[Feedback]:
    """The judgements of a type that count."""
    if isinstance(call.feedback, msgspec.UnsetType):
        return []
    return [each for each in call.feedback if each.type == kind and each.stands]


def _at(value: Any, path: Sequence[str]) -> Any:
    """What is at a place; None where there is no such place."""
    for step in path:
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(step)
        elif isinstance(value, list) and step.lstrip("-").isdigit():
            items = cast("list[Any]", value)
            value = items[int(step)] if -len(items) <= int(step) < len(items) else None
        else:
            return None
    return value


def _share(
    said: Any, of: Feedback, low: float, high: float, values: Mapping[str, float] | None
) -> float:
    if isinstance(said, bool):
        return float(said)
    if isinstance(said, int | float) and low <= said <= high:
        return (said - low) / (high - low)
    if isinstance(said, str) and values is not None and said in values:
        return values[said]
    raise UsageError(
        f"feedback {of.id} says {said!r}, which is no score from {low:g} to {high:g}; say what it counts with low, high or"
        ' values={"good": 1}',
        field="score",
    )
