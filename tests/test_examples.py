"""Every example runs as it stands, in a process of its own, and leaves the calls it is about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kibitz.query import json_form
from kibitz.storage import sqlite

FOLDER = Path(__file__).parent.parent / "examples"
ELSEWHERE = {"alpaca_eval.py", "judge_alpaca.py"}
"""Run in acceptance tests, as they need data."""
EXAMPLES = sorted({path.name for path in FOLDER.glob("*.py")} - ELSEWHERE)
LEAVES = {
    "asking.py": ("acme/asking", {"my_model": 4, "my_scorer": 4}),
    "asynchronous.py": ("acme/async", {"look_up": 3, "compare": 1, "correct": 1}),
    "importing.py": ("acme/imported", {"answer": 2}),
    "judging.py": ("acme/judging", {"retrieve": 3, "answer": 3}),
    "quickstart.py": ("acme/support-bot", {"retrieve": 3, "answer": 3, "grounded": 3}),
    "scorers.py": ("acme/scorers", {"summarise": 3, "short": 3, "coverage": 3}),
    "streaming.py": ("acme/streaming", {"answer": 1, "generate": 1, "shout": 4}),
    "threads.py": ("acme/threads", {"measure_all": 1, "measure": 4, "in_background": 1}),
}
pytestmark = pytest.mark.processes


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_leaves_its_calls(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / name)],
        env={**os.environ, "KIBITZ_DATA": str(tmp_path / "data")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    project, expected = LEAVES[name]
    store = sqlite.open_store(tmp_path / "data")
    try:
        assert dict(store.calls.ops(project)) == expected
        running = store.calls.count(
            project, json_form.parse_conditions({"status": ["running", "error"]}, None)
        )
        assert running.count == 0
    finally:
        store.close()


def test_children_in_threads_and_tasks_belong_to_the_call_that_made_them(tmp_path: Path) -> None:
    for name, child, parent in (
        ("threads.py", "measure", {"measure_all", "in_background"}),
        ("asynchronous.py", "look_up", {"compare"}),
        ("streaming.py", "shout", {"answer"}),
    ):
        folder = tmp_path / name
        subprocess.run(
            [sys.executable, str(FOLDER / name)],
            env={**os.environ, "KIBITZ_DATA": str(folder)},
            capture_output=True,
            check=True,
        )
        store = sqlite.open_store(folder)
        try:
            page = store.calls.query(json_form.parse_query({"project": LEAVES[name][0]}))
        finally:
            store.close()
        by_id = {call.id: call for call in page.items}
        parents = {by_id[call.parent_id or ""].op for call in page.items if call.op == child}
        assert parents == parent


def test_a_worker_does_what_the_example_of_judging_wants(tmp_path: Path) -> None:
    environment = {**os.environ, "KIBITZ_DATA": str(tmp_path / "data")}
    for command in (
        [str(FOLDER / "judging.py")],
        ["-m", "kibitz.cli", "worker", "--until-idle", "--quiet"],
    ):
        subprocess.run([sys.executable, *command], env=environment, cwd=tmp_path, check=True)

    store = sqlite.open_store(tmp_path / "data")
    try:
        asked = {
            "project": "acme/judging",
            "filter": {"op": "answer"},
            "columns": ["inputs", "scores"],
        }
        calls = store.calls.query(json_form.parse_query(asked)).items
    finally:
        store.close()
    found = {
        call.inputs["question"]: {name: scores["output"] for name, scores in call.scores.items()}
        for call in calls
    }
    assert found["How do I cancel?"]["runnable.grounded"] == 1
    assert found["How do I cancel?"]["runnable.relevant"] == 0.125
    # Nothing was retrieved: what is said then is not grounded, and there is nothing to be relevant.
    assert found["Is there a discount?"] == {"runnable.grounded": 0, "runnable.brief": 1}
