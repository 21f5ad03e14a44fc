r"""Keys and measures as text, as the API, the command line and addresses have them: parsed into nodes, and back.

    key       op, op_ref, model, author, attributes.env, feedback.x.output.category      a field of a query
              hour, day, week, month                                                     of started_at, in UTC
              day("Europe/Berlin"), day(UTC, ended_at)                                   in a zone, of another time
    measure   count, count(field)
              mean(field) sd(field) sum(field) min(field) max(field) distinct(field)
              quantile(field, 0.95), median(field), p95(field)
              share(field), share(field, value)
              histogram(field), histogram(field, 20), values(field), values(field, 10)
    order     a measure that is asked for, then asc or desc

Over feedback a field is type, author, author_kind, version, target, created_at, or a place in the payload:
payload.output.match, for which output.match will do. Fields are written as in a query's text, with its quotes and
short names. A mistake is named with its place, which is `at`, and with what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, get_args
from zoneinfo import ZoneInfo, available_timezones

from kibitz.base.errors import QueryError
from kibitz.query import aggregation as nodes
from kibitz.query import fields, text_fields, text_tokens, text_values
from kibitz.query.nodes import ColumnField, FeedbackField, PathField
from kibitz.query.text_tokens import Token

MAX_CHARACTERS = 2_000
"""Of one key or measure."""
UNITS: tuple[nodes.Unit, ...] = get_args(nodes.Unit)
ROW_FIELDS: tuple[nodes.FeedbackColumn, ...] = get_args(nodes.FeedbackColumn)
MEASURES = (
    "count", "mean", "sd", "sum", "min", "max", "quantile", "median",
    "share", "histogram", "values", "distinct",
)  # fmt: skip
_MOMENTS: tuple[nodes.Moment, ...] = get_args(nodes.Moment)
_HABITS = {
    "avg": "mean",
    "average": "mean",
    "std": "sd",
    "stddev": "sd",
    "stdev": "sd",
    "percentile": "quantile",
    "rate": "share",
    "true": "share",
    "hist": "histogram",
    "top": "values",
    "unique": "distinct",
    "nunique": "distinct",
    "n": "count",
    "date": "day",
    "scorer": "version",
}
"""What other tools call them."""
_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,4})?)")
_WHOLE = re.compile("[0-9]{1,9}")
_PAYLOAD = "payload"
_T = TypeVar("_T")
_W = TypeVar("_W", bound=str)


def parse_key(
    text: str, *, over: nodes.Over = "calls", known_types: Iterable[str] | None = None
) -> nodes.Key:
    """The key that a text says.

    Args:
        text: the key.
        over: what is grouped.
        known_types: the feedback types of the project, by which short names are resolved.

    Raises:
        QueryError: it says none. `at` is the offset of the character where it goes wrong, `suggestion` what was
            probably meant.
    """
    return _Parser(text, over, known_types).key()


def parse_measure(
    text: str, *, over: nodes.Over = "calls", known_types: Iterable[str] | None = None
) -> nodes.Measure:
    """The measure that a text says; arguments and errors as those of `parse_key`."""
    return _Parser(text, over, known_types).measure()


def parse_order(
    text: str, measures: Sequence[nodes.Measure], written: Sequence[str]
) -> nodes.Order:
    """The order that a text says: one of the measures, as it was written, and `asc` or `desc` (which may be left out).

    Raises:
        QueryError: it is no measure that is asked for.
    """
    name, _, way = text.strip().rpartition(" ")
    if way.lower() not in ("asc", "desc") or not name:
        name, way = text.strip(), "desc"
    name = name.strip()
    spelled = [format_measure(each) for each in measures]
    for known in (list(written), spelled):
        if name in known:
            return nodes.Order(known.index(name), descending=way.lower() == "desc")
    close = fields.nearest(name, written)
    way_out = f"did you mean {close!r}?" if close else "measure it too, or order by one of them"
    raise QueryError(
        f"order {_short(text)} is none of the measures {', '.join(map(_short, written))}; {way_out}",
        at="order",
        suggestion=close,
    )


def split(text: str) -> list[str]:
    """Keys or measures apart at commas; those within parentheses, brackets and quotes stay."""
    parts, depth, quote, escaped = [""], 0, "", False
    for character in text:
        if quote:
            if escaped or character == "\\":
                escaped = not escaped
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "([") - (character in ")]")
        if character == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def format_key(key: nodes.Key) -> str:
    """The text of a key; `parse_key` gives an equal one back, whatever types are known."""
    if isinstance(key, nodes.PlaceKey):
        return format_place(key.place)
    usual = key.place in (ColumnField("started_at"), nodes.RowField("created_at"))
    if usual and key.zone == nodes.UTC:
        return key.unit
    arguments = [_zone_text(key.zone), *([] if usual else [format_place(key.place)])]
    return f"{key.unit}({', '.join(arguments)})"


def format_measure(measure: nodes.Measure) -> str:
    """The text of a measure; `parse_measure` gives an equal one back, whatever types are known."""
    match measure:
        case nodes.Count():
            return "count" if measure.place is None else f"count({format_place(measure.place)})"
        case nodes.OfNumbers(name, place):
            return f"{name}({format_place(place)})"
        case nodes.Quantile(place, q):
            return f"quantile({format_place(place)}, {q!r})"
        case nodes.Share(place, True):
            return f"share({format_place(place)})"
        case nodes.Share(place, value):
            return f"share({format_place(place)}, {_literal_text(value)})"
        case nodes.Histogram(place, bins):
            return f"histogram({format_place(place)}, {bins})"
        case nodes.Values(place, most):
            return f"values({format_place(place)}, {most})"
        case nodes.Distinct(place):
            return f"distinct({format_place(place)})"


def format_place(place: nodes.Place) -> str:
    """The text of a field of a call or of feedback."""
    match place:
        case nodes.RowField(name):
            return name
        case nodes.PayloadField(path):
            # What stands below a value is written like what stands below an output.
            return text_fields.format(PathField("output", path)).replace("output", _PAYLOAD, 1)
        case _:
            return text_fields.format(place)


class _Parser:
    """Parses one key or measure."""

    def __init__(self, text: str, over: nodes.Over, known_types: Iterable[str] | None) -> None:
        if len(text) > MAX_CHARACTERS:
            raise QueryError(
                f"{_short(text)} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed",
                at=MAX_CHARACTERS,
            )
        for at, character in enumerate(text):
            if "\ud800" <= character <= "\udfff":
                raise text_tokens.mistake(
                    text, at, "half of a surrogate pair, which no stored text has"
                )
        self._text = text
        self._over: nodes.Over = over
        self._types = text_fields.Types(known_types)
        self._tokens = text_tokens.read(text)
        self._token = next(self._tokens)

    def key(self) -> nodes.Key:
        token = self._token
        unit = _one_of(token.text.lower(), UNITS) if token.kind == "word" else None
        if unit is None:
            place = self._place("a key is missing; write op, day, or another field", UNITS)
            self._end()
            return nodes.PlaceKey(place)
        self._next()
        zone, place = nodes.UTC, self._usual_time()
        if self._take("("):
            zone = self._zone()
            if self._take(","):
                place = self._time()
            self._close()
        self._end()
        return nodes.TimeKey(unit, zone, place)

    def measure(self) -> nodes.Measure:
        token = self._token
        name = token.text.lower() if token.kind == "word" else ""
        percentile = _PERCENTILE.fullmatch(name)
        if name not in MEASURES and percentile is None:
            raise self._unknown(token, "a measure", MEASURES)
        self._next()
        if not self._take("("):
            if name == "count":
                self._end()
                return nodes.Count()
            raise self._mistake(self._token, f"{name} of what? Write {name}(FIELD)", f"{name}(")
        place = self._place(f"{name} of what? Write {name}(FIELD)")
        measure = self._of(name, percentile, place)
        self._close()
        self._end()
        return measure

    def _of(self, name: str, percentile: re.Match[str] | None, place: nodes.Place) -> nodes.Measure:
        if percentile is not None:
            return nodes.Quantile(place, float(percentile[1]) / 100)
        match name:
            case "count":
                return nodes.Count(place)
            case "quantile":
                return nodes.Quantile(place, self._quantile())
            case "median":
                return nodes.Quantile(place, 0.5)
            case "share":
                return nodes.Share(place, self._literal(place) if self._take(",") else True)
            case "histogram":
                return nodes.Histogram(place, self._number("bins", 1, nodes.MAX_BINS, 20))
            case "values":
                return nodes.Values(place, self._number("values", 1, nodes.MAX_VALUES, 10))
            case "distinct":
                return nodes.Distinct(place)
            case _:
                moment = _one_of(name, _MOMENTS)
                assert moment is not None, "every other measure has its case"
                return nodes.OfNumbers(moment, place)

    # Arguments

    def _place(self, missing: str, others: Sequence[str] = ()) -> nodes.Place:
        token = self._token
        if token.kind != "word":
            raise self._mistake(token, missing)
        if self._over == "feedback":
            place = self._of_row(token)
        else:
            word = token.text.lower()
            is_strange = len(token.parts) == 1 and word not in text_fields.ROOTS
            if is_strange and (_HABITS.get(word) in others or fields.nearest(word, others)):
                raise self._unknown(token, "a key", others)
            place = self._placed(token, lambda: text_fields.parse(token.parts, self._types))
        self._next()
        return place

    def _of_row(self, token: Token) -> nodes.Place:
        first, *below = token.parts
        column = _one_of(first.text, ROW_FIELDS)
        if column is not None and not below and not first.quoted:
            return nodes.RowField(column)
        if first.text == text_fields.FEEDBACK and below:
            raise self._mistake(
                token,
                f"over feedback a field is {', '.join(ROW_FIELDS)} or a place in the payload, such as "
                "payload.output; fields of calls are asked over calls",
            )
        if first.text != _PAYLOAD:
            below = [first, *below]
        if len(below) == 1 and below[0] is first and not first.quoted:
            close = _HABITS.get(first.text.lower()) or fields.nearest(first.text, ROW_FIELDS)
            if close in ROW_FIELDS:
                raise self._mistake(
                    token,
                    f"field {token.shown} is not known; did you mean {close!r}? "
                    f"The place in the payload is payload.{first.text[:80]}",
                    close,
                )
        return self._placed(token, lambda: _payload_place(below))

    def _usual_time(self) -> ColumnField | nodes.RowField:
        return ColumnField("started_at") if self._over == "calls" else nodes.RowField("created_at")

    def _time(self) -> ColumnField | nodes.RowField:
        token = self._token
        place = self._place("the time that is meant is missing")
        match place:
            case ColumnField("started_at" | "ended_at") | nodes.RowField("created_at"):
                return place
            case _:
                known = "started_at or ended_at" if self._over == "calls" else "created_at"
                raise self._mistake(token, f"{token.shown} is not a time; write {known}")

    def _zone(self) -> str:
        token = self._token
        if token.kind not in ("word", "text"):
            raise self._mistake(token, "a zone is missing here, such as Europe/Berlin")
        if token.text in (nodes.UTC, "utc", "Z"):
            self._next()
            return nodes.UTC
        try:
            ZoneInfo(token.text)
        except (OSError, ValueError, KeyError) as error:
            close = fields.nearest(token.text, sorted(available_timezones()))
            hint = f"; did you mean {close!r}?" if close else "; write one such as Europe/Berlin"
            raise self._mistake(
                token, f"there is no time zone {token.shown}{hint}", close
            ) from error
        self._next()
        return token.text

    def _quantile(self) -> float:
        says = "which quantile? Write a number from 0 to 1, as in quantile(latency, 0.95)"
        if not self._take(","):
            raise self._mistake(self._token, says)
        token = self._token
        try:
            found = float(token.text) if token.kind == "word" else -1.0
        except ValueError:
            found = -1.0
        if not 0 <= found <= 1:
            hint = f"; did you mean {found / 100:g}?" if 1 < found <= 100 else ""
            raise self._mistake(token, f"{token.shown} is not a number from 0 to 1{hint}")
        self._next()
        return found

    def _number(self, noun: str, least: int, most: int, usual: int) -> int:
        if not self._take(","):
            return usual
        token = self._token
        if not _WHOLE.fullmatch(token.text) or not least <= int(token.text) <= most:
            raise self._mistake(
                token, f"{token.shown} is not a number of {noun} from {least} to {most}"
            )
        self._next()
        return int(token.text)

    def _literal(self, place: nodes.Place) -> bool | int | float | str:
        token = self._token
        if token.kind not in ("word", "text"):
            raise self._mistake(token, "the value is missing whose share is meant")
        # Over feedback what a payload has may be of any kind, as what an output has.
        field = place
        if isinstance(place, nodes.RowField | nodes.PayloadField):
            field = ColumnField("author") if isinstance(place, nodes.RowField) else _ANY
        assert not isinstance(field, nodes.RowField | nodes.PayloadField)
        if token.kind == "word":
            self._placed(token, lambda: text_values.check_bare(token))
        value = self._placed(token, lambda: text_values.parse(token, field, None, equality=True))
        if value is None:
            raise self._mistake(
                token, "null is no value; count(FIELD) says how many have one, beside count"
            )
        self._next()
        return value

    # Tokens

    def _next(self) -> None:
        self._token = next(self._tokens)

    def _take(self, sign: str) -> bool:
        taken = self._token.says(sign)
        if taken:
            self._next()
        return taken

    def _close(self) -> None:
        if not self._take(")"):
            raise self._mistake(self._token, f") is missing before {self._token.shown}")

    def _end(self) -> None:
        if self._token.kind != "end":
            raise self._mistake(
                self._token, f"{self._token.shown} is too much; nothing comes here any more"
            )

    def _placed(self, token: Token, read: Callable[[], _T]) -> _T:
        return text_tokens.placed(self._text, token, read)

    def _unknown(self, token: Token, noun: str, known: Sequence[str]) -> QueryError:
        word = token.text.lower()
        close = _HABITS.get(word)
        if close not in known:
            close = fields.nearest(word, known)
        hint = f"did you mean {close!r}?" if close else f"known are {', '.join(known)}"
        return self._mistake(token, f"{token.shown} is not {noun}; {hint}", close)

    def _mistake(self, token: Token, says: str, suggestion: str | None = None) -> QueryError:
        return text_tokens.mistake(self._text, token.at, says, suggestion)


_ANY = PathField("output", ("value",))


def _payload_place(below: Sequence[Any]) -> nodes.PayloadField:
    for part in below:
        if not (part.text or part.quoted or part.bracketed):
            raise QueryError(
                'a key is missing here; the empty key is written ""', at=max(part.at - 1, 0)
            )
    path = tuple(part.text for part in below)
    checked = fields.parse(fields.format(FeedbackField("*", path)))
    assert isinstance(checked, FeedbackField)
    return nodes.PayloadField(checked.path)


def _one_of(word: str, known: Iterable[_W]) -> _W | None:
    return next((each for each in known if each == word), None)


def _zone_text(zone: str) -> str:
    return zone if re.fullmatch(r"[A-Za-z0-9_+/-]+", zone) else text_tokens.quote(zone)


def _literal_text(value: bool | float | str) -> str:
    if isinstance(value, str):
        return text_tokens.quote(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
