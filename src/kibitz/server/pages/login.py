"""Where a browser brings a key, and where it chooses how pages look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from litestar import Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body

from kibitz.server import access
from kibitz.server.pages import frames
from kibitz.server.pages.frames import AnyRequest, Frame

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPage:
    """The form for a key."""

    template: ClassVar[str] = "login.html"

    frame: Frame
    """What stands around the page."""
    back: str
    """Where to go with it."""


@get(access.LOGIN, include_in_schema=False, sync_to_thread=True)
def show_login(request: AnyRequest) -> Response[bytes]:
    """The form for a key; `session.login` takes it."""
    back = access.local_path(request.query_params.get("next"))
    return frames.send(request, LoginPage(frame=frames.frame(request, "Log in"), back=back))


@post("/theme", include_in_schema=False, sync_to_thread=False, status_code=303)
def choose_theme(data: Form) -> Response[None]:
    """Remember dark, light or automatic, and go back."""
    theme = data.get("theme", "auto")
    if theme not in frames.THEMES:
        theme = "auto"
    # The script of the page changes it too, without a round trip.
    cookie = frames.preference(frames.THEME_COOKIE, theme, http_only=False)
    return frames.redirect(access.local_path(data.get("back")), cookies=[cookie])
