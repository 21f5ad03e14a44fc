"""Reading lines of calls and feedback: every record kind, every compression, every way a line is wrong."""

from __future__ import annotations

import gzip
import io
import random
import string
from pathlib import Path

import pytest
import zstandard

from kibitz.base.errors import InvalidRecord, UsageError
from kibitz.base.records import CallPart, FeedbackPart, ObjectPart
from kibitz.cli import lines

CALL = b'{"id": "c1", "op": "answer", "started_at": "2026-05-01T10:00:00Z"}'
FEEDBACK = b'{"type": "note", "target_ref": "kibitz:///app/call/c1", "payload": {"note": "good"}}'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (CALL, CallPart),
        (b'{"call": %s}' % CALL, CallPart),
        (FEEDBACK, FeedbackPart),
        (b'{"feedback": %s}' % FEEDBACK, FeedbackPart),
        (b'{"kind": "object", "name": "n", "digest": "%s", "value": {}}' % (b"a" * 40), ObjectPart),
    ],
)
def test_a_line_is_the_record_its_fields_say(text: bytes, kind: type) -> None:
    assert type(lines.parse(text)) is kind


def test_feedback_without_an_id_gets_the_same_one_every_time() -> None:
    first, again = lines.parse(FEEDBACK), lines.parse(FEEDBACK.replace(b": ", b":"))
    other = lines.parse(FEEDBACK.replace(b"good", b"bad"))

    assert isinstance(first, FeedbackPart)
    assert isinstance(again, FeedbackPart)
    assert isinstance(other, FeedbackPart)
    assert first.id == again.id
    assert first.id != other.id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "not JSON"),
        (b'{"id": "\xff"}', "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"question": "?"}', "neither a call"),
        (b'{"id": "c1", "surprise": 1}', "surprise"),
        (b'{"id": "c1", "started_at": "2026-05-01T10:00:00"}', "started_at"),
        (b'{"call": {"op": "answer"}}', "id"),
        (b'{"id": 7}', "id"),
        (b"[" * 100_000, "not JSON"),
        (b'{"id": "x", "inputs": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_record_is_said_to_be_none(text: bytes, says: str) -> None:
    with pytest.raises(InvalidRecord, match=says):
        lines.parse(text)


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("calls.jsonl", bytes),
        ("calls.jsonl.gz", gzip.compress),
        ("calls.jsonl.zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_files_are_read_as_their_ending_says(tmp_path: Path, name: str, compress) -> None:
    path = tmp_path / name
    path.write_bytes(compress(b"\n" + CALL + b"\n\nnonsense\n" + FEEDBACK))

    with lines.opened(str(path)) as (counting, stream, size):
        found = list(lines.read(name, stream))

    assert [(line.number, line.problem is None) for line in found] == [
        (2, True),
        (4, False),
        (5, True),
    ]
    assert size == path.stat().st_size == counting.count


def test_zstd_files_of_several_frames_are_read_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "calls.zst"
    frame = zstandard.ZstdCompressor().compress(CALL + b"\n")
    path.write_bytes(frame + frame)

    with lines.opened(str(path)) as (_, stream, _size):
        found = list(lines.read("calls.zst", stream))

    assert [line.number for line in found] == [1, 2]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_damaged_file_gives_what_came_before_and_then_says_so(
    tmp_path: Path, ending: str
) -> None:
    content = b"\n".join(CALL.replace(b"c1", b"c%d" % n) for n in range(20_000))
    compress = gzip.compress if ending == "gz" else zstandard.ZstdCompressor().compress
    whole = compress(content)
    path = tmp_path / f"calls.{ending}"
    path.write_bytes(whole[: len(whole) // 2])
    found: list[lines.Line] = []

    def read_all() -> None:
        with lines.opened(str(path)) as (_, stream, _size):
            found.extend(lines.read(path.name, stream))

    with pytest.raises(UsageError, match="damaged after line") as raised:
        read_all()

    assert "cut" in raised.value.message or "end" in raised.value.message
    assert all(line.record is not None for line in found[:-1])


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_flipped_bit_in_a_packed_file_is_noticed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"calls.{ending}"
    with path.open("wb") as file, lines.packed(path.name, file) as target:
        # Of letters that hardly repeat: most of the file is the letters themselves.
        letters = random.Random(3).choices(string.ascii_letters, k=20_000)
        target.write(CALL.replace(b"answer", "".join(letters).encode()) + b"\n")
    whole = bytearray(path.read_bytes())

    def read_all() -> None:
        with lines.opened(str(path)) as (_, stream, _size):
            for _ in lines.read(path.name, stream):
                pass

    read_all()
    for at in range(len(whole) // 3, len(whole) * 2 // 3, len(whole) // 30):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(UsageError, match="damaged after line"):
            read_all()


def test_a_line_too_long_is_rejected_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 200)
    stream = io.BytesIO(b"x" * 1000 + b"\n" + CALL)

    first, second = lines.read("calls", stream)

    assert first.problem is not None
    assert first.number == 1
    assert second.number == 2
    assert isinstance(second.record, CallPart)


def test_a_file_that_is_not_there_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"), lines.opened(str(tmp_path / "nothing")):
        pass
