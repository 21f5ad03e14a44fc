"""Whether an answer fits what was asked: values held to the controls of a specification. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from kibitz.base import controls
from kibitz.base.controls import Control, show
from kibitz.base.errors import InvalidAnswer

MISSING: Any = object()
"""What a `Look` gives for a place that the call does not have."""
Look = Callable[[tuple[str, ...]], Any]
"""Gives the value at a place of the judged call, or `MISSING`; spans are compared with it."""
_SPAN_KEYS = frozenset({"start", "end", "label", "text"})


def check(control: Control, value: object, *, of: str, look: Look | None = None) -> None:
    """Hold an answer to a control.

    Args:
        control: what was asked for.
        value: the answer, a JSON value.
        of: the name of the specification, for the message.
        look: how to see the call that was judged; None where it is not known.

    Raises:
        InvalidAnswer: it does not fit; `field` says where, `rule` which keyword and `allowed` its value.
    """
    _Check(of, look).answer(control, value, ())


@dataclass(frozen=True, slots=True)
class _Check:
    of: str
    look: Look | None

    def wrong(
        self, path: tuple[str, ...], value: object, rule: str, allowed: object, says: str
    ) -> InvalidAnswer:
        """The error for a value; `says` goes on from the name of the specification."""
        what = ".".join(path) or "the value"
        return InvalidAnswer(
            f"{what} is {show(value)}; {self.of} {says}",
            field=".".join(("payload", "value", *path)),
            rule=rule,
            allowed=allowed,
            value=show(value),
        )

    def answer(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        if value is None and (control.nullable or control.kind == "correction"):
            if control.kind == "correction" and not control.nullable:
                self._correction(control, value, path)
            return
        match control.kind:
            case "number" | "integer":
                self._number(control, value, path)
            case "boolean" | "thumbs":
                if not isinstance(value, bool):
                    raise self.wrong(path, value, "type", "boolean", "allows true or false")
            case "choice":
                self._option(control, value, path, "enum")
            case "choices" | "ranking":
                self._choices(control, value, path)
            case "text":
                self._text(control, value, path)
            case "spans":
                self._spans(control, value, path)
            case "correction":
                self._correction(control, value, path)
            case "fields":
                self._fields(control, value, path)

    def _number(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise self.wrong(path, value, "type", control.kind, f"allows {_a(control.kind)}")
        if control.kind == "integer" and value != math.floor(value):
            raise self.wrong(path, value, "type", "integer", "allows whole numbers")
        for rule, bound, words in (
            ("minimum", control.minimum, "at least"),
            ("maximum", control.maximum, "at most"),
            ("exclusiveMinimum", control.exclusive_minimum, "more than"),
            ("exclusiveMaximum", control.exclusive_maximum, "less than"),
        ):
            if bound is not None and not _holds(rule, value, bound):
                raise self.wrong(path, value, rule, bound, f"allows {words} {show(bound)}")
        step = control.multiple_of
        if step is not None and controls.exact(value) % controls.exact(step):
            raise self.wrong(path, value, "multipleOf", step, f"allows multiples of {show(step)}")

    def _text(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        if not isinstance(value, str):
            raise self.wrong(path, value, "type", "string", "allows a text")
        if len(value) > control.max_length:
            raise self.wrong(
                path,
                value,
                "maxLength",
                control.max_length,
                f"allows at most {control.max_length:,} characters, this has {len(value):,}",
            )
        if len(value) < control.min_length:
            raise self.wrong(
                path,
                value,
                "minLength",
                control.min_length,
                f"needs at least {control.min_length:,} characters, this has {len(value):,}",
            )

    def _option(self, control: Control, value: object, path: tuple[str, ...], rule: str) -> None:
        if isinstance(value, str | int | float) and controls.key(value) in control.keys:
            return
        raise self.wrong(
            path,
            value,
            rule,
            list(control.options),
            f"allows {_listed([show(option) for option in control.options])}",
        )

    def _list(self, control: Control, value: object, path: tuple[str, ...]) -> list[Any]:
        items = controls.elements(value)
        if items is None:
            raise self.wrong(path, value, "type", "array", "allows a list")
        for rule, limit, broken, words in (
            ("minItems", control.min_items, len(items) < control.min_items, "needs at least"),
            ("maxItems", control.max_items, len(items) > control.max_items, "allows at most"),
        ):
            if broken:
                raise self.wrong(
                    path, value, rule, limit, f"{words} {limit} entries, this has {len(items)}"
                )
        return items

    def _choices(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        items = self._list(control, value, path)
        seen: set[tuple[str, Any]] = set()
        for at, item in enumerate(items):
            self._option(control, item, (*path, str(at)), "enum")
            if controls.key(item) in seen:
                raise self.wrong(
                    (*path, str(at)), item, "uniqueItems", True, "allows each option once"
                )
            seen.add(controls.key(item))

    def _spans(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        text = self._text_of(control, value, path)
        seen: set[tuple[int, int, str]] = set()
        for at, item in enumerate(self._list(control, value, path)):
            place = (*path, str(at))
            span = controls.entries(item)
            if span is None or not {"start", "end", "label"} <= span.keys():
                raise self.wrong(
                    place, item, "type", "span", "allows {start, end, label, and maybe text}"
                )
            for name in span:
                if name not in _SPAN_KEYS:
                    raise self.wrong(
                        (*place, name),
                        span[name],
                        "additionalProperties",
                        sorted(_SPAN_KEYS),
                        "allows start, end, label and text",
                    )
            start = self._position(span, "start", place, 0)
            end = self._position(span, "end", place, start + 1)
            self._option(control, span["label"], (*place, "label"), "labels")
            same = (start, end, span["label"])
            if same in seen:
                raise self.wrong(place, span, "uniqueItems", True, "allows each span once")
            seen.add(same)
            self._extract(control, span, end, text, place)

    def _position(self, span: dict[str, Any], name: str, place: tuple[str, ...], least: int) -> int:
        found = span[name]
        if (
            isinstance(found, bool)
            or not isinstance(found, int | float)
            or not _is_finite(found)
            or found != math.floor(found)
            or found < least
        ):
            raise self.wrong(
                (*place, name), found, "span", least, f"allows a whole number from {least:,}"
            )
        return int(found)

    def _extract(
        self,
        control: Control,
        span: dict[str, Any],
        end: int,
        text: str | None,
        place: tuple[str, ...],
    ) -> None:
        """Hold a span to the text that it is of."""
        said = span.get("text", MISSING)
        if said is not MISSING and not isinstance(said, str):
            raise self.wrong((*place, "text"), said, "type", "string", "allows a text")
        length = int(span["end"]) - int(span["start"])
        if said is not MISSING and len(said) != length:
            raise self.wrong(
                (*place, "text"),
                said,
                "span",
                length,
                f"has {length:,} characters from start to end",
            )
        if text is None:
            return
        if end > len(text):
            raise self.wrong(
                (*place, "end"),
                end,
                "span",
                len(text),
                f"is about {control.field}, which ends at {len(text):,}",
            )
        found = text[int(span["start"]) : end]
        if said is not MISSING and said != found:
            raise self.wrong(
                (*place, "text"),
                said,
                "span",
                found[:200],
                f"has {show(found)} there in {control.field}",
            )

    def _text_of(self, control: Control, value: object, path: tuple[str, ...]) -> str | None:
        """The text that spans are of; None where it is not known yet."""
        if self.look is None:
            return None
        found = self.look(controls.field_path(control.field))
        if not isinstance(found, str):
            if value == []:
                return None
            says = "nothing" if found is MISSING else show(found)
            raise self.wrong(
                path,
                value,
                "field",
                control.field,
                f"marks pieces of a text, and {control.field} of the call is {says}",
            )
        return found

    def _correction(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        kind = _json_type(value)
        if control.types and kind not in control.types:
            whole = kind == "number" and value == math.floor(cast("float", value))
            if kind == "integer" and "number" in control.types:
                return
            if whole and "integer" in control.types:
                return
            raise self.wrong(
                path, value, "type", list(control.types), f"allows {_listed(list(control.types))}"
            )

    def _fields(self, control: Control, value: object, path: tuple[str, ...]) -> None:
        entries = controls.entries(value)
        if entries is None:
            raise self.wrong(path, value, "type", "object", "allows an object with its fields")
        known = dict(control.fields)
        for name in entries:
            if name not in known:
                at = (*path, str(name)[:100])
                raise InvalidAnswer(
                    f"{'.'.join(at)} is no field of {self.of}; it has {_listed(list(known))}",
                    field=".".join(("payload", "value", *at)),
                    rule="additionalProperties",
                    allowed=list(known),
                )
        for name, inner in control.fields:
            if name in entries:
                self.answer(inner, entries[name], (*path, name))
            elif name in control.required:
                at = (*path, name)
                raise InvalidAnswer(
                    f"{'.'.join(at)} is missing; {self.of} needs it",
                    field=".".join(("payload", "value", *at)),
                    rule="required",
                    allowed=sorted(control.required),
                )


def _holds(rule: str, value: float, bound: float) -> bool:
    match rule:
        case "minimum":
            return value >= bound
        case "maximum":
            return value <= bound
        case "exclusiveMinimum":
            return value > bound
        case _:
            return value < bound


def _is_finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            # JSON has no word for those that are not: what is stored is null.
            return "number" if math.isfinite(value) else "null"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _a(kind: str) -> str:
    return "a whole number" if kind == "integer" else "a number"


def _listed(words: list[str]) -> str:
    return ", ".join(words[:12]) + (" …" if len(words) > 12 else "")
