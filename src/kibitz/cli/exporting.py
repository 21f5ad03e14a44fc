"""`kibitz export`: a project as a file, a folder or a stream."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kibitz.base import api, clock, refs
from kibitz.base.errors import UsageError
from kibitz.cli import lines, sources
from kibitz.client.reading import RemoteStore
from kibitz.export import files, streams
from kibitz.export.streams import FORMATS, Format, Tables, Tally
from kibitz.query import text_form
from kibitz.query.nodes import CallQuery
from kibitz.storage.sqlite import SqliteStore

SUFFIXES: dict[str, tuple[Format, Tables]] = {
    ".jsonl": ("jsonl", "all"),
    ".ndjson": ("jsonl", "all"),
    ".csv": ("csv", "calls"),
    ".parquet": ("parquet", "calls"),
    ".arrow": ("arrow", "all"),
    ".arrows": ("arrow", "all"),
}
"""What the ending of a name says."""
_END = b'{"end":'
_Seen = Callable[[Tally | None, int], None]


class Summary(Struct, frozen=True, omit_defaults=True):
    """What was exported. Numbers of records are left out where only the server counted them."""

    project: str
    file: str
    format: Format
    bytes: int
    calls: int | None = None
    feedback: int | None = None
    objects: int | None = None
    files: int | None = None
    evaluations: int | None = None
    rules: int | None = None


class Target(Struct, frozen=True):
    """Where an export goes, and as what."""

    path: Path | None
    """None for standard output."""
    format: Format
    tables: Tables
    is_folder: bool


@click.command(short_help="Write a project, or the calls of a query, to a file.")
@click.argument("project", required=False)
@click.argument("text", required=False, metavar="[QUERY]")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="The format; without it what the name of FILE says, or jsonl.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="A file, or a folder for tables; standard output without it.",
)
@click.option(
    "--tables",
    type=click.Choice(["all", "calls"]),
    help="`calls` for one table of the calls with the feedback on them; a FILE.csv or FILE.parquet is that.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@sources.options
def export(
    project: str | None,
    text: str | None,
    format_: str | None,
    output: str | None,
    tables: str | None,
    as_json: bool,
    data: str | None,
    url: str | None,
) -> None:
    """Export PROJECT, or the calls of a QUERY with what belongs to them, for kibitz import or other programs.

    PROJECT may be left out where there is only one. A single argument that is no project's name is a QUERY.

    \b
      kibitz export acme/bot -o bot.jsonl.zst
      kibitz export acme/bot -o bot.zip --format parquet
      kibitz export acme/bot 'feedback.grounded.output < 0.5' -o worst.csv

    jsonl, arrow, and a folder or zip of csv or parquet have everything: calls, all feedback with its history,
    versions of ops and objects, files. A file appears under its name when it is complete.
    """
    project, text = sources.project_and_query(project, text)
    target = target_of(output, cast("Format | None", format_), cast("Tables | None", tables))
    if target.path is None and target.format != "jsonl" and sys.stdout.isatty():
        raise UsageError(
            f"{target.format} is not for a terminal; name a file with -o, or send it on with |"
        )
    with sources.reader(sources.find(data, url)) as opened:
        project = sources.project_of(opened, project)
        refs.check_project(project)
        total = None if text else opened.projects.get(project).calls
        with (
            _progress(project, total) as seen,
            _chunks(opened, project, text, target, seen) as (chunks, tally),
        ):
            size = write(chunks, target)
    _tell(_summary(project, target, size, tally()), target, as_json)


def target_of(output: str | None, format: Format | None, tables: Tables | None) -> Target:
    """Where an export goes, and as what, by the options.

    Raises:
        UsageError: they do not go together.
    """
    if output in (None, "-"):
        return Target(None, format or "jsonl", tables or "all", is_folder=False)
    path = Path(output)
    has_tables = format in ("csv", "parquet") and tables != "calls"
    if path.is_dir() or output.endswith(("/", os.sep)) or (has_tables and not path.suffix):
        format = format or "csv"
        if format not in ("csv", "parquet") or tables == "calls":
            raise UsageError(
                f"a folder is for all tables of csv or parquet; name a file for {format}"
            )
        if path.is_dir() and any(path.iterdir()):
            raise UsageError(f"the folder {output!r} is not empty; name a new one")
        return Target(path, format, "all", is_folder=True)
    suffix = path.with_suffix("").suffix if lines.is_packed(path.name) else path.suffix
    named, usual = SUFFIXES.get(suffix.lower(), (None, "all"))
    if suffix == ".zip":
        format = format or "csv"
        if format not in ("csv", "parquet") or tables == "calls":
            raise UsageError(f"a zip is for all tables of csv or parquet; name {format} otherwise")
        return Target(path, format, "all", is_folder=False)
    if named is not None and format not in (None, named):
        raise UsageError(f"{output!r} is named as {named}, but --format is {format}; change one")
    if format is None and named is None:
        known = ", ".join([*SUFFIXES, ".zip"])
        raise UsageError(f"{output!r} does not say the format; give --format, or end it in {known}")
    if format in ("csv", "parquet"):
        usual = "calls"
    if usual == "calls" and tables == "all":
        raise UsageError(
            f"{output!r} has room for one table; name a folder or FILE.zip for all of {format or named}"
        )
    return Target(path, format or named or "jsonl", tables or usual, is_folder=False)


def write(chunks: Iterator[bytes], target: Target) -> int:
    """Write an export where it belongs and give how many bytes it took; a name gets it when it is complete.

    Raises:
        UsageError: the file cannot be written.
    """
    if target.path is None:
        return _pour(chunks, sys.stdout.buffer)
    if target.path.exists() and not target.path.is_file() and not target.is_folder:
        with files.standing(target.path) as file:
            return _pour(chunks, file)
    put = _unpack if target.is_folder else os.replace
    with (
        files.appearing(target.path, put) as file,
        lines.packed(target.path.name, file) as packed,
    ):
        return _pour(chunks, packed)


def _pour(chunks: Iterator[bytes], file: BinaryIO) -> int:
    size = 0
    for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
    file.flush()
    return size


def _unpack(archive: Path, folder: Path) -> None:
    """Make a folder of a zip; it appears as a whole."""
    part = archive.with_suffix(".folder")
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(part)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _chunks(
    opened: Any, project: str, text: str | None, target: Target, seen: _Seen
) -> Generator[tuple[Iterator[bytes], Callable[[], Tally | None]]]:
    """The export as bytes, from a folder or a server, and what gives the numbers afterwards."""
    if isinstance(opened, RemoteStore):
        asked = api.ExportAsked(
            project=project, text=text, format=target.format, tables=target.tables
        )
        last = [b""]
        with opened.export(asked) as chunks:
            yield _watched(chunks, last, seen), lambda: _told(last[0])
        return
    store = cast("SqliteStore", opened)
    query = limit = None
    if text:
        types = (each.type for each in store.feedback.columns(project))
        parsed = text_form.parse(text, known_types=types, now=clock.now())
        query = CallQuery(project=project, where=parsed.where, sort=parsed.sort)
        limit = parsed.limit
    tally = Tally()

    def progress(now: Tally) -> None:
        nonlocal tally
        tally = now
        seen(now, 0)

    chunks = streams.stream(
        store,
        project,
        target.format,
        query=query,
        limit=limit,
        tables=target.tables,
        progress=progress,
    )
    yield chunks, lambda: tally


def _watched(chunks: Iterator[bytes], last: list[bytes], seen: _Seen) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        last[0] = (last[0] + chunk)[-1000:]
        size += len(chunk)
        seen(None, size)
        yield chunk


def _told(last: bytes) -> Tally | None:
    """The numbers at the end of an export of lines."""
    at = last.rfind(_END)
    if at < 0:
        return None
    try:
        return msgspec.json.decode(last[at:], type=dict[str, Tally]).get("end")
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None


@contextmanager
def _progress(project: str, total: int | None) -> Generator[_Seen]:
    """A bar on standard error by calls, or by bytes where a server counts; where that is a terminal."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[says]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    task = progress.add_task(project, total=total, says="")

    def seen(tally: Tally | None, size: int) -> None:
        if tally is None:
            progress.update(task, total=None, says=f"{size / (1 << 20):,.1f} MiB")
        else:
            says = f"{tally.calls:,} calls, {tally.feedback:,} feedback"
            progress.update(task, completed=tally.calls, says=says)

    with progress:
        yield seen


def _summary(project: str, target: Target, size: int, tally: Tally | None) -> Summary:
    counts = {} if tally is None else msgspec.structs.asdict(tally)
    name = "-" if target.path is None else str(target.path)
    return Summary(project, name, target.format, size, **counts)


def _tell(summary: Summary, target: Target, as_json: bool) -> None:
    # Standard output is the export itself where no file is named.
    err = target.path is None
    if as_json:
        click.echo(msgspec.json.encode(summary).decode(), err=err)
        return
    what = ""
    if summary.calls is not None:
        what = f"{summary.calls:,} calls and {summary.feedback:,} feedback of "
        if summary.evaluations or summary.rules:
            judging = f"{summary.evaluations or 0:,} evaluations and {summary.rules or 0:,} rules"
            what = f"{summary.calls:,} calls, {summary.feedback:,} feedback, {judging} of "
    click.echo(f"Exported {what}{summary.project} to {summary.file}.", err=err)
    if target.path is not None and target.tables == "calls":
        click.echo(
            "This is the table of calls with the feedback on them; versions of ops, files and feedback on "
            "anything else are in a .jsonl, a .zip or a folder.",
            err=True,
        )
