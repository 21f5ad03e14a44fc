"""Batches on disk: in order, once, also after a kill, a damaged file, or a full disk."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base.errors import StorageFull
from kibitz.base.records import Batch, CallPart
from kibitz.tracing import spool
from kibitz.tracing.spool import Spool

TARGET = "http://user:pw@server.example:4500/x"


def batch(name: str) -> Batch:
    return Batch(project="a", calls=[CallPart(id=name, inputs={"n": 2**70, "t": "é" * 50})])


def names(spool: Spool) -> list[str]:
    found: list[str] = []
    while (waiting := spool.next()) is not None:
        file, each = waiting
        found.append(each.calls[0].id)
        spool.done(file)
    return found


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _close_all(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    made: list[Spool] = []
    make = Spool.__init__

    def note(self: Spool, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(Spool, "__init__", note)
    yield
    for each in made:
        each.close()


@pytest.fixture
def kept(tmp_path: Path) -> Spool:
    return Spool(tmp_path, TARGET, limit_bytes=1 << 20)


def test_batches_come_back_in_order_and_the_file_goes(kept: Spool, tmp_path: Path):
    for name in "abc":
        kept.append(batch(name))

    assert not kept.empty
    assert names(kept) == ["a", "b", "c"]
    assert kept.empty
    assert files(tmp_path) == []


def test_a_batch_stays_until_it_is_done(kept: Spool):
    kept.append(batch("a"))
    kept.append(batch("b"))

    first, again = kept.next(), kept.next()

    assert first is not None
    assert again is not None
    assert first[1].calls[0].id == again[1].calls[0].id == "a"
    kept.done(again[0])
    kept.append(batch("c"))
    assert names(kept) == ["b", "c"]


def test_a_later_process_takes_over_behind_what_is_delivered(kept: Spool, tmp_path: Path):
    for name in "abc":
        kept.append(batch(name))
    waiting = kept.next()
    assert waiting is not None
    kept.done(waiting[0])
    kept.close()

    later = Spool(tmp_path, TARGET, limit_bytes=1 << 20)
    later.adopt()

    assert names(later) == ["b", "c"]
    assert files(tmp_path) == []


def test_a_file_in_use_is_not_taken_over(kept: Spool, tmp_path: Path):
    kept.append(batch("a"))

    other = Spool(tmp_path, TARGET, limit_bytes=1 << 20)
    other.adopt()

    assert other.next() is None
    assert names(kept) == ["a"]


def test_what_waits_for_one_server_is_not_given_to_another(kept: Spool, tmp_path: Path):
    kept.append(batch("a"))
    kept.close()

    other = Spool(tmp_path, "http://other.example", limit_bytes=1 << 20)
    other.adopt()

    assert other.next() is None


def test_the_folder_tells_the_server_and_not_the_password():
    name = spool.folder_name(TARGET)

    assert name.startswith("server.example-4500-x-")
    assert "pw" not in name
    assert name != spool.folder_name("http://server.example:4500/y")


@given(st.integers(0, 400), st.binary(max_size=40))
@settings(max_examples=150, deadline=None)
def test_a_file_cut_anywhere_gives_the_whole_batches_before(
    tmp_path_factory, length: int, garbage: bytes
):
    folder = tmp_path_factory.mktemp("spool")
    first = Spool(folder, TARGET, limit_bytes=1 << 20)
    ends: list[int] = []
    for name in "abc":
        first.append(batch(name))
        ends.append(files(folder)[0].stat().st_size)
    first.close()
    (path,) = files(folder)
    content = path.read_bytes()[: min(length, ends[-1])]
    path.write_bytes(content + garbage)

    later = Spool(folder, TARGET, limit_bytes=1 << 20)
    later.adopt()
    found = names(later)

    whole = sum(1 for end in ends if end <= len(content))
    assert found == list("abc")[:whole]


def test_a_frame_that_rotted_is_passed_over_and_the_file_kept_aside(kept: Spool, tmp_path: Path):
    ends = [0]
    for name in "abc":
        kept.append(batch(name))
        ends.append(files(tmp_path)[0].stat().st_size)
    kept.close()
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    content[ends[1] + 20] ^= 0xFF
    path.write_bytes(content)

    later = Spool(tmp_path, TARGET, limit_bytes=1 << 20)
    later.adopt()

    assert names(later) == ["a", "c"]
    assert later.damaged_files == 1
    assert [path.suffix for path in files(tmp_path)] == [spool.DAMAGED]


def test_a_file_with_an_impossible_length_is_no_trap(kept: Spool, tmp_path: Path):
    kept.append(batch("a"))
    kept.close()
    (path,) = files(tmp_path)
    with path.open("ab") as stream:
        stream.write(struct.pack("<II", 0xFFFFFFFF, 0) + b"x" * 100)

    later = Spool(tmp_path, TARGET, limit_bytes=1 << 20)
    later.adopt()

    assert names(later) == ["a"]


def test_foreign_files_are_left_alone(kept: Spool, tmp_path: Path):
    folder = tmp_path / spool.folder_name(TARGET)
    folder.mkdir()
    (folder / "1-2.spool").write_bytes(b"something else")
    (folder / "notes.txt").write_text("mine")

    kept.adopt()

    assert kept.next() is None
    assert len(files(tmp_path)) == 2


def test_the_limit_counts_what_others_left(kept: Spool, tmp_path: Path):
    kept.append(batch("a"))
    size = files(tmp_path)[0].stat().st_size
    kept.close()

    other = Spool(tmp_path, TARGET, limit_bytes=size + 10)
    with pytest.raises(StorageFull, match="KIBITZ_SPOOL_BYTES"):
        other.append(batch("b"))


def test_a_disk_that_fills_up_leaves_the_batches_before(kept: Spool, tmp_path: Path, monkeypatch):
    kept.append(batch("a"))
    assert kept._own is not None
    stream = kept._own._stream

    class Full:
        def __getattr__(self, name):
            return getattr(stream, name)

        def write(self, content):
            stream.write(content[:5])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept._own, "_stream", Full())
    with pytest.raises(StorageFull, match="No space left"):
        kept.append(batch("b"))
    monkeypatch.undo()
    kept.append(batch("c"))

    assert names(kept) == ["a", "c"]


@pytest.mark.processes
def test_what_a_killed_process_left_is_taken_over(tmp_path: Path):
    code = textwrap.dedent(
        f"""
        import os, signal
        from kibitz.base.records import Batch, CallPart
        from kibitz.tracing.spool import Spool
        from pathlib import Path
        spool = Spool(Path({str(tmp_path)!r}), {TARGET!r}, limit_bytes=1 << 20)
        for name in "abc":
            spool.append(Batch(project="a", calls=[CallPart(id=name)]))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9

    later = Spool(tmp_path, TARGET, limit_bytes=1 << 20)
    later.adopt()

    assert names(later) == ["a", "b", "c"]


def test_a_forked_child_closes_its_copy_without_taking_the_lock(kept: Spool, tmp_path: Path):
    kept.append(batch("a"))
    child = os.fork()
    if child == 0:
        kept.close()
        os._exit(0)
    os.waitpid(child, 0)

    other = Spool(tmp_path, TARGET, limit_bytes=1 << 20)
    other.adopt()

    assert other.next() is None
