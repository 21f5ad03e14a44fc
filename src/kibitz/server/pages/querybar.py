"""What stands at and below the query bar: the text, how it was read, its parts as chips, a mistake, a search's cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kibitz.query.nodes import ColumnField
from kibitz.server.pages import addresses, conditions, formats, querytext
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.conditions import Clause, Condition, Filter
from kibitz.storage.protocols import Store

Reading = Literal["", "words", "query"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A query that cannot be asked: what is wrong with it, where, and the ways out."""

    message: str
    shown: str
    """The text around the mistake, on one line."""
    caret: str
    """What stands below it: spaces and a caret."""
    suggestion: str
    """What was probably meant there; empty where nothing comes near."""
    corrected_url: str
    """The list that this asks for; empty where it mends nothing."""
    words_url: str
    """The list that looks for the text as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A filter in words, and the address without it."""

    field: str
    operator: str
    value: str
    url: str


def text_of(parsed: addresses.Parsed) -> str:
    """What stands in the bar: a query with a mistake as it was written."""
    wrong = next((each.value for each in parsed.problems if each.parameter == "q"), None)
    return parsed.address.text if wrong is None else wrong


def reading_of(parsed: addresses.Parsed) -> Reading:
    address = parsed.address
    if any(each.parameter == "q" for each in parsed.problems) or not address.text:
        return ""
    return "words" if address.is_words else "query"


def mistake_of(parsed: addresses.Parsed, types: Sequence[str]) -> Mistake | None:
    """What is wrong with the query of an address, where its place is known."""
    problem = next((each for each in parsed.problems if each.at is not None), None)
    if problem is None or problem.at is None:
        return None
    text, at, address = problem.value, problem.at, parsed.address
    shown = querytext.excerpt(text, at)
    mended = ""
    if problem.suggestion:
        mended = querytext.corrected(text, at, problem.suggestion, types)

    def url(changed: str) -> str:
        pair = addresses.format_pair("q", changed)
        return f"{address.url}{'&' if '?' in address.url else '?'}{pair}"

    return Mistake(
        message=problem.message,
        shown=shown.text,
        caret=" " * shown.at + "^",
        suggestion=problem.suggestion if mended else "",
        corrected_url=url(mended) if mended else "",
        words_url=url(querytext.quoted_words(text.strip())),
    )


def search_note(store: Store, address: CallsAddress) -> str:
    """How a search for texts is answered; nothing is asked where none is searched for."""
    filters = conditions.to_nodes(address.conditions, address.search)
    if not any(conditions.searches(node) for node in filters):
        return ""
    cost = store.search.cost(address.project, addresses.to_node(address))
    match cost.way:
        case "none":
            return ""
        case "index":
            beside = formats.count(cost.waiting, "new call") if cost.waiting else ""
            return f"Found by the text index{f'; {beside} read beside it' if beside else ''}."
        case "scan":
            held = {"off": "nothing", "words": "whole words", "substrings": "parts of words"}
            return (
                f"The text index has {held[cost.level]} here: calls are read, newest first, "
                "until the page is full."
            )


def chips(address: CallsAddress) -> tuple[Chip, ...]:
    """The active filters in words."""
    found: list[Chip] = []
    if address.search:
        url = address.changed(search="", call=None).url
        found.append(
            Chip(
                field="inputs or output",
                operator="contain",
                value=f"“{address.search[:120]}”",
                url=url,
            )
        )
    found += [_chip(address, each) for each in address.conditions]
    if address.since is not None:
        url = address.changed(since=None, call=None).url
        found.append(
            Chip(field="time", operator="from", value=formats.exact(address.since), url=url)
        )
    if address.until is not None:
        url = address.changed(until=None, call=None).url
        found.append(Chip(field="time", operator="to", value=formats.exact(address.until), url=url))
    return tuple(found)


def _chip(address: CallsAddress, filter_: Filter) -> Chip:
    url = address.without(filter_).opening(None).url
    if isinstance(filter_, Clause):
        (text,) = conditions.to_texts([filter_])
        return Chip(field="", operator="", value=text, url=url)
    return Chip(
        field=formats.field(filter_.field),
        operator=conditions.SYMBOLS[filter_.operator],
        value=_chip_value(filter_),
        url=url,
    )


def _chip_value(condition: Condition) -> str:
    if condition.operator in conditions.NO_VALUE:
        return ""
    match condition:
        case Condition(ColumnField("latency_ms"), _, int() | float() as value):
            return formats.duration(float(value))
        case Condition(ColumnField("started_at" | "ended_at"), _, int(value)):
            return formats.exact_us(value)
        case Condition(ColumnField("trace_id" | "id" | "parent_id"), _, str(value)):
            return formats.short_id(value)
        case _:
            return formats.literal(condition.value)[:120]
