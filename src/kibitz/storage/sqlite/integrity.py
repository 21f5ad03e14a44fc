"""Whether the file of a store is sound, and what is derived in it agrees with the facts."""

from __future__ import annotations

from pathlib import Path

from kibitz.storage import statements
from kibitz.storage.sqlite import connection as door

_SQL = statements.load("sqlite.sql")
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


def disagreements(folder: Path) -> list[str]:
    """Where counts and sums of the store do not say what its rows say; empty where all agree.

    `kibitz reindex` makes them anew. It is looked at counts, which tell nearly always; only what is made anew is sure.

    Raises:
        StorageDamaged: the file is so damaged that it cannot be read.
        Unavailable: it cannot be opened.
    """
    readers = door.Readers(folder / door.FILE_NAME, query_timeout_s=UNHURRIED_S)
    try:
        with readers.reading() as connection:
            rows = connection.execute(_SQL["disagreements"], (MOST_PROBLEMS,)).fetchall()
    finally:
        readers.close()
    return [f"{what} in {project}" for what, project in rows]
