"""`kibitz stats`: tables, JSON and CSV of groups, and what it says when it is asked wrongly."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kibitz.testing import serving

Run = Callable[..., Result]


def asked(run: Run, folder: Path, *arguments: str) -> Result:
    result = run("stats", "acme/bot", "--data", str(folder), *arguments)
    assert result.exit_code == 0, result.stderr
    return result


def lines(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_calls_are_counted_by_op(run: Run, folder: Path) -> None:
    found = lines(asked(run, folder, "--by", "op"))

    assert found == [["op", "count"], ["answer", "6"], ["retrieve", "6"]]


def test_without_a_key_everything_is_one_group(run: Run, folder: Path) -> None:
    assert lines(asked(run, folder)) == [["count"], ["12"]]


def test_shares_show_their_interval_and_what_they_come_from(run: Run, folder: Path) -> None:
    found = lines(asked(run, folder, "--measure", "share(status, error)"))

    # Wilson's interval for 4 of 12.
    assert found[1] == ["33.3 % [13.8 %, 60.9 %] n=12"]


def test_a_latency_is_shown_as_one(run: Run, folder: Path) -> None:
    found = lines(asked(run, folder, "--measure", "max(latency)", "--measure", "median(latency)"))

    assert found[1] == ["120 ms n=12", "65 ms n=12"]


def test_a_histogram_is_drawn_between_the_ends_of_its_axis(run: Run, folder: Path) -> None:
    found = lines(asked(run, folder, "--measure", "histogram(inputs.n, 3)"))

    # Bins of five: 0 to 4, 5 to 9, 10 and 11.
    assert found[1] == ["0 ██▄ 15"]


def test_values_are_shown_with_their_share(run: Run, folder: Path) -> None:
    found = lines(asked(run, folder, "--measure", "values(status)"))

    assert found[1] == ["success 8 (66.7 %), error 4 (33.3 %)"]


def test_a_query_says_which_calls(run: Run, folder: Path) -> None:
    found = asked(run, folder, "op = answer and status = success", "--since", "6h")

    assert lines(found)[1] == ["2"]


def test_groups_are_ordered_by_a_measure_and_cut_off(run: Run, folder: Path) -> None:
    found = asked(
        run, folder, "--by", "inputs.n", "--measure", "mean(latency)", "--order", "mean(latency)",
        "--limit", "2",
    )  # fmt: skip

    assert [row[0] for row in lines(found)[1:]] == ["11", "10"]
    assert "The first 2 groups" in found.stderr


def test_feedback_is_grouped_by_type_and_author(run: Run, folder: Path) -> None:
    found = asked(run, folder, "--over", "feedback", "--by", "type", "--by", "author_kind")
    [group] = lines(found)[1:]

    assert group[:2] == ["runnable.grounded", "person"]


def test_json_is_the_whole_answer_from_a_server_too(run: Run, folder: Path) -> None:
    arguments = ["--by", "op", "--measure", "mean(feedback.grounded.output.score)", "--json"]
    local = json.loads(asked(run, folder, *arguments).stdout)
    with serving.server(folder) as url:
        remote = run("stats", "acme/bot", "--url", url, *arguments)

    assert json.loads(remote.stdout) == local
    assert local["measures"] == ["mean(feedback.runnable.grounded.output.score)"]
    assert {"value", "n", "low", "high"} >= set(local["groups"][0]["measures"][0])


def test_csv_has_intervals_in_columns_of_their_own(run: Run, folder: Path) -> None:
    found = asked(run, folder, "--by", "op", "--measure", "share(status, error)", "--csv")
    [header, answer, _] = csv.reader(io.StringIO(found.stdout))

    name = 'share(status, "error")'
    assert header == ["op", name, f"{name} low", f"{name} high", f"{name} n"]
    assert answer[0] == "answer"
    assert float(answer[1]) == pytest.approx(2 / 6)
    assert 0 < float(answer[2]) < 2 / 6 < float(answer[3]) < 1
    assert answer[4] == "6"


def test_nothing_that_matches_is_said(run: Run, folder: Path) -> None:
    found = asked(run, folder, "op = unheard", "--by", "op")

    assert lines(found) == [["op", "count"]]
    assert "nothing matches" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "opp"], "did you mean 'op'"),
        (["--measure", "avg(latency)"], "did you mean 'mean'"),
        (["--measure", "mean(latncy)"], "did you mean 'latency'"),
        (["--measure", "count", "--order", "mean(latency)"], "none of the measures"),
        (["op = answer sort latency"], "--order"),
        (["--type", "runnable.grounded"], "--over feedback"),
        (["--json", "--csv"], "not both"),
        (["--confidence", "95"], "between 0 and 1"),
        (["--by", "day(Europe/Berln)"], "Europe/Berlin"),
    ],
)
def test_what_is_asked_wrongly_is_said_with_the_way_out(
    run: Run, folder: Path, arguments: list[str], says: str
) -> None:
    result = run("stats", "acme/bot", "--data", str(folder), *arguments)

    assert result.exit_code == 2
    assert says in result.stderr
