"""`kibitz rules`."""

from __future__ import annotations

import json
import sys

import pytest
import worker_judges
import working

from kibitz.base.evaluations import EvaluationQuery
from kibitz.judging.functions import Feedback
from kibitz.storage import sqlite

MODULE = "rule_judges_of_tests"
CODE = """
import worker_judges
from kibitz.judging.functions import Feedback

brief = Feedback(worker_judges.length, name="brief").on_output()
number = 7
"""


@pytest.fixture(name="rules")
def _rules(run, folder):
    store = sqlite.open_store(folder)
    receipt = store.ingest.write(
        working.Batch(
            project="acme/bot",
            objects=[Feedback(worker_judges.length).on_output().definition.part()],
        )
    )
    store.close()
    assert receipt.rejected == []

    def on_folder(*arguments):
        return run("rules", *arguments, "--data", str(folder))

    return on_folder


@pytest.fixture(name="module")
def _module(tmp_path, monkeypatch):
    """A folder with a module of feedback functions."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    code = tmp_path / "code"
    code.mkdir()
    (code / f"{MODULE}.py").write_text(CODE)
    (code / "broken_judges_of_tests.py").write_text("raise RuntimeError('not today')")
    yield code
    sys.modules.pop(MODULE, None)


def _wanted(folder):
    store = sqlite.open_store(folder)
    try:
        return {
            each.call_id: each
            for each in store.evaluations.query(EvaluationQuery(project="acme/bot")).items
        }
    finally:
        store.close()


def test_a_rule_is_added_listed_and_shown(rules):
    added = rules("add", "short", "--op", "answer", "--definition", "length", "--sample", "0.5")

    assert added.exit_code == 0, added.output
    header, row = rules("list").stdout.splitlines()
    assert header.split("\t")[:5] == ["name", "active", "query", "feedback", "sample"]
    assert row.split("\t")[:5] == ["short", "yes", "op = answer", "length", "0.5"]
    shown = rules("show", "short").stdout
    assert "query  op = answer\n" in shown
    assert "judge  kibitz:///acme/bot/object/length:" in shown


def test_rules_are_given_as_json(rules):
    added = rules("add", "short", "--definition", "length", "--per-day", "9", "--json")
    listed = [json.loads(line) for line in rules("list", "--json").stdout.splitlines()]
    shown = json.loads(rules("show", "short", "--json").stdout)

    assert [json.loads(added.stdout)["name"]] == ["short"]
    assert listed == [shown]
    assert (shown["per_day"], shown["query"], shown["active"]) == (9, "", True)


def test_what_is_set_changes_and_the_rest_stays(rules):
    rules("add", "short", "--query", "latency > 2s", "--definition", "length", "--author", "ann")

    rules("set", "short", "--usd-per-day", "1.5", "--author", "bob")

    rule = json.loads(rules("show", "short", "--json").stdout)
    assert (rule["query"], rule["usd_per_day"], rule["author"]) == ("latency > 2s", 1.5, "bob")
    assert len(rule["definitions"]) == 1


def test_a_rule_rests_and_holds_again(rules):
    rules("add", "short", "--definition", "length")

    assert "rests" in rules("pause", "short").stdout
    assert json.loads(rules("pause", "short", "--json").stdout)["active"] is False
    assert not json.loads(rules("show", "short", "--json").stdout)["active"]
    rules("set", "short", "--sample", "0.1")
    assert not json.loads(rules("show", "short", "--json").stdout)["active"]
    assert "holds" in rules("resume", "short").stdout
    assert json.loads(rules("resume", "short", "--json").stdout)["active"] is True
    assert json.loads(rules("show", "short", "--json").stdout)["active"]


def test_a_deleted_rule_is_shown_once_more(rules):
    rules("add", "short", "--op", "answer", "--definition", "length")

    assert rules("delete", "short").stdout == "Deleted 'short': op = answer\n"
    assert rules("show", "short").exit_code == 1
    assert "There are no rules" in rules("list").stderr


def test_the_past_is_wanted_by_a_back_fill(rules, folder):
    rules("add", "short", "--op", "answer", "--definition", "length")

    first = rules("backfill", "short", "--yes")
    again = rules("backfill", "short", "--yes", "--json")

    assert first.stdout.startswith("6 evaluations are wanted.")
    assert json.loads(again.stdout) == {
        "project": "acme/bot",
        "rule": "short",
        "wanted": 0,
        "known": 6,
    }
    assert {each.rule for each in _wanted(folder).values()} == {"short"}
    assert set(_wanted(folder)) == {"c01", "c03", "c05", "c07", "c09", "c11"}


def test_a_back_fill_asks_before(rules, folder):
    rules("add", "short", "--op", "answer", "--definition", "length")

    refused = rules("backfill", "short")

    assert refused.exit_code == 2
    assert "6 calls of acme/bot by length; give --yes" in refused.stderr
    assert _wanted(folder) == {}


def test_a_feedback_function_of_a_module_is_defined_and_watched(rules, module):
    added = rules(
        *("add", "brief", "--judge", f"{MODULE}:brief", "--allow", MODULE),
        *("--app-dir", str(module)),
    )

    assert added.exit_code == 0, added.output
    assert "object/brief:" in rules("show", "brief").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--judge", f"{MODULE}:brief"], "--allow"),
        (["--judge", f"{MODULE}:number", "--allow", MODULE], "no feedback function"),
        (["--judge", f"{MODULE}:nobody", "--allow", MODULE], "no feedback function"),
        (["--judge", MODULE, "--allow", MODULE], "MODULE:NAME"),
        (["--judge", "nowhere_at_all:x", "--allow", "nowhere_at_all"], "cannot be imported"),
        (
            ["--judge", "broken_judges_of_tests:x", "--allow", "broken_judges_of_tests"],
            "not today",
        ),
        (["--op", "a", "--query", "op = b", "--definition", "length"], "not both"),
        ([], "--definition or --judge"),
        (["--definition", "length", "--query", "outptu = 1"], "did you mean"),
        (["--definition", "length", "--sample", "2"], "2"),
    ],
)
def test_what_is_no_rule_is_said(rules, module, arguments, says):
    refused = rules("add", "mine", *arguments, "--app-dir", str(module))

    assert refused.exit_code == 2
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "There are no rules" in rules("list").stderr


def test_a_definition_that_is_not_there_is_said_with_those_that_are(rules):
    refused = rules("add", "mine", "--definition", "lenght")

    assert refused.exit_code == 1
    assert "it has length" in refused.stderr


def test_a_name_that_is_taken_is_refused_and_one_that_is_not_there_cannot_be_set(rules):
    rules("add", "mine", "--definition", "length")

    assert "there is a rule 'mine' already" in rules("add", "mine", "--definition", "length").stderr
    assert rules("set", "other", "--sample", "0.5").exit_code == 1
