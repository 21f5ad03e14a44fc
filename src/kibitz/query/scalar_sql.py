"""What is worked out from a value, as SQL for SQLite: of one kind for all calls, and NULL where it is missing.

Conversions are left to `derived.py`, which the reference asks too, through the SQL function `kibitz_convert`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kibitz.query.nodes import ConvertTo, Literal_
from kibitz.query.pieces import (
    BOOL,
    FALSE,
    NUMBER,
    OPERATORS,
    SORT_CHARACTERS,
    TEXT,
    Param,
    Sql,
    by_kind,
    double,
    either,
    one_of,
)

_KINDS: dict[ConvertTo, int] = {"number": NUMBER, "integer": NUMBER, "text": TEXT, "bool": BOOL}


@dataclass(frozen=True, slots=True)
class Scalar:
    """An expression that gives values of one kind, or NULL."""

    kind: int
    value: Sql

    def compare(self, operator: str, wanted: Literal_) -> Sql:
        """A comparison, as an expression that is 0 or 1."""
        if wanted is None:
            return (
                Sql(f"({self.value.text} IS NULL)", self.value.params)
                if operator == "eq"
                else FALSE
            )
        param = self._param(wanted)
        if param is None:
            return FALSE
        return Sql(
            f"coalesce({self.value.text} {OPERATORS[operator]} ?, 0)", (*self.value.params, param)
        )

    def among(self, values: tuple[Literal_, ...]) -> Sql:
        """Whether it is one of several values."""
        bools, numbers, texts = by_kind(values)
        wanted = {BOOL: bools, NUMBER: numbers, TEXT: texts}[self.kind]
        found = one_of(self.value.text, wanted, self.value.params)
        pieces = [FALSE if found is FALSE else Sql(f"coalesce({found.text}, 0)", found.params)]
        if None in values:
            pieces.append(self.compare("eq", None))
        return either(pieces)

    def text_test(self, test: str, params: tuple[Param, ...]) -> Sql:
        """Whether a test holds for a text; `{}` in it stands for the text."""
        if self.kind != TEXT:
            return FALSE
        tested = test.format(self.value.text)
        return Sql(f"coalesce({tested}, 0)", (*self.value.params, *params))

    def exists(self) -> Sql:
        """Whether it could be worked out."""
        return Sql(f"({self.value.text} IS NOT NULL)", self.value.params)

    def sort_terms(self, missing: int) -> list[Sql]:
        """Terms that are never NULL: the kind, or what stands for a missing one, and the value."""
        text, params = self.value.text, self.value.params
        if self.kind == TEXT:
            value = Sql(f"coalesce(substr({text}, 1, {SORT_CHARACTERS}), '')", params)
        else:
            value = Sql(f"coalesce(CAST({text} AS REAL), 0.0)", params)
        return [
            Sql(f"CASE WHEN {text} IS NULL THEN {missing} ELSE {self.kind} END", params),
            value,
        ]

    def _param(self, wanted: Literal_) -> Param:
        """The value as a parameter; None where it is of another kind."""
        if isinstance(wanted, bool):
            return float(wanted) if self.kind == BOOL else None
        if isinstance(wanted, str):
            return wanted if self.kind == TEXT else None
        if wanted is None or self.kind != NUMBER:
            return None
        return double(wanted)


def converted(kind: Sql, value: Sql, to: ConvertTo) -> Scalar:
    """A value of a JSON type as another kind."""
    return Scalar(
        _KINDS[to],
        Sql(f"kibitz_convert({kind.text}, {value.text}, ?)", (*kind.params, *value.params, to)),
    )
