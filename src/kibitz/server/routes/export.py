"""A project as a stream of bytes."""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import RawBody, SkipValidation
from litestar.response import Stream

from kibitz.base import api, clock, refs, wire
from kibitz.base.errors import MissingExtra, UsageError
from kibitz.export import streams
from kibitz.query import json_form, text_form
from kibitz.query.nodes import CallQuery
from kibitz.server import inputs
from kibitz.storage.protocols import LocalStore

LocalStoreIn = NamedDependency[SkipValidation[LocalStore]]


@post(
    api.EXPORT,
    status_code=200,
    sync_to_thread=True,
    opt={inputs.BODY: api.ExportAsked},
    tags=["export"],
    media_type="application/octet-stream",
)
def export(body: RawBody, store: LocalStoreIn) -> Stream:
    """A project, or the calls of a query with what belongs to them, in one of the formats."""
    asked = wire.decode_as(api.ExportAsked, body, what="the export")
    project = refs.check_project(asked.project)
    query, limit = _query(asked, project, store)
    try:
        chunks = streams.stream(
            store, project, asked.format, query=query, limit=limit, tables=asked.tables
        )
    except MissingExtra as error:
        raise UsageError(
            f"this server cannot write {asked.format}: {error.message}", field="format"
        ) from error
    name = streams.file_name(project, asked.format, asked.tables)
    return Stream(
        chunks,
        headers={
            "Content-Type": streams.MEDIA_TYPES[asked.format, asked.tables],
            "Content-Disposition": f'attachment; filename="{name}"',
        },
    )


def _query(
    asked: api.ExportAsked, project: str, store: LocalStore
) -> tuple[CallQuery | None, int | None]:
    if asked.filter is None and asked.query is None and not asked.text:
        return None, None
    filter_ = None if asked.filter is None else msgspec.to_builtins(asked.filter)
    where = json_form.parse_conditions(filter_, asked.query)
    types = (each.type for each in store.feedback.columns(project))
    parsed = text_form.parse(asked.text or "", known_types=types, now=clock.now())
    where = text_form.both(where, parsed.where)
    return CallQuery(project=project, where=where, sort=parsed.sort), parsed.limit


handlers = [export]
