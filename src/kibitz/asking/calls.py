"""Calls as Python asks for them: a set that is described first and read when it is gone through.

    from kibitz import calls, feedback

    worst = calls("acme/app").where(feedback("grounded").output < 0.5).sort(calls.latency.desc())
    for call in worst.limit(20):
        print(call.op, call.inputs, call.output)

A set is never changed: each method gives a new one. Nothing is read before it is gone through, counted or shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kibitz.asking import actions, frames, questions
from kibitz.asking.actions import Done
from kibitz.asking.groups import Groups, Key, Table
from kibitz.asking.measures import Measure
from kibitz.asking.places import Named, Place
from kibitz.asking.progress import Progress
from kibitz.asking.questions import Asked, Question, Shown, Sorted
from kibitz.base import refs
from kibitz.base.errors import KibitzError, NotFound, QueryError, UsageError
from kibitz.base.records import Call
from kibitz.export import arrow
from kibitz.export.streams import Format, Tables
from kibitz.query import json_form, python_form, shapes, text_form
from kibitz.query.expressions import Columns
from kibitz.query.nodes import CallColumn, CallQuery

COUNTED = 10_000
"""So many are counted to show a set."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class CallSet:
    """Calls of a project, described by conditions, an order and a limit."""

    _question: Question

    @property
    def project(self) -> str:
        """Whose calls they are."""
        return self._question.project

    # Describing

    def where(self, *conditions: Asked) -> CallSet:
        """The calls of the set for which these hold too.

        Args:
            conditions: expressions such as `calls.latency > 500`, queries in words such as `"latency > 2s"`, which may
                also sort and limit, or the `{"$expr": …}` of JSON. `now` in words is the moment when the set is read.

        Raises:
            QueryError: one of them is no condition.
        """
        return CallSet(self._question.where(conditions))

    def sort(self, *keys: Sorted) -> CallSet:
        """The same calls in another order; newest first where nothing is said.

        Args:
            keys: the first decides, and where it ties the next: `calls.latency.desc()`, or words such as
                `"latency desc, started_at"`. What has no value comes last in both directions.

        Raises:
            QueryError: one of them is no key, or there are too many.
        """
        chosen = tuple(map(questions.key, keys))
        if len(chosen) > json_form.MAX_SORT_KEYS:
            raise QueryError(f"at most {json_form.MAX_SORT_KEYS} keys are allowed to sort by")
        return CallSet(replace(self._question, order=chosen))

    def limit(self, most: int) -> CallSet:
        """The first of them, at most so many; of several limits the smallest counts. Raises `QueryError`."""
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise QueryError(f"limit {shapes.short(most)} is not a whole number from 1 on")
        before = self._question.limit
        smallest = most if before is None else min(most, before)
        return CallSet(replace(self._question, limit=smallest))

    def columns(self, *shown: Shown) -> CallSet:
        """The same calls with only these of their values read; without any, only what every list shows.

        All are read where nothing is said. A field stands for what it is in: `inputs.question` for the inputs,
        feedback for the scores.

        Raises:
            QueryError: one of them is nothing that a call has.
        """
        wide = frozenset[CallColumn]().union(*map(questions.wide, shown))
        return CallSet(replace(self._question, columns=wide))

    # Reading

    def __iter__(self) -> Iterator[Call]:
        """The calls, page after page as they are needed."""
        with self._question.place.opened() as store:
            yield from self._question.read(store)

    def first(self) -> Call | None:
        """The first call; None where there is none."""
        return next(iter(self.limit(1)), None)

    def one(self) -> Call:
        """The only call.

        Raises:
            NotFound: there is none.
            UsageError: there are several.
        """
        found = list(self.limit(2))
        asked = f"{self._question.words()!r} in {self._question.project!r}"
        if not found:
            raise NotFound(f"no call is {asked}")
        if len(found) > 1:
            raise UsageError(f"several calls are {asked}; narrow it, or take first()")
        return found[0]

    def get(self, call_id: str) -> Call:
        """The call of an id, whole and with its feedback. Raises `NotFound` where the set has none of it."""
        with self._question.place.opened() as store:
            if self._question.conditions:
                its = self._question.where([Columns.id == call_id])
                if not its.count(store, 1):
                    raise NotFound(f"the set has no call {call_id[:64]!r}", id=call_id)
            return store.calls.get(self._question.project, call_id)

    def count(self, bound: int | None = None) -> int:
        """How many calls there are.

        Args:
            bound: where to stop counting: the answer is never greater. A million where nothing is said, and counting
                so many takes a while.
        """
        most = json_form.MAX_BOUND if bound is None else bound
        if isinstance(most, bool) or not 1 <= most <= json_form.MAX_BOUND:
            raise QueryError(
                f"bound {shapes.short(bound)} is not a whole number from 1 to {json_form.MAX_BOUND:,}"
            )
        with self._question.place.opened() as store:
            return self._question.count(store, most)

    def __bool__(self) -> bool:
        """Whether there is any call."""
        return self.count(bound=1) > 0

    # As frames

    def to_arrow(self, *, progress: Progress = True) -> frames.pyarrow.Table:
        """All calls as a table in memory: typed columns, values as JSON text, each score a column of its own.

        Args:
            progress: whether to show how far it is on a terminal, or a function that is told.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        arrow.library()
        found = actions.read(self._question, progress)
        return arrow.calls_table(found, wide=self._question.columns)

    def to_pandas(self, *, progress: Progress = True) -> frames.pandas.DataFrame:
        """The same as a frame of pandas; raises `MissingExtra` where it or pyarrow is not installed."""
        frames.check("pandas")
        return frames.to_pandas(self.to_arrow(progress=progress))

    def to_polars(self, *, progress: Progress = True) -> frames.polars.DataFrame:
        """The same as a frame of polars; raises `MissingExtra` where it or pyarrow is not installed."""
        frames.check("polars")
        return frames.to_polars(self.to_arrow(progress=progress))

    # In groups

    def group_by(self, *keys: Key) -> Groups:
        """The calls in groups, to be measured: `.group_by(calls.model, "day").aggregate(mean(calls.latency))`.

        Args:
            keys: fields, or words such as `day`; see `Groups.group_by`.

        Raises:
            QueryError: one of them is no key.
        """
        return Groups(self._question).group_by(*keys)

    def aggregate(self, *unnamed: Measure | str, **named: Any) -> Table:
        """What is measured of all of them together, as one row; see `Groups.aggregate`."""
        return Groups(self._question).aggregate(*unnamed, **named)

    def judgements(
        self, type: str | None = None, *, author: str | None = None, every: bool = False
    ) -> Groups:
        """The judgements on the calls, to be grouped and measured; on anything where the set has no condition.

        Args:
            type: only those of this type.
            author: only those of this author.
            every: also those that were taken back or followed by something newer.
        """
        further = {"type": type, "author": author, "every": every}
        return Groups(self._question, (), "feedback", further)

    # Doing something to all of them

    def add_feedback(
        self,
        type: str,
        payload: Mapping[str, Any],
        *,
        author: str = "",
        expected: int | None = None,
        progress: Progress = True,
        **further: Any,
    ) -> Done:
        """Judge all calls of the set alike.

        Args:
            type: `annotation.<name>`, `note`, `reaction` or a word of your own.
            payload: what is said, as for `call.feedback.add`.
            author: who says it.
            expected: how many calls there are; where there are more by then, nothing is said. Those that there are
                now where it is left out.
            progress: whether to show how far it is on a terminal, or a function that is told.
            further: other fields of feedback, such as `author_kind` and `annotation_ref`.

        Raises:
            Conflict: there are more calls than were expected.
            InvalidRecord: the judgement breaks a rule of its type; nothing was stored.
            UsageError: the set has a limit.
        """
        return actions.add_feedback(
            self._question,
            type,
            payload,
            author=author,
            expected=expected,
            wanted=progress,
            **further,
        )

    def delete(
        self,
        *,
        expected: int | None = None,
        whole_traces: bool = False,
        progress: Progress = True,
    ) -> Done:
        """Delete all calls of the set with everything that is said about them, for good.

        Args:
            expected: how many there are, so that no more are deleted than were looked at.
            whole_traces: also the other calls of the traces that they are in.
            progress: whether to show how far it is on a terminal, or a function that is told.

        Raises:
            Conflict: there are more calls than were expected; nothing was deleted in this step.
            UsageError: nothing was expected, and the message says how many there are; or the set has a limit.
        """
        return actions.delete(
            self._question, expected=expected, whole_traces=whole_traces, wanted=progress
        )

    def export(
        self,
        path: str | Path,
        *,
        format: Format | None = None,
        tables: Tables | None = None,
        progress: Progress = True,
    ) -> int:
        """Write the calls of the set to a file, with what belongs to them, and give its size in bytes.

        Args:
            path: the file; it appears when it is complete. Its ending says the format: `.jsonl` and `.zip` have all,
                `.csv`, `.parquet` and `.arrow` are one table of calls with the feedback on them.
            format: `jsonl`, `csv`, `parquet` or `arrow`, where the ending does not say it.
            tables: `all`, or `calls` for one table.
            progress: whether to show how far it is on a terminal, or a function that is told.

        Raises:
            UsageError: the format is not known, or the file cannot be written.
            MissingExtra: the format needs pyarrow, which is not installed.
        """
        return actions.export(self._question, path, format=format, tables=tables, wanted=progress)

    # In other spellings

    def query(self) -> CallQuery:
        """The nodes that it is: what the HTTP API and the command line ask too. Its limit is that of a page.

        Only short names of feedback are looked up at its place.

        Raises:
            QueryError: the parts do not go together, or a short name may be several things.
        """
        return self._question.query()

    def to_json(self) -> dict[str, Any]:
        """The body for `POST /api/v1/calls/query`. Its limit is that of a page."""
        return json_form.to_json(self.query())

    def to_text(self) -> str:
        """The query in words, for the page, addresses and the command line."""
        query = self.query()
        limit = None if self._question.limit is None else query.limit
        return text_form.format(query.where, query.sort, limit)

    def words(self) -> str:
        """The query in words to be kept: as they were given, `now` in them included, where nothing else was; else
        `to_text()`.
        """
        given = self._question.given_words()
        return self.to_text() if given is None else given

    def to_python(self) -> str:
        """The query as Python source."""
        query = self.query()
        return python_form.format_query(
            query.project, query.where, query.sort, self._question.limit
        )

    def __repr__(self) -> str:
        question = self._question
        of = f"of {question.project}: {question.words()}"
        try:
            found = self.count(bound=COUNTED + 1)
        except KibitzError as error:
            return f"<calls {of}; {error.message}>"
        shown = f"{COUNTED:,} or more" if found > COUNTED else f"{found:,}"
        return f"<{shown} call{'' if found == 1 else 's'} {of}>"


class Calls(Columns):
    """Where questions begin: `calls("acme/app")` is a set, and `calls.op`, `calls.latency` … are its fields."""

    __slots__ = ()

    def __call__(self, project: str, source: Named = None) -> CallSet:
        """All calls of a project.

        Args:
            project: `app` or `team/app`.
            source: where to ask: the address of a server, or a data folder. Without it where this program records,
                else `KIBITZ_URL`, else the data folder `KIBITZ_DATA` (`./.kibitz`). What this program has recorded
                there so far is delivered before each question.

        Raises:
            UsageError: the project's name or the source cannot be used.
        """
        return CallSet(Question(Place(refs.check_project(project), source)))

    def __repr__(self) -> str:
        return "calls"


calls = Calls()

__all__ = ["CallSet", "Calls", "calls"]
