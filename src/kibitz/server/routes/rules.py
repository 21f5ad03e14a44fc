"""Rules: what a project wants evaluated without being asked."""

from __future__ import annotations

from litestar import delete, get, put
from litestar.params import RawBody

from kibitz.base import api, evaluation_api, wire
from kibitz.base.evaluations import NewRule, Rule
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn

_ONE = f"{api.RULES}/{{name:path}}"


@get(api.RULES, sync_to_thread=True, tags=["rules"])
def listed(project: ProjectIn, store: StoreIn) -> evaluation_api.Rules:
    """The rules of a project, by name, with what they did today."""
    return evaluation_api.Rules(rules=list(store.rules.list(inputs.project(project))))


@get(_ONE, sync_to_thread=True, tags=["rules"])
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> Rule:
    """One rule."""
    return store.rules.get(inputs.project(project), _name(request))


@put(_ONE, status_code=200, sync_to_thread=True, opt={inputs.BODY: NewRule}, tags=["rules"])
def save(request: AnyRequest, body: RawBody, project: ProjectIn, store: StoreIn) -> Rule:
    """Keep a rule under a name, in the place of what the name had."""
    given = wire.decode_as(NewRule, body, what="the rule")
    return store.rules.save(inputs.project(project), _name(request), given)


@delete(_ONE, status_code=200, sync_to_thread=True, tags=["rules"])
def remove(request: AnyRequest, project: ProjectIn, store: StoreIn) -> Rule:
    """Forget a rule; the answer is what it was. What it wanted stays wanted."""
    return store.rules.delete(inputs.project(project), _name(request))


def _name(request: AnyRequest) -> str:
    return "/".join(inputs.segments(request, api.RULES))


handlers = [listed, one, save, remove]
