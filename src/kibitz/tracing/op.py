"""The op decorator: record one call per invocation, and never change what the function does.

The four kinds of functions differ in how they are driven, and in nothing else: each kind is one `_run`, made of
the blocks of `recording.py`. An op is an object and no function, so that a method's `.call` knows its instance;
it shows the attributes of a function (`__code__`, `__wrapped__` …), by which `inspect` takes it for one.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from kibitz.base.errors import UsageError
from kibitz.base.lazily import Once
from kibitz.tracing import arguments, streams
from kibitz.tracing.calls import Call
from kibitz.tracing.recording import Active, Recording, Scope, begin

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
Plain = TypeVar("Plain")

_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200
_MAX_NAME = 256


class Op(Generic[P, R]):
    """A traced function. Called like the function it was made of; `call` gives the call's handle too."""

    name: str
    func: Callable[..., Any]
    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, R]
    begun: Callable[[Recording], None] | None = None
    """Is told of each recording that begins; whoever made the op for an app sets it."""
    _streams = False
    """Whether the result is a stream, which is not the output yet."""

    def __init__(
        self,
        func: Callable[P, R],
        *,
        name: str | None = None,
        display_name: str | Callable[[dict[str, Any]], str] | None = None,
        kind: str | None = None,
        postprocess_inputs: Callable[[dict[str, Any]], Any] | None = None,
        postprocess_output: Callable[[Any], Any] | None = None,
        sample_rate: float | None = None,
        enabled: bool = True,
        attributes: Mapping[str, Any] | None = None,
        accumulate: Callable[[list[Any]], Any] | None = None,
        capture_code: bool = True,
        binding: str = "instance",
    ) -> None:
        functools.update_wrapper(self, func)
        for attribute in ("__code__", "__defaults__", "__kwdefaults__"):
            if hasattr(func, attribute):
                setattr(self, attribute, getattr(func, attribute))
        self.func = func
        self.name = _check_name(_default_name(func) if name is None else name)
        self.display_name = display_name
        self.kind = kind
        self.postprocess_inputs = postprocess_inputs
        self.postprocess_output = postprocess_output
        self.sample_rate = _check_rate(sample_rate)
        self.enabled = enabled
        self.attributes = attributes
        self.accumulate = accumulate
        self.capture_code = capture_code
        self.takes_self = _takes_self(func)
        self._binding = binding
        self.versions: dict[bool, Any] = {}
        """The captured code, by whether it was to be captured; `code.py` fills it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        call = begin(self, args, kwargs)
        if call is None:
            return self.func(*args, **kwargs)
        return self._run(call, args, kwargs)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Call]:
        """Call the function and give its result and the call's handle.

        Raises:
            BaseException: whatever the function raises, unchanged.
        """
        call = begin(self, args, kwargs)
        handle = Call(call, self, (args, kwargs))
        result = self.func(*args, **kwargs) if call is None else self._run(call, args, kwargs)
        if not self._streams:
            handle.settle(result)
        return result, handle

    def _run(self, call: Recording | Scope, args: Any, kwargs: Any) -> R:
        call.enter_queue()
        with call, Active(call):
            call.result = result = self.func(*args, **kwargs)
        return result

    @Once
    def parameters(self) -> arguments.Parameters:
        """What the function takes."""
        return arguments.parameters_of(self.func)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, with defaults.

        Raises:
            TypeError: the function does not take these arguments.
        """
        return self.parameters.bind(args, kwargs)

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Op[P, R]: ...
    @overload
    def __get__(
        self: Op[Concatenate[S, Q], R], instance: S, owner: Any = None
    ) -> BoundOp[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if self._binding == "instance":
            return self if instance is None else BoundOp(self, instance)
        if self._binding == "class":
            return BoundOp(self, type(instance) if owner is None else owner)
        return self

    def __reduce__(self) -> str:
        # Pickled by name, as functions are.
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<op {self.name} of {self.func!r}>"


class AsyncOp(Op[P, Coroutine[Any, Any, R]], Generic[P, R]):
    """A traced coroutine function."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # pyright: ignore[reportIncompatibleMethodOverride] the same type in other words
        call = begin(self, args, kwargs)
        if call is None:
            return await self.func(*args, **kwargs)
        return await self._run_async(call, args, kwargs)

    async def call(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Call]:  # pyright: ignore[reportIncompatibleMethodOverride] a handle comes with the result, not before it
        """Await the function and give its result and the call's handle."""
        call = begin(self, args, kwargs)
        handle = Call(call, self, (args, kwargs))
        if call is None:
            result = await self.func(*args, **kwargs)
        else:
            result = await self._run_async(call, args, kwargs)
        handle.settle(result)
        return result, handle

    async def _run_async(self, call: Recording | Scope, args: Any, kwargs: Any) -> R:
        call.enter_queue()
        with call, Active(call):
            call.result = result = await self.func(*args, **kwargs)
        return result

    @overload
    def __get__(self, instance: None, owner: Any = None) -> AsyncOp[P, R]: ...
    @overload
    def __get__(
        self: AsyncOp[Concatenate[S, Q], R], instance: S, owner: Any = None
    ) -> BoundAsyncOp[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] the same for the narrower class
        return super().__get__(instance, owner)


class _GeneratorOp(Op[P, R]):
    """A traced generator function. Its call lives from the first step to the last."""

    _streams = True

    def _run(self, call: Recording | Scope, args: Any, kwargs: Any) -> R:
        # Made here and not in `_drive`, so that wrong arguments raise at once, as they do without us.
        return cast("R", self._drive(call, self.func(*args, **kwargs)))

    def _drive(
        self, call: Recording | Scope, items: Generator[Any, Any, Any]
    ) -> Generator[Any, Any, Any]:
        call.enter_queue()
        stream = streams.Stream(self.accumulate, whole=self.postprocess_output is not None)
        with call:
            step: Callable[[], Any] = items.__next__
            try:
                while True:
                    try:
                        with Active(call):
                            item = step()
                    except StopIteration as stop:
                        return stop.value
                    stream.add(item)
                    try:
                        sent = yield item
                    except GeneratorExit:
                        # The consumer has had enough, which is no failure.
                        with Active(call):
                            items.close()
                        call.stop_early()
                        return None
                    except BaseException as error:  # noqa: BLE001 handed to the function, which may raise it
                        step = functools.partial(items.throw, error)
                    else:
                        step = (
                            items.__next__ if sent is None else functools.partial(items.send, sent)
                        )
            finally:
                call.result = stream.result()


class _AsyncGeneratorOp(Op[P, R]):
    """A traced async generator function. Its call lives from the first step to the last."""

    _streams = True

    def _run(self, call: Recording | Scope, args: Any, kwargs: Any) -> R:
        return cast("R", self._drive(call, self.func(*args, **kwargs)))

    async def _drive(
        self, call: Recording | Scope, items: AsyncGenerator[Any, Any]
    ) -> AsyncGenerator[Any, Any]:
        call.enter_queue()
        stream = streams.Stream(self.accumulate, whole=self.postprocess_output is not None)
        with call:
            step: Callable[[], Any] = functools.partial(_first, items)
            try:
                while True:
                    try:
                        with Active(call):
                            item = await step()
                    except StopAsyncIteration:
                        return
                    stream.add(item)
                    try:
                        sent = yield item
                    except GeneratorExit:
                        # The consumer has had enough, which is no failure.
                        with Active(call):
                            await items.aclose()
                        call.stop_early()
                        return
                    except BaseException as error:  # noqa: BLE001 handed to the function, which may raise it
                        step = functools.partial(items.athrow, error)
                    else:
                        step = functools.partial(items.asend, sent)
            finally:
                call.result = stream.result()


def _first(items: AsyncGenerator[Any, Any]) -> Any:
    """The first step of a generator that its wrapper closes. At its end an event loop would close both at once."""
    remember = sys.get_asyncgen_hooks().firstiter
    sys.set_asyncgen_hooks(firstiter=None)
    try:
        return items.__anext__()
    finally:
        sys.set_asyncgen_hooks(firstiter=remember)


class BoundOp(Generic[P, R]):
    """An op of an instance or a class, as `instance.method` gives it."""

    __slots__ = ("__func__", "__self__")
    __func__: Any
    """The op."""
    __self__: Any

    def __init__(self, op: Op[..., R], instance: Any) -> None:
        self.__func__ = op
        self.__self__ = instance

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.__func__(self.__self__, *args, **kwargs)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Call]:
        """Call the method and give its result and the call's handle."""
        return self.__func__.call(self.__self__, *args, **kwargs)

    @property
    def __signature__(self) -> Any:
        import inspect

        signature = inspect.signature(self.__func__.func)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __getattr__(self, name: str) -> Any:
        if name in BoundOp.__slots__:
            raise AttributeError(name)
        return getattr(self.__func__, name)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundOp)
            and self.__func__ is other.__func__
            and self.__self__ is other.__self__
        )

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def __repr__(self) -> str:
        return f"<bound op {self.__func__.name}>"


class BoundAsyncOp(Protocol[P, R_co]):
    """An async op of an instance or a class: a `BoundOp`, as type checkers see it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]: ...
    def call(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, tuple[R_co, Call]]: ...


def make(func: Any, options: dict[str, Any]) -> Op[..., Any]:
    """The op of a function of any kind, or of a `classmethod` or `staticmethod` object.

    Raises:
        UsageError: it cannot be one, or an option cannot be used.
    """
    if isinstance(func, Op):
        func = cast("Op[..., Any]", func).func
    if isinstance(func, classmethod | staticmethod):
        binding = "class" if isinstance(func, classmethod) else "static"
        func, options = cast("Any", func).__func__, {**options, "binding": binding}
    if isinstance(func, type):
        raise UsageError(
            f"op cannot be put on the class {func.__qualname__!r}; put it on its methods"
        )
    if not callable(func):
        raise UsageError(f"op is for functions, not for {func!r}")
    function = cast("Callable[..., Any]", func)
    flags = _flags(function)
    if flags & _CO_ASYNC_GENERATOR:
        return _AsyncGeneratorOp(function, **options)
    if flags & _CO_GENERATOR:
        return _GeneratorOp(function, **options)
    if flags & _CO_COROUTINE:
        return AsyncOp(function, **options)
    return Op(function, **options)


class _Decorator(Protocol):
    """`op(name=…)`: waits for the function."""

    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncOp[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Op[P, R]: ...


@overload
def op(func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncOp[P, R]: ...
@overload
def op(func: Callable[P, R], /) -> Op[P, R]: ...
@overload
def op(
    *,
    name: str | None = None,
    display_name: str | Callable[[dict[str, Any]], str] | None = None,
    kind: str | None = None,
    postprocess_inputs: Callable[[dict[str, Any]], Any] | None = None,
    postprocess_output: Callable[[Any], Any] | None = None,
    sample_rate: float | None = None,
    enabled: bool = True,
    attributes: Mapping[str, Any] | None = None,
    accumulate: Callable[[list[Any]], Any] | None = None,
    capture_code: bool = True,
) -> _Decorator: ...
def op(func: Any = None, /, **options: Any) -> Any:
    """Record every call of a function: what it was given, what it gave or raised, when, and what it called.

    For functions, coroutines, generators, async generators, methods; on either side of `classmethod` and
    `staticmethod`. The function does what it did: results, exceptions, signature and types stay.

    Args:
        func: the function; left out where options follow: `@op(kind="llm")`.
        name: of the op; the function's qualified name without it.
        display_name: of its calls; a function gets the recorded inputs, on the exporter's thread.
        kind: agent, llm, tool, retriever, scorer …: for grouping and icons.
        postprocess_inputs: changes the arguments (by name) that are recorded; the function gets its own.
        postprocess_output: changes the output that is recorded. Where one of the two raises, nothing is
            recorded of the value: it may be there to take secrets out.
        sample_rate: the share of traces that is recorded where this op begins one; `settings.sample_rate` without.
        enabled: False: calls of this op are not recorded; those inside are, as children of what is around.
        attributes: of each of its calls.
        accumulate: makes one output of the values that a generator yielded; without it they are a list.
        capture_code: whether its source is stored; `settings.capture_code` can switch it off for all.

    Raises:
        UsageError: an option cannot be used, or this is no function.
    """
    if func is None:
        return functools.partial(make, options=options)
    return make(func, options)


def _flags(func: Any) -> int:
    while isinstance(func, functools.partial):
        func = cast("functools.partial[Any]", func).func
    code = getattr(func, "__code__", None)
    if code is None:
        code = getattr(type(func).__call__, "__code__", None)
    return 0 if code is None else code.co_flags


def _default_name(func: Any) -> str:
    while isinstance(func, functools.partial):
        func = cast("functools.partial[Any]", func).func
    name = getattr(func, "__qualname__", None) or type(func).__qualname__
    return name.rpartition("<locals>.")[2].replace("<lambda>", "lambda")


def _takes_self(func: Any) -> bool:
    code = getattr(func, "__code__", None)
    return (
        code is not None
        and not isinstance(func, MethodType)
        and code.co_argcount > 0
        and code.co_varnames[0] in {"self", "cls", "mcs", "mcls"}
    )


def _check_name(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance] a public door
        raise UsageError(
            f"op name {name!r} cannot be used; it has 1 to {_MAX_NAME} printable characters"
        )
    return name


def _check_rate(rate: float | None) -> float | None:
    if rate is not None and not 0 <= rate <= 1:
        raise UsageError(f"sample_rate={rate!r} of an op must be from 0 to 1")
    return rate
