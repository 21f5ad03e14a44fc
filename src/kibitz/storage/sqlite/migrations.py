"""Bringing a store to the schema of this version: numbered files, each in one transaction, each once."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources

from kibitz.base import clock
from kibitz.base.errors import KibitzError

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


def available() -> list[tuple[int, str, str]]:
    """(number, file name, statements) of every migration, in order."""
    folder = resources.files("kibitz.storage") / "sql" / "migrations"
    found: list[tuple[int, str, str]] = []
    for file in folder.iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            found.append((int(match[1]), file.name, file.read_text(encoding="utf-8")))
    return sorted(found)


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply what is missing and give the names of what was applied.

    Several processes may open a new store at once: the ledger is read inside the write transaction.

    Raises:
        KibitzError: the store was written by a newer version.
    """
    migrations = available()
    applied: list[str] = []
    if _version(connection) == migrations[-1][0]:
        return applied
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        done = {number for (number,) in connection.execute("SELECT number FROM migrations")}
        unknown = done - {number for number, _, _ in migrations}
        if unknown:
            raise KibitzError(
                f"the store has migration {max(unknown)}, this version of Kibitz knows up to "
                f"{migrations[-1][0]}; install the version that wrote it, or a newer one"
            )
        for number, name, statements in migrations:
            if number not in done:
                for statement in split(statements):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)",
                    (number, name, clock.now_ns() // 1000),
                )
                connection.execute(f"PRAGMA user_version = {number}")
                applied.append(name)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return applied


def split(statements: str) -> list[str]:
    """The statements of a file one by one, as `executescript` would end the transaction."""
    found: list[str] = []
    pending = ""
    for line in statements.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]
