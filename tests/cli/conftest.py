"""A data folder with known calls, and the command line called as a shell calls it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import versions
from click.testing import CliRunner, Result

from kibitz.base import clock
from kibitz.base.records import Batch, CallPart, ExceptionInfo, FeedbackPart
from kibitz.cli import commands
from kibitz.storage import sqlite


@pytest.fixture(name="run")
def _run() -> Callable[..., Result]:
    """Run a command and give its result; output and errors apart."""

    def run(*arguments: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(commands.kibitz, [*arguments], input=input, prog_name="kibitz")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def judged(call_id: str, score: float | None) -> FeedbackPart:
    """A groundedness, or one that has no number."""
    return FeedbackPart(
        id=f"f-{call_id}",
        type="runnable.grounded",
        target_ref=f"kibitz:///acme/bot/call/{call_id}",
        payload={"output": {"score": score}},
        **versions.made_by("acme/bot", "runnable.grounded"),
    )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Twelve calls of two ops, an hour apart, newest last; every third failed; some judged."""
    folder = tmp_path / "data"
    now = clock.now()
    calls = [
        CallPart(
            id=f"c{n:02}",
            op="answer" if n % 2 else "retrieve",
            kind="agent" if n % 2 else "retriever",
            started_at=now - timedelta(hours=12 - n, minutes=-1),
            ended_at=now
            - timedelta(hours=12 - n, minutes=-1)
            + timedelta(milliseconds=10 * (n + 1)),
            inputs={"question": f"question {n}", "n": n},
            output=None if n % 3 == 0 else {"text": f"answer {n}"},
            exception=ExceptionInfo(type="ValueError", message="no") if n % 3 == 0 else None,
        )
        for n in range(12)
    ]
    feedback = [judged("c01", 0.5), judged("c03", 0.25), judged("c05", None), judged("c07", 0.75)]
    store = sqlite.open_store(folder)
    try:
        receipt = store.ingest.write(
            Batch(
                project="acme/bot",
                calls=calls,
                feedback=feedback,
                objects=versions.named_by(feedback),
            )
        )
    finally:
        store.close()
    assert receipt.rejected == []
    return folder
