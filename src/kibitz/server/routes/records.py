"""Records: a call with all that it called, laid out as the application is, and what was evaluated of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import PathParameter, RawBody

from kibitz.base import api, evaluation_api, refs, wire
from kibitz.base.errors import NotFound
from kibitz.judging import trying
from kibitz.judging.records import Record
from kibitz.server import inputs
from kibitz.server.inputs import ProjectIn, StoreIn
from kibitz.storage.protocols import Store

CallIn = Annotated[str, PathParameter(description="The id of the root call.")]


@get(f"{api.CALLS}/{{call_id:str}}/evaluations", sync_to_thread=True, tags=["evaluations"])
def evaluations(call_id: CallIn, project: ProjectIn, store: StoreIn) -> evaluation_api.Evaluations:
    """The evaluations of a record by its root call, with their invocations."""
    return _evaluations(store, inputs.project(project), call_id)


@get(f"{api.CALLS}/{{call_id:str}}/record", sync_to_thread=True, tags=["records"])
def record(call_id: CallIn, project: ProjectIn, store: StoreIn) -> Response[bytes]:
    """A record, laid out as the application is."""
    return _record(store, inputs.project(project), call_id)


@inputs.posted(api.RECORDS_SELECT, evaluation_api.SelectAsked, tag="records")
def select(body: RawBody, store: StoreIn) -> Response[bytes]:
    """Try a selector on a record: what it selects and exactly where, or how far it goes."""
    asked = wire.decode_as(evaluation_api.SelectAsked, body, what="the selector")
    found = _read(store, refs.check_project(asked.project), asked.call_id)
    tried = trying.attempt(found, asked.lens, limit=asked.limit)
    return Response(wire.encode_record(tried), media_type=wire.MEDIA_TYPE)


def _evaluations(store: Store, project: str, call_id: str) -> evaluation_api.Evaluations:
    found = store.evaluations.of_call(project, call_id)
    return evaluation_api.Evaluations(evaluations=list(found))


def _record(store: Store, project: str, call_id: str) -> Response[bytes]:
    # Written here, in a thread: of thousands of calls it keeps the event loop from everybody else.
    written = wire.encode_record(_read(store, project, call_id).to_json())
    return Response(written, media_type=wire.MEDIA_TYPE)


def _read(store: Store, project: str, call_id: str) -> Record:
    calls = store.evaluations.records(project, [call_id]).get(call_id)
    if calls is None:
        raise NotFound(f"project {project!r} has no call {call_id!r}", project=project, id=call_id)
    return Record.of_calls(calls, call_id)


BELOW: dict[str, Callable[[Store, str, str], Any]] = {
    "evaluations": _evaluations,
    "record": _record,
}
"""What answers an address below a call, by the last part of the address."""

handlers = [evaluations, record, select]
