"""What a generator yields, kept for its call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kibitz.tracing import guard, snapshots

MAX_ITEMS = 10_000
"""Of a stream that nothing accumulates; more are counted and not kept."""


class Items:
    """The yielded values as they were when they were yielded."""

    __slots__ = ("kept", "size", "total")

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.size = 0
        self.total = 0

    def add(self, item: object) -> None:
        self.total += 1
        if self.total <= MAX_ITEMS:
            kept, size = snapshots.take(item)
            self.kept.append(kept)
            self.size += size + 8

    def values(self) -> list[Any]:
        """The values, without those that were too many."""
        return [snapshots.value_of(kept) for kept in self.kept]


class Stream:
    """Collects what a generator yields; `result` is what its call is given as output."""

    __slots__ = ("_accumulate", "_all", "_items")

    def __init__(self, accumulate: Callable[[list[Any]], Any] | None, *, whole: bool) -> None:
        self._accumulate = accumulate
        self._all: list[Any] | None = [] if whole or accumulate is not None else None
        self._items = Items()

    def add(self, item: object) -> None:
        try:
            if self._all is None:
                self._items.add(item)
            else:
                self._all.append(item)
        except Exception as error:  # noqa: BLE001 the guard of the recording path
            guard.note(error)

    def result(self) -> Any:
        """The accumulated value, or the list of what was yielded."""
        if self._all is None:
            return self._items
        if self._accumulate is None:
            return self._all
        try:
            return self._accumulate(self._all)
        except Exception as error:  # noqa: BLE001 a user's callback
            guard.warn(
                "accumulate=%r raised %s; the yielded values are recorded instead",
                self._accumulate,
                type(error).__name__,
            )
            return self._all
