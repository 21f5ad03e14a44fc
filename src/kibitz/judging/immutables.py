"""What cannot be changed: selectors and feedback functions, of which every method gives another one."""

from __future__ import annotations

from typing import Any, ClassVar


class Immutable:
    """An object on which nothing can be set or deleted; `put` is for those who make it."""

    __slots__ = ()

    __kibitz_fixed__: ClassVar[str] = "it cannot be changed"
    """What is said to whoever tries; not a name that an attribute of a subclass could have."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self.__kibitz_fixed__} ({name})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self.__kibitz_fixed__} ({name})")


def put(made: Immutable, **values: Any) -> None:
    """Give an object that is being made its values."""
    for name, value in values.items():
        object.__setattr__(made, name, value)
