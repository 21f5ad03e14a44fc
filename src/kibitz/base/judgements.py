"""What feedback of each type must carry: the rules a store enforces on every row it takes.

| type | payload | references |
|---|---|---|
| `runnable.<name>` | `{"output": any}` | `runnable_ref` of that name; `call_ref` too where the runnable is an op |
| `annotation.<name>` | `{"value": what the specification allows}` | `annotation_ref` of that name; `call_ref`, `trigger_ref` may be |
| `reaction` | `{"emoji": one emoji or ":its_name:"}` | none |
| `note` | `{"note": 1 to 10,000 characters}` | none |
| any other word | any object | none |

What these functions see is the judgement alone. Whether its references exist, its answer fits its specification
and its author may say it, the store knows (`storage/sqlite/rules.py`).
"""

from __future__ import annotations

import functools
import re
from typing import Any

from kibitz.base import reactions, refs
from kibitz.base.errors import InvalidRecord, RefError
from kibitz.base.records import FeedbackPart

RUNNABLE = "runnable."
ANNOTATION = "annotation."
REACTION = "reaction"
NOTE = "note"
COLLECTED = frozenset({REACTION, NOTE})
"""Types of which one author's stand beside each other; of all others the author's newest replaces the last."""
EVERY_CALL = "kibitz:///-"
"""Stands for the target of what is said about all calls of a query; each gets its own."""
MAX_NOTE_CHARACTERS = 10_000
MAX_PAYLOAD_BYTES = 1 << 20
"""A judgement is small; what it is about belongs in a call."""

_VERSION_FIELDS = frozenset({"annotation_ref", "runnable_ref"})
_REF_FIELDS = ("annotation_ref", "runnable_ref", "call_ref", "trigger_ref")
_REACTION_KEYS = frozenset({"emoji", "alias", "neutral"})
_FREE_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

is_emoji = reactions.is_emoji


def check(part: FeedbackPart, project: str) -> refs.Ref:
    """Hold a feedback to the rules of its type and give its target, taken apart.

    Raises:
        InvalidRecord: a rule is broken; `field` says where.
    """
    target = _ref(part, "target_ref", project)
    if part.corrects is not None:
        _check_correction(part)
    if part.retracts is not None:
        _check_retraction(part)
    elif part.type.startswith(RUNNABLE):
        _check_runnable(part, project)
    elif part.type.startswith(ANNOTATION):
        _check_annotation(part, project)
    else:
        for field in _REF_FIELDS:
            if getattr(part, field) is not None:
                raise InvalidRecord(
                    f"feedback of type {part.type!r} takes no {field}; "
                    f"only {RUNNABLE}<name> and {ANNOTATION}<name> have references",
                    field=field,
                )
        _check_plain(part)
    return target


def content(part: FeedbackPart) -> dict[str, Any]:
    """The payload as it is stored: a reaction with the name of its emoji and its form without a skin tone."""
    if part.type == REACTION and part.retracts is None:
        return reactions.parse(part.payload["emoji"]).payload
    return part.payload


@functools.lru_cache(maxsize=4096)
def version_ref(text: str) -> refs.Ref:
    """The reference of an op or object, of which many judgements have the same; raises `RefError`."""
    return refs.parse_ref(text)


def _check_correction(part: FeedbackPart) -> None:
    if part.retracts is not None:
        raise InvalidRecord(
            f"feedback that corrects {part.corrects!r} cannot retract {part.retracts!r} too; send two",
            field="corrects",
        )
    if part.corrects == part.id:
        raise InvalidRecord("a feedback cannot correct itself", field="corrects")


def _check_retraction(part: FeedbackPart) -> None:
    if part.payload:
        raise InvalidRecord(
            f"a retraction of feedback {part.retracts!r} says nothing itself; its payload is {{}}",
            field="payload",
        )
    for field in _REF_FIELDS:
        if getattr(part, field) is not None:
            raise InvalidRecord(f"a retraction takes no {field}", field=field)
    if part.retracts == part.id:
        raise InvalidRecord("a feedback cannot retract itself", field="retracts")


def _check_runnable(part: FeedbackPart, project: str) -> None:
    name = part.type[len(RUNNABLE) :]
    _check_keys(part, "output")
    if part.annotation_ref is not None:
        raise InvalidRecord(
            f"feedback of type {part.type!r} is made by a program and takes no annotation_ref",
            field="annotation_ref",
        )
    runnable = _ref(part, "runnable_ref", project)
    if runnable.kind not in refs.VERSIONED:
        raise InvalidRecord(
            f"runnable_ref {part.runnable_ref!r} names a {runnable.kind}; it must name an op or object",
            field="runnable_ref",
        )
    _check_name(part, "runnable_ref", runnable.name, name)
    if runnable.kind == "op" and part.call_ref is None:
        raise InvalidRecord(
            f"feedback of type {part.type!r} was made by an op and needs call_ref, the call that produced it",
            field="call_ref",
        )
    _check_optional_call(part, project)


def _check_annotation(part: FeedbackPart, project: str) -> None:
    name = part.type[len(ANNOTATION) :]
    _check_keys(part, "value")
    if part.runnable_ref is not None:
        raise InvalidRecord(
            f"feedback of type {part.type!r} is made to a specification and takes no runnable_ref",
            field="runnable_ref",
        )
    spec = _ref(part, "annotation_ref", project)
    if spec.kind != "object":
        raise InvalidRecord(
            f"annotation_ref {part.annotation_ref!r} names a {spec.kind}; it must name an object",
            field="annotation_ref",
        )
    _check_name(part, "annotation_ref", spec.name, name)
    _check_optional_call(part, project)


def _check_optional_call(part: FeedbackPart, project: str) -> None:
    if part.call_ref is not None and _ref(part, "call_ref", project).kind != "call":
        raise InvalidRecord(f"call_ref {part.call_ref!r} does not name a call", field="call_ref")
    if part.trigger_ref is not None:
        _ref(part, "trigger_ref", project)


def _check_plain(part: FeedbackPart) -> None:
    if part.type == REACTION:
        _check_reaction(part)
    elif part.type == NOTE:
        _check_keys(part, "note")
        note = part.payload["note"]
        if not isinstance(note, str) or not note.strip():
            raise InvalidRecord("a note needs some text", field="payload.note")
        if len(note) > MAX_NOTE_CHARACTERS:
            raise InvalidRecord(
                f"a note has at most {MAX_NOTE_CHARACTERS:,} characters, this one {len(note):,}",
                field="payload.note",
            )
    elif not _FREE_TYPE.fullmatch(part.type):
        raise InvalidRecord(
            f"feedback type {part.type!r} is not a word; it begins with a letter and has letters, digits, '_', '.' and '-'",
            field="type",
        )


def _check_reaction(part: FeedbackPart) -> None:
    emoji = part.payload.get("emoji")
    if not part.payload.keys() <= _REACTION_KEYS or "emoji" not in part.payload:
        _check_keys(part, "emoji")
    if not isinstance(emoji, str):
        raise InvalidRecord(f"reaction {str(emoji)[:40]!r} is not one emoji", field="payload.emoji")
    # The shape is enough here, and spares a recording program the tables.
    if not reactions.is_emoji(emoji):
        reactions.parse(emoji)


def _check_keys(part: FeedbackPart, key: str) -> None:
    if list(part.payload) != [key]:
        raise InvalidRecord(
            f"feedback of type {part.type!r} has the payload {{{key!r}: …}}, not the keys {sorted(part.payload)[:8]}",
            field="payload",
        )


def _check_name(part: FeedbackPart, field: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise InvalidRecord(
            f"feedback of type {part.type!r} needs a {field} of the name {wanted!r}, not {found!r}",
            field=field,
        )


def _ref(part: FeedbackPart, field: str, project: str) -> refs.Ref:
    text: str | None = getattr(part, field)
    if text is None:
        raise InvalidRecord(f"feedback of type {part.type!r} needs {field}", field=field)
    try:
        ref = version_ref(text) if field in _VERSION_FIELDS else refs.parse_ref(text)
    except RefError as error:
        raise InvalidRecord(f"{field}: {error.message}", field=field) from error
    if ref.project != project:
        raise InvalidRecord(
            f"{field} {text!r} is in project {ref.project!r}, the feedback in {project!r}",
            field=field,
        )
    return ref
