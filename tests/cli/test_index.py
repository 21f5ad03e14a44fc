"""`kibitz index`: what the text index of a project holds."""

from __future__ import annotations

import json

import pytest

from kibitz.storage import sqlite
from kibitz.testing import serving


@pytest.fixture(name="indexed")
def _indexed(run, folder):
    def on_folder(*arguments):
        return run("index", *arguments, "--data", str(folder))

    return on_folder


def test_it_says_what_waits_and_fills_it(indexed, folder):
    assert "Each of the other 12 is read by every search." in indexed().stdout

    filled = json.loads(indexed("--substrings", "--json").stdout)

    assert filled["level"] == "substrings"
    assert (filled["calls"], filled["waiting"]) == (12, 0)
    assert filled["words"] > 10
    assert "12 of 12 calls are in it.\n" in indexed("acme/bot").stdout


def test_what_is_found_does_not_depend_on_it(indexed, run, folder):
    def found():
        asked = run(
            "calls", "acme/bot", "inputs contains 'estion 1'", "--data", str(folder), "--json"
        )
        return [json.loads(line)["id"] for line in asked.stdout.splitlines()]

    expected = found()
    assert expected == ["c11", "c10", "c01"]
    for level in ("--off", "--words", "--substrings", "--off", "--substrings"):
        assert indexed(level).exit_code == 0
        assert found() == expected, level


def test_off_holds_nothing(indexed):
    indexed("--words")

    said = indexed("--off").stdout
    assert "holds nothing" in said
    assert json.loads(indexed("--json").stdout)["waiting"] == 0


def test_it_leaves_the_filling_to_others_where_asked(indexed, folder):
    left = json.loads(indexed("--substrings", "--no-wait", "--json").stdout)
    assert left["waiting"] == 12

    store = sqlite.open_store(folder)
    assert store.search.index_some(5) == 5
    assert store.search.status("acme/bot").waiting == 7
    store.close()


def test_a_server_fills_it_and_the_command_looks_on(run, folder):
    with serving.server(folder) as url:
        filled = json.loads(run("index", "--substrings", "--json", "--url", url).stdout)
        assert (filled["level"], filled["waiting"]) == ("substrings", 0)
        assert json.loads(run("index", "--json", "--url", url).stdout) == filled


def test_an_unknown_project_is_named(indexed):
    failed = indexed("acme/bat", "--words")

    assert failed.exit_code == 1
    assert "acme/bat" in failed.stderr
