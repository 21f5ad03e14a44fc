"""What every provider of feedback implementations is: plain methods on texts that give a number from 0 to 1.

    class House(Provider):
        local = True

        def __init__(self, words: int = 120) -> None:
            self.words = words

        def brief(self, text: str) -> float:
            return float(len(text.split()) <= self.words)

    Feedback(House(80).brief).on_output()

A provider is named by its class and the arguments it was made with, never by where it is in memory: a worker makes an
equal one from these. A secret is no argument to keep: it is left out, and the worker takes it from its environment.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Self

_SECRETS = frozenset({"api_key", "token", "secret", "password", "auth", "http_client", "client"})


_allowed: ContextVar[Callable[[str], bool] | None] = ContextVar(
    "kibitz_provider_allowed", default=None
)


@contextmanager
def made_of_definition(allowed: Callable[[str], bool]) -> Generator[None]:
    """While this is open, providers are made of what a stored definition says: whoever wrote it is not trusted.

    Args:
        allowed: Whether a module may be used, by its name.
    """
    token = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(token)


def may_name(module: str) -> bool | None:
    """Whether an argument may name something of a module; None where this program said it, and no definition."""
    allowed = _allowed.get()
    return None if allowed is None else allowed(module)


class SkipEval(Exception):
    """Raised by an implementation that has nothing to say of these arguments: this one call is left out."""

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "the implementation had nothing to say")
        self.reason = str(self)


class Provider:
    """Base of providers. A method `judge` may have a twin `ajudge`, a coroutine function, which is used where many
    evaluations go on at once.
    """

    local: ClassVar[bool] = False
    """Whether its methods only compute: quick, alike for alike arguments, without a network."""

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        made._made_with = (args, kwargs)
        return made

    def parameters(self) -> dict[str, Any]:
        """The arguments to make an equal one with, by name, without defaults that were not given and without secrets.

        Override it where the arguments are not JSON-like values.
        """
        args, kwargs = self._made_with
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        given = dict(list(bound.arguments.items())[1:])
        for parameter in inspect.signature(type(self).__init__).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                given.update(given.pop(parameter.name, {}))
        return {name: value for name, value in given.items() if name not in _SECRETS}
