"""A project carried through an export and back, for tests of both ends."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import evaluating
import msgspec
import parts as small

from kibitz.base import refs
from kibitz.base.evaluations import Invocation, NewRule
from kibitz.base.records import CallPart, ExceptionInfo, FeedbackPart, FilePart, ObjectPart
from kibitz.base.spending import Spend
from kibitz.cli import importing, lines
from kibitz.export import streams
from kibitz.storage import sqlite
from kibitz.storage.sqlite import SqliteStore

PROJECT = small.PROJECT


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        sqlite.open_store(Path(folder)).close()
        return (Path(folder) / "kibitz.sqlite3").read_bytes()


@contextlib.contextmanager
def opened() -> Generator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder:
        # A copy of an empty store: making one takes longer than most examples.
        (Path(folder) / "kibitz.sqlite3").write_bytes(_empty())
        store = sqlite.open_store(Path(folder))
        try:
            yield store
        finally:
            store.close()


def exported(
    store: SqliteStore, format: Any = "jsonl", project: str = PROJECT, **more: Any
) -> bytes:
    return b"".join(streams.stream(store, project, format, **more))


def imported(store: SqliteStore, content: bytes, project: str | None = None) -> importing.Summary:
    summary = importing.Summary()
    importer = importing.Importer(store.ingest, project, "file", summary, keep=store.rules.save)
    for line in lines.read_any("file", io.BufferedReader(cast("Any", io.BytesIO(content)))):
        importer.add(line)
    importer.flush()
    return summary


def rich(store: SqliteStore) -> None:
    """A project with something of everything."""
    code = {"$type": "op", "code": "def answer(): …"}
    op = ObjectPart(
        kind="op",
        name="answer",
        digest=refs.digest(msgspec.json.encode(code, order="sorted")),
        value=code,
        created_at=small.at(0),
    )
    picture = FilePart(digest=refs.digest(b"\0png"), media_type="image/png", content=b"\0png")
    other = FilePart(digest=refs.digest(b"other"), media_type="text/plain", content=b"other")
    shown = {"$type": "file", "digest": picture.digest, "media_type": "image/png", "size": 4}
    receipt = store.ingest.write(
        small.batch(
            objects=[op],
            files=[picture, other],
            calls=[
                small.call(
                    "c1",
                    inputs={"image": shown},
                    op_ref=f"kibitz:///{PROJECT}/op/answer:{op.digest}",
                ),
                small.call("c2", seconds=1, exception=ExceptionInfo(type="E", message="m")),
                CallPart(id="c3", op="answer", started_at=small.at(2)),
            ],
            feedback=[
                FeedbackPart(
                    id=f"f{n}",
                    type="rating",
                    target_ref=refs.call_ref(PROJECT, call_id),
                    payload={"score": n},
                    author=author,
                    created_at=small.at(n),
                )
                for n, (call_id, author) in enumerate(
                    [("c1", "Ada"), ("c1", "Ada"), ("c1", "Bob"), ("c2", "Ada"), ("stub", "Ada")]
                )
            ]
            + [
                FeedbackPart(
                    id="r1",
                    type="rating",
                    target_ref=refs.call_ref(PROJECT, "c1"),
                    payload={},
                    author="Bob",
                    created_at=small.at(9),
                    retracts="f2",
                ),
                FeedbackPart(
                    id="t1",
                    type="note",
                    target_ref=f"kibitz:///{PROJECT}/trace/c1",
                    payload={"note": "slow"},
                    created_at=small.at(3),
                ),
            ],
        )
    )
    assert receipt.rejected == []


def judged(store: SqliteStore) -> None:
    """Evaluations of every state and a rule, beside what a project has."""
    ended = {"started_at": small.at(1), "ended_at": small.at(2)}
    spent = Spend(requests=2, input_tokens=3, usd=0.1, unpriced=1)
    evaluations = [
        evaluating.wanted("c1"),
        evaluating.wanted("late", rule="nightly"),
        evaluating.said("c2", {"a": 1, "b": 0.1}, spent=spent, rule="nightly", **ended),
        evaluating.said(
            "c3",
            status="failed",
            reason='no, "it" is',
            error="Traceback\n  …",
            invocations=[
                Invocation(arguments={"t": [1.5, None]}, paths={"t": "output"}, output=None)
            ],
            **ended,
        ),
        evaluating.said("c4", status="skipped", reason="", **ended),
        evaluating.wanted("c5"),
    ]
    calls = [small.call(f"c{n}", seconds=n) for n in range(1, 6)]
    receipt = store.ingest.write(
        small.batch(calls=calls, objects=[evaluating.GROUNDED], evaluations=evaluations)
    )
    assert receipt.rejected == []
    store.evaluations.claim("w", limit=1, lease_s=60)
    rule = NewRule(
        definitions=[evaluating.GROUNDED_REF], query='op = "answer"', sample=0.5, per_day=3
    )
    store.rules.save(PROJECT, "nightly", rule)
    resting = NewRule(definitions=[evaluating.GROUNDED_REF], usd_per_day=1, active=False)
    store.rules.save(PROJECT, "resting", resting)
