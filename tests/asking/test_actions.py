"""What is done to all calls of a set, in a folder and over HTTP alike, and what becomes of it when it is not expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from kibitz.asking import frames
from kibitz.asking.calls import CallSet, calls
from kibitz.base.errors import Conflict, InvalidRecord, MissingExtra, NotFound, UsageError
from kibitz.query.expressions import attributes, inputs
from kibitz.query.expressions_feedback import feedback

PROJECT = "acme/app"


@pytest.fixture(name="every")
def _every(source: str) -> CallSet:
    return calls(PROJECT, source)


def test_all_calls_of_a_set_are_judged_alike(every: CallSet) -> None:
    told: list[int] = []
    done = every.where(attributes.env == "test").add_feedback(
        "checked", {"ok": True, "at": {1, 2}}, author="eve", progress=lambda n, of: told.append(n)
    )

    assert (done.calls, done.feedback, done.refused) == (6, 6, 0)
    assert told[-1] == 6
    judged = every.where(feedback("checked").ok == True)  # noqa: E712
    assert {call.id for call in judged} == {f"c{n:02}" for n in range(6, 12)}
    assert judged.where(feedback("checked").author == "eve").count() == 6


def test_a_judgement_that_breaks_a_rule_is_refused_as_a_whole(every: CallSet) -> None:
    with pytest.raises(InvalidRecord, match="emoji"):
        every.add_feedback("reaction", {"emoji": "no"})
    with pytest.raises(UsageError, match="no mapping"):
        every.add_feedback("checked", ["x"])  # type: ignore[arg-type]

    assert every.where(feedback("reaction") | feedback("checked")).count() == 0


def test_more_calls_than_were_expected_are_left_alone(every: CallSet) -> None:
    with pytest.raises(Conflict):
        every.add_feedback("checked", {"ok": True}, expected=11)
    with pytest.raises(Conflict):
        every.delete(expected=11)

    assert every.where(feedback("checked")).count() == 0
    assert every.count() == 12


def test_calls_are_deleted_with_what_is_said_about_them(every: CallSet) -> None:
    few = every.where(inputs.n < 2)
    with pytest.raises(
        UsageError, match=r"would delete 2 calls .* with 5 judgements.*delete\(expected=2\)"
    ):
        few.delete()
    assert every.count() == 12

    done = few.delete(expected=2)

    assert (done.calls, done.feedback) == (2, 5)
    assert every.count() == 10
    assert every.where(feedback("note")).count() == 0
    with pytest.raises(NotFound):
        every.get("c01")


def test_an_action_is_for_all_that_match(every: CallSet) -> None:
    for act in (
        lambda: every.limit(2).delete(expected=2),
        lambda: every.limit(2).add_feedback("checked", {"ok": True}),
    ):
        with pytest.raises(UsageError, match=r"leave \.limit\(…\) out"):
            act()

    assert every.count() == 12


def test_a_set_is_exported(every: CallSet, tmp_path: Path) -> None:
    few = every.where(inputs.n < 3)

    size = few.export(tmp_path / "new" / "few.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "new" / "few.jsonl").read_text().splitlines()]
    few.export(tmp_path / "few.csv")
    few.sort(inputs.n.desc()).limit(2).export(str(tmp_path / "few.parquet"))
    every.export(tmp_path / "all.zip")

    assert size == (tmp_path / "new" / "few.jsonl").stat().st_size
    assert [line["call"]["id"] for line in lines if "call" in line] == ["c00", "c01", "c02"]
    assert sum("feedback" in line for line in lines) == 8
    assert len((tmp_path / "few.csv").read_text().splitlines()) == 4
    table = pyarrow.parquet.read_table(tmp_path / "few.parquet")
    assert table.column("id").to_pylist() == ["c02", "c01"]
    assert (tmp_path / "all.zip").read_bytes()[:2] == b"PK"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "all.zip",
        "data",
        "few.csv",
        "few.parquet",
        "new",
    ]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("few", {}, "does not say the format"),
        ("few.txt", {"format": "xml"}, "is not one of jsonl"),
        ("folder", {"format": "jsonl"}, "cannot be written"),
        ("data/kibitz.sqlite3/x.jsonl", {}, "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_is_said(
    every: CallSet, tmp_path: Path, name: str, options: dict[str, Any], says: str
) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(UsageError, match=says):
        every.export(tmp_path / name, **options)

    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_a_set_becomes_a_frame(every: CallSet) -> None:
    told: list[int] = []
    table = every.where(inputs.n < 3).sort(inputs.n).to_arrow(progress=lambda n, of: told.append(n))
    pandas, polars = every.sort(inputs.n).to_pandas(), every.columns("scores").to_polars()

    assert told == [1, 2, 3]
    assert table.column("id").to_pylist() == ["c00", "c01", "c02"]
    assert [json.loads(each)["n"] for each in table.column("inputs").to_pylist()] == [0, 1, 2]
    assert list(pandas["latency_ms"]) == [100.0 * (n + 1) for n in range(12)]
    assert pandas["feedback.[thumb].payload.up"].dropna().tolist() == [True, True, False]
    assert polars.height == 12
    assert "inputs" not in polars.columns
    assert "feedback.[helpful].payload.value" in polars.columns


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow"])
def test_a_library_that_is_not_there_is_named_before_anything_is_read(
    every: CallSet, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)
    ask = {"pandas": every.to_pandas, "polars": every.to_polars, "pyarrow": every.to_arrow}[name]

    with pytest.raises(MissingExtra, match=rf"{name}.*pip install 'kibitz\[arrow\]'"):
        ask(progress=lambda n, of: pytest.fail("something was read"))
    with pytest.raises(MissingExtra, match="pip install"):
        frames.table({"a": [1]}) if name == "pyarrow" else frames.check(name)
