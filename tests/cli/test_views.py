"""`kibitz views`, and what `kibitz calls --view` asks."""

from __future__ import annotations

import json

import pytest

QUERY = "op = answer and feedback.grounded.output.score > 0"
SORT = "feedback.grounded.output.score"


@pytest.fixture(name="kept")
def _kept(run, folder):
    def on_folder(*arguments):
        return run(*arguments, "--data", str(folder))

    saved = on_folder("views", "save", "worst", QUERY, "--sort", SORT, "--columns", "id,op")
    assert saved.exit_code == 0, saved.output
    return on_folder


def test_a_view_is_saved_listed_and_shown(kept):
    listed = kept("views", "list").stdout.splitlines()
    shown = kept("views", "show", "worst").stdout

    assert listed[0].split("\t") == ["name", "query", "author", "saved"]
    assert listed[1].split("\t")[:2] == ["worst", f"{QUERY} sort {SORT}"]
    assert f"query  {QUERY}\n" in shown
    assert "columns  id, op\n" in shown


def test_views_are_given_as_json(kept):
    [listed] = [json.loads(line) for line in kept("views", "list", "--json").stdout.splitlines()]
    shown = json.loads(kept("views", "show", "worst", "--json").stdout)

    assert listed == shown
    assert (shown["query"], shown["sort"], shown["columns"]) == (QUERY, SORT, ["id", "op"])


def test_what_is_saved_and_deleted_is_given_as_json(kept):
    saved = json.loads(kept("views", "save", "slow", "latency > 2s", "--json").stdout)
    deleted = json.loads(kept("views", "delete", "slow", "--json").stdout)

    assert saved == deleted
    assert (saved["name"], saved["query"]) == ("slow", "latency > 2s")


def test_calls_are_asked_as_the_view_says(kept):
    asked = kept("calls", "--view", "worst").stdout.splitlines()

    assert asked == ["id\top", "c03\tanswer", "c01\tanswer", "c07\tanswer"]


def test_what_is_said_beside_a_view_holds_too_and_sorts_first(kept):
    lines = kept(
        "calls", "acme/bot", f"{SORT} > 0.3 sort id desc", "--view", "worst", "--columns", "id"
    ).stdout.split()

    assert lines == ["id", "c07", "c01"]
    assert kept("calls", "--view", "worst", "--count").stdout == "3\n"
    assert kept("calls", "--view", "worst", "--limit", "1").stdout.split("\n")[1] == "c03\tanswer"


def test_a_view_that_limits_does(kept):
    kept("views", "save", "first two", "sort id limit 2", "--columns", "id")

    assert kept("calls", "--view", "first two").stdout.split() == ["id", "c00", "c01"]


def test_a_deleted_view_is_shown_once_more(kept):
    assert kept("views", "delete", "worst").stdout == f"Deleted 'worst': {QUERY}\n"

    gone = kept("views", "show", "worst")
    assert gone.exit_code == 1
    assert "has no view 'worst'" in gone.stderr
    assert "There are no views" in kept("views", "list").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["views", "save", "a", "outptu = 1"], "did you mean 'output'"),
        (["views", "save", "a", "op = x sort op", "--sort", "id"], "leave one out"),
        (["views", "save", " ", "op = x"], "is not a name"),
        (["views", "save", "a", "op = x", "--columns", "op,outptu"], "columns[1]"),
    ],
)
def test_what_cannot_be_kept_is_said(kept, arguments, says):
    refused = kept(*arguments)

    assert refused.exit_code == 2
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_view_that_is_nearly_named_is_shown(kept):
    asked = kept("calls", "--view", "wurst")

    assert asked.exit_code == 1
    assert "did you mean 'worst'?" in asked.stderr
