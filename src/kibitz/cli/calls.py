"""`kibitz calls`: query the calls of a project, as a table or as JSON lines."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, cast, get_args

import click
import msgspec

from kibitz.base import clock
from kibitz.base.errors import QueryError
from kibitz.base.records import Call, CallStatus, View
from kibitz.cli import moments, sources, tables
from kibitz.query import fields, json_form, nodes, text_form, views
from kibitz.query.nodes import ALL_COLUMNS, CallQuery
from kibitz.query.text_form import Parsed

DEFAULT_LIMIT = 50
STATUSES: tuple[str, ...] = get_args(CallStatus)


@click.command(short_help="Query calls, as a table or as JSON.")
@click.argument("project", required=False)
@click.argument("text", required=False, metavar="[QUERY]")
@click.option("--op", multiple=True, help="Only calls of this op; may be given several times.")
@click.option("--status", type=click.Choice(STATUSES), help="Only calls in this state.")
@click.option("--kind", help="Only calls of this kind: agent, llm, tool, retriever …")
@click.option("--trace", "trace_id", metavar="ID", help="Only the calls of this trace.")
@click.option("--thread", "thread_id", metavar="ID", help="Only the calls of this thread.")
@click.option("--roots", is_flag=True, help="Only calls that no other call made.")
@click.option(
    "--since", metavar="TIME", help="Started then or later: 1h, 2d, 2026-05-01 or RFC 3339."
)
@click.option("--until", metavar="TIME", help="Started before then.")
@click.option(
    "--where",
    metavar="JSON",
    help="""A condition, such as '{"$gt": [{"$getField": "latency_ms"}, {"$literal": 500}]}'.""",
)
@click.option(
    "--sort",
    metavar="FIELD[:desc]",
    multiple=True,
    help="Sort by a field, or by keys as in a QUERY: 'latency desc, op'; newest first without it.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    show_default=str(DEFAULT_LIMIT),
    help="How many calls at most; of two limits the smaller counts.",
)
@click.option("--all", "all_", is_flag=True, help="All calls that match, however many.")
@click.option(
    "--columns",
    metavar="FIELD,…",
    help="The columns, such as op,latency_ms,feedback.[note].payload.note.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object a line: the whole calls, or the --columns alone.",
)
@click.option(
    "--count", is_flag=True, help="Only say how many match; with --json also whether exactly."
)
@click.option("--view", metavar="NAME", help="A saved view: what it asks must hold too.")
@sources.options
def calls(
    project: str | None,
    text: str | None,
    data: str | None,
    url: str | None,
    limit: int | None,
    all_: bool,
    columns: str | None,
    as_json: bool,
    count: bool,
    view: str | None,
    sort: tuple[str, ...],
    where: str | None,
    **conditions: Any,
) -> None:
    """Query the calls of PROJECT; it may be left out where there is only one.

    QUERY is a condition, an order and a limit in words, all optional:

    \b
      kibitz calls 'op = answer and feedback.grounded.output < 0.5 sort feedback.grounded.output'

    A single argument that is no project's name is a QUERY. Options hold together with it.

    Fields are the columns of a call (op, status, latency_ms …), places in its values (inputs.question,
    output.text, attributes.user) and feedback (feedback.[runnable.exact].payload.output).
    """
    project, text = sources.project_and_query(project, text)
    whole = as_json and columns is None
    with sources.reader(sources.find(data, url)) as opened:
        project = sources.project_of(opened, project)
        parsed = _parse_text(opened, project, text)
        saved = None if view is None else opened.views.get(project, view)
        spelled = [_in_full(opened, project, each) for each in _spelled(columns, saved)]
        shown = [tables.parse_column(each) for each in spelled]
        asked = {
            "project": project,
            "filter": _filter(conditions),
            "query": parse_where(where) if where is not None else None,
            "sort": [key for each in sort for key in _keys(opened, project, each)],
            "columns": sorted(ALL_COLUMNS if whole else tables.needed(shown)),
        }
        query = text_form.combined(json_form.parse_query(asked), parsed)
        if saved is not None:
            query, parsed = _viewed(opened, query, parsed, saved)
        if count:
            _write_count(opened, query, as_json=as_json)
            return
        limit = _limit(limit, parsed.limit, all_)
        found = pages(opened, query, limit)
        if as_json:
            for call in found:
                click.echo(_line(call, None if whole else spelled))
            return
        _write_table(list(found), spelled, None if limit == parsed.limit else limit)


def pages(opened: sources.Reader, query: CallQuery, limit: int | None) -> Iterator[Call]:
    """The calls of a query, page after page, up to a limit."""
    left = limit
    while left is None or left > 0:
        size = nodes.MAX_LIMIT if left is None else min(left, nodes.MAX_LIMIT)
        page = opened.calls.query(dataclasses.replace(query, limit=size))
        yield from page.items
        if page.next_cursor is None:
            return
        query = dataclasses.replace(query, cursor=page.next_cursor)
        left = None if left is None else left - len(page.items)


def split_columns(text: str) -> list[str]:
    """Fields apart at commas; those in the brackets of a feedback type stay."""
    parts = [""]
    depth = 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def parse_sort(text: str) -> dict[str, str]:
    """`field`, `field:asc` or `field:desc` as the JSON query has it."""
    field, colon, direction = text.rpartition(":")
    if colon and direction in ("asc", "desc"):
        return {"field": field, "direction": direction}
    return {"field": text, "direction": "asc"}


def parse_where(text: str) -> Any:
    """The JSON of a condition, with or without its `$expr`; raises `QueryError` with the position."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise QueryError(
            f"--where is not JSON: {error}; quote it for the shell, as in "
            """--where '{"$exists": {"$getField": "feedback.[note]"}}'"""
        ) from error
    if isinstance(given, dict) and "$expr" in given:
        return cast("dict[str, Any]", given)
    expression: dict[str, Any] = {"$expr": given}
    return expression


def _filter(conditions: dict[str, Any]) -> dict[str, Any]:
    """The options as the JSON query's `filter`."""
    given = {
        "op": list(conditions["op"]) or None,
        "root_only": conditions["roots"] or None,
        **{key: conditions[key] for key in ("status", "kind", "trace_id", "thread_id")},
        **{
            key: moments.parse(conditions[key]).isoformat()
            for key in ("since", "until")
            if conditions[key] is not None
        },
    }
    return {key: value for key, value in given.items() if value is not None}


def _parse_text(opened: sources.Reader, project: str, text: str | None) -> Parsed:
    """What a QUERY says; the project's feedback is looked at only where it has a short name in it."""

    def types() -> Iterator[str]:
        yield from {each.type for each in opened.feedback.columns(project)}

    return text_form.parse(text or "", known_types=types(), now=clock.now())


def _in_full(opened: sources.Reader, project: str, column: str) -> str:
    """A column as fields are spelled, where it is written as in a query: `feedback.grounded.output`."""
    try:
        tables.parse_column(column)
    except QueryError as unknown:
        try:
            parsed = _parse_text(opened, project, f"sort {column}")
        except QueryError:
            raise unknown from None
        if len(parsed.sort) != 1:
            raise
        return fields.format(parsed.sort[0].field)
    return column


def _keys(opened: sources.Reader, project: str, text: str) -> list[dict[str, str]]:
    """What to sort by as the JSON query has it, also where it is written as in a query: `latency desc, op`."""
    key = parse_sort(text)
    try:
        fields.parse(key["field"])
    except QueryError as unknown:
        words = text if key["field"] == text else f"{key['field']} {key['direction']}"
        try:
            parsed = _parse_text(opened, project, f"sort {words}")
        except QueryError:
            raise unknown from None
        if parsed.limit is not None:
            raise
        return [
            {
                "field": fields.format(each.field),
                "direction": "desc" if each.descending else "asc",
            }
            for each in parsed.sort
        ]
    return [key]


def _spelled(columns: str | None, saved: View | None) -> Sequence[str]:
    """The columns that are named, else those of the view, else the usual ones."""
    if columns is not None:
        return split_columns(columns)
    return tables.DEFAULT if saved is None or not saved.columns else saved.columns


def _viewed(
    opened: sources.Reader, query: CallQuery, parsed: Parsed, saved: View
) -> tuple[CallQuery, Parsed]:
    """A query within a view: both conditions hold, and the view sorts and limits where nothing else does."""
    types = (each.type for each in opened.feedback.columns(query.project))
    asked = views.parse(saved.query, saved.sort, known_types=types, now=clock.now())
    where = text_form.both(asked.where, query.where)
    limit = asked.limit if parsed.limit is None else parsed.limit
    changed = dataclasses.replace(query, where=where, sort=query.sort or asked.sort)
    return changed, dataclasses.replace(parsed, limit=limit)


def _limit(given: int | None, said: int | None, all_: bool) -> int | None:
    """How many at most: the smallest that is named, else the usual number; None for all."""
    named = [each for each in (given, said) if each is not None]
    if all_:
        return said
    return min(named, default=DEFAULT_LIMIT)


def _write_count(opened: sources.Reader, query: CallQuery, *, as_json: bool) -> None:
    counted = opened.calls.count(query.project, query.where, bound=json_form.MAX_BOUND)
    if as_json:
        tables.write_json([counted])
    else:
        click.echo(f"{counted.count}" if counted.exact else f"{counted.count} or more")


def _write_table(listed: list[Call], spelled: Sequence[str], limit: int | None) -> None:
    """A table, and on a terminal whether it ends at a limit that the query does not have itself."""
    tables.write(listed, spelled)
    if not listed:
        click.echo("No calls match.", err=True)
    elif len(listed) == limit and sys.stdout.isatty():
        click.echo(f"The first {limit}; give --limit or --all for more.", err=True)


def _line(call: Call, spelled: Sequence[str] | None) -> str:
    if spelled is None:
        return msgspec.json.encode(call).decode()
    return msgspec.json.encode(
        {each: tables.value(call, tables.parse_column(each)) for each in spelled}
    ).decode()
