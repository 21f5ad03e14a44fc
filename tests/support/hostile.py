"""Servers that misbehave, over real sockets: each connection is given to a function that may do anything."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Generator

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Gets a connection and an event that is set when the test is over."""


@contextlib.contextmanager
def hostile(behave: Behaviour) -> Generator[str]:
    """Run a behaviour for every connection; gives the address."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                thread = threading.Thread(target=serve, args=(connection,), daemon=True)
                threads.append(thread)
                thread.start()

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                behave(connection, over)

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            acceptor.join(5)
            for thread in threads:
                thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    """One request, head and body."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            return received
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    wanted = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            wanted = int(value)
    while len(body) < wanted:
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return head + b"\r\n\r\n" + body


def saying(*answers: bytes) -> Behaviour:
    """Answer each request on a connection with the next of these bytes, then hang up."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        for answer in answers:
            if not read_request(connection):
                return
            connection.sendall(answer)

    return behave


def response(
    status: str, body: bytes, media_type: str = "application/json", *headers: str
) -> bytes:
    """A well-formed answer."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        f"Content-Type: {media_type}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
