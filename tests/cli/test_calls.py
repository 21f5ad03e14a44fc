"""`kibitz calls`: filters, sort, columns, pages, JSON, and what it says when it is asked wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kibitz.base import clock
from kibitz.base.records import Batch, CallPart
from kibitz.cli import calls
from kibitz.storage import sqlite
from kibitz.testing import serving

Run = Callable[..., Result]
SCORE = "feedback.[runnable.grounded].payload.output.score"


def ids(result: Result) -> list[str]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def asked(run: Run, folder: Path, *arguments: str) -> list[str]:
    return ids(run("calls", "acme/bot", "--data", str(folder), "--json", *arguments))


def test_newest_calls_come_first_and_a_limit_holds(run: Run, folder: Path) -> None:
    assert asked(run, folder, "--limit", "3") == ["c11", "c10", "c09"]


def test_the_project_may_be_left_out_where_there_is_one(run: Run, folder: Path) -> None:
    assert len(ids(run("calls", "--data", str(folder), "--json"))) == 12


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--op", "answer", "--status", "error"], ["c09", "c03"]),
        (["--op", "answer", "--op", "retrieve", "--limit", "1"], ["c11"]),
        (["--kind", "retriever", "--limit", "1"], ["c10"]),
        (["--trace", "c04"], ["c04"]),
        (["--roots", "--limit", "1"], ["c11"]),
        (["--since", "2h"], ["c11", "c10"]),
        (["--until", "10h"], ["c01", "c00"]),
        (["--where", '{"$gt": [{"$getField": "inputs.n"}, {"$literal": 9}]}'], ["c11", "c10"]),
        (
            ["--where", '{"$expr": {"$eq": [{"$getField": "inputs.n"}, {"$literal": 4}]}}'],
            ["c04"],
        ),
        (["--sort", "latency_ms", "--limit", "2"], ["c00", "c01"]),
        (["--sort", "latency", "--limit", "2"], ["c00", "c01"]),
        (["--sort", "op desc, latency", "--limit", "2"], ["c00", "c02"]),
        (["--sort", "op:desc", "--sort", "latency:asc", "--limit", "2"], ["c00", "c02"]),
        (["--sort", "op:desc", "--sort", "latency_ms:asc", "--limit", "2"], ["c00", "c02"]),
    ],
)
def test_options_filter_and_sort(
    run: Run, folder: Path, arguments: list[str], expected: list[str]
) -> None:
    assert asked(run, folder, *arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["op = answer and status = error"], ["c09", "c03"]),
        (["feedback.grounded.output.score < 0.6 sort feedback.grounded.output.score"], ["c03", "c01"]),
        (["op = answer and not feedback.grounded"], ["c11", "c09"]),
        (["exists feedback.grounded sort inputs.n limit 2"], ["c01", "c03"]),
        (["acme/bot", "feedback.grounded limit 1"], ["c07"]),
        (["acme/bot", "feedback.grounded"], ["c07", "c05", "c03", "c01"]),
        (["started_at > now-2h"], ["c11", "c10"]),
        (["latency > 0.11s"], ["c11"]),
        (["inputs icontains QUESTION and id in (c04, c05)", "--op", "answer"], ["c05"]),
        (
            ["inputs.n > 3", "--where", '{"$lt": [{"$getField": "inputs.n"}, {"$literal": 6}]}'],
            ["c05", "c04"],
        ),
        (["inputs.n > 3", "--sort", "inputs.n", "--limit", "2"], ["c04", "c05"]),
        (["limit 3", "--limit", "2"], ["c11", "c10"]),
        (["limit 2", "--limit", "3"], ["c11", "c10"]),
        (["limit 2", "--all"], ["c11", "c10"]),
        (["acme/bot", "", "--limit", "1"], ["c11"]),
    ],
)  # fmt: skip
def test_a_query_in_words_holds_together_with_the_options(
    run: Run, folder: Path, arguments: list[str], expected: list[str]
) -> None:
    assert ids(run("calls", *arguments, "--data", str(folder), "--json")) == expected


def test_a_query_in_words_is_counted_whatever_its_limit(run: Run, folder: Path) -> None:
    result = run("calls", "op = answer sort op limit 1", "--count", "--data", str(folder))

    assert result.stdout == "6\n"


def test_a_query_in_words_is_asked_of_a_server_too(run: Run, folder: Path) -> None:
    with serving.server(folder) as url:
        result = run("calls", "feedback.grounded.output.score >= 0.5", "--url", url, "--json")

    assert ids(result) == ["c07", "c01"]


def test_sorting_by_feedback_puts_what_has_no_number_last_both_ways(run: Run, folder: Path) -> None:
    ascending = asked(run, folder, "--sort", SCORE)
    descending = asked(run, folder, "--sort", f"{SCORE}:desc")

    assert ascending[:3] == ["c03", "c01", "c07"]
    assert descending[:3] == ["c07", "c01", "c03"]
    assert len(ascending) == len(descending) == 12


def test_json_lines_hold_the_whole_call_with_its_feedback(run: Run, folder: Path) -> None:
    result = run("calls", "--data", str(folder), "--json", "--trace", "c03")

    call = json.loads(result.stdout)
    assert call["inputs"] == {"question": "question 3", "n": 3}
    assert call["exception"]["type"] == "ValueError"
    assert call["feedback"][0]["payload"] == {"output": {"score": 0.25}}


def test_named_columns_are_all_that_is_written(run: Run, folder: Path) -> None:
    result = run(
        "calls", "--data", str(folder), "--json", "--trace", "c03",
        "--columns", f"id,inputs.n,{SCORE},output.text",
    )  # fmt: skip

    assert json.loads(result.stdout) == {
        "id": "c03",
        "inputs.n": 3,
        SCORE: 0.25,
        "output.text": None,
    }


def test_columns_may_be_named_as_in_a_query(run: Run, folder: Path) -> None:
    result = run(
        "calls", "--data", str(folder), "--json", "--trace", "c03",
        "--columns", "id,feedback.grounded.output.score",
    )  # fmt: skip

    assert json.loads(result.stdout) == {"id": "c03", SCORE: 0.25}


def test_without_a_terminal_a_table_is_cells_between_tabs(run: Run, folder: Path) -> None:
    result = run(
        "calls", "--data", str(folder), "--sort", SCORE, "--limit", "2", "--columns", f"id,{SCORE}"
    )

    assert [line.split("\t") for line in result.stdout.splitlines()] == [
        ["id", "grounded.score"],
        ["c03", "0.25"],
        ["c01", "0.5"],
    ]


def test_counting_says_the_number_alone(run: Run, folder: Path) -> None:
    result = run("calls", "--data", str(folder), "--count", "--status", "error")

    exactly = run("calls", "--data", str(folder), "--count", "--status", "error", "--json")

    assert result.stdout == "4\n"
    assert json.loads(exactly.stdout) == {"count": 4, "exact": True}


def test_pages_are_followed_beyond_the_largest(run: Run, folder: Path) -> None:
    store = sqlite.open_store(folder)
    now = clock.now()
    many = [CallPart(id=f"m{n:04}", op="many", started_at=now, ended_at=now) for n in range(2100)]
    store.ingest.write(Batch(project="acme/bot", calls=many))
    store.close()

    everything = asked(run, folder, "--op", "many", "--all")
    some = asked(run, folder, "--op", "many", "--limit", "1500")

    assert len(everything) == len(set(everything)) == 2100
    assert some == everything[:1500]


def test_what_was_logged_cannot_steer_the_terminal(run: Run, folder: Path) -> None:
    store = sqlite.open_store(folder)
    now = clock.now()
    nasty = CallPart(
        id="x", op="nasty", started_at=now, inputs={"q": "\x1b]0;owned\x07\x1b[2J\u202e"}
    )
    store.ingest.write(Batch(project="acme/bot", calls=[nasty]))
    store.close()

    result = run("calls", "--data", str(folder), "--op", "nasty", "--columns", "id,input,inputs.q")

    assert "owned" in result.stdout
    assert not set(result.stdout) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sort", "lattency_ms"], "did you mean 'latency_ms'?"),
        (["--sort", "latency limit 2"], "field 'latency limit 2' is not known"),
        (["--columns", "id,imputs.q"], "did you mean 'inputs.q'?"),
        (
            ["--where", '{"$eq": [{"$getField": "stauts"}, {"$literal": 1}]}'],
            "did you mean 'status'?",
        ),
        (["--where", "{'a': 1}"], "--where is not JSON"),
        (["--where", '{"$near": 1}'], "$near"),
        (["outptu = 1"], "did you mean 'output'?\n  outptu = 1\n  ^"),
        (["op = answer order by op"], "did you mean 'sort'?"),
        (["exists feedback.grouned"], "did you mean 'grounded'?"),
        (["sort op", "--sort", "status"], "leave one out"),
        (["--since", "yesterday"], "write 30m, 1h, 2d"),
        (["--status", "broken"], "'running', 'success', 'error'"),
        (["--limit", "0"], "--limit"),
        (["--url", "ftp://x"], "not both"),
    ],
)
def test_a_wrong_question_is_answered_with_the_way_out(
    run: Run, folder: Path, arguments: list[str], says: str
) -> None:
    result = run("calls", "--data", str(folder), *arguments)

    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_several_projects_are_named_where_one_must_be_chosen(run: Run, folder: Path) -> None:
    store = sqlite.open_store(folder)
    now = clock.now()
    store.ingest.write(Batch(project="other", calls=[CallPart(id="o", op="o", started_at=now)]))
    store.close()

    result = run("calls", "--data", str(folder))

    assert result.exit_code == 2
    assert "acme/bot, other" in result.stderr


def test_a_folder_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    result = run("calls", "--data", str(tmp_path / "nothing"))

    assert result.exit_code == 1
    assert "kibitz demo" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_commas_within_a_feedback_type_do_not_part_columns() -> None:
    assert calls.split_columns("id, feedback.[a,b].payload.x ,op,") == [
        "id",
        "feedback.[a,b].payload.x",
        "op",
    ]
