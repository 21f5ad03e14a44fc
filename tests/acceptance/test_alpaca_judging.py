"""Answers of AlpacaEval judged without a model by real workers, held against what GPT-4 prefers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import alpaca
import msgspec
import pytest
from scipy import stats

from kibitz.base.records import Batch
from kibitz.providers import Local
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite

EXAMPLE = Path(__file__).parents[2] / "examples" / "judge_alpaca.py"
JUDGES = [
    *(
        "word_count",
        "character_count",
        "list_share",
        "flesch_reading_ease",
        "lexical_diversity",
        "repetition",
    ),
    *(
        "refusal",
        "hedging",
        "no_pii",
        "words_of_instruction",
        "rouge_1_to_instruction",
        "like_instruction",
    ),
]
INSTRUCTIONS = 13
"""Of 805: every answer to them, so that there are several about one thing."""

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the answers to some instructions, and GPT-4's preferences."""
    if not alpaca.DATA.is_dir():
        pytest.skip("the AlpacaEval data is not beside the repository")
    place = tmp_path_factory.mktemp("judged")
    chosen = [row["instruction_id"] for row in alpaca.rows("instructions.jsonl.gz")]
    wanted = set(chosen[:: len(chosen) // INSTRUCTIONS][:INSTRUCTIONS])
    store = sqlite.open_store(place)
    for batch in alpaca.batches():
        kept = {
            "objects": batch.get("objects", []),
            "calls": [each for each in batch.get("calls", []) if each["id"][-12:] in wanted],
            "feedback": [each for each in batch.get("feedback", []) if each["id"][-12:] in wanted],
        }
        receipt = store.ingest.write(msgspec.convert({"project": alpaca.PROJECT, **kept}, Batch))
        assert receipt.rejected == []
    store.close()
    return place


@pytest.fixture(scope="module")
def told(folder: Path) -> list[dict[str, Any]]:
    """What the example prints of them."""
    run = subprocess.run(
        [sys.executable, str(EXAMPLE), "--source", str(folder), "--json", "--only", *JUDGES],
        env={name: value for name, value in os.environ.items() if not name.startswith("KIBITZ_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_answer_is_judged_once_by_every_function(
    folder: Path, told: list[dict[str, Any]]
) -> None:
    store = sqlite.open_store(folder)
    answers = store.calls.count(alpaca.PROJECT, None).count
    progress = store.evaluations.progress(alpaca.PROJECT)
    store.close()

    assert answers > 150
    assert {each.name for each in progress} == {row["judge"] for row in told} == {*JUDGES}
    for each in progress:
        said = (each.done, each.wanted, each.running, each.failed, each.skipped)
        assert said == (answers, 0, 0, 0, 0), each.name
    assert {row["answers"] for row in told} == {answers}


@pytest.mark.parametrize("name", ["word_count", "flesch_reading_ease", "words_of_instruction"])
def test_scores_and_their_correlation_are_those_worked_out_from_the_files(
    folder: Path, told: list[dict[str, Any]], name: str
) -> None:
    local = Local()
    asked = {
        row["instruction_id"]: row["instruction"] for row in alpaca.rows("instructions.jsonl.gz")
    }
    row = next(each for each in told if each["judge"] == name)
    store = sqlite.open_store(folder)
    try:
        stored = {
            each.target_ref.rpartition("/")[2]: each.payload["output"]
            for each in _feedback(store, f"runnable.{name}")
        }
    finally:
        store.close()

    expected, preferences = {}, []
    for answer in alpaca.rows("outputs.jsonl.gz"):
        call_id = f"{answer['model']}-{answer['instruction_id']}"
        if call_id in stored:
            expected[call_id] = (
                local.containment(answer["output"], asked[answer["instruction_id"]])
                if name == "words_of_instruction"
                else getattr(local, name)(answer["output"])
            )
            preferences.append(answer["preference"])

    assert stored == pytest.approx(expected)
    assert row["estimate"] == pytest.approx(
        stats.spearmanr([*expected.values()], preferences).statistic
    )
    assert row["low"] < row["estimate"] < row["high"]


def test_the_table_begins_with_what_goes_most_with_the_preference(
    told: list[dict[str, Any]],
) -> None:
    sizes = [abs(row["estimate"] or 0.0) for row in told]
    found = {row["judge"]: row for row in told}

    assert sizes == sorted(sizes, reverse=True)
    assert found["character_count"]["estimate"] > 0
    assert found["no_pii"]["estimate"] is None
    assert "all values of x are 1.0" in found["no_pii"]["why"]


def test_the_same_again_judges_nothing_again(folder: Path, told: list[dict[str, Any]]) -> None:
    store = sqlite.open_store(folder)
    before = {each.name: each.last_at for each in store.evaluations.progress(alpaca.PROJECT)}
    store.close()

    subprocess.run(
        [sys.executable, str(EXAMPLE), "--source", str(folder), "--json", "--only", *JUDGES],
        capture_output=True,
        timeout=120,
        check=True,
    )

    store = sqlite.open_store(folder)
    after = {each.name: each.last_at for each in store.evaluations.progress(alpaca.PROJECT)}
    store.close()
    assert after == before


def _feedback(store: Any, type_: str) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = store.feedback.query(
            FeedbackQuery(project=alpaca.PROJECT, type=type_, limit=250, cursor=cursor)
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
