"""What takes a while to load and is then kept: loaded once in a process, however many threads ask at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple

from kibitz.base.locks import ForkLock

Given = TypeVarTuple("Given")
Loaded = TypeVar("Loaded")


class Once(Generic[*Given, Loaded]):
    """A function of which each result is kept. Unlike `functools.cache`, one thread loads and the others wait.

    An exception is not kept: the next caller tries again.
    """

    def __init__(self, load: Callable[[*Given], Loaded]) -> None:
        self._load = load
        self._lock = ForkLock()
        self._kept: dict[tuple[*Given], Loaded] = {}

    def __call__(self, *given: *Given) -> Loaded:
        if given not in self._kept:
            with self._lock:
                if given not in self._kept:
                    self._kept[given] = self._load(*given)
        return self._kept[given]

    def forget(self) -> None:
        """Load anew when it is next asked for."""
        self._kept.clear()
