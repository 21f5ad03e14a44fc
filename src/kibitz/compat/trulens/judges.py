"""Judges that take TruLens' names for their arguments. What is made is the judge of `kibitz.providers` itself, so that
any worker can make it again; a class that a program derives from one of these takes the same names."""

from __future__ import annotations

import inspect
from typing import Any, Final, cast

from kibitz import providers

_OURS: Final = {
    "custom_instructions": "additional_instructions",
    "max_score_val": "max_score",
    "min_score_val": "min_score",
    "model_engine": "model",
}
_GENERATE: Final = ("generate_score", "generate_score_and_reasons")
"""What classes of a program's own ask with."""
_NAMES: Final = ("AzureOpenAI", "Cohere", "Huggingface", "HuggingfaceLocal", "LiteLLM", "OpenAI")


def _renamed(given: dict[str, Any]) -> dict[str, Any]:
    return {_OURS.get(name, name): value for name, value in given.items()}


def _alias(name: str) -> type[Any]:
    kind: Any = getattr(providers, name)

    def __new__(cls: type[Any], *args: Any, **given: Any) -> Any:
        if cls is alias:
            return kind(*args, **_renamed(given))
        # A constructor of a program's own is made again by the names that it has.
        own: bool = cls.__init__ is not __init__
        return kind.__new__(cls, *args, **(given if own else _renamed(given)))

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        kind.__init__(self, *args, **_renamed(given))

    def told(name: str) -> Any:
        def generate(self: Any, *args: Any, **given: Any) -> Any:
            return getattr(kind, name)(self, *args, **_renamed(given))

        return generate

    cast("Any", __init__).__signature__ = inspect.signature(kind.__init__)
    body: dict[str, Any] = {
        "__new__": __new__,
        "__init__": __init__,
        "__doc__": kind.__doc__,
        "__module__": __name__,
        **{name: told(name) for name in _GENERATE if hasattr(kind, name)},
    }
    alias: type[Any] = cast("type[Any]", type(kind))(name, (kind,), body)
    return alias


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _alias(name)
    return made
