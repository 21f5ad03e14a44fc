"""`kibitz evaluations`: what became of what was to be judged."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, cast

import click
from msgspec import Struct, structs

from kibitz.base import clock
from kibitz.base.errors import UsageError
from kibitz.base.evaluations import (
    Evaluation,
    EvaluationProgress,
    EvaluationQuery,
    EvaluationStatus,
    Invocation,
)
from kibitz.base.spending import Spend
from kibitz.cli import moments, options, sources, tables, work

_STATUSES = ("none", "running", "done", "failed", "skipped")
_PAGE = 200
_MAX_CELL = 60


class Retried(Struct, frozen=True):
    """What a retry did."""

    project: str
    wanted: int


@click.group(short_help="Show what became of evaluations; retry them.")
def evaluations() -> None:
    """Show what became of evaluations, and try again what failed.

    An evaluation is one feedback definition applied to one record. Workers (kibitz worker) do them.
    """


def _which(command: Any) -> Any:
    """Which of them."""
    for option in (
        click.option("--rule", metavar="NAME", help="Only what this rule wanted."),
        click.option("--call", metavar="ID", help="Only of this record, by its root call."),
        click.option("--name", metavar="NAME", help="Only of this feedback."),
    ):
        command = option(command)
    return command


@evaluations.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(_STATUSES),
    help="Only in this state; several.",
)
@_which
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most."
)
@options.project
@options.as_json
@sources.options
def list_(
    statuses: tuple[EvaluationStatus, ...],
    name: str | None,
    call: str | None,
    rule: str | None,
    limit: int,
    project: str | None,
    as_json: bool,
    data: str | None,
    url: str | None,
) -> None:
    """Show evaluations, newest first."""
    with sources.reader(sources.find(data, url)) as opened:
        query = EvaluationQuery(
            project=sources.project_of(opened, project),
            status=list(statuses),
            name=name,
            call_id=call,
            rule=rule,
            limit=min(limit, _PAGE),
        )
        found = [each for each, _ in zip(_all(opened, query), range(limit), strict=False)]
    if as_json:
        tables.write_json(found)
        return
    headers = ("id", "feedback", "call", "status", "output", "attempts", "when", "reason")
    tables.write_rows(headers, [_row(each) for each in found])
    if not found:
        click.echo(
            "There are no such evaluations; want some with kibitz rules, kibitz.watch() or an app's feedbacks.",
            err=True,
        )


@evaluations.command(short_help="Show one evaluation, with every invocation.")
@click.argument("id_", metavar="ID")
@options.project
@options.as_json
@sources.options
def show(id_: str, project: str | None, as_json: bool, data: str | None, url: str | None) -> None:
    """Show one evaluation, with every invocation: what it was given, where from, and what it said."""
    with sources.reader(sources.find(data, url)) as opened:
        found = opened.evaluations.get(sources.project_of(opened, project), id_)
    if as_json:
        tables.write_json([found])
        return
    said = {
        "feedback": found.name,
        "of call": found.call_id + (f", {found.op}" if found.op else ""),
        "status": found.status,
        "output": _value(found.output),
        "reason": found.reason,
        "attempts": str(found.attempts),
        "wanted": moments.show(found.wanted_at) + (f" by rule {found.rule}" if found.rule else ""),
        "due": _due(found),
        "took": _took(found),
        "worker": found.worker,
        "spent": _spent(found.spent),
        "judge": found.definition_ref,
    }
    tables.write_facts(said, 9)
    invocations = found.invocations or []
    for number, invocation in enumerate(invocations, 1):
        _say_invocation(number, len(invocations), invocation)
    if found.error:
        click.echo()
        for line in found.error.splitlines():
            click.echo(tables.printable(line))


@evaluations.command(short_help="Want evaluations anew.")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@click.option("--failed", is_flag=True, help="All that failed.")
@_which
@options.project
@options.as_json
@sources.options
def retry(
    ids: tuple[str, ...],
    failed: bool,
    name: str | None,
    call: str | None,
    rule: str | None,
    project: str | None,
    as_json: bool,
    data: str | None,
    url: str | None,
) -> None:
    """Want evaluations anew: those of these IDs, or with --failed all that failed, of a name, call or rule."""
    if bool(ids) == failed:
        raise UsageError("give IDs of evaluations, or --failed for all that failed")
    if ids and (name or call or rule):
        raise UsageError("--name, --call and --rule choose among what failed; give --failed too")
    with sources.reader(sources.find(data, url)) as opened:
        chosen = sources.project_of(opened, project)
        if ids:
            wanted = opened.evaluations.retry(chosen, ids)
        else:
            query = EvaluationQuery(
                project=chosen, status=["failed"], name=name, call_id=call, rule=rule, limit=_PAGE
            )
            wanted = _retry_failed(opened, query)
    if as_json:
        tables.write_json([Retried(chosen, wanted)])
        return
    click.echo(
        f"{tables.count(wanted, 'evaluation')} {'is' if wanted == 1 else 'are'} wanted anew."
    )
    if len(ids) > wanted:
        click.echo(
            f"{len(ids) - wanted:,} of the {len(ids):,} are wanted already, run now, or are not there.",
            err=True,
        )


def _retry_failed(opened: sources.Reader, query: EvaluationQuery) -> int:
    # Gathered first: what is wanted anew leaves the list that is gone through.
    ids = [each.id for each in _all(opened, query)]
    wanted = 0
    with work.shown() as advance:
        for first in range(0, len(ids), _PAGE):
            wanted += opened.evaluations.retry(query.project, ids[first : first + _PAGE])
            advance(query.project, min(first + _PAGE, len(ids)), len(ids))
    return wanted


@evaluations.command()
@options.project
@options.as_json
@sources.options
def progress(project: str | None, as_json: bool, data: str | None, url: str | None) -> None:
    """Show how far each feedback definition is."""
    with sources.reader(sources.find(data, url)) as opened:
        found = opened.evaluations.progress(sources.project_of(opened, project))
    if as_json:
        tables.write_json(found)
        return
    headers = (
        "feedback",
        "wanted",
        "running",
        "done",
        "failed",
        "skipped",
        "spent",
        "last",
        "version",
    )
    tables.write_rows(headers, [_progress_row(each) for each in found])
    if not found:
        click.echo(
            "Nothing was to be evaluated yet; begin with kibitz rules add or kibitz.watch().",
            err=True,
        )


def _all(opened: sources.Reader, query: EvaluationQuery) -> Iterator[Evaluation]:
    while True:
        page = opened.evaluations.query(query)
        yield from page.items
        if page.next_cursor is None:
            return
        query = structs.replace(query, cursor=page.next_cursor)


def _row(each: Evaluation) -> tuple[str, ...]:
    return (
        each.id,
        each.name,
        each.call_id,
        each.status,
        _value(each.output),
        str(each.attempts),
        moments.show(each.ended_at or each.started_at or each.wanted_at),
        _cut(each.reason or ""),
    )


def _progress_row(each: EvaluationProgress) -> tuple[str, ...]:
    counts = (each.wanted, each.running, each.done, each.failed, each.skipped)
    return (
        each.name,
        *(f"{count:,}" for count in counts),
        f"{each.spent_usd:.4g} USD" if each.spent_usd else "",
        moments.show(each.last_at) if each.last_at else "",
        each.definition_ref.rpartition(":")[2][:12],
    )


def _value(output: Any) -> str:
    if output is None:
        return ""
    if isinstance(output, dict):
        named = cast("dict[str, Any]", output)
        return ", ".join(f"{name} {_value(each)}" for name, each in named.items())
    return f"{output:.4g}" if isinstance(output, float) else json.dumps(output, ensure_ascii=False)


def _due(found: Evaluation) -> str:
    if found.due_at is None or found.status not in {"none", "running"}:
        return ""
    if found.status == "running":
        return f"its lease ends {moments.show(found.due_at)}"
    later = found.due_at > clock.now()
    return f"not before {moments.show(found.due_at)}" if later else "now"


def _took(found: Evaluation) -> str:
    if found.started_at is None or found.ended_at is None:
        return ""
    ms = (found.ended_at - found.started_at).total_seconds() * 1000
    return f"{moments.show_latency(ms)}, ended {moments.show(found.ended_at)}"


def _spent(spent: Spend) -> str:
    if spent == Spend():
        return ""
    said = f"{spent.requests:,} requests, {spent.input_tokens + spent.output_tokens:,} tokens, {spent.usd:.4g} USD"
    return said + (f", {spent.unpriced:,} of unknown price" if spent.unpriced else "")


def _say_invocation(number: int, of: int, invocation: Invocation) -> None:
    took = moments.show_latency(invocation.duration_us / 1000)
    click.echo(f"\ninvocation {number} of {of}: {invocation.status} in {took}")
    for argument, value in invocation.arguments.items():
        place = invocation.paths.get(argument)
        click.echo(
            f"{argument:>9}  {_cut(_value(value), _width())}{f'  ({_line(place)})' if place else ''}"
        )
    if invocation.output is not None:
        click.echo(f"{'said':>9}  {_value(invocation.output)}")
    for key, value in invocation.metadata.items():
        text = value if isinstance(value, str) else _value(value)
        tables.write_facts({_line(key): text}, 9)
    if invocation.error:
        tables.write_facts({"error": invocation.error.splitlines()[-1]}, 9)


def _width() -> int:
    return 200 if not sys.stdout.isatty() else 100


def _cut(text: str, most: int = _MAX_CELL) -> str:
    line = _line(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def _line(text: str) -> str:
    return tables.printable(" ".join(text.split()))
