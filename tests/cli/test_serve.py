"""`kibitz serve` as a process: it says one link, serves the folder, refuses what is unsafe, ends when told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
pytestmark = pytest.mark.processes


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Generator[tuple[str, str]]:
    """A server process: (the line it said, its address). It must end well when it is told to."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "kibitz.cli",
            "serve",
            "--data",
            str(folder),
            "--port",
            "0",
            *arguments,
        ],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, (said, process.communicate(timeout=10))
        yield said, found[0]
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
        assert (process.returncode, rest, errors) == (0, "", "")
    finally:
        process.kill()
        process.wait()


def test_it_says_one_link_and_the_folder_and_serves_it(run: Run, folder: Path) -> None:
    with served(folder) as (said, url):
        over_http = run("calls", "--url", url, "--json", "--limit", "2", "--op", "answer")
        examined = run("doctor", "--url", url, "--data", str(folder))

    in_folder = run("calls", "--data", str(folder), "--json", "--limit", "2", "--op", "answer")
    assert said == f"Kibitz shows {folder.resolve()} at {url}  (Ctrl+C ends it)\n"
    assert over_http.stdout == in_folder.stdout
    assert len(over_http.stdout.splitlines()) == 2
    assert examined.exit_code == 2
    assert "not both" in examined.stderr


def test_what_is_imported_over_http_is_in_the_folder(run: Run, tmp_path: Path) -> None:
    lines = "".join(
        json.dumps({"id": f"c{n}", "op": "o", "started_at": "2026-05-01T10:00:00Z"}) + "\n"
        for n in range(1500)
    )
    with served(tmp_path / "d") as (_, url):
        result = run("import", "-", "--project", "acme", "--url", url, "--json", input=lines)

    counted = run("calls", "acme", "--data", str(tmp_path / "d"), "--count")
    assert json.loads(result.stdout)["calls"] == 1500
    assert counted.stdout == "1500\n"


def test_with_keys_only_their_owner_is_answered(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(folder, KIBITZ_API_KEYS="s3cret,other") as (_, url):
        without = run("calls", "--url", url)
        doctor_without = run("doctor", "--url", url)
        monkeypatch.setenv("KIBITZ_API_KEY", "s3cret")
        with_key = run("calls", "--url", url, "--count")
        doctor_with = run("doctor", "--url", url)

    assert without.exit_code == 1
    assert "key" in without.stderr
    assert with_key.stdout == "12\n"
    assert doctor_without.exit_code == 1
    assert "refuses the key" in doctor_without.stdout
    assert doctor_with.exit_code == 0
    assert "clock agrees" in doctor_with.stdout
    assert "s3cret" not in doctor_with.stdout


def test_a_taken_port_is_said_with_the_way_out(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--data", str(tmp_path / "d"), "--port", port)

    assert result.exit_code == 1
    assert f"port {port} of 127.0.0.1 is taken" in result.stderr
    assert "--port" in result.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_keys(run: Run, tmp_path: Path, host: str) -> None:
    result = run("serve", "--data", str(tmp_path / "d"), "--host", host, "--port", "0")

    assert result.exit_code == 2
    assert "KIBITZ_API_KEYS" in result.stderr
    assert not (tmp_path / "d").exists()


def test_a_setting_that_cannot_be_read_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIBITZ_PORT", "many")

    result = run("serve")

    assert result.exit_code == 2
    assert "KIBITZ_PORT='many' is not a number" in result.stderr


def test_without_keys_only_names_of_this_machine_are_answered(folder: Path) -> None:
    with served(folder) as (_, url):
        with urllib.request.urlopen(f"{url}/health", timeout=10) as response:
            health = json.load(response)
        request = urllib.request.Request(f"{url}/health", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)

    assert health["status"] == "ok"
    assert refused.value.code == 403
    refused.value.close()
