"""The server as a process: it takes its port or says why not, and stops when told, whoever is still connected."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sites
from asking import get, send

from kibitz.base import api
from kibitz.base.errors import SettingsError, Unavailable
from kibitz.base.records import Batch, Receipt
from kibitz.base.settings import ServerSettings
from kibitz.server import bodies, serving
from kibitz.storage import sqlite
from kibitz.testing.serving import ServerProcess, server

CALL = {"id": "c1", "op": "o", "started_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(name="process")
def _process(tmp_path: Path) -> Generator[ServerProcess]:
    with ServerProcess(tmp_path / "data") as process:
        yield process


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10)


def test_port_0_is_a_free_one_and_the_address_says_which():
    first = serving.listen(ServerSettings(port=0))
    second = serving.listen(ServerSettings(port=0))

    assert first.port != second.port
    assert first.url == f"http://127.0.0.1:{first.port}"
    first.close()
    second.close()


def test_a_taken_port_is_an_error_that_names_it():
    taken = serving.listen(ServerSettings(port=0))

    with pytest.raises(Unavailable, match=f"port {taken.port} of 127.0.0.1 is taken"):
        serving.listen(ServerSettings(port=taken.port))
    taken.close()
    serving.listen(ServerSettings(port=taken.port)).close()


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_port_that_is_none_is_a_setting_to_mend(port: int):
    with pytest.raises(SettingsError):
        serving.listen(ServerSettings(port=port))


def test_an_address_of_another_machine_is_a_setting_to_mend():
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        serving.listen(ServerSettings(host="192.0.2.1", port=0, api_keys=("k",)))


def test_ipv6_has_an_address_that_a_browser_takes():
    try:
        listening = serving.listen(ServerSettings(host="::1", port=0))
    except SettingsError:
        pytest.skip("this machine has no IPv6")
    assert listening.url == f"http://[::1]:{listening.port}"
    listening.close()


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_connections_of_every_kind_open(
    process: ServerProcess, number: signal.Signals
):
    idle = connect(process.url)
    idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in idle.recv(4096)
    half_a_head = connect(process.url)
    half_a_head.sendall(b"GET /hea")
    half_a_body = connect(process.url)
    half_a_body.sendall(
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    send(process.url, api.INGEST, {"project": "p", "calls": [CALL]})

    os.kill(process.pid, number)

    assert process.stop() == 0
    for connection in (idle, half_a_head, half_a_body):
        connection.close()
    with pytest.raises(OSError, match="refused"):
        connect(process.url)


@pytest.mark.processes
def test_killing_it_leaves_nothing_that_holds_the_port(tmp_path: Path):
    first = ServerProcess(tmp_path / "data")
    assert send(first.url, api.INGEST, {"project": "p", "calls": [CALL]}).status == 200
    open_ = connect(first.url)
    first.kill()

    with ServerProcess(tmp_path / "data", port=first.port) as second:
        assert second.url == first.url
        assert get(second.url, f"{api.CALLS}/c1?project=p").status == 200
    open_.close()


@pytest.mark.processes
def test_a_request_that_is_being_answered_when_it_stops_is_answered(process: ServerProcess):
    """What the server has begun to store is acknowledged, so that the sender does not send it again."""
    body = json.dumps(
        {
            "project": "p",
            "calls": [{**CALL, "id": f"c{n}", "output": "x" * 500} for n in range(3000)],
        }
    ).encode()
    connection = connect(process.url)
    connection.sendall(
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    # A second request is answered only after the first was read.
    get(process.url, api.HEALTH)
    os.kill(process.pid, signal.SIGTERM)

    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    connection.close()

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"calls":3000' in received


def test_what_is_being_stored_is_acknowledged_also_when_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(serving, "GRACE_S", 0.01)
    store = sqlite.open_store(tmp_path)
    begun, goes_on = threading.Event(), threading.Event()
    write = store.ingest.write

    def slowly(batch: Batch) -> Receipt:
        begun.set()
        assert goes_on.wait(20)
        return write(batch)

    monkeypatch.setattr(store.ingest, "write", slowly)
    # Begins when the server is told to stop.
    longer = threading.Timer(0.3, goes_on.set)
    with ThreadPoolExecutor(1) as sender:
        with sites.served(store) as url:
            answer = sender.submit(send, url, api.INGEST, {"project": "p", "calls": [CALL]})
            assert begun.wait(20)
            longer.start()
        assert (answer.result().status, answer.result().json) == (200, {"calls": 1})
    store.close()


@pytest.mark.processes
def test_it_says_why_it_does_not_start(tmp_path: Path):
    taken = serving.listen(ServerSettings(port=0))
    with pytest.raises(Unavailable, match="is taken"):
        ServerProcess(tmp_path / "data", port=taken.port)
    with pytest.raises(Unavailable, match="KIBITZ_API_KEYS"):
        ServerProcess(tmp_path / "data", environment=[("KIBITZ_HOST", "0.0.0.0")])
    taken.close()


@pytest.mark.processes
def test_it_prints_nothing_by_itself(tmp_path: Path):
    code = (
        "import sys, threading, urllib.request, kibitz.testing.serving as s\n"
        f"with s.server({str(tmp_path)!r}) as url: urllib.request.urlopen(url + '/health').read()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_two_servers_in_one_process_do_not_meet(tmp_path: Path):
    with server(tmp_path / "a") as one, server(tmp_path / "b") as two:
        send(one, api.INGEST, {"project": "p", "calls": [CALL]})
        assert get(two, api.PROJECTS).json == {"projects": []}
    with pytest.raises(OSError, match="refused"):
        connect(one)


async def _nothing(*_: object) -> None: ...


def test_large_requests_at_once_are_told_to_come_back_and_room_is_made_again():
    """Driven below HTTP: how many bodies are in memory at a moment cannot be arranged from outside."""
    inside: list[int] = []
    outcomes: list[str] = []
    body = b" " * 1000

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        inside.append(len(message["body"]))
        if len(inside) <= bodies.HELD_BODIES + 1:
            await request()

    guarded = bodies.Bodies(handler, max_body_bytes=len(body))

    async def request() -> None:
        scope: Any = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/ingest",
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"1000")],
        }

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await guarded(scope, receive, _nothing)
        except Unavailable as error:
            outcomes.append(f"come back in {error.retry_after_s} s")
        else:
            outcomes.append("ok")

    asyncio.run(request())
    assert outcomes == ["come back in 1 s", *["ok"] * (bodies.HELD_BODIES + 1)]

    asyncio.run(request())
    assert outcomes[-1] == "ok"
