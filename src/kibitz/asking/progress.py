"""How far a long question is: told to whoever wants to know, or shown on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from kibitz.base import clock

Told = Callable[[int, int | None], None]
"""Called with how many are done, and how many there are where that is known."""
Progress = bool | Told
"""True to show it on standard error where that is a terminal, False for nothing, or a function."""

_QUIET_NS = 1_000_000_000
"""What is over sooner needs no line."""
_BETWEEN_NS = 100_000_000


@contextmanager
def shown(progress: Progress, doing: str) -> Generator[Told]:
    """What to tell while something goes on."""
    if callable(progress):
        yield progress
        return
    if not progress or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    line = _Line(doing)
    try:
        yield line.tell
    finally:
        line.clear()


class _Line:
    """One line on a terminal that is written over."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._next = clock.monotonic_ns() + _QUIET_NS
        self._width = 0

    def tell(self, done: int, total: int | None) -> None:
        now = clock.monotonic_ns()
        if now < self._next:
            return
        self._next = now + _BETWEEN_NS
        of = "" if total is None else f" of {total:,}"
        text = f"{self._doing}: {done:,}{of}"
        sys.stderr.write(f"\r{text.ljust(self._width)}")
        sys.stderr.flush()
        self._width = len(text)

    def clear(self) -> None:
        if self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            sys.stderr.flush()
