"""What stands around every page, and how a page is sent."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, quote, unquote

from litestar import Request, Response
from litestar.datastructures import Cookie

from kibitz.base import refs
from kibitz.base.errors import QueryError
from kibitz.base.records import ProjectInfo
from kibitz.server import access
from kibitz.server.pages import render
from kibitz.storage.protocols import Store

Place = Literal["calls", "feedback", ""]
Theme = Literal["auto", "light", "dark"]
AnyRequest = Request[Any, Any, Any]

THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
THEME_COOKIE = "kibitz_theme"
NAME_COOKIE = "kibitz_name"
YEAR_S = 365 * 86_400
MAX_NAME_CHARACTERS = 80
MAX_PARAMETERS = 500

HEADERS = {
    "cache-control": "private, no-cache",
    "vary": "accept-encoding, cookie, hx-request, hx-target",
}
_WORTH_COMPRESSING = 1400
"""Bytes; what fits one packet gains nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The bar at the left and the head of a page."""

    title: str
    """What the page shows, for the window's title."""
    project: str | None = None
    projects: tuple[str, ...] = ()
    """The names to switch to."""
    place: Place = ""
    """Which entry of the bar is the current one."""
    theme: Theme = "auto"
    here: str = "/"
    """The path and query of this page, to come back to."""
    signed_in: bool = False
    """Whether the browser has a session that can be ended."""


def store_of(request: AnyRequest) -> Store:
    """The store that the application serves."""
    return cast("Store", request.app.state.store)


def frame(
    request: AnyRequest,
    title: str,
    *,
    project: str | None = None,
    projects: Sequence[ProjectInfo] = (),
    place: Place = "",
) -> Frame:
    """The frame for a request."""
    theme = request.cookies.get(THEME_COOKIE, "auto")
    query = request.url.query
    return Frame(
        title=title,
        project=project,
        projects=tuple(each.name for each in projects),
        place=place,
        theme=theme if theme in THEMES else "auto",
        here=request.url.path + (f"?{query}" if query else ""),
        signed_in=access.COOKIE in request.cookies,
    )


def address_of(request: AnyRequest) -> str:
    """The server's own address as the reader has it, for commands to copy."""
    return str(request.base_url).rstrip("/")


def query_pairs(request: AnyRequest) -> list[tuple[str, str]]:
    """The parameters of an address in their order, which the framework's own reading loses; raises `QueryError`."""
    query = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise QueryError(f"the address has more than {MAX_PARAMETERS} parameters") from error


def reader_name(request: AnyRequest) -> str:
    """The name that the reader gave with the last feedback; empty where there was none."""
    return unquote(request.cookies.get(NAME_COOKIE, ""))[:MAX_NAME_CHARACTERS]


def name_of(typed: str) -> str:
    """A reader's name as it was typed into a form: one line, no longer than names are."""
    return " ".join(typed.split())[:MAX_NAME_CHARACTERS]


def targets(request: AnyRequest, *ids: str) -> bool:
    """Whether a script asks for one of these elements only, and the rest need not be made."""
    return request.headers.get("hx-target", "") in ids and "hx-request" in request.headers


def send(request: AnyRequest, page: render.Page, *, status: int = 200) -> Response[bytes]:
    """A page as a response. A browser that has the very same one already is told so."""
    content = render.render(page).encode(errors="replace")
    return _send(request, content, "text/html; charset=utf-8", status)


def send_json(request: AnyRequest, content: bytes) -> Response[bytes]:
    """Data for a script of the pages."""
    return _send(request, content, "application/json", 200)


def _send(request: AnyRequest, content: bytes, media_type: str, status: int) -> Response[bytes]:
    etag = f'W/"{refs.digest(content)}"'
    headers = {**HEADERS, "etag": etag}
    if status == 200 and request.headers.get("if-none-match") == etag:
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    if len(content) > _WORTH_COMPRESSING and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, 4)
        headers["content-encoding"] = "gzip"
    return Response(content, status_code=status, headers=headers, media_type=media_type)


def nothing() -> Response[None]:
    """Nothing to show: a script leaves the page as it is."""
    return Response(None, status_code=204, headers=HEADERS)


def redirect(to: str, *, cookies: Sequence[Cookie] = ()) -> Response[None]:
    """See another page; for the answer to a form."""
    return Response(
        None,
        status_code=303,
        headers={"location": to, "cache-control": "no-store"},
        cookies=cookies,
    )


def preference(name: str, value: str, *, http_only: bool) -> Cookie:
    """A cookie that remembers a choice of the reader's."""
    return Cookie(
        key=name, value=quote(value), max_age=YEAR_S, path="/", samesite="lax", httponly=http_only
    )
