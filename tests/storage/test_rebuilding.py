"""What is derived is the same whether it was kept with every write or made anew from the facts."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import drawing
import evaluating
import pytest
import written
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base import refs
from kibitz.base.errors import NotFound
from kibitz.base.evaluations import EvaluationPart
from kibitz.base.records import Batch, CallPart, ExceptionInfo, FeedbackPart
from kibitz.base.spending import Spend
from kibitz.storage import sqlite
from kibitz.storage.sqlite import indexing, names, rebuilding, words
from kibitz.storage.sqlite.store import SqliteStore

_numbers = itertools.count()
_DERIVED = {
    "calls": "SELECT pk, latency, status, model, input_tokens, output_tokens, tokens, cost FROM calls",
    "stands": "SELECT pk, stands FROM feedback",
    "scores": "SELECT * FROM scores",
    "series": "SELECT * FROM series",
    "types": "SELECT * FROM feedback_types",
    "rollups": "SELECT * FROM rollups",
    "sums": "SELECT * FROM score_sums",
    "buckets": "SELECT * FROM score_buckets",
    "words": "SELECT term, doc FROM temp.vocabulary",
    "terms": "SELECT project, text FROM terms",
    "blocks": "SELECT * FROM word_blocks",
    "waiting": "SELECT * FROM unworded",
    "evaluations": "SELECT * FROM evaluation_sums",
}


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = sqlite.open_store(tmp_path)
    yield opened
    opened.close()


def _derived(store: SqliteStore) -> dict[str, list[Any]]:
    def work(connection: sqlite3.Connection) -> dict[str, list[Any]]:
        return {name: sorted(connection.execute(sql).fetchall()) for name, sql in _DERIVED.items()}

    connection = sqlite3.connect(store.path)
    connection.execute(
        "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, words, instance)"
    )
    try:
        return work(connection)
    finally:
        connection.close()


def _history(draw: random.Random, project: str) -> Generator[Batch]:
    """Batches that repeat, correct, retract, come late and come before what they are about."""
    sent: list[Batch] = []
    said: list[str] = []
    for _ in range(draw.randint(1, 6)):
        if sent and draw.random() < 0.15:
            yield draw.choice(sent)
            continue
        calls = [_part(draw, project) for _ in range(draw.randint(0, 5))]
        feedback = [_judgement(draw, project, said) for _ in range(draw.randint(0, 8))]
        definition = evaluating.definition(project=project)
        evaluations = [
            _evaluation(draw, evaluating.ref(definition, project))
            for _ in range(draw.randint(0, 4))
        ]
        batch = Batch(
            project=project,
            calls=calls,
            feedback=feedback,
            objects=[definition],
            evaluations=evaluations,
        )
        sent.append(batch)
        yield batch


def _part(draw: random.Random, project: str) -> CallPart:
    started = written.EPOCH + timedelta(minutes=draw.choice([-30_000_000, 0, 1, 50, 100, 4000]))
    ended = started + timedelta(seconds=draw.choice([0, 1, 2_000_000]))
    shape = draw.random()
    failed = draw.random() < 0.2
    return CallPart(
        id=f"c{draw.randrange(8)}",
        op=draw.choice([None, "", "answer", "chat"]),
        started_at=started if shape < 0.8 else None,
        ended_at=ended if shape > 0.3 else None,
        inputs={"q": draw.choice(["two words", "日本語", "é", 42, None])},
        output=draw.choice([None, "a text", {"deep": ["er"]}]),
        attributes=draw.choice([None, {"env": "test"}]),
        summary=draw.choice(
            [
                None,
                {"usage": {"m": {"input_tokens": 7, "output_tokens": 2}}, "cost": 0.25},
                {"a": 1},
            ]
        ),
        exception=ExceptionInfo(type="ValueError", message="no") if failed else None,
    )


def _evaluation(draw: random.Random, definition_ref: str) -> EvaluationPart:
    call_id = f"c{draw.randrange(8)}"
    if draw.random() < 0.3:
        return evaluating.wanted(call_id, definition_ref)
    return evaluating.said(
        call_id,
        draw.choice([0.5, {"a": 1, "b": 0}]),
        definition_ref=definition_ref,
        status=draw.choice(["done", "failed", "skipped"]),
        spent=Spend(requests=1, usd=draw.choice([0, 0.1, 1e-9])),
        ended_at=written.EPOCH + timedelta(seconds=draw.choice([0, 1, 5])),
    )


def _judgement(draw: random.Random, project: str, said: list[str]) -> FeedbackPart:
    feedback_id = (
        f"{project}-f{len(said)}" if not said or draw.random() < 0.9 else draw.choice(said)
    )
    retracts = draw.choice(said) if said and draw.random() < 0.2 else None
    said.append(feedback_id)
    target = draw.choice(
        [refs.call_ref(project, f"c{draw.randrange(8)}")] * 5
        + [refs.format_ref(refs.Ref(project=project, kind="thread", name="t"))]
    )
    value = draw.choice([True, False, 1, 0.1, 1e300, -7, "good", "x" * 300, None, [1, True, "a"]])
    many = {f"k{index}": index for index in range(draw.choice([2, 2, 2, 70]))}
    deep: Any = value
    for _ in range(draw.choice([0, 0, 9])):
        deep = {"d": deep}
    return FeedbackPart(
        id=feedback_id,
        type=draw.choice(["review", "other", "reaction", "note"]),
        target_ref=target,
        payload={"value": value, "many": many, "deep": deep}
        if draw.random() < 0.8
        else {"value": value},
        author=draw.choice(["ann", "bob", "cem"]),
        author_kind="person",
        created_at=written.EPOCH + timedelta(seconds=draw.choice([0, 1, 1, 2, 5])),
        retracts=retracts,
    )


def _index(store: SqliteStore) -> None:
    while store.ingest.change(lambda connection: indexing.index_some(connection, 1000)):
        pass


def _write_history(store: SqliteStore, draw: random.Random) -> list[str]:
    projects = [f"r{next(_numbers)}" for _ in range(draw.choice([1, 2]))]
    for project in projects:
        for batch in _history(draw, project):
            store.ingest.write(batch)
    for project in projects:
        level = draw.choice([words.OFF, words.WORDS, words.SUBSTRINGS])
        try:
            store.ingest.change(
                lambda connection: indexing.set_level(
                    connection,
                    names.project_pk(connection, project),  # noqa: B023 run at once
                    level,  # noqa: B023
                )
            )
        except NotFound:
            continue
    # Once, at the end: an index that saw a text that is no more keeps its words, which does no harm.
    _index(store)
    return projects


@given(seed=st.integers(0, 1 << 32), damage=st.booleans(), alone=st.booleans())
@settings(max_examples=drawing.examples(150), deadline=None)
def test_rebuilding_leaves_everything_as_writes_left_it(
    tmp_path_factory: pytest.TempPathFactory, seed: int, damage: bool, alone: bool
) -> None:
    draw = random.Random(seed)
    store = sqlite.open_store(tmp_path_factory.mktemp("rebuilt"))
    try:
        projects = _write_history(store, draw)
        before = _derived(store)
        if damage:
            store.ingest.change(_spoil)
        for project in projects if alone and not damage else [None]:
            rebuilding.rebuild(store.ingest, project, progress=lambda *_: None)
        after = _derived(store)
    finally:
        store.close()

    for name, rows in before.items():
        assert after[name] == rows, name


def _spoil(connection: sqlite3.Connection) -> None:
    for statement in (
        "UPDATE calls SET latency = 3, status = 'error', model = 'x', tokens = 1, cost = 9",
        "UPDATE feedback SET stands = 1 - min(stands, 1)",
        "DELETE FROM scores WHERE call % 2",
        "UPDATE scores SET num = num + 1",
        "UPDATE series SET bools = 77, texts = 0",
        "UPDATE feedback_types SET rows = 5, unindexed = 9",
        "UPDATE rollups SET calls = calls + 1, bytes = 0",
        "INSERT INTO rollups SELECT project, op, hour + 7, 1, 1, 1, 1, 1, 1, 1, 1 FROM rollups WHERE true"
        " ON CONFLICT DO NOTHING",
        "DELETE FROM score_sums",
        "UPDATE score_buckets SET n = n + 1",
        "DELETE FROM word_blocks",
        "UPDATE evaluation_sums SET done = 7, wanted = wanted + 1, spent = 0",
        "DELETE FROM evaluation_sums WHERE skipped > 0",
        "INSERT INTO words (words) VALUES ('delete-all')",
    ):
        connection.execute(statement)


def test_histories_write_what_they_are_about(store: SqliteStore) -> None:
    """The data of the test above is of use: it makes scores, sums, retractions and words."""
    draw = random.Random(3)
    for _ in range(12):
        _write_history(store, draw)
    found = _derived(store)

    assert all(found[name] for name in found if name != "waiting")
    assert {stands for _, stands in found["stands"]} == {0, 1, 2}
    assert any(row[-1] for row in found["types"])


@pytest.mark.parametrize("depth", [7, 8, 9])
@pytest.mark.parametrize("leaf", [1, [1], {"b": 1}, list(range(64)), list(range(65))])
def test_what_scores_do_not_have_room_for_is_known_again(
    store: SqliteStore, depth: int, leaf: Any
) -> None:
    payload = leaf
    for _ in range(depth):
        payload = {"a": payload}
    said = FeedbackPart(type="x", target_ref=refs.call_ref("deep", "c"), payload=payload)
    call = CallPart(id="c", op="o", started_at=written.EPOCH)
    store.ingest.write(Batch(project="deep", calls=[call], feedback=[said]))
    before = _derived(store)["types"]

    rebuilding.rebuild(store.ingest, progress=lambda *_: None)

    assert _derived(store)["types"] == before


def test_progress_names_every_step_and_ends(store: SqliteStore) -> None:
    _write_history(store, random.Random(6))
    told: list[tuple[str, int, int]] = []
    rebuilding.rebuild(store.ingest, progress=lambda *each: told.append(each))

    ends = {what: (done, total) for what, done, total in told}
    assert list(ends) == ["calls and scores", "counts", "sums by hour", "texts"]
    assert all(done == total for done, total in ends.values())


def test_an_unknown_project_is_named(store: SqliteStore) -> None:
    with pytest.raises(NotFound, match="nobody/here"):
        rebuilding.rebuild(store.ingest, "nobody/here", progress=lambda *_: None)


def test_writers_go_on_while_everything_is_made_anew(store: SqliteStore) -> None:
    draw = random.Random(11)
    for _ in range(4):
        _write_history(store, draw)
    pending = [batch for n in range(6) for batch in _history(draw, f"late{n}")]

    def write_one(*_: object) -> None:
        if pending:
            store.ingest.write(pending.pop())

    rebuilding.rebuild(store.ingest, progress=write_one)
    while pending:
        write_one()
    _index(store)
    before = _derived(store)
    rebuilding.rebuild(store.ingest, progress=lambda *_: None)
    after = _derived(store)

    for name in set(before) - {"words", "terms", "blocks"}:
        assert after[name] == before[name], name
    # Texts that were followed by others while the index was filled may still be in it: more, never less.
    assert set(after["words"]) <= set(before["words"])
