"""Evaluations: wanted, claimed by workers, ended, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.params import RawBody

from kibitz.base import api, evaluation_api, refs, wire
from kibitz.base.evaluations import Evaluation, EvaluationQuery, WantStep
from kibitz.base.records import Page
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn
from kibitz.server.routes import bulk

T = TypeVar("T")
RECORDS_AT_ONCE = 25
"""Records that are read before it is looked how large they are."""
RECORDS_BYTES = 32 << 20
"""What an answer has room for; one record is given whatever its size."""


@inputs.posted(api.EVALUATIONS_CLAIM, evaluation_api.ClaimAsked, tag="evaluations", in_thread=False)
async def claim(body: RawBody, store: StoreIn, state: State) -> evaluation_api.Claims:
    """Take evaluations that are due; nobody else gets them until the lease ends."""
    asked = wire.decode_as(evaluation_api.ClaimAsked, body, what="the claim")
    projects = _projects(asked.projects)

    def work() -> evaluation_api.Claims:
        claims = store.evaluations.claim(
            asked.worker,
            limit=asked.limit,
            lease_s=asked.lease_s,
            projects=projects,
            max_attempts=asked.max_attempts,
            except_definitions=asked.except_definitions,
        )
        return evaluation_api.Claims(claims=claims)

    return await _written(state, work)


@inputs.posted(api.EVALUATIONS_NEXT_DUE, evaluation_api.DueAsked, tag="evaluations")
def next_due(body: RawBody, store: StoreIn) -> evaluation_api.Due:
    """When there will be something to claim or to hold to the rules, as far as is known."""
    asked = wire.decode_as(evaluation_api.DueAsked, body, what="the request")
    return evaluation_api.Due(due_at=store.evaluations.next_due(_projects(asked.projects)))


@inputs.posted(api.EVALUATIONS_EXTEND, evaluation_api.Extension, tag="evaluations", in_thread=False)
async def extend(body: RawBody, store: StoreIn, state: State) -> evaluation_api.RunIds:
    """Keep claims for longer. The answer has the runs that are still the worker's."""
    asked = wire.decode_as(evaluation_api.Extension, body, what="the extension")
    kept = await _written(
        state, lambda: store.evaluations.extend(asked.run_ids, lease_s=asked.lease_s)
    )
    return evaluation_api.RunIds(run_ids=kept)


@inputs.posted(api.EVALUATIONS_RELEASE, evaluation_api.Release, tag="evaluations", in_thread=False)
async def release(body: RawBody, store: StoreIn, state: State) -> evaluation_api.Released:
    """Give claims back unbegun: they are due at once, and the attempt does not count."""
    asked = wire.decode_as(evaluation_api.Release, body, what="the release")
    released = await _written(state, lambda: store.evaluations.release(asked.run_ids))
    return evaluation_api.Released(released=released)


@inputs.posted(api.EVALUATIONS_FINISH, evaluation_api.Finish, tag="evaluations", in_thread=False)
async def finish(body: RawBody, store: StoreIn, state: State) -> evaluation_api.RunIds:
    """Say what became of claimed runs. The answer has those that were taken, durably and with their feedback."""

    def work() -> evaluation_api.RunIds:
        # Read in the thread, because it may be megabytes.
        asked = wire.decode_as(evaluation_api.Finish, body, what="the outcomes")
        project = refs.check_project(asked.project)
        return evaluation_api.RunIds(run_ids=store.evaluations.finish(project, asked.outcomes))

    return await _written(state, work)


@inputs.posted(api.EVALUATIONS_RECORDS, evaluation_api.RecordsAsked, tag="evaluations")
def records(body: RawBody, store: StoreIn) -> Response[bytes]:
    """The records of root calls, values included, as many as an answer has room for."""
    asked = wire.decode_as(evaluation_api.RecordsAsked, body, what="the records")
    project = refs.check_project(asked.project)
    waiting = list(dict.fromkeys(asked.call_ids))
    written: dict[str, msgspec.Raw] = {}
    size = 0
    while waiting and size < RECORDS_BYTES:
        found = store.evaluations.records(project, waiting[:RECORDS_AT_ONCE])
        del waiting[:RECORDS_AT_ONCE]
        for call_id, calls in found.items():
            encoded = msgspec.json.encode(calls)
            size += len(encoded)
            if size > RECORDS_BYTES and written:
                waiting.append(call_id)
            else:
                written[call_id] = msgspec.Raw(encoded)
    answer = evaluation_api.RecordsWritten(records=written, left=waiting)
    return Response(wire.encode_record(answer), media_type=wire.MEDIA_TYPE)


@inputs.posted(api.EVALUATIONS_WANT, evaluation_api.Want, tag="evaluations")
def want(body: RawBody, store: StoreIn) -> WantStep:
    """Want evaluations of calls that have ended and match, as far as it goes in a moment."""
    asked = wire.decode_as(evaluation_api.Want, body, what="what is wanted")
    return store.evaluations.want(
        refs.check_project(asked.project),
        asked.definitions,
        bulk.condition(store, asked),
        sample=asked.sample,
        again=asked.again,
        rule=asked.rule,
        cursor=asked.cursor,
    )


@inputs.posted(api.EVALUATIONS_WANT_BY_RULES, evaluation_api.WantByRules, tag="evaluations")
def want_by_rules(body: RawBody, store: StoreIn) -> evaluation_api.LookedAt:
    """Hold calls that ended lately to the active rules of all projects."""
    asked = wire.decode_as(evaluation_api.WantByRules, body, what="the request")
    return evaluation_api.LookedAt(calls=store.evaluations.want_by_rules(limit=asked.limit))


@inputs.posted(api.EVALUATIONS_RETRY, evaluation_api.Retry, tag="evaluations")
def retry(body: RawBody, store: StoreIn) -> evaluation_api.Retried:
    """Want evaluations that have ended anew, by their ids."""
    asked = wire.decode_as(evaluation_api.Retry, body, what="the request")
    wanted = store.evaluations.retry(refs.check_project(asked.project), asked.ids)
    return evaluation_api.Retried(wanted=wanted)


@inputs.posted(api.EVALUATIONS_QUERY, evaluation_api.EvaluationsAsked, tag="evaluations")
def query(body: RawBody, store: StoreIn) -> Page[Evaluation]:
    """A page of evaluations, newest first, without their invocations."""
    asked = wire.decode_as(evaluation_api.EvaluationsAsked, body, what="the query")
    refs.check_project(asked.project)
    return store.evaluations.query(EvaluationQuery(**msgspec.structs.asdict(asked)))


@get(api.EVALUATIONS_PROGRESS, sync_to_thread=True, tags=["evaluations"])
def progress(project: ProjectIn, store: StoreIn) -> evaluation_api.Progress:
    """How far the evaluations of each definition are, most recent first."""
    found = store.evaluations.progress(inputs.project(project))
    return evaluation_api.Progress(progress=list(found))


@get(f"{api.EVALUATIONS}/{{evaluation_id:path}}", sync_to_thread=True, tags=["evaluations"])
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> Evaluation:
    """One evaluation with its invocations."""
    evaluation_id = "/".join(inputs.segments(request, api.EVALUATIONS))
    return store.evaluations.get(inputs.project(project), evaluation_id)


def _projects(names: list[str] | None) -> list[str] | None:
    return None if names is None else [refs.check_project(name) for name in names]


async def _written(state: State, work: Callable[[], T]) -> T:
    """What a worker waits for while it has evaluations: in the threads of deliveries, which no slow question fills."""
    writers: ThreadPoolExecutor = state.writers
    return await asyncio.get_running_loop().run_in_executor(writers, work)


handlers = [
    claim,
    next_due,
    extend,
    release,
    finish,
    records,
    want,
    want_by_rules,
    retry,
    query,
    progress,
    one,
]
