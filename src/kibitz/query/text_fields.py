r"""Fields in a query as text: what `fields` spells, with quotes for odd keys and short names for feedback.

    op, latency_ms (or latency), inputs.user.name, output, inputs."a.b"."c d"
    feedback.[any type].payload.path           as `fields` has it; `payload.` may be left out
    feedback.runnable.x.output.y               of type `runnable.x`; `feedback.annotation.x.value` likewise
    feedback.note, feedback.reaction           of these types
    feedback.x.output.y                        of the type that has the name `x`, see `Types`
    feedback.x.mean.output, feedback.x@3f9c.any.output, feedback.x.count, feedback.x.author

A name with dots or other odd characters is put in quotes: `feedback.runnable."my.scorer".output`. The words for
authors and parts (`mean`, `count`, `payload` …) are keys only in quotes or after `payload.`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kibitz.base import judgements
from kibitz.base.errors import QueryError
from kibitz.query import fields, text_tokens
from kibitz.query.nodes import (
    ColumnField,
    Convert,
    FeedbackField,
    FeedbackPartName,
    Field,
    Operand,
    Over,
    PathField,
    Size,
)
from kibitz.query.text_tokens import Part

W = TypeVar("W", bound=str)

ALIASES = {"latency": "latency_ms"}
FEEDBACK = "feedback"
FUNCTION_HABITS = {
    "len": fields.SIZE,
    "length": fields.SIZE,
    "int": "integer",
    "float": "number",
    "double": "number",
    "str": "text",
    "string": "text",
    "boolean": "bool",
}
"""What other languages call the functions of a field."""
ROOTS: tuple[str, ...] = (*fields.COLUMNS, *fields.ROOTS, FEEDBACK, *ALIASES)
"""What a field begins with."""

_KINDS = {
    "runnable": judgements.RUNNABLE,
    "annotation": judgements.ANNOTATION,
}
_FIXED = ("*", judgements.NOTE, judgements.REACTION)
_RESERVED = frozenset((*fields.OVERS, *fields.PARTS))
_BARE_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_VERSION = re.compile("[0-9a-f]{1,40}")
_MAX_NEAREST = 16
_MAX_CANDIDATES = 256


@dataclass(frozen=True, slots=True)
class ShortName(FeedbackField):
    """Feedback by a short name that is yet to be resolved, when the types of a project are known."""


def is_whole_type(name: str) -> bool:
    """Whether a name is a type whatever types are known."""
    return name in _FIXED or name.startswith(tuple(_KINDS.values()))


class Types:
    """Which feedback type a short name means.

    A known type of exactly this name, then `runnable.<name>` or `annotation.<name>`; where both are known, neither.
    A name that none is known by means `runnable.<name>`, unless it looks like a mistyped one: to ask for what has
    not been judged yet must be possible.
    """

    def __init__(self, known: Iterable[str] | None) -> None:
        self._known = known
        self._types: frozenset[str] | None = None
        self._missing: set[str] = set()

    def resolve(self, name: str) -> str:
        """The type that a name means; raises `QueryError` where it may be two, or is nearly one."""
        if is_whole_type(name):
            return name
        if self._known is None:
            return judgements.RUNNABLE + name
        if self._types is None:
            self._types = frozenset(self._known)
        if name in self._types:
            return name
        found = [type_ for each in _KINDS.values() if (type_ := each + name) in self._types]
        if len(found) == 1:
            return found[0]
        if found:
            several = [format(FeedbackField(each)) for each in found]
            raise QueryError(
                f"feedback {_short(name)} may be {' or '.join(several)}; write one of them",
                suggestion=several[0],
            )
        self._check_spelling(name, self._types)
        return judgements.RUNNABLE + name

    def _check_spelling(self, name: str, types: frozenset[str]) -> None:
        # A long query over many types must not look through all of them for each of its names.
        if name in self._missing or len(self._missing) >= _MAX_NEAREST:
            return
        self._missing.add(name)
        names = {each.removeprefix("runnable.").removeprefix("annotation.")[:64] for each in types}
        close = fields.nearest(name, sorted(names)[:_MAX_CANDIDATES])
        if close is not None:
            raise QueryError(
                f"there is no feedback {_short(name)}; did you mean {_short(close)}? "
                f"For one that may come write {format(FeedbackField(judgements.RUNNABLE + name))}",
                suggestion=f"{FEEDBACK}.{key(close)}",
            )


def parse(parts: Sequence[Part], types: Types) -> Field:
    """The field that a word names.

    Raises:
        QueryError: it names none; `at` is the character of the whole text where it goes wrong.
    """
    first, *below = parts
    if sum(len(each.text) + 1 for each in parts) > fields.MAX_CHARACTERS:
        raise QueryError(
            f"this field has more than {fields.MAX_CHARACTERS:,} characters", at=first.at
        )
    for part in below:
        if not (part.text or part.quoted or part.bracketed):
            raise QueryError(
                'a key is missing here; the empty key is written ""', at=max(part.at - 1, 0)
            )
    root = ALIASES.get(first.text, first.text)
    if root not in ROOTS:
        raise _unknown(first, parts)
    if root == FEEDBACK:
        return _checked(_feedback(first, below, types), first)
    path = tuple(each.text for each in below)
    written = f"{root}.{fields.format_path(path)}" if below else root
    try:
        return fields.parse(written)
    except QueryError as error:
        raise _placed(error, first) from error


def format(field: Operand) -> str:
    """The text of a field; `parse` gives the same field back, whatever types are known."""
    match field:
        case Size() | Convert():
            return f"{fields.function(field)}({format(field.field)})"
        case ColumnField(name):
            return name
        case PathField(root, path):
            return ".".join((root, *map(key, path)))
        case FeedbackField(type_, path, over, part, version):
            named = _short_name(type_) if isinstance(field, ShortName) else _type(type_)
            written = [f"{FEEDBACK}.{named}" + (f"@{version}" if version else "")]
            if over != "latest":
                written.append(over)
            if part != "payload":
                written.append(part)
            if path:
                # Right after the type these words are no keys, unless they are in quotes.
                first = text_tokens.quote(path[0]) if path[0] in _RESERVED else key(path[0])
                written.append(first)
            return ".".join((*written, *map(key, path[1:])))


def looks_like_field(parts: Sequence[Part]) -> bool:
    """Whether a word that stands where a value does could be meant as a field."""
    root = ALIASES.get(parts[0].text, parts[0].text)
    return root in ROOTS and (len(parts) == 1 or root not in fields.COLUMNS)


def _feedback(first: Part, below: list[Part], types: Types) -> FeedbackField:
    if not below:
        raise QueryError(
            "feedback of what? Write feedback.NAME, or feedback.[*] for any",
            at=first.at,
            suggestion="feedback.[*]",
        )
    named = below.pop(0)
    name, version = _versioned(named)
    if not (named.quoted or named.bracketed) and name in _KINDS:
        if version is not None or not below or below[0].bracketed:
            raise QueryError(f"feedback of which {name}? Write {FEEDBACK}.{name}.NAME", at=named.at)
        prefix = _KINDS[name]
        named = below.pop(0)
        name, version = _versioned(named)
        type_ = prefix + name
    elif named.bracketed:
        type_ = name
    else:
        type_ = _resolved(name, named, types)
    if not name:
        raise QueryError("the name of the feedback is empty", at=named.at)
    if version is not None and not _VERSION.fullmatch(version):
        raise QueryError(
            "after '@' comes the beginning of a version's digest, 1 to 40 of 0-9 and a-f",
            at=named.at,
        )
    over: Over = _taken(below, fields.OVERS) or "latest"
    part: FeedbackPartName = _taken(below, fields.PARTS) or "payload"
    if part != "payload" and below:
        raise QueryError(f"{part} has nothing below it", at=below[0].at)
    return FeedbackField(type_, tuple(each.text for each in below), over, part, version)


def _taken(below: list[Part], words: Iterable[W]) -> W | None:
    """The word that comes next, taken away, where it is one of these and no key in quotes."""
    if not below or below[0].quoted:
        return None
    found = next((each for each in words if each == below[0].text), None)
    if found is not None:
        below.pop(0)
    return found


def _versioned(part: Part) -> tuple[str, str | None]:
    if part.quoted or part.bracketed:
        return part.text, part.version
    name, at, version = part.text.partition("@")
    return name, version if at else None


def _resolved(name: str, part: Part, types: Types) -> str:
    try:
        return types.resolve(name)
    except QueryError as error:
        raise QueryError(
            error.message, at=part.at, suggestion=error.facts.get("suggestion")
        ) from error


def _checked(field: FeedbackField, first: Part) -> Field:
    """What `fields` makes of it, so that every spelling has the same bounds."""
    try:
        return fields.parse(fields.format(field))
    except QueryError as error:
        raise _placed(error, first) from error


def _placed(error: QueryError, part: Part) -> QueryError:
    return QueryError(error.message, at=part.at, suggestion=error.facts.get("suggestion"))


def _unknown(first: Part, parts: Sequence[Part]) -> QueryError:
    close = fields.nearest(first.text, ROOTS)
    if close is None:
        return QueryError(
            f"field {_short(first.text)} is not known; fields are {', '.join(fields.COLUMNS)}, "
            f"and places below {', '.join(fields.ROOTS)} and {FEEDBACK}",
            at=first.at,
        )
    path = "" if close in fields.COLUMNS else "".join(f".{key(each.text)}" for each in parts[1:])
    return QueryError(
        f"field {_short(first.text)} is not known; did you mean {_short(close + path)}?",
        at=first.at,
        suggestion=close + path,
    )


def _type(type_: str) -> str:
    for kind, prefix in _KINDS.items():
        if type_.startswith(prefix) and len(type_) > len(prefix):
            return f"{kind}.{key(type_.removeprefix(prefix))}"
    if type_ in (judgements.NOTE, judgements.REACTION):
        return type_
    return text_tokens.bracket(type_)


def _short_name(name: str) -> str:
    return text_tokens.quote(name) if name in _KINDS else key(name)


def key(part: str) -> str:
    """A key of a path, in quotes where it has to be."""
    return part if _BARE_KEY.fullmatch(part) else text_tokens.quote(part)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
