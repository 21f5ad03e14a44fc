"""What a judgement must find in its project: the rules of `base/judgements.py` that need the store.

References to ops and objects must be there, or come in the same batch. A call may come later, because the parts of
a program's trace arrive in any order and nothing of it may be lost; what needs the call is looked at where it is
known. A retraction may arrive before what it takes back, for the same reason.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from kibitz.base import answers, judgements, specifications
from kibitz.base.errors import InvalidRecord, NotPermitted, UnknownReference
from kibitz.base.specifications import AnnotationSpec
from kibitz.storage import statements
from kibitz.storage.sqlite.call_writing import CallWriter
from kibitz.storage.sqlite.feedback_parts import PreparedFeedback
from kibitz.storage.sqlite.feedback_writing import STORE, FeedbackWriter
from kibitz.storage.sqlite.merging import CallRow
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("sqlite.sql")
_UNKNOWN: Any = object()
_MAX_LOOKED_AT = 16
_MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class Rules:
    """The rules of one transaction, which sees what was written in it before."""

    connection: sqlite3.Connection
    names: WriterNames
    calls: CallWriter
    feedback: FeedbackWriter
    _op_names: dict[int, str] = field(default_factory=dict[int, str])
    _calls: dict[tuple[int, str], tuple[CallRow | None, answers.Look | None]] = field(
        default_factory=dict[tuple[int, str], tuple[CallRow | None, "answers.Look | None"]]
    )
    """Calls that were looked at lately: many judgements of a batch may be about one that is large."""

    def begin(self) -> None:
        """A batch begins, and with it what was said of calls may be more."""
        self._calls.clear()

    def check(self, project: int, item: PreparedFeedback) -> AnnotationSpec | None:
        """Hold a judgement to the rules and give the specification that it answers, if it does.

        Raises:
            InvalidRecord: a rule is broken; its class and `field` say which.
        """
        if item.retracts is not None:
            self._check_earlier(project, item, item.retracts, "retracts")
            return None
        if item.corrects is not None:
            self._check_earlier(project, item, item.corrects, "corrects")
        if item.runnable_ref is not None:
            self._version(project, item.runnable_ref, "runnable_ref")
        if item.annotation_ref is None:
            return None
        spec = self._version(project, item.annotation_ref, "annotation_ref")
        if spec is None:
            raise InvalidRecord(
                f"annotation_ref {item.annotation_ref!r} names an object that is no specification",
                field="annotation_ref",
            )
        self._check_answer(project, item, spec)
        return spec

    def _version(self, project: int, text: str, where: str) -> AnnotationSpec | None:
        """The version that a reference names, where it is a specification; raises `UnknownReference`."""
        found = self.names.versions.get((project, text), _UNKNOWN)
        if found is not _UNKNOWN:
            return found
        ref = judgements.version_ref(text)
        row = self.connection.execute(
            _SQL["version_value"], (project, ref.kind, ref.name, ref.digest)
        ).fetchone()
        if row is None:
            raise UnknownReference(
                f"{where} {text!r} names a version that the project does not have; "
                f"send the {ref.kind} first, or in the same batch",
                field=where,
                ref=text,
            )
        value = msgspec.json.decode(row[0]) if ref.kind == "object" else None
        is_one = specifications.is_specification(value)
        spec = AnnotationSpec.from_value(value) if is_one else None
        if len(self.names.versions) >= _MAX_REMEMBERED:
            self.names.versions.clear()
        self.names.versions[project, text] = spec
        return spec

    def _check_answer(self, project: int, item: PreparedFeedback, spec: AnnotationSpec) -> None:
        spec.check_author(item.author, item.author_kind)
        spec.check_target(item.target.kind)
        row = look = None
        if item.target.kind == "call" and (spec.ops or spec.has_spans):
            row, look = self._call(project, item.target.name)
        if row is not None and spec.ops and row.op is not None:
            spec.check_target("call", self._op(row.op))
        spec.validate(item.answer, look=look)

    def _call(self, project: int, call_id: str) -> tuple[CallRow | None, answers.Look | None]:
        found = self._calls.get((project, call_id))
        if found is None:
            row = self.calls.row(project, call_id)
            found = row, None if row is None else _look(row)
            if len(self._calls) >= _MAX_LOOKED_AT:
                self._calls.clear()
            self._calls[project, call_id] = found
        return found

    def _op(self, pk: int) -> str:
        name = self._op_names.get(pk)
        if name is None:
            name = self.connection.execute(_SQL["op_name"], (pk,)).fetchone()[0]
            self._op_names[pk] = name
        return name

    def _check_earlier(
        self, project: int, item: PreparedFeedback, earlier: str, where: str
    ) -> None:
        """Hold a retraction or correction to what it is of, where that has arrived."""
        said = self.feedback.about(project, earlier)
        if said is None:
            return
        target = item.target.name if item.target.kind == "call" else item.target_ref
        if (said.type, said.target) != (item.type, target):
            raise InvalidRecord(
                f"{where} {earlier!r}, which is {said.type!r} on {said.target!r}; "
                f"this is {item.type!r} on {target!r}",
                field=where,
            )
        if said.author != item.author and (item.author, item.author_kind) != STORE:
            raise NotPermitted(
                f"{item.author!r} {where} {earlier!r}, which {said.author!r} said; only its author may",
                field="author",
                author=item.author,
                allowed=[said.author],
            )


def _look(row: CallRow) -> answers.Look | None:
    """How an answer sees the call that it is about; None while the call has not said enough."""

    decoded: dict[str, Any] = {}

    def look(path: tuple[str, ...]) -> Any:
        text: str | None = getattr(row, path[0])
        if text is None:
            return answers.MISSING
        if path[0] not in decoded:
            decoded[path[0]] = msgspec.json.decode(text)
        found: Any = decoded[path[0]]
        for part in path[1:]:
            if isinstance(found, dict):
                found = cast("dict[str, Any]", found).get(part, answers.MISSING)
            elif isinstance(found, list) and part.isdecimal():
                items = cast("list[Any]", found)
                found = items[int(part)] if int(part) < len(items) else answers.MISSING
            else:
                return answers.MISSING
        return found

    return look if row.ended_at is not None else None
