"""An exception as text and places, taken where it is raised through an op.

Taken on the caller's thread, at once: to hold the exception until the exporter has time would hold the frames
of the program and with them all their variables. The text of the lines is read later, by `parts.py`.
"""

from __future__ import annotations

import os
from collections import deque
from types import TracebackType
from typing import cast

from kibitz.base import messages

MAX_CAUSES = 5
_FIRST_FRAMES = 10
_LAST_FRAMES = 40
_OWN = os.path.dirname(__file__) + os.sep


class Failure:
    """An exception: its class, message, frames as (file, line, function), and what caused it."""

    __slots__ = ("cause", "frames", "kind", "message")

    def __init__(
        self,
        kind: type[BaseException],
        message: str,
        frames: list[tuple[str, int, str]],
        cause: Failure | None,
    ) -> None:
        self.kind = kind
        self.message = message
        self.frames = frames
        self.cause = cause


def take(error: BaseException, trace: TracebackType | None) -> Failure:
    """The exception and its causes; the traceback is the one of the place where it was caught."""
    return _take(error, trace, 0)


def _take(error: BaseException, trace: TracebackType | None, depth: int) -> Failure:
    kind = type(error)
    message = messages.message_of(error)
    behind = error.__cause__
    if behind is None and not error.__suppress_context__:
        behind = error.__context__
    if behind is None and isinstance(error, BaseExceptionGroup):
        # Of a group the first stands for all; the message says how many there are.
        behind = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    cause = None
    if behind is not None and behind is not error and depth < MAX_CAUSES:
        cause = _take(behind, behind.__traceback__, depth + 1)
    return Failure(kind, message, _frames(trace), cause)


def _frames(trace: TracebackType | None) -> list[tuple[str, int, str]]:
    first: list[tuple[str, int, str]] = []
    last: deque[tuple[str, int, str]] = deque(maxlen=_LAST_FRAMES)
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(_OWN):
            frame = (code.co_filename, trace.tb_lineno, code.co_qualname)
            if len(first) < _FIRST_FRAMES:
                first.append(frame)
            else:
                last.append(frame)
        trace = trace.tb_next
    return [*first, *last]
