"""A store that is reached through a real server."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.testing import serving


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Generator[RemoteStore]:
    with serving.server(tmp_path / "data", max_batch_items=1_000_000) as url:
        store = RemoteStore(Connection(url))
        yield store
        store.close()
