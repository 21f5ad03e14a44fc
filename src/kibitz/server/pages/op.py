"""A version of an op: the source that was run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from litestar import Response, get
from litestar.params import FromPath

from kibitz.base import refs
from kibitz.base.records import ObjectVersion
from kibitz.query.nodes import ColumnField
from kibitz.server.pages import addresses, frames, values
from kibitz.server.pages.addresses import CallsAddress, Condition
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.server.pages.values import Piece

SOURCE_KEYS = ("source", "code")
MAX_LINES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLink:
    """Another version of the same op."""

    version: ObjectVersion
    url: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpPage:
    """The source of one version."""

    template: ClassVar[str] = "op.html"

    frame: Frame
    """What stands around the page."""
    version: ObjectVersion
    """The version that is looked at."""
    lines: tuple[str, ...]
    """Of the source; none where it was not captured."""
    rest: tuple[Piece, ...]
    """What else the version says."""
    versions: tuple[VersionLink, ...]
    """The newest first."""
    calls_url: str
    """The calls of the op."""
    version_calls_url: str
    """The calls of this version."""


@get("/p/{segment:str}/ops/{name:str}/{digest:str}", include_in_schema=False, sync_to_thread=True)
def show_op(
    request: AnyRequest, segment: FromPath[str], name: FromPath[str], digest: FromPath[str]
) -> Response[bytes]:
    """The source of a version of an op."""
    project = addresses.parse_project(segment)
    name = addresses.unescape(name)
    store = frames.store_of(request)
    version = store.objects.get(project, "op", name, digest)
    source, rest = _parts(version.value)
    every = CallsAddress(project=project, nested=True)
    op_ref = refs.op_ref(project, name, digest)
    return frames.send(
        request,
        OpPage(
            frame=frames.frame(
                request,
                f"{name} · {project}",
                project=project,
                projects=store.projects.list(),
                place="calls",
            ),
            version=version,
            lines=tuple(source.splitlines()[:MAX_LINES]),
            rest=values.tree(rest, "") if rest else (),
            versions=tuple(
                VersionLink(
                    version=each,
                    url=addresses.op_path(project, name, each.digest),
                    current=each.digest == digest,
                )
                for each in store.objects.versions(project, "op", name)
            ),
            calls_url=every.adding(Condition(ColumnField("op"), "eq", name)).url,
            version_calls_url=every.adding(Condition(ColumnField("op_ref"), "eq", op_ref)).url,
        ),
    )


def _parts(value: Any) -> tuple[str, Any]:
    """The source, and what stands beside it."""
    if not isinstance(value, dict):
        return "", value
    entries: dict[str, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType] JSON
    for key in SOURCE_KEYS:
        if isinstance(entries.get(key), str):
            return entries.pop(key), entries
    return "", entries
