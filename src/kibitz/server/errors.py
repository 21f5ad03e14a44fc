"""Every error as an answer: one JSON shape for programs, a page for browsers.

| status | code | |
|---|---|---|
| 400 | `usage`, `query`, `ref`, `invalid_record`, `settings` | mend the request |
| 400 | `invalid_specification`, `invalid_answer`, `unknown_reference`, `not_permitted`, `out_of_scope` | mend the item |
| 401 | `unauthorized` | bring a key |
| 403 | `forbidden` | a foreign site, or a name that is not this machine's |
| 404 | `not_found` | |
| 405 | `method_not_allowed` | |
| 409 | `conflict` | |
| 413 | `too_large` | send less |
| 415 | `unsupported_media_type` | send JSON, plain or in gzip or zstd |
| 500 | `internal`, `storage_damaged` | the server's fault; its log says more |
| 503 | `unavailable` | wait as `Retry-After` says |
| 504 | `query_timeout` | narrow the query |
| 507 | `storage_full` | |
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from kibitz.base import api, errors, wire
from kibitz.base.errors import KibitzError

AnyRequest = Request[Any, Any, Any]
ErrorPage = Callable[[AnyRequest, int, api.ErrorInfo], Response[Any]]
"""Makes the page that shows an error to a person."""

RETRY_AFTER_S = 1
MAX_SHOWN = 2000
"""Characters of one text in an error."""
INTERNAL = "the server failed at this request; its log has the reason"

_log = logging.getLogger("kibitz.server")
# The first that fits; a subclass stands before what it derives from.
_STATUSES: tuple[tuple[type[KibitzError], int], ...] = (
    (errors.TooLarge, 413),
    (errors.UsageError, 400),
    (errors.Unauthorized, 401),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unavailable, 503),
    (errors.QueryTimeout, 504),
    (errors.StorageFull, 507),
)
_CODES = {
    400: "usage",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def handler(page: ErrorPage | None) -> Callable[[AnyRequest, Exception], Response[Any]]:
    """The one exception handler of the application.

    Args:
        page: What shows an error to somebody who asked for a page; JSON for all where it is None.
    """

    def respond(request: AnyRequest, error: Exception) -> Response[Any]:
        status, info, headers = describe(error)
        if status >= 500 and info.code in {"internal", "storage_damaged"}:
            _log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
        if page is not None and wants_page(request):
            response = page(request, status, info)
            response.headers.update(headers)
            return response
        return Response(
            wire.encode_record(api.Failure(error=info)),
            status_code=status,
            media_type=wire.MEDIA_TYPE,
            headers=headers,
        )

    return respond


class Guard:
    """Outermost: what fails before a handler is chosen, answered like what fails in one."""

    def __init__(
        self, app: ASGIApp, respond: Callable[[AnyRequest, Exception], Response[Any]]
    ) -> None:
        self._app = app
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            request: AnyRequest = Request(scope, receive, send)
            response = self._respond(request, error).to_asgi_response(app=None, request=request)
            await response(scope, receive, send)


def wants_page(request: AnyRequest) -> bool:
    """Whether a person in a browser asks, not a program."""
    try:
        path = request.url.path
    except ValueError:
        # The Host header is no address, which a page would need for its links.
        return False
    return not path.startswith(("/api/", "/health")) and "text/html" in request.headers.get(
        "accept", ""
    )


def describe(error: Exception) -> tuple[int, api.ErrorInfo, dict[str, str]]:
    """(status, what is said, headers) for an error. Nothing of the server's inside is said."""
    if isinstance(error, KibitzError):
        return _described(error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        info = api.ErrorInfo(
            code=_CODES.get(error.status_code, "usage"),
            message=_bounded(_sentence(error)),
            details=_details(error),
        )
        return error.status_code, info, dict(error.headers or {})
    return 500, api.ErrorInfo(code="internal", message=INTERNAL), {}


def _described(error: KibitzError) -> tuple[int, api.ErrorInfo, dict[str, str]]:
    status = next((code for kind, code in _STATUSES if isinstance(error, kind)), None)
    if status is None or isinstance(error, errors.SettingsError):
        code = error.code if isinstance(error, errors.StorageDamaged) else "internal"
        return 500, api.ErrorInfo(code=code, message=INTERNAL), {}
    headers: dict[str, str] = {}
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(max(RETRY_AFTER_S, round(error.retry_after_s or 0)))
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    info = api.ErrorInfo(
        code=error.code, message=_bounded(error.message), details=_plain(error.facts)
    )
    return status, info, headers


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that JSON can say; those are all but what a store keeps for itself."""
    said: dict[str, Any] = {}
    for name, value in facts.items():
        try:
            if isinstance(value, str):
                value = _bounded(value)
            msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError):
            continue
        said[name] = value
    return said


def _bounded(text: str) -> str:
    """A text that may show what was sent, which may be of any length."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


_MISSING = re.compile(r"Missing required query parameter '([^']*)'")


def _sentence(error: HTTPException) -> str:
    """Litestar's own errors, in words that say what to do."""
    if missing := _MISSING.match(error.detail):
        return f"the query parameter {missing[1]!r} is missing; add ?{missing[1]}=…"
    if isinstance(error, ValidationException):
        places = [
            f"{each.get('key', 'the request')}: {each.get('message', 'is wrong')}"
            for each in _validation(error)
        ]
        return "; ".join(places) or str(error.detail)
    if error.status_code == 404 and error.detail == "Not Found":
        return f"there is nothing at this address; the API is described at {api.OPENAPI}"
    if error.status_code == 405:
        return "this address does not take this method"
    return error.detail


def _details(error: HTTPException) -> dict[str, Any]:
    if missing := _MISSING.match(error.detail):
        return {"field": missing[1]}
    if isinstance(error, ValidationException):
        fields = [each["key"] for each in _validation(error) if "key" in each]
        return {"field": fields[0]} if fields else {}
    return {}


def _validation(error: ValidationException) -> list[dict[str, str]]:
    extra: Any = error.extra
    return extra if isinstance(extra, list) else []  # pyright: ignore[reportUnknownVariableType] Litestar's
