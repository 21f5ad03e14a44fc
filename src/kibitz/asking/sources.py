"""Where is asked: a data folder or a server, opened for as long as a question takes.

What names a server wins over what names a folder, and what is said over the environment. A folder and a server
answer the same questions, so nothing that asks knows which of them it is.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kibitz.base import settings
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.records import Batch, Receipt
from kibitz.base.settings import TracingSettings
from kibitz.client.delivery import HttpDelivery
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.storage import sqlite
from kibitz.storage.protocols import Store

Reader = Store
"""What a folder and a server both answer."""


class Writer(Protocol):
    """What takes batches."""

    def write(self, batch: Batch) -> Receipt: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where the data is."""

    folder: Path
    url: str | None
    settings: TracingSettings

    def __str__(self) -> str:
        return self.url or str(self.folder)


def find(data: str | None = None, url: str | None = None) -> Source:
    """The source that is named, else that of the environment: `KIBITZ_URL`, `KIBITZ_DATA`, last `./.kibitz`.

    Raises:
        UsageError: both are named.
        SettingsError: the environment has a setting that cannot be used.
    """
    if data is not None and url is not None:
        raise UsageError(f"name either the data folder {data!r} or the server {url!r}, not both")
    found = settings.load(TracingSettings, os.environ, {"data": data, "url": url})
    return Source(Path(found.data), None if data is not None else found.url, found)


@contextmanager
def reader(source: Source) -> Generator[Reader]:
    """Open a source to ask it.

    Raises:
        NotFound: the folder has no data yet; asking does not make one.
    """
    opened: Reader
    if source.url is not None:
        opened = RemoteStore(connection(source))
    else:
        if not source.folder.is_dir():
            raise NotFound(
                f"there is no data folder {str(source.folder)!r}; name one with --data, "
                "or make one: record a program with kibitz.init(), or run kibitz demo"
            )
        opened = sqlite.open_store(source.folder)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def writer(source: Source) -> Generator[Writer]:
    """Open a source to write to it; a folder is created."""
    if source.url is not None:
        delivery = HttpDelivery(connection(source))
        try:
            yield delivery
        finally:
            delivery.close()
    else:
        store = sqlite.open_store(source.folder)
        try:
            yield store.ingest
        finally:
            store.close()


def project_of(opened: Reader, project: str | None) -> str:
    """The project that is meant: the one named, or the only one there is.

    Raises:
        UsageError: none is named and there are several; the message lists them.
        NotFound: there is none at all.
    """
    if project is not None:
        return project
    names = [each.name for each in opened.projects.list()]
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotFound(
            "nothing has been recorded here yet; record a program with kibitz.init(), or run kibitz demo"
        )
    shown = ", ".join(sorted(names)[:12]) + (" …" if len(names) > 12 else "")
    raise UsageError(f"name the project, there are {len(names)}: {shown}")


def connection(source: Source) -> Connection:
    """The connection to a source's server, with the key and patience that the settings name."""
    return Connection(
        source.url or "", api_key=source.settings.api_key, timeout_s=source.settings.timeout_s
    )
