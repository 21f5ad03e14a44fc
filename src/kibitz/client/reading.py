"""A store that is elsewhere: the questions of a local one, asked over HTTP.

Each class answers as its namesake in `storage/protocols.py` does, raises the same errors, and beside them
what `http.Connection` raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from kibitz.base import api, ids, refs, wire
from kibitz.base.errors import NotFound
from kibitz.base.records import (
    Aggregation,
    Batch,
    Call,
    Count,
    Feedback,
    FeedbackPart,
    FilePart,
    ObjectVersion,
    Page,
    ProjectInfo,
    ScoreColumn,
    SearchCost,
    SearchIndex,
    SearchLevel,
    View,
)
from kibitz.client.bulk import Bulk
from kibitz.client.delivery import HttpDelivery
from kibitz.client.http import Connection
from kibitz.client.judging import Evaluations, Rules
from kibitz.query import aggregation_json, json_form, views
from kibitz.query.aggregation import AggregateQuery
from kibitz.query.nodes import CallQuery, FeedbackQuery, Node


class RemoteStore:
    """The store of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.ingest = HttpDelivery(connection)
        self.calls = Calls(connection)
        self.feedback = FeedbackRows(connection)
        self.objects = Objects(connection)
        self.projects = Projects(connection)
        self.files = Files(connection)
        self.views = Views(connection)
        self.search = Search(connection)
        self.bulk = Bulk(connection)
        self.evaluations = Evaluations(connection)
        self.rules = Rules(connection)

    def export(self, asked: api.ExportAsked) -> AbstractContextManager[Iterator[bytes]]:
        """An export as the server makes it, piece by piece."""
        return self._connection.stream(api.EXPORT, wire.encode_record(asked))

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()


class Calls:
    """The calls of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def query(self, query: CallQuery) -> Page[Call]:
        asked = json_form.to_json(query)
        return self._connection.post(Page[Call], api.CALLS_QUERY, wire.encode_record(asked))

    def count(self, project: str, where: Node | None, *, bound: int = 10_000) -> Count:
        asked: dict[str, Any] = {"project": project, "bound": bound}
        if where is not None:
            asked["query"] = json_form.where_to_json(where)
        return self._connection.post(Count, api.CALLS_COUNT, wire.encode_record(asked))

    def aggregate(self, query: AggregateQuery) -> Aggregation:
        return _aggregate(self._connection, query)

    def get(self, project: str, call_id: str) -> Call:
        return self._connection.read(Call, _below(api.CALLS, call_id), {"project": project})

    def trace(self, project: str, trace_id: str, *, limit: int = 50_000) -> list[Call]:
        asked = {"project": project, "limit": str(limit)}
        return self._connection.read(api.Trace, _below(api.TRACES, trace_id), asked).calls

    def ops(self, project: str) -> list[tuple[str, int]]:
        answer = self._connection.read(api.Ops, api.OPS, {"project": project})
        return [(each.op, each.calls) for each in answer.ops]

    def complete(self, project: str, text: str, at: int | None = None) -> api.Completions:
        asked = api.CompletionAsked(project=project, text=text, cursor=at)
        path = api.CALLS_COMPLETE
        return self._connection.post(api.Completions, path, wire.encode_record(asked))

    def by_op_and_day(
        self, project: str, *, since: datetime | None = None
    ) -> list[tuple[str, str, int, int, float | None]]:
        asked = {"project": project, "since": since.isoformat() if since is not None else None}
        answer = self._connection.read(api.OpDays, api.OPS_DAILY, asked)
        return [
            (each.op, each.day, each.calls, each.errors, each.mean_latency_ms)
            for each in answer.days
        ]


class FeedbackRows:
    """The feedback of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def query(self, query: FeedbackQuery) -> Page[Feedback]:
        asked = api.FeedbackAsked(
            project=query.project,
            type=query.type,
            target_ref=query.target_ref,
            author=query.author,
            ids=None if query.ids is None else list(query.ids),
            since=query.since,
            until=query.until,
            standing=query.standing,
            version=query.version,
            limit=query.limit,
            cursor=query.cursor,
        )
        return self._connection.post(Page[Feedback], api.FEEDBACK_QUERY, wire.encode_record(asked))

    def get(self, project: str, feedback_id: str) -> Feedback:
        return self._connection.read(
            Feedback, _below(api.FEEDBACK, feedback_id), {"project": project}
        )

    def history(self, project: str, feedback_id: str) -> list[Feedback]:
        path = _below(api.FEEDBACK, feedback_id, "history")
        return self._connection.read(api.History, path, {"project": project}).items

    def add(self, project: str, parts: Sequence[FeedbackPart]) -> list[api.FeedbackOutcome]:
        # With ids from here, so that a second delivery is recognised.
        named = [
            part if part.id is not None else msgspec.structs.replace(part, id=ids.new_id())
            for part in parts
        ]
        batch = wire.encode(Batch(project=project, feedback=named))
        return self._connection.post(api.FeedbackOutcomes, api.FEEDBACK_BATCH, batch).outcomes

    def aggregate(self, query: AggregateQuery) -> Aggregation:
        return _aggregate(self._connection, query)

    def columns(self, project: str) -> list[ScoreColumn]:
        asked = {"project": project}
        return self._connection.read(api.Columns, api.FEEDBACK_COLUMNS, asked).columns


class Objects:
    """The ops and objects of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, project: str, kind: str, name: str, digest: str) -> ObjectVersion:
        path = _below(api.OBJECTS, kind, name, digest)
        return self._connection.read(ObjectVersion, path, {"project": project})

    def versions(self, project: str, kind: str, name: str) -> list[ObjectVersion]:
        path = _below(api.OBJECTS, kind, name)
        return self._connection.read(api.Versions, path, {"project": project}).versions

    # Last, because the class has a method of that name from here on.
    def list(
        self, project: str, kind: str | None = None, type: str | None = None
    ) -> Sequence[ObjectVersion]:
        asked = {"project": project, "kind": kind, "type": type}
        return self._connection.read(api.Versions, api.OBJECTS, asked).versions


class Projects:
    """The projects of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[ProjectInfo]:
        return self._connection.read(api.Projects, api.PROJECTS).projects

    def get(self, name: str) -> ProjectInfo:
        for each in self.list():
            if each.name == name:
                return each
        raise NotFound(f"there is no project {name!r} at {self._connection.url}", project=name)


class Files:
    """The files of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, project: str, content: bytes, media_type: str) -> str:
        digest = refs.digest(content)
        part = FilePart(digest=digest, media_type=media_type, content=content)
        receipt = HttpDelivery(self._connection).write(Batch(project=project, files=[part]))
        for each in receipt.rejected:
            raise wire.error_of(each)
        return digest

    def get(self, project: str, digest: str) -> tuple[bytes, str]:
        answer = self._connection.get(_below(api.FILES, digest), {"project": project})
        return answer.body, answer.media_type


class Search:
    """The text index of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status(self, project: str) -> SearchIndex:
        return self._connection.read(SearchIndex, api.SEARCH, {"project": project})

    def set_level(self, project: str, level: SearchLevel) -> SearchIndex:
        body = wire.encode_record(api.NewSearch(level=level))
        return self._connection.put(SearchIndex, api.SEARCH, {"project": project}, body)

    def cost(self, project: str, where: Node | None) -> SearchCost:
        asked: dict[str, Any] = {"project": project}
        if where is not None:
            asked["query"] = json_form.where_to_json(where)
        return self._connection.post(SearchCost, api.SEARCH_COST, wire.encode_record(asked))


class Views:
    """The views of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, project: str) -> Sequence[View]:
        return self._connection.read(api.Views, api.VIEWS, {"project": project}).views

    def get(self, project: str, name: str) -> View:
        return self._connection.read(View, _below(api.VIEWS, name), {"project": project})

    def save(self, project: str, name: str, view: api.NewView) -> View:
        body = wire.encode_record(view)
        path = _below(api.VIEWS, views.check_name(name))
        return self._connection.put(View, path, {"project": project}, body)

    def delete(self, project: str, name: str) -> View:
        return self._connection.delete(View, _below(api.VIEWS, name), {"project": project})


def _aggregate(connection: Connection, query: AggregateQuery) -> Aggregation:
    path = api.CALLS_AGGREGATE if query.over == "calls" else api.FEEDBACK_AGGREGATE
    asked = aggregation_json.to_json(query)
    return connection.post(Aggregation, path, wire.encode_record(asked))


def _below(path: str, *parts: str) -> str:
    return "/".join([path, *(quote(part, safe="") for part in parts)])
