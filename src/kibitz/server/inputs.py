"""What handlers are given: the store and the settings by dependency, names out of paths, times out of queries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter, SkipValidation

from kibitz.base import refs
from kibitz.base.errors import UsageError
from kibitz.base.settings import ServerSettings
from kibitz.server.access import Keys
from kibitz.storage.protocols import Store

StoreIn = NamedDependency[SkipValidation[Store]]
SettingsIn = NamedDependency[SkipValidation[ServerSettings]]
KeysIn = NamedDependency[SkipValidation[Keys]]
ProjectIn = Annotated[str, QueryParameter(description="The project: `app` or `team/app`.")]
AnyRequest = Request[Any, Any, Any]

BODY = "body"
"""The key of a handler's `opt` that names the record its body is, for the description of the API."""


def posted(
    path: str, body: type[Any], *, tag: str, status_code: int = 200, in_thread: bool = True
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """A handler of `POST` that takes a record.

    Args:
        path: where.
        body: the record, which the handler reads from the bytes, and which the description of the API names.
        tag: the noun that it is listed under there.
        status_code: of an answer.
        in_thread: whether to run it in a thread; not where it is a coroutine.
    """
    further: dict[str, Any] = {"sync_to_thread": True} if in_thread else {}
    return post(path, status_code=status_code, opt={BODY: body}, tags=[tag], **further)


def provided(*names: str) -> dict[str, Provide]:
    """Dependencies by these names, each what the state of the application has by it."""
    return {name: Provide(_of_state(name), sync_to_thread=False) for name in names}


def _of_state(name: str) -> Callable[[State], Any]:
    def provide(state: State) -> Any:
        return state[name]

    return provide


def segments(request: AnyRequest, below: str) -> list[str]:
    """The names below a path, each as it was written: a slash within one is `%2F`.

    The decoded path does not tell a slash of a name from one between names.
    """
    raw = request.scope["raw_path"]
    written = raw.partition(b"?")[0].removeprefix(below.encode()).strip(b"/")
    return [unquote_to_bytes(part).decode("utf-8", "replace") for part in written.split(b"/")]


def project(name: str) -> str:
    """A project's name from outside; raises `UsageError`."""
    return refs.check_project(name)


def moment(text: str | None, field: str) -> datetime | None:
    """A time from a query, RFC 3339 with a zone; raises `UsageError`."""
    if text is None:
        return None
    try:
        # A '+' that was not encoded arrives as a space.
        found = msgspec.convert(text.replace(" ", "+"), datetime, strict=True)
    except msgspec.ValidationError as error:
        found = None
        cause = error
    else:
        cause = None
    if found is None or found.tzinfo is None:
        raise UsageError(
            f"{field} {text[:60]!r} is not a time with a zone; write 2026-01-31T12:00:00Z",
            field=field,
        ) from cause
    return found
