r"""Queries as text, as the command line, the search bar and addresses have them: parsed into nodes, and back.

    query       [condition] [sort [by] key, …] [limit N]
    condition   condition or condition  |  condition and condition  |  not condition  |  ( condition )
                all(condition, …)  |  any(condition, …)             and and or in another spelling
                field = value    != > >= < <=
                field [not] in (value, …)
                field [not] contains "text"    icontains: A-Z and a-z are the same
                field [not] matches "pattern"  imatches: capitals and small letters are the same
                field is [not] null
                exists field
                feedback.name                                       exists feedback.name
    key         field [asc | desc]
    field       as `text_fields` says, or size(field), number(field), integer(field), text(field), bool(field)
    value       as `text_values` says

`and` binds closer than `or`, `not` closer than both. Key words may be in capitals. A text is a text: "true" is
not true here, other than in JSON. A mistake is named with its place, which is `at`, and with what was meant.
The bounds are those of JSON, and the text has at most `MAX_CHARACTERS`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from kibitz.base.errors import QueryError
from kibitz.query import (
    fields,
    json_form,
    literals,
    patterns,
    text_fields,
    text_tokens,
    text_values,
    text_writing,
)
from kibitz.query.nodes import (
    MAX_LIMIT,
    And,
    CallQuery,
    ColumnField,
    Compare,
    Comparison,
    Contains,
    Exists,
    FeedbackField,
    Field,
    In,
    Literal_,
    Matches,
    Node,
    Not,
    Operand,
    Or,
    SortKey,
)
from kibitz.query.text_tokens import MAX_CHARACTERS, Token

_COMPARISONS: dict[str, Comparison] = {"=": "eq", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_HABITS = {
    "==": "=",
    "<>": "!=",
    "!": "not",
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or",
    "like": "icontains",
    "~": "matches",
    "regex": "matches",
    "regexp": "matches",
    "rlike": "matches",
    "has": "contains",
    "order": "sort",
    "orderby": "sort",
    "ascending": "asc",
    "descending": "desc",
}
"""What other languages write."""
_TEXT_TESTS = ("contains", "icontains", "matches", "imatches")
_OPERATORS = ("in", "not", *_TEXT_TESTS, "is")
_JOINS = ("and", "or", "sort", "limit")
_WHOLE = re.compile("[0-9]{1,9}")

_T = TypeVar("_T")

_Measured = tuple[Node, int]
"""A condition and how many conditions it is deep, as JSON counts them."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text asks for."""

    where: Node | None = None
    sort: tuple[SortKey, ...] = ()
    limit: int | None = None


def parse(
    text: str, *, known_types: Iterable[str] | None = None, now: datetime | None = None
) -> Parsed:
    """What a text asks for. An empty one asks for everything.

    Args:
        text: the query.
        known_types: the feedback types of the project, by which short names are resolved; read only where there
            is a short name. Without them `feedback.x` is `feedback.runnable.x`.
        now: what `now` means.

    Raises:
        QueryError: it cannot be understood. `at` is the offset of the character where it goes wrong, `says` what is
            wrong without the text and the caret that the message has, `suggestion` what was probably meant.
    """
    if len(text) > MAX_CHARACTERS:
        raise text_tokens.mistake(
            text,
            MAX_CHARACTERS,
            f"the query has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed",
        )
    for at, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            raise text_tokens.mistake(
                text, at, "half of a surrogate pair, which no stored text has"
            )
    return _Parser(text, text_fields.Types(known_types), now).query()


def format(
    where: Node | None = None, sort: Iterable[SortKey] = (), limit: int | None = None
) -> str:
    """The text of a query on one line; `parse` gives an equal one back, whatever types are known.

    Raises:
        QueryError: it has an AND or OR of nothing or another thing that no query says, or is longer than a text may be.
    """
    pieces = [text_writing.condition(where)] if where is not None else []
    keys = [text_fields.format(key.field) + " desc" * key.descending for key in sort]
    if keys:
        pieces.append(f"sort {', '.join(keys)}")
    if limit is not None:
        pieces.append(f"limit {limit}")
    text = " ".join(pieces)
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"the query has {len(text):,} characters as text; at most {MAX_CHARACTERS:,} are allowed"
        )
    return text


def combined(query: CallQuery, parsed: Parsed) -> CallQuery:
    """A query and a text together: both conditions hold, one of them sorts, the smaller limit counts.

    Raises:
        QueryError: both sort.
    """
    if query.sort and parsed.sort:
        raise QueryError("the text sorts, and sort is given beside it; leave one out", at="sort")
    return dataclasses.replace(
        query,
        where=both(query.where, parsed.where),
        sort=query.sort or parsed.sort,
        limit=query.limit if parsed.limit is None else min(query.limit, parsed.limit),
    )


def both(first: Node | None, second: Node | None) -> Node | None:
    """The condition that both hold; None is no condition."""
    if first is None or second is None:
        return second if first is None else first
    before = first.nodes if isinstance(first, And) else (first,)
    return And((*before, second))


class _Cursor:
    """Goes through the tokens of a text, and says what is wrong with one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = text_tokens.read(text)
        self._token = next(self._tokens)

    def _next(self) -> None:
        self._token = next(self._tokens)

    def _take(self, *words: str) -> bool:
        """Whether the next token is one of these; then it is behind us."""
        taken = self._token.says(*words)
        if taken:
            self._next()
        return taken

    def _expect(self, sign: str, says: str) -> Token:
        token = self._token
        if not self._take(sign):
            raise self._mistake(token, f"{says}; {sign} is missing before {token.shown}")
        return token

    def _close(self, opening: Token) -> None:
        token = self._token
        if token.kind == "end":
            raise self._mistake(opening, "this parenthesis is never closed; write ) where it ends")
        if not self._take(")"):
            raise self._wrong(token, ("and", "or"), "here comes ), and or or")

    def _placed(self, token: Token, read: Callable[[], _T]) -> _T:
        return text_tokens.placed(self._text, token, read)

    def _wrong(self, token: Token, known: tuple[str, ...], says: str) -> QueryError:
        """What to say of a token that stands where others are known."""
        word = token.text.lower() if token.kind in ("word", "sign") else ""
        close = _HABITS.get(word) or (fields.nearest(word, known) if word else None)
        meant = f"; did you mean {close!r}?" if close else f"; {says}"
        return self._mistake(token, f"{token.shown} is not understood here{meant}", close)

    def _mistake(self, token: Token, says: str, suggestion: str | None = None) -> QueryError:
        return text_tokens.mistake(self._text, token.at, says, suggestion)

    def _at_in(self, token: Token, position: object) -> int:
        """Where a character of a token stands in the text; its beginning, where escapes move it."""
        first = token.at + (token.kind == "text")
        is_plain = self._text[first : first + len(token.text)] == token.text
        return first + position if is_plain and isinstance(position, int) else token.at


class _Parser(_Cursor):
    """Parses one text; counts what it holds."""

    def __init__(self, text: str, types: text_fields.Types, now: datetime | None) -> None:
        super().__init__(text)
        self._types = types
        self._now = now
        self._nodes = 0
        self._values = 0
        self._patterns = 0
        self._open = 0

    def query(self) -> Parsed:
        where = None
        if self._token.kind != "end" and not self._token.says("sort", "limit"):
            where, _ = self._either()
        sort = self._sort() if self._take("sort") else ()
        limit = self._limit() if self._take("limit") else None
        if self._token.kind != "end":
            raise self._trailing(where is not None, bool(sort), limit is not None)
        return Parsed(where, sort, limit)

    # Conditions

    def _either(self) -> _Measured:
        return self._joined("or", self._each, Or)

    def _each(self) -> _Measured:
        return self._joined("and", self._one, And)

    def _joined(
        self, word: str, below: Callable[[], _Measured], kind: type[And] | type[Or]
    ) -> _Measured:
        at = self._token.at
        found = [below()]
        while self._take(word):
            found.append(below())
        return found[0] if len(found) == 1 else self._several(kind, found, at)

    def _several(self, kind: type[And] | type[Or], found: list[_Measured], at: int) -> _Measured:
        self._count(at)
        depth = 1 + max(depth for _, depth in found)
        self._check_depth(depth, at)
        return kind(tuple(node for node, _ in found)), depth

    def _one(self) -> _Measured:
        token = self._token
        if self._take("not"):
            return self._inside(token, self._one, negated=True)
        if self._take("("):
            found = self._inside(token, self._either)
            self._close(token)
            return found
        if token.says("all", "any"):
            kind = And if token.says("all") else Or
            self._next()
            opening = self._expect("(", f"{token.text} comes before conditions in parentheses")
            listed = [self._inside(token, self._either)]
            while self._take(","):
                listed.append(self._inside(token, self._either))
            self._close(opening)
            return self._several(kind, listed, token.at)
        self._count(token.at)
        return self._test()

    def _inside(
        self, token: Token, below: Callable[[], _Measured], *, negated: bool = False
    ) -> _Measured:
        self._open += 1
        self._check_depth(self._open, token.at)
        node, depth = below()
        self._open -= 1
        return self._negated(node, depth, token.at) if negated else (node, depth)

    def _negated(self, node: Node, depth: int, at: int) -> _Measured:
        # JSON has $ne for it, which is one condition.
        if isinstance(node, Compare) and node.operator == "eq":
            return Not(node), depth
        self._count(at)
        self._check_depth(depth + 1, at)
        return Not(node), depth + 1

    def _test(self) -> _Measured:
        if self._take("exists"):
            return Exists(self._field("a field comes after exists")), 1
        start = self._token
        field = self._field("a condition is missing here")
        token = self._token
        if token.kind == "sign" and (token.text in _COMPARISONS or token.text == "!="):
            self._next()
            operator = _COMPARISONS.get(token.text, "eq")
            node = Compare(field, operator, self._value(field, equality=operator == "eq"))
            return self._negated(node, 1, token.at) if token.text == "!=" else (node, 1)
        if token.says(*_OPERATORS):
            return self._worded(field, start)
        if token.text in _HABITS or not self._ends_condition(token):
            raise self._wrong(
                token, _OPERATORS, "after a field comes = != > >= < <= in contains matches is"
            )
        if _is_whole(field):
            return Exists(field), 1
        name = _short(text_fields.format(field))
        may_be_true = not isinstance(field, ColumnField) and not literals.is_number(field)
        truth = f"{name} = true, or " if may_be_true else ""
        raise self._mistake(
            start, f"{name} is not a condition by itself; write {truth}exists {name}"
        )

    def _worded(self, field: Operand, start: Token) -> _Measured:
        """A test whose operator is a word."""
        negation = self._token
        negated = self._take("not")
        token = self._token
        node: Node
        if self._take("in"):
            node = In(field, self._list(field))
        elif self._take(*_TEXT_TESTS):
            node = self._text_test(field, start, token)
        elif not negated and self._take("is"):
            negation = self._token
            negated = self._take("not")
            if not self._take("null"):
                raise self._mistake(
                    self._token, "after is comes null or not null; other values are compared with ="
                )
            node = Compare(field, "eq", None)
        else:
            raise self._wrong(
                token, ("in", *_TEXT_TESTS), "after not comes in, contains or matches"
            )
        return self._negated(node, 1, negation.at) if negated else (node, 1)

    def _list(self, field: Operand) -> tuple[Literal_, ...]:
        opening = self._expect("(", "after in come values in parentheses")
        values: list[Literal_] = []
        while not self._token.says(")"):
            if self._token.kind == "end":
                self._close(opening)
            if values:
                self._expect(",", "values are parted by commas")
            if len(values) == json_form.MAX_IN_VALUES:
                raise self._mistake(
                    self._token, f"at most {json_form.MAX_IN_VALUES:,} values are allowed"
                )
            values.append(self._value(field, equality=True))
        self._close(opening)
        return tuple(values)

    def _text_test(self, field: Operand, start: Token, operator: Token) -> Contains | Matches:
        if literals.is_number(field):
            raise self._mistake(
                start,
                f"{_short(text_fields.format(field))} is a number and contains no text; compare it with >= and <",
            )
        token = self._operand()
        text = self._placed(token, lambda: text_values.parse_text(token))
        folded = operator.says("icontains", "imatches")
        if operator.says("contains", "icontains"):
            return Contains(field, text, folded)
        self._patterns += 1
        if self._patterns > json_form.MAX_PATTERNS:
            raise self._mistake(token, f"the query has more than {json_form.MAX_PATTERNS} patterns")
        try:
            patterns.check(text, case_insensitive=folded)
        except QueryError as error:
            raise text_tokens.mistake(
                self._text, self._at_in(token, error.facts.get("position")), error.message
            ) from error
        return Matches(field, text, folded)

    def _value(self, field: Operand, *, equality: bool) -> Literal_:
        if _is_whole(field) and not self._token.says("null"):
            name = text_fields.format(field)
            raise self._mistake(
                self._token,
                f"{_short(name)} is a whole judgement; name what it says, such as "
                f"{_short(f'{name}.output')}, or ask whether it is there: {_short(name)}",
                f"{name}.output",
            )
        token = self._operand()
        return self._placed(
            token, lambda: text_values.parse(token, field, self._now, equality=equality)
        )

    def _operand(self) -> Token:
        token = self._token
        self._values += 1
        if self._values > json_form.MAX_VALUES:
            raise self._mistake(token, f"the query has more than {json_form.MAX_VALUES:,} values")
        if token.kind not in ("word", "text"):
            raise self._mistake(token, f"a value is missing before {token.shown}")
        if token.kind == "word":
            self._placed(token, lambda: text_values.check_bare(token))
        self._next()
        return token

    def _field(self, missing: str) -> Operand:
        token = self._token
        if token.says(*fields.FUNCTIONS):
            return self._applied(token)
        meant = text_fields.FUNCTION_HABITS.get(token.text.lower())
        if meant is not None and token.kind == "word":
            raise self._mistake(
                token, f"{token.shown} is not known; did you mean {meant!r}?", meant
            )
        return self._plain_field(missing)

    def _plain_field(self, missing: str) -> Field:
        token = self._token
        if token.text in _HABITS:
            raise self._wrong(token, (), missing)
        if token.kind == "text":
            raise self._mistake(token, f"{missing}; a field is written without quotes around it")
        if token.kind != "word" or token.says(*text_values.RESERVED):
            raise self._mistake(token, f"{missing}, before {token.shown}")
        field = self._placed(token, lambda: text_fields.parse(token.parts, self._types))
        self._next()
        return field

    def _applied(self, token: Token) -> Operand:
        """What a function makes of the field in parentheses after it."""
        self._next()
        name = token.text.lower()
        opening = self._expect("(", f"{name} comes before a field in parentheses")
        inner = self._token
        if inner.says(*fields.FUNCTIONS):
            raise self._mistake(inner, f"{name} is of a field alone; one function is enough")
        field = self._plain_field(f"{name} of what? A field is missing here")
        operand = fields.applied(name, field)
        self._placed(inner, lambda: literals.check_derived(operand, "here"))
        if not self._take(")"):
            if self._token.kind == "end":
                self._close(opening)
            raise self._mistake(self._token, f"here comes ) after the field of {name}", ")")
        return operand

    # Sort and limit

    def _sort(self) -> tuple[SortKey, ...]:
        self._take("by")
        keys = [self._key()]
        while self._take(","):
            if len(keys) == json_form.MAX_SORT_KEYS:
                raise self._mistake(
                    self._token, f"at most {json_form.MAX_SORT_KEYS} keys are allowed"
                )
            keys.append(self._key())
        return tuple(keys)

    def _key(self) -> SortKey:
        token = self._token
        field = self._field("a field to sort by is missing here")
        if _is_whole(field):
            name = text_fields.format(field)
            raise self._mistake(
                token,
                f"{_short(name)} is a whole judgement and has no order; name what it says, such as "
                f"{_short(f'{name}.output')}",
                f"{name}.output",
            )
        descending = self._token.says("desc")
        self._take("asc", "desc")
        return SortKey(field, descending=descending)

    def _limit(self) -> int:
        token = self._token
        if token.kind == "word" and _WHOLE.fullmatch(token.text):
            limit = int(token.text)
            if 1 <= limit <= MAX_LIMIT:
                self._next()
                return limit
        raise self._mistake(token, f"a limit is a whole number from 1 to {MAX_LIMIT:,}")

    # Bounds and ends

    def _ends_condition(self, token: Token) -> bool:
        return token.kind == "end" or token.says(")", ",", *_JOINS)

    def _count(self, at: int) -> None:
        self._nodes += 1
        if self._nodes > json_form.MAX_NODES:
            raise text_tokens.mistake(
                self._text,
                at,
                f"the query has more than {json_form.MAX_NODES} conditions; "
                "use in for many values of one field",
            )

    def _check_depth(self, depth: int, at: int) -> None:
        if depth > json_form.MAX_DEPTH:
            raise text_tokens.mistake(
                self._text,
                at,
                f"nested deeper than {json_form.MAX_DEPTH} conditions; flatten it",
            )

    def _trailing(self, where: bool, sort: bool, limit: bool) -> QueryError:
        token = self._token
        if limit:
            return self._mistake(token, "nothing comes after the limit; the sort comes before it")
        if token.says(")"):
            return self._mistake(token, "this parenthesis closes nothing")
        if sort:
            return self._wrong(
                token, ("asc", "desc", "limit"), "here comes asc, desc, a comma or limit"
            )
        return self._wrong(
            token, _JOINS if where else _JOINS[2:], "here comes and, or, sort or limit"
        )


def _is_whole(field: Operand) -> bool:
    """Whether a field is a whole judgement, of which can only be asked whether it is there."""
    return isinstance(field, FeedbackField) and literals.is_whole(field)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
