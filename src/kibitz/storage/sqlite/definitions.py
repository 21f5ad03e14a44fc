"""Which definitions a project has: what evaluations may name."""

from __future__ import annotations

import sqlite3

import msgspec

from kibitz.base.errors import InvalidRecord, UnknownReference
from kibitz.base.evaluations import DEFINITION
from kibitz.storage import statements
from kibitz.storage.sqlite.evaluation_parts import definition_ref
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("evaluations.sql")


class _Typed(msgspec.Struct):
    type: object = msgspec.field(name="$type", default=None)


_read_type = msgspec.json.Decoder(_Typed).decode


def check(connection: sqlite3.Connection, project: int, project_name: str, text: str) -> int | None:
    """The pk of the reference of a definition that the project has; None where nothing was said of it yet.

    Raises:
        UnknownReference: the project does not have it.
        InvalidRecord: it is no definition.
    """
    ref = definition_ref(text, project_name)
    row = connection.execute(
        _SQL["definition_value"], (text, project, ref.name, ref.digest)
    ).fetchone()
    if row is None:
        raise UnknownReference(
            f"definition_ref {text!r} names a version that the project does not have; "
            "send the definition first, or in the same batch",
            field="definition_ref",
            ref=text,
        )
    if _read_type(row[1]).type != DEFINITION:
        raise InvalidRecord(
            f"definition_ref {text!r} names an object that is no definition of a feedback function",
            field="definition_ref",
        )
    return row[0]


def ensure(
    connection: sqlite3.Connection,
    names: WriterNames,
    project: int,
    project_name: str,
    text: str,
) -> int:
    """The same for who writes: the pk is made where nothing was said of it yet."""
    pk = names.definitions.get((project, text))
    if pk is None:
        found = check(connection, project, project_name, text)
        pk = names.ref(connection, text) if found is None else found
        assert pk is not None
        names.definitions[project, text] = pk
    return pk
