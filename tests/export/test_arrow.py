"""Calls as Arrow tables: typed columns, values as JSON text, each score a column of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import parts
import pyarrow as pa
import pytest

from kibitz.base.errors import MissingExtra
from kibitz.base.records import Call, CallPart, ExceptionInfo, ScoreColumn
from kibitz.export import arrow
from kibitz.query.nodes import ALL_COLUMNS, CallQuery, ColumnField, SortKey
from kibitz.storage import sqlite
from kibitz.storage.sqlite import SqliteStore


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Generator[SqliteStore]:
    store = sqlite.open_store(tmp_path)
    yield store
    store.close()


def everything(store: SqliteStore, columns: Any = ALL_COLUMNS) -> list[Call]:
    by_id = (SortKey(ColumnField("id")),)
    query = CallQuery(project=parts.PROJECT, columns=columns, sort=by_id)
    return store.calls.query(query).items


def test_a_call_is_a_row_of_typed_columns(store: SqliteStore) -> None:
    summary = {"usage": {"m-1": {"input_tokens": 3, "output_tokens": 4}}, "cost": 0.5}
    failed = ExceptionInfo(type="ValueError", message="nö\n")
    store.ingest.write(
        parts.batch(
            calls=[
                parts.call("c1", inputs={"big": 2**90, "t": "\0ü"}, output=None, summary=summary),
                CallPart(id="c2", started_at=parts.at(1)),
                parts.call("c3", exception=failed, attributes={"a": [1]}),
            ]
        )
    )

    table = arrow.calls_table(everything(store))

    whole, running, wrong = table.to_pylist()
    assert json.loads(whole["inputs"]) == {"big": 2**90, "t": "\u2400ü"}
    assert (whole["output"], running["output"]) == ("null", None)
    assert (whole["model"], whole["tokens"], whole["cost"]) == ("m-1", 7, 0.5)
    assert whole["latency_ms"] == 1000.0
    assert whole["started_at"] == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert (running["status"], running["ended_at"], running["inputs"]) == ("running", None, None)
    assert json.loads(wrong["exception"]) == {"type": "ValueError", "message": "nö\n"}
    assert wrong["error"] == "ValueError: nö\n"
    assert table.schema.field("started_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("tokens").type == pa.int64()


def test_each_score_is_a_column_of_its_kind_named_as_queries_spell_it(store: SqliteStore) -> None:
    said = {"c1": {"ok": True, "n": 1, "mixed": "x"}, "c2": {"ok": False, "mixed": 2, "a.b": "y"}}
    store.ingest.write(
        parts.batch(
            calls=[parts.call("c1"), parts.call("c2")],
            feedback=[parts.judgement(each, output) for each, output in said.items()],
        )
    )

    table = arrow.calls_table(everything(store))

    below = "feedback.[runnable.x].payload.output."
    found = table.select([name for name in table.column_names if name.startswith(below)])
    assert found.to_pydict() == {
        below + r"a\.b": [None, "y"],
        below + "mixed": ['"x"', "2.0"],
        below + "n": [1.0, None],
        below + "ok": [True, False],
    }
    assert found.schema.types == [pa.string(), pa.string(), pa.float64(), pa.bool_()]


def test_feedback_comes_whole_as_a_list(store: SqliteStore) -> None:
    store.ingest.write(
        parts.batch(calls=[parts.call("c1")], feedback=[parts.judgement("c1", 0.5, author="Ada")])
    )

    [row] = arrow.calls_table(everything(store)).to_pylist()

    [judgement] = row["feedback"]
    assert (judgement["type"], judgement["author"], judgement["stands"]) == (
        "runnable.x",
        "Ada",
        True,
    )
    assert json.loads(judgement["payload"]) == {"output": 0.5}


def test_columns_that_were_not_read_are_left_out_or_null(store: SqliteStore) -> None:
    store.ingest.write(parts.batch(calls=[parts.call("c1")]))
    narrow = everything(store, frozenset())

    assert arrow.calls_table(narrow)["inputs"].to_pylist() == [None]
    assert "inputs" not in arrow.calls_table(narrow, wide=frozenset()).column_names


def test_what_is_of_another_kind_than_its_column_is_null(store: SqliteStore) -> None:
    store.ingest.write(
        parts.batch(calls=[parts.call("c1")], feedback=[parts.judgement("c1", "text")])
    )
    numbers = ScoreColumn(type="runnable.x", path="output", count=1, kinds=["number"])

    table = arrow.calls_table(everything(store), scores=[numbers])

    assert table["feedback.[runnable.x].payload.output"].to_pylist() == [None]


def test_no_calls_are_a_table_without_rows() -> None:
    assert arrow.calls_table([]).num_rows == 0


def test_without_pyarrow_the_error_names_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingExtra, match=r"pip install 'kibitz\[arrow\]'"):
        arrow.calls_table([])
