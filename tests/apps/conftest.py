"""The guard raises here, no session outlives its test, and nothing stays wrapped."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from kibitz.testing.capturing import Captured, capture
from kibitz.tracing import guard, recording
from kibitz.tracing import session as sessions


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "strict", True)


@pytest.fixture(autouse=True)
def _no_session_left() -> Generator[None]:
    yield
    session = sessions.current()
    if session is not None:
        session.finish(10.0)
    sessions.use(None)
    recording.install(None, expected=False)
    assert not recording.watched


@pytest.fixture
def captured() -> Generator[Captured]:
    with capture() as captured:
        yield captured
