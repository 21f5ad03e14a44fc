"""Actions on all calls of a query, done by a server."""

from __future__ import annotations

from typing import Any

import msgspec

from kibitz.base import api, ids, wire
from kibitz.base.records import BulkCount, BulkStep, FeedbackPart
from kibitz.client.http import Connection
from kibitz.query import json_form
from kibitz.query.nodes import Node


class Bulk:
    """Satisfies `storage.protocols.Bulk`; raises beside what it names what `http.Connection` raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, project: str, where: Node | None, *, whole_traces: bool = False) -> BulkCount:
        asked = {**_which(project, where), "whole_traces": whole_traces}
        return self._connection.post(BulkCount, api.CALLS_BULK_COUNT, wire.encode_record(asked))

    def delete(
        self,
        project: str,
        where: Node | None,
        *,
        expected: int,
        whole_traces: bool = False,
        cursor: str | None = None,
    ) -> BulkStep:
        asked = {
            **_which(project, where),
            "expected": expected,
            "whole_traces": whole_traces,
            "cursor": cursor,
        }
        # Not repeated when the connection breaks: calls that nobody counted may match by then.
        return self._connection.post(
            BulkStep, api.CALLS_BULK_DELETE, wire.encode_record(asked), repeatable=False
        )

    def add_feedback(
        self,
        project: str,
        where: Node | None,
        judgement: FeedbackPart,
        *,
        expected: int,
        cursor: str | None = None,
    ) -> BulkStep:
        # With an id the request may be sent again when the connection breaks.
        said = msgspec.to_builtins(judgement) | {"id": judgement.id or ids.new_id()}
        said.pop("target_ref", None)
        asked = {**_which(project, where), **said, "expected": expected, "cursor": cursor}
        return self._connection.post(BulkStep, api.CALLS_BULK_FEEDBACK, wire.encode_record(asked))


def _which(project: str, where: Node | None) -> dict[str, Any]:
    asked: dict[str, Any] = {"project": project}
    if where is not None:
        asked["query"] = json_form.where_to_json(where)
    return asked
