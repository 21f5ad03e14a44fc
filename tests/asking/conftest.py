"""A project with known calls and judgements, asked in its folder and over HTTP alike."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, ExceptionInfo, FeedbackPart
from kibitz.storage import sqlite
from kibitz.testing import serving
from kibitz.tracing import recording
from kibitz.tracing import session as sessions

PROJECT = "acme/app"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def calls() -> list[CallPart]:
    """Twelve calls, a minute apart, newest last: even ones answer, odd ones retrieve; every fifth failed."""
    return [
        CallPart(
            id=f"c{n:02}",
            op="retrieve" if n % 2 else "answer",
            started_at=START + timedelta(minutes=n),
            ended_at=START + timedelta(minutes=n, milliseconds=100 * (n + 1)),
            inputs={"question": f"question {n}", "n": n, "odd key": [n, {"a.b": str(n)}]},
            output=None if n % 5 == 4 else {"text": "x" * n, "items": list(range(n))},
            exception=ExceptionInfo(type="ValueError", message="no") if n % 5 == 4 else None,
            attributes={"env": "prod" if n < 6 else "test"},
            summary={"usage": {"m-1": {"input_tokens": n, "output_tokens": 1}}},
        )
        for n in range(12)
    ]


def judged(call_id: str, type_: str, payload: dict[str, object], author: str) -> FeedbackPart:
    """A judgement of a free type, or of a scorer where the type is one."""
    return FeedbackPart(
        id=f"{type_}-{call_id}-{author}",
        type=type_,
        target_ref=refs.call_ref(PROJECT, call_id),
        payload=payload,
        author=author,
        created_at=START + timedelta(hours=1),
    )


def feedback() -> list[FeedbackPart]:
    """`helpful` of ada on the first six, 0 to 5, of bob on two of them; a `thumb` on three; a note."""
    return [
        *(judged(f"c{n:02}", "helpful", {"value": n}, "ada") for n in range(6)),
        judged("c01", "helpful", {"value": 1}, "bob"),
        judged("c02", "helpful", {"value": 5}, "bob"),
        *(judged(f"c{n:02}", "thumb", {"up": n != 3}, "ada") for n in (1, 2, 3)),
        judged("c00", "note", {"note": "look"}, "bob"),
    ]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    store = sqlite.open_store(folder)
    try:
        receipt = store.ingest.write(Batch(project=PROJECT, calls=calls(), feedback=feedback()))
    finally:
        store.close()
    assert receipt.rejected == []
    return folder


@pytest.fixture(name="source", params=["folder", "server"])
def _source(request: pytest.FixtureRequest, folder: Path) -> Generator[str]:
    """What `calls(…, source=…)` is given."""
    if request.param == "folder":
        yield str(folder)
        return
    with serving.server(folder) as url:
        yield url


@pytest.fixture(autouse=True)
def _no_session_left() -> Generator[None]:
    yield
    session = sessions.current()
    if session is not None:
        session.finish(10.0)
    sessions.use(None)
    recording.install(None, expected=False)
