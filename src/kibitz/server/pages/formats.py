"""How numbers, times and names are said on a page. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kibitz.base import clock, judgements
from kibitz.query.nodes import ColumnField, FeedbackField, Field, PathField
from kibitz.query.nodes import Literal_ as Scalar

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86_400
_COLUMN_WORDS = {
    "started_at": "time",
    "ended_at": "end",
    "latency_ms": "latency",
    "trace_id": "trace",
    "parent_id": "parent",
    "thread_id": "thread",
    "op_ref": "version",
    "display_name": "name",
}
_MAIN_LEAVES = frozenset((("output",), ("value",), ("emoji",), ("note",)))


def duration(milliseconds: float | None) -> str:
    """A duration with three digits that count: `414 µs`, `412 ms`, `3.21 s`, `2 min 05 s`, `3 h 12 min`."""
    if milliseconds is None:
        return "…"
    if milliseconds < 0.9995:
        return f"{milliseconds * 1000:.0f} µs"
    if milliseconds < 10:
        return f"{milliseconds:.2f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 59.995:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def ago(moment: datetime) -> str:
    """How long ago, in the largest unit that fits; the script of the page keeps it fresh."""
    seconds = (clock.now() - moment).total_seconds()
    if seconds < -5:
        return "in the future"
    if seconds < 5:
        return "now"
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", _SECOND)):
        if seconds >= length:
            return f"{int(seconds // length):,} {unit} ago"
    return "now"


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC, for machines."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def exact(moment: datetime) -> str:
    """To the millisecond in UTC, for people; the script of the page says it in the reader's zone."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"


def exact_us(microseconds: int) -> str:
    """The same for microseconds since 1970, which may be outside of the years that have a date."""
    try:
        return exact(clock.from_us(microseconds))
    except OverflowError:
        return f"{microseconds:,} µs"


def size(count: int) -> str:
    """Bytes in decimal units: `812 B`, `4.1 kB`, `2.3 GB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return (
                f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
            )
        amount /= 1000
    return f"{amount:,.1f} TB"


def usd(amount: float) -> str:
    """Money with two digits that count: `$0`, `$0.00031`, `$0.42`, `$1,204.50`."""
    if amount == 0:
        return "$0"
    if abs(amount) >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if abs(amount) >= 1e-4 else f"${amount:.8f}".rstrip("0")


def number(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"


def count(value: int, noun: str) -> str:
    """`1 call`, `2,000 calls`."""
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def short_id(id_: str) -> str:
    """An id by both of its ends: those that were made together begin alike."""
    return id_ if len(id_) <= 16 else f"{id_[:8]}…{id_[-4:]}"


def scalar(value: Any) -> str:
    """A score as a cell shows it: at most four digits behind the point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:,.4f}" if abs(value) < 1e15 else f"{value:.4g}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, int):
        return f"{value:,}" if value.bit_length() < 64 else hex(value)
    return "null" if value is None else str(value)


def literal(value: Scalar) -> str:
    """A value of a filter; text that could be read as something else has quotes."""
    return (
        f"“{value}”"
        if isinstance(value, str) and (not value or value.strip() != value)
        else scalar(value)
    )


def field(place: Field) -> str:
    """A field of a query in the fewest words that a reader can tell it by."""
    match place:
        case ColumnField(name):
            return _COLUMN_WORDS.get(name, name)
        case PathField(root, path):
            return ".".join((root, *path))
        case FeedbackField(type_, path):
            return feedback_name(type_, path)


def feedback_name(type_: str, path: tuple[str, ...] = ()) -> str:
    """A feedback column: the judge's name, and the leaf where it says more than one thing."""
    name = type_.removeprefix(judgements.RUNNABLE).removeprefix(judgements.ANNOTATION)
    if path in _MAIN_LEAVES:
        path = ()
    elif path and path[0] in ("output", "value"):
        path = path[1:]
    return ".".join((name, *path))
