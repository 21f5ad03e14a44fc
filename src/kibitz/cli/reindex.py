"""`kibitz reindex`: make everything derived anew."""

from __future__ import annotations

import click
from msgspec import Struct

from kibitz.base.errors import UsageError
from kibitz.cli import options, sources, tables, work
from kibitz.storage import sqlite
from kibitz.storage.sqlite import integrity, rebuilding


class Made(Struct, frozen=True):
    """What everything derived was made from."""

    projects: list[str]
    calls: int
    feedback: int


@click.command(short_help="Work scores, sums and the text index out anew.")
@click.argument("project", required=False)
@options.as_json
@sources.options
def reindex(project: str | None, as_json: bool, data: str | None, url: str | None) -> None:
    """Make everything that is derived anew from calls and feedback: scores, counts, sums, the text index.

    Of PROJECT, or of the whole data folder. Programs and a server may go on writing to it. Nothing that was recorded
    changes; where it is interrupted, run it again.
    """
    source = sources.find(data, url)
    if source.url is not None:
        raise UsageError(
            f"reindex works on a data folder, not on a server such as {source.url}; "
            "run it with --data where the folder is, the server may go on meanwhile"
        )
    if not integrity.has_store(source.folder):
        raise UsageError(
            f"there is no store in {str(source.folder)!r}; name its folder with --data"
        )
    store = sqlite.open_store(source.folder)
    try:
        with work.shown() as advance:
            rebuilding.rebuild(store.ingest, project, progress=advance)
        projects = [store.projects.get(project)] if project else store.projects.list()
    finally:
        store.close()
    calls = sum(each.calls for each in projects)
    feedback = sum(each.feedback for each in projects)
    if as_json:
        tables.write_json([Made([each.name for each in projects], calls, feedback)])
        return
    click.echo(f"Everything derived from {calls:,} calls and {feedback:,} feedback is made anew.")
