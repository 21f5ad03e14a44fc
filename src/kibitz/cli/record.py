"""`kibitz record`: a call with all that it called, laid out as the application is, and what a selector gives on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import click
import msgspec

from kibitz.base.errors import NotFound
from kibitz.cli import moments, options, sources, tables
from kibitz.judging import trying
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Calls, Layout, Record, RecordCall
from kibitz.judging.select import Select
from kibitz.judging.trying import Tried

MAX_CALLS = 10
"""Calls of one op that are shown, unless all are."""
MAX_KEYS = 12
MAX_DEPTH = 3
"""How far values are taken apart."""
MAX_TEXT = 60
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class _Line:
    depth: int
    name: str
    text: str
    place: Lens | None = None


@click.command(short_help="Show a call with all that it called, and selectors for it.")
@click.argument("call_id", metavar="CALL_ID")
@options.project
@click.option("--select", "selector", metavar="SELECTOR", help="Show what this selects instead.")
@click.option("--all", "everything", is_flag=True, help="Every call of an op, and every key.")
@options.as_json
@sources.options
def record(
    call_id: str,
    project: str | None,
    selector: str | None,
    everything: bool,
    as_json: bool,
    data: str | None,
    url: str | None,
) -> None:
    """Show a record: a call with all that it called, laid out as the application is.

    Beside each place stands the selector that a feedback function is given for it. Exits with 1 where --select
    selects nothing; what it says then is how far the selector goes.
    """
    with sources.reader(sources.find(data, url)) as opened:
        chosen = sources.project_of(opened, project)
        calls = opened.evaluations.records(chosen, [call_id]).get(call_id)
    if calls is None:
        raise NotFound(f"project {chosen!r} has no call {call_id!r}", project=chosen, id=call_id)
    found = Record.of_calls(calls, call_id)
    if selector is not None:
        _show_selected(trying.attempt(found, selector), as_json=as_json)
    elif as_json:
        click.echo(msgspec.json.encode(found.to_json()).decode())
    else:
        click.echo(_title(found, chosen))
        _write(list(_Shown(everything).lines(found)))


def _show_selected(tried: Tried, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(tried).decode())
    elif tried.missing is None:
        for each in tried.values:
            click.echo(f"{tables.printable(each.path)}\t{_json(each.value)}")
        if tried.more:
            click.echo(f"… and more than {len(tried.values):,} values", err=True)
    else:
        click.echo(tables.printable(tried.missing), err=True)
    if tried.missing is not None:
        sys.exit(1)


class _Shown:
    """The lines of a record; what is long is cut, unless everything is to be shown."""

    def __init__(self, everything: bool) -> None:
        self._calls = sys.maxsize if everything else MAX_CALLS
        self._keys = sys.maxsize if everything else MAX_KEYS

    def lines(self, record: Record) -> Iterator[_Line]:
        yield _Line(0, "main_input", _short(record.main_input), Select.RecordInput)
        if record.main_error is not None:
            yield _Line(0, "main_error", _cut(record.main_error), Select.Record.main_error)
        else:
            output = getattr(record, "main_output", None)
            yield _Line(0, "main_output", _short(output), Select.RecordOutput)
        yield _Line(0, "app", "", Select.RecordCalls)
        yield from self._layout(record.app, Select.RecordCalls, 1)

    def _layout(self, layout: Layout, place: Lens, depth: int) -> Iterator[_Line]:
        for name, below in layout.items():
            inside = place[name]
            if isinstance(below, Layout):
                yield _Line(depth, name, "", inside)
                yield from self._layout(below, inside, depth + 1)
            else:
                yield from self._op(name, cast("Calls", below), inside, depth)

    def _op(self, name: str, calls: Calls, place: Lens, depth: int) -> Iterator[_Line]:
        made = [each for each in calls if isinstance(each, RecordCall)]
        if len(made) == 1:
            # Without its position: so the selector is right for records with more calls of the op too.
            yield _Line(depth, name, _said(made[0]), place)
            yield from self._call(made[0], place, depth + 1)
        else:
            yield _Line(depth, name, f"{len(made):,} calls", place)
            for at, call in enumerate(made[: self._calls]):
                yield _Line(depth + 1, f"[{at}]", _said(call), place[at])
                yield from self._call(call, place[at], depth + 2)
            if len(made) > self._calls:
                yield _Line(depth + 1, "…", f"{len(made) - self._calls:,} more; --all shows them")
        if calls and isinstance(calls[-1], Layout):
            yield from self._layout(calls[-1], place[-1], depth + 1)

    def _call(self, call: RecordCall, place: Lens, depth: int) -> Iterator[_Line]:
        yield from self._value("args", call.args, place.args, depth, 1)
        if call.error is not None:
            yield _Line(depth, "error", _cut(call.error), place.error)
        elif "rets" in call.__kibitz_keys__():
            yield from self._value("rets", call.rets, place.rets, depth, 1)

    def _value(
        self, name: str, value: Any, place: Lens, depth: int, inside: int
    ) -> Iterator[_Line]:
        yield _Line(depth, name, _short(value), place)
        if inside >= MAX_DEPTH:
            return
        if isinstance(value, dict):
            entries = list(cast("dict[str, Any]", value).items())
            for key, each in entries[: self._keys]:
                yield from self._value(key, each, place[key], depth + 1, inside + 1)
            if len(entries) > self._keys:
                yield _Line(depth + 1, "…", f"{len(entries) - self._keys:,} more")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            # Elements of one list are mostly alike: the first tells the names that are in all.
            first = cast("dict[str, Any]", value[0])
            for key, each in list(first.items())[: self._keys]:
                yield from self._value(f"[:].{key}", each, place[:][key], depth + 1, MAX_DEPTH)


def _title(record: Record, project: str) -> str:
    root = record.root
    took = "" if root.latency_ms is None else f"  {moments.show_latency(root.latency_ms)}"
    count = len(record.calls)
    return tables.printable(
        f"{root.op}  {root.status}{took}  {moments.show(root.started_at)}  "
        f"{count:,} call{'s' * (count != 1)}  {project}"
    )


def _write(lines: list[_Line]) -> None:
    """A tree at the left, the selector of each place at the right."""
    shown = [
        (tables.printable(f"{_INDENT * line.depth}{line.name}  {line.text}".rstrip()), line)
        for line in lines
    ]
    width = max(len(text) for text, _ in shown)
    for text, line in shown:
        place = "" if line.place is None else Select.render(line.place)
        click.echo(f"{text.ljust(width)}  {tables.printable(place)}".rstrip())


def _said(call: RecordCall) -> str:
    latency = call.perf.latency
    took = "" if latency is None else f" {moments.show_latency(latency * 1000)}"
    return f"{call.status}{took}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        count = len(cast("dict[str, Any]", value))
        return f"{{{count:,} key{'s' * (count != 1)}}}"
    if isinstance(value, list):
        count = len(cast("list[Any]", value))
        return f"[{count:,} value{'s' * (count != 1)}]"
    return _cut(_json(value))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _json(value: Any) -> str:
    return tables.printable(msgspec.json.encode(trying.written(value)).decode())
