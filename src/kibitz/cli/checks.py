"""What `kibitz doctor` looks at. Each check gives findings in sentences and never raises."""

from __future__ import annotations

import email.utils
import importlib.util
import os
import platform
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from kibitz.base import api, clock, settings
from kibitz.base.errors import KibitzError, Unauthorized
from kibitz.base.settings import ServerSettings, TracingSettings
from kibitz.base.version import __version__
from kibitz.cli import sources
from kibitz.cli.sources import Source
from kibitz.client.reading import RemoteStore
from kibitz.storage import sqlite
from kibitz.storage.sqlite import integrity
from kibitz.tracing import spool

EXTRAS = {
    "server": ("click", "granian", "jinja2", "litestar", "markdown_it", "nh3", "rich"),
    "otel": ("opentelemetry.sdk",),
}
LITTLE_SPACE = 1 << 30
NO_SPACE = 100 << 20
MOST_SKEW_S = 5.0
SECRETS = frozenset({"api_key", "api_keys"})

Origin = Literal["default", "environment", "option"]
State = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    state: State
    says: str


class Setting(Struct, frozen=True):
    """A setting in force."""

    variable: str
    value: Any
    source: Origin


def installation() -> Iterator[Finding]:
    """Python, Kibitz and the extras."""
    yield Finding(
        "python",
        "ok",
        f"Python {platform.python_version()} on {platform.platform(terse=True)}.",
    )
    yield Finding("kibitz", "ok", f"Kibitz {__version__}.")
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not _is_installed(module)]
        if not missing:
            yield Finding(f"extra {extra}", "ok", f"The extra [{extra}] is installed.")
        else:
            # The command line itself needs [server]; what else is missing is a choice.
            yield Finding(
                f"extra {extra}",
                "problem" if extra == "server" else "ok",
                f"The extra [{extra}] is not installed ({', '.join(missing)} missing); "
                f"if you need it: pip install 'kibitz[{extra}]'.",
            )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def folder(source: Source) -> Iterator[Finding]:
    """The data folder: there, writable, on a disk with room."""
    path = source.folder
    shown = str(path.resolve())
    if not path.exists():
        yield Finding(
            "folder", "ok", f"There is no data folder {shown} yet; the first recording makes it."
        )
        path = next((each for each in path.resolve().parents if each.exists()), Path.cwd())
    try:
        with tempfile.NamedTemporaryFile(dir=path, prefix=".kibitz-doctor-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        yield Finding("folder", "problem", f"The folder {path} cannot be written: {reason}.")
        return
    if path == source.folder:
        yield Finding("folder", "ok", f"The data folder {shown} can be written.")
    free = shutil.disk_usage(path).free
    state: State = "problem" if free < NO_SPACE else "warning" if free < LITTLE_SPACE else "ok"
    yield Finding(
        "disk", state, f"The disk of the data folder has {free / (1 << 30):.1f} GiB free."
    )


def store(source: Source) -> Iterator[Finding]:
    """The store in the folder: opens, sound, what is in it."""
    if not integrity.has_store(source.folder):
        yield Finding("store", "ok", "Nothing has been recorded into the folder yet.")
        return
    try:
        opened = sqlite.open_store(source.folder)
        try:
            projects = opened.projects.list()
        finally:
            opened.close()
        wrong = integrity.problems(source.folder)
        outdated = integrity.disagreements(source.folder)
    except KibitzError as error:
        yield Finding("store", "problem", f"The store cannot be used: {error.message}.")
        return
    calls = sum(each.calls for each in projects)
    judged = sum(each.feedback for each in projects)
    yield Finding(
        "store",
        "ok",
        f"The store opens and has {calls:,} calls and {judged:,} feedback in {len(projects)} projects.",
    )
    if wrong:
        yield Finding(
            "integrity",
            "problem",
            f"The store is damaged: {'; '.join(wrong[:3])}. Stop what writes to it and restore a backup.",
        )
    else:
        yield Finding("integrity", "ok", "SQLite finds the file sound.")
    if outdated:
        yield Finding(
            "derived",
            "problem",
            f"What is kept of {', of '.join(outdated[:3])} does not agree with the rows. Run kibitz reindex.",
        )
    else:
        yield Finding("derived", "ok", "Counts and sums agree with what was recorded.")


def spooled(source: Source) -> Iterator[Finding]:
    """What waits on disk for a server, and what could not be read of it."""
    waiting = _sizes(source.folder, spool.SUFFIX)
    damaged = _sizes(source.folder, spool.DAMAGED)
    if waiting:
        yield Finding(
            "spool",
            "warning",
            f"{sum(waiting):,} bytes in {len(waiting)} files wait to be delivered to a server; "
            "the next program that records to it with this data folder delivers them.",
        )
    else:
        yield Finding("spool", "ok", "Nothing waits to be delivered.")
    if damaged:
        yield Finding(
            "spool",
            "warning",
            f"{len(damaged)} files of the spool had parts that could not be read; they are kept as *{spool.DAMAGED}.",
        )


def _sizes(folder: Path, suffix: str) -> list[int]:
    return [path.stat().st_size for path in folder.glob(f"spool/*/*{suffix}")]


def server(source: Source) -> Iterator[Finding]:
    """The server, where one is named: answers, takes the key, agrees on the time."""
    if source.url is None:
        yield Finding("server", "ok", "No server is named; programs record into the data folder.")
        return
    try:
        connection = sources.connection(source)
        health = connection.read(api.Health, api.HEALTH)
    except KibitzError as error:
        yield Finding("server", "problem", f"The server does not answer: {error.message}.")
        return
    same = health.version == __version__
    yield Finding(
        "server",
        "ok" if same else "warning",
        f"The server at {source.url} answers; it is Kibitz {health.version}"
        + ("." if same else f", this is {__version__}; use the same version on both sides."),
    )
    remote = RemoteStore(connection)
    try:
        count = len(remote.projects.list())
        yield Finding("key", "ok", f"The server takes our requests and has {count} projects.")
    except Unauthorized as error:
        yield Finding(
            "key", "problem", f"The server refuses the key: {error.message}. Set KIBITZ_API_KEY."
        )
    except KibitzError as error:
        yield Finding("key", "problem", f"The server refuses our requests: {error.message}.")
    finally:
        remote.close()
    yield from _skew(source.url)


def _skew(url: str) -> Iterator[Finding]:
    """How far the server's clock is from ours, by the date of an answer (whole seconds)."""
    try:
        with urllib.request.urlopen(url.rstrip("/") + api.HEALTH, timeout=5) as response:
            date = response.headers.get("Date")
    except OSError:
        return
    if not date:
        return
    skew_s = (email.utils.parsedate_to_datetime(date) - clock.now()).total_seconds()
    if abs(skew_s) <= MOST_SKEW_S:
        yield Finding("clock", "ok", "The server's clock agrees with ours.")
    else:
        yield Finding(
            "clock",
            "warning",
            f"The server's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} ours; "
            "times of calls and feedback will not fit together. Set both by a time server.",
        )


def settings_in_force(source: Source) -> list[Setting]:
    """Every setting with its value and where that comes from; secrets are masked."""
    loaded = settings.load(ServerSettings, os.environ)
    found = _in_force(loaded, loaded)
    found |= _in_force(source.settings, settings.load(TracingSettings, os.environ))
    return sorted(found.values(), key=lambda each: each.variable)


def _in_force(
    loaded: ServerSettings | TracingSettings, without_options: ServerSettings | TracingSettings
) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for variable, name, _default in settings.describe(type(loaded)):
        value = getattr(loaded, name)
        origin: Origin = "environment" if variable in os.environ else "default"
        if value != getattr(without_options, name):
            origin = "option"
        masked = "(set)" if name in SECRETS and value else value
        found[variable] = Setting(variable, masked, origin)
    return found


def to_json(findings: list[Finding], in_force: list[Setting]) -> str:
    """The whole examination as JSON."""
    examined = {
        "ok": all(each.state != "problem" for each in findings),
        "findings": findings,
        "settings": in_force,
    }
    return msgspec.json.encode(examined).decode()
