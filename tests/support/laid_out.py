"""Calls of an app as a store gives them back, for what is about records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kibitz.base.records import Call, ExceptionInfo
from kibitz.judging.records import Record

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def call(
    id_: str,
    op: str,
    parent: str | None = None,
    *,
    inputs: Any = None,
    output: Any = None,
    error: str | None = None,
    begins: int = 0,
    ends: int | None = 100,
    kind: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    **more: Any,
) -> Call:
    """A call; `begins` and `ends` are milliseconds."""
    exception = None if error is None else ExceptionInfo(type="ValueError", message=error)
    status = "running" if ends is None else "success" if error is None else "error"
    return Call(
        project="acme/app", id=id_, trace_id="t1", parent_id=parent, op=op, op_ref=None, kind=kind,
        display_name=None, thread_id=None, author=None, status=status,
        started_at=BEGAN + timedelta(milliseconds=begins),
        ended_at=None if ends is None else BEGAN + timedelta(milliseconds=ends),
        latency_ms=None if ends is None else float(ends - begins),
        input_preview="", output_preview="", error=None if error is None else f"ValueError: {error}",
        inputs={} if inputs is None else inputs,
        output=msgspec.UNSET if exception else output,
        attributes=dict(attributes or {}), summary={}, exception=exception, **more,
    )  # fmt: skip


def rag() -> list[Call]:
    """A question answered with two passages, looked for twice."""
    return [
        call("c0", "answer", inputs={"self": "<RAG>", "question": "why is it so?"}, output="because it is so", ends=100,
             attributes={"app_name": "rag", "app_version": "v2", "tags": "night"}),
        call("c1", "retriever.retrieve", "c0", inputs={"query": "why"}, begins=1, ends=20, kind="retriever",
             output=[{"text": "it is so"}, {"text": "nobody knows"}]),
        call("c2", "llm.complete", "c0", inputs={"messages": []}, begins=21, ends=90, kind="llm", output="because",
             tokens=30, input_tokens=20, output_tokens=10, cost=0.25, attributes={"env": "prod"}),
        call("c3", "retriever.embed", "c1", begins=2, ends=10, output=[0.5]),
    ]  # fmt: skip


def record() -> Record:
    return Record.of_calls(rag(), "c0")
