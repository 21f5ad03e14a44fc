"""`kibitz export`: what is written can be imported again, from a folder and from a server alike."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import carried
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from kibitz.base.errors import UsageError
from kibitz.cli import exporting
from kibitz.storage import sqlite
from kibitz.testing import serving

Run = Callable[..., Result]
NAMES = ["all.jsonl", "all.jsonl.gz", "all.jsonl.zst", "all.zip", "all.arrow", "tables/"]


def lines_of(run: Run, folder: Path, project: str = "acme/bot") -> str:
    result = run("export", project, "--data", str(folder))
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["folder", "server"])
def test_what_is_exported_is_imported_as_it_was(
    run: Run, folder: Path, tmp_path: Path, name: str, where: str
) -> None:
    target = str(tmp_path / name) + ("/" if name.endswith("/") else "")
    copy = tmp_path / "copy"
    more = ["--format", "parquet"] if name.endswith(("zip", "/")) else []

    if where == "folder":
        done = run("export", "acme/bot", "--data", str(folder), "-o", target, *more)
        back = run("import", target, "--data", str(copy))
    else:
        with serving.server(folder) as url:
            done = run("export", "acme/bot", "--url", url, "-o", target, *more)
        with serving.server(copy) as url:
            back = run("import", target, "--url", url)

    assert done.exit_code == 0, done.stderr
    assert "acme/bot to" in done.stdout
    assert back.exit_code == 0, back.stderr
    assert "12 calls and 4 feedback into acme/bot" in back.stdout
    assert lines_of(run, copy) == lines_of(run, folder)
    assert [each for each in os.listdir(tmp_path) if each.startswith(".")] == []


def test_a_table_of_calls_is_read_by_other_programs(run: Run, folder: Path, tmp_path: Path) -> None:
    for name in ("calls.csv", "calls.parquet"):
        result = run("export", "acme/bot", "--data", str(folder), "-o", str(tmp_path / name))
        assert result.exit_code == 0
        assert "table of calls" in result.stderr

    with (tmp_path / "calls.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "calls.parquet").to_pylist()

    score = "feedback.[runnable.grounded].payload.output.score"
    assert [row["id"] for row in rows] == [row["id"] for row in table]
    assert {row["id"]: row[score] for row in rows if row[score]} == {
        "c01": "0.5",
        "c03": "0.25",
        "c07": "0.75",
    }
    assert {row["id"]: row[score] for row in table if row[score]} == {
        "c01": 0.5,
        "c03": 0.25,
        "c07": 0.75,
    }
    assert json.loads(rows[1]["inputs"]) == {"question": "question 1", "n": 1}


def test_the_first_stream_of_arrow_is_the_calls(run: Run, folder: Path) -> None:
    result = run("export", "acme/bot", "--data", str(folder), "--format", "arrow")

    table = pa.ipc.open_stream(result.stdout_bytes).read_all()

    assert table.num_rows == 12
    assert table.schema.metadata[b"kibitz.table"] == b"calls"


def test_a_query_chooses_sorts_and_limits(run: Run, folder: Path) -> None:
    asked = "feedback.grounded.output.score > 0.3 sort feedback.grounded.output.score limit 1"

    result = run("export", "acme/bot", asked, "--data", str(folder), "--json")

    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["call"]["id"] for each in records if "call" in each] == ["c01"]
    assert [each["feedback"]["id"] for each in records if "feedback" in each] == ["f-c01"]
    assert json.loads(result.stderr)["calls"] == 1


def test_the_only_project_needs_no_name(run: Run, folder: Path) -> None:
    result = run("export", "op = answer", "--data", str(folder))

    assert result.stdout.count('{"call":') == 6


def test_what_calls_prints_is_imported(run: Run, folder: Path, tmp_path: Path) -> None:
    printed = run("calls", "acme/bot", "--data", str(folder), "--json", "--all").stdout
    # Feedback names the version that made it, which is no part of a call.
    [named] = [line for line in lines_of(run, folder).splitlines() if line.startswith('{"object"')]

    result = run(
        "import", "-", "--project", "acme/bot", "--data", str(tmp_path / "copy"),
        input=f"{named}\n{printed}",
    )  # fmt: skip

    assert "12 calls and 4 feedback into acme/bot" in result.stdout
    assert sorted(lines_of(run, tmp_path / "copy").splitlines()) == sorted(
        lines_of(run, folder).splitlines()
    )


def test_an_import_under_another_name_moves_references(run: Run, folder: Path) -> None:
    written = lines_of(run, folder)

    result = run("import", "-", "--project", "new", "--data", str(folder), input=written)

    assert result.exit_code == 0, result.stderr
    assert lines_of(run, folder, "new").count("kibitz:///new/call/") == 4
    assert "kibitz:///acme" not in lines_of(run, folder, "new")


def test_records_that_do_not_say_their_project_need_a_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "c1", "started_at": "2026-01-01T00:00:00Z"}\n')

    result = run("import", str(tmp_path / "a.jsonl"), "--data", str(tmp_path / "d"))

    assert result.exit_code == 2
    assert "--project" in result.stderr


def test_rows_that_are_not_taken_are_named_and_the_others_are_stored(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "calls.csv").write_text(
        "id,op,started_at,inputs\n"
        'c1,a,2026-01-01T00:00:00Z,"{""q"": 1}"\n'
        "c2,a,yesterday,\n"
        "c3,a\n"
        "c4,a,2026-01-01T00:00:00Z,plain\n"
        "c5,a,2026-01-01T00:00:00Z,\n"
    )

    result = run(
        "import", str(tmp_path / "calls.csv"), "--project", "p", "--data", str(tmp_path / "d")
    )

    assert result.exit_code == 1
    for number in (3, 4, 5):
        assert f"line {number}: " in result.stderr
    assert lines_of(run, tmp_path / "d", "p").count('{"call":') == 2


def test_a_column_that_would_be_lost_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("id,started_at,temperature\nc1,2026-01-01T00:00:00Z,0.5\n")

    result = run(
        "import", str(tmp_path / "calls.csv"), "--project", "p", "--data", str(tmp_path / "d")
    )

    assert result.exit_code == 2
    assert "temperature" in result.stderr


def test_a_newer_form_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"export":{"version":99,"project":"p","complete":true}}\n')

    result = run("import", str(tmp_path / "a.jsonl"), "--data", str(tmp_path / "d"))

    assert result.exit_code == 2
    assert "99" in result.stderr


@pytest.mark.parametrize(
    ("output", "format", "tables", "expected"),
    [
        (None, None, None, ("jsonl", "all")),
        ("-", "csv", None, ("csv", "all")),
        ("x.csv", None, None, ("csv", "calls")),
        ("x.csv.gz", None, None, ("csv", "calls")),
        ("x.zip", None, None, ("csv", "all")),
        ("x.zip", "parquet", None, ("parquet", "all")),
        ("x.arrow", None, "calls", ("arrow", "calls")),
        ("x.bin", "arrow", None, ("arrow", "all")),
        ("x.txt", "csv", None, ("csv", "calls")),
        ("x", "csv", None, ("csv", "all")),
    ],
)
def test_the_name_of_the_file_says_the_format(output, format, tables, expected) -> None:
    target = exporting.target_of(output, format, tables)

    assert (target.format, target.tables) == expected
    assert target.is_folder == (output == "x")


@pytest.mark.parametrize(
    ("output", "format", "tables"),
    [
        ("x.bin", None, None),
        ("x.csv", "parquet", None),
        ("x.csv", None, "all"),
        ("x.zip", "jsonl", None),
        ("x/", "arrow", None),
        ("x/", None, "calls"),
    ],
)
def test_options_that_do_not_go_together_are_refused(output, format, tables) -> None:
    with pytest.raises(UsageError):
        exporting.target_of(output, format, tables)


def test_a_folder_with_something_in_it_is_left_alone(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")

    result = run("export", "acme/bot", "--data", str(folder), "-o", str(tmp_path / "mine"))

    assert result.exit_code == 2
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("before")
    target = exporting.target_of(str(tmp_path / "a.jsonl"), None, None)

    def failing():
        yield b"some"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError):
        exporting.write(failing(), target)

    assert (tmp_path / "a.jsonl").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_a_pipe_is_written_to_and_not_replaced(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = [sys.executable, "-m", "kibitz.cli"]
    writer = subprocess.Popen(
        [*program, "export", "acme/bot", "--data", str(folder), "-o", str(tmp_path / "pipe"),
         "--format", "jsonl"], stdout=subprocess.DEVNULL,
    )  # fmt: skip

    reader = subprocess.run(
        [*program, "import", str(tmp_path / "pipe"), "--data", str(tmp_path / "copy")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert writer.wait() == 0
    assert "12 calls" in reader.stdout, reader.stderr
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_an_unknown_project_is_named(run: Run, folder: Path) -> None:
    result = run("export", "nobody", "--data", str(folder))

    assert result.exit_code == 1
    assert "nobody" in result.stderr


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("name", ["bot.jsonl", "bot.zip", "tables/"])
def test_evaluations_and_rules_come_along(
    run: Run, tmp_path: Path, name: str, remote: bool
) -> None:
    store = sqlite.open_store(tmp_path / "one")
    carried.judged(store)
    store.close()
    target, copy = f"{tmp_path}/{name}", tmp_path / "two"

    done = run("export", carried.PROJECT, "--data", str(tmp_path / "one"), "-o", target)
    if remote:
        with serving.server(copy) as url:
            back = run("import", target, "--url", url)
    else:
        back = run("import", target, "--data", str(copy))

    assert "5 calls, 1 feedback, 6 evaluations and 2 rules of" in done.stdout
    assert (back.exit_code, back.stderr) == (0, "")
    assert "6 evaluations, 2 rules" in back.stdout
    assert "3 of the evaluations are to be done" in back.stdout
    assert f"kibitz rules resume nightly --project {carried.PROJECT} lets it" in back.stdout
    store = sqlite.open_store(copy)
    rules = store.rules.list(carried.PROJECT)
    assert [(each.name, each.active) for each in rules] == [("nightly", False), ("resting", False)]
    (progress,) = store.evaluations.progress(carried.PROJECT)
    assert (progress.wanted, progress.done, progress.failed, progress.skipped) == (3, 1, 1, 1)
    store.close()
