"""Questions that mean harm: texts that would be code elsewhere, and questions that would cost too much."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import drawing
import injections
import parts
import pytest
import written
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import batch, call, judgement

from kibitz.base import refs
from kibitz.base.errors import QueryError, QueryTimeout
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.query import json_form, reference, text_form
from kibitz.query.nodes import (
    CallQuery,
    Compare,
    FeedbackField,
    FeedbackQuery,
    Matches,
    Node,
    PathField,
    SortKey,
)
from kibitz.query.sql import Compiler
from kibitz.storage import sqlite
from kibitz.storage.sqlite.names import ReadCatalog
from kibitz.storage.sqlite.store import SqliteStore

PROJECT = "attacked"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _data() -> Batch:
    """Two calls for each text: one that has it everywhere, one that has it nowhere."""
    calls: list[CallPart] = []
    feedback: list[FeedbackPart] = []
    for number, text in enumerate(injections.TEXTS):
        calls.append(
            CallPart(
                id=f"c{number}",
                op=text.replace("\0", "").replace("\n", "").replace("\r", "")[:200],
                started_at=written.EPOCH,
                ended_at=written.EPOCH,
                inputs={"a": {text: [text, "x"]}, text: {text: text}},
                output=text,
                attributes={text: len(text)},
                summary={"usage": {text: {"input_tokens": number}}},
            )
        )
        calls.append(CallPart(id=f"n{number}", op="x", started_at=written.EPOCH, inputs={"a": "x"}))
        feedback.append(
            FeedbackPart(
                id=f"f{number}",
                type="review",
                target_ref=refs.call_ref(PROJECT, f"c{number}"),
                payload={text: text, "a": {text: number}},
                author="ann",
                created_at=written.EPOCH,
            )
        )
    return Batch(project=PROJECT, calls=calls, feedback=feedback)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    opened = sqlite.open_store(tmp_path_factory.mktemp("attacks"))
    assert opened.ingest.write(_data()).rejected == []
    opened.ingest.index_words(1000)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def records() -> list[reference.Recorded]:
    return written.recorded([_data()])


def _contents(path: Path) -> list[Any]:
    """The tables and what is in them."""
    with sqlite3.connect(path) as connection:
        schema = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        counts = [
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            for name in ("calls", "payloads", "feedback", "scores", "projects", "ops")
        ]
    connection.close()
    return [schema, counts]


def _found(store: SqliteStore, where: Node | None, sort: tuple[SortKey, ...] = ()) -> list[str]:
    query = CallQuery(project=PROJECT, where=where, sort=sort, limit=1000)
    return [each.id for each in store.calls.query(query).items]


def _as_stored(text: str) -> str:
    return text.replace("\0", "␀")


@pytest.mark.parametrize("text", injections.TEXTS)
def test_a_text_is_a_text_wherever_it_stands(
    store: SqliteStore, records: list[reference.Recorded], text: str
) -> None:
    before = _contents(store.path)
    text = _as_stored(text)
    for says, node in injections.questions(text):
        asked = CallQuery(project=PROJECT, where=node)
        means = reference.run(asked, records)
        assert _found(store, node) == means, says
        in_json = json_form.parse_where(json_form.where_to_json(node))
        in_text = text_form.parse(text_form.format(node)).where
        assert in_json == in_text == node, says
    together = injections.several(text)
    means = reference.run(CallQuery(project=PROJECT, where=together), records)
    assert _found(store, together) == means
    for key in injections.orders(text):
        asked = CallQuery(project=PROJECT, sort=(key,))
        assert _found(store, None, (key,)) == reference.run(asked, records), key
        assert json_form.parse_sort(json_form.sort_to_json([key])) == (key,)
        assert text_form.parse(text_form.format(None, [key])).sort == (key,)

    assert _contents(store.path) == before


@pytest.mark.parametrize("text", injections.TEXTS)
def test_nothing_of_a_question_becomes_text_of_a_statement(store: SqliteStore, text: str) -> None:
    connection = sqlite3.connect(store.path)
    catalog = ReadCatalog(connection, 1)
    for says, node in injections.questions(_as_stored(text)):
        piece = Compiler(catalog).condition(node, top=True)
        assert injections.MARK not in piece.text, says
        assert piece.text.count("?") == len(piece.params), says
    for key in injections.orders(_as_stored(text)):
        compiler = Compiler(catalog)
        for piece in [*compiler.sort_terms(key), *compiler.joins]:
            assert injections.MARK not in piece.text
            assert piece.text.count("?") == len(piece.params)
    connection.close()


@pytest.mark.parametrize("text", injections.TEXTS)
def test_a_text_is_no_operator_and_no_name_of_the_language(text: str) -> None:
    output = {"$getField": "output"}
    literal = {"$literal": 1}
    for sent in (
        {text: [output, literal]},
        {f"$eq{text}": [output, literal]},
        {"$eq": [output, {"$literal": {text: text}}]},
        {"$eq": [output, {"$literal": 1, text: 1}]},
        {"$eq": [{"$getField": text}, literal]},
        {"$eq": [{"$getField": f"op{text}"}, literal]},
        {"$eq": [{"$getField": f"feedback.[x]@{text}"}, literal]},
        {"$eq": [{"$getField": f"feedback.[x].{text}"}, literal]},
        {"$eq": [{"$convert": {"input": output, "to": text}}, literal]},
        {"$contains": {"input": output, "substr": literal, text: True}},
    ):
        with pytest.raises(QueryError) as caught:
            json_form.parse_where({"$expr": sent})
        assert len(caught.value.message) < 2000
    for key in ("sort", "limit", "cursor", "columns", "filter", text):
        with pytest.raises(QueryError):
            json_form.parse_query({"project": PROJECT, key: [{"field": text, "direction": text}]})
    if not text.isidentifier():
        with pytest.raises(QueryError):
            json_form.parse_query({"project": text})


def test_a_cursor_of_somebody_else_is_refused(store: SqliteStore) -> None:
    for text in [*injections.TEXTS, "5b5d", "[]", "00", "5b22782227"]:
        with pytest.raises(QueryError, match="cursor"):
            store.calls.query(CallQuery(project=PROJECT, cursor=_as_stored(text)))


@pytest.mark.parametrize(
    "said",
    [f"[{10**30}, 1]", "[Infinity, 1]", "[NaN, NaN]", "[" * 100_000, "{}", "[1]", "null"],
)
def test_a_cursor_that_was_made_up_is_refused(store: SqliteStore, said: str) -> None:
    by_us = store.calls.query(CallQuery(project=PROJECT, limit=1)).next_cursor
    assert by_us is not None
    signed = said.replace("[", f"[{json.loads(bytes.fromhex(by_us))[0]!r}, ".replace("'", '"'), 1)
    cursors = [said.encode().hex(), signed.encode().hex()]

    for cursor in cursors:
        with pytest.raises(QueryError, match="cursor"):
            store.feedback.query(FeedbackQuery(project=PROJECT, cursor=cursor))
        with pytest.raises(QueryError, match="cursor"):
            store.bulk.delete(PROJECT, None, expected=0, cursor=cursor)
    for cursor in cursors[:1] if "1" in said or "NaN" in said else cursors:
        with pytest.raises(QueryError, match="cursor"):
            store.calls.query(CallQuery(project=PROJECT, cursor=cursor))


def test_very_many_judgements_of_one_author_are_looked_through_once(tmp_path: Path) -> None:
    opened = sqlite.open_store(tmp_path)
    feedback = [judgement("c", n, seconds=n, feedback_id=f"f{n}") for n in range(3_000)]
    opened.ingest.write(batch(calls=[call("c")], feedback=feedback))

    highest = FeedbackField("runnable.x", ("output",), over="max")
    for number, ids in ((2_999, ["c"]), (2_998, [])):
        query = CallQuery(project=parts.PROJECT, where=Compare(highest, "eq", number))
        assert [each.id for each in opened.calls.query(query).items] == ids
    opened.close()


ASKED = 'not (op = answer and feedback.review@0a.mean.x < 0.5) or inputs."a b".0 contains "c" and size(output) in (1, 2) sort latency desc, number(output.x) limit 20'


@given(
    st.integers(0, len(ASKED)),
    st.integers(0, len(ASKED)),
    st.sampled_from(injections.TEXTS),
)
@settings(max_examples=drawing.examples(400), deadline=None)
def test_a_text_put_anywhere_into_a_query_is_asked_or_refused(
    store: SqliteStore, start: int, end: int, text: str
) -> None:
    typed = ASKED[:start] + text + ASKED[max(start, end) :]
    completed = store.calls.complete(PROJECT, typed, start)
    flaw = completed.error
    if flaw is not None:
        assert 0 <= flaw.position <= flaw.position + flaw.length <= len(typed)
        assert len(flaw.message) < 2000
        return
    parsed = text_form.parse(typed, known_types=["review"], now=NOW)
    query = CallQuery(project=PROJECT, where=parsed.where, sort=parsed.sort, limit=5)
    assert len(store.calls.query(query).items) <= 5


# Cost


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("a" * 1001, "at most 1,000"),
        ("(a{1000}){1000}", "repeats too often"),
        ("a{1001}", "repeats too often"),
        ("((a{100}){100}){100}", "repeats too often"),
        (r"\pL{1000}", "too large"),
        (r"(\pL|\pN|\pS){100}", "too large"),
        ("(" * 500, "never closed"),
        (")" * 500, "closes nothing"),
        ("[" * 500, "never closed"),
        ("a**", "one repetition after another"),
        ("*a", "nothing to repeat"),
        (r"(a)\1", "references to a group"),
        ("a(?=b)", "looking ahead"),
        ("(?<!a)b", "looking behind"),
        ("(?>a+)b", "atomic groups"),
        ("\\", "stands before nothing"),
        ("[z-a]", "no such range"),
        (r"\p{Klingon}", "no such range or class"),
    ],
    ids=lambda value: value[:16],
)
def test_a_pattern_that_costs_too_much_or_means_nothing_is_refused(pattern: str, says: str) -> None:
    asked = {"$regex": {"input": {"$getField": "output"}, "pattern": {"$literal": pattern}}}
    with pytest.raises(QueryError) as caught:
        json_form.parse_where({"$expr": asked})
    assert says in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "pattern", ["(a*)*b", "(a|a)*b", "(a+)+$", "(.*)*x", "(a|aa)+c", "(x+x+)+y"]
)
def test_patterns_that_ruin_others_are_asked(tmp_path: Path, pattern: str) -> None:
    opened = sqlite.open_store(tmp_path, query_timeout_s=60)
    opened.ingest.write(batch(project=PROJECT, calls=[call("c", output="a" * 50_000)]))

    assert _found(opened, Matches(PathField("output"), pattern)) in ([], ["c"])
    opened.close()


def test_a_search_that_takes_too_long_is_stopped_and_the_next_is_not(tmp_path: Path) -> None:
    # Each text alone takes long: the limit has to be looked at between them, not only by SQLite's steps.
    opened = sqlite.open_store(tmp_path, query_timeout_s=0.05)
    calls = [call(f"c{n}", output="ab" * 40_000) for n in range(30)]
    opened.ingest.write(batch(project=PROJECT, calls=calls))
    slow = Matches(PathField("output"), "[ab]*a[ab]{900}c")

    with pytest.raises(QueryTimeout):
        _found(opened, slow)
    with pytest.raises(QueryTimeout):
        opened.calls.count(PROJECT, slow)
    opened.close()
    # The thread is the same; the limit was that of one question.
    patient = sqlite.open_store(tmp_path, query_timeout_s=60)
    assert len(_found(patient, Matches(PathField("output"), "^ab"))) == 30
    patient.close()


def test_only_the_beginning_of_a_huge_text_is_searched(tmp_path: Path) -> None:
    opened = sqlite.open_store(tmp_path)
    texts = {"inside": "x" * 99_999 + "y", "beyond": "x" * 100_000 + "y"}
    calls = [call(name, output=text) for name, text in texts.items()]
    opened.ingest.write(batch(project=PROJECT, calls=calls))

    assert _found(opened, Matches(PathField("output"), "y")) == ["inside"]
    opened.close()
