"""No connection is open while this process is forked.

What a process has locked in a database SQLite keeps in the process's own memory, one account for all connections
to a file. A forked child inherits the account and none of the locks: it would wait for ever for a lock that it
believes a sibling thread to hold, or read and write without one, and lose what it writes when its parent closes
the file (https://sqlite.org/howtocorrupt.html, "Carrying an open database connection across a fork").

So whoever uses a connection does it inside `using`, and before a fork everybody has left and all connections are
closed; parent and child open theirs anew. Where somebody does not leave in time, or the process is forked past
Python, the child must not open these files at all: it is told `Unavailable`, and what it records waits on disk
for a process that may.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol
from weakref import WeakSet, WeakValueDictionary

from kibitz.base.errors import Unavailable

LONGEST_WAIT_S = 2.0
"""How long a fork waits for those who use a connection; a batch is written in milliseconds."""
_LOOK_AGAIN_S = 0.05


class Heir(Protocol):
    """Has what a forked child cannot go on with: a lock that may be held by a thread which is not there."""

    def renew(self) -> None:
        """Begin anew in a forked child."""
        ...


class Connection(sqlite3.Connection):
    """One that is closed before a fork."""

    path: Path

    def close(self) -> None:
        super().close()
        _open.pop(id(self), None)


_open: WeakValueDictionary[int, Connection] = WeakValueDictionary()
_heirs: WeakSet[Heir] = WeakSet()
_of_parents: list[Connection] = []
"""What a child must not even close."""
_not_ours: set[tuple[int, int] | None] = set()
"""Files that the parent of this process had open when it was forked."""


class _Gate:
    """Lets users of connections in, and a fork when nobody is inside."""

    def __init__(self) -> None:
        # Of a lock that a signal handler may take again, which forks or asks a store in the middle of this.
        self._changed = threading.Condition(threading.RLock())
        self._inside: dict[int, int] = {}
        """How often each thread is inside."""
        self.forks: deque[None] = deque()
        """One for each fork that is under way. Counted by functions in C: an exception out of a signal handler, a
        KeyboardInterrupt for one, keeps a hook in Python from its first line, and a fork that is never counted out
        would keep everybody out for ever."""
        self.generation = 0
        """Grows with each fork; a connection of an earlier one is closed."""

    def enter(self) -> int:
        """Gives what `leave` wants."""
        me = threading.get_ident()
        with self._changed:
            # Who is inside already is waited for, and must not wait itself.
            while self.forks and me not in self._inside:
                # Not for ever: who should say that the fork is over may have been interrupted.
                self._changed.wait(_LOOK_AGAIN_S)
            self._inside[me] = self._inside.get(me, 0) + 1
        return me

    def leave(self, who: int) -> None:
        with self._changed:
            left = self._inside.get(who, 0) - 1
            if left > 0:
                self._inside[who] = left
            else:
                self._inside.pop(who, None)
            if self.forks:
                self._changed.notify_all()

    def before_fork(self) -> None:
        me = threading.get_ident()
        with self._changed:
            if me in self._inside:
                return
            if self._changed.wait_for(lambda: not self._inside, LONGEST_WAIT_S):
                self.generation += 1
                for connection in list(_open.values()):
                    # One that cannot be closed is still among the open ones, and the child told so.
                    with suppress(sqlite3.Error):
                        connection.close()

    def after_fork_in_parent(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._inside = {}
        self.generation += 1
        _of_parents.extend(_open.values())
        _open.clear()
        _not_ours.update(identity(connection.path) for connection in _of_parents)
        _not_ours.discard(None)
        for heir in list(_heirs):
            heir.renew()


def register(gate: _Gate) -> None:
    """Have the gate told of forks. What is registered last is called first before a fork, and last after it."""
    os.register_at_fork(before=gate.before_fork, after_in_child=gate.forks.clear)
    os.register_at_fork(
        before=partial(gate.forks.append, None),
        after_in_parent=gate.forks.pop,
        after_in_child=gate.after_fork_in_child,
    )
    os.register_at_fork(after_in_parent=gate.after_fork_in_parent)


_gate = _Gate()
if hasattr(os, "register_at_fork"):
    register(_gate)


@contextmanager
def using() -> Generator[None]:
    """Around every use of a connection, its opening and closing; a thread may be inside several times."""
    who = _gate.enter()
    try:
        yield
    finally:
        _gate.leave(who)


def generation() -> int:
    """Which forks were: a connection that was opened in another generation is closed."""
    return _gate.generation


def inherit(heir: Heir) -> None:
    """Have this renewed in a forked child."""
    _heirs.add(heir)


def connect(path: Path, *, timeout_s: float) -> Connection:
    """Open a connection that any thread may use, in a program that may fork.

    Raises:
        sqlite3.Error: as `sqlite3.connect`.
        Unavailable: this process's parent had the file in use when it was forked.
    """
    if identity(path) in _not_ours:
        raise Unavailable(
            f"the store {path} was in use when this process was forked, so it cannot be opened here: fork "
            "while nobody reads or writes it, or start the process anew (multiprocessing: 'spawn')",
            path=str(path),
        )
    connection = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False, factory=Connection
    )
    connection.path = path
    _open[id(connection)] = connection
    return connection


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
