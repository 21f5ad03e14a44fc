"""What is done with all calls of a question: read them, judge them, delete them, export them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kibitz.asking import progress
from kibitz.asking.progress import Progress, Told
from kibitz.asking.questions import Question
from kibitz.base import api, clock, ids, jsonable, judgements
from kibitz.base.errors import UsageError
from kibitz.base.records import BulkStep, Call, FeedbackPart, Rejection
from kibitz.client.reading import RemoteStore
from kibitz.export import files, streams
from kibitz.export.streams import FORMATS, Format, Tables
from kibitz.query import json_form, shapes, text_form
from kibitz.query.nodes import Node
from kibitz.storage.protocols import LocalStore, Store

ENDINGS: dict[str, tuple[Format, Tables]] = {
    ".jsonl": ("jsonl", "all"),
    ".zip": ("csv", "all"),
    ".csv": ("csv", "calls"),
    ".parquet": ("parquet", "calls"),
    ".arrow": ("arrow", "calls"),
}
"""What the ending of a name says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an action did. What it counts is durable."""

    calls: int
    """How many calls were judged, or deleted."""
    feedback: int
    """How many judgements were added, or deleted with the calls."""
    refused: int = 0
    """How many judgements the rules refused."""
    rejected: tuple[Rejection, ...] = ()
    """The first of those, by the id of their call."""


def read(question: Question, wanted: Progress) -> Iterator[Call]:
    """All calls of a question, while it is told how far they are read."""
    with (
        question.place.opened() as store,
        progress.shown(wanted, f"reading calls of {question.project}") as tell,
    ):
        for n, call in enumerate(question.read(store), 1):
            yield call
            tell(n, question.limit)


def add_feedback(
    question: Question,
    type: str,
    payload: Mapping[str, Any],
    *,
    author: str,
    expected: int | None,
    wanted: Progress,
    **further: Any,
) -> Done:
    """Judge all calls of a question alike. See `CallSet.add_feedback`."""
    if not isinstance(payload, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
        raise UsageError(f"the payload {shapes.short(payload)} is no mapping")
    limits = jsonable.Limits(bytes=judgements.MAX_PAYLOAD_BYTES // 2)
    judgement = FeedbackPart(
        # Of the action, so that a step that is sent twice adds nothing twice.
        id=ids.new_id(),
        type=type,
        target_ref=judgements.EVERY_CALL,
        payload=cast("dict[str, Any]", jsonable.to_json(dict(payload), limits=limits)),
        author=author,
        created_at=clock.now(),
        **further,
    )
    with _whole(question) as (store, where):
        project, bulk = question.project, store.bulk
        known = bulk.count(project, where).calls if expected is None else expected
        with progress.shown(wanted, f"judging calls of {project}") as tell:
            return _steps(
                lambda left, cursor: bulk.add_feedback(
                    project, where, judgement, expected=left, cursor=cursor
                ),
                known,
                tell,
            )


def delete(
    question: Question, *, expected: int | None, whole_traces: bool, wanted: Progress
) -> Done:
    """Delete all calls of a question. See `CallSet.delete`."""
    with _whole(question) as (store, where):
        project, bulk = question.project, store.bulk
        if expected is None:
            found = bulk.count(project, where, whole_traces=whole_traces)
            raise UsageError(
                f"this would delete {found.calls:,} calls of {project!r} with {found.feedback:,} judgements, "
                f"for good; call delete(expected={found.calls}) for that",
                calls=found.calls,
                feedback=found.feedback,
            )
        with progress.shown(wanted, f"deleting calls of {project}") as tell:
            return _steps(
                lambda left, cursor: bulk.delete(
                    project, where, expected=left, whole_traces=whole_traces, cursor=cursor
                ),
                expected,
                tell,
            )


def export(
    question: Question,
    path: str | Path,
    *,
    format: Format | None,
    tables: Tables | None,
    wanted: Progress,
) -> int:
    """Write all calls of a question to a file and give its size in bytes. See `CallSet.export`."""
    target = Path(path)
    chosen = _format(target, format, tables)
    with (
        question.place.opened() as store,
        progress.shown(wanted, f"exporting calls of {question.project}") as tell,
        _chunks(question, store, *chosen, tell) as chunks,
        files.appearing(target) as file,
    ):
        return sum(map(file.write, chunks))


def _steps(step: Callable[[int, str | None], BulkStep], expected: int, tell: Told) -> Done:
    """Take steps to the end and add them up."""
    calls = feedback = refused = 0
    rejected: list[Rejection] = []
    cursor: str | None = None
    left = expected
    while True:
        done = step(left, cursor)
        calls, feedback, refused = (
            calls + done.calls,
            feedback + done.feedback,
            refused + done.refused,
        )
        rejected += done.rejected
        tell(calls, calls + done.left)
        cursor, left = done.cursor, done.left
        if cursor is None:
            return Done(calls=calls, feedback=feedback, refused=refused, rejected=tuple(rejected))


@contextmanager
def _whole(question: Question) -> Generator[tuple[Store, Node | None]]:
    """The store and the condition of a question without a limit."""
    if question.limit is not None:
        raise UsageError("an action is for all calls that match; leave .limit(…) out")
    with question.place.opened() as store:
        yield store, question.query(store).where


def _format(target: Path, format: Format | None, tables: Tables | None) -> tuple[Format, Tables]:
    named, usual = ENDINGS.get(target.suffix.lower(), (None, "all"))
    if format is None and named is None:
        known = ", ".join(ENDINGS)
        raise UsageError(f"{str(target)!r} does not say the format; give one, or end it in {known}")
    if format is not None and format not in FORMATS:
        raise UsageError(f"format {format!r} is not one of {', '.join(FORMATS)}")
    chosen = cast("Format", format or named)
    return chosen, "all" if chosen == "jsonl" else tables or usual


@contextmanager
def _chunks(
    question: Question, store: Store, format: Format, tables: Tables, tell: Told
) -> Generator[Iterator[bytes]]:
    query = question.query(store)
    everything = not (question.conditions or question.order or question.limit)
    if isinstance(store, RemoteStore):
        words = text_form.format(None, query.sort, question.limit and query.limit)
        if question.limit is not None and question.limit > query.limit:
            raise UsageError(f"a server exports all calls, or up to {query.limit:,} of them")
        asked = api.ExportAsked(
            project=question.project,
            query=None if query.where is None else json_form.where_to_json(query.where),
            text=words or None,
            format=format,
            tables=tables,
        )
        with store.export(asked) as chunks:
            yield chunks
        return
    yield streams.stream(
        cast("LocalStore", store),
        question.project,
        format,
        query=None if everything else query,
        limit=question.limit,
        tables=tables,
        progress=lambda tally: tell(tally.calls, None),
    )
