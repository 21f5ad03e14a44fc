"""What a call used: model, tokens and cost, read from the `summary` that it was delivered with.

`summary.usage` is one entry of counts per model, or the counts themselves beside `summary.model`. Counts go by the
names that providers give them:

    input    input_tokens, with Anthropic's cache_creation_input_tokens and cache_read_input_tokens, which are
             counted apart there; prompt_tokens, in which cached ones are; prompt_token_count; input
    output   output_tokens, completion_tokens, candidates_token_count; output
    total    total_tokens, total_token_count; total, tokens; else input and output together

Several models are summed, and the one with the most tokens names the call. The cost is `summary.cost` in USD, or the
sum of the `cost` of each model. What is no count is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")
_INPUT = ("prompt_tokens", "prompt_token_count")
_OUTPUT = ("output_tokens", "completion_tokens", "candidates_token_count", "output")
_TOTAL = ("total_tokens", "total_token_count", "total", "tokens")
_COUNTS = frozenset(("input_tokens", *_CACHED, *_INPUT, *_OUTPUT, *_TOTAL, "input"))
MAX_TOKENS = 10**15
"""More is no count of tokens. Below, a count is the same as integer and as double."""
MAX_MODEL_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used; None where nothing was said."""

    model: str | None = None
    """The one with the most tokens."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: int | None = None
    cost: float | None = None
    """USD."""


NOTHING = Usage()


def of_summary(usage: Any, model: Any = None, cost: Any = None) -> Usage:
    """What the entries `usage`, `model` and `cost` of a summary say. Never raises: what is no count says nothing."""
    entries = _by_model(usage, model)
    used = [(name, _of_counts(counts)) for name, counts in entries]
    # Of equals `max` takes the first.
    most = max(used, key=lambda each: each[1].tokens or 0, default=(model, NOTHING))
    total = _cost(cost)
    return Usage(
        _text(most[0]),
        _sum([each.input_tokens for _, each in used]),
        _sum([each.output_tokens for _, each in used]),
        _sum([each.tokens for _, each in used]),
        _costs([each.cost for _, each in used]) if total is None else total,
    )


def _by_model(usage: Any, model: Any) -> list[tuple[Any, Mapping[str, Any]]]:
    if not isinstance(usage, Mapping):
        return []
    entries = cast("Mapping[str, Any]", usage)
    if any(_count(entries.get(name)) is not None for name in _COUNTS & entries.keys()):
        return [(model, entries)]
    return [
        (name, cast("Mapping[str, Any]", counts))
        for name, counts in entries.items()
        if isinstance(counts, Mapping)
    ]


def _of_counts(counts: Mapping[str, Any]) -> Usage:
    input_tokens = _first(counts, _INPUT)
    if input_tokens is None:
        input_tokens = _sum([_count(counts.get(name)) for name in ("input_tokens", *_CACHED)])
    if input_tokens is None:
        input_tokens = _count(counts.get("input"))
    output_tokens = _first(counts, _OUTPUT)
    tokens = _first(counts, _TOTAL)
    if tokens is None:
        tokens = _sum([input_tokens, output_tokens])
    return Usage(None, input_tokens, output_tokens, tokens, _cost(counts.get("cost")))


def _first(counts: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        found = _count(counts.get(name))
        if found is not None:
            return found
    return None


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= MAX_TOKENS or value != int(value):
        return None
    return int(value)


def _sum(counts: list[int | None]) -> int | None:
    given = [each for each in counts if each is not None]
    return min(sum(given), MAX_TOKENS) if given else None


def _cost(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        cost = float(value)
    except OverflowError:
        return None
    return cost if math.isfinite(cost) else None


def _costs(costs: list[float | None]) -> float | None:
    given = [each for each in costs if each is not None]
    if not given:
        return None
    total = sum(given)
    return total if math.isfinite(total) else None


def _text(name: Any) -> str | None:
    return name[:MAX_MODEL_CHARACTERS] or None if isinstance(name, str) else None
