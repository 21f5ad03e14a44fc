"""The rules of a project: what it wants evaluated without being asked."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from kibitz.base import clock, refs
from kibitz.base.errors import InvalidRecord, NotFound, QueryError, RefError, UsageError
from kibitz.base.evaluations import NewRule, Rule
from kibitz.query import fields, shapes, text_form
from kibitz.storage import statements
from kibitz.storage.sqlite import definitions
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.evaluation_rows import DAY_US
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import WriterNames, project_pk

_SQL = statements.load("evaluations.sql")
_FEEDBACK_SQL = statements.load("sqlite.sql")
MAX_NAME_CHARACTERS = 100
MAX_DEFINITIONS = 64
"""Of one rule."""
MAX_RULES = 1000
"""Of a project."""


class SqliteRules:
    """Satisfies `storage.protocols.RuleStore`."""

    def __init__(self, readers: Readers, ingest: SqliteIngest) -> None:
        self._readers = readers
        self._ingest = ingest

    def get(self, project: str, name: str) -> Rule:
        """One rule; raises `NotFound`."""
        with self._readers.reading() as connection:
            return _one(connection, project, project_pk(connection, project), name)[1]

    def save(self, project: str, name: str, rule: NewRule) -> Rule:
        """Keep a rule under a name, in the place of what the name had. See `storage.protocols.RuleStore`."""
        refs.check_project(project)
        check_name(name)
        _check(rule)

        def write(connection: sqlite3.Connection) -> Rule:
            names = WriterNames()
            now = clock.now_ns() // 1000
            pk = names.project(connection, project, now)
            types = [
                row[0] for row in connection.execute(_FEEDBACK_SQL["feedback_type_names"], (pk,))
            ]
            _check_query(rule.query, types)
            check_definitions(connection, pk, project, rule.definitions)
            rule_pk = names.rule(connection, pk, name)
            connection.execute(
                _SQL["save_rule"],
                (
                    rule_pk,
                    pk,
                    msgspec.json.encode(list(dict.fromkeys(rule.definitions))).decode(),
                    rule.query,
                    rule.sample,
                    rule.per_day,
                    rule.usd_per_day,
                    rule.active,
                    rule.author,
                    now,
                    now,
                ),
            )
            (count,) = connection.execute(_SQL["count_rules"], (pk,)).fetchone()
            if count > MAX_RULES:
                raise UsageError(
                    f"project {project!r} has {MAX_RULES:,} rules, and no more can be kept; delete some",
                    limit=MAX_RULES,
                )
            _hasten(connection, pk, rule_pk, now)
            return _one(connection, project, pk, name)[1]

        return self._ingest.change(write)

    def delete(self, project: str, name: str) -> Rule:
        """Forget a rule and give what it was; raises `NotFound`."""

        def write(connection: sqlite3.Connection) -> Rule:
            project_of = project_pk(connection, project)
            pk, deleted = _one(connection, project, project_of, name)
            connection.execute(_SQL["delete_rule"], (pk,))
            _hasten(connection, project_of, pk, clock.now_ns() // 1000)
            return deleted

        return self._ingest.change(write)

    # Last, because the class has a method of that name from here on.
    def list(self, project: str) -> Sequence[Rule]:
        """The rules of a project by name; raises `NotFound` where there is no project."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            return [said for _, said in rows(connection, pk, project, clock.now_ns() // 1000)]


def _hasten(connection: sqlite3.Connection, project: int, rule: int, now: int) -> None:
    """Let what waited for the money of the next day be looked at again: the budget may be another."""
    tomorrow = (now // DAY_US + 1) * DAY_US
    connection.execute(_SQL["hasten"], (now, tomorrow, rule, project))


def rows(
    connection: sqlite3.Connection,
    project: int,
    project_name: str,
    now: int,
    name: str | None = None,
) -> list[tuple[int, Rule]]:
    """(pk of the name, rule) of the rules of a project, or of one of them."""
    found = connection.execute(_SQL["rules"], (now // DAY_US, project, name))
    return [(row[-1], _rule(project_name, row)) for row in found]


def check_name(name: str) -> str:
    """Give a rule's name back, or raise `UsageError` where it cannot be one."""
    if (
        not 0 < len(name) <= MAX_NAME_CHARACTERS
        or not name.isprintable()
        or name != name.strip()
        or not name.strip(".")
    ):
        raise UsageError(
            f"rule {shapes.short(name)} is not a name; use up to {MAX_NAME_CHARACTERS} printable "
            "characters without spaces around them",
            field="name",
        )
    return name


def check_definitions(
    connection: sqlite3.Connection, project: int, project_name: str, wanted: Sequence[str]
) -> None:
    """Hold references to the definitions that a project has.

    Raises:
        UsageError: there is none, or one cannot be the reference of a definition.
        NotFound: the project does not have one of them.
    """
    if not wanted:
        raise UsageError(
            "no definition is named; say what to evaluate with, by references of feedback definitions",
            field="definitions",
        )
    for text in wanted:
        try:
            definitions.check(connection, project, project_name, text)
        except RefError:
            raise
        except InvalidRecord as error:
            raise (
                NotFound(
                    f"project {project_name!r} has no definition {text[:200]!r}; "
                    "store it first, by running the feedback function or by sending its definition",
                    project=project_name,
                    ref=text,
                )
                if error.code == "unknown_reference"
                else UsageError(error.message, field="definitions")
            ) from error


def _check(rule: NewRule) -> None:
    if not 0 <= rule.sample <= 1:
        raise UsageError(f"sample {rule.sample!r} is not a share of 0 to 1", field="sample")
    if rule.per_day is not None and not 0 <= rule.per_day < 1 << 62:
        raise UsageError(
            f"per_day {rule.per_day!r} is not a number of evaluations", field="per_day"
        )
    usd = rule.usd_per_day
    if usd is not None and not (usd >= 0 and math.isfinite(usd)):
        raise UsageError(f"usd_per_day {usd!r} is not an amount of money", field="usd_per_day")
    if len(rule.definitions) > MAX_DEFINITIONS:
        raise UsageError(
            f"a rule has at most {MAX_DEFINITIONS} definitions, not {len(rule.definitions):,}",
            field="definitions",
        )


def _check_query(query: str, types: Sequence[str]) -> None:
    parsed = text_form.parse(query, known_types=types, now=clock.now())
    if parsed.sort or parsed.limit is not None:
        raise QueryError(
            "a rule is held against each call for itself, so its query neither sorts nor has a limit; "
            "bound it by sample, per_day or usd_per_day",
            at="query",
        )


def _one(connection: sqlite3.Connection, project: str, pk: int, name: str) -> tuple[int, Rule]:
    now = clock.now_ns() // 1000
    # A name that none has may hold what no text of the store can.
    found = rows(connection, pk, project, now, name if name.isprintable() else "")
    if found:
        return found[0]
    known = [said.name for _, said in rows(connection, pk, project, now)]
    close = fields.nearest(name, known)
    hint = f"; did you mean {close!r}?" if close else ""
    raise NotFound(
        f"project {project!r} has no rule {name[:MAX_NAME_CHARACTERS]!r}{hint}",
        project=project,
        name=name[:MAX_NAME_CHARACTERS],
        suggestion=close,
    )


def _rule(project: str, row: Any) -> Rule:
    return Rule(
        project=project,
        name=row[1],
        definitions=msgspec.json.decode(row[2], type=list[str]),
        query=row[3],
        sample=row[4],
        per_day=row[5],
        usd_per_day=row[6],
        active=bool(row[7]),
        author=row[8],
        created_at=clock.from_us(row[9]),
        updated_at=clock.from_us(row[10]),
        today=row[11],
        spent_today_usd=row[12] / 1e9,
        left_out_today=row[13],
    )
