"""The feedback columns of the calls table: which ones, how they filter and sort, and what a cell shows. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kibitz.base import judgements
from kibitz.base.judgements import REACTION
from kibitz.base.records import Call, ScoreColumn
from kibitz.query import fields, text_fields, text_form, text_values
from kibitz.query.nodes import ColumnField, FeedbackField, Field
from kibitz.query.nodes import Literal_ as Scalar
from kibitz.server.pages import addresses, conditions, formats
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.conditions import Condition

SHOWN = 6
"""Columns that a table has where nobody chose."""
MAX_CELL_CHARACTERS = 80
BINS = 12
"""Of the picture in the head of a column."""
LEAST_SPREAD = 5
"""Values that such a picture is made of."""

Sorted = Literal["", "ascending", "descending"]
CellKind = Literal["none", "bool", "number", "text", "emoji"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How the values of a column lie, of the calls that a page shows."""

    bars: tuple[float, ...]
    """Heights in percent of the highest, over equal parts of the scale; of truths no and yes."""
    words: str
    """The same for readers, with the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The head of one column, and where its clicks lead."""

    label: str
    group: str
    """The judge, where its feedback says several things and the label is one of them; else empty."""
    title: str
    """The field as queries spell it."""
    style: str
    """The class of its cells."""
    field: str
    sorted: Sorted
    toggle_url: str
    """Descending, then ascending, then as by default."""
    descending_url: str
    ascending_url: str
    has_url: str
    """Only calls that were judged so; empty for a column of the call itself."""
    lacks_url: str
    """Only calls that were not."""
    kinds: tuple[str, ...] = ()
    """What a feedback column holds: bool, number, text."""
    spread: Spread | None = None
    """How its values lie on this page of the list."""
    sortable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A feedback column that can be shown or hidden."""

    label: str
    field: str
    count: int
    """Calls that have it."""
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one feedback says about one call."""

    kind: CellKind = "none"
    text: str = ""
    value: str = ""
    """As JSON, for the script of the filter menu."""
    url: str = ""
    """The list with a filter for this value."""
    share: float | None = None
    """Of a number: its place between the least and the greatest of the column, in percent."""


class Adder:
    """Addresses that filter one field by many values: what does not change is written once."""

    def __init__(self, address: CallsAddress, field: Field) -> None:
        base = address.apart_from(field).opening(None)
        texts = conditions.to_texts(base.conditions, base.search)
        before = "".join(f"{each} and " for each in texts)
        after = f" {text_form.format(sort=base.sort)}" if base.sort else ""
        rest = [
            addresses.format_pair(name, value)
            for name, value in addresses.parameters(base)
            if name not in ("q", "sort")
        ]
        begin = addresses.format_pair("q", f"{before}{text_fields.format(field)} = ")
        self._before = f"{base.path}?{begin}"
        self._after = addresses.quoted(after) + "".join(f"&{each}" for each in rest)
        self._field = field
        self._known: dict[tuple[type, Scalar], str] = {}

    def url(self, value: Scalar) -> str:
        """The list where the field is this value."""
        # True and 1 are one key to a dict, and two values to a query.
        key = (type(value), value)
        found = self._known.get(key)
        if found is None:
            # Nearly all cells are numbers, and a page has hundreds.
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            text = repr(value) if is_number else text_values.format(self._field, value)
            found = self._before + addresses.quoted(text) + self._after
            self._known[key] = found
        return found


def choose(available: Sequence[ScoreColumn], address: CallsAddress) -> tuple[FeedbackField, ...]:
    """The columns to show: those of the address, else the most used that a glance can read.

    Reasons and notes are for reading one by one; they come when they are chosen.
    """
    if address.columns is not None:
        return address.columns
    glanced = [each for each in available if each.kinds != ["text"] or _is_emoji(field_of(each))]
    return tuple(field_of(each) for each in glanced[:SHOWN])


def _is_emoji(field: FeedbackField) -> bool:
    """Whether it is what somebody reacted with, and not another name for it."""
    return field.type == REACTION and field.path == ("emoji",)


def field_of(column: ScoreColumn) -> FeedbackField:
    """The field that a column of scores is."""
    return FeedbackField(column.type, fields.parse_path(column.path))


def choices(available: Sequence[ScoreColumn], shown: Sequence[FeedbackField]) -> tuple[Choice, ...]:
    """All columns to choose from: first the shown ones, then by use."""
    counts = {field_of(each): each.count for each in available}
    every = list(dict.fromkeys((*shown, *counts)))
    return tuple(
        Choice(
            label=formats.field(field),
            field=fields.format(field),
            count=counts.get(field, 0),
            shown=field in shown,
        )
        for field in every
    )


def call_headers(address: CallsAddress) -> tuple[Header, ...]:
    """The heads of what every call has."""
    return (
        header(address, ColumnField("started_at"), "Time", "c-time"),
        header(address, ColumnField("op"), "Op", "c-op"),
        header(address, ColumnField("status"), "Status", "c-status"),
        header(address, ColumnField("latency_ms"), "Latency", "c-latency num"),
    )


def feedback_headers(
    address: CallsAddress,
    shown: Sequence[FeedbackField],
    available: Sequence[ScoreColumn],
    rows: Sequence[Sequence[Cell]] = (),
) -> tuple[Header, ...]:
    """The heads of the feedback columns; `rows` are the cells below them."""
    kinds = {field_of(each): tuple(each.kinds) for each in available}
    return tuple(
        replace(
            header(
                address,
                field,
                formats.field(field),
                "c-feedback num" if kinds.get(field) == ("number",) else "c-feedback",
            ),
            group=_group(field),
            label=formats.field(field).removeprefix(f"{_group(field)}."),
            kinds=kinds.get(field, ()),
            has_url=address.only(Condition(field, "has")).url,
            lacks_url=address.only(Condition(field, "lacks")).url,
            spread=spread([row[at] for row in rows]),
        )
        for at, field in enumerate(shown)
    )


def spread(cells_: Sequence[Cell]) -> Spread | None:
    """How the values of a column lie; None where there are too few for a picture, or they are texts."""
    there = [each for each in cells_ if each.kind != "none"]
    of = f"of {len(there)} on this page"
    if len(there) >= LEAST_SPREAD and all(each.kind == "bool" for each in there):
        yes = sum(each.text == "yes" for each in there)
        return Spread(bars=_heights((len(there) - yes, yes)), words=f"{yes} yes {of}")
    numbers = [float(each.value) for each in there if each.kind == "number"]
    if len(numbers) < LEAST_SPREAD or len(numbers) < len(there):
        return None
    low, high = min(numbers), max(numbers)
    counts = [0] * BINS
    for each in numbers:
        counts[min(int((each - low) / ((high - low) or 1) * BINS), BINS - 1)] += 1
    mean = formats.scalar(math.fsum(numbers) / len(numbers))
    least, greatest = formats.scalar(low), formats.scalar(high)
    return Spread(bars=_heights(counts), words=f"mean {mean}, {least} to {greatest}, {of}")


def _heights(counts: Sequence[int]) -> tuple[float, ...]:
    highest = max(counts)
    return tuple(round(100 * each / highest, 1) for each in counts)


def _group(field: FeedbackField) -> str:
    judge = formats.feedback_name(field.type)
    return judge if formats.field(field) != judge else ""


def header(address: CallsAddress, field: Field, label: str, style: str) -> Header:
    """The head of a column that can be sorted by."""
    key = next((each for each in address.sort if each.field == field), None)
    if key is None and not address.sort and addresses.NEWEST_FIRST.field == field:
        key = addresses.NEWEST_FIRST
    descending = address.sorted_by(field, descending=True)
    ascending = address.sorted_by(field, descending=False)
    toggled = descending
    if key is not None:
        toggled = ascending if key.descending else address.changed(sort=())
    return Header(
        label=label,
        group="",
        title=fields.format(field),
        style=style,
        field=fields.format(field),
        sorted="" if key is None else "descending" if key.descending else "ascending",
        toggle_url=toggled.opening(None).url,
        descending_url=descending.opening(None).url,
        ascending_url=ascending.opening(None).url,
        has_url="",
        lacks_url="",
    )


def cells(
    address: CallsAddress, shown: Sequence[FeedbackField], calls: Sequence[Call]
) -> list[tuple[Cell, ...]]:
    """The feedback cells of each call."""
    by_column = [_column_cells(address, field, calls) for field in shown]
    return [tuple(column[row] for column in by_column) for row in range(len(calls))]


def _column_cells(address: CallsAddress, field: FeedbackField, calls: Sequence[Call]) -> list[Cell]:
    path = fields.format_path(field.path)
    values = [_score(call.scores, field.type, path) for call in calls]
    low, high = _scale(
        [
            float(each)
            for each in values
            if isinstance(each, int | float) and not isinstance(each, bool)
        ]
    )
    adder = Adder(address, field)
    return [
        _NOTHING if value is _MISSING else _cell(field, value, adder, low, high) for value in values
    ]


_MISSING = object()
_NOTHING = Cell()


def _score(scores: Any, type_: str, path: str) -> Any:
    if isinstance(scores, Mapping):
        return scores.get(type_, {}).get(path, _MISSING)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] JSON
    return _MISSING


def _scale(numbers: Sequence[float]) -> tuple[float, float]:
    """From 0 to 1 where all numbers are there, else from 0 or the least to the greatest of the page."""
    low = min((0.0, *numbers))
    high = max((1.0, *numbers))
    return low, high


def _cell(field: FeedbackField, value: Any, adder: Adder, low: float, high: float) -> Cell:
    if isinstance(value, bool):
        return Cell(
            kind="bool",
            text="yes" if value else "no",
            value=json.dumps(value),
            url=adder.url(value),
        )
    if isinstance(value, int | float):
        whole = int(value) if float(value).is_integer() and abs(value) < 1e15 else value
        return Cell(
            kind="number",
            text=formats.scalar(whole),
            value=json.dumps(whole),
            url=adder.url(whole),
            share=round((value - low) * 100 / (high - low), 1),
        )
    text = str(value)
    is_emoji = _is_emoji(field) or judgements.is_emoji(text)
    return Cell(
        kind="emoji" if is_emoji else "text",
        text=text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…",
        value=json.dumps(text, ensure_ascii=False),
        # A text can be too long to be compared with; then it can only be looked at.
        url=adder.url(text) if len(text) <= 500 else "",
    )
