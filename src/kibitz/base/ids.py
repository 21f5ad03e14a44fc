"""Ids: UUID version 7 (RFC 9562 §5.7) in canonical text, so that they sort by time.

An id is a pure function of a time and a number that is never used twice in a process. The recording
path only draws the number (`next_number`); the text is made later, or when somebody asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

from kibitz.base import clock

_RANDOM_BITS = 62
_MASK = (1 << _RANDOM_BITS) - 1


class _Source:
    """The random part of this process's ids. A forked child draws its own."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.salt = int.from_bytes(os.urandom(8), "big") & _MASK


_source = _Source()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_source.renew)

next_number: Callable[[], int] = count().__next__
"""Numbers of this process, each once. `itertools.count` hands them out atomically."""


def id_of(at_ns: int, number: int) -> str:
    """The id for what began at `at_ns` (ns since 1970) and drew `number`; always the same text."""
    milliseconds, rest_ns = divmod(at_ns, 1_000_000)
    # RFC 9562 §6.2 method 3: the 12 bits after the version hold the fraction of the millisecond.
    fraction = (rest_ns << 12) // 1_000_000
    random = (_source.salt + number) & _MASK
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | fraction
    low = 0x8000_0000_0000_0000 | random
    text = f"{high << 64 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_id() -> str:
    """A new id for something that begins now."""
    return id_of(clock.now_ns(), next_number())
