"""The calls of a project: filtered, sorted, paged, watched; one of them open beside the list."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from litestar import Response, get
from litestar.params import FromPath

from kibitz.base.errors import NotFound, QueryError, QueryTimeout, UsageError
from kibitz.base.records import Call, CallStatus, Page, ProjectInfo, ScoreColumn
from kibitz.query import fields
from kibitz.query.nodes import ColumnField
from kibitz.server.pages import addresses, columns, conditions, formats, frames, querybar, views
from kibitz.server.pages.addresses import CallsAddress, Problem
from kibitz.server.pages.call import CallPane, load_pane
from kibitz.server.pages.columns import Cell, Choice, Header
from kibitz.server.pages.conditions import Condition, Operator
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.storage.protocols import Store

RESULTS_ID = "results"
ROWS_ID = "rows"
DRAWER_ID = "drawer"
TYPING = "kibitz-typing"
"""A header: somebody is still writing the query."""
MAX_OPS = 40
"""Ops that the menu offers; the filter form takes any."""
STATUSES: tuple[CallStatus, ...] = ("success", "error", "running")
_TIME_WORDS = {
    "15m": "15 minutes",
    "1h": "1 hour",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A choice that is an address."""

    label: str
    url: str
    current: bool = False
    note: str = ""
    """What stands beside it, such as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One line of the table."""

    id: str
    url: str
    """The call's own page."""
    open_url: str
    """This list with the call open beside it."""
    op: str
    name: str
    """Its display name, where it has one; else the op."""
    op_url: str
    """The list with this op only."""
    kind: str
    status: CallStatus
    status_url: str
    """The list with this status only."""
    started_at: datetime
    latency_ms: float | None
    input: str
    output: str
    error: str
    """What was raised; empty where nothing was."""
    nested: bool
    """Whether another call made it."""
    cells: tuple[Cell, ...]
    revision: str
    """Changes when anything of the line does."""
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why there is no list, and what to do."""

    heading: str
    message: str
    url: str
    """The address that works."""
    action: str
    """What that does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPage:
    """The lines alone, for a list that is being watched."""

    template: ClassVar[str] = "_rows.html"

    rows: tuple[CallRow, ...]
    """The calls of the page, in its order."""
    labels: tuple[str, ...]
    """Of the feedback columns, for cards."""
    relative_times: bool = False
    """Times in words would make every answer a new one; the script says them so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountPage:
    """How many calls match, for a list that is longer than a page."""

    template: ClassVar[str] = "_count.html"

    words: str
    """Such as "Some 1,200 calls", as a reader wants to hear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawerPage:
    """The open call alone, for a list that is there already."""

    template: ClassVar[str] = "_drawer.html"

    frame: Frame
    """What stands around the page."""
    pane: CallPane | None
    """The call; None where it is not there (any more)."""
    close_url: str
    """The list without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsPage:
    """The table of calls."""

    template: ClassVar[str] = "calls.html"

    frame: Frame
    """What stands around the page."""
    address: CallsAddress
    """What the page shows, as its address says it."""
    text: str
    """What stands in the query bar."""
    reading: querybar.Reading
    """How that was understood."""
    problems: tuple[Problem, ...]
    """Parts of the address that cannot be read; then nothing is asked."""
    mistake: querybar.Mistake | None
    """What is wrong with the query."""
    trouble: Trouble | None
    """Why the list could not be made, where it could not."""
    is_new: bool
    """Whether the project has no calls at all."""
    server: str
    """The server's address, for the commands that an empty page shows."""
    chips: tuple[querybar.Chip, ...]
    """The active filters."""
    search_note: str
    """How a search for texts is answered, and at what cost; empty where nothing is searched for."""
    call_headers: tuple[Header, ...]
    """The heads of what every call has."""
    feedback_headers: tuple[Header, ...]
    """The heads of the feedback columns."""
    rows: tuple[CallRow, ...]
    """The calls of this page of the list."""
    labels: tuple[str, ...]
    """Of the feedback columns, for cards."""
    relative_times: bool
    """Whether times are said as "2 min ago"."""
    choices: tuple[Choice, ...]
    """All feedback columns, to show or hide."""
    times: tuple[Link, ...]
    """Times to narrow the list to."""
    ops: tuple[Link, ...]
    """Ops to filter by, the most called first."""
    statuses: tuple[Link, ...]
    """Statuses to filter by."""
    limits: tuple[Link, ...]
    """How many calls a page has."""
    scope: tuple[Link, ...]
    """Root calls, or all."""
    live: Link
    """New calls by themselves, or not."""
    clear_url: str
    """The list without any filter."""
    newer_url: str
    """Empty on the first page."""
    older_url: str
    """Empty on the last page."""
    first_url: str
    """The first page."""
    count_words: str
    """How many there are; empty where that is asked for later."""
    count_url: str
    """Where the number of calls is asked for."""
    fields: tuple[str, ...]
    """Fields that the filter form suggests."""
    operators: tuple[tuple[Operator, str], ...]
    """What the filter form can ask: the word of an address, and the sign for people."""
    hidden: tuple[tuple[str, str], ...]
    """The parameters of this address, for forms to carry on."""
    views: views.Views
    """What was saved under names."""
    pane: CallPane | None
    """The call that is open beside the list."""
    close_url: str
    """The list without the open call."""
    bulk_url: str
    """What can be done with all calls of the list."""


@get("/p/{segment:str}/calls", include_in_schema=False, sync_to_thread=True)
def list_calls(request: AnyRequest, segment: FromPath[str]) -> Response[bytes] | Response[None]:
    """The calls that an address asks for."""
    project = addresses.parse_project(segment)
    pairs = frames.query_pairs(request)
    if any(name == "field" for name, _ in pairs):
        return frames.redirect(_with_form(frames.store_of(request), project, pairs))
    store = frames.store_of(request)
    parsed = parse(store, project, pairs)
    if parsed.problems and TYPING in request.headers:
        # Half a query is no mistake yet: the list stays until it is one.
        return frames.nothing()
    if frames.targets(request, DRAWER_ID):
        return _send_drawer(request, store, parsed.address)
    if frames.targets(request, ROWS_ID) and not parsed.problems:
        found = _Found(store, parsed.address)
        return frames.send(
            request, RowsPage(rows=_rows(parsed.address, found), labels=_labels(found))
        )
    return frames.send(
        request,
        _page(request, store, parsed),
        status=400 if parsed.problems and not frames.targets(request, RESULTS_ID) else 200,
    )


@get("/p/{segment:str}/calls/count", include_in_schema=False, sync_to_thread=True)
def count_calls(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """How many calls an address finds, in words."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    address = parse(store, project, frames.query_pairs(request)).address
    try:
        counted = store.calls.count(project, addresses.to_node(address))
    except QueryTimeout:
        return frames.send(request, CountPage(words="many calls"))
    words = formats.count(counted.count, "call")
    return frames.send(request, CountPage(words=words if counted.exact else f"more than {words}"))


_BESIDE_A_VIEW = frozenset(("view", "call", "limit", "cursor", "back", "live"))
"""Parameters that leave a view what it is."""


def parse(store: Store, project: str, pairs: Sequence[tuple[str, str]]) -> addresses.Parsed:
    """The state of an address; a view alone stands for what it asks."""
    parsed = addresses.parse(project, pairs, known_types=_types(store, project))
    name = parsed.address.view
    if not name or any(each not in _BESIDE_A_VIEW for each, _ in pairs):
        return parsed
    try:
        view = store.views.get(project, name)
        found = views.opened(project, view, _types(store, project), parsed.address.limit)
    except (NotFound, QueryError) as error:
        problem = Problem("view", name, error.message)
        without = replace(parsed.address, view="")
        return replace(parsed, address=without, problems=(*parsed.problems, problem))
    opened = replace(
        found,
        cursor=parsed.address.cursor,
        trail=parsed.address.trail,
        call=parsed.address.call,
        live=parsed.address.live,
    )
    return replace(parsed, address=opened)


def _types(store: Store, project: str) -> Iterator[str]:
    """The feedback types of a project; nothing is read before the first is taken."""
    yield from {each.type for each in store.feedback.columns(project)}


def _with_form(store: Store, project: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The address that the filter form adds one filter to, or a click on a value narrows."""
    form = {name: value for name, value in pairs if name in ("field", "operator", "value", "how")}
    rest = [pair for pair in pairs if pair[0] not in form]
    parsed = addresses.parse(project, rest, known_types=_types(store, project))
    address = parsed.address
    operator = form.get("operator", "eq")
    text = f"{form['field'].strip()}:{operator}:{form.get('value', '').strip()}"
    try:
        if operator not in conditions.OPERATORS:
            raise QueryError(f"operator {operator[:40]!r} is not known")
        condition = conditions.make_condition(
            form["field"].strip(), operator, form.get("value", "").strip()
        )
    except QueryError:
        # The page explains what is wrong with it, and keeps the rest.
        query = addresses.format_query(address)
        wrong = addresses.format_pair("where", text)
        return f"{address.path}?{query}&{wrong}" if query else f"{address.path}?{wrong}"
    changed = address.narrowed if form.get("how") == "narrow" else address.adding
    return changed(condition).opening(None).url


class _Found:
    """What the store has to say about an address: one question each for the page and the columns."""

    def __init__(self, store: Store, address: CallsAddress) -> None:
        self.available: list[ScoreColumn] = store.feedback.columns(address.project)
        self.shown = columns.choose(self.available, address)
        asked = addresses.to_query(address, frozenset(("scores",)) if self.shown else frozenset())
        self.page: Page[Call] = store.calls.query(asked)


def _page(request: AnyRequest, store: Store, parsed: addresses.Parsed) -> CallsPage:
    address = parsed.address
    projects = store.projects.list()
    info = next((each for each in projects if each.name == address.project), None)
    found, trouble = None, None
    if not parsed.problems and info is not None:
        try:
            found = _Found(store, address)
        except (QueryTimeout, UsageError) as error:
            trouble = _trouble(address, error)
    available = found.available if found else []
    available_types = [each.type for each in available]
    shown = found.shown if found else ()
    cursor = found.page.next_cursor if found else None
    rows = _rows(address, found) if found else ()
    pane = _pane(request, store, address)
    return CallsPage(
        frame=frames.frame(
            request,
            f"Calls · {address.project}",
            project=address.project,
            projects=projects,
            place="calls",
        ),
        address=address,
        text=querybar.text_of(parsed),
        reading=querybar.reading_of(parsed),
        problems=tuple(each for each in parsed.problems if each.at is None),
        mistake=querybar.mistake_of(parsed, available_types),
        trouble=trouble,
        is_new=info is None or info.calls == 0,
        server=frames.address_of(request),
        chips=querybar.chips(address),
        search_note=querybar.search_note(store, address) if found else "",
        call_headers=columns.call_headers(address),
        feedback_headers=columns.feedback_headers(
            address, shown, available, [row.cells for row in rows]
        ),
        rows=rows,
        labels=_labels(found) if found else (),
        relative_times=True,
        choices=columns.choices(available, shown),
        times=_times(address),
        ops=_ops(store, address, info),
        statuses=_statuses(address),
        limits=_limits(address),
        scope=_scope(address),
        live=Link(
            label="Live",
            url=address.changed(live=not address.live).url,
            current=address.live,
        ),
        clear_url=address.cleared().opening(None).url,
        newer_url=address.preceding().url if address.cursor else "",
        older_url=address.following(cursor).url if cursor else "",
        first_url=address.changed(call=None).url,
        count_words=_count_words(address, found),
        count_url=_beside(address, "count"),
        fields=_fields(available),
        operators=tuple(conditions.SYMBOLS.items()),
        hidden=tuple(addresses.parameters(address.changed(call=None))),
        views=views.beside(store, address, available_types) if info else views.Views(),
        pane=pane,
        close_url=address.opening(None).url,
        bulk_url=_beside(address, "bulk"),
    )


def _limits(address: CallsAddress) -> tuple[Link, ...]:
    return tuple(
        Link(
            label=str(limit),
            url=address.changed(limit=limit, call=None).url,
            current=address.limit == limit,
        )
        for limit in addresses.LIMITS
    )


def _scope(address: CallsAddress) -> tuple[Link, ...]:
    return (
        Link(
            label="Root calls",
            note="Calls that no other call made; those of scorers are left out",
            url=address.changed(nested=False, call=None).url,
            current=not address.nested,
        ),
        Link(
            label="All calls",
            url=address.changed(nested=True, call=None).url,
            current=address.nested,
        ),
    )


def _send_drawer(request: AnyRequest, store: Store, address: CallsAddress) -> Response[bytes]:
    return frames.send(
        request,
        DrawerPage(
            frame=frames.frame(request, f"Calls · {address.project}", project=address.project),
            pane=_pane(request, store, address),
            close_url=address.opening(None).url,
        ),
    )


def _pane(request: AnyRequest, store: Store, address: CallsAddress) -> CallPane | None:
    if address.call is None:
        return None
    try:
        return load_pane(request, store, address.project, address.call, drawer_of=address)
    except NotFound:
        return None


def _labels(found: _Found) -> tuple[str, ...]:
    return tuple(map(formats.field, found.shown))


def _trouble(address: CallsAddress, error: QueryTimeout | UsageError) -> Trouble:
    if isinstance(error, QueryTimeout):
        return Trouble(
            heading="That took too long",
            message=error.message,
            url=address.changed(time="24h", since=None, until=None, call=None).url,
            action="Look at the last 24 hours only",
        )
    if address.cursor:
        return Trouble(
            heading="This page of the list cannot be found",
            message=error.message,
            url=address.changed(call=None).url,
            action="Begin with the first page",
        )
    return Trouble(
        heading="This cannot be asked",
        message=error.message,
        url=address.cleared().changed(sort=(), call=None).url,
        action="Clear filters and sort",
    )


def _rows(address: CallsAddress, found: _Found) -> tuple[CallRow, ...]:
    calls = found.page.items
    cells = columns.cells(address, found.shown, calls)
    by_op = columns.Adder(address, ColumnField("op"))
    by_status = columns.Adder(address, ColumnField("status"))
    here = address.opening(None)
    separator = "&" if "?" in here.url else "?"
    base = here.url + separator
    return tuple(
        _row(address, call, row_cells, base, by_op.url(call.op), by_status.url(call.status))
        for call, row_cells in zip(calls, cells, strict=True)
    )


def _row(
    address: CallsAddress,
    call: Call,
    cells: tuple[Cell, ...],
    base: str,
    op_url: str,
    status_url: str,
) -> CallRow:
    seen = (
        call.status,
        call.latency_ms,
        call.input_preview,
        call.output_preview,
        call.error,
        call.display_name,
        [cell.text for cell in cells],
    )
    return CallRow(
        id=call.id,
        url=addresses.call_path(call.project, call.id),
        open_url=base + addresses.format_pair("call", call.id),
        op=call.op,
        name=call.display_name or call.op or "(no name yet)",
        op_url=op_url,
        kind=call.kind or "",
        status=call.status,
        status_url=status_url,
        started_at=call.started_at,
        latency_ms=call.latency_ms,
        input=call.input_preview,
        output=call.output_preview,
        error=call.error or "",
        nested=call.parent_id is not None,
        cells=cells,
        revision=f"{zlib.crc32(repr(seen).encode(errors='replace')):08x}",
        is_open=call.id == address.call,
    )


def _times(address: CallsAddress) -> tuple[Link, ...]:
    def link(preset: str, label: str) -> Link:
        return Link(
            label=label,
            url=address.changed(time=preset, since=None, until=None, call=None).url,
            current=address.time == preset and not (address.since or address.until),
        )

    return (link("", "All time"), *(link(key, _TIME_WORDS[key]) for key in addresses.PRESETS))


def _ops(store: Store, address: CallsAddress, info: ProjectInfo | None) -> tuple[Link, ...]:
    if info is None:
        return ()
    field = ColumnField("op")
    links: list[Link] = []
    for op, count in store.calls.ops(address.project)[:MAX_OPS]:
        condition = Condition(field, "eq", op)
        current = condition in address.conditions
        changed = address.without(condition) if current else address.adding(condition)
        links.append(
            Link(label=op, url=changed.opening(None).url, current=current, note=f"{count:,}")
        )
    return tuple(links)


def _statuses(address: CallsAddress) -> tuple[Link, ...]:
    links: list[Link] = []
    for status in STATUSES:
        condition = Condition(ColumnField("status"), "eq", status)
        current = condition in address.conditions
        changed = address.without(condition) if current else address.adding(condition)
        links.append(Link(label=status, url=changed.opening(None).url, current=current))
    return tuple(links)


def _count_words(address: CallsAddress, found: _Found | None) -> str:
    """Known without asking where the list fits one page."""
    if found is None or address.cursor or found.page.next_cursor:
        return ""
    return formats.count(len(found.page.items), "call")


def _beside(address: CallsAddress, name: str) -> str:
    """Another address about the same calls."""
    plain = address.changed(
        columns=None, call=None, live=False, limit=addresses.DEFAULT_LIMIT, view=""
    )
    query = addresses.format_query(plain)
    return f"{address.path}/{name}?{query}" if query else f"{address.path}/{name}"


def _fields(available: Sequence[ScoreColumn]) -> tuple[str, ...]:
    return (
        *(each.field for each in available),
        *fields.COLUMNS,
        *(f"{root}." for root in fields.ROOTS),
    )
