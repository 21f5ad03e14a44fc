"""How the parts of one call become one row, whatever their order and however often they come.

A part with `ended_at` is an end, without it a start. What an end says stands over what a start said;
among parts of a kind the first stands, so that a second delivery changes nothing. Two things are taken
back when somebody knows better: a trace that was guessed to be the call's own id, and a start that was
guessed to be the end because only the end had arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

Value = None | int | str


@dataclass(slots=True, kw_only=True)
class CallRow:
    """The columns of `calls` and `payloads` that parts can say something about."""

    trace_id: str | None = None
    parent_id: str | None = None
    op: int | None = None
    op_ref: int | None = None
    kind: str | None = None
    display_name: str | None = None
    thread_id: str | None = None
    author: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    input_preview: str | None = None
    output_preview: str | None = None
    error: str | None = None
    inputs: str | None = None
    output: str | None = None
    attributes: str | None = None
    summary: str | None = None
    exception: str | None = None

    @property
    def is_visible(self) -> bool:
        """Whether a part of the call itself has arrived."""
        return self.started_at is not None

    @property
    def status(self) -> str | None:
        if not self.is_visible:
            return None
        if self.ended_at is None:
            return "running"
        return "success" if self.exception is None else "error"

    @property
    def latency(self) -> int | None:
        """Microseconds from start to end; never negative, clocks being what they are."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0, self.ended_at - self.started_at)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the payloads take."""
        total = 0
        for text in (self.inputs, self.output, self.attributes, self.summary, self.exception):
            if text:
                total += len(text) if text.isascii() else len(text.encode())
        return total


FIELDS = tuple(field.name for field in fields(CallRow))


def merge(call_id: str, row: CallRow, part: CallRow) -> CallRow:
    """The row after the part; equal to `row` where the part says nothing new."""
    has_end = row.ended_at is not None
    is_end = part.ended_at is not None
    wins = is_end and not has_end
    merged: dict[str, Value] = {}
    for name in FIELDS:
        old: Value = getattr(row, name)
        new: Value = getattr(part, name)
        merged[name] = new if new is not None and (old is None or wins) else old
    if row.trace_id in (None, call_id) and part.trace_id is not None:
        merged["trace_id"] = part.trace_id
    elif part.trace_id in (None, call_id):
        merged["trace_id"] = row.trace_id
    starts = [
        each.started_at
        for each in (row, part)
        if each.started_at is not None and each.started_at != each.ended_at
    ]
    if starts and (row.started_at == row.ended_at or part.started_at == part.ended_at):
        merged["started_at"] = starts[0]
    return CallRow(**merged)  # pyright: ignore[reportArgumentType] the names and types are the row's own
