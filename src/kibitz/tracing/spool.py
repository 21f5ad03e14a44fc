"""Batches on disk, waiting for a server that is away. This program delivers them, or any later one.

    <data>/spool/<target>/<time>-<process>.spool

A file is `KBZSPL1\\n`, the offset up to which it is delivered (8 bytes), then frames: length and CRC-32 of the
content (4 bytes each, little-endian), content (a batch in JSON, zstd). It is only appended to, by the process that
made it, which holds its lock; whoever delivers it holds the lock too, so that two processes do not send the
same. Were they to, ids make it harmless. A frame that a killed process left half-written ends its file.

Files of another target lie in another folder: what was meant for one server is never sent to a second.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from kibitz.base import clock, refs
from kibitz.base.errors import StorageFull
from kibitz.base.records import Batch

try:
    import fcntl
except (
    ImportError
):  # Windows: without the lock two processes may send one file; ids make that harmless.
    fcntl = None

_MAGIC = b"KBZSPL1\n"
_OFFSET = struct.Struct("<Q")
_FRAME = struct.Struct("<II")
_START = len(_MAGIC) + _OFFSET.size
_MAX_FRAME = 256 << 20
SUFFIX = ".spool"
DAMAGED = ".damaged"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Batch)


class Spool:
    """The spool of one target. Used by one thread at a time."""

    def __init__(self, folder: Path, target: str, *, limit_bytes: int) -> None:
        self._folder = folder / folder_name(target)
        self._limit = limit_bytes
        self._own: SpoolFile | None = None
        self._adopted: list[SpoolFile] = []
        self.damaged_files = 0
        """How many files had something in them that could not be read; they are kept aside."""

    @property
    def empty(self) -> bool:
        """Whether nothing waits here that this process may deliver."""
        return self._own is None and not self._adopted

    def append(self, batch: Batch) -> None:
        """Keep a batch.

        Raises:
            StorageFull: the limit is reached, the disk is full or cannot be written.
        """
        content = zstandard.ZstdCompressor(level=1).compress(_encoder.encode(batch))
        try:
            used = sum(path.stat().st_size for path in self._files())
            if used + len(content) + _FRAME.size > self._limit:
                raise StorageFull(
                    f"the spool {str(self._folder)!r} has reached its limit of {self._limit:,} bytes "
                    "(KIBITZ_SPOOL_BYTES)",
                    limit=self._limit,
                )
            if self._own is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                name = f"{clock.now_ns():020d}-{os.getpid()}{SUFFIX}"
                self._own = SpoolFile.create(self._folder / name)
            self._own.append(content)
        except OSError as error:
            if isinstance(error, StorageFull):
                raise
            raise StorageFull(
                f"the spool {str(self._folder)!r} cannot be written: {error.strerror or error}"
            ) from error

    def adopt(self) -> None:
        """Take over what other processes left and nobody delivers now."""
        for path in self._files():
            mine = [self._own, *self._adopted]
            if any(file is not None and file.path == path for file in mine):
                continue
            file = SpoolFile.adopt(path)
            if file is not None:
                self._adopted.append(file)

    def next(self) -> tuple[SpoolFile, Batch] | None:
        """The oldest batch that waits; `done` takes it away."""
        while True:
            file = self._adopted[0] if self._adopted else self._own
            if file is None:
                return None
            batch = file.next()
            if batch is not None:
                return file, batch
            self._finish(file)

    def done(self, file: SpoolFile) -> None:
        """The batch that `next` gave is delivered, or never will be."""
        file.advance()
        if not file.more:
            self._finish(file)

    def is_own(self, file: SpoolFile) -> bool:
        """Whether this process wrote it."""
        return file is self._own

    def close(self) -> None:
        """Give up the locks; what waits stays."""
        for file in [*self._adopted, *([self._own] if self._own else [])]:
            file.close()
        self._adopted = []
        self._own = None

    def _finish(self, file: SpoolFile) -> None:
        file.remove()
        self.damaged_files += file.damaged
        if file is self._own:
            self._own = None
        else:
            self._adopted.remove(file)

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == SUFFIX)
        except OSError:
            # Not there yet, or not ours to read; `append` says so where it matters.
            return []


class SpoolFile:
    """One file, locked by this process."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self._stream = stream
        self._end = stream.seek(0, os.SEEK_END)
        stream.seek(len(_MAGIC))
        self._at = max(_OFFSET.unpack(stream.read(_OFFSET.size))[0], _START)
        self._next = self._at
        self.damaged = False

    @classmethod
    def create(cls, path: Path) -> SpoolFile:
        """A new file; raises `OSError`."""
        stream = path.open("x+b", buffering=0)
        _lock(stream)
        stream.write(_MAGIC + _OFFSET.pack(_START))
        return cls(path, stream)

    @classmethod
    def adopt(cls, path: Path) -> SpoolFile | None:
        """A file that another process left; None where it is in use, gone, or no spool file."""
        try:
            stream = path.open("r+b", buffering=0)
        except OSError:
            return None
        if not _lock(stream):
            stream.close()
            return None
        if not path.exists() or stream.read(len(_MAGIC)) != _MAGIC or _size(stream) < _START:
            # Delivered and removed between the listing and the lock, or its writer died before the first frame.
            stream.close()
            return None
        return cls(path, stream)

    @property
    def more(self) -> bool:
        """Whether there is something behind what is delivered."""
        return self._at < self._end

    def append(self, content: bytes) -> None:
        """Add a frame; raises `OSError`, and then the file is as it was."""
        frame = _FRAME.pack(len(content), zlib.crc32(content)) + content
        self._stream.seek(self._end)
        try:
            written = 0
            while written < len(frame):
                written += self._stream.write(frame[written:])
        except OSError:
            self._stream.truncate(self._end)
            raise
        self._end += len(frame)

    def next(self) -> Batch | None:
        """The next batch; None at the end. What cannot be read is passed over and the file kept aside."""
        for content, after in self._frames():
            self._next = after
            try:
                return _decoder.decode(zstandard.ZstdDecompressor().decompress(content))
            except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError):
                self.damaged = True
                self._at = after
        return None

    def _frames(self) -> Iterator[tuple[bytes, int]]:
        while self._at + _FRAME.size <= self._end:
            self._stream.seek(self._at)
            length, checksum = _FRAME.unpack(self._stream.read(_FRAME.size))
            after = self._at + _FRAME.size + length
            if length > _MAX_FRAME or after > self._end:
                return
            content = self._stream.read(length)
            if zlib.crc32(content) == checksum:
                yield content, after
            else:
                self.damaged = True
                self._at = after

    def advance(self) -> None:
        """What `next` gave last is done; a process that takes over later begins behind it."""
        self._at = self._next
        try:
            self._stream.seek(len(_MAGIC))
            self._stream.write(_OFFSET.pack(self._at))
        except OSError:
            # Then it is sent once more some day, which changes nothing.
            return

    def remove(self) -> None:
        """Take the file away, or aside where something in it could not be read."""
        try:
            if self.damaged:
                self.path.rename(self.path.with_suffix(DAMAGED))
            else:
                self.path.unlink(missing_ok=True)
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Give up the lock."""
        self._stream.close()


def folder_name(target: str) -> str:
    """The name of a target's folder: readable, and different for different targets."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", _place(target)).strip("-.")
    return f"{readable[-60:]}-{refs.digest(target.encode())[:12]}"


def _place(target: str) -> str:
    # Without a user and password in front of the host: folder names are seen by everybody.
    return (target.partition("://")[2] or target).rpartition("@")[2]


def _size(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _lock(stream: BinaryIO) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
