"""Real data through real processes: exported from a server, imported into folders, the same and as published."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from alpaca import PROJECT, TYPE, Api, published

pytestmark = pytest.mark.processes
KIBITZ = [sys.executable, "-m", "kibitz.cli"]
ROWS = 9_658


def kibitz(*arguments: str) -> str:
    done = subprocess.run([*KIBITZ, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(name="url", scope="module")
def _url(alpaca_eval: Api) -> str:
    return alpaca_eval._url


@pytest.fixture(name="exported", scope="module")
def _exported(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, as JSON lines."""
    path = tmp_path_factory.mktemp("exported") / "all.jsonl"
    assert f"{ROWS:,} calls" in kibitz("export", PROJECT, "--url", url, "-o", str(path))
    return path


def test_a_folder_made_of_the_export_of_a_server_exports_the_same_bytes(
    exported: Path, tmp_path: Path
) -> None:
    copy = str(tmp_path / "copy")

    said = kibitz("import", str(exported), "--data", copy)
    kibitz("export", PROJECT, "--data", copy, "-o", str(tmp_path / "again.jsonl"))

    assert f"{ROWS:,} calls" in said
    assert (tmp_path / "again.jsonl").read_bytes() == exported.read_bytes()


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow"])
def test_every_format_carries_all_of_it_through_a_pipe(
    url: str, exported: Path, tmp_path: Path, format: str
) -> None:
    copy = str(tmp_path / "copy")
    with subprocess.Popen(
        [*KIBITZ, "export", PROJECT, "--url", url, "--format", format], stdout=subprocess.PIPE
    ) as writer:
        reader = subprocess.run(
            [*KIBITZ, "import", "-", "--data", copy],
            stdin=writer.stdout,
            capture_output=True,
            text=True,
            check=False,
        )

    assert writer.returncode == 0
    assert reader.returncode == 0, reader.stderr
    again = subprocess.run(
        [*KIBITZ, "export", PROJECT, "--data", copy], stdout=subprocess.PIPE, check=True
    )
    assert again.stdout == exported.read_bytes()


def test_the_tables_give_the_published_win_rates(url: str, tmp_path: Path) -> None:
    score = f"feedback.[{TYPE}].payload.output.preference"
    query = f"op = answer and exists {score}"
    for name in ("calls.csv", "calls.parquet"):
        kibitz("export", PROJECT, query, "--url", url, "-o", str(tmp_path / name))

    table = pq.read_table(tmp_path / "calls.parquet", columns=["id", "attributes", score])
    with (tmp_path / "calls.csv").open(newline="", encoding="utf-8") as file:
        csv.field_size_limit(1 << 24)
        written = {row["id"]: float(row[score]) for row in csv.DictReader(file)}
    by_model: dict[str, list[float]] = {}
    for row in table.to_pylist():
        assert written[row["id"]] == row[score]
        for model in published():
            if f'"model":"{model}"' in row["attributes"]:
                by_model.setdefault(model, []).append(row[score])

    for model, said in published().items():
        found = by_model[model]
        assert len(found) == int(said["n_total"])
        win_rate = math.fsum(each - 1 for each in found) / len(found) * 100
        assert win_rate == pytest.approx(float(said["win_rate"]), abs=1e-9, rel=0)


def test_an_import_that_was_killed_is_begun_again(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with subprocess.Popen(
        [*KIBITZ, "import", "-", "--data", str(copy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as importing:
        assert importing.stdin is not None
        content = exported.read_bytes()
        importing.stdin.write(content[: len(content) // 2])
        importing.stdin.flush()
        os.kill(importing.pid, signal.SIGKILL)
        importing.wait()

    kibitz("import", str(exported), "--data", str(copy))

    kibitz("export", PROJECT, "--data", str(copy), "-o", str(tmp_path / "again.jsonl"))
    again = (tmp_path / "again.jsonl").read_bytes()
    assert sorted(again.splitlines()) == sorted(exported.read_bytes().splitlines())
    assert "Nothing is wrong" in kibitz("doctor", "--data", str(copy))


def test_an_export_that_is_killed_leaves_no_file_under_the_name(url: str, tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    with subprocess.Popen(
        [*KIBITZ, "export", PROJECT, "--url", url, "-o", str(target)], stdout=subprocess.DEVNULL
    ) as exporting:
        while exporting.poll() is None and not list(tmp_path.glob(".all.jsonl.*.part")):
            threading.Event().wait(0.002)
        os.kill(exporting.pid, signal.SIGKILL)
        exporting.wait()

    assert exporting.returncode == -signal.SIGKILL
    assert not target.exists()


def test_what_one_op_did_is_deleted_from_a_copy(exported: Path, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    kibitz("import", str(exported), "--data", copy)
    before = int(kibitz("calls", PROJECT, "op = answer", "--count", "--data", copy))

    said = kibitz("bulk", "delete", PROJECT, "op = answer", "--yes", "--data", copy)

    assert f"Deleted {before:,} calls" in said
    assert int(kibitz("calls", PROJECT, "--count", "--data", copy)) == ROWS - before
    assert "Nothing is wrong" in kibitz("doctor", "--data", copy)
    kibitz("import", str(exported), "--data", copy)
    kibitz("export", PROJECT, "--data", copy, "-o", str(tmp_path / "again.jsonl"))
    again = (tmp_path / "again.jsonl").read_bytes()
    assert sorted(again.splitlines()) == sorted(exported.read_bytes().splitlines())
