"""Times as a person types and reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kibitz.base import clock
from kibitz.base.errors import UsageError
from kibitz.cli import moments

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ns", lambda: clock.to_us(NOW) * 1000)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(hours=1.5)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_duration_is_that_long_ago(text: str, ago: timedelta) -> None:
    assert moments.parse(text) == NOW - ago


def test_a_moment_with_a_zone_is_that_moment() -> None:
    assert moments.parse("2026-04-30T09:30:00+02:00") == datetime(2026, 4, 30, 7, 30, tzinfo=UTC)


def test_a_date_is_its_midnight_here() -> None:
    assert moments.parse("2026-04-30").timetuple()[:5] == (2026, 4, 30, 0, 0)
    assert moments.parse("2026-04-30").tzinfo is not None


@pytest.mark.parametrize("text", ["", "yesterday", "1y", "2026-13-01", "999999w", "-1h"])
def test_what_is_no_time_is_said_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="write 30m, 1h, 2d"):
        moments.parse(text)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0.0, "0 µs"),
        (0.25, "250 µs"),
        (12.345, "12.3 ms"),
        (999.9, "1.00 s"),
        (61_000.0, "61.00 s"),
    ],
)
def test_durations_have_three_digits_or_so(milliseconds: float, shown: str) -> None:
    assert moments.show_latency(milliseconds) == shown
