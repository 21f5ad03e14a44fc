"""What a person sees when something cannot be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from litestar import Response

from kibitz.base import api
from kibitz.base.errors import UsageError
from kibitz.server import access
from kibitz.server.pages import addresses, frames
from kibitz.server.pages.frames import AnyRequest, Frame

_TITLES = {
    400: "This address cannot be read",
    401: "Log in first",
    403: "This is not allowed from here",
    404: "There is nothing here",
    405: "This cannot be done here",
    413: "That is too much at once",
    503: "The server is busy",
    504: "That took too long",
    507: "The disk is full",
}
_ADVICE = {
    400: "Mend the address, or begin again from the projects.",
    401: "An API key of this server opens it.",
    404: "It may have been mistyped, or be part of another project.",
    503: "Wait a moment, then load the page again.",
    504: "Narrow the question, for example to a shorter time.",
    507: "Make room on the disk of the data folder; nothing that was stored is lost.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """One error, in sentences."""

    template: ClassVar[str] = "error.html"

    frame: Frame
    """What stands around the page."""
    status: int
    """As HTTP says it."""
    heading: str
    """What kind of trouble it is, for people."""
    message: str
    """What was attempted, the value that was wrong, the way out."""
    advice: str
    """What to do next; empty where there is nothing to say."""
    login: bool
    """Whether a key is what is missing."""
    back: str
    """Where to go with the key."""


def page(request: AnyRequest, status: int, info: api.ErrorInfo) -> Response[bytes]:
    """The page of an error. It asks the store for nothing, because the store may be what failed."""
    heading = _TITLES.get(status, "Something went wrong")
    return frames.send(
        request,
        ErrorPage(
            frame=frames.frame(
                request, heading, project=None if status in (401, 403) else _project(request)
            ),
            status=status,
            heading=heading,
            message=info.message,
            advice=_ADVICE.get(status, ""),
            login=status == 401,
            back=access.local_path(request.query_params.get("next")),
        ),
        status=status,
    )


def _project(request: AnyRequest) -> str | None:
    """The project that the address names, so that there is a way back into it."""
    first, _, rest = request.url.path.removeprefix("/").partition("/")
    if first != "p" or not rest:
        return None
    try:
        return addresses.parse_project(rest.partition("/")[0])
    except UsageError:
        return None
