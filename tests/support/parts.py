"""Small calls and feedback for the storage tests."""

from datetime import UTC, datetime, timedelta

import versions

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.storage import sqlite

PROJECT = "team/app"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def call(call_id, *, seconds=0.0, took=1.0, op="answer", **fields):
    """A whole call."""
    fields.setdefault("inputs", {"question": "why?"})
    fields.setdefault("output", "because")
    return CallPart(
        id=call_id, op=op, started_at=at(seconds), ended_at=at(seconds + took), **fields
    )


def judgement(call_id, output, *, name="x", seconds=0.0, feedback_id=None, author=""):
    """A runnable feedback on a call."""
    return FeedbackPart(
        id=feedback_id,
        type=f"runnable.{name}",
        target_ref=refs.call_ref(PROJECT, call_id),
        payload={"output": output},
        author=author,
        author_kind="program",
        created_at=at(seconds),
        **versions.made_by(PROJECT, f"runnable.{name}"),
    )


def batch(*, calls=(), feedback=(), project=PROJECT, **lists):
    """A batch, with the versions that its feedback names."""
    feedback = list(feedback)
    lists["objects"] = [*lists.get("objects", ()), *versions.named_by(feedback)]
    return Batch(project=project, calls=list(calls), feedback=feedback, **lists)


def write_many(folder, name, count):
    """Write batches of ten calls into a folder; a process of its own does this."""
    opened = sqlite.open_store(folder)
    for index in range(count):
        opened.ingest.write(batch(calls=[call(f"{name}-{index}-{each}") for each in range(10)]))
    opened.close()
