"""`kibitz worker`: do the evaluations that are wanted."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import msgspec

from kibitz.base import clock, refs, settings
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.settings import WorkerSettings
from kibitz.cli import imported, sources, tables
from kibitz.workers import definitions
from kibitz.workers.claiming import Options, Until
from kibitz.workers.tallies import Tally, Told
from kibitz.workers.worker import Worker

_BETWEEN_LINES_NS = 10_000_000_000
_SAME_AGAIN_NS = 10_000_000_000
_SWITCH_S = 0.001
_STOPPED_BY = (signal.SIGINT, signal.SIGTERM)


@click.command(short_help="Do the evaluations that are wanted.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]…")
@click.option(
    "--allow",
    multiple=True,
    metavar="MODULE",
    help="A module whose functions may judge; several.  [KIBITZ_WORKER_ALLOW]",
)
@click.option(
    "--app-dir",
    metavar="DIR",
    help="Where those modules are.  [KIBITZ_WORKER_APP_DIR; default: .]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="Slow evaluations of one definition at once.  [KIBITZ_WORKER_CONCURRENCY; default: 50]",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1000),
    help="Evaluations to claim at once.  [KIBITZ_WORKER_BATCH; default: 256]",
)
@click.option(
    "--lease",
    type=click.FloatRange(min=0.5),
    metavar="SECONDS",
    help="How long a worker that was killed keeps what it claimed.  [KIBITZ_WORKER_LEASE_S; default: 60]",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(1, 100),
    help="How often an evaluation is begun at most.  [KIBITZ_WORKER_MAX_ATTEMPTS; default: 5]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="For one evaluation; 0 for none.  [KIBITZ_WORKER_TIMEOUT_S; default: 120]",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long what goes on may take to end.  [KIBITZ_WORKER_GRACE_S; default: 20]",
)
@click.option("--once", is_flag=True, help="Do what is due now, then end.")
@click.option(
    "--until-idle", is_flag=True, help="End when nothing is wanted any longer, retries included."
)
@click.option("--json", "as_json", is_flag=True, help="What happens as JSON lines.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@sources.options
def worker(projects: tuple[str, ...], data: str | None, url: str | None, **given: Any) -> None:
    """Do the evaluations that are wanted: of PROJECTs, or of all.

    Any number of workers may work for one folder or server; none does what another one has. Ctrl+C or SIGTERM
    ends it when what goes on has ended, a second time at once.

    Functions are only imported from modules that are allowed: those of Kibitz, builtins, statistics and numpy
    always, others with --allow.
    """
    if given["once"] and given["until_idle"]:
        raise UsageError("give either --once or --until-idle, not both")
    if given["as_json"] and given["quiet"]:
        raise UsageError("give either --json or --quiet, not both")
    chosen = settings.load(WorkerSettings, os.environ, _overrides(given))
    until: Until = "once" if given["once"] else "idle" if given["until_idle"] else "stopped"
    options = Options(
        projects=tuple(map(refs.check_project, projects)),
        until=until,
        concurrency=chosen.worker_concurrency,
        batch=chosen.worker_batch,
        lease_s=chosen.worker_lease_s,
        max_attempts=chosen.worker_max_attempts,
        timeout_s=chosen.worker_timeout_s,
        grace_s=chosen.worker_grace_s,
    )
    imported.from_folder(chosen.worker_app_dir)
    # What awaits answers needs the interpreter often and shortly, beside threads that compute.
    sys.setswitchinterval(_SWITCH_S)
    source = sources.find(data, url)
    shown = _Shown(str(source), options, as_json=given["as_json"], quiet=given["quiet"])
    with sources.reader(source) as opened:
        _check_projects(opened, options, quiet=given["as_json"] or given["quiet"])
        load = definitions.loading(chosen.worker_allow)
        working = Worker(opened, options, load=load, tell=shown.tell)
        with _stopped_by_signals(working):
            tallies = working.run()
    if until != "stopped" and tallies.total.failed:
        sys.exit(1)


def _check_projects(opened: sources.Reader, options: Options, *, quiet: bool) -> None:
    """Say which projects are not there yet; raises `NotFound` where they are not waited for."""
    known = {each.name for each in opened.projects.list()} if options.projects else set[str]()
    for name in options.projects:
        if name in known:
            continue
        if options.until != "stopped":
            raise NotFound(
                f"there is no project {name!r} here; there are {', '.join(sorted(known)) or 'none'}"
            )
        if not quiet:
            click.echo(f"There is no project {name} yet; waiting for it", err=True)


def _overrides(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "worker_allow": given["allow"] or None,
        "worker_app_dir": given["app_dir"],
        "worker_concurrency": given["concurrency"],
        "worker_batch": given["batch"],
        "worker_lease_s": given["lease"],
        "worker_max_attempts": given["max_attempts"],
        "worker_timeout_s": given["timeout"],
        "worker_grace_s": given["grace"],
    }


@contextmanager
def _stopped_by_signals(working: Worker) -> Generator[None]:
    """Have the first signal end the work, and the second end it at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        working.stop()

    before = [(number, signal.signal(number, stop)) for number in _STOPPED_BY]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class _Shown:
    """What a worker tells, on standard error for people or on standard output for programs."""

    def __init__(self, place: str, options: Options, *, as_json: bool, quiet: bool) -> None:
        self._place = place
        self._options = options
        self._as_json = as_json
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not as_json and not quiet
        self._lock = threading.Lock()
        """Told from several threads."""
        self._width = 0
        self._next_line = 0
        self._said: dict[tuple[str | None, str], int] = {}
        """When the same failure may be said again."""

    def tell(self, told: Told) -> None:
        """Show one thing."""
        with self._lock:
            if self._as_json:
                click.echo(msgspec.json.encode(told).decode())
            elif not self._quiet:
                self._tell(told)

    def _tell(self, told: Told) -> None:
        match told.event:
            case "started":
                of = ", ".join(self._options.projects) or "all projects"
                self._say(f"Working for {of} of {self._place} (Ctrl+C ends it)")
                self._next_line = clock.monotonic_ns() + _BETWEEN_LINES_NS
            case "progress":
                self._progress(told)
            case "failed" | "retried":
                self._failure(told)
            case "away":
                self._say(f"Waiting for the store: {told.message}")
            case "back":
                self._say("The store answers again")
            case "stopping":
                self._say(f"Ending when {told.running} evaluations have; again to end at once")
            case "stopped":
                self._summary(told)

    def _progress(self, told: Told) -> None:
        assert told.total is not None
        left = "" if told.left is None else f", {told.left:,} left"
        said = f"{_counts(told.total)}, {told.running or 0} running{left}"
        if self._live:
            sys.stderr.write(f"\r{said.ljust(self._width)}")
            sys.stderr.flush()
            self._width = len(said)
        elif clock.monotonic_ns() >= self._next_line:
            self._next_line = clock.monotonic_ns() + _BETWEEN_LINES_NS
            self._say(said)

    def _failure(self, told: Told) -> None:
        """The same failure of a feedback once in a while: a judge that is away fails for every record."""
        now = clock.monotonic_ns()
        key = (told.name, told.message[:80])
        if self._said.get(key, 0) > now:
            return
        if len(self._said) > 1000:
            self._said.clear()
        self._said[key] = now + _SAME_AGAIN_NS
        then = "" if told.retry_in_s is None else f"; again in {told.retry_in_s:g} s"
        self._say(f"{told.name} of call {told.call_id} failed: {told.message}{then}")

    def _summary(self, told: Told) -> None:
        assert told.total is not None
        seconds = told.seconds or 0.0
        spent = told.total.spent
        cost = f", {spent.usd:.4f} USD" if spent.usd else ""
        self._say(f"{_counts(told.total)} in {seconds:.1f} s{cost}")
        if len(told.by_feedback) > 1:
            for name, tally in sorted(told.by_feedback.items()):
                self._say(f"  {name}: {_counts(tally)}")

    def _say(self, text: str) -> None:
        if self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            self._width = 0
        click.echo(tables.printable(" ".join(text.split()) if "\n" in text else text), err=True)


def _counts(tally: Tally) -> str:
    said = f"{tally.done:,} done, {tally.failed:,} failed, {tally.skipped:,} skipped"
    if tally.retried:
        said += f", {tally.retried:,} tried again"
    return said
