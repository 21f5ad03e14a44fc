"""Methods that are recorded: of one instance, where an app has it, or of all, where the program marks them.

A method of an instance that an app has is an op with the name of its place. For this a `Placed` stands on the class in
the place of the function: it gives the op to the instances of apps and the function to everybody else, so that
nothing changes for other instances, and nothing is added to any: what pickles, copies or compares it sees what it saw.
When the last app that has instances of the class is gone, the function stands there again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

from kibitz.apps import recordings
from kibitz.base.errors import UsageError
from kibitz.base.locks import ForkLock
from kibitz.tracing import op as ops
from kibitz.tracing import recording
from kibitz.tracing.op import Op

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS = (
    "display_name",
    "kind",
    "postprocess_inputs",
    "postprocess_output",
    "sample_rate",
    "enabled",
    "accumulate",
    "capture_code",
)
_changing = ForkLock()
"""Held while a class gets or loses a `Placed`."""


class Placed:
    """Stands on a class in the place of a method."""

    kibitz_placed = True

    def __init__(self, original: Any) -> None:
        self.original = original
        self.ops: dict[int, dict[Any, Op[..., Any]]] = {}
        """By the id of an instance, which its apps keep alive: the op of each app, the newest last."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is not None:
            by_app = self.ops.get(id(instance))
            if by_app:
                op: Any = _chosen(by_app)
                return op.__get__(instance, owner)
        return self.original.__get__(instance, owner)

    def __getattr__(self, name: str) -> Any:
        if name == "original":
            # Asked before `__init__`, by what copies or unpickles.
            raise AttributeError(name)
        return getattr(self.original, name)


def _chosen(by_app: dict[Any, Op[..., Any]]) -> Op[..., Any]:
    """The op of the app that runs here, or whose block is open; where none is, of the one that was made last."""
    if len(by_app) > 1:
        here = recording.CURRENT.get()
        each = here if isinstance(here, recording.Recording) else here and here.parent
        while each is not None:
            app = getattr(recording.watched.get(each), "app", None)
            token = getattr(app, "token", None)
            if token in by_app:
                return by_app[token]
            each = each.parent
        for app in reversed(recordings.apps_here()):
            token = getattr(app, "token", None)
            if token in by_app:
                return by_app[token]
    return next(reversed(by_app.values()))


def place(
    token: object, instance: Any, definer: type, name: str, options: dict[str, Any]
) -> Op[..., Any]:
    """Record a method of an instance; the token stands for the app.

    Raises:
        UsageError: the class cannot be changed, as those of extension modules.
    """
    with _changing:
        standing = vars(definer)[name]
        if not isinstance(standing, Placed):
            standing = Placed(standing)
            try:
                setattr(definer, name, standing)
            except TypeError as error:
                raise UsageError(
                    f"method {name!r} of {definer.__qualname__!r} cannot be recorded: the class cannot be changed. "
                    "Wrap the call in a function of your own and mark that with `kibitz.op`",
                    field="methods",
                ) from error
        made = make(standing.original, options)
        standing.ops.setdefault(id(instance), {})[token] = made
        if vars(definer).get(name) is not standing:
            # The last app that was here was collected in the meantime, by this very thread, and took it away.
            setattr(definer, name, standing)
        return made


def displace(token: object, instance_id: int, definer: type, name: str) -> None:
    """Record a method of an instance no more."""
    with _changing:
        standing = vars(definer).get(name)
        if not isinstance(standing, Placed):
            return
        by_app = standing.ops.get(instance_id, {})
        by_app.pop(token, None)
        if not by_app:
            standing.ops.pop(instance_id, None)
        if not standing.ops:
            setattr(definer, name, standing.original)


def make(original: Any, options: dict[str, Any]) -> Op[..., Any]:
    """An op of a function, or of an op with what its program said of it: what is taken out of values stays out."""
    if isinstance(original, Op):
        known = cast("Op[..., Any]", original)
        said = {name: getattr(known, name) for name in _OPTIONS}
        attributes = {**(known.attributes or {}), **options.get("attributes", {})}
        options = {**said, **options, "attributes": attributes}
    return ops.make(original, options)


class Instrument:
    """Marks methods: calls of them are recorded on all instances, and of an app only they are.

        class Rag:
            @kibitz.instrument
            def retrieve(self, question: str) -> list[str]: ...

        kibitz.instrument.method(Client, "complete", kind="llm")   # of a class that is not yours

    It is `kibitz.op` with this mark, and takes the same options.
    """

    @overload
    def __call__(self, func: Callable[P, R], /) -> Op[P, R]: ...
    @overload
    def __call__(
        self, func: None = None, /, **options: Any
    ) -> Callable[[Callable[P, R]], Op[P, R]]: ...
    def __call__(self, func: Any = None, /, **options: Any) -> Any:
        """Mark a function or method; raises `UsageError` where it cannot be recorded."""
        if func is None:
            return functools.partial(self.__call__, **options)
        made: Any = make(func, options)
        made.instrumented = True
        return made

    def method(self, cls: type, name: str, **options: Any) -> None:
        """Mark a method of a class from outside.

        Raises:
            UsageError: the class has no such method, or cannot be changed.
        """
        for definer in cls.__mro__:
            if name in vars(definer):
                standing = vars(definer)[name]
                break
        else:
            raise UsageError(f"{cls.__qualname__!r} has no method {name!r}", field="name")
        original = standing.original if isinstance(standing, Placed) else standing
        marked = cast("Any", self)(original, **options)
        try:
            if isinstance(standing, Placed) and definer is cls:
                standing.original = marked
            else:
                setattr(cls, name, marked)
        except TypeError as error:
            raise UsageError(
                f"method {name!r} of {cls.__qualname__!r} cannot be recorded: the class cannot be changed",
                field="cls",
            ) from error


instrument = Instrument()
