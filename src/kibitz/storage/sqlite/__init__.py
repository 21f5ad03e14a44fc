"""The embedded store on SQLite."""

from kibitz.storage.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
