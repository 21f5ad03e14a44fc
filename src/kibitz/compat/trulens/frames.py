"""Records and leaderboards as pandas frames with TruLens' columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, cast

from kibitz.asking import frames
from kibitz.base.records import Call
from kibitz.judging.records import Record
from kibitz.query import json_form
from kibitz.storage.protocols import Store

COLUMNS = (
    "app_id",
    "app_name",
    "app_version",
    "record_id",
    "input",
    "output",
    "error",
    "tags",
    "meta",
    "ts",
    "latency",
    "total_tokens",
    "total_cost",
    "cost_currency",
)
DEFAULT_LIMIT = 1_000
_PORTION = 100


def records(
    store: Store, project: str, app_ids: Sequence[str] | None, offset: int, limit: int | None
) -> tuple[Any, list[str]]:
    """Records, newest first, with what feedback functions said; the frame, and the names of the functions.

    A function `f` has the columns `f`, its number, or numbers by name; `f_calls`, every call of its implementation; and
    `f feedback cost in USD`. Where it failed or was skipped the number is missing, and `f_calls` says why.
    """
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    wanted = islice(_roots(store, project, app_ids), offset, offset + (limit or DEFAULT_LIMIT))
    while portion := list(islice(wanted, _PORTION)):
        whole = store.evaluations.records(project, [each.id for each in portion])
        for root in portion:
            row = _row(Record.of_calls(whole.get(root.id, [root]), root.id))
            for each in store.evaluations.of_call(project, root.id):
                names[each.name] = None
                row[each.name] = each.output
                row[f"{each.name}_calls"] = [
                    {"args": call.arguments, "ret": call.output, "meta": call.metadata}
                    for call in each.invocations or ()
                ] or [{"status": each.status, "reason": each.reason}]
                row[f"{each.name} feedback cost in USD"] = each.spent.usd
            rows.append(row)
    columns = [*COLUMNS]
    for name in names:
        columns += [name, f"{name}_calls", f"{name} feedback cost in USD"]
    return frames.pandas_of(rows, columns), list(names)


def leaderboard(found: Any, names: Sequence[str], key: str | None) -> Any:
    """The mean of each function, of latency and of cost, by app and version, or by a key of the metadata."""
    known = found.copy()
    for name in names:
        # Numbers by name have no one mean.
        known[name] = [each if isinstance(each, int | float) else None for each in known[name]]
        known[name] = known[name].astype("float64")
    by = ["app_name", "app_version"]
    if key is not None:
        known[key] = [_value(each, key) for each in known["meta"]]
        by = ["app_name", key]
    measured = [*names, "latency", "total_cost"]
    return known.groupby(by, dropna=False)[measured].mean()


def _value(meta: Any, key: str) -> Any:
    return cast("dict[str, Any]", meta).get(key) if isinstance(meta, dict) else None


def _roots(store: Store, project: str, app_ids: Sequence[str] | None) -> Iterator[Call]:
    asked: dict[str, Any] = {"project": project, "filter": {"root_only": True}, "limit": 1000}
    if app_ids:
        same = [
            {"$eq": [{"$getField": "attributes.app_id"}, {"$literal": each}]} for each in app_ids
        ]
        asked["query"] = {"$expr": {"$or": same}}
    else:
        # Judges leave calls of their own, which are no records of an app.
        asked["query"] = {
            "$expr": {"$not": [{"$eq": [{"$getField": "kind"}, {"$literal": "scorer"}]}]}
        }
    while True:
        page = store.calls.query(json_form.parse_query(asked))
        yield from page.items
        if page.next_cursor is None:
            return
        asked["cursor"] = page.next_cursor


def _row(record: Record) -> dict[str, Any]:
    root: Call = record.root
    return {
        "app_id": record.app_id,
        "app_name": record.app_name,
        "app_version": record.app_version,
        "record_id": record.record_id,
        "input": record.main_input,
        "output": getattr(record, "main_output", None),
        "error": record.main_error,
        "tags": record.tags,
        "meta": record.meta,
        "ts": record.ts,
        "latency": None if root.latency_ms is None else root.latency_ms / 1000,
        "total_tokens": record.cost.n_tokens,
        "total_cost": record.cost.cost,
        "cost_currency": record.cost.cost_currency,
    }
