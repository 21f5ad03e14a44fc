"""`kibitz bulk`: judge or delete all calls of a query, after a look at how many they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from msgspec import Struct

from kibitz.base import clock, ids
from kibitz.base.errors import QueryError, UsageError
from kibitz.base.judgements import EVERY_CALL, NOTE, REACTION
from kibitz.base.records import BulkCount, BulkStep, FeedbackPart, Rejection
from kibitz.cli import people, sources, tables, work
from kibitz.query import text_form
from kibitz.query.nodes import Node
from kibitz.storage.protocols import Bulk

F = TypeVar("F", bound=Callable[..., Any])
_Step = Callable[[int, str | None], BulkStep]
_MOST_SHOWN = 20


class Summary(Struct, frozen=True):
    """What an action did."""

    project: str
    calls: int
    feedback: int
    refused: int
    rejected: list[Rejection]
    """The first refused, by the id of their call."""


@click.group(short_help="Judge or delete all calls of a query.")
def bulk() -> None:
    """Judge or delete all calls that match, after a look at how many they are."""


def _which(command: F) -> F:
    """What says which calls, and how it is asked."""
    for option in (
        sources.options,
        click.option("--json", "as_json", is_flag=True, help="The summary as JSON."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--all", "all_", is_flag=True, help="All calls of the project, without a QUERY."
        ),
        click.argument("text", required=False, metavar="[QUERY]"),
        click.argument("project"),
    ):
        command = option(command)
    return command


def _said(command: F) -> F:
    """Who says it."""
    return click.option("--author", help="Who says it; you, where it is left out.")(command)


@bulk.command(short_help="Delete calls with all that is said about them.")
@click.option(
    "--traces", "whole_traces", is_flag=True, help="Also the other calls of the traces of those."
)
@_which
def delete(whole_traces: bool, **asked: Any) -> None:
    """Delete the calls of PROJECT that match QUERY, with everything that is said about them, for good.

    Children of a deleted call stay, unless --traces takes all calls of its trace. It may be interrupted and
    begun again.
    """

    def step(bulk: Bulk, where: Node | None) -> _Step:
        def delete_some(expected: int, cursor: str | None) -> BulkStep:
            return bulk.delete(
                asked["project"],
                where,
                expected=expected,
                whole_traces=whole_traces,
                cursor=cursor,
            )

        return delete_some

    _act("delete", step, asked, whole_traces=whole_traces)


@bulk.command(short_help="React to calls with an emoji.")
@click.option("--emoji", required=True, help="One emoji.")
@_said
@_which
def react(emoji: str, author: str | None, **asked: Any) -> None:
    """React to the calls of PROJECT that match QUERY."""
    _judge(REACTION, {"emoji": emoji}, author, asked)


@bulk.command(short_help="Note something on calls.")
@click.option("--note", required=True, help="The text.")
@_said
@_which
def note(note: str, author: str | None, **asked: Any) -> None:
    """Note something on the calls of PROJECT that match QUERY."""
    _judge(NOTE, {"note": note}, author, asked)


@bulk.command(short_help="Say something of any type about calls.")
@click.option("--type", "type_", required=True, help="The type: annotation.NAME or a free word.")
@click.option("--payload", required=True, metavar="JSON", help="What is said, an object.")
@click.option(
    "--annotation-ref", metavar="REF", help="The version of the specification it answers."
)
@_said
@_which
def feedback(
    type_: str, payload: str, annotation_ref: str | None, author: str | None, **asked: Any
) -> None:
    """Say something of any type about the calls of PROJECT that match QUERY."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"--payload is not a JSON object: {error}") from error
    _judge(type_, said, author, asked, annotation_ref=annotation_ref)


def _judge(
    type_: str, payload: dict[str, Any], author: str | None, asked: dict[str, Any], **further: Any
) -> None:
    judgement = FeedbackPart(
        # Of the action, so that a step that is sent twice adds nothing twice.
        id=ids.new_id(),
        type=type_,
        target_ref=EVERY_CALL,
        payload=payload,
        author=people.user() if author is None else author,
        created_at=clock.now(),
        **further,
    )

    def step(bulk: Bulk, where: Node | None) -> _Step:
        def judge_some(expected: int, cursor: str | None) -> BulkStep:
            return bulk.add_feedback(
                asked["project"], where, judgement, expected=expected, cursor=cursor
            )

        return judge_some

    _act("judge", step, asked)


def _act(
    verb: str,
    step_for: Callable[[Bulk, Node | None], _Step],
    asked: dict[str, Any],
    *,
    whole_traces: bool = False,
) -> None:
    project, as_json = asked["project"], asked["as_json"]
    if bool(asked["text"]) == asked["all_"]:
        raise UsageError("give a QUERY that says which calls, or --all for all of the project")
    with sources.reader(sources.find(asked["data"], asked["url"])) as opened:
        where = _where(opened, project, asked["text"])
        counted = opened.bulk.count(project, where, whole_traces=whole_traces)
        if counted.calls:
            _confirm(verb, project, counted, yes=asked["yes"])
        summary = _run(project, step_for(opened.bulk, where), counted.calls)
    _tell(verb, summary, as_json)
    if summary.refused:
        sys.exit(1)


def _where(opened: sources.Reader, project: str, text: str | None) -> Node | None:
    types = (each.type for each in opened.feedback.columns(project))
    parsed = text_form.parse(text or "", known_types=types, now=clock.now())
    if parsed.limit is not None:
        raise QueryError("an action is for all calls that match; leave the limit out")
    return parsed.where


def _confirm(verb: str, project: str, counted: BulkCount, *, yes: bool) -> None:
    what = f"{counted.calls:,} calls of {project}"
    if verb == "delete":
        what += f" with {counted.feedback:,} feedback on them, for good"
    if yes:
        return
    if not _can_ask():
        raise UsageError(f"this would {verb} {what}; give --yes where nobody can be asked")
    click.confirm(f"{verb.capitalize()} {what}?", abort=True, err=True)


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _run(project: str, step: _Step, expected: int) -> Summary:
    calls = feedback = refused = 0
    rejected: list[Rejection] = []
    cursor: str | None = None
    left = expected
    with work.shown() as advance:
        while left:
            done = step(left, cursor)
            calls += done.calls
            feedback += done.feedback
            refused += done.refused
            rejected += done.rejected[: _MOST_SHOWN - len(rejected)]
            left, cursor = done.left, done.cursor
            advance(project, calls, expected)
            if cursor is None:
                break
    return Summary(project, calls, feedback, refused, rejected)


def _tell(verb: str, summary: Summary, as_json: bool) -> None:
    for each in summary.rejected:
        click.echo(f"{each.id}: {tables.printable(each.message)}", err=True)
    if as_json:
        tables.write_json([summary])
    elif not summary.calls:
        click.echo("No calls match.")
    elif verb == "delete":
        click.echo(
            f"Deleted {summary.calls:,} calls and {summary.feedback:,} feedback of {summary.project}."
        )
    else:
        refused = f"; {summary.refused:,} were refused" if summary.refused else ""
        click.echo(f"Judged {summary.feedback:,} calls of {summary.project}{refused}.")
