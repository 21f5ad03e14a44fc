"""Times as a person types and reads them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from kibitz.base import clock
from kibitz.base.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6}(?:\.\d+)?)([smhdw])")


def parse(text: str) -> datetime:
    """A moment: `90m`, `1h`, `2d` ago, a date, or RFC 3339; in the machine's zone where none is given.

    Raises:
        UsageError: the text is none of these.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return clock.now() - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"time {text!r} is not understood; write 30m, 1h, 2d, 2026-05-01 or 2026-05-01T09:30:00Z",
            value=text,
        ) from error


def show(moment: datetime) -> str:
    """A moment to the second in the machine's zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_latency(milliseconds: float) -> str:
    """A duration to three digits or so, with its unit."""
    if milliseconds < 0.9995:
        return f"{milliseconds * 1000:.0f} µs"
    if milliseconds < 999.5:
        return f"{milliseconds:.3g} ms"
    return f"{milliseconds / 1000:.2f} s"
