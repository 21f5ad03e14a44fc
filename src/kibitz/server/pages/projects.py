"""The first page: what is recorded here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from litestar import Response, get

from kibitz.base.records import ProjectInfo
from kibitz.server.pages import frames
from kibitz.server.pages.frames import AnyRequest, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectsPage:
    """All projects of the data folder."""

    template: ClassVar[str] = "projects.html"

    frame: Frame
    """What stands around the page."""
    projects: tuple[ProjectInfo, ...]
    """The one that was used last comes first."""
    address: str
    """The server's address, for the commands that an empty page shows."""


@get("/", include_in_schema=False, sync_to_thread=True)
def show_projects(request: AnyRequest) -> Response[bytes]:
    """All projects, the last used first."""
    projects = frames.store_of(request).projects.list()
    return frames.send(
        request,
        ProjectsPage(
            frame=frames.frame(request, "Projects", projects=projects),
            projects=tuple(
                sorted(
                    projects, key=lambda each: each.last_call_at or each.created_at, reverse=True
                )
            ),
            address=frames.address_of(request),
        ),
    )
