"""The record of a call, as selectors see it: laid out as the app is, with a selector for each place and a box to try one.

/p/acme~bot/calls/ID/record                            the whole, folded where it is large
…?select=Select.RecordCalls.retriever.retrieve.rets[:] what a selector gives
…?at=__record__.app.retriever.retrieve[0].rets         one place of it as the root
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from litestar import Response, get
from litestar.params import FromPath

from kibitz.base.errors import MissingPlace, NotFound, UsageError
from kibitz.judging import lenses
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Record
from kibitz.server.pages import addresses, evaluation_links, frames, record_tree
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.server.pages.record_tree import Place, Selected

TREE_ID = "tree-of-record"
ROOT = "__record__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crumb:
    """A place on the way to the one that is shown."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """A record."""

    template: ClassVar[str] = "record.html"

    frame: Frame
    """What stands around the page."""
    name: str
    """Of the root call's op."""
    call_url: str
    """The call."""
    url: str
    """The page's own address."""
    raw_url: str
    """The record as JSON."""
    selected: Selected | None
    """What the selector in the address gives."""
    at: str
    """The place that is the root of the tree, as a selector; empty for the whole."""
    crumbs: tuple[Crumb, ...]
    """The places on the way there."""
    places: tuple[Place, ...]
    """The tree."""
    text: str
    """Where the place is one text: the text."""
    cut: int
    """Characters of it that are not shown."""
    calls: int
    """Calls of the record."""
    functions_url: str
    """What judges records."""


@get("/p/{segment:str}/calls/{call_id:str}/record", include_in_schema=False, sync_to_thread=True)
def show_record(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """The record of a call, and what a selector gives of it."""
    project = addresses.parse_project(segment)
    call_id = addresses.unescape(call_id)
    store = frames.store_of(request)
    calls = store.evaluations.records(project, [call_id]).get(call_id)
    if not calls:
        raise NotFound(f"project {project!r} has no call {call_id[:80]!r}", id=call_id[:80])
    record = Record.of_calls(calls, call_id)
    path = evaluation_links.record_path(project, call_id)

    def url(place: str) -> str:
        return f"{path}?{addresses.format_pair('at', place)}" if place != ROOT else path

    at = request.query_params.get("at", "") or ROOT
    try:
        value = record_tree.at(record, at)
    except MissingPlace as error:
        raise NotFound(error.message) from error
    except StopIteration as error:
        raise UsageError(f"at {at[:80]!r} selects nothing", field="at") from error
    whole = value if isinstance(value, str) else ""
    asked = request.query_params.get("select", "").strip()
    return frames.send(
        request,
        RecordPage(
            frame=frames.frame(
                request,
                f"Record of {record.root.op or call_id} · {project}",
                project=project,
                projects=store.projects.list(),
                place="calls",
            ),
            name=record.root.display_name or record.root.op or "(no name yet)",
            call_url=addresses.call_path(project, call_id),
            url=path,
            raw_url=evaluation_links.raw_record_path(project, call_id),
            selected=record_tree.select(record, asked, url) if asked else None,
            at="" if at == ROOT else evaluation_links.spoken(record_tree.general(at)),
            crumbs=_crumbs(at, url),
            places=record_tree.tree(value, at, url) if not whole else (),
            text=whole[: record_tree.MAX_WHOLE],
            cut=max(0, len(whole) - record_tree.MAX_WHOLE),
            calls=len(calls),
            functions_url=evaluation_links.functions_path(project),
        ),
    )


def _crumbs(at: str, url: record_tree.Url) -> tuple[Crumb, ...]:
    """Every place on the way to one, itself left out."""
    if at == ROOT:
        return ()
    path = lenses.steps_of(Lens.parse(at))
    found = [Crumb(label="record", url=url(ROOT))]
    for count in range(2, len(path)):
        place = str(Lens(*path[:count]))
        found.append(Crumb(label=str(path[count - 1]).strip("."), url=url(place)))
    return tuple(found)
