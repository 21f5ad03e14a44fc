"""What judging costs: requests, tokens and money, counted where they are spent and read where somebody wants to know.

    with spending.tally() as spent:
        judge.relevance(prompt, response)
    spent.total.usd

Whoever spends calls `spend`; every tally that is open in its context counts it, inner and outer ones alike. Tasks and
threads that copy the context count into the tallies of whoever started them.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Self

from msgspec import Struct


class Spend(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was spent. Adds up."""

    requests: int = 0
    """Requests that were answered, and those that failed and were perhaps charged."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    """Requests of models that the price table does not have: their money is not in `usd`."""

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            usd=self.usd + other.usd,
            unpriced=self.unpriced + other.unpriced,
        )


NOTHING = Spend()
MAX_COUNT = 10**12
"""Requests or tokens of one run."""
MAX_USD = 1e6
"""Of one run, so that the sums over all runs of a project are whole numbers of 64 bits."""


def bounded(said: Spend) -> Spend:
    """What a run says that it spent, within bounds: a function may say anything, and gives no budget anything back."""

    def count(number: int) -> int:
        return min(max(number, 0), MAX_COUNT)

    return Spend(
        requests=count(said.requests),
        input_tokens=count(said.input_tokens),
        output_tokens=count(said.output_tokens),
        # Not a number is not more than 0 either.
        usd=min(said.usd, MAX_USD) if said.usd > 0 else 0.0,
        unpriced=count(said.unpriced),
    )


class Tally:
    """Counts what is spent while it is open."""

    __slots__ = ("_spends", "_token")

    def __init__(self) -> None:
        self._spends: list[Spend] = []

    def __enter__(self) -> Self:
        self._token = _open.set((*_open.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        _open.reset(self._token)

    def add(self, spent: Spend) -> None:
        """Count this; safe from any thread."""
        self._spends.append(spent)

    @property
    def total(self) -> Spend:
        """Everything so far."""
        total = NOTHING
        # A copy: other threads may go on spending.
        for each in tuple(self._spends) if self._spends else ():
            total += each
        return total


_open: ContextVar[tuple[Tally, ...]] = ContextVar("kibitz_tallies", default=())


def tally() -> Tally:
    """Count what is spent inside the block: `with tally() as spent`."""
    return Tally()


def spend(spent: Spend) -> None:
    """Say that something was spent; where nobody counts, nothing happens."""
    for each in _open.get():
        each.add(spent)
