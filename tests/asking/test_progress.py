"""What takes long says how far it is, on a terminal and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from kibitz.asking import progress
from kibitz.base import clock


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _looked_at(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> io.StringIO:
    """Standard error as this, and a clock that goes on by 400 ms each time it is looked at."""
    monkeypatch.setattr("sys.stderr", stream)
    times: Iterator[int] = iter(range(0, 10**12, 400_000_000))
    monkeypatch.setattr(clock, "monotonic_ns", lambda: next(times))
    return stream


def _tell(wanted: progress.Progress, *numbers: int, total: int | None = None) -> None:
    with progress.shown(wanted, "reading calls") as tell:
        for done in numbers:
            tell(done, total)


def _tell_and_fail() -> None:
    with progress.shown(True, "reading calls") as tell:
        for done in range(6):
            tell(done, None)
        raise ValueError("stop")


def test_a_line_is_written_over_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _looked_at(monkeypatch, _Terminal())

    _tell(True, 1, 2, 3000, 4, total=10_000)

    written = terminal.getvalue().split("\r")
    assert "reading calls: 3,000 of 10,000" in written
    assert written[-1] == ""
    assert written[-2].strip() == ""
    assert len(written[-2]) >= len("reading calls: 4 of 10,000")
    assert "reading calls: 1 of 10,000" not in written, "what is over soon needs no line"


@pytest.mark.parametrize(
    ("wanted", "stream"), [(False, _Terminal()), (True, io.StringIO())], ids=["unwanted", "file"]
)
def test_nothing_is_written_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, wanted: bool, stream: io.StringIO
) -> None:
    _looked_at(monkeypatch, stream)

    _tell(wanted, *range(20))

    assert stream.getvalue() == ""


def test_a_function_is_told_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _looked_at(monkeypatch, _Terminal())
    told: list[tuple[int, int | None]] = []

    _tell(lambda done, total: told.append((done, total)), 1, 2, total=2)

    assert told == [(1, 2), (2, 2)]
    assert terminal.getvalue() == ""


def test_the_line_is_taken_away_where_something_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _looked_at(monkeypatch, _Terminal())

    with pytest.raises(ValueError, match="stop"):
        _tell_and_fail()

    assert terminal.getvalue().endswith("\r")
