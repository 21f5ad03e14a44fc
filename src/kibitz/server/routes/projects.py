"""Projects, and the ops of one."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from kibitz.base import api
from kibitz.server import inputs
from kibitz.server.inputs import ProjectIn, StoreIn


@get(api.PROJECTS, sync_to_thread=True, tags=["projects"])
def all_(store: StoreIn) -> api.Projects:
    """All projects and what is in them."""
    return api.Projects(projects=list(store.projects.list()))


@get(api.OPS, sync_to_thread=True, tags=["projects"])
def ops(project: ProjectIn, store: StoreIn) -> api.Ops:
    """The ops of a project with their number of calls, most called first."""
    found = store.calls.ops(inputs.project(project))
    return api.Ops(ops=[api.OpCount(op=op, calls=calls) for op, calls in found])


@get(api.OPS_DAILY, sync_to_thread=True, tags=["projects"])
def daily(
    project: ProjectIn,
    store: StoreIn,
    since: Annotated[
        str | None, QueryParameter(description="Days from this time on: RFC 3339 with a zone.")
    ] = None,
) -> api.OpDays:
    """Calls, errors and mean latency by op and day in UTC."""
    found = store.calls.by_op_and_day(inputs.project(project), since=inputs.moment(since, "since"))
    return api.OpDays(
        days=[
            api.OpDay(op=op, day=day, calls=calls, errors=errors, mean_latency_ms=latency)
            for op, day, calls, errors, latency in found
        ]
    )


handlers = [all_, ops, daily]
