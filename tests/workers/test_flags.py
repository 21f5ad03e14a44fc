"""Flags that signal handlers raise, however they meet whoever waits."""

from __future__ import annotations

import subprocess
import sys
import threading

from kibitz.workers.flags import Flag

# Each flag is raised by a handler somewhere in the middle of being waited for; with a lock that is not to be taken twice
# this stops within a moment.
HANDLED = """
import signal
from kibitz.workers.flags import Flag

flag = Flag()
signal.signal(signal.SIGALRM, lambda number, frame: flag.set())
for at in range(2000):
    flag = Flag()
    signal.setitimer(signal.ITIMER_REAL, (at % 200 + 1) / 1e6)
    while not flag.wait(0.00002):
        pass
"""


def test_a_handler_in_the_middle_of_waiting_raises_it() -> None:
    done = subprocess.run([sys.executable, "-c", HANDLED], timeout=60, check=False)

    assert done.returncode == 0


def test_everybody_who_waits_is_told() -> None:
    flag = Flag()
    told: list[bool] = []
    waiting = [threading.Thread(target=lambda: told.append(flag.wait(30))) for _ in range(4)]
    for each in waiting:
        each.start()

    flag.set()
    for each in waiting:
        each.join(30)

    assert told == [True] * 4
    assert flag.is_set()


def test_waiting_ends_when_the_time_is_over() -> None:
    assert Flag().wait(0.001) is False
