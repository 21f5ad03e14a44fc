"""The store gives what `query.reference` says, on data that is out to break it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import re
import struct
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import drawing
import msgspec
import pytest
import versions
import written
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kibitz.base import refs
from kibitz.base.records import Batch, Call, CallPart, ExceptionInfo, FeedbackPart
from kibitz.query import fields, json_form, reference
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Comparison,
    Contains,
    Convert,
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
    PathField,
    Size,
    SortKey,
)
from kibitz.storage import sqlite
from kibitz.storage.sqlite import planning
from kibitz.storage.sqlite.store import SqliteStore

CASES = written.cases()
OPERATORS: list[Comparison] = ["eq", "eq", "gt", "gte", "lt", "lte"]
_numbers = itertools.count()

# Data. Drawn by a seeded generator instead of strategies: these make some twenty times as many examples.

LONG = "long " * 60
KEYS = [
    "a",
    "b",
    "a.b",
    'a"b',
    "a\\b",
    "\\",
    "",
    "é",
    "日本",
    "🙂",
    "0",
    "1",
    "01",
    "-1",
    "[0]",
    "$",
    "#",
] + ["a\nb", "a\x7fb", "nul\0", "nul␀", "output", "$type", "a" * 300]
TEXTS = (
    [
        "",
        "a",
        "A",
        "1",
        "1.0",
        "-1",
        "true",
        "false",
        "null",
        "two words",
        "Two-Words_three",
        "é",
        "É",
    ]
    + [
        "e\u0301",
        "ÀB c",
        "日本 語",
        "🙂",
        "\uffff",
        "\ue000",
        "ß",
        "SS",
        "İ",
        "\N{KELVIN SIGN}",
        "ﬁ",
    ]
    + [
        '"',
        "\\",
        "\n",
        "\t",
        "\x01",
        "\x7f",
        "nul\0",
        "nul␀",
        "%",
        "_",
        "a%b_c",
        "''",
        "[1]",
        '{"a": 1}',
    ]
    + [
        LONG,
        LONG + "a",
        LONG + "b",
        LONG[:255],
        LONG[:256],
        LONG[:257],
        "é" * 256,
        "é" * 257,
        "x" * 70,
    ]
    + [" 12 ", "1e2", "-.5", "1.", "1e999", "TRUE", " False", "0", "0.0", "\u0661", "1_0", "nan"]
    + ["inf", "\xa01", "1\n", "9" * 400, "9" * 401, "12345678901234567890"]
    + [
        "first second third",
        "12 monkeys",
        "1e5",
        "x\u00adsoft",
        "tab\tbed",
        "comma,joined",
        "O'Neill",
    ]
)
ALIKE = [
    [LONG[:255] + "x", LONG[:255] + "y", LONG[:256], LONG[:257], "A" + LONG],
    ["a", "A", "ä", "a\u0308", "Ä"],
    ["true", "1", "1.0", "false", ""],
]
WORDS = [
    "first",
    "FIRST",
    "firsts",
    "second",
    "12",
    "112",
    "é",
    "\N{KELVIN SIGN}",
    "x" * 70,
    "kibitz",
]
GAPS = ["", " ", " ", "-", "_", ".", "\n", '"', "\\", "\0", "\u0301", "\u00ad", "–"]
NUMBERS = (
    [
        0,
        -0.0,
        1,
        1.0,
        -1,
        2,
        0.1,
        0.5,
        1e-7,
        5e-324,
        1e16,
        1e22,
        123456789012345678,
        2**53,
        2**53 + 1,
    ]
    + [2**53 + 2, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**308, 10**309, 10**400, -(10**400)]
    + [
        1.7976931348623157e308,
        2.2250738585072014e-308,
        0.30000000000000004,
        1 / 3,
        10**15,
        10**15 - 1,
    ]
)
CHARACTERS = [*"abAB 01.,-_", *'"\\\n\0', "é", "Ω", "ж", "語", "🙂", "\u0301", "\u200d", "\ufeff"]
TYPES = ["review", "review.again", "runnable.x", "runnable.a]b", "annotation.y", "note"]
RELEASES = [0, 1, 2]
DIGESTS = [
    refs.parse_ref(text).digest or ""
    for type_ in TYPES
    for release in RELEASES
    for text in versions.made_by("p", type_, release).values()
]
CALL_IDS = ["c0", "c1", "c2", "c3", "c4", "c5", "c6"]
LABELS = [None, None, "", "t", "T", "é", 'a"b', "%", "t " * 200]


class Draw(random.Random):
    """Draws hostile data and questions about it, from few keys and values at a time, so that they meet."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.keys = [*self.sample(KEYS, 2), self.choice(["a", "output", "kibitz"])]
        if self.random() < 0.4:
            self.texts = [self.phrase() for _ in range(5)]
        else:
            self.texts = [*self.sample(TEXTS, 2), *self.sample(self.choice(ALIKE), 3)]
        self.numbers = [*(self.number() for _ in range(2)), *self.sample(NUMBERS, 2)]
        self.types = self.sample(TYPES, 2)

    def rarely(self) -> bool:
        return self.random() < 0.15

    def number(self) -> float:
        match self.randrange(4):
            case 0 | 1:
                return self.choice(NUMBERS)
            case 2:
                (value,) = struct.unpack("d", self.randbytes(8))
                return value if math.isfinite(value) else 0.0
            case _:
                return self.choice([self.uniform(-2, 2), self.randrange(-(2**70), 2**70)])

    def text(self) -> str:
        if not self.rarely():
            return self.choice(self.texts)
        return "".join(self.choices(CHARACTERS, k=self.randrange(12)))

    def phrase(self) -> str:
        """Words that an index may cut one way and a substring another."""
        pieces = [self.choice(WORDS) + self.choice(GAPS) for _ in range(self.randrange(1, 5))]
        return self.choice(GAPS) + "".join(pieces)

    def scalar(self) -> Any:
        match self.randrange(6):
            case 0:
                return self.choice([None, True, False])
            case 1:
                return self.choice([0, 1, -1])
            case 2:
                return self.choice(self.numbers)
            case _:
                return self.text()

    def value(self, depth: int = 0) -> Any:
        if self.rarely() and depth == 0:
            return _nested(["a", "b"] * self.randrange(2, 7), self.value(1))
        if self.random() < 0.01:
            return self.choice([math.inf, -math.inf, math.nan])
        match self.randrange(8 if depth < 3 else 3):
            case 3:
                return [self.value(depth + 1) for _ in range(self.randrange(4))]
            case 4 | 5:
                return self.object(depth + 1)
            case _:
                return self.scalar()

    def object(self, depth: int = 0) -> dict[str, Any]:
        return {
            self.choice(self.keys): self.value(depth + 1)
            for _ in range(self.randrange(0 if self.rarely() else 1, 4))
        }

    def moment(self) -> datetime:
        return written.EPOCH + timedelta(microseconds=self.randrange(-2, 3))

    def call(self, project: str, call_id: str) -> list[CallPart]:
        """The parts of a call: a whole one, one that runs, or a start and a whole one."""
        started_at = self.moment()
        start = CallPart(
            id=call_id,
            trace_id=self.choice([None, "c0", "t"]),
            parent_id=self.choice([None, "c0", "c1"]),
            op=self.choice([None, "answer", "answer", "Answer", "é", 'o"p']),
            op_ref=self.choice([None, refs.op_ref(project, "answer", "0" * 40)]),
            kind=self.choice([None, "llm", "tool"]),
            display_name=self.choice(LABELS),
            thread_id=self.choice(LABELS),
            author=self.choice(LABELS),
            started_at=started_at,
            inputs=msgspec.UNSET if self.rarely() else self.object(),
            attributes=self.choice([None, self.object(), {"kibitz": self.value()}]),
        )
        if self.rarely():
            return [start]
        took = timedelta(microseconds=self.choice([0, 1, 1500, 10**6, -5]))
        whole = msgspec.structs.replace(
            start,
            ended_at=started_at + took,
            output=msgspec.UNSET if self.rarely() else self.value(),
            summary=self.choice([None, self.object(), self.summary()]),
            exception=ExceptionInfo(type="E", message=self.text()) if self.rarely() else None,
        )
        return [start, whole] if self.rarely() else [whole]

    def summary(self) -> dict[str, Any]:
        """Tokens and cost, as providers and others give them."""
        counts = [0, 1, 2, 15, 15.0, 1.5, -1, "1", True, None, 10**15, 10**400]
        names = ["input_tokens", "prompt_tokens", "cache_read_input_tokens", "output_tokens"]
        names += ["completion_tokens", "total_tokens", "cost", "a"]

        def used() -> dict[str, Any]:
            return {self.choice(names): self.choice(counts) for _ in range(self.randrange(4))}

        models = {self.choice(["gpt", "Gpt", "", "nul\0", *self.texts]): used() for _ in range(3)}
        said = {
            "usage": self.choice([models, models, used(), self.value()]),
            "cost": self.choice([0, -0.0, 0.1, 1, 1.0, 10**400, "1", self.scalar()]),
            "model": self.text(),
        }
        return {name: said[name] for name in said if not self.rarely()}

    def feedback(self, project: str, feedback_id: str) -> FeedbackPart:
        type_ = self.choice(self.types)
        kind = type_.partition(".")[0]
        references = versions.made_by(project, type_, self.choice(RELEASES))
        if references:
            payload = {"output" if kind == "runnable" else "value": self.value()}
        elif type_ == "note":
            payload = {"note": self.choice(["a", "two words", LONG + "a", "nul\0"])}
        else:
            payload = self.object()
            if self.random() < 0.06:
                # More leaves than a store keeps as scores, or nearly.
                payload = {f"k{n}": n for n in range(self.randrange(60, 90))} | payload
        target = refs.Ref(
            project=project,
            kind="trace" if self.rarely() else "call",
            name=self.choice([*CALL_IDS, *CALL_IDS, "never arrives"]),
        )
        return FeedbackPart(
            id=feedback_id,
            type=type_,
            target_ref=refs.format_ref(target),
            payload=payload,
            author=self.choice(["", "ann", "bob"]),
            author_kind=self.choice(["person", "program"]),
            created_at=self.moment(),
            **references,
        )

    def retraction(self, of: FeedbackPart, feedback_id: str) -> FeedbackPart:
        """Takes a judgement back, or means to and misses."""
        return FeedbackPart(
            id=feedback_id,
            type=self.choice(TYPES) if self.rarely() else of.type,
            target_ref=of.target_ref,
            payload={},
            author=self.choice([of.author, "eve"]),
            created_at=self.moment(),
            retracts=self.choice(["f0", "nobody", "r9"]) if self.rarely() else of.id,
        )

    def batches(self, project: str) -> list[Batch]:
        """Calls and feedback in any order, cut into batches, some of it delivered twice."""
        items: list[CallPart | FeedbackPart] = []
        for call_id in self.sample(CALL_IDS, self.randrange(1, 8)):
            items += self.call(project, call_id)
        judgements = [self.feedback(project, f"f{n}") for n in range(self.randrange(16))]
        items += judgements
        items += [
            self.retraction(self.choice(judgements), f"r{n}")
            for n in range(self.choice([0, 0, 1, 3]) if judgements else 0)
        ]
        self.shuffle(items)
        items += self.choices(items, k=self.choice([0, 0, 2]))
        batches: list[Batch] = []
        while items:
            size = self.randrange(len(items)) + 1
            now, items = items[:size], items[size:]
            calls = [each for each in now if isinstance(each, CallPart)]
            feedback = [each for each in now if isinstance(each, FeedbackPart)]
            objects = versions.named_by(feedback, RELEASES)
            batches.append(Batch(project=project, calls=calls, feedback=feedback, objects=objects))
        return batches

    def operand(self, places: Places) -> tuple[Operand, Any]:
        """A field, or what is worked out from one, and what that is for some call."""
        field, value = self.place(places)
        if self.random() < 0.7:
            return field, value
        operand: Operand = Size(field)
        if self.random() < 0.6:
            operand = Convert(field, self.choice(fields.CONVERSIONS))
        return operand, places.value(self, operand)

    def pattern(self, text: str) -> str:
        """A pattern that may well be found in a text."""
        pieces: list[str] = []
        for character in text[:8]:
            pieces.append(
                self.choice(
                    [re.escape(character)] * 6 + [".", r"(?:\w?)", "[^a]", "(?:[a-zé]*)", "(?:x|.)"]
                )
            )
        found = "".join(pieces) + self.choice(["", "", "$", "+"] if pieces else ["", "$"])
        return self.choice(["", "", "^", "(?s)", ".*"]) + found

    def place(self, places: Places) -> tuple[Field, Any]:
        """A field and what is there; mostly one that the data has, so that questions often hit."""
        if self.random() < 0.8:
            return places.one(self)
        path = tuple(self.choices(self.keys, k=self.randrange(3)))
        return self.choice(
            [
                (ColumnField(self.choice(fields.COLUMNS)), None),
                (PathField(self.choice(fields.ROOTS), path), None),
                (FeedbackField(self.choice([*TYPES, "unheard of"]), path), None),
            ]
        )

    def literal(self, value: Any) -> Literal_:
        known: list[Literal_] = []
        if value is None or isinstance(value, bool | int | float | str):
            known.append(value)
        if isinstance(value, str):
            known += [value, value[:256], value[:-1], value + "a", value.upper()]
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**60:
            known += [value + 1, -value, float(value), int(value), math.nextafter(value, 9)]
        return self.choice(known) if known and self.random() < 0.9 else self.scalar()

    def leaf(self, places: Places) -> Node:
        field, value = self.operand(places)
        match self.randrange(10):
            case 0:
                return Exists(field)
            case 1:
                return In(field, tuple(self.literal(value) for _ in range(self.randrange(4))))
            case 2 | 3 | 4:
                texts = [each for _, each in _below((), value) if isinstance(each, str)]
                if not texts and not self.rarely():
                    return self.leaf(places)
                whole = self.choice(texts) if texts and not self.rarely() else self.text()
                start = self.randrange(min(len(whole), 12) + 1)
                text = whole[start : self.randrange(start, len(whole) + 1)]
                folded = self.random() < 0.5
                if self.random() < 0.3:
                    return Matches(field, self.pattern(text), folded)
                return Contains(field, text.upper() if self.rarely() else text, folded)
            case _:
                operator = self.choice(OPERATORS)
                return Compare(field, operator, self.literal(value))

    def node(self, places: Places, depth: int = 0) -> Node:
        match self.randrange(5 if depth < 3 else 2):
            case 2:
                return Not(self.node(places, depth + 1))
            case 3:
                return And(tuple(self.node(places, depth + 1) for _ in range(self.randrange(4))))
            case 4:
                return Or(tuple(self.node(places, depth + 1) for _ in range(self.randrange(4))))
            case _:
                return self.leaf(places)

    def query(self, project: str, places: Places) -> CallQuery:
        keys = [
            SortKey(self.operand(places)[0], descending=self.random() < 0.5)
            for _ in range(self.randrange(4))
        ]
        where = self.choice([None, self.leaf(places), self.leaf(places), self.node(places)])
        if isinstance(where, Compare) and self.random() < 0.3:
            # Sorted by what the condition is about, and by something else.
            keys.insert(self.randrange(len(keys) + 1), SortKey(where.field, self.rarely()))
        return CallQuery(
            project=project,
            where=where,
            sort=tuple(keys),
            limit=self.choice([1, 2, 3, 100]),
        )


def _nested(path: list[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


class Places:
    """Every field that some records have something at, and what that is."""

    def __init__(self, records: list[reference.Recorded]) -> None:
        self.records = records
        judged: dict[Field, None] = {}
        of_json: dict[Field, None] = {}
        for record in records:
            for root in fields.ROOTS:
                value = reference.look_up(PathField(root), record)
                of_json |= {PathField(root, path): None for path, _ in _below((), value)}
            for each, _ in record.feedback:
                judged |= {FeedbackField(each.type, p): None for p, _ in _below((), each.payload)}
        columns = [ColumnField(name) for name in fields.COLUMNS]
        self.groups: list[list[Field]] = [list(columns), list(of_json), list(judged), list(judged)]

    def one(self, draw: Draw) -> tuple[Field, Any]:
        group = draw.choice(self.groups) or self.groups[0]
        field = draw.choice(group)
        if isinstance(field, FeedbackField):
            field = _varied(draw, field)
        if not isinstance(field, ColumnField):
            digits = sum(map(fields.is_index, field.path))
            if digits > fields.MAX_DIGIT_PARTS:
                return self.one(draw)
        return field, self.value(draw, field)

    def value(self, draw: Draw, operand: Operand) -> Any:
        """What some call has there."""
        values = [reference.look_up(operand, record) for record in self.records]
        return draw.choice([each for each in values if each is not reference.MISSING] or [None])


def _varied(draw: Draw, field: FeedbackField) -> FeedbackField:
    """The same judgement asked about in another way: of other authors, versions, types."""
    if draw.random() < 0.5:
        return field
    digest = draw.choice(DIGESTS)
    version = draw.choice([None, None, digest[:1], digest[:2], digest, "0"])
    type_ = "*" if draw.rarely() else field.type
    # Past lists instead of by index.
    path = tuple(part for part in field.path if not fields.is_index(part) or draw.rarely())
    match draw.randrange(5):
        case 0:
            return FeedbackField(type_, (), "latest", "count", version)
        case 1:
            over = draw.choice(["latest", "any", "all"])
            return FeedbackField(type_, (), over, "author", version)
        case 2:
            over = draw.choice(["latest", "any", "all", "min", "max"])
            return FeedbackField(type_, (), over, "created_at", version)
        case _:
            over = draw.choice(fields.OVERS)
            return FeedbackField(type_, path, over, "payload", version)


def _below(path: tuple[str, ...], value: Any) -> Generator[tuple[tuple[str, ...], Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _below((*path, key), each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _below((*path, str(index)), each)


# The store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    opened = sqlite.open_store(tmp_path_factory.mktemp("meaning"))
    yield opened
    opened.close()


def _paged(store: SqliteStore, query: CallQuery) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = store.calls.query(dataclasses.replace(query, cursor=cursor))
        assert len(page.items) <= query.limit
        found += [call.id for call in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert len(page.items) == query.limit


def _write(store: SqliteStore, draw: Draw) -> tuple[str, list[reference.Recorded]]:
    """Write drawn data into a project that nobody has used; the project and what is in it."""
    project = f"p{next(_numbers)}"
    batches = draw.batches(project)
    stored: list[Batch] = []
    for batch in batches:
        rejected = store.ingest.write(batch).rejected
        refused = {each.index for each in rejected}
        # Of what misses what it takes back, or is not its author's.
        assert all(batch.feedback[at].retracts is not None for at in refused)
        kept = [each for at, each in enumerate(batch.feedback) if at not in refused]
        stored.append(msgspec.structs.replace(batch, feedback=kept))
        # Words are indexed after the write: now, when the next part of a call has come, or never.
        store.ingest.index_words(draw.choice([0, 1, 3, 1000]))
    return project, written.recorded(stored)


def _explained(store: SqliteStore, query: CallQuery, records: list[reference.Recorded]) -> str:
    """The smallest part of a query on which store and reference disagree, and the data it is about."""
    parts: list[CallQuery] = []
    for where in [] if query.where is None else _smallest_first(query.where):
        parts.append(CallQuery(project=query.project, where=where, limit=100))
    for key in query.sort:
        parts.append(CallQuery(project=query.project, sort=(key,), limit=100))
    for part in [*parts, query]:
        found, expected = _paged(store, part), reference.run(part, records)
        if found != expected:
            about = getattr(part.where, "field", None) or (
                part.sort[0].field if part.sort else None
            )
            values = about and {each.call.id: reference.look_up(about, each) for each in records}
            return f"{part!r}\n  gives {found}\n  means {expected}\n  of    {values!r}"
    return f"only in the number of calls: {query!r}"


def _smallest_first(node: Node) -> Generator[Node]:
    match node:
        case And(nodes) | Or(nodes):
            for each in nodes:
                yield from _smallest_first(each)
        case Not(inner):
            yield from _smallest_first(inner)
        case _:
            pass
    yield node


@given(seed=st.integers(0, 2**64), few=st.sampled_from([0, 1, 2, planning.FEW]))
@settings(
    max_examples=drawing.examples(400), deadline=None, phases=[Phase.explicit, Phase.generate]
)
def test_the_store_gives_what_the_reference_says(store: SqliteStore, seed: int, few: int) -> None:
    draw = Draw(seed)
    project, records = _write(store, draw)
    places = Places(records)

    # Small data stands for large: with a small bound every way to run a query is taken.
    with mock.patch.object(planning, "FEW", few):
        for _ in range(8):
            query = draw.query(project, places)
            expected = reference.run(query, records)
            count = store.calls.count(project, query.where).count
            if (_paged(store, query), count) != (expected, len(expected)):
                pytest.fail(_explained(store, query, records))


@given(seed=st.integers(0, 2**64))
@settings(
    max_examples=drawing.examples(100), deadline=None, phases=[Phase.explicit, Phase.generate]
)
def test_a_call_comes_back_as_the_reference_sees_it(store: SqliteStore, seed: int) -> None:
    project, records = _write(store, Draw(seed))

    for record in records:
        found = store.calls.get(project, record.call.id)
        for name in (*fields.COLUMNS, *fields.ROOTS, "exception"):
            assert getattr(found, name) == getattr(record.call, name), name


@given(seed=st.integers(0, 2**64))
@settings(
    max_examples=drawing.examples(100), deadline=None, phases=[Phase.explicit, Phase.generate]
)
def test_pages_stay_exact_while_rows_are_added(store: SqliteStore, seed: int) -> None:
    """Calls and feedback on them that come between two pages move nothing that was there."""
    draw = Draw(seed)
    project, before = _write(store, draw)
    query = dataclasses.replace(draw.query(project, Places(before)), limit=draw.choice([1, 2]))
    batches = [Batch(project=project, calls=[_part(each.call) for each in before])]
    known = {each.call.id for each in before}

    seen: list[str] = []
    cursor: str | None = None
    for n in itertools.count():
        page = store.calls.query(dataclasses.replace(query, cursor=cursor))
        seen += [call.id for call in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        if n >= 5:
            continue
        late = f"late{n}"
        judgement = draw.feedback(project, f"{late}f")
        added = Batch(
            project=project,
            calls=draw.call(project, late),
            feedback=[msgspec.structs.replace(judgement, target_ref=refs.call_ref(project, late))],
            objects=versions.named_by([judgement], RELEASES),
        )
        assert store.ingest.write(added).rejected == []
        batches.append(added)

    assert [each for each in seen if each in known] == reference.run(query, before)
    late_records = [each for each in written.recorded(batches) if each.call.id not in known]
    last = max(each.arrival for each in before) + 1
    everything = [
        *before,
        *(dataclasses.replace(each, arrival=last + n) for n, each in enumerate(late_records)),
    ]
    whole = reference.run(query, everything)
    assert seen == [each for each in whole if each in set(seen)]


def _part(call: Call) -> CallPart:
    return CallPart(id=call.id, started_at=call.started_at)


def test_text_sorts_by_256_characters_wherever_it_is_kept(store: SqliteStore) -> None:
    same = "é" * 255
    ends = ["ab", "aa", "b", "", "a"]
    calls = [
        CallPart(id=f"c{n}", started_at=written.EPOCH, display_name=same + end, output=same + end)
        for n, end in enumerate(ends)
    ]
    feedback = [
        FeedbackPart(
            id=f"f{n}",
            type="review",
            target_ref=refs.call_ref("sorted", f"c{n}"),
            payload={"text": same + end},
            created_at=written.EPOCH,
        )
        for n, end in enumerate(ends)
    ]
    store.ingest.write(Batch(project="sorted", calls=calls, feedback=feedback))

    for field in (
        ColumnField("display_name"),
        PathField("output"),
        FeedbackField("review", ("text",)),
    ):
        for few in (0, planning.FEW):
            with mock.patch.object(planning, "FEW", few):
                query = CallQuery(project="sorted", sort=(SortKey(field),), limit=2)
                assert _paged(store, query) == ["c3", "c0", "c1", "c4", "c2"]
                equal = Compare(field, "eq", same + "aa")
                assert _paged(store, dataclasses.replace(query, where=equal)) == ["c1"]


def test_words_below_a_key_that_the_sdk_uses_in_attributes_are_found_elsewhere(
    store: SqliteStore,
) -> None:
    said = {"kibitz": "to look on and comment"}
    call = CallPart(id="c0", started_at=written.EPOCH, inputs=said, output=said, attributes=said)
    store.ingest.write(Batch(project="said", calls=[call]))
    store.ingest.index_words(1000)

    for root in ("inputs", "output", "attributes"):
        for field in (PathField(root), PathField(root, ("kibitz",))):
            query = CallQuery(project="said", where=Contains(field, "look on and"))
            assert _paged(store, query) == ["c0"], field


def test_half_of_a_surrogate_pair_is_refused_and_the_rest_is_stored(store: SqliteStore) -> None:
    calls = [
        CallPart(id=f"c{n}", started_at=written.EPOCH, inputs=inputs)
        for n, inputs in enumerate([{"a": "\ud800"}, {"\udfff": 1}, {"a": "\U0001f642"}])
    ]

    receipt = store.ingest.write(Batch(project="halves", calls=calls))

    assert [(each.index, each.code, each.field) for each in receipt.rejected] == [
        (0, "invalid_record", "inputs"),
        (1, "invalid_record", "inputs"),
    ]
    assert _paged(store, CallQuery(project="halves")) == ["c2"]


def _widest() -> list[Node]:
    """Conditions as large as the JSON spelling lets through."""
    digits = PathField("inputs", ("0", "1", "2", *("k" * 20,) * 29))
    judged = FeedbackField("review", ("0", "1", "2"))
    several = [In(field, tuple(range(1000))) for field in (digits, judged) * 2]
    leaves: list[Node] = [
        Contains(digits, "a b c", True),
        Compare(judged, "lt", 1.5),
        Exists(digits),
    ]
    deep: Node = Exists(judged)
    for _ in range(30):
        deep = Not(deep)
    return [
        And(tuple((leaves * 167)[:499])),
        Or(tuple((leaves * 167)[:499])),
        Or((*several, In(ColumnField("id"), tuple(f"c{n}" for n in range(1000))))),
        And((*several, deep)),
        Or(
            tuple(
                In(ColumnField(name), (None, *(literal(n) for n in range(999))))
                for name, literal in (("op", str), ("latency_ms", float), ("thread_id", str))
            )
        ),
        deep,
    ]


@pytest.mark.parametrize("where", _widest(), ids=["and", "or", "in", "all", "columns", "deep"])
def test_the_largest_query_that_is_let_through_can_be_run(store: SqliteStore, where: Node) -> None:
    draw = Draw(1)
    project, records = _write(store, draw)
    sort = tuple(SortKey(PathField("inputs", ("0", "1", str(n)))) for n in range(8))
    query = CallQuery(project=project, where=where, sort=sort, limit=1)
    assert json_form.parse_query(json_form.to_json(query)) == query

    assert _paged(store, query) == reference.run(query, records)


@pytest.mark.parametrize("few", [0, planning.FEW])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_readable_cases(tmp_path: Path, case: written.Case, few: int) -> None:
    store = sqlite.open_store(tmp_path)
    assert store.ingest.write(case.batch).rejected == []

    with mock.patch.object(planning, "FEW", few):
        for question in case.questions:
            found = _paged(store, question.query)
            if not question.in_order:
                found.sort()
            assert found == (question.gives if question.in_order else sorted(question.gives)), (
                question.says
            )
    store.close()
