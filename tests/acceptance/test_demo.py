"""The demo as a newcomer runs it: a fresh folder, a real process, and what it says can be asked again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kibitz.base.records import Call
from kibitz.cli.demo.questions import QUESTIONS
from kibitz.query import json_form
from kibitz.storage import sqlite

GROUNDEDNESS = "feedback.[runnable.groundedness].payload.output.score"
pytestmark = pytest.mark.processes


def kibitz(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kibitz.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="demonstrated", scope="module")
def _demonstrated(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The data folder of one run. A server that the environment names must not get the demo's calls."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    done = kibitz(
        "demo", "--data", str(folder), KIBITZ_URL="http://127.0.0.1:9", KIBITZ_ENABLED="0"
    )
    return folder, done


def query(folder: Path, **asked: object) -> list[Call]:
    store = sqlite.open_store(folder)
    try:
        asked = {"project": "demo/stdlib", "limit": 1000, **asked}
        return store.calls.query(json_form.parse_query(asked)).items
    finally:
        store.close()


def score(call: Call) -> float | None:
    for each in call.feedback or []:
        if each.type == "runnable.groundedness":
            return each.payload["output"]["score"]
    return None


def test_it_ends_well_and_prints_the_answers_worst_first(demonstrated) -> None:
    folder, done = demonstrated

    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("How", "What"))]
    printed = [row.split("  ")[0] for row in rows]
    assert sorted(printed) == sorted(question.text for question in QUESTIONS)
    asked = query(
        folder,
        filter={"op": "answer"},
        sort=[{"field": GROUNDEDNESS, "direction": "asc"}],
        columns=["inputs"],
    )
    assert printed == [call.inputs["question"] for call in asked]
    assert f"kibitz serve --data {folder}" in done.stdout


def test_answers_are_sorted_by_groundedness_and_what_failed_is_last(demonstrated) -> None:
    folder, _ = demonstrated

    calls = query(
        folder,
        filter={"op": "answer"},
        sort=[{"field": GROUNDEDNESS, "direction": "asc"}],
        columns=["feedback"],
    )

    scores = [score(call) for call in calls]
    assert scores[-1] is None
    assert calls[-1].status == "error"
    assert calls[-1].error is not None
    assert "no word to search for" in calls[-1].error
    judged = [each for each in scores if each is not None]
    assert judged == sorted(judged)
    assert len(judged) == len(QUESTIONS) - 1
    assert len(set(judged)) > 10
    assert 0 < judged[0] < 0.8 < judged[-1] <= 1


def test_every_answer_is_a_trace_of_several_ops(demonstrated) -> None:
    folder, _ = demonstrated

    calls = query(folder)
    by_id = {call.id: call for call in calls}
    (failed_search,) = [call for call in calls if call.op == "search" and call.status == "error"]

    parents = {call.op: by_id[call.parent_id].op for call in calls if call.parent_id is not None}
    assert parents == {
        "retrieve": "answer",
        "search": "retrieve",
        "rank": "retrieve",
        "write": "answer",
        "quote": "write",
        "introduce": "write",
    }
    assert by_id[by_id[failed_search.parent_id or ""].parent_id or ""].op == "answer"
    assert {call.kind for call in calls} == {"agent", "retriever", "tool", "writer", "scorer"}


def test_people_left_reactions_and_notes(demonstrated) -> None:
    folder, _ = demonstrated

    noted = query(folder, query={"$expr": {"$exists": {"$getField": "feedback.[note]"}}})
    disliked = query(
        folder,
        query={
            "$expr": {
                "$eq": [
                    {"$getField": "feedback.[reaction].payload.emoji"},
                    {"$literal": "👎"},
                ]
            }
        },
    )

    assert len(noted) == sum(question.note is not None for question in QUESTIONS)
    assert len(disliked) == sum(question.reaction == "👎" for question in QUESTIONS)


def test_the_line_it_says_to_ask_again_with_works(demonstrated) -> None:
    folder, _ = demonstrated

    asked = kibitz(
        "calls", "demo/stdlib", "--data", str(folder), "--op", "answer",
        "--sort", GROUNDEDNESS, "--limit", "3", "--json",
    )  # fmt: skip

    calls = [json.loads(line) for line in asked.stdout.splitlines()]
    assert [call["op"] for call in calls] == ["answer"] * 3
    assert all(call["inputs"]["question"] for call in calls)


def test_a_rule_had_every_answer_judged_by_feedback_functions(demonstrated) -> None:
    folder, done = demonstrated
    answered = len(QUESTIONS) - 1

    assert f"{2 * answered} done, 0 failed, 2 skipped" in done.stdout
    store = sqlite.open_store(folder)
    try:
        found = {each.name: each for each in store.evaluations.progress("demo/stdlib")}
        calls = query(folder, filter={"op": "answer"}, columns=["output", "feedback"])
        judged = [store.evaluations.of_call("demo/stdlib", call.id) for call in calls]
    finally:
        store.close()
    assert {name: (each.done, each.skipped) for name, each in found.items()} == {
        "supported": (answered, 1),
        "readable": (answered, 1),
    }
    for call, evaluations in zip(calls, judged, strict=True):
        supported = next(each for each in evaluations if each.name == "supported")
        if supported.status == "done":
            # One invocation for each sentence, against all passages at once.
            assert [each.arguments["statement"] for each in supported.invocations] == [
                *call.output["sentences"]
            ]
            assert supported.output["worst"] == min(each.output for each in supported.invocations)
        else:
            assert call.status == "error"
            assert "__record__" in (supported.reason or "")
