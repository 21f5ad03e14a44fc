"""`kibitz reindex`: make everything derived anew."""

from __future__ import annotations

import click

from kibitz.base.errors import UsageError
from kibitz.cli import sources, work
from kibitz.storage import sqlite
from kibitz.storage.sqlite import integrity, rebuilding


@click.command()
@click.argument("project", required=False)
@sources.options
def reindex(project: str | None, data: str | None, url: str | None) -> None:
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
    click.echo(f"Everything derived from {calls:,} calls and {feedback:,} feedback is made anew.")
