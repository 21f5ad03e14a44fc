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
from kibitz.base import refs
from kibitz.base.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """The options `--data` and `--url`."""
    command = click.option(
        "--url", metavar="URL", help="A server to ask instead of a folder.  [KIBITZ_URL]"
    )(command)
    return click.option(
        "--data", metavar="FOLDER", help="The data folder.  [KIBITZ_DATA; default: ./.kibitz]"
    )(command)


def project_and_query(project: str | None, text: str | None) -> tuple[str | None, str | None]:
    """What `[PROJECT] [QUERY]` say: a single one that can be no project's name is a query."""
    if project is None or text is not None:
        return project, text
    try:
        return refs.check_project(project), None
    except UsageError:
        return None, project


__all__ = [
    "Reader",
    "Source",
    "Writer",
    "connection",
    "find",
    "options",
    "project_and_query",
    "project_of",
    "reader",
    "writer",
]
