"""`kibitz evaluations`."""

from __future__ import annotations

import json

import pytest
import worker_judges
import working

from kibitz.storage import sqlite
from kibitz.workers import definitions
from kibitz.workers.claiming import Options
from kibitz.workers.worker import Worker


@pytest.fixture(name="evaluations")
def _evaluations(run, tmp_path):
    """A folder where six evaluations are done and three failed."""
    store = sqlite.open_store(tmp_path)
    working.add_calls(store, ["because", "[31mred", "so"])
    refs = working.define(
        store,
        working.feedback(worker_judges.length),
        working.feedback(worker_judges.awaited),
        working.feedback(worker_judges.wrong),
    )
    working.want(store, refs)
    Worker(store, Options(until="idle"), load=definitions.loading(("worker_judges",))).run()
    store.close()

    def on_folder(*arguments):
        return run("evaluations", *arguments, "--data", str(tmp_path))

    return on_folder


def _ids(evaluations, *arguments):
    lines = evaluations("list", "--json", *arguments).stdout.splitlines()
    return [json.loads(line)["id"] for line in lines]


def test_evaluations_are_listed(evaluations):
    header, *rows = evaluations("list").stdout.splitlines()

    assert header.split("\t")[:5] == ["id", "feedback", "call", "status", "output"]
    assert len(rows) == 9
    assert {row.split("\t")[3] for row in rows} == {"done", "failed"}


def test_evaluations_are_chosen(evaluations):
    assert len(_ids(evaluations, "--status", "failed")) == 3
    assert len(_ids(evaluations, "--status", "failed", "--status", "done")) == 9
    assert len(_ids(evaluations, "--name", "length", "--call", "c1")) == 1
    assert _ids(evaluations, "--rule", "nobody") == []
    assert len(_ids(evaluations, "--limit", "4")) == 4
    assert "no such evaluations" in evaluations("list", "--status", "running").stderr


def test_an_evaluation_is_shown_with_its_invocations(evaluations):
    [done] = _ids(evaluations, "--name", "length", "--call", "c0")
    [failed] = _ids(evaluations, "--name", "wrong", "--call", "c1")

    shown = evaluations("show", done).stdout
    assert "output  0.07\n" in shown
    assert "invocation 1 of 1: done in" in shown
    assert '"because"  (__record__.main_output)' in shown
    because = evaluations("show", failed).stdout
    assert "status  failed\n" in because
    assert "nan" in because.lower()
    assert "\x1b" not in because
    whole = json.loads(evaluations("show", done, "--json").stdout)
    assert whole["invocations"][0]["arguments"] == {"text": "because"}


def test_progress_is_one_row_for_each_definition(evaluations):
    header, *rows = evaluations("progress").stdout.splitlines()

    assert header.split("\t")[:6] == ["feedback", "wanted", "running", "done", "failed", "skipped"]
    assert {tuple(row.split("\t")[:6]) for row in rows} == {
        ("length", "0", "0", "3", "0", "0"),
        ("awaited", "0", "0", "3", "0", "0"),
        ("wrong", "0", "0", "0", "3", "0"),
    }
    lines = [json.loads(line) for line in evaluations("progress", "--json").stdout.splitlines()]
    assert {each["name"]: each["failed"] for each in lines} == {
        "length": 0,
        "awaited": 0,
        "wrong": 3,
    }


def test_what_failed_is_wanted_anew(evaluations):
    retried = evaluations("retry", "--failed", "--call", "c1")
    rest = evaluations("retry", "--failed", "--json")

    assert retried.stdout == "1 evaluation is wanted anew.\n"
    assert json.loads(rest.stdout) == {"project": working.PROJECT, "wanted": 2}
    assert len(_ids(evaluations, "--status", "none")) == 3


def test_evaluations_are_wanted_anew_by_id(evaluations):
    [one] = _ids(evaluations, "--name", "length", "--call", "c0")

    retried = evaluations("retry", one, "nobody")

    assert retried.stdout == "1 evaluation is wanted anew.\n"
    assert "1 of the 2" in retried.stderr
    assert _ids(evaluations, "--status", "none") == [one]


@pytest.mark.parametrize("arguments", [[], ["x", "--failed"], ["x", "--name", "length"]])
def test_what_to_retry_is_said_in_one_way(evaluations, arguments):
    refused = evaluations("retry", *arguments)

    assert refused.exit_code == 2
    assert "--failed" in refused.stderr


def test_an_evaluation_that_is_not_there_is_an_error(evaluations):
    refused = evaluations("show", "nobody")

    assert refused.exit_code == 1
    assert "nobody" in refused.stderr


def test_where_nothing_was_evaluated_it_says_how_to_begin(run, folder):
    said = run("evaluations", "progress", "--data", str(folder))

    assert said.exit_code == 0
    assert "kibitz rules add" in said.stderr
