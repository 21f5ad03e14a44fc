"""Saved views on the calls page: opened by `?view=NAME`, saved, updated and deleted by forms.

A view is a question about all calls of a project, wherever it is asked. So what the page leaves out by itself
(calls made by others, those of scorers) and the time it shows are written into its query, and read back from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from litestar import Response, post
from litestar.params import FromPath

from kibitz.base import api, clock
from kibitz.base.errors import QueryError, UsageError
from kibitz.base.records import View
from kibitz.query import fields, text_form
from kibitz.query.nodes import ColumnField, FeedbackField, Field
from kibitz.server.pages import addresses, conditions, frames, querytext
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.conditions import Condition, Filter
from kibitz.server.pages.feedback_forms import Form
from kibitz.server.pages.frames import AnyRequest
from kibitz.storage.protocols import Store

_ROOTS = Condition(ColumnField("parent_id"), "eq", None)
_NO_SCORERS = Condition(ColumnField("kind"), "ne", addresses.SCORER)
_SINCE = {f"started_at >= now-{name}": name for name in addresses.PRESETS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLink:
    """A saved view that can be opened."""

    name: str
    url: str
    current: bool
    note: str
    """What it asks, shortened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The saved views of a project, beside what the page shows."""

    links: tuple[ViewLink, ...] = ()
    name: str = ""
    """The view that the page began with; empty where there was none."""
    changed: bool = False
    """Whether the page shows something else by now."""
    reset_url: str = ""
    """The view as it was saved."""
    leave_url: str = ""
    """The list without any view."""
    action: str = ""
    """Where the forms go."""
    state: str = ""
    """What the page shows, for the forms."""


def opened(project: str, view: View, known_types: Iterable[str] | None, limit: int) -> CallsAddress:
    """What a view shows; raises `QueryError` where the project has changed so that it cannot be read."""
    reading = querytext.read(view.query, known_types=known_types, now=clock.now())
    sort = reading.sort or text_form.parse(f"sort {view.sort}" if view.sort else "").sort
    address = CallsAddress(
        project=project,
        conditions=reading.filters,
        search=reading.search,
        sort=sort,
        nested=True,
        limit=reading.limit or limit,
        columns=_columns(view.columns),
        view=view.name,
    )
    return _folded(address)


def query_of(address: CallsAddress) -> str:
    """The query in words that finds what a page shows."""
    filters: list[Filter] = list(address.conditions)
    asked = _asked(address)
    if not address.nested and ColumnField("parent_id") not in asked:
        filters.append(_ROOTS)
    if not address.nested and not asked & addresses.CHOOSING:
        filters.append(_NO_SCORERS)
    texts = conditions.to_texts(filters, address.search)
    if address.time:
        texts.append(f"started_at >= now-{address.time}")
    for moment, sign in ((address.since, ">="), (address.until, "<")):
        if moment is not None:
            texts.append(f"started_at {sign} {moment.isoformat()}")
    sort = text_form.format(sort=address.sort)
    return f"{' and '.join(texts)} {sort}".strip()


def beside(store: Store, address: CallsAddress, known_types: Iterable[str]) -> Views:
    """The views of the project, and how the page differs from the one that it began with."""
    saved = store.views.list(address.project)
    current = next((each for each in saved if each.name == address.view), None)
    changed = False
    if current is not None:
        try:
            before = opened(address.project, current, known_types, address.limit)
        except QueryError:
            changed = True
        else:
            changed = _essence(before) != _essence(address)
    empty = CallsAddress(project=address.project)
    return Views(
        links=tuple(
            ViewLink(
                name=each.name,
                url=_url(address.project, each.name),
                current=each.name == address.view,
                note=each.query[:60],
            )
            for each in saved
        ),
        name=address.view if current is not None else "",
        changed=changed,
        reset_url=_url(address.project, address.view),
        leave_url=empty.url,
        action=f"{addresses.project_path(address.project)}/views",
        state=addresses.format_query(address.opening(None)),
    )


@post("/p/{segment:str}/views", include_in_schema=False, sync_to_thread=True, status_code=303)
def change_view(request: AnyRequest, segment: FromPath[str], data: Form) -> Response[None]:
    """Save what a page shows under a name, or delete the view of a name."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    name = " ".join(data.get("name", "").split())
    if not name:
        raise UsageError("a view needs a name")
    pairs = parse_qsl(data.get("state", ""), keep_blank_values=True)
    types = [each.type for each in store.feedback.columns(project)]
    address = addresses.parse(project, pairs, known_types=types).address
    if data.get("action") == "delete":
        store.views.delete(project, name)
        return frames.redirect(replace(address, view="").opening(None).url)
    view = api.NewView(
        query=query_of(address),
        columns=[fields.format(each) for each in address.columns or ()],
        author=frames.reader_name(request),
    )
    store.views.save(project, name, view)
    return frames.redirect(_url(project, name))


def _url(project: str, name: str) -> str:
    return f"{CallsAddress(project=project).path}?{addresses.format_pair('view', name)}"


def _columns(texts: Sequence[str]) -> tuple[FeedbackField, ...] | None:
    """Those that the page can show: what feedback says."""
    found: list[FeedbackField] = []
    for text in texts:
        try:
            field = fields.parse(text)
        except QueryError:
            continue
        if isinstance(field, FeedbackField) and field.path:
            found.append(field)
    return tuple(found) or None


def _asked(address: CallsAddress) -> set[Field]:
    nodes = conditions.to_nodes(address.conditions)
    return {field for node in nodes for field in conditions.mentioned(node)}


def _folded(address: CallsAddress) -> CallsAddress:
    """With the page's own switches in the place of the conditions that say the same."""
    kept = [each for each in address.conditions if each not in (_ROOTS, _NO_SCORERS)]
    plain = replace(address, conditions=tuple(kept))
    scorers_are_out = _NO_SCORERS in address.conditions or _asked(plain) & addresses.CHOOSING
    if _ROOTS in address.conditions and scorers_are_out:
        address = replace(plain, nested=False)
    for each in address.conditions:
        if each.text in _SINCE:
            return replace(address.without(each), time=_SINCE[each.text])
    return address


def _essence(address: CallsAddress) -> tuple[object, ...]:
    """What a view keeps."""
    return query_of(address), address.columns
