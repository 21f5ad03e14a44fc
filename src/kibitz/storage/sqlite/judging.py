"""Judgements one by one: each stored or refused for itself, and held to more than a program's batches are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from kibitz.base import clock, ids, refs, wire
from kibitz.base.api import ErrorInfo, FeedbackOutcome
from kibitz.base.errors import Conflict, KibitzError, NotFound, UnknownReference
from kibitz.base.records import Batch, FeedbackPart
from kibitz.storage import statements
from kibitz.storage.sqlite import preparing
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("sqlite.sql")
_CALL_FIELDS = ("target_ref", "call_ref", "trigger_ref")


def add(
    readers: Readers, ingest: SqliteIngest, project: str, parts: Sequence[FeedbackPart]
) -> list[FeedbackOutcome]:
    """See `storage.protocols.FeedbackReader.add`."""
    refs.check_project(project)
    now = clock.now()
    parts = [
        msgspec.structs.replace(part, id=part.id or ids.new_id(), created_at=part.created_at or now)
        for part in parts
    ]
    known = _known(readers, project, parts)
    outcomes: dict[int, FeedbackOutcome] = {}
    kept: list[int] = []
    for index, part in enumerate(parts):
        try:
            if index in known.different:
                raise Conflict(
                    f"feedback {part.id!r} is there already and says something else; give this one an id "
                    "of its own, or none",
                    id=part.id,
                )
            if part.id not in known.delivered:
                _check(part, known)
        except KibitzError as error:
            outcomes[index] = FeedbackOutcome(index=index, error=_told(error))
        else:
            kept.append(index)
    if not kept:
        # A batch begins its project, and nothing may begin with what is refused.
        return [outcomes[index] for index in range(len(parts))]
    receipt = ingest.write(Batch(project=project, feedback=[parts[index] for index in kept]))
    for rejection in receipt.rejected:
        index = kept[rejection.index]
        outcomes[index] = FeedbackOutcome(index=index, error=_told(wire.error_of(rejection)))
    for index in kept:
        outcomes.setdefault(index, FeedbackOutcome(index=index, id=parts[index].id))
    return [outcomes[index] for index in range(len(parts))]


@dataclass(frozen=True, slots=True)
class _Known:
    calls: set[str]
    stands: dict[str, bool]
    """Judgements by id, and whether they stand; also those that come along."""
    taken_back: frozenset[str]
    """Of those that these retract, the ones that are retracted already."""
    delivered: frozenset[str]
    """Ids of these judgements that are there already: what they said was looked at then."""
    different: frozenset[int]
    """Positions of those among them that do not say what is there."""


def _known(readers: Readers, project: str, parts: Sequence[FeedbackPart]) -> _Known:
    calls = {ref.name for part in parts for ref in _calls(part)}
    earlier = [each for part in parts for each in (part.retracts, part.corrects) if each]
    coming = dict.fromkeys((part.id or "" for part in parts), True)
    asked = [*earlier, *coming]
    with readers.reading() as connection:
        try:
            pk = project_pk(connection, project)
        except NotFound:
            return _Known(set(), coming, frozenset(), frozenset(), frozenset())
        found = _column(connection, "visible_calls", sorted(calls), pk)
        rows = connection.execute(_SQL["which_stand"], (_json(asked), pk)).fetchall()
        stands = {feedback_id: stands > 0 for feedback_id, stands in rows}
        taken_back = _column(connection, "which_taken_back", earlier, pk)
        delivered = frozenset(stands.keys() & coming.keys())
        different = _different(connection, pk, project, parts, delivered)
    return _Known(found, coming | stands, frozenset(taken_back), delivered, different)


def _different(
    connection: sqlite3.Connection,
    pk: int,
    project: str,
    parts: Sequence[FeedbackPart],
    delivered: frozenset[str],
) -> frozenset[int]:
    """The positions of judgements whose id is there already, of another judgement."""
    if not delivered:
        return frozenset()
    said: dict[str, tuple[object, ...]] = {}
    for feedback_id, *rest in connection.execute(_SQL["what_is_said"], (_json(delivered), pk)):
        type_name, call_id, target, *more = rest
        said[feedback_id] = (type_name, target if call_id is None else call_id, *more)
    positions = [index for index, part in enumerate(parts) if part.id in delivered]
    again = Batch(project=project, feedback=[parts[index] for index in positions])
    return frozenset(
        positions[item.index]
        for item in preparing.prepare(again, max_call_bytes=0).feedback
        if said[item.id]
        != (
            item.type,
            item.target.name if item.target.kind == "call" else item.target_ref,
            item.author,
            item.retracts,
            item.corrects,
            item.payload,
        )
    )


def _column(connection: sqlite3.Connection, name: str, wanted: list[str], pk: int) -> set[str]:
    return {each for (each,) in connection.execute(_SQL[name], (_json(wanted), pk))}


def _json(texts: Iterable[str]) -> str:
    return msgspec.json.encode(list(texts)).decode()


def _calls(part: FeedbackPart) -> list[refs.Ref]:
    """The calls that a judgement names; what is no reference at all is refused later, with its reason."""
    found: list[refs.Ref] = []
    for field in _CALL_FIELDS:
        text: str | None = getattr(part, field)
        try:
            ref = None if text is None else refs.parse_ref(text)
        except KibitzError:
            continue
        if ref is not None and ref.kind == "call":
            found.append(ref)
    return found


def _check(part: FeedbackPart, known: _Known) -> None:
    for ref in _calls(part):
        if ref.name not in known.calls:
            text = str(ref)
            field = next(
                (each for each in _CALL_FIELDS if getattr(part, each) == text), "target_ref"
            )
            raise UnknownReference(
                f"{field} {text!r} names a call that project {ref.project!r} does not have",
                field=field,
                ref=text,
            )
    for field in ("retracts", "corrects"):
        earlier: str | None = getattr(part, field)
        if earlier is None:
            continue
        if earlier not in known.stands:
            raise UnknownReference(
                f"{field} {earlier!r}, which is no feedback of this project",
                field=field,
                ref=earlier,
            )
        if field == "retracts" and earlier in known.taken_back:
            raise Conflict(f"feedback {earlier!r} is taken back already", id=earlier)
        if field == "corrects" and not known.stands[earlier]:
            raise Conflict(
                f"feedback {earlier!r} does not stand any more; correct what stands now", id=earlier
            )


def _told(error: KibitzError) -> ErrorInfo:
    return ErrorInfo(code=error.code, message=error.message, details=error.facts)
