"""Where batches go: into a data folder, over HTTP, or into a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kibitz.base.records import Batch, Receipt


class Transport(Protocol):
    """Delivers batches. One exporter's thread uses it, and `close` may be called from another."""

    def write(self, batch: Batch) -> Receipt:
        """Deliver a batch; what the receipt counts is durable on the other side.

        Raises:
            Unavailable, StorageFull: try the same again later.
            TooLarge: try it in parts.
            KibitzError: it will never be taken.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


Factory = Callable[[], Transport]
"""Makes a transport: once at the start, and again in a forked child, which must not use its parent's."""


class Ingest(Protocol):
    """Where a store takes batches."""

    def write(self, batch: Batch) -> Receipt: ...


class Store(Protocol):
    """An opened store, as far as a recording program needs it."""

    @property
    def ingest(self) -> Ingest: ...

    def close(self) -> None: ...


class Local:
    """Straight into an opened store, without a server."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, batch: Batch) -> Receipt:
        """Store a batch; raises what the store raises."""
        return self._store.ingest.write(batch)

    def close(self) -> None:
        """Close the store."""
        self._store.close()
