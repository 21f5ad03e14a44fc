"""What is searched for in texts is found, all of it and nothing else, whatever the index holds of it."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from unittest import mock

import drawing
import pytest
import written
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base.records import Batch, CallPart
from kibitz.query import reference
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    Node,
    Not,
    Or,
    PathField,
    SortKey,
)
from kibitz.storage import sqlite
from kibitz.storage.sqlite import indexing, names, planning, words
from kibitz.storage.sqlite.store import SqliteStore

_numbers = itertools.count()
PIECES = [
    "ban", "banana", "an", "a", "Ana", "BAN", "x", "kibitz", "of", "that", "42", "1e5", "日本語", "日本", "語学",
    "é", "É", "naïve", "word—word", "don’t", "🙂", "x🙂y", "e\u0301", "K", "\N{KELVIN SIGN}", "ß", "SS", "w" * 70, "İ",
]  # fmt: skip
GLUE = [
    " ",
    " ",
    " ",
    "-",
    ", ",
    "",
    "\n",
    '"',
    "\\",
    "'",
    "\t",
    "%",
    "_",
    "\x01",
    "\x7f",
    ".",
    "\u00a0",
    "/",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    folder: Path = tmp_path_factory.mktemp("search")
    opened = sqlite.open_store(folder)
    yield opened
    opened.close()


def _text(draw: random.Random, most: int) -> str:
    return "".join(draw.choice(PIECES) + draw.choice(GLUE) for _ in range(draw.randint(0, most)))


def _needle(draw: random.Random, texts: list[str]) -> str:
    """A stretch of a text, as it is or nearly."""
    text = draw.choice(texts) if texts else ""
    if not text or draw.random() < 0.15:
        return _text(draw, 2)
    begin = draw.randrange(len(text))
    stretch = text[begin : begin + draw.choice([1, 2, 3, 4, 6, 9, 14, 30, 200])]
    if draw.random() < 0.2:
        stretch = stretch.swapcase()
    return stretch


def _write(
    store: SqliteStore, draw: random.Random, level: int
) -> tuple[str, list[Batch], list[str]]:
    project = f"s{next(_numbers)}"
    texts: list[str] = []
    batches: list[Batch] = []
    for _ in range(draw.randint(1, 3)):
        calls: list[CallPart] = []
        for _ in range(draw.randint(1, 6)):
            text = _text(draw, 9)
            texts.append(text)
            # A call that has been there is given again: its end comes, or the same once more.
            number = draw.randrange(12)
            started = written.EPOCH + timedelta(seconds=number * 31 % 12)
            ended = draw.random() < 0.7
            calls.append(
                CallPart(
                    id=f"c{number}",
                    op=f"op{number % 2}",
                    started_at=started,
                    ended_at=started + timedelta(seconds=1) if ended else None,
                    inputs={"q": text, "deep": [{"more": _text(draw, 3)}, 42]},
                    output=_text(draw, 5) if ended else None,
                )
            )
        calls = list({each.id: each for each in calls}.values())
        known = {part.id for batch in batches for part in batch.calls if part.ended_at is not None}
        calls = [each for each in calls if each.id not in known]
        batches.append(Batch(project=project, calls=calls))
        assert store.ingest.write(batches[-1]).rejected == []
        if len(batches) == 1:
            _set_level(store, project, level)
        _index(store, project, draw.choice([0, 1, 3, 100]))
    return project, batches, texts


def _set_level(store: SqliteStore, project: str, level: int) -> None:
    store.ingest.change(
        lambda connection: indexing.set_level(
            connection, names.project_pk(connection, project), level
        )
    )


def _index(store: SqliteStore, project: str, limit: int) -> None:
    store.ingest.change(
        lambda connection: indexing.index_some(
            connection, limit, names.project_pk(connection, project)
        )
    )


def _where(draw: random.Random, texts: list[str], depth: int = 2) -> Node:
    field = PathField(
        *draw.choice([("inputs",), ("output",), ("inputs", ("q",)), ("inputs", ("deep",))])
    )
    shape = draw.random()
    if depth and shape < 0.25:
        nodes = tuple(_where(draw, texts, depth - 1) for _ in range(draw.randint(1, 3)))
        return draw.choice([And, Or])(nodes)
    if depth and shape < 0.32:
        return Not(_where(draw, texts, depth - 1))
    if shape < 0.42:
        return Compare(PathField("inputs", ("q",)), "eq", draw.choice(texts) if texts else "")
    if shape < 0.5:
        return Compare(ColumnField("op"), "eq", "op1")
    return Contains(field, _needle(draw, texts), draw.random() < 0.4)


def _paged(store: SqliteStore, query: CallQuery) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = store.calls.query(dataclasses.replace(query, cursor=cursor))
        found += [call.id for call in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


@given(
    seed=st.integers(0, 1 << 32),
    level=st.sampled_from([words.OFF, words.WORDS, words.SUBSTRINGS, words.SUBSTRINGS]),
    few=st.sampled_from([0, 2, planning.FEW]),
)
@settings(max_examples=drawing.examples(400), deadline=None)
def test_a_search_gives_what_the_reference_says(
    store: SqliteStore, seed: int, level: int, few: int
) -> None:
    draw = random.Random(seed)
    # Small data stands for large: a block is two calls, so that a page is looked for in several stretches.
    with mock.patch.object(indexing, "BLOCK_BITS", 1), mock.patch.object(planning, "FEW", few):
        project, batches, texts = _write(store, draw, level)
        if draw.random() < 0.2:
            _set_level(store, project, draw.choice([words.OFF, words.WORDS, words.SUBSTRINGS]))
            _index(store, project, draw.choice([0, 2, 100]))
        records = written.recorded(batches)
        for _ in range(10):
            sort = draw.choice(
                [
                    (),
                    (SortKey(ColumnField("started_at")),),
                    (SortKey(ColumnField("op")),),
                    (
                        SortKey(ColumnField("started_at"), descending=True),
                        SortKey(ColumnField("op")),
                    ),
                ]
            )
            query = CallQuery(
                project=project,
                where=_where(draw, texts),
                sort=sort,
                limit=draw.choice([1, 2, 100]),
            )
            expected = reference.run(query, records)
            assert _paged(store, query) == expected, query
            assert store.calls.count(project, query.where).count == len(expected), query


def test_a_search_says_how_it_is_answered(store: SqliteStore) -> None:
    project = f"s{next(_numbers)}"
    calls = [
        CallPart(id=f"c{n}", started_at=written.EPOCH, inputs={"q": "the brown foxes of 日本語"})
        for n in range(3)
    ]
    store.ingest.write(Batch(project=project, calls=calls))

    def way(text: str) -> str:
        return store.search.cost(project, Contains(PathField("inputs"), text)).way

    assert store.search.cost(project, None).way == "none"
    assert store.search.cost(project, Compare(ColumnField("op"), "eq", "x")).way == "none"
    assert store.search.cost(project, Contains(PathField("inputs"), " brown ")).waiting == 3
    _index(store, project, 100)

    assert [way(text) for text in (" brown ", "rown", "日本", "-")] == [
        "index",
        "scan",
        "scan",
        "scan",
    ]
    assert store.search.set_level(project, "substrings").waiting == 3
    _index(store, project, 100)
    assert [way(text) for text in (" brown ", "rown", "日本", "-")] == [
        "index",
        "index",
        "index",
        "scan",
    ]
    store.search.set_level(project, "off")
    assert [way(text) for text in (" brown ", "rown")] == ["scan", "scan"]
    found = store.search.status(project)
    assert (found.level, found.calls, found.waiting) == ("off", 3, 0)


def test_only_what_the_index_names_is_read(store: SqliteStore) -> None:
    """A part of a rare word is found in a few of many calls without a look at the others."""
    project = f"s{next(_numbers)}"
    calls = [
        CallPart(
            id=f"c{n}",
            started_at=written.EPOCH + timedelta(seconds=n),
            inputs={"q": f"common words and {'quizzical' if n % 500 == 7 else 'usual'} ones"},
        )
        for n in range(3000)
    ]
    store.ingest.write(Batch(project=project, calls=calls))
    _set_level(store, project, words.SUBSTRINGS)
    while store.search.index_some(1000, project):
        pass
    looked_at = 0
    with store.calls._readers.reading() as connection:

        def count() -> None:
            nonlocal looked_at
            looked_at += 100

        pk = names.project_pk(connection, project)
        connection.set_progress_handler(count, 100)
        for text in ("uizzic", "and quizz", "quizzical o"):
            query = CallQuery(project=project, where=Contains(PathField("inputs"), text))
            hits, _ = planning.page(connection, pk, query)
            assert len(hits) == 6, text
        connection.set_progress_handler(None, 0)

    # Looking at each of them takes some twenty steps.
    assert looked_at < 15_000
