"""The text index of a store: how it is filled, what it holds of a project, and how that is changed.

Cutting texts into words costs several times what storing them does, so it is not part of a write: a call waits in
`unworded` until `index_some` is run in a quiet moment (`upkeep.py`), and until then queries look at it directly. So
a call can be found from its acknowledgement on, and a burst is not slowed down.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import msgspec

from kibitz.storage import statements
from kibitz.storage.sqlite import words

BLOCK_BITS = 10
"""A block is 1,024 pks; see `word_blocks`."""
_SQL = statements.load("sqlite.sql")


@dataclass(frozen=True, slots=True)
class State:
    """What the index holds of a project."""

    level: int
    """`words.OFF`, `WORDS` or `SUBSTRINGS`."""
    waiting: int
    """Calls that are not in it yet."""
    terms: int
    """Different words, where these are kept."""


def index_some(connection: sqlite3.Connection, limit: int, project: int | None = None) -> int:
    """Index some calls that wait for it, of one project or of any, inside an open transaction; gives how many."""
    rows = connection.execute(_SQL["without_words"], (project, limit)).fetchall()
    bodies: list[tuple[int, str]] = []
    blocks: dict[tuple[int, int], list[int]] = defaultdict(list)
    terms: dict[int, set[str]] = defaultdict(set)
    for its_project, call, level, started_at, inputs, attributes, output in rows:
        if level == words.OFF or started_at is None:
            continue
        blocks[its_project, call >> BLOCK_BITS].append(started_at)
        body = words.body(inputs, attributes, output)
        if level == words.SUBSTRINGS:
            parts, found = words.parts(body)
            terms[its_project] |= found
            body = f"{body}\n{parts}"
        if body:
            bodies.append((call, body))
    connection.executemany(_SQL["insert_words"], bodies)
    connection.executemany(
        _SQL["widen_block"],
        [
            (its_project, block, min(times), max(times))
            for (its_project, block), times in blocks.items()
        ],
    )
    for its_project, found in terms.items():
        _add_terms(connection, its_project, found)
    connection.executemany(_SQL["words_are_in"], [row[:2] for row in rows])
    return len(rows)


def _add_terms(connection: sqlite3.Connection, project: int, found: set[str]) -> None:
    wanted = msgspec.json.encode(sorted(found)).decode()
    new = connection.execute(_SQL["unknown_terms"], (wanted, project)).fetchall()
    if not new:
        return
    last = connection.execute(_SQL["last_term"]).fetchone()[0]
    rows = [(last + index, text) for index, (text,) in enumerate(new, start=1)]
    connection.executemany(_SQL["insert_term"], [(pk, project, text) for pk, text in rows])
    connection.executemany(_SQL["insert_term_parts"], rows)


def set_level(connection: sqlite3.Connection, project: int, level: int) -> None:
    """Change what the index holds of a project, inside an open transaction; what it then lacks waits.

    What it no longer needs stays in the shared tables, unused, until everything is rebuilt (`clear`).
    """
    before = connection.execute(_SQL["search_level"], (project,)).fetchone()[0]
    if before == level:
        return
    connection.execute(_SQL["set_search_level"], (level, project))
    if level == words.OFF:
        connection.execute(_SQL["await_no_words"], (project,))
        connection.execute(_SQL["delete_blocks"], (project,))
    elif level > before:
        connection.execute(_SQL["await_all_words"], (project,))


def clear(connection: sqlite3.Connection) -> None:
    """Empty the index of the whole store, inside an open transaction; every call waits for it anew."""
    for table in ("words", "term_parts"):
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
    connection.execute("DELETE FROM terms")
    connection.execute("DELETE FROM word_blocks")
    connection.execute("DELETE FROM unworded")
    for (project,) in connection.execute(_SQL["searched_projects"]).fetchall():
        connection.execute(_SQL["await_all_words"], (project,))


def again(connection: sqlite3.Connection, project: int) -> None:
    """Let every call of a project wait for the index anew, inside an open transaction."""
    connection.execute(_SQL["delete_blocks"], (project,))
    connection.execute(_SQL["await_no_words"], (project,))
    if connection.execute(_SQL["search_level"], (project,)).fetchone()[0]:
        connection.execute(_SQL["await_all_words"], (project,))


def state(connection: sqlite3.Connection, project: int) -> State:
    """What the index holds of a project now."""
    return State(*connection.execute(_SQL["search_state"], (project,)).fetchone())


def words_with(
    connection: sqlite3.Connection, project: int, part: words.Part, most: int
) -> list[str] | None:
    """The words of a project that have a part where it says; None where they are more than `most`."""
    text = part.text
    grams = sorted({text[index : index + 3] for index in range(len(text) - 2)})
    match = " AND ".join(f'"{gram}"' for gram in grams)
    where = "instr(t.text, ?4) > 0"
    if part.begins:
        where = "substr(t.text, 1, length(?4)) = ?4"
    elif part.ends:
        where = "substr(t.text, -length(?4)) = ?4"
    rows = connection.execute(
        "SELECT t.text FROM term_parts w CROSS JOIN terms t ON t.pk = w.rowid"
        f" WHERE term_parts MATCH ?1 AND t.project = ?2 AND {where} LIMIT ?3",
        (match, project, most + 1, text),
    ).fetchall()
    return None if len(rows) > most else [word for (word,) in rows]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends within, and the pks that its indexed calls have."""

    since: int
    until: int
    first: int
    last: int


_EVER = 1 << 62
_FIRST_BLOCKS = 2
_GROWTH = 8


def windows(
    connection: sqlite3.Connection,
    project: int,
    *,
    since: int | None = None,
    until: int | None = None,
    descending: bool = True,
) -> list[Window]:
    """The time in which indexed calls started, newest first, in stretches that grow: one page is mostly in the first."""
    low = -_EVER if since is None else since
    high = _EVER if until is None else until
    rows = connection.execute(_SQL["blocks_within"], (project, low, high)).fetchall()
    # Backwards in time is forwards with the signs turned round.
    turn = -1 if descending else 1
    spans = sorted(
        (
            (latest, earliest, block) if descending else (earliest, latest, block)
            for block, earliest, latest in rows
        ),
        key=lambda span: turn * span[0],
    )
    found: list[Window] = []
    begin, last_end = 0, (high if descending else low)
    size = _FIRST_BLOCKS
    while begin < len(spans):
        after = min(len(spans), begin + size)
        end = spans[after][0] - turn if after < len(spans) else (low if descending else high)
        begin, size = after, size * _GROWTH
        if turn * (end - last_end) < 0:
            continue
        blocks = [block for _, far, block in spans[:after] if turn * (far - last_end) >= 0]
        if blocks:
            since_, until_ = (end, last_end) if descending else (last_end, end)
            first, last = min(blocks) << BLOCK_BITS, ((max(blocks) + 1) << BLOCK_BITS) - 1
            found.append(Window(since_, until_, first, last))
        last_end = end + turn
    return found
