"""Places in the JSON of a call, as SQL for SQLite: where they are, and how they compare and sort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import msgspec

from kibitz.query import fields
from kibitz.query.nodes import Literal_, Root
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
    joined,
    one_of,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a JSON value, as expressions for its type and its value."""

    container: Sql
    spellings: tuple[Sql, ...]
    """The paths to it: parts of digits are read as key and as index, of which at most one is there."""
    type: Sql
    value: Sql


def payload(root: Root, path: tuple[str, ...]) -> Sql:
    """The JSON of one of a call's values."""
    if root in ("attributes", "summary") and not path:
        # Empty where nothing was said, and so always there; the column has NULL for it.
        return Sql(f"coalesce(p.{root}, '{{}}')")
    return Sql(f"p.{root}")


def at(container: Sql, path: tuple[str, ...]) -> Place:
    """The place of a path below the JSON that a piece of SQL gives."""
    if any(_is_out_of_reach(part) for part in path):
        found = Sql(
            f"kibitz_at({container.text}, ?)",
            (*container.params, msgspec.json.encode(path).decode()),
        )
        return Place(
            container=found,
            spellings=(Sql("'$'"),),
            type=Sql(f"json_type({found.text})", found.params),
            value=Sql(f"json_extract({found.text}, '$')", found.params),
        )
    spellings = _spellings(path)
    types = [
        Sql(f"json_type({container.text}, ?)", (*container.params, each)) for each in spellings
    ]
    values = [
        Sql(f"json_extract({container.text}, ?)", (*container.params, each)) for each in spellings
    ]
    return Place(
        container=container,
        spellings=tuple(Sql("?", (each,)) for each in spellings),
        type=_first(types),
        value=_first(values),
    )


def _first(pieces: list[Sql]) -> Sql:
    if len(pieces) == 1:
        return pieces[0]
    piece = joined(pieces, ", ")
    return Sql(f"coalesce{piece.text}", piece.params)


def _spellings(path: tuple[str, ...]) -> list[str]:
    spellings = ["$"]
    for part in path:
        steps = [f'."{part}"', f"[{part}]"] if fields.is_index(part) else [f'."{part}"']
        spellings = [spelling + step for spelling in spellings for step in steps]
    return spellings


def _is_out_of_reach(part: str) -> bool:
    return any(character in '"\\' or character < " " or character == "\x7f" for character in part)


def size(place: Place) -> Sql:
    """How long the value at a place is; NULL where it has no size."""
    container, params = place.container, place.container.params
    lengths = _first(
        [
            Sql(f"json_array_length({container.text}, {each.text})", (*params, *each.params))
            for each in place.spellings
        ]
    )
    # Where the other spelling leads nowhere there are no rows to add.
    keys = joined(
        [
            Sql(
                f"(SELECT count(*) FROM json_each({container.text}, {each.text}))",
                (*params, *each.params),
            )
            for each in place.spellings
        ],
        " + ",
    )
    return Sql(
        f"CASE {place.type.text} WHEN 'array' THEN {lengths.text} WHEN 'object' THEN {keys.text}"
        f" WHEN 'text' THEN length({place.value.text}) END",
        (*place.type.params, *lengths.params, *keys.params, *place.value.params),
    )


def any_text(place: Place, test: str, params: tuple[Param, ...]) -> Sql:
    """Whether a test holds for a text at a place or below it; `{}` in it stands for the text."""
    return joined(
        [
            Sql(
                f"EXISTS (SELECT 1 FROM json_tree({place.container.text}, {each.text}) e"
                f" WHERE e.type = 'text' AND {test.format('e.atom')})",
                (*place.container.params, *each.params, *params),
            )
            for each in place.spellings
        ],
        " OR ",
    )


def compare(container: Sql, path: tuple[str, ...], operator: str, value: Literal_) -> Sql:
    place = at(container, path)
    sign = OPERATORS[operator]
    if value is None:
        if operator != "eq":
            return FALSE
        return Sql(f"(coalesce({place.type.text}, 'null') = 'null')", place.type.params)
    match value:
        case bool():
            kinds, found, param = "('true', 'false')", place.value.text, int(value)
        case int() | float():
            kinds, found, param = (
                "('integer', 'real')",
                f"CAST({place.value.text} AS REAL)",
                double(value),
            )
        case str():
            kinds, found, param = "('text')", place.value.text, value
        case _:
            assert_never(value)
    return Sql(
        f"coalesce({place.type.text} IN {kinds} AND {found} {sign} ?, 0)",
        (*place.type.params, *place.value.params, param),
    )


def among(container: Sql, path: tuple[str, ...], values: tuple[Literal_, ...]) -> Sql:
    place = at(container, path)
    kind, value = place.type, place.value
    before = (*kind.params, *value.params)
    bools, numbers, texts = by_kind(values)
    test = either(
        [
            one_of(f"{kind.text} IN ('true', 'false') AND {value.text}", bools, before),
            one_of(
                f"{kind.text} IN ('integer', 'real') AND CAST({value.text} AS REAL)",
                numbers,
                before,
            ),
            one_of(f"{kind.text} = 'text' AND {value.text}", texts, before),
        ]
    )
    among = Sql(f"coalesce({test.text}, 0)", test.params)
    if None in values:
        return joined([among, compare(container, path, "eq", None)], " OR ")
    return among


def sort_terms(container: Sql, path: tuple[str, ...], missing: int) -> list[Sql]:
    place = at(container, path)
    kind, value = place.type, place.value
    return [
        Sql(
            f"CASE {kind.text} WHEN 'true' THEN {BOOL} WHEN 'false' THEN {BOOL}"
            f" WHEN 'integer' THEN {NUMBER} WHEN 'real' THEN {NUMBER}"
            f" WHEN 'text' THEN {TEXT} ELSE {missing} END",
            kind.params,
        ),
        Sql(
            f"CASE WHEN {kind.text} IN ('true', 'false', 'integer', 'real')"
            f" THEN CAST({value.text} AS REAL) ELSE 0.0 END",
            (*kind.params, *value.params),
        ),
        Sql(
            f"CASE {kind.text} WHEN 'text' THEN substr({value.text}, 1, {SORT_CHARACTERS}) ELSE '' END",
            (*kind.params, *value.params),
        ),
    ]
