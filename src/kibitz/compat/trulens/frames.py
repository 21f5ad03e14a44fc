"""Records and leaderboards as pandas frames with TruLens' columns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from kibitz.apps.identity import APP
from kibitz.apps.records import AppRecord
from kibitz.asking import frames
from kibitz.base import refs
from kibitz.base.errors import UsageError
from kibitz.base.records import Call
from kibitz.judging.records import Record
from kibitz.query import json_form
from kibitz.query.nodes import FeedbackQuery
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
    "type",
    "app_json",
    "record_json",
    "cost_json",
    "perf_json",
)
DEFAULT_LIMIT = 1_000
_PORTION = 100
_MOST = 1_000


def records(
    store: Store, project: str, app_ids: Sequence[str] | None, offset: int, limit: int | None
) -> tuple[Any, list[str]]:
    """Records, newest first, with what feedback functions said; the frame, and the names of the functions.

    A function `f` has the columns `f`, its number, or numbers by name; `f_calls`, every call of its implementation; and
    `f feedback cost in USD`. Where it failed or was skipped the number is missing, and `f_calls` says why. What
    `TruSession.add_feedback` stored is one column of its name.
    """
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    apps, said = by_ref(store, project), _said(store, project)
    wanted = islice(_roots(store, project, app_ids), offset, offset + (limit or DEFAULT_LIMIT))
    while portion := list(islice(wanted, _PORTION)):
        whole = store.evaluations.records(project, [each.id for each in portion])
        for root in portion:
            record = Record.of_calls(whole.get(root.id, [root]), root.id)
            row = {**_row(record), **_json(record, apps)}
            for name, value in said.get(refs.call_ref(project, root.id), {}).items():
                names[name] = None
                row[name] = value
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
        further = (f"{name}_calls", f"{name} feedback cost in USD")
        # What people said has no calls and costs nothing.
        columns += [name, *(each for each in further if any(each in row for row in rows))]
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


def by_ref(store: Store, project: str) -> dict[str, dict[str, Any]]:
    """Every version of every app of a project, by the end of its reference: name and digest."""
    found: dict[str, dict[str, Any]] = {}
    for newest in store.objects.list(project, "object", APP):
        for each in store.objects.versions(project, "object", newest.name):
            value: Any = each.value
            if isinstance(value, dict):
                found[f"{each.name}:{each.digest}"] = cast("dict[str, Any]", value)
    return found


def get_feedback_result(tru_record: AppRecord, feedback_name: str) -> Any:
    """Every call that a feedback function made on a record of this process, as a pandas frame: arguments, `ret`,
    metadata.

    Raises:
        UsageError: it judges this record not in this process.
    """
    for feedback, future in tru_record.feedback_and_future_results:
        if feedback.name == feedback_name:
            rows = [{**each.args, "ret": each.ret, **each.meta} for each in future.result().calls]
            columns = list(dict.fromkeys(name for row in rows for name in row))
            return frames.pandas_of(rows, columns)
    known = [feedback.name for feedback, _ in tru_record.feedback_and_future_results]
    raise UsageError(
        f"no feedback function {feedback_name!r} judged this record in this process; there are "
        f"{', '.join(known) or 'none: results of workers are in TruSession().get_records_and_feedback()'}",
        field="feedback_name",
    )


def _said(store: Store, project: str) -> dict[str, dict[str, Any]]:
    """What `TruSession.add_feedback` stored: by the reference of the call, the value by its name."""
    types = {each.type for each in store.feedback.columns(project)}
    found: dict[str, dict[str, Any]] = {}
    for type_ in sorted(
        each for each in types if not each.startswith(("runnable.", "annotation."))
    ):
        query = FeedbackQuery(project=project, type=type_, standing=True, limit=_MOST)
        while True:
            page = store.feedback.query(query)
            for each in page.items:
                payload: Any = each.payload
                if isinstance(payload, dict) and "value" in payload:
                    said = cast("dict[str, Any]", payload)
                    name = str(said.get("name", each.type))
                    # Newest first: what was said before, by another one, stands behind it.
                    found.setdefault(each.target_ref, {}).setdefault(name, said["value"])
            if page.next_cursor is None:
                break
            query = dataclasses.replace(query, cursor=page.next_cursor)
    return found


def _json(record: Record, apps: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    attributes: Any = record.root.attributes
    known = cast("dict[str, Any]", attributes) if isinstance(attributes, dict) else {}
    ref = str(known.get("app_ref", ""))
    app = apps.get(ref.rpartition("/")[2], {})
    written = record.to_json()
    return {
        "type": app.get("root_class"),
        "app_json": json.dumps(app, ensure_ascii=False),
        "record_json": json.dumps(written, ensure_ascii=False),
        "cost_json": json.dumps(written["cost"], ensure_ascii=False),
        "perf_json": json.dumps(written["perf"], ensure_ascii=False),
    }


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
