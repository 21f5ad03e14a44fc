"""Batches: filled call by call, and cut in two where one is too large.

A batch has the version that each of its judgements and evaluations names, so that it is complete by itself: batches may arrive in
another order than they were made, and a store refuses a judgement by something that it has never heard of.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kibitz.base import refs
from kibitz.base.evaluations import EvaluationPart
from kibitz.base.records import Batch, CallPart, FeedbackPart, FilePart, ObjectPart
from kibitz.tracing.parts import Assembler
from kibitz.tracing.recording import Recording

_FEEDBACK_BYTES = 500
_INVOCATION_BYTES = 1000
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
        self._evaluations: list[EvaluationPart] = []
        self._objects: dict[tuple[str, str], ObjectPart] = {}
        self._files: list[FilePart] = []
        self.size = 0
        """Bytes, roughly."""

    @property
    def items(self) -> int:
        """How many calls and evaluations are in it."""
        return len(self._calls) + len(self._evaluations)

    @property
    def empty(self) -> bool:
        return not (self._calls or self._feedback or self._evaluations or self._objects)

    def add_call(self, call: Recording, *, ended: bool) -> None:
        """Add what is to be said of a call now."""
        assembled = self._assembler.part(call, ended=ended)
        self._calls.append(assembled.part)
        self.size += assembled.size
        version = assembled.version
        if version is not None and (version.name, version.digest) not in self._known_versions:
            self._known_versions.add((version.name, version.digest))
            self.add_version(version)
        for digest, file in assembled.files.items():
            if digest not in self._known_files:
                if len(self._known_files) >= _MAX_REMEMBERED_FILES:
                    self._known_files.clear()
                self._known_files.add(digest)
                self._files.append(file)

    def add_part(self, part: CallPart) -> None:
        """Add a call that was recorded elsewhere."""
        self._calls.append(part)
        self.size += len(msgspec.json.encode(part))

    def add_feedback(self, part: FeedbackPart) -> None:
        """Add a feedback."""
        self._feedback.append(part)
        self.size += _FEEDBACK_BYTES
        self._add_named(part.runnable_ref, part.annotation_ref)

    def add_evaluation(self, part: EvaluationPart) -> None:
        """Add what is to be said of an evaluation."""
        self._evaluations.append(part)
        self.size += _FEEDBACK_BYTES + _INVOCATION_BYTES * len(part.invocations)
        self._add_named(part.definition_ref)

    def _add_named(self, *named: str | None) -> None:
        for ref in named:
            version = None if ref is None else self._assembler.versions.get(ref)
            if version is not None:
                self.add_version(version)

    def add_version(self, version: ObjectPart) -> None:
        """Add a version of an op or object."""
        self._objects[version.name, version.digest] = version

    def take(self) -> Batch:
        """The batch so far; the next one begins empty."""
        batch = Batch(
            project=self._project,
            calls=self._calls,
            feedback=self._feedback,
            evaluations=self._evaluations,
            objects=list(self._objects.values()),
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
        *(("evaluations", item) for item in batch.evaluations),
    ]
    if len(items) < 2:
        return None
    middle = len(items) // 2
    second = _batch(batch.project, items[middle:])
    named = {each.runnable_ref for each in second.feedback}
    named |= {each.annotation_ref for each in second.feedback}
    named |= {each.definition_ref for each in second.evaluations}
    apart = [
        each
        for each in batch.objects
        if each not in second.objects and _ref(batch.project, each) in named
    ]
    if len(apart) < middle:
        # Smaller than the whole also with what it names.
        second = msgspec.structs.replace(second, objects=[*apart, *second.objects])
    return _batch(batch.project, items[:middle]), second


def _ref(project: str, version: ObjectPart) -> str:
    return refs.format_ref(
        refs.Ref(project=project, kind=version.kind, name=version.name, digest=version.digest)
    )


def _batch(project: str, items: list[tuple[str, Any]]) -> Batch:
    names = ("files", "objects", "calls", "feedback", "evaluations")
    lists: dict[str, list[Any]] = {name: [] for name in names}
    for name, item in items:
        lists[name].append(item)
    return Batch(project=project, **lists)
