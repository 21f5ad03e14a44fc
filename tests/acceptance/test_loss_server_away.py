"""A server that is away, dies or talks nonsense costs a program nothing: not its result, not a call, not its end.

The server that is killed in the middle of ingest, twenty times, is in test_killed_server.py.
"""

from __future__ import annotations

import gzip
import socket
import threading
from pathlib import Path

import pytest
from hostile import Behaviour, hostile, read_request, response, saying
from programs import PROJECT, Program, calls, free_port, once, run, spooled, steps

from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes

TWENTY = """
    kibitz.init("team/app")
    assert [step(n) for n in range(20)] == list(range(20))
"""


def test_what_a_program_could_not_send_a_program_of_another_project_delivers(tmp_path: Path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    away = run(TWENTY, tmp_path, url=url)

    assert away.status == 0
    assert f"0 calls sent to {url}; 20 calls kept on disk, delivered later" in away.err

    with ServerProcess(tmp_path / "server", port=port) as server:
        back = run('kibitz.init("other"); step(1)', tmp_path, url=url)
        again = run('kibitz.init("other"); step(2)', tmp_path, url=url)
        assert server.log == ""

    assert back.line == f"kibitz: 1 call sent to {url}; 20 more from an earlier run"
    assert again.line == f"kibitz: 1 call sent to {url}"
    assert once(steps(tmp_path / "server"), range(20))
    assert len(calls(tmp_path / "server", "other")) == 2
    assert not list((tmp_path / ".kibitz" / "spool").rglob("*.spool"))


def test_a_server_that_comes_later_gets_everything_in_the_same_run(tmp_path: Path):
    port = free_port()
    program = Program(
        """
        kibitz.init("team/app")
        for n in range(50):
            step(n)
        report = kibitz.flush()
        assert report.calls_spooled == 50 and not report.complete, report
        print("away", flush=True)
        input()
        for n in range(50, 60):
            step(n)
        report = kibitz.finish()
        assert report.complete and report.calls_sent == 60, report
        """,
        tmp_path,
        url=f"http://127.0.0.1:{port}",
    )
    program.wait_for("away")
    with ServerProcess(tmp_path / "server", port=port) as server:
        program.say("back")
        ended = program.end()
        assert server.log == ""

    assert ended.status == 0, ended.err
    assert once(steps(tmp_path / "server"), range(60))


def test_a_server_killed_under_a_running_program_misses_and_doubles_nothing(tmp_path: Path):
    program = None
    port = 0
    for each in range(4):
        server = ServerProcess(tmp_path / "server", port=port)
        if program is None:
            port = server.port
            program = Program(
                """
                kibitz.init("team/app", flush_interval_s=0.01, batch_calls=20)
                number, word = 0, ""
                def listen():
                    global word
                    for line in sys.stdin:
                        word = line.strip()
                        print(word, flush=True)
                threading.Thread(target=listen, daemon=True).start()
                while word != "end":
                    step(number)
                    number += 1
                    time.sleep(0.001)
                report = kibitz.finish()
                assert report.calls_sent + report.calls_spooled == number, (number, report)
                print(number)
                """,
                tmp_path,
                url=server.url,
            )
        program.say(f"round {each}")
        program.wait_for(f"round {each}")
        threading.Event().wait(0.3)
        if each < 3:
            server.kill()
    assert program is not None
    program.say("end")
    ended = program.end()
    assert ended.status == 0, ended.err
    number = int(ended.out.split()[-1])

    # What the last flush found the server away for is with the next program.
    run('kibitz.init("other"); step(1)', tmp_path, url=server.url)
    assert server.stop() == 0
    assert number > 100
    assert once(steps(tmp_path / "server"), range(number))


def _silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def _head_only(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    over.wait(30)


def _reads_nothing_and_drips(connection: socket.socket, over: threading.Event) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
        connection.sendall(bytes([byte]))
        if over.wait(0.1):
            return


_PAGE = b"<!doctype html><title>Welcome to nginx</title>"
BAD_SERVERS: dict[str, Behaviour] = {
    "accepts and is silent": _silent,
    "begins an answer": _head_only,
    "drips": _reads_nothing_and_drips,
    "hangs up": saying(b""),
    "is no HTTP": saying(b"220 mail.example.org ESMTP\r\n" * 3),
    "500": saying(response("500 Oh", b"Internal Server Error", "text/plain")),
    "500 in our shape": saying(
        response("500 Oh", b'{"error":{"code":"internal","message":"no","details":{}}}')
    ),
    "503 for a day": saying(response("503 Busy", _PAGE, "text/html", "Retry-After: 86400")),
    "401": saying(response("401 No", b'{"error":{"code":"unauthorized","message":"key?"}}')),
    "404 of a proxy": saying(response("404 Not Found", _PAGE, "text/html")),
    "a page": saying(response("200 OK", _PAGE, "text/html")),
    "other JSON": saying(response("200 OK", b'{"ok": true}')),
    "a list": saying(response("200 OK", b"[]")),
    "no body": saying(response("200 OK", b"")),
    "204": saying(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a receipt for nothing": saying(response("200 OK", b"{}")),
    "a receipt for more": saying(response("200 OK", b'{"calls": 1000}')),
    "redirect": saying(response("307 Go", b"", "text/html", "Location: http://127.0.0.1:9/")),
    "gzip that is cut": saying(
        response(
            "200 OK",
            gzip.compress(b'{"calls": 20}')[:-9],
            "application/json",
            "Content-Encoding: gzip",
        )
    ),
    "gzip that is none": saying(
        response("200 OK", b'{"calls": 20}', "application/json", "Content-Encoding: gzip")
    ),
    "a body that is cut": saying(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{}"
    ),
    "chunks that are none": saying(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"
    ),
}
PROGRAM = """
    kibitz.init("team/app", timeout_s=0.5, exit_timeout_s=2)
    assert [step(n) for n in range(20)] == list(range(20))
    begun = time.monotonic()
    report = kibitz.finish()
    # The promise is two seconds; the rest is for a machine that is busy with something else.
    assert time.monotonic() - begun < 10
    assert not report.complete and report.pending == 0 and not report.dropped, report
    assert (report.calls_sent, report.calls_spooled) == (0, 20), report
    assert "20 calls kept on disk" in str(report), report
"""


def test_whatever_a_server_answers_the_end_is_bounded_and_everything_waits_on_disk(tmp_path: Path):
    running: dict[str, tuple[Program, str]] = {}
    with _all_bad_servers() as urls:
        for number, (name, url) in enumerate(urls.items()):
            running[name] = Program(PROGRAM, tmp_path / str(number), url=url), url
            if number % 3 == 2:
                # A few at a time: all at once would wait for each other and not for their servers.
                running[name][0].process.wait(60)
        ended = {name: program.end() for name, (program, _) in running.items()}

    failed = {name: each.err for name, each in ended.items() if each.status != 0}
    assert not failed
    for number, (name, (_, url)) in enumerate(running.items()):
        found = spooled(tmp_path / str(number) / ".kibitz", url)
        assert sorted(found) == list(range(20)), name


class _all_bad_servers:
    def __enter__(self) -> dict[str, str]:
        self._servers = {name: hostile(behave) for name, behave in BAD_SERVERS.items()}
        return {name: server.__enter__() for name, server in self._servers.items()}

    def __exit__(self, *given: object) -> None:
        for server in self._servers.values():
            server.__exit__(None, None, None)


def test_a_server_that_takes_part_of_a_batch_is_believed(tmp_path: Path):
    """A good server with a small limit: batches are sent in parts, what is too large alone is named."""
    environment = [("KIBITZ_MAX_BODY_BYTES", "20000"), ("KIBITZ_MAX_BATCH_ITEMS", "7")]
    with ServerProcess(tmp_path / "server", environment=environment) as server:
        ended = run(
            """
            kibitz.init("team/app", capture_code=False)
            for n in range(40): step(n)
            step({"large": "x" * 50_000})
            report = kibitz.finish()
            assert report.calls_sent == 40 and report.dropped == {"too_large": 1}, report
            """,
            tmp_path,
            url=server.url,
        )

    assert ended.status == 0, ended.err
    assert once(steps(tmp_path / "server"), range(40))
    assert len(calls(tmp_path / "server", PROJECT)) == 40
