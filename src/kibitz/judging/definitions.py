"""Definitions: feedback functions as content, named by its digest.

    {"$type": "feedback_definition", "class": {"module": "kibitz.judging.functions", "name": "Feedback"},
     "name": "brief", "implementation": {"module": "house.judges", "name": "brief"}, "arguments": {},
     "selectors": {"text": "__record__.main_output"}, "combinations": "product", "aggregator": "mean",
     "if_exists": null, "if_missing": "error", "higher_is_better": true, "run_location": null}

Everything that decides what a score says is in it: the implementation with its provider's parameters, selectors,
arguments, combinations, conditions and aggregator. Equal functions have equal definitions in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from kibitz.base import refs
from kibitz.base.errors import InvalidRecord, NotImportable
from kibitz.base.evaluations import DEFINITION
from kibitz.base.records import ObjectPart, ObjectVersion
from kibitz.judging import places

TYPE_KEY: Final = "$type"
CLASS: Final = {"module": "kibitz.judging.functions", "name": "Feedback"}
KEYS: Final = (
    TYPE_KEY,
    "class",
    "name",
    "implementation",
    "arguments",
    "selectors",
    "combinations",
    "aggregator",
    "if_exists",
    "if_missing",
    "higher_is_better",
    "run_location",
)
_encode = msgspec.json.Encoder(order="sorted").encode


class Definition:
    """The stored form of a feedback function; immutable."""

    __slots__ = ("id", "value", "why")

    def __init__(self, value: dict[str, Any], why: str | None = None) -> None:
        self.value = value
        """It as JSON."""
        self.id = refs.digest(_encode(value))
        """The content address of `value`."""
        self.why = why
        """Why another process cannot load it, in a sentence that says what to do; None where it can."""

    @property
    def name(self) -> str:
        """Of the feedback: its type is `runnable.<name>`."""
        return str(self.value["name"])

    @property
    def is_loadable(self) -> bool:
        """Whether another process can load it, if it may import the module."""
        return self.why is None

    def check_loadable(self) -> None:
        """Raise `NotImportable` where another process could not load it; the message says what to do."""
        if self.why is not None:
            raise NotImportable(
                f"feedback function {self.name!r} can be used in this program, but not by workers: {self.why}",
                name=self.name,
            )

    def part(self) -> ObjectPart:
        """It as it is delivered."""
        return ObjectPart(kind="object", name=self.name, digest=self.id, value=self.value)

    def ref(self, project: str) -> str:
        """The reference of this version in a project."""
        return refs.format_ref(
            refs.Ref(project=project, kind="object", name=self.name, digest=self.id)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Definition) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<definition {self.name}:{self.id[:12]}>"


def check(value: object) -> Mapping[str, Any]:
    """A stored value as that of a definition.

    Raises:
        InvalidRecord: it is none. Facts: `field`.
    """
    if isinstance(value, ObjectVersion):
        value = value.value
    known: Mapping[str, Any] = (
        cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    )
    if known.get(TYPE_KEY) != DEFINITION:
        raise InvalidRecord(
            f"{places.shown(value)} is no feedback definition: its {TYPE_KEY} is not {DEFINITION!r}",
            field=TYPE_KEY,
        )
    unknown = [str(key) for key in known if key not in KEYS]
    if unknown:
        raise InvalidRecord(
            f"the feedback definition has {', '.join(sorted(unknown))}, which this version does not know",
            field=unknown[0],
        )
    for key, kind, expected in (
        ("name", str, "a text"),
        ("implementation", Mapping, "an object"),
        ("selectors", Mapping, "an object"),
        ("arguments", Mapping, "an object"),
    ):
        if not isinstance(known.get(key, {} if key == "arguments" else None), kind):
            raise InvalidRecord(
                f"{key} of a feedback definition is {expected}, not {places.shown(known.get(key))}",
                field=key,
            )
    return known
