"""`kibitz stats`: what can be said of many calls or judgements at once, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Sequence

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kibitz.base import clock
from kibitz.base.errors import UsageError
from kibitz.base.records import Aggregation, Category, Measured
from kibitz.cli import moments, sources, tables
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_json, json_form, text_form
from kibitz.query.nodes import ColumnField, Node

_BARS = "▁▂▃▄▅▆▇█"
_NULL = "–"
_MAX_KEY = 40
_SHOWN_VALUES = 3


@click.command(short_help="Count and measure calls or judgements in groups.")
@click.argument("project", required=False)
@click.argument("text", required=False, metavar="[QUERY]")
@click.option(
    "--by", multiple=True, metavar="KEY", help="Group by op, model, day, attributes.env …; several."
)
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="MEASURE",
    help="Such as count, mean(latency), 'share(feedback.x.output)'; several.  [default: count]",
)
@click.option(
    "--over",
    type=click.Choice(["calls", "feedback"]),
    default="calls",
    show_default=True,
    help="What is grouped: calls, or the judgements on them.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Calls started, feedback said, then or later: 1h, 2d, 2026-05-01 or RFC 3339.",
)
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--type", "type_", metavar="TYPE", help="Only feedback of this type; over feedback.")
@click.option("--author", help="Only feedback by them; over feedback.")
@click.option("--every", is_flag=True, help="Also feedback that no longer stands; over feedback.")
@click.option("--order", metavar="MEASURE [asc|desc]", help="By a measure; by the keys without it.")
@click.option(
    "--limit",
    type=click.IntRange(1, nodes.MAX_LIMIT),
    default=nodes.DEFAULT_LIMIT,
    show_default=True,
    help="Groups at most.",
)
@click.option(
    "--confidence",
    type=float,
    default=0.95,
    show_default=True,
    help="How sure the intervals of means and shares are.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole answer as one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, one line a group.")
@sources.options
def stats(
    project: str | None,
    text: str | None,
    by: tuple[str, ...],
    measures: tuple[str, ...],
    over: nodes.Over,
    since: str | None,
    until: str | None,
    type_: str | None,
    author: str | None,
    every: bool,
    order: str | None,
    limit: int,
    confidence: float,
    as_json: bool,
    as_csv: bool,
    data: str | None,
    url: str | None,
) -> None:
    """Count and measure the calls of PROJECT, or the judgements on them, in groups.

    QUERY is a condition on the calls in words:

    \b
      kibitz stats 'op = answer' --by day --measure count --measure 'share(feedback.grounded.output)'

    A single argument that is no project's name is a QUERY. PROJECT may be left out where there is only one.
    """
    if as_json and as_csv:
        raise UsageError("give either --json or --csv, not both")
    if over == "calls" and (type_ is not None or author is not None or every):
        raise UsageError("--type, --author and --every choose feedback; give --over feedback too")
    project, text = sources.project_and_query(project, text)
    with sources.reader(sources.find(data, url)) as opened:
        project = sources.project_of(opened, project)
        types = _types(opened, project)
        bounds = _bounds(since=since, until=until)
        query = aggregation_json.build(
            project=project,
            over=over,
            where=_condition(text, types, {} if over == "feedback" else bounds),
            group_by=by,
            measures=measures or ("count",),
            order=order,
            known_types=types,
            limit=limit,
            confidence=confidence,
            type=type_,
            author=author,
            every=every,
            **(bounds if over == "feedback" else {}),
        )
        found = opened.calls.aggregate(query)
    if as_json:
        tables.write_json([found])
    elif as_csv:
        click.echo(_csv(query, found), nl=False)
    else:
        _write(query, found, by, measures or ("count",))


def show(measure: nodes.Measure, measured: Measured) -> str:
    """A measure as a person reads it, with its interval and what it comes from."""
    match measure:
        case nodes.Count() | nodes.Distinct():
            more = "" if measured.exact else " or more"
            return f"{measured.value:,}{more}"
        case nodes.Histogram():
            return _histogram(measured)
        case nodes.Values():
            return _named(measured.categories, measured.other, measured.n)
        case nodes.Share():
            written = _share
        case _:
            written = moments.show_latency if measure.place == _LATENCY else _number
    if measured.value is None:
        return _NULL
    interval = ""
    if measured.low is not None and measured.high is not None:
        interval = f" [{written(measured.low)}, {written(measured.high)}]"
    return f"{written(measured.value)}{interval} n={measured.n:,}"


_LATENCY = ColumnField("latency_ms")


def _share(share: float) -> str:
    return f"{share * 100:.1f} %"


def _number(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.4g}"


def _histogram(measured: Measured) -> str:
    """Bars of one character each between the ends of the axis, then what is no number."""
    pieces: list[str] = []
    if measured.counts:
        most = max(measured.counts)
        bars = "".join(
            " " if not n else _BARS[max(0, -(-n * len(_BARS) // most) - 1)] for n in measured.counts
        )
        pieces.append(f"{measured.edges[0]:.4g} {bars} {measured.edges[-1]:.4g}")
    others = measured.n - sum(measured.counts)
    if others:
        pieces.append(_named(measured.categories, measured.other, others))
    return "; ".join(pieces) if pieces else _NULL


def _named(categories: Sequence[Category], other: int, n: int) -> str:
    shown = [
        f"{_plain(each.value)} {each.n:,} ({_share(each.n / n)})"
        for each in categories[:_SHOWN_VALUES]
    ]
    rest = other + sum(each.n for each in categories[_SHOWN_VALUES:])
    if rest:
        shown.append(f"{rest:,} others")
    return ", ".join(shown) if shown else _NULL


def _plain(value: object) -> str:
    """A key or value on one line."""
    match value:
        case None:
            return _NULL
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.15g}"
        case _:
            text = tables.printable(" ".join(str(value).split()))
            return text if len(text) <= _MAX_KEY else text[: _MAX_KEY - 1] + "…"


def _write(
    query: nodes.AggregateQuery,
    found: Aggregation,
    keys: Sequence[str],
    measures: Sequence[str],
) -> None:
    headers = [tables.printable(each) for each in (*keys, *measures)]
    rows = [
        [
            *(_plain(key) for key in group.keys),
            *map(show, query.measures, group.measures),
        ]
        for group in found.groups
    ]
    if not sys.stdout.isatty():
        for row in (headers, *rows):
            click.echo("\t".join(row))
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for header in headers:
            table.add_column(header, no_wrap=True, overflow="ellipsis")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        widest = sum(max(map(len, cells)) + 2 for cells in zip(headers, *rows, strict=True)) + 2
        Console(width=max(shutil.get_terminal_size().columns, widest)).print(table)
    if not rows:
        click.echo("No groups: nothing matches.", err=True)
    elif found.truncated:
        click.echo(f"The first {len(rows):,} groups; give --limit for more.", err=True)


def _csv(query: nodes.AggregateQuery, found: Aggregation) -> str:
    written = io.StringIO()
    rows = csv.writer(written)
    header = list(found.group_by)
    for name, measure in zip(found.measures, query.measures, strict=True):
        header += [f"{name}{suffix}" for suffix in _suffixes(measure)]
    rows.writerow(header)
    for group in found.groups:
        cells = [_cell(key) for key in group.keys]
        for measure, measured in zip(query.measures, group.measures, strict=True):
            cells += _cells(measure, measured)
        rows.writerow(cells)
    return written.getvalue()


def _suffixes(measure: nodes.Measure) -> Sequence[str]:
    match measure:
        case nodes.Count():
            return ("",)
        case nodes.Share() | nodes.OfNumbers("mean"):
            return ("", " low", " high", " n")
        case _:
            return ("", " n")


def _cells(measure: nodes.Measure, measured: Measured) -> list[str]:
    match measure:
        case nodes.Count():
            return [_cell(measured.value)]
        case nodes.Share() | nodes.OfNumbers("mean"):
            figures = (measured.value, measured.low, measured.high, measured.n)
            return [_cell(each) for each in figures]
        case nodes.Histogram() | nodes.Values():
            whole = msgspec.to_builtins(measured)
            said = {name: each for name, each in whole.items() if name not in ("n", "value")}
            return [msgspec.json.encode(said).decode(), _cell(measured.n)]
        case _:
            return [_cell(measured.value), _cell(measured.n)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _bounds(**given: str | None) -> dict[str, int]:
    """Times that are given, in µs."""
    return {
        name: clock.to_us(moments.parse(text)) for name, text in given.items() if text is not None
    }


def _condition(text: str | None, types: Sequence[str], bounds: dict[str, int]) -> Node | None:
    said = text_form.parse(text or "", known_types=types, now=clock.now())
    if said.sort or said.limit is not None:
        raise UsageError("QUERY is a condition here; order and bound groups by --order and --limit")
    times = json_form.parse_conditions(bounds or None, None)
    return text_form.both(said.where, times)


def _types(opened: sources.Reader, project: str) -> list[str]:
    return sorted({each.type for each in opened.feedback.columns(project)})
