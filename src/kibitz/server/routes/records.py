"""What is below a call: its evaluations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from litestar import get
from litestar.params import PathParameter

from kibitz.base import api, evaluation_api
from kibitz.server import inputs
from kibitz.server.inputs import ProjectIn, StoreIn
from kibitz.storage.protocols import Store

CallIn = Annotated[str, PathParameter(description="The id of a root call.")]


@get(f"{api.CALLS}/{{call_id:str}}/evaluations", sync_to_thread=True, tags=["evaluations"])
def evaluations(call_id: CallIn, project: ProjectIn, store: StoreIn) -> evaluation_api.Evaluations:
    """The evaluations of a record by its root call, with their invocations."""
    return _evaluations(store, inputs.project(project), call_id)


def _evaluations(store: Store, project: str, call_id: str) -> evaluation_api.Evaluations:
    found = store.evaluations.of_call(project, call_id)
    return evaluation_api.Evaluations(evaluations=list(found))


BELOW: dict[str, Callable[[Store, str, str], Any]] = {"evaluations": _evaluations}
"""What answers an address below a call, by the last part of the address."""

handlers = [evaluations]
