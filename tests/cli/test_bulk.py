"""`kibitz bulk`: counts first, asks, and touches exactly what matches, in a folder and through a server alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from click.testing import Result

from kibitz.cli import bulk
from kibitz.testing import serving

Run = Callable[..., Result]


@pytest.fixture(name="source", params=["folder", "server"])
def _source(request: pytest.FixtureRequest, folder: Path) -> Generator[list[str]]:
    if request.param == "folder":
        yield ["--data", str(folder)]
    else:
        with serving.server(folder) as url:
            yield ["--url", url]


def count(run: Run, source: list[str], query: str = "") -> int:
    return int(run("calls", "acme/bot", query, "--count", *source).stdout)


def test_what_matches_is_deleted_and_the_rest_stays(run: Run, source: list[str]) -> None:
    result = run("bulk", "delete", "acme/bot", "op = answer", "--yes", "--json", *source)

    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["calls"], summary["feedback"]) == (6, 4)
    assert (count(run, source), count(run, source, "op = retrieve")) == (6, 6)


def test_what_matches_is_judged(run: Run, source: list[str]) -> None:
    query = "status = error"

    noted = run("bulk", "note", "acme/bot", query, "--note", "Seen.", "--yes", *source)
    run("bulk", "react", "acme/bot", query, "--emoji", "👍", "--yes", *source)
    run("bulk", "feedback", "acme/bot", query, "--type", "triage", "--payload", '{"queue": "a"}',
        "--author", "Ada", "--yes", *source)  # fmt: skip

    assert "Judged 4 calls of acme/bot." in noted.stdout
    for said in ("note", "reaction", "triage"):
        assert count(run, source, f"exists feedback.[{said}]") == 4
    assert count(run, source, "feedback.[triage].author = Ada and feedback.[triage].queue = a") == 4


def test_without_a_yes_where_nobody_can_be_asked_nothing_is_done(
    run: Run, source: list[str]
) -> None:
    result = run("bulk", "delete", "acme/bot", "op = answer", *source)

    assert result.exit_code == 2
    assert "6 calls of acme/bot with 4 feedback" in result.stderr
    assert count(run, source) == 12


def test_a_no_leaves_everything(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ["--data", str(folder)]
    asked: list[str] = []

    def confirm(text: str, **_: object) -> None:
        asked.append(text)
        raise bulk.click.Abort

    monkeypatch.setattr(bulk.click, "confirm", confirm)
    monkeypatch.setattr(bulk, "_can_ask", lambda: True)

    result = run("bulk", "delete", "acme/bot", "op = answer", *source)

    assert asked == ["Delete 6 calls of acme/bot with 4 feedback on them, for good?"]
    assert result.exit_code == 1
    assert count(run, source) == 12


@pytest.mark.parametrize("which", [[], ["op = answer", "--all"]])
def test_which_calls_must_be_said_once(run: Run, source: list[str], which: list[str]) -> None:
    result = run("bulk", "delete", "acme/bot", *which, "--yes", *source)

    assert result.exit_code == 2
    assert "--all" in result.stderr
    assert count(run, source) == 12


def test_all_is_all(run: Run, source: list[str]) -> None:
    result = run("bulk", "delete", "acme/bot", "--all", "--yes", *source)

    assert "Deleted 12 calls and 4 feedback of acme/bot." in result.stdout
    assert count(run, source) == 0


def test_nothing_that_matches_is_no_error(run: Run, source: list[str]) -> None:
    result = run("bulk", "delete", "acme/bot", "op = nothing", *source)

    assert (result.exit_code, result.stdout) == (0, "No calls match.\n")


def test_a_limit_is_refused(run: Run, source: list[str]) -> None:
    result = run("bulk", "delete", "acme/bot", "op = answer limit 2", "--yes", *source)

    assert result.exit_code == 2
    assert count(run, source) == 12


def test_a_judgement_that_no_call_may_have_is_an_error(run: Run, source: list[str]) -> None:
    result = run("bulk", "react", "acme/bot", "op = answer", "--emoji", "good", "--yes", *source)

    assert result.exit_code == 2
    assert "good" in result.stderr
