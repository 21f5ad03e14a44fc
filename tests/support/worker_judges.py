"""Implementations that worker processes of tests import by name."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from kibitz.base.errors import Unavailable


def length(text: str) -> float:
    """Quick."""
    return min(len(text) / 100, 1.0)


async def awaited(text: str) -> float:
    """Slow, and awaited."""
    await asyncio.sleep(0.02)
    return 0.5


def blocking(text: str) -> float:
    """Slow, and in a thread."""
    time.sleep(0.02)
    return 0.25


def deadly(text: str) -> float:
    """Ends its process where the text says so, as a crash in a native library would."""
    if "deadly" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0


def forking(text: str) -> float:
    """Leaves a child that comes back too, and notes who did."""
    os.fork()
    return noted(text)


def noted(text: str) -> float:
    """Notes the process that judges."""
    with open(os.environ["NOTED_BY_JUDGES"], "a") as file:
        file.write(f"{os.getpid()} {text}\n")
    return 1.0


def busy(text: str) -> float:
    """Never there."""
    raise Unavailable("the judge is busy")


def wrong(text: str) -> float:
    """No score."""
    return float("nan")


class Unspeakable(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no text")


def interrupting(text: str) -> float:
    """Raises what is no `Exception`."""
    raise KeyboardInterrupt


def leaving(text: str) -> float:
    """Raises what a generator is closed with."""
    raise GeneratorExit


def unspeakable(text: str) -> float:
    """Raises what cannot be shown."""
    raise Unspeakable


async def interrupting_awaited(text: str) -> float:
    """Raises what would end an event loop."""
    raise KeyboardInterrupt


def hanging(text: str) -> float:
    """Never ends where the text says so."""
    if "hang" in text:
        time.sleep(1_000)
    return 1.0


async def hanging_awaited(text: str) -> float:
    """Never ends where the text says so."""
    if "hang" in text:
        await asyncio.sleep(1_000)
    return 1.0


async def a_second(text: str) -> float:
    """Long enough to be stopped meanwhile."""
    await asyncio.sleep(1.0)
    return 1.0


def until_told(text: str) -> float:
    """Waits for the file that the text names; `text` comes back as soon as it is there."""
    path = text.removeprefix("wait for ")
    open(f"{path}.begun", "w").close()
    while not os.path.exists(path):
        time.sleep(0.01)
    return 1.0


def talkative(text: str) -> float:
    """Says its key."""
    raise PermissionError(
        "refused: Authorization: Bearer sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    )
