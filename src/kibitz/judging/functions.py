"""Feedback functions: an implementation, where its arguments come from, and what becomes of its answers.

    relevance = (
        Feedback(judge.relevance, name="relevance")
        .on_input()
        .on(Select.RecordCalls.retriever.retrieve.rets[:].text)
        .aggregate("mean")
    )
    result = relevance.run(record)

A `Feedback` is immutable: each method gives another one. Its id is the digest of all of its content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from kibitz.base import errors
from kibitz.base.errors import UsageError
from kibitz.judging import compositions, lenses, places, running
from kibitz.judging.compositions import Composition
from kibitz.judging.records import Record
from kibitz.judging.results import FeedbackResult

CONCURRENCY: Final = 8
"""How many calls of one run `arun` has under way at once."""


class Feedback(Composition):
    """A feedback function.

    Args:
        imp: the implementation: a function or method of texts that gives a number, see `numbers`.
        agg: how its answers become one; see `aggregate`.
        name: what its feedback is called, `runnable.<name>`; the implementation's name without.
        higher_is_better: how to read its numbers; True without.
        if_exists: only records in which this is there are judged.
        if_missing: what becomes of a run whose selector finds nothing; `error` without.
        combinations: how values of several arguments are put together; `product` without.
        selectors: where arguments come from, by name.
        run_location: where it runs.

    Raises:
        UsageError: something of these cannot be used; the message says what.
    """

    __slots__ = ()

    def run(
        self,
        /,
        app: Any = None,
        record: Record | Mapping[str, Any] | None = None,
        source_data: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> FeedbackResult:
        """Apply it: `run(record)`, `run(app, record)` or `run(source_data={…})`.

        Args:
            app: what selectors of `__app__` see; a record in its place is the record.
            record: what selectors of `__record__` see.
            source_data: what other selectors see, by their first name.
            overrides: arguments by name, which take the place of what is selected.

        Returns:
            The result. What fails in selecting, calling or aggregating is said in it and not raised.

        Raises:
            UsageError: there is no implementation, no such argument, or an implementation that is awaited is run
                where an event loop runs already.
        """
        if self._acall is not None and self._call is None or self._awaits_only:
            return self._run_loop(app, record, source_data, overrides)
        run, begun = self._begun(app, record, source_data, overrides)
        return begun if isinstance(begun, FeedbackResult) else running.at_once(run)

    async def arun(
        self,
        /,
        app: Any = None,
        record: Record | Mapping[str, Any] | None = None,
        source_data: Mapping[str, Any] | None = None,
        *,
        concurrency: int = CONCURRENCY,
        **overrides: Any,
    ) -> FeedbackResult:
        """`run`, with the calls of the implementation at the same time.

        A coroutine function, or the twin of a provider's method, is awaited. A plain function is called on other
        threads, unless its provider says that it only computes.

        Args:
            concurrency: how many calls are under way at once.
        """
        run, begun = self._begun(app, record, source_data, overrides)
        if isinstance(begun, FeedbackResult):
            return begun
        return await running.together(
            run, self._acall, concurrency=max(1, concurrency), threads=not self.is_local
        )

    def check_selectors(
        self,
        app: Any = None,
        record: Record | Mapping[str, Any] | None = None,
        source_data: Mapping[str, Any] | None = None,
        warning: bool = False,
    ) -> bool:
        """Whether every argument has a value in this record or app. What is not given is not checked.

        Args:
            warning: give False instead of raising.

        Raises:
            MissingPlace: a selector finds nothing; the message shows how far it goes, and what is there.
            UsageError: an argument has no selector.
        """
        app, record = _sorted(app, record)
        source = _source(app, record, source_data)
        try:
            missing = self._known.missing(self._taken)
            if missing:
                raise UsageError(
                    f"{self.name}{self.sig} has no selector for {', '.join(missing)}; use `.on(…)`",
                    field=missing[0],
                )
            for argument, lens in self.selectors.items():
                begin = str(lens).partition(".")[0].partition("[")[0]
                if begin in ("__app__", "__record__") and begin not in source:
                    continue
                try:
                    for _ in lenses.whole(lens, source):
                        pass
                except errors.MissingPlace as error:
                    raise errors.MissingPlace(
                        f"argument {argument!r} of {self.name}: {error.message}",
                        **{**error.facts, "argument": argument},
                    ) from None
        except UsageError:
            if warning:
                return False
            raise
        return True

    def extract_selection(
        self,
        app: Any = None,
        record: Record | Mapping[str, Any] | None = None,
        source_data: Mapping[str, Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """What the implementation would be called with, one after the other.

        Raises:
            MissingPlace: a selector finds nothing.
            UsageError: there would be no calls for another reason.
        """
        self.check_selectors(app, record, source_data)
        _, begun = self._begun(app, record, source_data, {})
        if isinstance(begun, FeedbackResult):
            if begun.status == "failed":
                raise UsageError(begun.reason or "")
            return
        for arguments, _ in begun:
            yield arguments

    @property
    def _awaits_only(self) -> bool:
        return self._acall is not None and compositions.is_coroutine_function(self.imp)

    def _run_loop(
        self,
        app: Any,
        record: Any,
        source_data: Mapping[str, Any] | None,
        overrides: Mapping[str, Any],
    ) -> FeedbackResult:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.arun(app, record, source_data, **overrides))
        raise UsageError(
            f"{self.name} is awaited, and an event loop runs here already; use `await feedback.arun(…)`"
        )

    def _begun(
        self,
        app: Any,
        record: Any,
        source_data: Mapping[str, Any] | None,
        overrides: Mapping[str, Any],
    ) -> tuple[running.Run, list[running.Combination] | FeedbackResult]:
        app, record = _sorted(app, record)
        for argument in overrides:
            self._known.check(argument)
        run = running.Run(self._planned(), _record_id(record), self.definition.id)
        if isinstance(record, Record) and self.definition.id in record.judged_by:
            return run, run.skipped(
                f"the call was made while {self.name} judged another; it does not judge its own calls"
            )
        return run, run.begin(_source(app, record, source_data), overrides)

    def _planned(self) -> running.Plan:
        plan = self._plan
        if plan is None:
            known = self._known
            order = {name: at for at, name in enumerate(known.names)}
            selectors = sorted(
                self.selectors.items(), key=lambda each: order.get(each[0], len(order))
            )
            plan = running.Plan(
                name=self.name,
                call=cast("running.Call", self._call),
                static=self._arguments,
                selectors=dict(selectors),
                missing=known.missing(self._taken),
                if_exists=self.if_exists,
                if_missing=self.if_missing,
                combinations=self.combinations,
                aggregator=self._aggregator,
                is_repeatable=self.is_local,
            )
            object.__setattr__(self, "_plan", plan)
        return plan


def _sorted(app: Any, record: Any) -> tuple[Any, Any]:
    """App and record, where `run(record)` was written."""
    if record is None and isinstance(app, Record):
        return None, app
    return app, record


def _source(app: Any, record: Any, source_data: Mapping[str, Any] | None) -> dict[str, Any]:
    source: dict[str, Any] = {} if source_data is None else dict(source_data)
    if app is None and isinstance(record, Record) and record.find_app is not None:
        app = record.find_app()
    if app is not None:
        describe = getattr(app, "__kibitz_app__", None)
        source["__app__"] = app if describe is None else describe()
    if record is not None:
        source["__record__"] = record
    return source


def _record_id(record: Any) -> str:
    if isinstance(record, Record):
        return record.record_id
    return str(places.peek(record, "record_id", "no record"))
