"""`kibitz index`: what the text index holds of a project."""

from __future__ import annotations

import threading

import click

from kibitz.base.errors import UsageError
from kibitz.base.records import SearchIndex, SearchLevel
from kibitz.cli import options, sources, tables, work
from kibitz.storage.protocols import Store
from kibitz.storage.sqlite.store import SqliteStore

_POLL_S = 0.5
_SAID: dict[SearchLevel, str] = {
    "off": "nothing; a search reads calls, newest first, until a page is full",
    "words": "words; a search for a part of a word reads calls, newest first, until a page is full",
    "substrings": "words and parts of words",
}


@click.command(short_help="Choose what the text index of a project holds.")
@click.argument("project", required=False)
@click.option(
    "--words", "level", flag_value="words", help="Find words quickly: what a new project has."
)
@click.option(
    "--substrings", "level", flag_value="substrings", help="Find parts of words quickly too."
)
@click.option(
    "--off", "level", flag_value="off", help="Keep no index; searches read calls one by one."
)
@click.option("--no-wait", is_flag=True, help="Leave the filling to whoever serves the store.")
@options.as_json
@sources.options
def index(
    project: str | None,
    level: SearchLevel | None,
    no_wait: bool,
    data: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Choose what the text index of a project holds, and fill it; without an option, show what it holds.

    PROJECT may be left out where there is only one. Searches give the same answers whatever is indexed, and also
    while the index is filled; only the time they take differs.
    """
    with sources.reader(sources.find(data, url)) as opened:
        project = sources.project_of(opened, project)
        if level is None:
            if no_wait:
                raise UsageError("--no-wait goes with --words or --substrings")
            found = opened.search.status(project)
        else:
            found = opened.search.set_level(project, level)
            if found.waiting and not no_wait:
                found = _fill(opened, found)
    if as_json:
        tables.write_json([found])
    else:
        _show(found)


def _fill(opened: Store, begun: SearchIndex) -> SearchIndex:
    """Index what waits, or look on while a server does."""
    with work.shown() as advance:
        if isinstance(opened, SqliteStore):
            return opened.search.fill(
                begun.project, progress=lambda done, total: advance("indexed", done, total)
            )
        pause = threading.Event()
        found = begun
        while found.waiting:
            advance("indexed", max(0, begun.waiting - found.waiting), begun.waiting)
            pause.wait(_POLL_S)
            found = opened.search.status(begun.project)
        advance("indexed", begun.waiting, begun.waiting)
        return found


def _show(found: SearchIndex) -> None:
    click.echo(f"The text index of {found.project} holds {_SAID[found.level]}.")
    if found.level != "off":
        done = max(0, found.calls - found.waiting)
        click.echo(f"{done:,} of {found.calls:,} calls are in it.", nl=not found.waiting)
        if found.waiting:
            click.echo(f" Each of the other {found.waiting:,} is read by every search.")
    if found.level == "substrings":
        click.echo(f"{found.words:,} different words are kept to look parts up in.")
