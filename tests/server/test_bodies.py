"""Bodies: read within limits, however they are packed, cut or faked."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Generator

import pytest
import zstandard
from asking import JSON, Answer, ask, get, raw, send
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base import api
from kibitz.base.errors import TooLarge, UsageError
from kibitz.server import bodies
from kibitz.testing import serving

LIMIT = 200_000
BATCH = {
    "project": "p",
    "calls": [{"id": f"c{n}", "op": "o", "started_at": "2026-01-01T00:00:00Z"} for n in range(50)],
}
PLAIN = json.dumps(BATCH).encode()


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with serving.server(
        tmp_path_factory.mktemp("data"), max_body_bytes=LIMIT, max_batch_items=60
    ) as url:
        yield url


def streamed(plain: bytes) -> bytes:
    """zstd without the size in its header, as a stream is compressed."""
    packed = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return packed.compress(plain) + packed.flush()


def post(url: str, body: bytes, encoding: str = "") -> Answer:
    headers = {**JSON, "Content-Encoding": encoding} if encoding else JSON
    return ask(url, "POST", api.INGEST, body, headers)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", PLAIN),
        ("identity", PLAIN),
        ("gzip", gzip.compress(PLAIN)),
        ("GZIP", gzip.compress(PLAIN)),
        ("gzip", gzip.compress(PLAIN[:100]) + gzip.compress(PLAIN[100:])),
        ("zstd", zstandard.compress(PLAIN)),
        ("zstd", zstandard.ZstdCompressor(level=19, write_checksum=True).compress(PLAIN)),
        ("zstd", streamed(PLAIN)),
    ],
)
def test_a_body_arrives_however_it_is_packed(url: str, encoding: str, body: bytes):
    answer = post(url, body, encoding)

    assert (answer.status, answer.json) == (200, {"calls": 50})


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN)[:-9]),
        ("gzip", gzip.compress(PLAIN)[:200]),
        ("gzip", PLAIN),
        ("gzip", gzip.compress(PLAIN) + b"more"),
        ("gzip", zlib.compress(PLAIN)),
        ("gzip", zstandard.compress(PLAIN)),
        ("zstd", zstandard.compress(PLAIN)[:-9]),
        ("zstd", streamed(PLAIN)[:-9]),
        ("zstd", zstandard.compress(PLAIN) + b"more"),
        ("zstd", PLAIN),
        ("zstd", gzip.compress(PLAIN)),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("", gzip.compress(PLAIN)),
        ("gzip", b""),
        ("zstd", b""),
    ],
)
def test_a_body_that_is_cut_or_packed_otherwise_is_usage(url: str, encoding: str, body: bytes):
    answer = post(url, body, encoding)

    assert (answer.status, answer.error["code"]) == (400, "usage")


def gzip_bomb(size: int) -> bytes:
    """Zeros, a thousand to a byte."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return packed.getvalue()


def zstd_bomb(size: int, *, declared: bool) -> bytes:
    packed = zstandard.ZstdCompressor(level=3, write_content_size=declared).compressobj(
        size=size if declared else -1
    )
    block = bytes(1 << 20)
    return b"".join(packed.compress(block) for _ in range(size >> 20)) + packed.flush()


@pytest.mark.parametrize(
    ("encoding", "build"),
    [
        ("gzip", lambda: gzip_bomb(150 << 20)),
        ("gzip", lambda: gzip.compress(bytes(LIMIT // 2)) * 3),
        ("zstd", lambda: zstd_bomb(256 << 20, declared=True)),
        ("zstd", lambda: zstd_bomb(256 << 20, declared=False)),
    ],
)
def test_a_bomb_is_refused_at_the_limit(url: str, encoding: str, build: Callable[[], bytes]):
    bomb = build()
    assert len(bomb) < LIMIT

    answer = post(url, bomb, encoding)

    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert answer.error["details"]["limit"] == LIMIT


@pytest.mark.parametrize("declared", [True, False])
def test_the_limit_itself_is_not_too_large(url: str, declared: bool):
    fits = PLAIN + b" " * (LIMIT - len(PLAIN))
    packed = zstandard.compress(fits) if declared else streamed(fits)

    for encoding, body in (("", fits), ("gzip", gzip.compress(fits)), ("zstd", packed)):
        assert post(url, body, encoding).status == 200
    for encoding, body in (
        ("", fits + b" "),
        ("gzip", gzip.compress(fits + b" ")),
        ("zstd", streamed(fits + b" ")),
    ):
        assert post(url, body, encoding).status == 413


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", headers: bytes = b"") -> bytes:
    head = (
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + headers + b"\r\n"
    )
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def test_a_body_in_chunks_arrives_and_has_the_same_limit(url: str):
    received = raw(url, chunked(PLAIN[:10], PLAIN[10:1000], PLAIN[1000:]), end=False)
    assert received.startswith(b"HTTP/1.1 200 ")

    received = raw(url, chunked(*[b" " * 50_000] * 5), end=False)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in received


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 5000\r\n\r\n" + PLAIN[:1000],
        chunked(PLAIN[:1000], end=b""),
        chunked(PLAIN[:1000], end=b"ffff\r\nabc"),
        chunked(PLAIN[:1000], end=b"xyz\r\n\r\n"),
    ],
)
def test_a_request_that_ends_in_the_middle_stores_nothing(url: str, request_: bytes):
    before = get(url, api.PROJECTS).json

    received = raw(url, request_)

    assert b" 200 " not in received.partition(b"\r\n")[0]
    assert get(url, api.PROJECTS).json == before


def test_too_many_items_are_refused_with_the_number(url: str):
    calls = [{"id": f"m{n}", "op": "o", "started_at": "2026-01-01T00:00:00Z"} for n in range(61)]

    answer = send(url, api.INGEST, {"project": "many", "calls": calls})

    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert answer.error["details"] == {"size": 61, "limit": 60}
    assert "many" not in get(url, api.PROJECTS).body.decode()


@given(st.binary(max_size=3000), st.sampled_from(["gzip", "zstd", "stream"]))
def test_what_was_packed_comes_back_and_never_more_than_the_limit(plain: bytes, kind: str):
    pack = {"gzip": gzip.compress, "zstd": zstandard.compress, "stream": streamed}[kind]
    encoding = "gzip" if kind == "gzip" else "zstd"

    assert bodies.decompress(pack(plain), encoding, max(1, len(plain))) == plain
    if plain:
        with pytest.raises(TooLarge):
            bodies.decompress(pack(plain), encoding, len(plain) - 1)


@given(st.binary(max_size=200), st.sampled_from(bodies.ENCODINGS))
def test_any_bytes_are_unpacked_or_refused(noise: bytes, encoding: str):
    for body in (noise, b"\x1f\x8b\x08" + noise, b"\x28\xb5\x2f\xfd" + noise):
        try:
            plain = bodies.decompress(body, encoding, 1000)
        except UsageError:
            continue
        assert len(plain) <= 1000


@given(st.integers(0, 60), st.sampled_from(["gzip", "zstd", "stream"]))
def test_a_body_cut_anywhere_is_never_taken_for_whole(cut: int, kind: str):
    pack = {"gzip": gzip.compress, "zstd": zstandard.compress, "stream": streamed}[kind]
    packed = pack(b"some text, some text, some more text, and an end")

    if 0 < len(packed) - cut < len(packed):
        with pytest.raises(UsageError):
            bodies.decompress(packed[:-cut], "gzip" if kind == "gzip" else "zstd", 1000)
