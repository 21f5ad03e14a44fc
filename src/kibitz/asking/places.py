"""What a question from Python is asked of: a source that is named, or the one that this program records to."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kibitz.asking import sources
from kibitz.asking.sources import Source
from kibitz.base.errors import NotFound, UsageError
from kibitz.storage.protocols import Store
from kibitz.tracing import session as sessions

_log = logging.getLogger("kibitz")

Named = str | Path | Source | Store | None
"""The address of a server, a data folder, or a store that is open already; None for where this program records."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a set of calls is asked. It is looked for anew each time, so that it may be named before `kibitz.init`."""

    project: str
    named: Named = None

    def __post_init__(self) -> None:
        named = self.named
        if isinstance(named, str) and not named.strip():
            raise UsageError("the source is empty; name a data folder or a server's address")
        if (
            named is not None
            and not isinstance(named, str | Path | Source)
            and not _is_store(named)
        ):
            raise UsageError(
                f"source {named!r:.80} is none; name a data folder or a server's address"
            )

    @contextmanager
    def opened(self) -> Generator[Store]:
        """The store, for as long as a question takes. What this program has recorded is delivered to it first.

        Raises:
            NotFound: there is no such data folder.
            Unavailable: the server or the folder cannot be reached.
        """
        named = self.named
        if named is not None and not isinstance(named, str | Path | Source):
            yield named
            return
        source = self.source()
        self._deliver(source)
        if source.url is None and not source.folder.is_dir():
            raise NotFound(
                f"there is no data folder {str(source.folder)!r}; name the place in "
                f"calls({self.project!r}, source=…), or record something there with kibitz.init()"
            )
        with sources.reader(source) as store:
            yield store

    def source(self) -> Source:
        """The folder or server: the one that is named, else that of the running session, else of the environment."""
        named = self.named
        if isinstance(named, Source):
            return named
        if isinstance(named, str) and "://" in named:
            return sources.find(url=named)
        if isinstance(named, str | Path):
            return sources.find(data=str(named))
        session = sessions.current()
        if session is None:
            return sources.find()
        return Source(Path(session.settings.data), session.settings.url, session.settings)

    def _deliver(self, source: Source) -> None:
        """Have this program's own calls delivered, where it records to the same project and place."""
        session = sessions.current()
        if session is None or session.project != self.project:
            return
        recording_to = Source(Path(session.settings.data), session.settings.url, session.settings)
        if _identity(recording_to) != _identity(source):
            return
        report = session.flush()
        if not report.complete:
            _log.warning("what is asked now lacks calls of this program: %s", report)

    def __str__(self) -> str:
        if self.named is not None and not isinstance(self.named, str | Path | Source):
            return "an open store"
        return str(self.source())


def _identity(source: Source) -> str:
    if source.url is not None:
        return source.url.rstrip("/")
    return str(source.folder.absolute())


def _is_store(given: object) -> bool:
    return all(hasattr(given, each) for each in ("calls", "feedback", "ingest"))
