"""What a form sends, with every value of a name. Pure."""

from __future__ import annotations

from urllib.parse import parse_qsl

from kibitz.base.errors import UsageError
from kibitz.server.pages.answer_forms import Sent

MAX_FIELDS = 2000
"""Texts that a form may send."""


def form_of(body: bytes) -> dict[str, list[str]]:
    """What a form sends, with every value of a name; raises `UsageError`."""
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise UsageError(f"the form could not be read: {error}", field="form") from error
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def first(sent: Sent, name: str) -> str:
    """The first text of a name; empty where there is none."""
    return next(iter(sent.get(name, ())), "")
