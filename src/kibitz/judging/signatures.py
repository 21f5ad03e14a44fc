"""What an implementation takes: its arguments by name, and how to call it with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kibitz.base.errors import UsageError


class Signature:
    """The arguments of a callable, looked up once."""

    __slots__ = ("_any_name", "_positional", "inspected", "names", "required", "title")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.title = str(getattr(func, "__name__", type(func).__name__))
        try:
            self.inspected = inspect.signature(func)
        except (TypeError, ValueError):
            raise UsageError(
                f"{self.title} does not say which arguments it takes; write a function around it: "
                f"def judge(text): return {self.title}(text)",
                field="implementation",
            ) from None
        kept = [
            each
            for each in self.inspected.parameters.values()
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        ]
        self.names = [each.name for each in kept]
        """Of all arguments, in order."""
        self.required = frozenset(each.name for each in kept if each.default is each.empty)
        self._positional = [each.name for each in kept if each.kind is each.POSITIONAL_ONLY]
        self._any_name = any(
            each.kind is each.VAR_KEYWORD for each in self.inspected.parameters.values()
        )
        if self.names[:1] == ["self"] and "self" in self.required:
            raise UsageError(
                f"{getattr(func, '__qualname__', self.title)} is a method without its object; make one first: "
                f"provider = Provider(…), then Feedback(provider.{self.title})",
                field="implementation",
            )

    def check(self, name: str) -> None:
        """Raise `UsageError` where there is no argument of this name."""
        if name not in self.names and not self._any_name:
            known = ", ".join(self.names) or "none"
            raise UsageError(
                f"{self.title} has no argument {name!r}; its arguments are {known}", field=name
            )

    def next_of(self, taken: Collection[str]) -> str:
        """The first argument that is not taken; raises `UsageError` where all are."""
        for name in self.names:
            if name not in taken:
                return name
        raise UsageError(
            f"{self.title}{self.inspected} has no further argument to select for; "
            f"{', '.join(sorted(taken)) or 'none'} have their values already",
            field="selectors",
        )

    def left(self, taken: Collection[str]) -> list[str]:
        """The arguments that have no values yet: those that need one, or all where none does."""
        left = [name for name in self.names if name not in taken]
        return [name for name in left if name in self.required] or left

    def missing(self, taken: Collection[str]) -> list[str]:
        """The arguments that need a value and have none."""
        return [name for name in self.names if name in self.required and name not in taken]

    def binding(self, func: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
        """What calls it with arguments by name."""
        positional = self._positional
        defaults = {name: self.inspected.parameters[name].default for name in positional}
        if not positional:
            return lambda arguments: func(**arguments)

        def call(arguments: Mapping[str, Any]) -> Any:
            rest = dict(arguments)
            first: list[Any] = []
            last = max((at for at, name in enumerate(positional) if name in rest), default=-1)
            for name in positional[: last + 1]:
                # What comes before a given one needs its own value: it would get the given one's.
                first.append(rest.pop(name) if name in rest else defaults[name])
            return func(*first, **rest)

        return call
