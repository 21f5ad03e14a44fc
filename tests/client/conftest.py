"""A store that is reached through a real server."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kibitz.base import settings
from kibitz.base.settings import ServerSettings
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.server import serving
from kibitz.storage import sqlite

STOP_TIMEOUT_S = 30.0


class Current:
    """The store of the test that runs: making a server for each would take most of their time."""

    def __init__(self) -> None:
        self.store: Any = None
        self.url = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture(name="current", scope="session")
def _current() -> Generator[Current]:
    chosen = settings.load(ServerSettings, {}, {"port": 0, "max_batch_items": 1_000_000})
    listening = serving.listen(chosen)
    stop, ready = threading.Event(), threading.Event()
    current = Current()
    current.url = listening.url
    thread = threading.Thread(
        target=listening.serve,
        args=(current,),
        kwargs={"stop": stop, "ready": ready.set},
        daemon=True,
    )
    thread.start()
    assert ready.wait(STOP_TIMEOUT_S)
    yield current
    stop.set()
    thread.join(STOP_TIMEOUT_S)


@pytest.fixture(name="store")
def _store(current: Current, tmp_path: Path) -> Generator[RemoteStore]:
    current.store = sqlite.open_store(tmp_path / "data", upkeep=True)
    store = RemoteStore(Connection(current.url))
    yield store
    store.close()
    current.store.close()
