"""What is worked out when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Once(Generic[T]):
    """A property that is worked out when it is first asked for.

    Unlike `functools.cached_property` of Python 3.11 it takes no lock, which all objects of the class would share, and
    which a process forked in the meantime would find held for ever; at worst two threads work out the same.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        if owner is None:
            # Asked of the class, by what documents it.
            return cast("T", self)
        found = owner.__dict__[self._name] = self._work_out(owner)
        return found
