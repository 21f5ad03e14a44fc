"""HTTP as a test speaks it: every byte of request and answer in its hands, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """What an error says, after a check that it has the one shape."""
        assert self.headers["content-type"] == "application/json"
        said = self.json
        assert list(said) == ["error"]
        assert set(said["error"]) == {"code", "message", "details"}
        assert isinstance(said["error"]["details"], dict)
        assert said["error"]["message"]
        return said["error"]


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own; nothing is added but Host and Content-Length."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        # A server that refuses a body hangs up on it; what it said before is there to be read.
        with contextlib.suppress(BrokenPipeError):
            connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


def send(url: str, path: str, value: Any, **headers: str) -> Answer:
    """POST a JSON value."""
    extra = {name.replace("_", "-"): text for name, text in headers.items()}
    return ask(url, "POST", path, json.dumps(value).encode(), {**JSON, **extra})


def get(url: str, path: str, **headers: str) -> Answer:
    extra = {name.replace("_", "-"): text for name, text in headers.items()}
    return ask(url, "GET", path, None, extra)


def raw(url: str, request: bytes, *, end: bool = True) -> bytes:
    """Send bytes as they are and give all that comes back; `end` closes our side after them."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    received = b""
    with (
        socket.create_connection((host, int(port)), timeout=30) as connection,
        # A server may hang up on what it does not want to read to the end.
        contextlib.suppress(ConnectionError),
    ):
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        if end:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received
