"""Request bodies: read within limits, decompressed within limits, before any handler sees them.

A body is over the limit when its bytes are, as sent or as they are after decompression: a few kilobytes
that would become gigabytes are refused while they are still small. All bodies that are held at a moment
have a limit together, so that many large requests at once wait outside instead of filling the memory.
"""

from __future__ import annotations

import zlib
from typing import Any

import zstandard
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

from kibitz.base import wire
from kibitz.base.errors import TooLarge, Unavailable, UsageError

ENCODINGS = ("gzip", "zstd")
HELD_BODIES = 8
"""How many bodies of the largest size may be held at once."""
_MIN_ZSTD_WINDOW = 8 << 20
"""RFC 8878 §3.1.1.1.2 wants every decoder to take windows of this size."""
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))


class Bodies:
    """Middleware: what lies below reads the plain body in one message."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._limit = max_body_bytes
        self._held = 0
        """Bytes of the bodies that are held now; changed on the event loop only."""

    @property
    def any(self) -> bool:
        """Whether a body was read whole whose request is not answered yet."""
        return self._held > 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        if scope["path"].startswith("/api/"):
            _check_media_type(headers.get(b"content-type", b"").decode("latin-1"))
        if encoding not in ("", "identity", *ENCODINGS):
            raise HTTPException(
                status_code=415,
                detail=f"Content-Encoding {encoding[:40]!r} is not understood; "
                f"send the body plain or as {' or '.join(ENCODINGS)}",
                headers={"Accept-Encoding": ", ".join(ENCODINGS)},
            )
        self._check_declared(headers.get(b"content-length"))
        body = await self._read(receive, headers.get(b"content-length"))
        self._held += len(body)
        taken = len(body)
        try:
            if encoding in ENCODINGS:
                body = decompress(body, encoding, self._limit)
                self._held += len(body)
                taken += len(body)
            await self._app(_plain(scope), _replay(body, receive), send)
        finally:
            self._held -= taken

    def _check_declared(self, declared: bytes | None) -> None:
        if declared is not None and declared.isdigit() and int(declared) > self._limit:
            raise _too_large(int(declared), self._limit)
        if self._held > HELD_BODIES * self._limit:
            raise Unavailable(
                "the server holds as many large requests as it can; send this one again",
                retry_after_s=1,
            )

    async def _read(self, receive: Receive, declared: bytes | None) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                raise UsageError("the request ended before its body was complete")
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._limit:
                raise _too_large(size, self._limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                break
        if declared is not None and declared.isdigit() and int(declared) != size:
            raise UsageError(
                f"the request ended after {size:,} of {int(declared):,} bytes of its body"
            )
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The plain bytes of a compressed body.

    Raises:
        TooLarge: they are more than the limit; no more than that was ever made.
        UsageError: it is not of this encoding, or not complete.
    """
    return _gunzip(body, limit) if encoding == "gzip" else _unzstd(body, limit)


def _gunzip(body: bytes, limit: int) -> bytes:
    plain = b""
    rest = body
    while rest:
        reader = zlib.decompressobj(wbits=31)
        try:
            plain += reader.decompress(rest, limit + 1 - len(plain))
        except zlib.error as error:
            raise UsageError(f"the body is not valid gzip: {error}") from error
        if len(plain) > limit:
            raise _too_large(None, limit)
        if not reader.eof:
            raise UsageError("the gzip body is not complete")
        rest = reader.unused_data
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    if not body:
        return b""
    try:
        declared = zstandard.frame_content_size(body)
        if declared > limit:
            raise _too_large(declared, limit)
        decompressor = zstandard.ZstdDecompressor(max_window_size=max(_MIN_ZSTD_WINDOW, limit))
        if declared >= 0:
            return decompressor.decompress(body, allow_extra_data=False)
        # Without a declared size the stream tells nothing of its end, and the one-shot reader nothing
        # of why it failed: the one finds what is too large, the other what is not complete.
        with decompressor.stream_reader(body) as stream:
            plain = stream.read(limit + 1)
        if len(plain) > limit:
            raise _too_large(None, limit)
        return decompressor.decompress(
            body, max_output_size=max(1, len(plain)), allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise UsageError(f"the body is not valid and complete zstd: {error}") from error


def _check_media_type(given: str) -> None:
    media_type, _, parameters = given.partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.strip().lower().replace(" ", "").replace('"', "")
    if media_type != wire.MEDIA_TYPE and not media_type.endswith("+json"):
        shown = repr(media_type[:60]) if media_type else "missing"
        raise HTTPException(
            status_code=415,
            detail=f"the Content-Type is {shown}; send JSON with Content-Type: {wire.MEDIA_TYPE}",
        )
    if charset.startswith("charset=") and charset not in ("charset=utf-8", "charset=utf8"):
        raise HTTPException(
            status_code=415, detail=f"{charset[:60]} is not understood; JSON is sent in UTF-8"
        )


def _too_large(size: int | None, limit: int) -> TooLarge:
    shown = f"of {size:,} bytes " if size is not None else ""
    facts = {"limit": limit} if size is None else {"limit": limit, "size": size}
    return TooLarge(
        f"the body {shown}is over the limit of {limit:,} bytes, which counts after decompression too; "
        "send it in parts",
        **facts,
    )


def _plain(scope: Scope) -> Scope:
    """The scope of the same request with its body plain."""
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name not in (b"content-encoding", b"content-length")
    ]
    scope["headers"] = kept
    return scope


def _replay(body: bytes, receive: Receive) -> Receive:
    message: HTTPReceiveMessage = {"type": "http.request", "body": body, "more_body": False}
    waiting: list[Message] = [message]  # pyright: ignore[reportAssignmentType] one of its kinds

    async def replay() -> Any:
        return waiting.pop() if waiting else await receive()

    return replay
