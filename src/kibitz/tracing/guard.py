"""The one guard of the recording path: what goes wrong in Kibitz never reaches the program it watches.

Every place that may fail on the caller's thread ends in `except Exception as error: guard.note(error)`. Wrong
use of Kibitz itself (`init`, `feedback.add`) is not guarded: it raises.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

EVERY_S = 60.0
strict = False
"""True in Kibitz's own tests: what is noted is raised."""

_last = -EVERY_S
_hinted = False
_said: dict[str, float] = {}
noted = 0
"""How often something was noted in this process."""


def note(error: BaseException, doing: str = "recording a call") -> None:
    """Log that something went wrong, at most once a minute; raise it where `strict`."""
    global _last, noted
    noted += 1
    if strict:
        raise error
    try:
        now = time.monotonic()
        if now - _last >= EVERY_S:
            _last = now
            _logger().warning(
                "kibitz failed at %s (%s). Your program goes on, with less recorded.",
                doing,
                type(error).__name__,
                exc_info=error,
            )
    except Exception:  # noqa: BLE001 the guard itself: a broken log handler is a user's code
        return


def hint_not_started() -> None:
    """Say once that ops run without being recorded."""
    global _hinted
    if not _hinted:
        _hinted = True
        _logger().info(
            "an op was called before kibitz.init(); it runs as usual and is not recorded"
        )


def warn(text: str, *values: object) -> None:
    """Say something that is worth a line in the log."""
    _logger().warning(text, *values)


def warn_rarely(text: str, *values: object) -> None:
    """Say something at most once a minute for each text."""
    now = time.monotonic()
    if now - _said.get(text, -EVERY_S) >= EVERY_S:
        _said[text] = now
        _logger().warning(text, *values)


def _logger() -> logging.Logger:
    # Importing kibitz does not load `logging`; a program that has nothing to say never does.
    import logging

    return logging.getLogger("kibitz")
