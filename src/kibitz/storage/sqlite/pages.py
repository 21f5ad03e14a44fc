"""What the ways to find a page have in common: leading tables, terms to sort by, hits, and where the next page begins."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from kibitz.base.errors import QueryError
from kibitz.query.nodes import Node, SortKey
from kibitz.query.pieces import Param, Sql, joined
from kibitz.query.sql import Compiler
from kibitz.storage.sqlite import cursors


@dataclass(frozen=True, slots=True)
class Hit:
    """One call of a page, by its pk, and where it stands in the order."""

    pk: int
    position: tuple[Param, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """An expression to sort by."""

    sql: Sql
    descending: bool


@dataclass(frozen=True, slots=True)
class Lead:
    """The tables that lead, up to and with `calls c`.

    Where another leads, calls are looked up by their pk: without NOT INDEXED SQLite may scan an index by time for each.
    """

    text: str
    params: tuple[Param, ...] = ()


def terms_of(
    compiler: Compiler,
    sort: tuple[SortKey, ...],
    *,
    tie: str = "c.pk",
    descending: bool | None = None,
) -> list[Term]:
    """What keys sort by, and at the end which of the ties came first."""
    terms = [Term(sql, key.descending) for key in sort for sql in compiler.sort_terms(key)]
    last = sort[-1].descending if descending is None else descending
    return [*terms, Term(Sql(tie), last)]


def beyond(terms: list[Term], after: list[Param]) -> Sql:
    """The rows that come after a position in the order of the terms."""
    if len(after) != len(terms):
        raise QueryError("the cursor is not of this query; ask for the first page", at="cursor")
    if len({term.descending for term in terms}) == 1:
        sign = "<" if terms[0].descending else ">"
        left = ", ".join(term.sql.text for term in terms)
        marks = ", ".join("?" * len(terms))
        params = tuple(param for term in terms for param in term.sql.params)
        return Sql(f"({left}) {sign} ({marks})", (*params, *after))
    choices: list[Sql] = []
    for index, (term, value) in enumerate(zip(terms, after, strict=True)):
        equal = [
            Sql(f"{before.sql.text} = ?", (*before.sql.params, known))
            for before, known in zip(terms[:index], after[:index], strict=True)
        ]
        sign = "<" if term.descending else ">"
        further = Sql(f"{term.sql.text} {sign} ?", (*term.sql.params, value))
        choices.append(joined([*equal, further], " AND "))
    # Said apart, since no index serves an OR: the first terms that go one way are not before the position.
    together = next(
        index for index, term in enumerate(terms) if term.descending != terms[0].descending
    )
    reached = ", ".join(term.sql.text for term in terms[:together])
    marks = ", ".join("?" * together)
    sign = "<=" if terms[0].descending else ">="
    params = tuple(param for term in terms[:together] for param in term.sql.params)
    begins = Sql(f"({reached}) {sign} ({marks})", (*params, *after[:together]))
    return joined([begins, joined(choices, " OR ")], " AND ")


def in_order(hits: Iterable[Hit], directions: list[bool]) -> list[Hit]:
    """Hits in the order of their positions."""
    found = list(hits)
    for index in reversed(range(len(directions))):
        found.sort(key=lambda hit: cast("Any", hit.position[index]), reverse=directions[index])
    return found


def run(
    connection: sqlite3.Connection,
    lead: Lead,
    condition: Sql,
    compiler: Compiler,
    terms: list[Term],
    after: list[Param] | None,
    wanted: int,
) -> list[Hit]:
    """The first calls in the order of the terms that satisfy a condition and come after a position."""
    if after is not None:
        condition = joined([condition, beyond(terms, after)], " AND ")
    columns = [term.sql for term in terms]
    order = ", ".join(
        f"{index + 1} {'DESC' if term.descending else 'ASC'}" for index, term in enumerate(terms)
    )
    joins = Sql(
        "".join(f" {join.text}" for join in compiler.joins),
        tuple(param for join in compiler.joins for param in join.params),
    )
    text = (
        f"SELECT {', '.join(column.text for column in columns)} {lead.text}"
        f"{payload_join(compiler)}{joins.text} WHERE {condition.text} ORDER BY {order} LIMIT ?"
    )
    params = (
        *(param for column in columns for param in column.params),
        *lead.params,
        *joins.params,
        *condition.params,
        wanted,
    )
    rows = connection.execute(text, params)
    return [Hit(pk=row[-1], position=tuple(row)) for row in rows]


def payload_join(compiler: Compiler) -> str:
    """The table of payloads, where the condition reads it."""
    return " LEFT JOIN payloads p ON p.call = c.pk" if compiler.reads_payload else ""


def signature_of(where: Node | None, sort: tuple[SortKey, ...]) -> str:
    """What a cursor says about the question that it belongs to."""
    return hashlib.sha256(repr((where, sort)).encode("utf-8", "replace")).hexdigest()[:12]


def write_cursor(signature: str, hit: Hit) -> str:
    """The cursor of the page that begins after a hit."""
    return cursors.write((signature, *hit.position))


def read_cursor(cursor: str | None, signature: str) -> list[Param] | None:
    """The position that a cursor says; raises `QueryError` where it is not one of this question."""
    if cursor is None:
        return None
    its_signature, *position = cursors.read(cursor) or [None]
    if its_signature != signature or None in position:
        raise QueryError(
            "the cursor belongs to another filter or sort; ask for the first page", at="cursor"
        )
    return position
