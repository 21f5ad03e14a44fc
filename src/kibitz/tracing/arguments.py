"""A call's arguments by name, without the cost of `inspect` for plain functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, MethodType
from typing import Any, cast

_CO_VARARGS, _CO_VARKEYWORDS = 0x04, 0x08
_MISSING = object()


class Parameters:
    """The parameters of a function."""

    __slots__ = ("_defaults", "_extra", "_keywords", "_names", "_order", "_rest")

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        positional_only: int,
        keyword_only: tuple[str, ...],
        rest: str | None,
        extra: str | None,
        defaults: dict[str, Any],
    ) -> None:
        self._names = names
        self._keywords = frozenset(names[positional_only:] + keyword_only)
        self._order = names + keyword_only
        self._rest = rest
        self._extra = extra
        self._defaults = defaults

    @property
    def names(self) -> tuple[str, ...]:
        """Those that can be given by name or position, in order."""
        return self._order

    @property
    def required(self) -> tuple[str, ...]:
        """Those without a default."""
        return tuple(name for name in self._order if name not in self._defaults)

    @property
    def takes_any(self) -> bool:
        """Whether any further name is taken."""
        return self._extra is not None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name in the order of the parameters, with defaults.

        Raises:
            TypeError: the arguments do not fit.
        """
        given = dict(zip(self._names, args, strict=False))
        rest = args[len(self._names) :]
        if rest and self._rest is None:
            raise TypeError(f"{len(args)} arguments for {len(self._names)} parameters")
        extra: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in self._keywords and name not in given:
                given[name] = value
            elif self._extra is not None and name not in self._keywords:
                extra[name] = value
            else:
                raise TypeError(f"unexpected argument {name!r}")
        bound: dict[str, Any] = {}
        for name in self._order:
            value = given.get(name, _MISSING)
            if value is _MISSING:
                value = self._defaults.get(name, _MISSING)
                if value is _MISSING:
                    raise TypeError(f"missing argument {name!r}")
            bound[name] = value
        if self._rest is not None:
            bound[self._rest] = rest
        if self._extra is not None:
            bound[self._extra] = extra
        return bound


def parameters_of(func: Callable[..., Any]) -> Parameters:
    """The parameters of a callable.

    Raises:
        TypeError, ValueError: it does not say what it takes, as some built-in functions.
    """
    code: CodeType | None = getattr(func, "__code__", None)
    if code is None or isinstance(func, functools.partial | MethodType):
        return _inspected(cast("Callable[..., Any]", func))
    names = code.co_varnames
    positional, keyword_only = code.co_argcount, code.co_kwonlyargcount
    at = positional + keyword_only
    rest: str | None = None
    extra: str | None = None
    if code.co_flags & _CO_VARARGS:
        rest = names[at]
        at += 1
    if code.co_flags & _CO_VARKEYWORDS:
        extra = names[at]
    values: tuple[Any, ...] = func.__defaults__ or ()  # pyright: ignore[reportFunctionMemberAccess] it has a __code__
    defaults = dict(zip(names[positional - len(values) : positional], values, strict=True))
    defaults.update(func.__kwdefaults__ or {})  # pyright: ignore[reportFunctionMemberAccess] it has a __code__
    return Parameters(
        names=names[:positional],
        positional_only=code.co_posonlyargcount,
        keyword_only=names[positional : positional + keyword_only],
        rest=rest,
        extra=extra,
        defaults=defaults,
    )


def _inspected(func: Callable[..., Any]) -> Parameters:
    # Only partials and callable objects come here, and `import kibitz` stays light without it.
    import inspect

    names: list[str] = []
    keyword_only: list[str] = []
    defaults: dict[str, Any] = {}
    positional_only = 0
    rest = extra = None
    for name, parameter in inspect.signature(func).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = name
        elif parameter.kind is parameter.VAR_KEYWORD:
            extra = name
        else:
            (keyword_only if parameter.kind is parameter.KEYWORD_ONLY else names).append(name)
            positional_only += parameter.kind is parameter.POSITIONAL_ONLY
            if parameter.default is not parameter.empty:
                defaults[name] = parameter.default
    return Parameters(
        names=tuple(names),
        positional_only=positional_only,
        keyword_only=tuple(keyword_only),
        rest=rest,
        extra=extra,
        defaults=defaults,
    )
