"""Who is at the keyboard."""

from __future__ import annotations

import getpass


def user() -> str:
    """The name of the user; empty in a container that runs as one without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
