"""`kibitz doctor`: says what is wrong in sentences, and by its exit code that something is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def findings(result: Result) -> dict[str, tuple[str, str]]:
    return {
        each["check"]: (each["state"], each["says"])
        for each in json.loads(result.stdout)["findings"]
    }


def test_a_sound_folder_has_nothing_wrong(run: Run, folder: Path) -> None:
    result = run("doctor", "--data", str(folder))

    assert result.exit_code == 0
    assert "12 calls and 4 feedback in 1 projects" in result.stdout
    assert "Nothing is wrong." in result.stdout


def test_a_folder_that_is_not_there_is_fine_and_not_made(run: Run, tmp_path: Path) -> None:
    result = run("doctor", "--data", str(tmp_path / "d"))

    assert result.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_a_problem(run: Run, folder: Path) -> None:
    path = folder / "kibitz.sqlite3"
    content = bytearray(path.read_bytes())
    # Beyond the header: it opens, but its pages make no sense.
    content[8192 * 2 : 8192 * 12] = os.urandom(8192 * 10)
    path.write_bytes(content)

    result = run("doctor", "--data", str(folder), "--json")

    found = findings(result)
    assert result.exit_code == 1
    assert "problem" in {found.get("integrity", ("", ""))[0], found["store"][0]}
    assert not json.loads(result.stdout)["ok"]


def test_a_file_that_is_no_store_is_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kibitz.sqlite3").write_text("this is not a database, " * 100)

    result = run("doctor", "--data", str(tmp_path), "--json")

    assert result.exit_code == 1
    assert findings(result)["store"][0] == "problem"


def test_a_path_that_is_no_folder_is_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("a file")

    result = run("doctor", "--data", str(tmp_path / "d"), "--json")

    assert result.exit_code == 1
    assert findings(result)["folder"][0] == "problem"


def test_a_server_that_is_away_is_a_problem(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run("doctor", "--url", "http://127.0.0.1:9", "--json")

    assert result.exit_code == 1
    state, says = findings(result)["server"]
    assert state == "problem"
    assert "http://127.0.0.1:9" in says


def test_settings_are_shown_with_their_source_and_secrets_masked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIBITZ_API_KEY", "s3cret")
    monkeypatch.setenv("KIBITZ_SAMPLE_RATE", "0.5")

    as_json = run("doctor", "--data", str(tmp_path / "d"), "--json")
    as_text = run("doctor", "--data", str(tmp_path / "d"))

    shown = {each["variable"]: each for each in json.loads(as_json.stdout)["settings"]}
    assert shown["KIBITZ_SAMPLE_RATE"] == {
        "variable": "KIBITZ_SAMPLE_RATE", "value": 0.5, "source": "environment",
    }  # fmt: skip
    assert shown["KIBITZ_DATA"]["source"] == "option"
    assert shown["KIBITZ_PORT"] == {"variable": "KIBITZ_PORT", "value": 4500, "source": "default"}
    assert shown["KIBITZ_API_KEY"]["value"] == "(set)"
    assert "s3cret" not in as_json.stdout + as_text.stdout
    assert "KIBITZ_SAMPLE_RATE=0.5" in as_text.stdout
