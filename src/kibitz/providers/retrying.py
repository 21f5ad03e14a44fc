"""When a request is tried again and how long to wait before it.

Tried again is what may go well the next time: no connection, no answer in time, 408, 409, 425, 429 and 5xx. What is
wrong with the request stays wrong: 400, 401, 403, 404, 422. The wait is drawn from the whole of an interval that
doubles with each attempt ("full jitter": Brooker, *Exponential Backoff and Jitter*, AWS 2015), so that those who
failed together do not come back together. Where the service says when to come back it is not asked before.
"""

from __future__ import annotations

import email.utils
import random
from collections.abc import Callable, Mapping

from kibitz.base import clock
from kibitz.base.errors import KibitzError, NotFound, Unauthorized, Unavailable, UsageError

FIRST_S = 0.5
LONGEST_S = 60.0
MAX_RETRY_AFTER_S = 3600.0
"""A service that says to come back later than this is taken to say this."""
AGAIN = frozenset({408, 409, 425, 429})
_SHOWN = 300

draw: Callable[[], float] = random.random
"""From 0 up to 1. Called as `retrying.draw()`, so that replacing it reaches everyone."""


def wait_s(attempt: int, retry_after_s: float | None) -> float:
    """How long to wait after this attempt, 1 for the first.

    Where the service named a moment, that and up to a tenth more, so that not everybody comes at that very moment.
    """
    if retry_after_s is not None:
        return retry_after_s * (1 + draw() / 10)
    return draw() * min(LONGEST_S, FIRST_S * 2.0 ** min(attempt, 30))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the answer says about when to come back: seconds, milliseconds (`retry-after-ms`) or an HTTP date."""
    by_name = {name.lower(): value.strip() for name, value in headers.items()}
    found = _number(by_name.get("retry-after-ms"))
    if found is not None:
        seconds: float | None = found / 1000
    else:
        said = by_name.get("retry-after")
        seconds = _number(said)
        if seconds is None and said:
            seconds = _until(said)
    if seconds is None or seconds != seconds:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _until(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        return None
    return (clock.to_us(moment) - clock.to_us(clock.now())) / 1e6


def refusal(
    endpoint: str, status: int, said: str, headers: Mapping[str, str], *, secret: str | None = None
) -> KibitzError:
    """The error for an answer that is none, with its status among the facts and no secret in it."""
    shown = shorten(hide(said, secret))
    text = f"{endpoint} answered {status}: {shown}"
    if status in AGAIN or status >= 500:
        after = retry_after_s(headers)
        facts = {} if after is None else {"retry_after_s": after}
        return Unavailable(text, status=status, **facts)
    if status in (401, 403):
        return Unauthorized(f"{text}; give api_key or set it in the environment", status=status)
    if status == 404:
        return NotFound(f"{text}; check the model's name and base_url", status=status)
    return UsageError(text, status=status)


def unreachable(endpoint: str, why: str, *, secret: str | None = None) -> Unavailable:
    """The error for a request without an answer."""
    return Unavailable(f"{endpoint} could not be reached: {shorten(hide(why, secret))}", status=0)


def hide(text: str, secret: str | None) -> str:
    """The text without the secret."""
    return text.replace(secret, "…") if secret and len(secret) > 3 else text


def shorten(text: str, length: int = _SHOWN) -> str:
    """The beginning, on one line, with how much is left out."""
    line = " ".join(text[: length * 4].split())
    if len(text) <= length and len(line) <= length:
        return line
    return f"{line[:length]}… ({len(text):,} characters)"
