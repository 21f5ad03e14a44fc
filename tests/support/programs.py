"""Users' programs in processes of their own, and what came of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kibitz.base.records import Call
from kibitz.query.nodes import CallQuery
from kibitz.storage import sqlite
from kibitz.tracing.spool import Spool

PROJECT = "team/app"
TIMEOUT_S = 300
"""After which a program hangs, also where many run on few cores."""


@dataclass(frozen=True)
class Ended:
    """A program that has ended."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The line that kibitz says at the end, after a check that nothing else was said."""
        assert self.err.startswith("kibitz: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


class Program:
    """A program that runs: the code, after `import kibitz` and an op `step` that gives its argument back.

    It is started in `folder`, so that its data folder is `folder/.kibitz`. Settings are KIBITZ_ variables
    by their lower-case names.
    """

    def __init__(self, code: str, folder: Path, *arguments: object, **settings: object) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("KIBITZ_")
        }
        for name, value in settings.items():
            environment[f"KIBITZ_{name.upper()}"] = str(value)
        folder.mkdir(exist_ok=True)
        script = folder / "program.py"
        _replace(script, _BEGINNING + textwrap.dedent(code))
        self.process = subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, word: str) -> None:
        """Until the program prints this as its next line."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        assert said == word, said + "\n" + self.process.communicate()[1]

    def say(self, word: str) -> None:
        """What the program's next `input()` gives."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait for it; one that does not end is killed and the test fails."""
        try:
            out, err = self.process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, err = self.process.communicate()
            raise AssertionError(f"the program did not end; it said {err}") from None
        return Ended(self.process.returncode, out, err)


_BEGINNING = """\
import asyncio, atexit, json, os, signal, sys, threading, time
import kibitz

# Ignored where a shell without job control has started the tests in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)

@kibitz.op
def step(n):
    return n

"""


def _replace(script: Path, text: str) -> None:
    """Write it whole: a program started from the same folder a moment ago may be reading it now."""
    fresh = script.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(script)


def run(code: str, folder: Path, *arguments: object, **settings: object) -> Ended:
    """Run a program to its end."""
    return Program(code, folder, *arguments, **settings).end()


def calls(data: Path, project: str = PROJECT) -> list[Call]:
    """All calls of a data folder, whole, in the order they started."""
    store = sqlite.open_store(data)
    try:
        found: list[Call] = []
        cursor = None
        while True:
            columns = frozenset({"inputs", "output", "exception", "attributes"})
            page = store.calls.query(
                CallQuery(project=project, columns=columns, limit=1000, cursor=cursor)
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found[::-1]
    finally:
        store.close()


def steps(data: Path) -> list[Any]:
    """The arguments of the calls of `step` that a data folder holds as successful, each as often as it is there."""
    return [each.inputs["n"] for each in calls(data) if each.status == "success"]


def spooled(data: Path, target: str) -> list[Any]:
    """The arguments of the calls of `step` that wait on disk for a server, read as the next program would."""
    spool = Spool(data / "spool", target, limit_bytes=1 << 30)
    spool.adopt()
    found: list[Any] = []
    while (waiting := spool.next()) is not None:
        file, batch = waiting
        found += [part.inputs["n"] for part in batch.calls if part.ended_at is not None]
        file.advance()
    spool.close()
    return found


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def once(found: list[Any], expected: Mapping[Any, int] | range) -> bool:
    """Whether each is there exactly once; says what is missing or double where not."""
    have, want = Counter(found), Counter(expected)
    assert have == want, f"missing {sorted(want - have)[:10]}, too many {sorted(have - want)[:10]}"
    return True
