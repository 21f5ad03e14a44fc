"""Apps that ran elsewhere, under TruLens' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from kibitz.apps import virtual
from kibitz.apps.records import AppRecord
from kibitz.base.errors import UsageError
from kibitz.compat.trulens.apps import options
from kibitz.judging.lenses import Lens
from kibitz.judging.modes import FeedbackMode
from kibitz.judging.records import Cost, Perf
from kibitz.judging.select import Select


class TruVirtual(virtual.VirtualApp):
    """An app that ran elsewhere: its records are told, and judged like any other.

    Args:
        app: what it is made of.
        given: as of `kibitz.App`.

    Raises:
        UsageError: selectors are to be checked, for which a virtual app has nothing.
    """

    def __init__(self, app: Mapping[str, Any] | None = None, **given: Any) -> None:
        if given.get("selector_nocheck") is False or given.get("selector_check_warning") is True:
            raise UsageError(
                "selectors cannot be checked against an app that is only told; leave selector_nocheck=True",
                field="selector_nocheck",
            )
        self._given = options(given)
        self._given.pop("selectors_check", None)
        super().__init__(app, **self._given)
        self._in_mode: dict[FeedbackMode, virtual.VirtualApp] = {}

    def add_record(
        self,
        told: virtual.VirtualRecord,
        feedback_mode: FeedbackMode | str | None = None,
        *,
        occurrence: int = 0,
    ) -> AppRecord:
        """Store a record and have it judged; in this mode, where one is named."""
        if feedback_mode is None or feedback_mode == self.feedback_mode:
            return super().add_record(told, occurrence=occurrence)
        mode = FeedbackMode(feedback_mode)
        if mode not in self._in_mode:
            self._in_mode[mode] = virtual.VirtualApp(
                self._app, **{**self._given, "feedback_mode": mode}
            )
        return self._in_mode[mode].add_record(told, occurrence=occurrence)

    def add_dataframe(
        self, df: Any, feedback_mode: FeedbackMode | str | None = None
    ) -> list[AppRecord]:
        """Store each row, by its columns `query`, `response` and perhaps `contexts`, and have it judged."""
        return [self.add_record(_told(row), feedback_mode) for row in df.to_dict("records")]


class VirtualApp(dict[Any, Any]):
    """What a virtual app is made of; a selector may say where."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Lens):
            # As a mapping of its own: setting through a lens changes nothing in place.
            self.update(_below_app(key).set(dict(self), value))
        else:
            super().__setitem__(key, value)

    @classmethod
    def select_context(cls) -> Lens:
        """Where `TruVirtual.add_dataframe` puts contexts."""
        return Select.RecordCalls.retriever.get_context.rets[:]


def VirtualRecord(
    calls: Mapping[Any, Any] | None = None,
    *,
    main_input: Any = "No main_input provided.",
    main_output: Any = "No main_output provided.",
    perf: Perf | None = None,
    cost: Cost | None = None,
    tags: str = "",
    meta: Mapping[str, Any] | None = None,
) -> virtual.VirtualRecord:
    """What is known of one call of an app that ran elsewhere.

    Args:
        calls: by selector, a mapping with `args` and `rets`, or a list of such.
        main_input: what was asked.
        main_output: what was answered.
        perf: when.
        cost: what it used.
        tags: of the record.
        meta: of the record.
    """
    summary: dict[str, Any] = {}
    if cost is not None:
        summary = {
            "cost": cost.cost,
            "usage": {
                "input_tokens": cost.n_prompt_tokens,
                "output_tokens": cost.n_completion_tokens,
            },
        }
    latency = None
    if perf is not None and perf.end_time is not None:
        latency = (perf.end_time - perf.start_time).total_seconds()
    return virtual.VirtualRecord(
        main_input=main_input,
        main_output=main_output,
        calls=dict(calls or {}),
        started_at=None if perf is None else perf.start_time,
        latency_s=latency,
        tags=tags,
        meta=dict(meta or {}),
        summary=summary,
    )


def _below_app(lens: Lens) -> Lens:
    """A place of the app without the words that lead to it: `__record__.app.llm` is `llm`."""
    text = str(lens)
    for prefix in ("__record__.", "__app__."):
        text = text.removeprefix(prefix)
    return Lens.parse(text.removeprefix("app."))


def _told(row: Mapping[str, Any]) -> virtual.VirtualRecord:
    calls: dict[Any, Any] = {}
    contexts = row.get("contexts")
    if contexts is not None:
        found = cast("list[Any]", contexts) if isinstance(contexts, list) else [contexts]
        calls["retriever.get_context"] = {"args": {"query": row["query"]}, "rets": found}
    return VirtualRecord(calls, main_input=row["query"], main_output=row["response"])
