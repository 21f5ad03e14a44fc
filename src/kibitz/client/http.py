"""One connection to a Kibitz server: requests out, answers or errors of our own tree back.

The server's errors come in one JSON shape and become the class that their code names. Everything else
(a page of a proxy, a redirect, bytes that are no answer, silence) is not Kibitz speaking: `Unavailable`,
with what answered in the message, because trying again later is all that a program can do about it. No
redirect is followed, so the key goes nowhere but to the address that it was given for.

Time is bounded as a whole: an answer that drips in byte by byte is cut off like one that never comes.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import urllib3
import zstandard
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout, parse_url

from kibitz.base import api, clock, errors, wire
from kibitz.base.errors import (
    KibitzError,
    SettingsError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UsageError,
)
from kibitz.base.locks import ForkLock
from kibitz.base.version import __version__

T = TypeVar("T")

COMPRESS_FROM_BYTES = 1024
COMPRESSION_LEVEL = 1
"""The text of calls shrinks to about a fifth at this level, in a hundredth of the time of a round trip."""
MAX_ANSWER_BYTES = 256 << 20
MAX_CONNECT_S = 5.0
_SHOWN_BYTES = 120
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, if it was a success."""

    body: bytes
    media_type: str


class Connection:
    """A server by its address. Safe to use from several threads, and after a fork."""

    def __init__(self, url: str, *, api_key: str | None = None, timeout_s: float = 10.0) -> None:
        """Connect to nothing yet.

        Args:
            url: `http://host:port` or `https://…`, with a path where a proxy puts the server below one.
            timeout_s: For connecting, for sending and for the answer of one request, each.

        Raises:
            SettingsError: the address or the key cannot be used.
        """
        self.url = _check_url(url)
        self.timeout_s = timeout_s
        self._headers = {
            "Accept": wire.MEDIA_TYPE,
            "User-Agent": f"kibitz/{__version__}",
            **_authorization(api_key),
        }
        self._lock = ForkLock()
        """Protects `_pool` and `_owner`."""
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._owner = 0

    def get(self, path: str, asked: Mapping[str, str | None] | None = None) -> Answer:
        """Ask for a path; entries of `asked` that are None are left out."""
        return self._request("GET", path + _asked(asked or {}))

    def read(self, kind: type[T], path: str, asked: Mapping[str, str | None] | None = None) -> T:
        """Ask for a path and read the answer as a record."""
        return self._as(kind, self.get(path, asked))

    def post(self, kind: type[T], path: str, body: bytes, *, repeatable: bool = True) -> T:
        """Send JSON and read the answer as a record.

        Args:
            repeatable: Whether sending it twice is the same as once; then a connection that breaks
                before the answer is tried again at once.
        """
        headers = {"Content-Type": wire.MEDIA_TYPE}
        if len(body) >= COMPRESS_FROM_BYTES:
            body = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(body)
            headers["Content-Encoding"] = "zstd"
        return self._as(kind, self._request("POST", path, body, headers, repeatable=repeatable))

    @contextmanager
    def stream(self, path: str, body: bytes) -> Generator[Iterator[bytes]]:
        """Send JSON and read the answer as it comes, each piece of it within the time of a request."""
        headers = {**self._headers, "Content-Type": wire.MEDIA_TYPE, "Accept": "*/*"}
        with self._reached():
            response = self._connections().urlopen(
                "POST",
                self._prefix + path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=Timeout(connect=min(self.timeout_s, MAX_CONNECT_S), read=self.timeout_s),
            )
        try:
            if response.status != 200:
                with self._reached():
                    content = self._content(response)
                raise self._error(response, content)
            yield self._pieces(response)
        finally:
            # What was not read would be taken for the beginning of the next answer.
            response.close()

    def _pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        with self._reached():
            yield from response.stream(_CHUNK_BYTES)

    @contextmanager
    def _reached(self) -> Generator[None]:
        try:
            yield
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            if isinstance(error, KibitzError):
                raise
            raise Unavailable(
                f"{self.url} could not be reached: {_reason(error, self.timeout_s)}"
            ) from error

    def put(self, kind: type[T], path: str, asked: Mapping[str, str | None], body: bytes) -> T:
        """Send JSON to be kept under a path and read the answer as a record."""
        headers = {"Content-Type": wire.MEDIA_TYPE}
        return self._as(kind, self._request("PUT", path + _asked(asked), body, headers))

    def delete(self, kind: type[T], path: str, asked: Mapping[str, str | None]) -> T:
        """Have what is under a path forgotten and read the answer as a record."""
        # Not repeated when the connection breaks: the second answer would be that nothing is there.
        answer = self._request("DELETE", path + _asked(asked), repeatable=False)
        return self._as(kind, answer)

    def close(self) -> None:
        """Close what is open; the connection may be used again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _as(self, kind: type[T], answer: Answer) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(
                f"{self.url} answered {_show(answer.body)}, which is not what Kibitz says ({error}); "
                "is it a Kibitz server of this version?"
            ) from error

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = True,
    ) -> Answer:
        with self._reached():
            response, content = self._exchange(method, path, body, headers, repeatable=repeatable)
        if response.status in (200, 201):
            return Answer(content, response.headers.get("Content-Type", ""))
        raise self._error(response, content)

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        *,
        repeatable: bool,
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        pool = self._connections()
        while True:
            try:
                response = pool.urlopen(
                    method,
                    self._prefix + path,
                    body=body,
                    headers={**self._headers, **(headers or {})},
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    timeout=Timeout(
                        connect=min(self.timeout_s, MAX_CONNECT_S), read=self.timeout_s
                    ),
                )
                return response, self._content(response)
            except urllib3.exceptions.ProtocolError:
                # A server closes a connection that has been idle; when it does so in the moment of the
                # next request, nobody has read that request.
                if not repeatable:
                    raise
                repeatable = False

    def _content(self, response: urllib3.BaseHTTPResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := response.read(_CHUNK_BYTES):
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    raise Unavailable(
                        f"{self.url} answered with more than {MAX_ANSWER_BYTES:,} bytes; ask for less at a time"
                    )
        except BaseException:
            # What is left in it would be read as the beginning of the next answer.
            response.close()
            raise
        response.release_conn()
        return b"".join(chunks)

    @property
    def _prefix(self) -> str:
        return (parse_url(self.url).path or "").rstrip("/")

    def _connections(self) -> urllib3.HTTPConnectionPool:
        with self._lock:
            # A child of a fork shares the parent's sockets and must not speak on them.
            if self._pool is None or self._owner != os.getpid():
                self._pool = _new_pool(self.url)
                self._owner = os.getpid()
            return self._pool

    def _error(self, response: urllib3.BaseHTTPResponse, content: bytes) -> KibitzError:
        retry_after_s = _seconds(response.headers.get("Retry-After"))
        try:
            said = msgspec.json.decode(content, type=api.Failure).error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._foreign(response, content, retry_after_s)
        facts = {
            name: value for name, value in said.details.items() if name not in {"self", "message"}
        }
        kind = errors.class_of(said.code)
        if kind is None and response.status in (401, 403):
            kind = Unauthorized
        if kind is None:
            kind = Unavailable if response.status >= 500 else UsageError
        if kind is Unavailable and retry_after_s is not None:
            facts.setdefault("retry_after_s", retry_after_s)
        return kind(said.message, **facts)

    def _foreign(
        self, response: urllib3.BaseHTTPResponse, content: bytes, retry_after_s: float | None
    ) -> KibitzError:
        """The error of an answer that is not in Kibitz's shape."""
        status = response.status
        if status == 413:
            return TooLarge(f"{self.url} refused the request as too large: {_show(content)}")
        target = response.headers.get("Location")
        if 300 <= status < 400 and target:
            return Unavailable(
                f"{self.url} answered {status}, see {target[:200]!r}; it is not followed, "
                "give that address if it is your server",
                status=status,
            )
        facts = {} if retry_after_s is None else {"retry_after_s": retry_after_s}
        return Unavailable(
            f"{self.url} answered {status} with {_show(content)}; a Kibitz server does not say that",
            status=status,
            **facts,
        )


class _Timed(io.RawIOBase):
    """The bytes of a socket up to a deadline, however they drip in."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._sock = sock
        self._raw: Any = sock.makefile("rb", buffering=0)
        self._timeout_s = timeout_s
        self._deadline_ns = clock.monotonic_ns() + int(timeout_s * 1e9)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = (self._deadline_ns - clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            if self._sock.fileno() >= 0:
                # The next request on this socket is sent before it gets a timeout of its own.
                self._sock.settimeout(self._timeout_s)
        super().close()


class _TimedSocket:
    """A socket as an HTTP response uses it: as the maker of a file."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._sock = sock
        self._timeout_s = timeout_s

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Timed(self._sock, self._timeout_s))


class _TimedResponse(http.client.HTTPResponse):
    """A response that must be complete within the socket's timeout as a whole, not between two bytes."""

    def __init__(self, sock: socket.socket, *given: Any, **named: Any) -> None:
        timeout_s = sock.gettimeout()
        timed = sock if timeout_s is None else _TimedSocket(sock, timeout_s)
        super().__init__(timed, *given, **named)  # pyright: ignore[reportArgumentType] it asks for `makefile` only


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedTlsConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _TimedConnection  # pyright: ignore[reportAssignmentType] as in urllib3 itself


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection  # pyright: ignore[reportAssignmentType] as in urllib3 itself


def _new_pool(url: str) -> urllib3.HTTPConnectionPool:
    parsed = parse_url(url)
    kind = _TlsPool if parsed.scheme == "https" else _Pool
    return kind(parsed.host or "", parsed.port, maxsize=8)


def _check_url(url: str) -> str:
    try:
        parsed = parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise SettingsError(
            f"url {url!r} is not an address; write http://host:port", setting="url"
        ) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SettingsError(f"url {url!r} is not an address; write http://host:port", setting="url")
    if parsed.auth or parsed.query or parsed.fragment:
        raise SettingsError(
            f"url for {parsed.host!r} has more than a host, port and path; a key goes into KIBITZ_API_KEY",
            setting="url",
        )
    return url.rstrip("/")


def _authorization(api_key: str | None) -> dict[str, str]:
    if not api_key:
        return {}
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise SettingsError(
            "api_key has spaces or characters that a header cannot carry; check KIBITZ_API_KEY",
            setting="api_key",
        )
    return {"Authorization": f"Bearer {api_key}"}


def _asked(asked: Mapping[str, str | None]) -> str:
    """The query of an address; entries that are None are left out."""
    pairs = [f"{k}={quote(v, safe='')}" for k, v in asked.items() if v is not None]
    return "?" + "&".join(pairs) if pairs else ""


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return str(error).rpartition(": ")[2]
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return f"no complete answer within {timeout_s:g} s"
    return f"{type(error).__name__}: {str(error)[:200]}"


def _seconds(text: str | None) -> float | None:
    if text is None or not text.strip().isdecimal() or len(text) > 9:
        return None
    return float(text)


def _show(content: bytes) -> str:
    if not content:
        return "nothing"
    text = content[:_SHOWN_BYTES].decode("utf-8", "replace")
    return repr(text) + ("…" if len(content) > _SHOWN_BYTES else "")
