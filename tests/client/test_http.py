"""The client against servers that answer well, badly, slowly, or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hostile import hostile, read_request, response, saying

from kibitz.base import api, errors
from kibitz.base.errors import (
    KibitzError,
    SettingsError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UsageError,
)
from kibitz.base.records import Batch, CallPart, Receipt
from kibitz.client.bulk import Bulk
from kibitz.client.delivery import HttpDelivery
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.testing import serving

BATCH = Batch(
    project="p",
    calls=[
        CallPart(id=f"c{n}", op="o", started_at=datetime(2026, 1, 1, tzinfo=UTC)) for n in range(50)
    ],
)
RECEIPT = msgspec.json.encode(Receipt(calls=50))


def deliver(url: str, *, timeout_s: float = 5.0, api_key: str | None = None) -> Receipt:
    delivery = HttpDelivery(Connection(url, timeout_s=timeout_s, api_key=api_key))
    try:
        return delivery.write(BATCH)
    finally:
        delivery.close()


def failure(code: str, **details: Any) -> bytes:
    info = api.ErrorInfo(code=code, message=f"about {code}", details=details)
    return msgspec.json.encode(api.Failure(error=info))


def test_a_batch_arrives_compressed_with_the_key():
    seen: list[bytes] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        seen.append(read_request(connection))
        connection.sendall(response("200 OK", RECEIPT))

    with hostile(behave) as url:
        assert deliver(url, api_key="the-key") == Receipt(calls=50)

    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /api/v1/ingest http/1.1"
    assert b"authorization: bearer the-key" in lines
    assert b"content-encoding: zstd" in lines
    assert msgspec.json.decode(zstandard.decompress(body), type=Batch) == BATCH


def test_a_connection_is_used_again_and_anew_when_the_server_closed_it():
    connections: list[int] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connections.append(0)
        for _ in range(3):
            if not read_request(connection):
                return
            connections[-1] += 1
            connection.sendall(response("200 OK", RECEIPT))

    with hostile(behave) as url:
        delivery = HttpDelivery(Connection(url))
        for _ in range(7):
            assert delivery.write(BATCH).calls == 50
        delivery.close()
        assert delivery.write(BATCH).calls == 50
        delivery.close()

    assert sum(connections) == 8
    assert connections[0] == 3


@pytest.mark.parametrize(
    "kind",
    [
        errors.UsageError,
        errors.QueryError,
        errors.InvalidRecord,
        errors.TooLarge,
        errors.Unauthorized,
        errors.NotFound,
        errors.Conflict,
        errors.Unavailable,
        errors.QueryTimeout,
        errors.StorageFull,
        errors.StorageDamaged,
    ],
)
def test_an_error_of_the_server_is_the_same_error_here(kind: type[KibitzError]):
    answer = response("418 Whatever", failure(kind.code, field="x", size=3))
    with hostile(saying(answer)) as url, pytest.raises(KibitzError) as caught:
        deliver(url)

    assert type(caught.value) is kind
    assert caught.value.message == f"about {kind.code}"
    assert caught.value.facts == {"field": "x", "size": 3}


@pytest.mark.parametrize(
    ("status", "kind"),
    [("400 Bad", UsageError), ("403 Forbidden", Unauthorized), ("500 Broken", Unavailable)],
)
def test_a_code_of_a_newer_server_is_taken_by_its_status(status: str, kind: type[KibitzError]):
    answer = response(status, failure("newer_than_this"))
    with hostile(saying(answer)) as url, pytest.raises(KibitzError) as caught:
        deliver(url)

    assert type(caught.value) is kind


@pytest.mark.parametrize("said", ["7", "7.5", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "9" * 400, ""])
def test_when_to_come_back_is_passed_on_where_it_can_be_read(said: str):
    answer = response(
        "503 Busy", failure("unavailable"), "application/json", f"Retry-After: {said}"
    )
    with hostile(saying(answer)) as url, pytest.raises(Unavailable) as caught:
        deliver(url)

    assert caught.value.retry_after_s == (7.0 if said == "7" else None)


HTML = b"<html><body>Bad gateway</body></html>"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (response("502 Bad Gateway", HTML, "text/html"), "502"),
        (response("500 Broken", b"", "text/plain"), "500 with nothing"),
        (response("200 OK", HTML, "text/html"), "Bad gateway"),
        (response("200 OK", b""), "nothing"),
        (response("200 OK", b"[]"), "'[]'"),
        (response("200 OK", b"{}"), "a receipt for 0"),
        (response("200 OK", b'{"status": "ok"}'), "a receipt for 0"),
        (response("200 OK", b'{"calls": 49}'), "a receipt for 49"),
        (response("200 OK", b'{"calls": "many"}'), "many"),
        (response("200 OK", b"\xff\xfe\x00"), "not what Kibitz says"),
        (response("200 OK", b"[" * 100_000), "not what Kibitz says"),
        (response("204 No Content", b""), "204"),
        (response("404 Not Found", b"nginx"), "404"),
        (response("400 Bad", b'{"error": "text"}'), "400"),
        (response("400 Bad", b'{"error": {"code": 7}}'), "400"),
        (b"GARBAGE\r\n\r\n", ""),
        (b"\x16\x03\x01\x00\x00", ""),
        (b"", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}", ""),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", ""),
        (
            response("200 OK", b"not gzip", "application/json", "Content-Encoding: gzip"),
            "",
        ),
    ],
)
def test_what_is_no_answer_of_kibitz_is_unavailable_and_shown(answer: bytes, said: str):
    with hostile(saying(answer)) as url, pytest.raises(Unavailable) as caught:
        deliver(url)

    assert said in caught.value.message
    assert url in caught.value.message
    assert len(caught.value.message) < 600


def test_a_proxy_that_finds_the_body_too_large_is_too_large():
    with (
        hostile(saying(response("413 Too Large", HTML, "text/html"))) as url,
        pytest.raises(TooLarge),
    ):
        deliver(url)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(status: str):
    visits: list[bytes] = []

    def elsewhere(connection: socket.socket, over: threading.Event) -> None:
        visits.append(read_request(connection))
        connection.sendall(response("200 OK", RECEIPT))

    with hostile(elsewhere) as other:
        answer = response(status, b"", "text/plain", f"Location: {other}/api/v1/ingest")
        with hostile(saying(answer)) as url, pytest.raises(Unavailable) as caught:
            deliver(url, api_key="secret-key")

    assert visits == []
    assert other in caught.value.message
    assert "secret-key" not in caught.value.message


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def reads_and_is_silent(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    over.wait()


def dripping(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Say a beginning, then a byte now and then: never silent for as long as the limit, and never done."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(head)
        while not over.wait(0.05):
            connection.sendall(b"x")

    return behave


def starts_the_body(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    over.wait()


@pytest.mark.parametrize(
    "behave",
    [
        silent,
        reads_and_is_silent,
        starts_the_body,
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nX-Header: "),
        dripping(b""),
    ],
)
def test_a_server_that_hangs_or_drips_is_given_up(
    behave: Callable[[socket.socket, threading.Event], None],
):
    with hostile(behave) as url, pytest.raises(Unavailable) as caught:
        deliver(url, timeout_s=0.4)

    assert "0.4 s" in caught.value.message


def test_nobody_there_is_unavailable_with_the_address():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unavailable, match="refused") as caught:
        deliver(url)
    assert url in caught.value.message
    with pytest.raises(Unavailable, match="could not be reached"):
        deliver("http://no-such-host.invalid:4500")


def test_what_may_not_be_sent_twice_is_not():
    seen: list[bytes] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        seen.append(read_request(connection))

    with hostile(behave) as url:
        connection = Connection(url)
        with pytest.raises(Unavailable):
            connection.post(dict, "/x", b"{}", repeatable=False)
        assert len(seen) == 1
        with pytest.raises(Unavailable):
            connection.post(dict, "/x", b"{}")
        assert len(seen) == 3
        connection.close()


def test_a_delete_is_not_sent_again_by_itself():
    seen: list[bytes] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        seen.append(read_request(connection))

    with hostile(behave) as url:
        connection = Connection(url)
        with pytest.raises(Unavailable):
            Bulk(connection).delete("app", None, expected=3)
        connection.close()

    assert len(seen) == 1


def test_after_an_answer_that_was_cut_off_the_next_one_is_read_from_its_beginning():
    calls: list[int] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        calls.append(1)
        if len(calls) == 1:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            over.wait()
        else:
            read_request(connection)
            connection.sendall(response("200 OK", RECEIPT))

    with hostile(behave) as url:
        delivery = HttpDelivery(Connection(url, timeout_s=0.4))
        with pytest.raises(Unavailable):
            delivery.write(BATCH)
        assert delivery.write(BATCH) == Receipt(calls=50)
        delivery.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4500",
        "ftp://host",
        "http://",
        "http:///path",
        "http://h:99999999",
        "http://u:secret@h",
        "http://h/?a=1",
        "http://h/#x",
        "://",
        "http://[::",
    ],
)
def test_an_address_that_is_none_is_a_setting_to_mend(url: str):
    with pytest.raises(SettingsError) as caught:
        Connection(url)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "\x00"])
def test_a_key_that_no_header_can_carry_is_a_setting_to_mend(key: str):
    with pytest.raises(SettingsError) as caught:
        Connection("http://localhost", api_key=key)
    assert key not in caught.value.message


def test_a_server_below_a_path_is_reached_there():
    seen: list[bytes] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        seen.append(read_request(connection))
        connection.sendall(response("200 OK", RECEIPT))

    with hostile(behave) as url:
        deliver(f"{url}/tools/kibitz/")

    assert seen[0].startswith(b"POST /tools/kibitz/api/v1/ingest ")


def test_a_wrong_key_is_said_and_a_right_one_works(tmp_path: Path):
    with serving.server(tmp_path, api_keys=("right-key",)) as url:
        assert deliver(url, api_key="right-key").calls == 50
        for key in (None, "wrong-key"):
            with pytest.raises(Unauthorized):
                deliver(url, api_key=key)


def test_a_batch_over_the_servers_limit_is_too_large(tmp_path: Path):
    with serving.server(tmp_path, max_batch_items=10) as url, pytest.raises(TooLarge) as caught:
        deliver(url)
    assert caught.value.facts == {"size": 50, "limit": 10}


def test_a_body_over_the_servers_limit_is_too_large_also_while_it_is_being_sent(tmp_path: Path):
    noise = os.urandom(3_000_000).hex()
    batch = Batch(
        project="p",
        calls=[CallPart(id="a", op="o", started_at=BATCH.calls[0].started_at, output=noise)],
    )
    with serving.server(tmp_path, max_body_bytes=100_000) as url:
        delivery = HttpDelivery(Connection(url))
        with pytest.raises(TooLarge):
            delivery.write(batch)
        assert delivery.write(BATCH).calls == 50
        delivery.close()


def test_many_threads_share_a_connection(store: RemoteStore):
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(5):
                part = CallPart(id=f"c{number}-{n}", op="o", started_at=BATCH.calls[0].started_at)
                store.ingest.write(Batch(project="p", calls=[part]))
                assert store.calls.get("p", part.id).id == part.id
        except BaseException as error:  # noqa: BLE001  handed to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert store.calls.count("p", None).count == 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.processes
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_speaks_on_sockets_of_its_own(tmp_path: Path):
    with serving.ServerProcess(tmp_path) as server:
        delivery = HttpDelivery(Connection(server.url))
        delivery.write(BATCH)
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=_write_some, args=(delivery, n)) for n in range(3)]
        for child in children:
            child.start()
        _write_some(delivery, 9)
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0, 0]
        store = RemoteStore(Connection(server.url))
        assert store.calls.count("p", None).count == 50 + 4 * 20
        store.close()
        delivery.close()


def _write_some(delivery: HttpDelivery, number: int) -> None:
    for n in range(20):
        part = CallPart(id=f"f{number}-{n}", op="o", started_at=BATCH.calls[0].started_at)
        assert delivery.write(Batch(project="p", calls=[part])).calls == 1


def test_the_package_alone_loads_no_http():
    code = (
        "import sys, kibitz.client; print('urllib3' in sys.modules, 'http.client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_thread_that_was_at_the_connection():
    connection = Connection("http://127.0.0.1:1")
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with connection._lock:
            held.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        with pytest.raises(Unavailable):
            connection.get("/api/v1/health")
        os._exit(0)
    leave.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
