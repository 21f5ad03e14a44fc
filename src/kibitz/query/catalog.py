"""What compiling a query has to know of a project: the integers that stand for its names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """What a catalog knows of a feedback type."""

    pk: int
    indexed: bool
    """Whether scores hold every leaf of every payload of the type."""


class Catalog(Protocol):
    """The integers that stand for a project's names."""

    def op(self, name: str) -> int | None: ...
    def feedback_type(self, name: str) -> TypeEntry | None: ...
    def series(self, type_pk: int, path: tuple[str, ...]) -> int | None: ...
