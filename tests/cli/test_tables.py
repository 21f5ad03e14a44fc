"""Tables as a terminal shows them: short columns whole, long ones cut, nothing that steers."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kibitz.base import clock
from kibitz.base.records import Batch, CallPart
from kibitz.cli import tables
from kibitz.query import fields
from kibitz.storage import sqlite

SCORE = "feedback.[runnable.grounded].payload.output.score"


def on_terminal(*arguments: str, columns: int) -> list[str]:
    """The lines of a command whose output is a terminal, without colours."""
    leader, follower = pty.openpty()
    try:
        done = subprocess.Popen(
            [sys.executable, "-m", "kibitz.cli", *arguments],
            stdin=follower,
            stdout=follower,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"},
        )
        os.close(follower)
        said = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            said += part
        assert done.wait() == 0
    finally:
        os.close(leader)
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode())
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.processes
@pytest.mark.parametrize("columns", [70, 100, 160])
def test_short_columns_stay_whole_at_every_width(folder: Path, columns: int) -> None:
    lines = on_terminal(
        "calls", "--data", str(folder), "--sort", SCORE, "--limit", "3",
        "--columns", f"id,{SCORE},status,input", columns=columns,
    )  # fmt: skip

    assert lines[1].split() == ["id", "grounded.score", "status", "input"]
    assert [line.split()[:3] for line in lines[3:6]] == [
        ["c03", "0.25", "error"],
        ["c01", "0.5", "success"],
        ["c07", "0.75", "success"],
    ]
    assert max(map(len, lines)) <= columns


@pytest.mark.processes
def test_what_was_logged_cannot_steer_a_terminal(folder: Path) -> None:
    store = sqlite.open_store(folder)
    nasty = "\x1b]0;owned\x07 [bold]not markup[/bold] \x9b2J"
    call = CallPart(id="x", op="nasty", started_at=clock.now(), inputs={"q": nasty})
    store.ingest.write(Batch(project="acme/bot", calls=[call]))
    store.close()

    text = "\n".join(on_terminal("calls", "--data", str(folder), "--op", "nasty", columns=160))

    assert "owned" in text
    assert "[bold]not markup[/bold]" in text
    assert not set(text) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [
        ("latency_ms", "latency_ms"),
        ("inputs.question", "inputs.question"),
        ("feedback.[runnable.exact].payload.output.match", "exact.match"),
        ("feedback.[annotation.helpful].payload.value", "helpful"),
        ("feedback.[note].payload.note", "note.note"),
        ("feedback.[stars]", "stars"),
    ],
)
def test_headers_leave_out_what_all_feedback_has(spelled: str, shown: str) -> None:
    assert tables.header(fields.parse(spelled), spelled) == shown
