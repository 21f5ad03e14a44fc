"""Batches as bytes: the JSON that travels between a program, the server and files.

A body is decoded in one go into typed records. Only where that fails is it taken apart, item by item, so
that one bad item does not cost the others: the bad ones become `Rejection`s that name place and value.
What has no items to keep (not JSON, not an object, no project, nested without end) is a `UsageError`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import Struct

from kibitz.base import errors
from kibitz.base.errors import InvalidRecord, KibitzError, TooLarge, UsageError
from kibitz.base.evaluations import EvaluationPart
from kibitz.base.records import (
    Batch,
    CallPart,
    FeedbackPart,
    FilePart,
    ObjectPart,
    Receipt,
    Rejection,
)

MEDIA_TYPE = "application/json"

Item = CallPart | FeedbackPart | ObjectPart | FilePart | EvaluationPart
ItemKind = Literal["call", "feedback", "object", "file", "evaluation"]
T = TypeVar("T")

_LISTS: dict[str, tuple[ItemKind, type[Item]]] = {
    "calls": ("call", CallPart),
    "feedback": ("feedback", FeedbackPart),
    "objects": ("object", ObjectPart),
    "files": ("file", FilePart),
    "evaluations": ("evaluation", EvaluationPart),
}
_batch_decoder = msgspec.json.Decoder(Batch)
_item_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for _, kind in _LISTS.values()
}
_encoder = msgspec.json.Encoder()

# What msgspec raises for bytes that it cannot read; a number out of range is a ValidationError.
_Unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PLACE = re.compile(r"^(?P<text>.*?)(?: - at `(?P<place>\$?[^`]*)`)?$", re.DOTALL)
_FIELD_IN_TEXT = re.compile(r"(?:unknown|required) field `([^`]*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_SHOWN_CHARACTERS = 80
_SHOWN_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A body that was read: what can be stored, and what cannot and why."""

    batch: Batch
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    positions: dict[ItemKind, list[int]] = field(default_factory=dict[ItemKind, list[int]])
    """Where the items of `batch` stood in the body, for the kinds that lost some."""

    def receipt(self, stored: Receipt) -> Receipt:
        """The receipt for the whole body, with positions as the sender counts them."""
        if not self.rejected:
            return stored
        moved = [
            msgspec.structs.replace(each, index=self.positions[each.kind][each.index])
            if each.kind in self.positions
            else each
            for each in stored.rejected
        ]
        rejected = sorted(self.rejected + moved, key=lambda each: (each.kind, each.index))
        return msgspec.structs.replace(stored, rejected=rejected)


def encode(batch: Batch) -> bytes:
    """A batch as JSON; `decode` gives the same batch back.

    Raises:
        InvalidRecord: a value in it is not JSON (`jsonable` makes any value JSON).
    """
    return encode_record(batch)


def encode_record(record: Struct | dict[str, Any] | list[Any]) -> bytes:
    """Any record, or plain JSON value, as JSON.

    Raises:
        InvalidRecord: a value in it is not JSON.
    """
    try:
        return _encoder.encode(record)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidRecord(
            f"a {type(record).__name__} cannot be written as JSON: {error}; values must be JSON kinds"
        ) from error


def decode(body: bytes, *, max_items: int | None = None) -> Delivery:
    """Read a body that holds a batch.

    Raises:
        UsageError: nothing of it can be kept; the message says where reading stopped.
        TooLarge: it has more than `max_items` items.
    """
    try:
        delivery = Delivery(batch=_batch_decoder.decode(body))
    except (*_Unreadable, msgspec.ValidationError):
        delivery = _decode_apart(body)
    count = count_items(delivery.batch) + len(delivery.rejected)
    if max_items is not None and count > max_items:
        raise TooLarge(
            f"a batch of {count:,} items is over the limit of {max_items:,}; send it in parts",
            size=count,
            limit=max_items,
        )
    return delivery


def decode_as(kind: type[T], body: bytes, *, what: str = "the request") -> T:
    """Read a body that holds one record of a kind.

    Raises:
        UsageError: it does not; the message names place and value.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        place, text = _explain(error, _plain(body))
        raise UsageError(f"{what}: {text}", field=place) from error
    except _Unreadable as error:
        raise UsageError(_unreadable(what, error, body)) from error


def error_of(rejection: Rejection) -> KibitzError:
    """A rejection as the error that it would be if the item had come alone."""
    kind = errors.class_of(rejection.code) or InvalidRecord
    facts = dict(rejection.details)
    if rejection.field is not None:
        facts["field"] = rejection.field
    return kind(rejection.message, **facts)


def count_items(batch: Batch) -> int:
    """How many items a batch has, of all kinds."""
    return (
        len(batch.calls)
        + len(batch.feedback)
        + len(batch.objects)
        + len(batch.files)
        + len(batch.evaluations)
    )


def _decode_apart(body: bytes) -> Delivery:
    """Item by item, by way of the standard library's reader.

    It takes what msgspec refuses inside of a text or number (half a surrogate pair, bytes that are not
    UTF-8, NaN), so that the item with it can be told from the others; the item itself is then held to
    the strict reader.
    """
    try:
        plain: Any = json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise UsageError(_unreadable("the batch", error, body)) from error
    entries = _entries(plain)
    if entries is None:
        raise UsageError(f"the batch is {_show(plain)}, not an object with a project")
    for name in entries:
        if name != "project" and name not in _LISTS:
            known = ", ".join(["project", *_LISTS])
            raise UsageError(
                f"the batch has an unknown field {_show(name)}; known are {known}",
                field=_clean(name),
            )
    project = entries.get("project", _absent)
    if not isinstance(project, str):
        raise UsageError(
            f"the batch needs a project, a text; it has {_show(project)}", field="project"
        )
    kept: dict[str, list[Any]] = {}
    rejected: list[Rejection] = []
    positions: dict[ItemKind, list[int]] = {}
    for name, (kind, record) in _LISTS.items():
        items = entries.get(name, [])
        if not isinstance(items, list):
            raise UsageError(f"{name} of the batch is {_show(items)}, not a list", field=name)
        kept[name] = []
        positions[kind] = []
        for index, item in enumerate(cast("list[Any]", items)):
            read = _decode_item(record, kind, name, index, item)
            if isinstance(read, Rejection):
                rejected.append(read)
            else:
                kept[name].append(read)
                positions[kind].append(index)
    return Delivery(
        batch=Batch(project=_clean(project), **kept), rejected=rejected, positions=positions
    )


def _decode_item(
    record: type[Item], kind: ItemKind, name: str, index: int, item: Any
) -> Item | Rejection:
    try:
        return _item_decoders[record].decode(json.dumps(item))
    except (*_Unreadable, msgspec.ValidationError, ValueError) as error:
        place, text = _explain(error, item)
        found = (_entries(item) or {}).get("id")
        return Rejection(
            kind=kind,
            index=index,
            id=_clean(found)[:64] if isinstance(found, str) else None,
            code=InvalidRecord.code,
            message=f"{name}[{index}]: {text}",
            field=place,
        )


def _plain(body: bytes) -> Any:
    """The body as far as another reader takes it, to show what was found in it."""
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return _absent


def _explain(error: Exception, plain: Any) -> tuple[str | None, str]:
    """(field, sentence) of what a reader refused in a value."""
    if isinstance(error, RecursionError):
        return None, "it is nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return _unpaired(plain)
    match = _PLACE.match(str(error))
    # An unknown word of a closed set is in it as a whole.
    text = (match["text"] if match else str(error))[:_SHOWN_TEXT]
    place = (match["place"] or "$") if match else "$"
    named = _FIELD_IN_TEXT.search(text)
    place = place.removeprefix("$").lstrip(".")
    if named:
        place = f"{place}.{named[1]}" if place else named[1]
        return place, f"{text[0].lower()}{text[1:]}" + (f" at {place}" if "." in place else "")
    value = _at(plain, place)
    shown = "" if value is _absent else f", got {_show(value)}"
    head = re.sub(r", got `[^`]*`$", "", text)
    return place or None, f"{place or 'the value'}: {head[0].lower()}{head[1:]}{shown}"


_absent = object()


def _unpaired(plain: Any) -> tuple[str | None, str]:
    """The first place below a value that strict JSON cannot say: half a surrogate pair, bytes that are no UTF-8, NaN."""
    waiting: list[tuple[str, Any]] = [("", plain)]
    while waiting:
        place, value = waiting.pop()
        if (entries := _entries(value)) is not None:
            for key, inner in entries.items():
                if _clean(key) != key:
                    return place or None, f"{place or 'the value'}: a key is not valid Unicode"
                waiting.append((f"{place}.{key}" if place else key, inner))
        elif isinstance(value, list):
            inside = enumerate(cast("list[Any]", value))
            waiting.extend((f"{place}[{at}]", inner) for at, inner in inside)
        elif isinstance(value, str) and _clean(value) != value:
            return place, f"{place}: the text {_show(value)} is not valid Unicode"
        elif isinstance(value, float) and (
            value != value or value in (float("inf"), -float("inf"))
        ):
            return place, f"{place}: {value} is not a JSON number"
    return None, "it is not valid JSON"


def _at(plain: Any, place: str) -> Any:
    """The value at a place, as far as the place says it exactly (`[...]` stands for any key)."""
    at = 0
    for step in _STEP.finditer("." + place if place and not place.startswith("[") else place):
        if step.start() != at:
            return _absent
        at = step.end()
        try:
            plain = plain[step[1]] if step[1] is not None else plain[int(step[2])]
        except (KeyError, IndexError, TypeError):
            return _absent
    length = len(place) + (1 if place and not place.startswith("[") else 0)
    return plain if at == length else _absent


def _unreadable(what: str, error: Exception, body: bytes) -> str:
    if isinstance(error, RecursionError):
        return f"{what} is nested too deeply to be read"
    if not body.strip():
        return f"{what} is empty; send JSON"
    if isinstance(error, json.JSONDecodeError):
        at = f"line {error.lineno} column {error.colno}"
        return f"{what} is not JSON: {error.msg} at {at} (character {error.pos} of {len(body)})"
    return f"{what} is not JSON: {error}"


def _entries(value: Any) -> dict[str, Any] | None:
    """The value where it is a JSON object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _clean(text: str) -> str:
    """The text with what UTF-8 cannot say replaced, so that an answer can carry it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _show(value: Any) -> str:
    """A value for a message: bounded, whatever it is."""
    if value is _absent:
        return "nothing"
    if value is None:
        return "null"
    if (entries := _entries(value)) is not None:
        return f"an object of {len(entries)} keys"
    if isinstance(value, list):
        return f"a list of {len(cast('list[Any]', value))}"
    text = ascii(value) if isinstance(value, str) and _clean(value) != value else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
