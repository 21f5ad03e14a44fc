"""Whether the file of a store is sound."""

from __future__ import annotations

from pathlib import Path

from kibitz.storage.sqlite import connection as door

MOST_PROBLEMS = 20
UNHURRIED_S = 3600.0
"""The check reads the whole file; a person waits for it."""


def has_store(folder: Path) -> bool:
    """Whether the data folder has a store; opening one would make it."""
    return (folder / door.FILE_NAME).exists()


def problems(folder: Path) -> list[str]:
    """What SQLite finds wrong with the store of a data folder; empty where it is sound.

    Raises:
        StorageDamaged: the file is so damaged that it cannot be checked.
        Unavailable: it cannot be opened.
    """
    readers = door.Readers(folder / door.FILE_NAME, query_timeout_s=UNHURRIED_S)
    try:
        with readers.reading() as connection:
            rows = connection.execute(f"PRAGMA quick_check({MOST_PROBLEMS})").fetchall()
    finally:
        readers.close()
    return [str(text) for (text,) in rows if text != "ok"]
