"""Where a command reads and writes: the options that name a data folder or a server, and what they name.

An option wins over the environment, and what names a server wins over what names a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kibitz.asking.sources import (
    Reader,
    Source,
    Writer,
    connection,
    find,
    project_of,
    reader,
    writer,
)

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """The options `--data` and `--url`."""
    command = click.option(
        "--url", metavar="URL", help="A server to ask instead of a folder.  [KIBITZ_URL]"
    )(command)
    return click.option(
        "--data", metavar="FOLDER", help="The data folder.  [KIBITZ_DATA; default: ./.kibitz]"
    )(command)


__all__ = [
    "Reader",
    "Source",
    "Writer",
    "connection",
    "find",
    "options",
    "project_of",
    "reader",
    "writer",
]
