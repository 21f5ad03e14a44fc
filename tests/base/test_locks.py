"""Locks and properties in programs that fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from kibitz.base.lazily import Once
from kibitz.base.locks import ForkLock

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(work: Callable[[], bool]) -> bool:
    """What a forked child makes of it; False where it does not end."""
    child = os.fork()
    if child == 0:
        done = threading.Event()
        answers: list[bool] = []

        def run() -> None:
            answers.append(work())
            done.set()

        threading.Thread(target=run, daemon=True).start()
        done.wait(5)
        os._exit(0 if answers == [True] else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def held_meanwhile(hold: Callable[[threading.Event, threading.Event], None]) -> Callable[[], None]:
    """Have another thread hold something; gives what ends that."""
    inside, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold, args=(inside, leave))
    thread.start()
    assert inside.wait(5)

    def end() -> None:
        leave.set()
        thread.join()

    return end


def takes(lock: ForkLock) -> bool:
    with lock:
        return True


def test_a_forked_child_finds_a_lock_free_that_a_thread_of_its_parent_holds():
    lock = ForkLock()

    def hold(inside: threading.Event, leave: threading.Event) -> None:
        with lock:
            inside.set()
            leave.wait()

    end = held_meanwhile(hold)
    try:
        assert in_child(lambda: takes(lock))
    finally:
        end()


def test_who_forks_inside_of_a_lock_leaves_it_in_both_processes():
    lock = ForkLock()
    with lock:
        child = os.fork()
    if child == 0:
        thread = threading.Thread(target=lambda: takes(lock), daemon=True)
        thread.start()
        thread.join(5)
        os._exit(thread.is_alive())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert takes(lock)


def test_a_lock_keeps_others_out():
    lock = ForkLock()
    taken = threading.Event()
    with lock, lock:
        thread = threading.Thread(target=lambda: takes(lock) and taken.set())
        thread.start()
        assert not taken.wait(0.05)
    thread.join(5)
    assert taken.is_set()


class Slow:
    def __init__(self, inside: threading.Event | None = None, leave: threading.Event | None = None):
        self._inside, self._leave = inside, leave
        self.made = 0

    @Once
    def value(self) -> int:
        """What it is worth."""
        self.made += 1
        if self._inside is not None and self._leave is not None:
            self._inside.set()
            self._leave.wait()
        return 7


def test_a_value_is_worked_out_once_and_documented():
    slow = Slow()
    assert (slow.value, slow.value, slow.made) == (7, 7, 1)
    assert Slow.value.__doc__ == "What it is worth."


def test_a_forked_child_works_out_what_a_thread_of_its_parent_is_working_out():
    def work_out(inside: threading.Event, leave: threading.Event) -> None:
        assert Slow(inside, leave).value == 7

    end = held_meanwhile(work_out)
    try:
        assert in_child(lambda: Slow().value == 7)
    finally:
        end()
