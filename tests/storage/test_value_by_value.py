"""Sorted by several scores of few values: each value of the first is followed, and within it each of the second."""

from __future__ import annotations

import itertools
from pathlib import Path
from unittest import mock

import parts
import pytest

from kibitz.base import refs
from kibitz.base.records import FeedbackPart
from kibitz.query.nodes import CallQuery, ColumnField, FeedbackField, SortKey
from kibitz.storage import sqlite
from kibitz.storage.sqlite import planning

FIRST, SECOND, THIRD = (FeedbackField(type_, ("value",)) for type_ in ("one", "two", "three"))
VALUES = {"one": [True, 1.5, None], "two": ["a", "b", None], "three": [2, 1, None]}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 4, 100])
def test_each_call_comes_once_whatever_it_has_been_given(
    tmp_path: Path, descending: bool, limit: int
) -> None:
    store = sqlite.open_store(tmp_path)
    given = list(itertools.product(*VALUES.values()))
    calls = [parts.call(f"c{number}", seconds=number) for number in range(len(given))]
    feedback = [
        FeedbackPart(
            id=f"{type_}-{number}",
            type=type_,
            target_ref=refs.call_ref(parts.PROJECT, f"c{number}"),
            payload={"value": value},
            created_at=parts.at(number),
        )
        for number, values in enumerate(given)
        for type_, value in zip(VALUES, values, strict=True)
        if value is not None
    ]
    assert store.ingest.write(parts.batch(calls=calls, feedback=feedback)).rejected == []
    sort = (
        SortKey(FIRST, descending),
        SortKey(SECOND),
        SortKey(THIRD, descending=True),
        SortKey(ColumnField("id")),
    )

    with mock.patch.object(planning, "FEW", 0):
        found: list[str] = []
        cursor = None
        while True:
            page = store.calls.query(
                CallQuery(project=parts.PROJECT, sort=sort, limit=limit, cursor=cursor)
            )
            found += [call.id for call in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    store.close()

    ones = [1.5, True, None] if descending else [True, 1.5, None]
    expected = [
        f"c{given.index((one, two, three))}"
        for one in ones
        for two in ("a", "b", None)
        for three in (2, 1, None)
    ]
    assert found == expected
