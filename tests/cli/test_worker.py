"""`kibitz worker` as a person runs it; processes of it are in the acceptance tests."""

from __future__ import annotations

import json
import sys

import pytest
import worker_judges
import working

from kibitz.storage import sqlite


@pytest.fixture(name="worker")
def _worker(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    store = sqlite.open_store(tmp_path)
    working.add_calls(store, ["because"] * 3)
    refs = working.define(
        store, working.feedback(worker_judges.length), working.feedback(worker_judges.wrong)
    )
    working.want(store, refs)
    store.close()

    def on_folder(*arguments):
        return run(
            "worker",
            "--until-idle",
            "--app-dir",
            str(tmp_path),
            *arguments,
            "--data",
            str(tmp_path),
        )

    return on_folder


def test_a_summary_says_what_was_done_by_feedback(worker):
    ended = worker("--allow", "worker_judges")

    assert ended.exit_code == 1
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("Working for all projects of ")
    assert lines[-3].startswith("3 done, 3 failed, 0 skipped in ")
    assert lines[-2:] == [
        "  length: 3 done, 0 failed, 0 skipped",
        "  wrong: 0 done, 3 failed, 0 skipped",
    ]
    # The same failure of three records is said once.
    assert len([line for line in lines if line.startswith("wrong of call")]) == 1


def test_what_happens_is_given_as_json_lines(worker):
    ended = worker("--allow", "worker_judges", "--json")

    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.stderr == ""
    assert told[0]["event"] == "started"
    assert (told[-1]["event"], told[-1]["total"]["done"]) == ("stopped", 3)
    assert [each["event"] for each in told].count("failed") == 3


def test_a_quiet_one_says_nothing(worker):
    ended = worker("--allow", "worker_judges", "--quiet")

    assert (ended.stdout, ended.stderr) == ("", "")


def test_allowed_modules_come_from_the_environment_too(worker, monkeypatch):
    monkeypatch.setenv("KIBITZ_WORKER_ALLOW", "something, worker_judges")

    assert "3 done, 3 failed" in worker().stderr


def test_where_nothing_failed_it_ends_well(worker):
    worker("--allow", "worker_judges")

    again = worker("--allow", "worker_judges")

    assert again.exit_code == 0
    assert again.stderr.splitlines()[-1].startswith("0 done, 0 failed, 0 skipped in ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--once"], "either --once or --until-idle"),
        (["--json", "--quiet"], "either --json or --quiet"),
        (["no project!"], "is not a name"),
        (["--app-dir", "nowhere"], "no folder 'nowhere'"),
        (["--concurrency", "0"], "--concurrency"),
    ],
)
def test_what_it_cannot_do_is_said(worker, arguments, says):
    refused = worker(*arguments)

    assert refused.exit_code == 2
    assert says in refused.stderr


def test_a_folder_that_is_not_there_is_said(run, tmp_path):
    refused = run("worker", "--once", "--data", str(tmp_path / "nowhere"))

    assert refused.exit_code == 1
    assert "there is no data folder" in refused.stderr


def test_a_project_that_is_not_there_is_said(worker):
    ended = worker("tream/app")

    assert ended.exit_code == 1
    assert "there is no project 'tream/app' here; there are team/app" in ended.stderr
