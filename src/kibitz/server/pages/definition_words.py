"""A definition of a feedback function in words, from its stored value. Pure.

What a definition says that is not known here stands below as it is stored: nothing of it is hidden.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kibitz.base.specifications import TYPE_KEY
from kibitz.judging import importables
from kibitz.server.pages import evaluation_links, values
from kibitz.server.pages.values import Piece

MAX_WORDS = 300
"""Characters of one text."""
_COMBINATIONS = {
    "zip": "position by position",
    "product": "every value of one with every value of the others",
}
_MISSING = {
    "error": "it has failed",
    "warn": "it is skipped, and the log says so",
    "ignore": "it is skipped",
}
_SHOWN = frozenset(
    (
        TYPE_KEY,
        "class",
        "name",
        "arguments",
        "implementation",
        "selectors",
        "aggregator",
        "combinations",
        "if_exists",
        "if_missing",
        "higher_is_better",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionWords:
    """What a definition says."""

    implementation: str
    """Where the implementation is imported from."""
    parameters: tuple[tuple[str, str], ...]
    """What its provider is made with."""
    selectors: tuple[tuple[str, str], ...]
    """(parameter, selector) of what it judges."""
    arguments: tuple[tuple[str, str], ...]
    """(parameter, value) of what is the same for every record."""
    judges: str
    """The same on one line."""
    facts: tuple[tuple[str, str], ...]
    """(what, words) of the rest."""
    more: tuple[Piece, ...]
    """What is not known here."""


def words(value: Any) -> DefinitionWords:
    """A stored definition in words."""
    entries: dict[str, Any] = dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType] JSON
    selectors = _selectors(entries.get("selectors"))
    implementation = _mapping(entries.get("implementation"))
    parameters = _mapping(implementation.get("parameters"))
    rest = {
        key: each for key, each in entries.items() if key not in _SHOWN and each not in (None, {})
    }
    return DefinitionWords(
        implementation=callable_words(implementation),
        parameters=tuple((name, _short(each)) for name, each in parameters.items()),
        selectors=selectors,
        arguments=tuple(
            (name, _short(each)) for name, each in _mapping(entries.get("arguments")).items()
        ),
        judges=", ".join(selector for _, selector in selectors) or "nothing of the record",
        facts=_facts(entries, len(selectors)),
        more=values.tree(rest, "") if rest else (),
    )


def callable_words(value: Any) -> str:
    """Where a callable is imported from: `kibitz.providers.Local.brief`."""
    entries = _mapping(value)
    parts = [entries.get(key) for key in ("module", "class", "name")]
    return ".".join(str(each) for each in parts if each)[:MAX_WORDS]


def module_of(value: Any) -> str:
    """The module that a worker has to be allowed to import; empty where it always may, and where there is none."""
    module = _mapping(_mapping(value).get("implementation")).get("module")
    if not isinstance(module, str) or not all(map(str.isidentifier, module.split("."))):
        return ""
    always = any(f"{module}.".startswith(f"{each}.") for each in importables.ALWAYS)
    return "" if always or module == "__main__" else module


def _facts(entries: Mapping[str, Any], arguments: int) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    why = _mapping(entries.get("implementation")).get("why")
    if why:
        found.append(("Only in its own program", _short(why)))
    aggregator = entries.get("aggregator")
    if aggregator:
        found.append(("Aggregated by", _aggregator(aggregator)))
    combinations = entries.get("combinations")
    if isinstance(combinations, str) and arguments > 1:
        found.append(("Values combined", _COMBINATIONS.get(combinations, combinations)))
    exists = entries.get("if_exists")
    if isinstance(exists, str):
        found.append(("Only where there is", evaluation_links.spoken(exists)))
    missing = entries.get("if_missing")
    if isinstance(missing, str):
        found.append(("Where something is missing", _MISSING.get(missing, missing)))
    better = entries.get("higher_is_better")
    if isinstance(better, bool):
        found.append(("Better", "higher" if better else "lower"))
    return tuple((name, text[:MAX_WORDS]) for name, text in found)


def _aggregator(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_aggregator(each) for each in value)  # pyright: ignore[reportUnknownVariableType] JSON
    if isinstance(value, dict) and "name" not in value:
        pairs: dict[str, Any] = _mapping(value.get("several", value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] JSON
        return ", ".join(f"{name}: {_aggregator(each)}" for name, each in pairs.items())
    return callable_words(value) or _short(value)


def _selectors(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, evaluation_links.spoken(str(text))[:MAX_WORDS])
        for name, text in _mapping(value).items()
    )


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType] JSON


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_WORDS else f"{text[: MAX_WORDS - 1]}…"
