"""`kibitz import`: what was exported, and other calls and feedback; what is not taken is reported by its line."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from kibitz.base import refs
from kibitz.base.errors import Conflict, NotFound, TooLarge, Unavailable, UsageError
from kibitz.base.evaluations import EvaluationPart, NewRule, Rule, RulePart
from kibitz.base.records import Batch, CallPart, FeedbackPart, FilePart, ObjectPart, Receipt
from kibitz.cli import lines, sources, tables
from kibitz.cli.lines import Line
from kibitz.export import archives, parts

BATCH_RECORDS = 1000
BATCH_BYTES = 4 << 20
MOST_SHOWN = 20
"""Rejected lines that are printed; `--rejects` writes all of them."""
TRIES = 6
FIRST_WAIT_S = 0.5
"""Between tries of a server that is away; it doubles each time."""
_RULE = ("definitions", "query", "sample", "per_day", "usd_per_day")
"""What makes rules of one name the same rule; who saved it and whether it rests do not."""


Advance = Callable[[int, int | None], None]
"""Told how many bytes were read and how many records, where that is known."""
Keep = Callable[[str, str, NewRule], Rule]
"""Keeps a rule of a project under a name, and gives it as it is then."""


class Reject(Struct, frozen=True):
    """A line that was not stored, and why."""

    file: str
    line: int
    code: str
    message: str


class Resting(Struct, frozen=True):
    """A rule that was active where it came from, and is not here."""

    project: str
    name: str


@dataclass(slots=True)
class Summary:
    """What an import did."""

    calls: int = 0
    feedback: int = 0
    objects: int = 0
    files: int = 0
    evaluations: int = 0
    wanted: int = 0
    """Those of the evaluations that nobody has done yet: a worker that runs here does them."""
    rules: int = 0
    resting: list[Resting] = field(default_factory=list[Resting])
    """Those of the rules that judge nothing until they are resumed."""
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list[Reject])
    """The first ones; `rejected` counts all."""
    projects: list[str] = field(default_factory=list[str])
    """What was imported into, in the order in which it came."""


@click.command("import", short_help="Read what was exported, or logged elsewhere.")
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option(
    "--project", help="The project to import into; without it the one the records were in."
)
@click.option(
    "--active-rules",
    is_flag=True,
    help="Rules that were active hold here at once; otherwise they rest until they are resumed.",
)
@click.option(
    "--rejects",
    type=click.File("w", encoding="utf-8", lazy=False),
    metavar="FILE",
    help="Write every line that is not taken here, as JSON lines.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@sources.options
def import_(
    files: tuple[str, ...],
    project: str | None,
    data: str | None,
    url: str | None,
    active_rules: bool,
    rejects: TextIO | None,
    as_json: bool,
) -> None:
    """Import what kibitz export wrote, in any of its formats, and other calls and feedback from FILEs.

    A FILE is JSON lines (plain, .gz or .zst), CSV, Parquet, an Arrow stream, a zip or folder of tables;
    - is standard input. A line is {"call": {…}}, {"feedback": {…}}, {"object": {…}}, {"file": {…}},
    {"evaluation": {…}} or {"rule": {…}}, or what is in the first four bare, or what kibitz calls --json prints.

    Importing a file again adds nothing: everything is known by its id, and feedback without one by its
    content. So an import that was interrupted is simply started again. Under another project's name
    references to the old one follow.

    An imported rule rests, because workers would begin to judge by it; kibitz rules resume lets it hold.

    Exits with 1 where lines were not taken; the others are stored.
    """
    if project is not None:
        refs.check_project(project)
    for name in files:
        # Before a store is made for it.
        if name != "-" and not Path(name).exists():
            raise UsageError(f"there is no file {name!r}; nothing was imported")
    source = sources.find(data, url)

    def keep(project: str, name: str, rule: NewRule) -> Rule:
        with sources.reader(source) as store:
            return keep_rule(store, project, name, rule, active=active_rules)

    summary = Summary(projects=[] if project is None else [project])
    try:
        with sources.writer(source) as writer:
            for name in files:
                importer = Importer(writer, project, name, summary, rejects, keep=keep)
                _import_file(name, importer)
    finally:
        # What is stored stays stored, so it is said also when the import ends in an error.
        _tell(summary, source, as_json)
    if summary.rejected:
        click.get_current_context().exit(1)


def keep_rule(
    store: sources.Reader, project: str, name: str, rule: NewRule, *, active: bool = False
) -> Rule:
    """Keep a rule that comes from elsewhere, and give it as it is here then.

    Args:
        active: whether it holds where it did; otherwise it rests, because workers would judge by it unasked.

    Raises:
        Conflict: there is another one of that name, which stays.
    """
    try:
        here = store.rules.get(project, name)
    except NotFound:
        mine = msgspec.structs.replace(rule, active=rule.active and active)
        return store.rules.save(project, name, mine)
    # Stored without repetition.
    rule = msgspec.structs.replace(rule, definitions=list(dict.fromkeys(rule.definitions)))
    if any(getattr(here, each) != getattr(rule, each) for each in _RULE):
        raise Conflict(
            f"{project!r} has another rule {name!r}, which stays; delete it first with kibitz rules delete",
            project=project,
            name=name,
        )
    return here


class Importer:
    """Writes the lines of one file in batches, each line's fate by its number."""

    def __init__(
        self,
        writer: sources.Writer,
        project: str | None,
        file: str,
        summary: Summary,
        report: TextIO | None = None,
        keep: Keep | None = None,
    ) -> None:
        self._writer = writer
        self._given = project
        self._project = project or ""
        """Of what is pending."""
        self._file = file
        self._summary = summary
        self._report = report
        self._keep = keep
        self._pending: list[Line] = []
        self._bytes = 0
        self._begun: set[str] = set()

    def add(self, line: Line) -> None:
        if line.problem is not None:
            self._reject(line, line.problem.code, line.problem.message)
            return
        if self._pending and (
            len(self._pending) >= BATCH_RECORDS or self._bytes + line.size > BATCH_BYTES
        ):
            self.flush()
        project = self._given or line.project
        if line.record is None:
            self._begin(project)
            return
        if project is None:
            raise UsageError(
                f"{self._file} does not say which project it is of; name one with --project"
            )
        if project != self._project:
            self.flush()
            self._project = refs.check_project(project)
            if project not in self._summary.projects:
                self._summary.projects.append(project)
        if line.project not in (None, project):
            moved = parts.moved(line.record, line.project, project)
            line = msgspec.structs.replace(line, record=moved)
        self._pending.append(line)
        self._bytes += line.size

    def _begin(self, project: str | None) -> None:
        """Make the project, which may have nothing in it."""
        if project is not None and project not in self._begun:
            self._begun.add(project)
            _patiently(self._writer, Batch(project=refs.check_project(project)))

    def flush(self) -> None:
        """Write what is pending; when this returns it is durable."""
        pending, self._pending, self._bytes = self._pending, [], 0
        self._write(pending)

    def _write(self, pending: list[Line]) -> None:
        if not pending:
            return
        calls = [(line, line.record) for line in pending if isinstance(line.record, CallPart)]
        judged = [(line, line.record) for line in pending if isinstance(line.record, FeedbackPart)]
        named = [(line, line.record) for line in pending if isinstance(line.record, ObjectPart)]
        files = [(line, line.record) for line in pending if isinstance(line.record, FilePart)]
        wanted = [
            (line, line.record) for line in pending if isinstance(line.record, EvaluationPart)
        ]
        batch = Batch(
            project=self._project,
            calls=[record for _, record in calls],
            feedback=[record for _, record in judged],
            objects=[record for _, record in named],
            files=[record for _, record in files],
            evaluations=[record for _, record in wanted],
        )
        try:
            receipt = _patiently(self._writer, batch)
        except TooLarge as error:
            if len(pending) == 1:
                self._reject(pending[0], error.code, error.message)
                return
            half = len(pending) // 2
            self._write(pending[:half])
            self._write(pending[half:])
            return
        self._summary.calls += receipt.calls
        self._summary.feedback += receipt.feedback
        self._summary.objects += receipt.objects
        self._summary.files += receipt.files
        self._summary.evaluations += receipt.evaluations
        sent = {
            "call": calls,
            "feedback": judged,
            "object": named,
            "file": files,
            "evaluation": wanted,
        }
        self._summary.wanted += sum(part.status == "none" for _, part in wanted)
        for rejection in receipt.rejected:
            line, record = sent[rejection.kind][rejection.index]
            self._reject(line, rejection.code, rejection.message)
            self._summary.wanted -= isinstance(record, EvaluationPart) and record.status == "none"
        # Last: a rule names definitions, and is about calls that end after it.
        for line in pending:
            if isinstance(line.record, RulePart):
                self._write_rule(line, line.record)

    def _write_rule(self, line: Line, rule: RulePart) -> None:
        try:
            if self._keep is None:
                raise UsageError("rules cannot be kept here", field="rule")
            names = NewRule.__struct_fields__
            said = NewRule(**{name: getattr(rule, name) for name in names})
            kept = self._keep(self._project, rule.name, said)
        except (UsageError, NotFound, Conflict) as error:
            self._reject(line, error.code, error.message)
        else:
            self._summary.rules += 1
            if rule.active and not kept.active:
                self._summary.resting.append(Resting(self._project, rule.name))

    def _reject(self, line: Line, code: str, message: str) -> None:
        file = f"{self._file}: {line.place}" if line.place else self._file
        reject = Reject(file, line.number, code, message)
        self._summary.rejected += 1
        if len(self._summary.rejects) < MOST_SHOWN:
            self._summary.rejects.append(reject)
        if self._report is not None:
            self._report.write(msgspec.json.encode(reject).decode() + "\n")


def _patiently(writer: sources.Writer, batch: Batch) -> Receipt:
    """Write a batch, and try again for a while where the other side is away or busy."""
    wait_s = FIRST_WAIT_S
    for _ in range(TRIES - 1):
        try:
            return writer.write(batch)
        except Unavailable as error:
            threading.Event().wait(min(error.retry_after_s or wait_s, 30.0))
            wait_s *= 2
    return writer.write(batch)


def _import_file(name: str, importer: Importer) -> None:
    if name != "-" and Path(name).is_dir():
        with _progress(name, None) as advance:
            _import_lines(lines.of_rows(archives.read_folder(Path(name))), importer, advance)
        return
    with lines.opened(name) as (counting, stream, size), _progress(name, size) as advance:
        _import_lines(
            lines.read_any(name, stream), importer, lambda _, done: advance(counting.count, done)
        )


def _import_lines(found: Iterable[Line], importer: Importer, advance: Advance) -> None:
    try:
        for number, line in enumerate(found, 1):
            importer.add(line)
            advance(0, number)
    finally:
        importer.flush()
    advance(0, None)


@contextmanager
def _progress(name: str, size: int | None) -> Generator[Advance]:
    """A bar on standard error by bytes read, where that is a terminal; nothing elsewhere."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[lines]:,} records"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    task = progress.add_task("standard input" if name == "-" else name, total=size, lines=0)

    def advance(read: int, number: int | None) -> None:
        progress.update(task, completed=read)
        if number is not None:
            progress.update(task, lines=number)

    with progress:
        yield advance


def _tell(summary: Summary, source: sources.Source, as_json: bool) -> None:
    for reject in sorted(summary.rejects, key=lambda each: (each.file, each.line)):
        message = tables.printable(reject.message)
        click.echo(f"{reject.file}, line {reject.line}: {message}", err=True)
    if summary.rejected > len(summary.rejects):
        more = summary.rejected - len(summary.rejects)
        click.echo(f"… and {more:,} more; --rejects FILE writes all of them", err=True)
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
        return
    stored = f"{tables.count(summary.calls, 'call')} and {summary.feedback:,} feedback"
    if summary.files:
        stored = f"{tables.count(summary.files, 'file')}, {stored}"
    if summary.objects:
        stored = f"{tables.count(summary.objects, 'object')}, {stored}"
    if summary.evaluations:
        stored += f", {tables.count(summary.evaluations, 'evaluation')}"
    if summary.rules:
        stored += f", {tables.count(summary.rules, 'rule')}"
    rejected = f"; {summary.rejected:,} lines were not taken" if summary.rejected else ""
    into = f" into {', '.join(summary.projects)}" if summary.projects else ""
    click.echo(f"Imported {stored}{into} at {source}{rejected}.")
    if summary.wanted:
        click.echo(
            f"{summary.wanted:,} of the evaluations are to be done; kibitz worker does them."
        )
    if summary.resting:
        _tell_resting(summary.resting)


def _tell_resting(resting: list[Resting]) -> None:
    first = resting[0]
    how = f"kibitz rules resume {shlex.quote(first.name)} --project {first.project}"
    if len(resting) == 1:
        click.echo(f"The rule {tables.printable(first.name)!r} rests; {how} lets it judge.")
        return
    names = ", ".join(tables.printable(each.name) for each in resting[:MOST_SHOWN])
    names += "" if len(resting) <= MOST_SHOWN else " …"
    click.echo(f"{len(resting):,} rules rest ({names}); {how} lets the first judge.")
