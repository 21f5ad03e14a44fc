"""The questions that `docs/how-to/ask-about-an-evaluation.md` asks, against answers worked out from the files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alpaca import DATA, EXAMPLE, PROJECT, Api, rows

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "ask-about-an-evaluation.md"

pytestmark = pytest.mark.processes


class Row:
    """An answer as the files have it."""

    def __init__(self, number: int, row: dict[str, Any], dataset: str) -> None:
        self.number = number
        self.id = f"{row['model']}-{row['instruction_id']}"
        self.model: str = row["model"]
        self.dataset = dataset
        self.output: str = row["output"]
        self.preference: float | None = row["preference"]
        self.latency_us = round((row["time_per_example"] or 0) * 1_000_000)


def answers() -> list[Row]:
    datasets = {row["instruction_id"]: row["dataset"] for row in rows("instructions.jsonl.gz")}
    return [
        Row(number, row, datasets[row["instruction_id"]])
        for number, row in enumerate(rows("outputs.jsonl.gz"))
    ]


def _beaten(every: list[Row]) -> list[Row]:
    lost = [
        row
        for row in every
        if row.model == "gemma-7b-it"
        and row.dataset == "helpful_base"
        and row.preference is not None
        and row.preference < 1.5
    ]
    return sorted(lost, key=lambda row: (-len(row.output), -row.number))


def _apologies(every: list[Row]) -> list[Row]:
    found = [
        row
        for row in every
        if row.model == "claude-2.1"
        and row.preference is not None
        and row.preference < 1.01
        and re.search("^I (apologi[sz]e|.m sorry)", row.output)
    ]
    return sorted(found, key=lambda row: (row.preference, row.number))


def _tables(every: list[Row]) -> list[Row]:
    found = [
        row
        for row in every
        if "|---" in row.output and row.preference is not None and 1.5 < row.preference <= 1.9
    ]
    return sorted(found, key=lambda row: (-(row.preference or 0), row.number))


def _draws(every: list[Row]) -> list[Row]:
    found = [row for row in every if row.preference == 1.5 and row.latency_us > 0]
    return sorted(found, key=lambda row: (-row.latency_us, -row.number))


ANSWERED: list[tuple[Callable[[list[Row]], list[Row]], int]] = [
    (_beaten, 20),
    (_apologies, 2),
    (_tables, 5),
    (_draws, 3),
]
"""The answers in the order of the guide, and how many there are at least: a question without an answer shows nothing."""


def asked() -> Iterator[str]:
    yield from re.findall(r"^    kibitz calls alpaca/eval '(.+)'$", GUIDE.read_text(), re.MULTILINE)


def test_each_question_of_the_guide_has_the_answer_that_the_files_give(alpaca_eval: Api) -> None:
    every = answers()
    questions = list(asked())
    assert len(questions) == len(ANSWERED)

    for question, (answer, least) in zip(questions, ANSWERED, strict=True):
        expected = [row.id for row in answer(every)]
        assert len(expected) >= least, question
        assert [call["id"] for call in alpaca_eval.calls(text=question)] == expected, question


@pytest.mark.skipif(not DATA.is_dir(), reason="the AlpacaEval data is not beside the repository")
def test_the_guide_works_on_the_command_line(tmp_path: Path) -> None:
    kibitz = [sys.executable, "-m", "kibitz.cli"]
    lines = subprocess.run(
        [sys.executable, str(EXAMPLE), str(DATA)], capture_output=True, check=True
    ).stdout
    imported = subprocess.run(
        [*kibitz, "import", "-", "--project", PROJECT, "--data", str(tmp_path)],
        input=lines,
        capture_output=True,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr.decode()

    found = subprocess.run(
        [*kibitz, "calls", PROJECT, next(asked()), "--data", str(tmp_path), "--json"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()

    expected = [row.id for row in _beaten(answers())]
    assert [json.loads(line)["id"] for line in found] == expected[: len(found)]
    assert len(found) == min(len(expected), 50)
