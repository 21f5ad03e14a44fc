"""Batches: filled call by call, and cut in two where one is too large."""

from __future__ import annotations

from typing import Any

from kibitz.base.records import Batch, CallPart, FeedbackPart, FilePart, ObjectPart
from kibitz.tracing.parts import Assembler
from kibitz.tracing.recording import Recording

_FEEDBACK_BYTES = 500
_MAX_REMEMBERED_FILES = 10_000


class Builder:
    """Fills one batch after the other; versions of ops and files go along once."""

    def __init__(self, project: str, assembler: Assembler) -> None:
        self._project = project
        self._assembler = assembler
        self._known_versions: set[tuple[str, str]] = set()
        self._known_files: set[str] = set()
        self._start()

    def _start(self) -> None:
        self._calls: list[CallPart] = []
        self._feedback: list[FeedbackPart] = []
        self._objects: list[ObjectPart] = []
        self._files: list[FilePart] = []
        self.size = 0
        """Bytes, roughly."""

    @property
    def calls(self) -> int:
        """How many calls are in it."""
        return len(self._calls)

    @property
    def empty(self) -> bool:
        return not (self._calls or self._feedback)

    def add_call(self, call: Recording, *, ended: bool) -> None:
        """Add what is to be said of a call now."""
        assembled = self._assembler.part(call, ended=ended)
        self._calls.append(assembled.part)
        self.size += assembled.size
        version = assembled.version
        if version is not None and (version.name, version.digest) not in self._known_versions:
            self._known_versions.add((version.name, version.digest))
            self._objects.append(version)
        for digest, file in assembled.files.items():
            if digest not in self._known_files:
                if len(self._known_files) >= _MAX_REMEMBERED_FILES:
                    self._known_files.clear()
                self._known_files.add(digest)
                self._files.append(file)

    def add_feedback(self, part: FeedbackPart) -> None:
        """Add a feedback."""
        self._feedback.append(part)
        self.size += _FEEDBACK_BYTES

    def take(self) -> Batch:
        """The batch so far; the next one begins empty."""
        batch = Batch(
            project=self._project,
            calls=self._calls,
            feedback=self._feedback,
            objects=self._objects,
            files=self._files,
        )
        self._start()
        return batch


def halves(batch: Batch) -> tuple[Batch, Batch] | None:
    """The batch in two parts; None where it is a single thing."""
    items: list[tuple[str, Any]] = [
        *(("files", item) for item in batch.files),
        *(("objects", item) for item in batch.objects),
        *(("calls", item) for item in batch.calls),
        *(("feedback", item) for item in batch.feedback),
    ]
    if len(items) < 2:
        return None
    middle = len(items) // 2
    return _batch(batch.project, items[:middle]), _batch(batch.project, items[middle:])


def _batch(project: str, items: list[tuple[str, Any]]) -> Batch:
    lists: dict[str, list[Any]] = {"files": [], "objects": [], "calls": [], "feedback": []}
    for name, item in items:
        lists[name].append(item)
    return Batch(project=project, **lists)
