"""Which key goes to which host.

A key that is given as an argument goes where the judge was told to ask. A key of the environment goes to the service
that it is for, and to nobody else: a feedback definition says which address to ask, and who may write definitions
may not thereby collect the keys of workers. For any other host the operator names a key of its own, `KIBITZ_KEY_` and
the host in capitals with `_` for all else: `KIBITZ_KEY_OPENROUTER_AI` for `openrouter.ai`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from kibitz.base.errors import UsageError

PREFIX = "KIBITZ_KEY_"
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def host(url: str) -> str:
    """The host of an address.

    Raises:
        UsageError: it is no address of HTTP, or has a password in it.
    """
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
    except ValueError:
        parts, name = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not name:
        raise UsageError(f"base_url {url[:100]!r} is not like https://host/v1", field="base_url")
    if parts.username or parts.password:
        raise UsageError(
            "base_url has a user or password in it, which would be stored; give api_key instead",
            field="base_url",
        )
    return name


def key(
    given: str | None, url: str, variables: Sequence[str], trusted: Sequence[str | None]
) -> str | None:
    """The key for an address; None where there is none for it.

    Args:
        given: The argument.
        url: The address.
        variables: The variables of the environment to look into for the service's own hosts.
        trusted: Hosts and addresses that are the service's own; one that begins with a dot stands for all below it.
    """
    if given:
        return given
    name = host(url)
    own = os.environ.get(variable(name))
    if own:
        return own
    secret = urlsplit(url).scheme == "https"
    if name in _LOCAL or any(
        # In the clear only where the operator said so: a definition may name the right host and the wrong way to it.
        _is(name, each) and (secret or each.startswith("http://"))
        for each in trusted
        if each
    ):
        return next((found for each in variables if (found := os.environ.get(each))), None)
    return None


def variable(name: str) -> str:
    """The variable that has the key for a host."""
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _is(name: str, trusted: str) -> bool:
    if trusted.startswith("."):
        return name.endswith(trusted)
    return name == (host(trusted) if "://" in trusted else trusted)
