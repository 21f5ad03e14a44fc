"""What may stand at a place of a query as text, and what is wrong with it: for a search bar and a shell.

Pure: what a project has is asked of a `Known`, and only what the place needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from kibitz.base.api import Completion, Completions, Flaw
from kibitz.base.errors import QueryError
from kibitz.base.records import ScoreColumn
from kibitz.query import (
    fields,
    literals,
    text_fields,
    text_form,
    text_places,
    text_tokens,
    text_values,
)
from kibitz.query.nodes import (
    ColumnField,
    Convert,
    FeedbackField,
    Field,
    Literal_,
    Operand,
    PathField,
    Root,
    Size,
)
from kibitz.query.text_places import Named, Place

MAX_ITEMS = 50
MAX_WARNINGS = 5
_MAX_VALUE_CHARACTERS = 200
_ANY_TYPE = "*"
_KINDS = ("runnable", "annotation")

_COLUMN_DETAILS = {
    "started_at": "time",
    "ended_at": "time",
    "latency_ms": "duration",
    "cost": "USD",
    "input_tokens": "number",
    "output_tokens": "number",
    "tokens": "number",
}
_USUAL = ("op", "status", "latency", "started_at", "model", "tokens", "cost")
"""What is asked for most, so it comes first."""
_FUNCTION_DETAILS = {
    "size": "elements, keys or characters",
    "number": "as a number",
    "integer": "as a whole number",
    "text": "as a text",
    "bool": "as true or false",
}
_OPERATOR_DETAILS = {
    "=": "equal",
    "!=": "not equal",
    ">": "more",
    ">=": "at least",
    "<": "less",
    "<=": "at most",
    "in": "one of several",
    "not in": "none of several",
    "contains": "has the text",
    "not contains": "has not the text",
    "icontains": "has the text, A–Z as a–z",
    "matches": "a regular expression is found",
    "imatches": "the same, capitals or not",
    "is null": "is missing",
    "is not null": "is there",
}
_ORDER = (">", ">=", "<", "<=")
_TEXT_TESTS = ("contains", "not contains", "icontains", "matches", "imatches")
_TIMES = ("now-1h", "now-24h", "now-7d", "now-30d")
_DURATIONS = ("100ms", "500ms", "1s", "5s", "30s")
_KEYWORDS = {"null": ("null", "not null"), "direction": ("asc", "desc", "limit")}
_LIMITS = ("20", "50", "100", "1000")


class Known(Protocol):
    """What a project has, with how often; the most often first."""

    def ops(self) -> Sequence[tuple[str, int]]: ...

    def statuses(self) -> Sequence[tuple[str, int]]: ...

    def types(self) -> Sequence[tuple[str, int]]:
        """The types of feedback."""
        ...

    def columns(self) -> Sequence[ScoreColumn]:
        """What feedback says."""
        ...

    def authors(self) -> Sequence[str]:
        """Who judged."""
        ...

    def paths(self, root: Root) -> Sequence[tuple[tuple[str, ...], int]]:
        """Places that calls have; those of the newest are enough."""
        ...

    def values(self, field: Field) -> Sequence[tuple[Literal_, int]]:
        """What there is at a field; of calls, the newest are enough."""
        ...


def complete(text: str, at: int, known: Known, now: datetime) -> Completions:
    """What may stand at an offset of a text, and what is wrong with the text.

    Args:
        at: characters from the beginning; behind the end it is the end.
        known: what the project has.
        now: what `now` in the text means.
    """
    at = min(at, len(text))
    types = text_fields.Types(_names(known))
    place = text_places.find(text, at, types)
    found = list(_matching(_choices(place, known), place))
    error = _error(text, known, now)
    return Completions(
        start=place.start,
        end=place.end,
        items=found[:MAX_ITEMS],
        error=error,
        warnings=[] if error is not None else _warnings(text, known, types),
    )


def _names(known: Known) -> Iterator[str]:
    """The types of feedback; nothing is read before the first is asked for."""
    yield from (name for name, _ in known.types())


# What may stand there


def _choices(place: Place, known: Known) -> Iterator[Completion]:
    match place.expected:
        case "condition" | "field" | "key":
            yield from _operands(place, known)
        case "operator":
            yield from _operators(place, known)
        case "value" | "list":
            yield from _values(place, known)
        case "join":
            yield from _joins(place)
        case "limit":
            yield from (Completion(text=each, label=each, kind="value") for each in _LIMITS)
        case "test":
            yield from map(_operator, ("in", "contains", "icontains", "matches", "imatches"))
        case _:
            yield from _keywords(_KEYWORDS.get(place.expected, ()))


def _operands(place: Place, known: Known) -> Iterator[Completion]:
    if place.expected == "condition":
        yield from _keywords(("not", "exists"))
    yield from _fields(place, known)
    if place.expected != "field":
        yield from _functions()
    if place.expected == "condition" and not place.is_inner and place.start == 0:
        yield from _keywords(("sort", "limit"))


def _joins(place: Place) -> Iterator[Completion]:
    return _keywords(("and", "or") if place.is_inner else ("and", "or", "sort", "limit"))


def _keywords(words: Iterable[str]) -> Iterator[Completion]:
    return (Completion(text=each, label=each, kind="keyword") for each in words)


def _functions() -> Iterator[Completion]:
    for name in fields.FUNCTIONS:
        yield Completion(
            text=f"{name}(", label=f"{name}(…)", kind="function", detail=_FUNCTION_DETAILS[name]
        )


def _fields(place: Place, known: Known) -> Iterator[Completion]:
    yield from map(_column_field, _USUAL)
    yield from _feedback_fields(place, known)
    root, dot, _ = place.begun.partition(".")
    for each in fields.ROOTS:
        yield Completion(text=each, label=each, kind="field", detail="JSON")
        if place.begun and (not dot or root == each):
            for path, count in known.paths(each):
                written = text_fields.format(PathField(each, path))
                yield Completion(
                    text=written,
                    label=written,
                    kind="field",
                    detail="in the newest calls",
                    count=count,
                )
    yield from map(_column_field, fields.COLUMNS)


def _column_field(name: str) -> Completion:
    column = text_fields.ALIASES.get(name, name)
    return Completion(
        text=name, label=name, kind="field", detail=_COLUMN_DETAILS.get(column, "text")
    )


def _feedback_fields(place: Place, known: Known) -> Iterator[Completion]:
    resolved = text_fields.Types(_names(known))
    for type_, count in known.types():
        yield _of_feedback(FeedbackField(type_), resolved, "judged", count)
    for column in known.columns():
        path = fields.parse_path(column.path)
        detail = " or ".join(column.kinds)
        yield _of_feedback(FeedbackField(column.type, path), resolved, detail, column.count)
    yield Completion(
        text="feedback.[*]", label="feedback.[*]", kind="field", detail="any judgement"
    )
    yield from _below_feedback(place, resolved)


def _below_feedback(place: Place, types: text_fields.Types) -> Iterator[Completion]:
    """The parts of a judgement and the ways to take several, where its name has been written."""
    written, dot, _ = place.begun.rpartition(".")
    if not dot or not written.startswith(f"{text_fields.FEEDBACK}."):
        return
    named = text_places.named(written, types)
    found = named[0].operand if named else None
    if not isinstance(found, FeedbackField) or found.part != "payload" or found.path:
        return
    details = {"count": "how many judgements", "author": "who judged", "created_at": "when"}
    for word, detail in details.items():
        if found.over == "latest" or word != "count":
            text = f"{written}.{word}"
            yield Completion(text=text, label=text, kind="field", detail=detail)
    if found.over == "latest":
        for over in fields.OVERS[1:]:
            text = f"{written}.{over}"
            yield Completion(text=text, label=text, kind="field", detail="over all authors")


def _of_feedback(
    field: FeedbackField, types: text_fields.Types, detail: str, count: int
) -> Completion:
    text = _short_name(field, types)
    return Completion(text=text, label=text, kind="field", detail=detail, count=count)


def _short_name(field: FeedbackField, types: text_fields.Types) -> str:
    """The field with the name of the feedback alone, where that is enough."""
    kind, dot, name = field.type.partition(".")
    if not dot or kind not in _KINDS:
        name = field.type
    try:
        # What is a word of the language by itself needs its kind before it.
        is_enough = types.resolve(name) == field.type and name not in _KINDS
    except QueryError:
        is_enough = False
    written = text_fields.format(field)
    if not is_enough:
        return written
    whole = text_fields.format(FeedbackField(field.type))
    return f"{text_fields.FEEDBACK}.{text_fields.key(name)}{written.removeprefix(whole)}"


def _operator(text: str) -> Completion:
    return Completion(text=text, label=text, kind="operator", detail=_OPERATOR_DETAILS[text])


def _operators(place: Place, known: Known) -> Iterator[Completion]:
    operand = place.operand
    if isinstance(operand, FeedbackField) and literals.is_whole(operand):
        yield from _joins(place)
        return
    kinds = _kinds(operand, known)
    names = ["=", "!="]
    if not kinds or "number" in kinds:
        names += _ORDER
    if kinds != {"bool"}:
        names.append("in")
    if not kinds or "text" in kinds:
        names += _TEXT_TESTS
        if "number" not in kinds and kinds:
            names += _ORDER
    names += ["not in", "is null", "is not null"]
    yield from map(_operator, names)


def _kinds(operand: Operand | None, known: Known) -> set[str]:
    """Which kinds of values an operand has; empty where it may be any."""
    match operand:
        case None | PathField():
            return set()
        case Convert(_, to):
            return {"integer": {"number"}}.get(to, {to})
        case Size():
            return {"number"}
        case ColumnField():
            return {"number"} if literals.is_number(operand) else {"text"}
        case FeedbackField():
            if literals.is_number(operand):
                return {"number"}
            if operand.over == "agree":
                return {"bool"}
            if operand.part == "author":
                return {"text"}
            column = _column(operand, known)
            return set() if column is None else set(column.kinds)


def _column(field: FeedbackField, known: Known) -> ScoreColumn | None:
    wanted = tuple(part for part in field.path if not fields.is_index(part))
    for column in known.columns():
        if column.type == field.type and fields.parse_path(column.path) == wanted:
            return column
    return None


def _values(place: Place, known: Known) -> Iterator[Completion]:
    operand = place.operand
    if operand is None:
        return
    usual = _TIMES if literals.is_time(operand) else ()
    if operand == ColumnField("latency_ms"):
        usual = _DURATIONS
    yield from (Completion(text=each, label=each, kind="value") for each in usual)
    if usual:
        return
    for value, count in _counted(operand, known):
        text = _written(operand, value, place)
        if text is not None:
            label = value if isinstance(value, str) else text
            yield Completion(text=text, label=label, kind="value", count=count)


def _counted(operand: Operand, known: Known) -> Iterator[tuple[Literal_, int | None]]:
    """The values that there are beside an operand."""
    kinds = _kinds(operand, known)
    match operand:
        case ColumnField("op"):
            yield from known.ops()
        case ColumnField("status"):
            yield from known.statuses()
        case FeedbackField(part="author"):
            yield from ((name, None) for name in known.authors() if name)
        case ColumnField() | PathField():
            yield from known.values(operand)
        case FeedbackField() if "text" in kinds:
            yield from known.values(operand)
        case _:
            pass
    if "bool" in kinds:
        yield from ((True, None), (False, None))


def _written(operand: Operand, value: Literal_, place: Place) -> str | None:
    """A value as it is written at a place; None where it cannot be."""
    if isinstance(value, str) and len(value) > _MAX_VALUE_CHARACTERS:
        return None
    try:
        text = text_values.format(operand, value)
    except QueryError:
        return None
    if not place.is_quoted:
        return text
    return text_tokens.quote(value) if isinstance(value, str) else None


def _matching(choices: Iterable[Completion], place: Place) -> list[Completion]:
    """What goes with the letters that are there: what begins so, then what has a key that does, then the rest."""
    begun = place.begun.casefold()
    ranked: list[tuple[int, int, int, Completion]] = []
    seen: set[str] = set()
    for order, each in enumerate(choices):
        if each.text in seen:
            continue
        seen.add(each.text)
        rank = _rank(each, begun)
        if rank is not None:
            counted = -(each.count or 0) if begun or each.kind == "value" else 0
            ranked.append((rank, counted, order, each))
    ranked.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in ranked]


def _rank(each: Completion, begun: str) -> int | None:
    if not begun:
        return 0
    text = each.label.casefold()
    if text.startswith(begun) or each.text.casefold().startswith(begun):
        return 0
    if f".{begun}" in text or f" {begun}" in text:
        return 1
    # `feedback.runnable.x` and `feedback.[runnable.x` for what is offered by its name alone.
    text, begun = (each.replace("[", "").replace('"', "") for each in (text, begun))
    if text.startswith(begun):
        return 0
    for kind in _KINDS:
        prefix = f"feedback.{kind}."
        if begun.startswith(prefix) and text.startswith(f"feedback.{begun[len(prefix) :]}"):
            return 0
    return 2 if len(begun) >= 3 and begun in text else None


# What is wrong


def _error(text: str, known: Known, now: datetime) -> Flaw | None:
    try:
        text_form.parse(text, known_types=_names(known), now=now)
    except QueryError as error:
        at = error.facts.get("at")
        position = at if isinstance(at, int) else len(text)
        says = error.facts.get("says")
        return Flaw(
            message=says if isinstance(says, str) else error.message,
            position=position,
            length=_length(text, position),
            suggestion=error.facts.get("suggestion"),
        )
    return None


def _length(text: str, position: int) -> int:
    """How long the word at a place is."""
    try:
        for token in text_tokens.read(text):
            if token.kind == "end" or token.at > position:
                break
            if token.kind != "text" and position < token.at + len(token.text):
                return token.at + len(token.text) - position
    except QueryError:
        pass
    return 1 if position < len(text) else 0


def _warnings(text: str, known: Known, types: text_fields.Types) -> list[Flaw]:
    """The names in a text that nothing in the project has."""
    found: list[Flaw] = []
    for each in text_places.named(text, types):
        flaw = _unknown_value(each, known) if each.is_value else _unknown_field(each, known)
        if flaw is not None:
            found.append(flaw)
            if len(found) == MAX_WARNINGS:
                break
    return found


def _unknown_value(each: Named, known: Known) -> Flaw | None:
    if each.operand != ColumnField("op") or each.token.text.lower() == "null":
        return None
    names = [name for name, _ in known.ops()]
    if not names or any(each.token.text in name for name in names):
        return None
    return _flaw(each, f"no call has the op {_shown(each.token.text)}", names)


def _unknown_field(each: Named, known: Known) -> Flaw | None:
    field = each.operand.field if isinstance(each.operand, Size | Convert) else each.operand
    if not isinstance(field, FeedbackField) or field.type == _ANY_TYPE:
        return None
    types = [name for name, _ in known.types()]
    if field.type not in types:
        return _flaw(each, f"there is no feedback {_shown(field.type)} yet", types)
    columns = [column for column in known.columns() if column.type == field.type]
    if not field.path or _column(field, known) is not None or not columns:
        return None
    paths = [column.path for column in columns]
    path = fields.format_path(field.path)
    close = fields.nearest(path, paths)
    hint = "" if close is None else f"; did you mean {close!r}?"
    suggestion = None
    if close is not None:
        meant = FeedbackField(
            field.type, fields.parse_path(close), field.over, field.part, field.version
        )
        suggestion = text_fields.format(meant)
    return Flaw(
        message=f"no feedback {_shown(field.type)} says {_shown(path)}{hint}",
        position=each.token.at,
        length=len(each.token.text),
        suggestion=suggestion,
    )


def _flaw(each: Named, says: str, names: list[str]) -> Flaw:
    wanted = each.token.text if each.is_value else _type(each)
    # What every type begins with says nothing about which one is meant.
    by_name = {name if each.is_value else _bare(name): name for name in names[:256]}
    near = fields.nearest(wanted if each.is_value else _bare(wanted), by_name)
    close = None if near is None else by_name[near]
    hint = "" if close is None else f"; did you mean {close!r}?"
    suggestion = None
    if close is not None:
        suggestion = (
            text_values.format(each.operand, close)
            if each.is_value
            else text_fields.format(FeedbackField(close))
        )
    return Flaw(
        message=says + hint,
        position=each.token.at,
        length=len(each.token.text) + 2 * (each.token.kind == "text"),
        suggestion=suggestion,
    )


def _bare(type_: str) -> str:
    return type_.removeprefix("runnable.").removeprefix("annotation.")


def _type(each: Named) -> str:
    field = each.operand.field if isinstance(each.operand, Size | Convert) else each.operand
    return field.type if isinstance(field, FeedbackField) else ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
