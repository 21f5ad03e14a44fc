"""Feedback functions as a worker runs them: what they call says who judges.

An implementation may be an op, or call some, in a program that records. A rule that takes every call would have those
judged in turn, by calls that are recorded again, for ever. So they carry the definitions on whose behalf they were made,
and no feedback function judges what it has made itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from kibitz.base.evaluations import JUDGED_BY
from kibitz.judging.functions import Feedback
from kibitz.judging.records import Record
from kibitz.judging.results import FeedbackResult
from kibitz.tracing import context, recording


class Judging(Feedback):
    """A feedback function whose calls are marked with the definitions that they are made for."""

    __slots__ = ()

    def run(
        self, /, app: Any = None, record: Any = None, *args: Any, **more: Any
    ) -> FeedbackResult:
        with self._marking(record):
            return super().run(app, record, *args, **more)

    async def arun(
        self, /, app: Any = None, record: Any = None, *args: Any, **more: Any
    ) -> FeedbackResult:
        with self._marking(record):
            return await super().arun(app, record, *args, **more)

    def _marking(self, record: Any) -> AbstractContextManager[None]:
        if recording.installed() is None:
            return nullcontext()
        before = record.judged_by if isinstance(record, Record) else ()
        return context.attributes({JUDGED_BY: [*before, self.id]})
