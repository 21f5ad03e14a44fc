"""`kibitz demo`: record a small application, judge its calls, and ask for the worst."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from kibitz.base import publishing
from kibitz.cli import sources, tables
from kibitz.cli.demo import asked, index, run, watched
from kibitz.query import json_form
from kibitz.storage import sqlite

GROUNDEDNESS = "feedback.[runnable.groundedness].payload.output.score"
QUERY = "op = answer sort feedback.groundedness.output.score"
COLUMNS = (
    "inputs.question",
    GROUNDEDNESS,
    "feedback.[runnable.relevance].payload.output.score",
    "feedback.[runnable.supported].payload.output.worst",
    "feedback.[runnable.readable].payload.output",
    "status",
    "latency_ms",
)


@click.command(short_help="Record and judge a small application: a place to begin.")
@click.option(
    "--data",
    metavar="FOLDER",
    help="The data folder to record into.  [KIBITZ_DATA; default: ./.kibitz]",
)
def demo(data: str | None) -> None:
    """Record a small application that answers questions about Python's library, judge each answer, ask for the worst.

    Needs no key and no network. Look at the calls afterwards with kibitz serve.
    """
    folder = sources.find(data, None).folder
    with _progress("Reading the library's docstrings") as progress:
        library = index.load_or_build(folder / "demo" / "index.msgpack", progress)
    click.echo(f"The library: {len(library.passages):,} passages of Python's own documentation.")
    watched.want(folder, run.PROJECT)
    with _progress("Asking and judging") as progress:
        result = run.record(library, folder, progress)
    click.echo(
        f"Asked {result.questions} questions: {result.answered} answers, each judged by 3 functions; "
        f"{result.failed} raised an error, which is recorded too."
    )
    with _progress("Judging by rule") as progress:
        tally = watched.work(folder, run.PROJECT, progress)
    click.echo(
        f"A rule wanted {tally.done + tally.failed + tally.skipped} evaluations by feedback functions, and a worker "
        f"did them: {tally.done} done, {tally.failed} failed, {tally.skipped} skipped."
    )
    _ask_people(folder)
    _show_worst(folder, result.run)
    click.echo(
        "\nEvery row is a call with its trace, and each judgement says what it rests on. See them in the browser, and press a on one to judge it yourself:\n"
        f"    kibitz serve --data {folder}        (here: make serve)\n"
        "or ask again:\n"
        f"    kibitz calls {run.PROJECT} '{QUERY}' --data {folder} --json\n"
        f"    kibitz stats {run.PROJECT} 'op = answer' --data {folder}"
        " --measure 'mean(feedback.groundedness.output.score)'"
    )


def _ask_people(folder: Path) -> None:
    """Publish what readers are asked; the same again changes nothing."""
    store = sqlite.open_store(folder)
    try:
        publishing.publish(store.ingest.write, run.PROJECT, asked.USEFUL)
    finally:
        store.close()


def _show_worst(folder: Path, run_id: str) -> None:
    """The answers of one run, worst groundedness first, by the query that everybody uses."""
    query = json_form.parse_query(
        {
            "project": run.PROJECT,
            "filter": {"op": "answer", "root_only": True},
            "query": {"$expr": {"$eq": [{"$getField": "attributes.run"}, {"$literal": run_id}]}},
            "sort": [{"field": GROUNDEDNESS, "direction": "asc"}],
            "columns": ["inputs", "feedback"],
            "limit": 100,
        }
    )
    store = sqlite.open_store(folder)
    try:
        worst = store.calls.query(query).items
    finally:
        store.close()
    click.echo(
        "\nThe answers by groundedness, the worst first; what has no judgement comes last:\n"
    )
    tables.write(worst, COLUMNS, for_people=True)


@contextmanager
def _progress(text: str) -> Generator[Callable[[int, int, str], None]]:
    """Progress on standard error: a bar on a terminal, one line elsewhere."""
    if not sys.stderr.isatty():
        click.echo(f"{text} …", err=True)
    progress = Progress(
        TextColumn(text),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    task = progress.add_task("", total=None)

    def advance(done: int, total: int, now: str) -> None:
        progress.update(task, completed=done, total=total, description=now)

    with progress:
        yield advance
