"""Annotating a call: what is asked of it, what the reader answered before, and which call comes next.

The panel stands beside the call where its address says `annotate=on`. `from` is the query of the list that the
reader came from, so that the next and the previous call of that list are one key away; where an address does
not say it, the browser does, by naming the page that it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kibitz.base import answers, refs, specifications
from kibitz.base.errors import KibitzError
from kibitz.base.ids import new_id
from kibitz.base.records import Call, Feedback, ObjectVersion
from kibitz.base.specifications import Specification
from kibitz.server.pages import addresses, answer_forms, feedback_rows, frames
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.answer_forms import NOTHING, Field, Sent
from kibitz.server.pages.feedback_rows import Judgement
from kibitz.server.pages.frames import AnyRequest
from kibitz.storage.protocols import Store

PANEL_ID = "annotate"
MAX_LIST_CHARACTERS = 4000
"""Of the query of a list that an address carries along."""
NO_QUERY = "-"
"""What stands for the query of a list that has none."""
EVERY = ("inputs", "output", "attributes", "summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One specification as the panel shows it."""

    spec: Specification
    ref: str
    version: int
    feedback_id: str
    """The id that an answer will have: sent twice, it is stored once."""
    fields: tuple[Field, ...]
    mine: Judgement | None
    """The reader's own answer that stands."""
    others: int
    """How many others have answered. What they said is below, after one's own judgement."""
    error: str = ""
    """What is wrong with the answer as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The calls before and after this one in the list that the reader came from."""

    query: str = ""
    """Of the list; empty where the reader came from none."""
    list_url: str = ""
    previous_url: str = ""
    next_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The panel beside a call."""

    open_url: str
    close_url: str
    is_open: bool = False
    action: str = ""
    back: str = ""
    author: str = ""
    beside: Beside = field(default_factory=Beside)
    asked: tuple[Asked, ...] = ()
    hidden: int = 0
    """Specifications of this call that the reader may not answer."""
    new_url: str = ""
    """Where a specification is made."""
    saved: bool = False
    problems: int = 0
    """Answers that could not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What a form held that could not be stored."""

    sent: Sent
    author: str
    errors: Mapping[str, Mapping[int, str]]
    """By specification and slot; the slot -1 is the answer as a whole."""


def panel(
    request: AnyRequest,
    store: Store,
    call: Call,
    *,
    listed: CallsAddress | None = None,
    refused: Refused | None = None,
) -> Panel:
    """The panel of a call, read from the store only where it is open.

    Args:
        listed: the list that the call is shown beside, where it is.
        refused: what could not be stored.
    """
    project = call.project
    if listed is not None:
        shown = replace(listed, call=None, live=False)
        came_from = addresses.format_query(shown) or NO_QUERY
    else:
        came_from = list_query(request, project)
    url = addresses.call_path(project, call.id)
    pair = addresses.format_pair("from", came_from) if came_from else ""
    open_url = f"{url}?annotate=on&{pair}" if pair else f"{url}?annotate=on"
    close_url = f"{url}?{pair}" if pair else url
    if (listed or request.query_params.get("annotate") != "on") and refused is None:
        return Panel(open_url=open_url, close_url=close_url)
    author = frames.reader_name(request) if refused is None else refused.author
    found, hidden = applicable(store, call, author)
    return Panel(
        open_url=open_url,
        close_url=close_url,
        is_open=True,
        action=f"{url}/annotations",
        back=open_url,
        author=author,
        beside=beside(store, project, call.id, came_from),
        asked=tuple(_asked(each, spec, call, author, refused) for each, spec in found),
        hidden=hidden,
        new_url=f"{addresses.project_path(project)}/specs/new",
        saved=request.query_params.get("saved") == "1",
        problems=len(refused.errors) if refused else 0,
    )


def applicable(
    store: Store, call: Call, author: str
) -> tuple[list[tuple[ObjectVersion, Specification]], int]:
    """The specifications that a person is shown and may answer for a call, and how many they may not answer."""
    found: list[tuple[ObjectVersion, Specification]] = []
    hidden = 0
    for version in store.objects.list(call.project, "object", specifications.TYPE):
        spec = Specification.from_version(version)
        if not spec.is_about("call") or not spec.is_about_op(call.op):
            continue
        if spec.may_answer(author, "person"):
            found.append((version, spec))
        elif spec.may_see(author, "person"):
            hidden += 1
    return sorted(found, key=lambda each: _weight(each[1])), hidden


def _weight(spec: Specification) -> int:
    """What is chosen comes before what is written: a key each, and the rest when there is time."""
    return max(_WEIGHTS.get(slot.control.kind, 0) for slot in spec.slots)


_WEIGHTS = {"ranking": 1, "text": 2, "spans": 3, "correction": 4}


def look_at(call: Call) -> answers.Look:
    """How to see a call, for texts that are marked or corrected."""
    values: dict[str, Any] = {name: getattr(call, name) for name in EVERY}

    def look(path: tuple[str, ...]) -> Any:
        value: Any = values
        for key in path:
            if isinstance(value, dict) and key in value:
                value = value[key]  # pyright: ignore[reportUnknownVariableType] JSON
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):  # pyright: ignore[reportUnknownArgumentType] JSON
                value = value[int(key)]  # pyright: ignore[reportUnknownVariableType] JSON
            else:
                return answers.MISSING
        return value  # pyright: ignore[reportUnknownVariableType] JSON

    return look


def own_answer(call: Call, spec: Specification, author: str) -> Feedback | None:
    """The answer of an author that stands."""
    feedback = call.feedback if isinstance(call.feedback, list) else []
    return next(
        (
            each
            for each in feedback
            if each.type == spec.type and each.author == author and each.author_kind == "person"
        ),
        None,
    )


def value_of(feedback: Feedback | None) -> Any:
    """What an annotation says."""
    if feedback is None or not isinstance(feedback.payload, dict):
        return NOTHING
    return feedback.payload.get("value", NOTHING)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] JSON


def _asked(
    version: ObjectVersion,
    spec: Specification,
    call: Call,
    author: str,
    refused: Refused | None,
) -> Asked:
    mine = own_answer(call, spec, author)
    feedback = call.feedback if isinstance(call.feedback, list) else []
    errors: Mapping[int, str] = refused.errors.get(spec.name, {}) if refused else {}
    return Asked(
        spec=spec,
        ref=spec.ref(call.project),
        version=version.version,
        feedback_id=new_id(),
        fields=answer_forms.fields(
            spec,
            value=value_of(mine),
            sent=refused.sent if refused and spec.name in refused.errors else None,
            look=look_at(call),
            errors=errors,
            prefix=f"slot-{refs.digest(spec.name.encode())[:8]}",
        ),
        mine=feedback_rows.judgement(call.project, mine) if mine else None,
        others=sum(each.type == spec.type and each is not mine for each in feedback),
        error=errors.get(-1, ""),
    )


# The list that the reader came from


def list_query(request: AnyRequest, project: str) -> str:
    """The query of the list that the reader came from; empty where there was none."""
    given = request.query_params.get("from")
    if given is None:
        came_from = urlsplit(request.headers.get("referer", ""))
        # The path as it was sent: the framework's own is decoded.
        if came_from.netloc != request.headers.get("host") or came_from.path != (
            f"{addresses.project_path(project)}/calls"
        ):
            return ""
        kept = [
            (name, value)
            for name, value in parse_qsl(came_from.query)
            if name not in ("call", "live")
        ]
        given = "&".join(addresses.format_pair(name, value) for name, value in kept) or NO_QUERY
    return given if len(given) <= MAX_LIST_CHARACTERS else ""


def beside(store: Store, project: str, call_id: str, query: str) -> Beside:
    """The calls before and after one in a list.

    A call that is not in the list any more, because it has just been judged, is followed by the first.
    """
    if not query:
        return Beside()
    pairs = [] if query == NO_QUERY else parse_qsl(query, keep_blank_values=True)
    try:
        address = addresses.parse(
            project, pairs, known_types=(each.type for each in store.feedback.columns(project))
        ).address
        page = store.calls.query(addresses.to_query(address))
        ids = [each.id for each in page.items]
        at = ids.index(call_id) if call_id in ids else -1
        following = ids[at + 1] if at + 1 < len(ids) else ""
        if not following and page.next_cursor is not None and at >= 0:
            more = store.calls.query(addresses.to_query(address.following(page.next_cursor)))
            following = more.items[0].id if more.items else ""
    except KibitzError:
        return Beside()

    def url(other: str) -> str:
        listed = addresses.format_pair("from", query)
        return f"{addresses.call_path(project, other)}?annotate=on&{listed}" if other else ""

    return Beside(
        query=query,
        list_url=address.url,
        previous_url=url(ids[at - 1] if at > 0 else ""),
        next_url=url(following),
    )
