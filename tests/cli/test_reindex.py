"""`kibitz reindex`, and `kibitz doctor` that says where it is needed."""

from __future__ import annotations

import json
import sqlite3

import pytest


@pytest.fixture(name="spoilt")
def _spoilt(folder):
    connection = sqlite3.connect(folder / "kibitz.sqlite3")
    connection.execute("DELETE FROM scores")
    connection.execute("UPDATE rollups SET calls = calls + 1")
    connection.commit()
    connection.close()
    return str(folder)


def _findings(run, folder):
    examined = json.loads(run("doctor", "--json", "--data", folder).stdout)
    return {each["check"]: each["state"] for each in examined["findings"]}, examined["ok"]


def test_the_doctor_sees_what_does_not_agree_and_reindex_puts_it_right(run, spoilt):
    states, fine = _findings(run, spoilt)
    assert (states["derived"], fine) == ("problem", False)

    done = run("reindex", "--data", spoilt)

    assert done.exit_code == 0, done.output
    assert done.stdout == "Everything derived from 12 calls and 4 feedback is made anew.\n"
    states, fine = _findings(run, spoilt)
    assert (states["derived"], fine) == ("ok", True)
    asked = run(
        "calls", "acme/bot", "feedback.grounded.output.score > 0.3", "--data", spoilt, "--json"
    )
    assert [json.loads(line)["id"] for line in asked.stdout.splitlines()] == ["c07", "c01"]


def test_one_project_can_be_named(run, folder):
    made = run("reindex", "acme/bot", "--json", "--data", str(folder)).stdout
    assert json.loads(made) == {"projects": ["acme/bot"], "calls": 12, "feedback": 4}

    failed = run("reindex", "acme/bat", "--data", str(folder))
    assert failed.exit_code == 1
    assert "acme/bat" in failed.stderr


def test_a_server_and_an_empty_folder_are_refused(run, tmp_path):
    elsewhere = run("reindex", "--url", "http://127.0.0.1:1")
    empty = run("reindex", "--data", str(tmp_path))

    assert (elsewhere.exit_code, empty.exit_code) == (2, 2)
    assert "data folder" in elsewhere.stderr
    assert str(tmp_path) in empty.stderr
    assert list(tmp_path.iterdir()) == []
