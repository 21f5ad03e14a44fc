"""What is loaded once."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kibitz.providers import loading


def test_many_threads_load_once() -> None:
    loads: list[str] = []
    together = threading.Barrier(20)

    @loading.Once
    def load(name: str) -> list[str]:
        loads.append(name)
        return [name]

    def ask(_: int) -> list[str]:
        together.wait(10)
        return load("model")

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(ask, range(20)))

    assert loads == ["model"]
    assert all(each is found[0] for each in found)
    assert load("other") == ["other"]


def test_what_failed_is_tried_again() -> None:
    tries: list[int] = []

    @loading.Once
    def load() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ImportError("not yet")
        return 7

    with pytest.raises(ImportError):
        load()
    assert (load(), load(), len(tries)) == (7, 7, 2)
    load.forget()
    assert (load(), len(tries)) == (7, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_loads_what_a_thread_of_its_parent_is_loading() -> None:
    loading_now, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    @loading.Once
    def load() -> int:
        if os.getpid() == parent:
            loading_now.set()
            go_on.wait()
        return os.getpid()

    thread = threading.Thread(target=load)
    thread.start()
    assert loading_now.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if load() == os.getpid() else 1)
    go_on.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert load() == parent
