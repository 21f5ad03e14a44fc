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
from typing import Any, NamedTuple, cast

_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")
_INPUT = ("prompt_tokens", "prompt_token_count")
_OUTPUT = ("output_tokens", "completion_tokens", "candidates_token_count", "output")
_TOTAL = ("total_tokens", "total_token_count", "total", "tokens")
_COUNTS = frozenset(("input_tokens", *_CACHED, *_INPUT, *_OUTPUT, *_TOTAL, "input"))
MAX_TOKENS = 10**15
"""More is no count of tokens. Below, a count is the same as integer and as double."""
MAX_MODEL_CHARACTERS = 256


class Usage(NamedTuple):
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
    """What the entries `usage`, `model` and `cost` of a summary say. Never raises: what is no count says nothing.

    Made for every call that is stored, so it is written to be fast.
    """
    used = NOTHING
    if isinstance(usage, dict):
        entries = cast("dict[Any, Any]", usage)
        for name, value in entries.items():
            if name in _COUNTS and _count(value) is not None:
                used = _of_counts(entries)
                break
        else:
            model, used = _over_models(model, entries)
    return Usage(
        model[:MAX_MODEL_CHARACTERS] or None if isinstance(model, str) else None,
        used.input_tokens,
        used.output_tokens,
        used.tokens,
        used.cost if cost is None or (total := _cost(cost)) is None else total,
    )


def _over_models(model: Any, entries: dict[Any, Any]) -> tuple[Any, Usage]:
    """Which model, and what all of them used together."""
    together, most = NOTHING, -1
    for name, counts in entries.items():
        if not isinstance(counts, dict):
            continue
        used = _of_counts(cast("dict[Any, Any]", counts))
        if (used.tokens or 0) > most:
            model, most = name, used.tokens or 0
        together = (
            used
            if together is NOTHING
            else Usage(
                None,
                _sum(together.input_tokens, used.input_tokens),
                _sum(together.output_tokens, used.output_tokens),
                _sum(together.tokens, used.tokens),
                _costs(together.cost, used.cost),
            )
        )
    return model, together


def _of_counts(counts: dict[Any, Any]) -> Usage:
    input_tokens = _first(counts, _INPUT)
    if input_tokens is None:
        input_tokens = _count(counts.get("input_tokens"))
        for name in _CACHED:
            input_tokens = _sum(input_tokens, _count(counts.get(name)))
    if input_tokens is None:
        input_tokens = _count(counts.get("input"))
    output_tokens = _first(counts, _OUTPUT)
    tokens = _first(counts, _TOTAL)
    if tokens is None:
        tokens = _sum(input_tokens, output_tokens)
    return Usage(None, input_tokens, output_tokens, tokens, _cost(counts.get("cost")))


def _first(counts: dict[Any, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in counts and (found := _count(counts[name])) is not None:
            return found
    return None


def _count(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= MAX_TOKENS else None
    if type(value) is float and 0 <= value <= MAX_TOKENS and value.is_integer():
        return int(value)
    return None


def _sum(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first + second, MAX_TOKENS)


def _cost(value: Any) -> float | None:
    if type(value) is not int and type(value) is not float:
        return None
    try:
        cost = float(value)
    except OverflowError:
        return None
    return cost if math.isfinite(cost) else None


def _costs(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return second if first is None else first
    total = first + second
    return total if math.isfinite(total) else None
