"""Ids: UUID version 7 (RFC 9562 §5.7) in canonical text, so that they sort by time.

An id is a pure function of a time and a number that no other process draws. The recording path only
draws the number (`next_number`); the text is made later, or when somebody asks, also in a forked child.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

from kibitz.base import clock

_RANDOM_BITS = 62
_MASK = (1 << _RANDOM_BITS) - 1


def _numbers() -> Callable[[], int]:
    """Numbers from a random place on; `itertools.count` hands each out once, to any thread."""
    return count(int.from_bytes(os.urandom(8), "big") & _MASK).__next__


next_number: Callable[[], int] = _numbers()
"""A number that no other call, thread or process draws. Called as `ids.next_number()`."""


def _renew() -> None:
    global next_number
    next_number = _numbers()


if hasattr(os, "register_at_fork"):
    # A forked child would otherwise go on with its parent's numbers.
    os.register_at_fork(after_in_child=_renew)


def id_of(at_ns: int, number: int) -> str:
    """The id for what began at `at_ns` (ns since 1970) and drew `number`; always the same text."""
    milliseconds, rest_ns = divmod(at_ns, 1_000_000)
    # RFC 9562 §6.2 method 3: the 12 bits after the version hold the fraction of the millisecond.
    fraction = (rest_ns << 12) // 1_000_000
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | fraction
    low = 0x8000_0000_0000_0000 | number & _MASK
    text = f"{high << 64 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_id() -> str:
    """A new id for something that begins now."""
    return id_of(clock.now_ns(), next_number())
