"""Watching: saying once what is to be judged from now on, and of the past; workers do it.

    watching = kibitz.watch("answer", [grounded, short], sample=0.2, backfill=True)
    watching.wait()

The rule is kept where the calls are, so workers go on with it when this program has ended.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kibitz.asking import questions, sources
from kibitz.asking.places import Named, Place
from kibitz.asking.progress import Progress, Told, shown
from kibitz.base import clock, refs, wire
from kibitz.base.errors import QueryError, UsageError
from kibitz.base.evaluations import EvaluationProgress, NewRule, Rule
from kibitz.base.records import Batch
from kibitz.query import shapes, text_form, text_writing
from kibitz.query.expressions_conditions import Condition, Conditional
from kibitz.query.nodes import ColumnField, Compare, Node
from kibitz.storage.protocols import Store
from kibitz.tracing import session as sessions

if TYPE_CHECKING:
    from kibitz.judging.functions import Feedback

_log = logging.getLogger("kibitz")
_OP = re.compile(r"[^\s=<>!()\"',]+")
"""What has none of the signs of a query is the name of an op."""
_MAX_NAME = 100
_LOOK_S = 0.2
_HINT_S = 10.0


class Watch:
    """A rule that was made, and how far its evaluations are. `kibitz.watch` gives it."""

    def __init__(self, place: Place, rule: Rule) -> None:
        self._place = place
        self.rule = rule
        """As it was saved."""

    @property
    def project(self) -> str:
        return self.rule.project

    @property
    def name(self) -> str:
        """Of the rule."""
        return self.rule.name

    def progress(self) -> list[EvaluationProgress]:
        """How far each feedback function is, over all that is wanted of it in the project."""
        with self._place.opened() as store:
            return self._progress(store)

    def wait(self, timeout_s: float | None = None, progress: Progress = True) -> bool:
        """Wait until nothing is wanted of these feedback functions any longer; workers must run meanwhile.

        Args:
            timeout_s: how long at most; for ever where it is None.
            progress: how many are done is shown on standard error where that is a terminal, told to a function, or
                neither.

        Returns:
            Whether everything has ended: done, failed or skipped.
        """
        with (
            self._place.opened() as store,
            shown(progress, f"judging calls of {self.project}") as tell,
        ):
            # Calls that no worker has held to the rule yet are to be waited for too.
            while store.evaluations.want_by_rules():
                pass
            return self._wait(store, tell, timeout_s)

    def _wait(self, store: Store, tell: Told, timeout_s: float | None) -> bool:
        began = clock.monotonic_ns()
        pause = threading.Event()
        before, hint_at = -1, began + int(_HINT_S * 1e9)
        while True:
            found = self._progress(store)
            left = sum(each.wanted + each.running for each in found)
            ended = sum(each.done + each.failed + each.skipped for each in found)
            tell(ended, ended + left)
            now = clock.monotonic_ns()
            if not left:
                return True
            if timeout_s is not None and now - began >= timeout_s * 1e9:
                return False
            if ended != before:
                before, hint_at = ended, now + int(_HINT_S * 1e9)
            elif now > hint_at and not any(each.running for each in found):
                hint_at = now + int(10 * _HINT_S * 1e9)
                _log.warning("%d evaluations wait and nobody does them: run kibitz worker", left)
            pause.wait(_LOOK_S)

    def stop(self) -> Rule:
        """Want nothing more: the rule is kept, and rests. What is wanted already is done all the same."""
        with self._place.opened() as store:
            now = store.rules.get(self.project, self.name)
            self.rule = store.rules.save(self.project, self.name, changed(now, active=False))
        return self.rule

    def _progress(self, store: Store) -> list[EvaluationProgress]:
        mine = set(self.rule.definitions)
        return [
            each for each in store.evaluations.progress(self.project) if each.definition_ref in mine
        ]

    def __repr__(self) -> str:
        return f"<watch {self.name!r} of {self.project}>"


def watch(
    op_or_query: Any,
    feedbacks: Sequence[Feedback] | Feedback,
    *,
    sample: float = 1.0,
    backfill: Progress = False,
    name: str | None = None,
    per_day: int | None = None,
    usd_per_day: float | None = None,
    project: str | None = None,
    data: str | None = None,
    url: str | None = None,
) -> Watch:
    """Have calls judged by workers: those that end from now on, and with `backfill` those of the past.

    Saying it again takes the place of what was said; the same evaluation is never done twice.

    Args:
        op_or_query: an op or its name; a condition, `calls.latency > 2`, or a query in words; all root calls where it
            is empty.
        feedbacks: feedback functions of functions that a worker can import.
        sample: which share of the calls, 0 to 1; the same call is always in or always out.
        backfill: whether calls of the past are judged too; how far wanting them is is shown on a terminal, or told
            to a function.
        name: of the rule; made of the op and the feedback functions where it is left out.
        per_day: evaluations of one UTC day at most.
        usd_per_day: no more are begun on a UTC day on which this was spent.
        project: whose calls; left out, that of `kibitz.init`.
        data: the data folder, and …
        url: … the server, where it is not where this program records.

    Raises:
        NotImportable: a worker could not import a function; the message says what to do.
        QueryError: the query cannot be understood.
        UsageError: an argument cannot be used.
        KibitzError: the place cannot be written.
    """
    functions = list(feedbacks) if isinstance(feedbacks, Sequence) else [feedbacks]
    check(functions)
    query, title = words_of(op_or_query)
    place = _place(project, data, url)
    made = name or ": ".join(filter(None, (title, ", ".join(each.name for each in functions))))
    with _opened(place) as store:
        saved = store.rules.save(
            place.project,
            made[:_MAX_NAME].strip(),
            NewRule(
                definitions=publish(store, place.project, functions),
                query=query,
                sample=sample,
                per_day=per_day,
                usd_per_day=usd_per_day,
            ),
        )
        if backfill is not False:
            with shown(backfill, f"looking through calls of {place.project}") as tell:
                back_fill(store, saved, tell)
    return Watch(place, saved)


def check(functions: Sequence[Any]) -> None:
    """Raise where workers could not do these: `NotImportable`, or `UsageError`."""
    from kibitz.judging.functions import Feedback

    if not functions:
        raise UsageError("there is no feedback function to judge with", field="feedbacks")
    names: set[str] = set()
    for each in functions:
        if not isinstance(each, Feedback):
            raise UsageError(
                f"{shapes.short(each)} is no feedback function; wrap it: kibitz.Feedback(…).on_output()",
                field="feedbacks",
            )
        each.definition.check_loadable()
        if each.name in names:
            raise UsageError(
                f"two of the feedback functions are called {each.name!r}; give one a name=",
                field="feedbacks",
            )
        names.add(each.name)


def publish(store: Store, project: str, functions: Sequence[Feedback]) -> list[str]:
    """Store definitions and give their references; the same again changes nothing."""
    found = [each.definition for each in functions]
    receipt = store.ingest.write(Batch(project=project, objects=[each.part() for each in found]))
    for rejection in receipt.rejected:
        raise wire.error_of(rejection)
    return [each.ref(project) for each in found]


def back_fill(store: Store, rule: Rule, tell: Told, *, again: bool = False) -> tuple[int, int]:
    """Want what a rule wants of the calls that are there, in steps.

    Args:
        store: where.
        rule: whose query, sample, definitions and budget count.
        tell: how many calls were gone through, and how many there are.
        again: also what was done, failed or skipped.

    Returns:
        How many evaluations were added, and how many were there already.
    """
    where = condition(store, rule.project, rule.query)
    wanted = known = 0
    total = 0
    cursor: str | None = None
    while True:
        step = store.evaluations.want(
            rule.project,
            rule.definitions,
            where,
            sample=rule.sample,
            again=again,
            rule=rule.name,
            cursor=cursor,
        )
        wanted, known, cursor = wanted + step.wanted, known + step.known, step.cursor
        # How many the first step went through is not said; beside what is left they hardly count.
        total = total or max(step.left, step.wanted + step.known)
        tell(max(0, total - step.left), total)
        if cursor is None:
            return wanted, known


def condition(store: Store, project: str, query: str) -> Node | None:
    """The condition of a rule's query, with the names that the project knows; None for all root calls."""
    types = (each.type for each in store.feedback.columns(project))
    parsed = text_form.parse(query, known_types=types, now=clock.now())
    if parsed.limit is not None or parsed.sort:
        raise QueryError("a rule is for every call that matches; leave sort and limit out")
    return parsed.where


def words_of(given: Any) -> tuple[str, str]:
    """A query in words of what stands for one, and a title for it."""
    if given is None:
        return "", ""
    if isinstance(given, str):
        text = given.strip()
        if _OP.fullmatch(text):
            return of_op(text), text
        text_form.parse(text, now=clock.now())
        return text, text
    if isinstance(given, Condition | Conditional):
        words = questions.condition(given)
        return repr(words), repr(words)
    op = getattr(given, "name", None)
    if callable(given) and isinstance(op, str):
        return of_op(op), op
    raise UsageError(
        f"{shapes.short(given)} does not say which calls; give an op, its name, or a query",
        field="op_or_query",
    )


def of_op(name: str) -> str:
    """The query for the calls of an op."""
    return text_writing.condition(Compare(ColumnField("op"), "eq", name))


def changed(rule: Rule, **fields: Any) -> NewRule:
    """A rule to save in the place of this one, with something changed."""
    same = {each: getattr(rule, each) for each in NewRule.__struct_fields__}
    return NewRule(**{**same, **fields})


def _place(project: str | None, data: str | None, url: str | None) -> Place:
    named: Named = None if data is None and url is None else sources.find(data, url)
    session = sessions.current()
    if project is None:
        if session is None:
            raise UsageError(
                "watch calls of which project? Name it, watch(…, project='team/app'), or call kibitz.init() before",
                field="project",
            )
        project = session.project
    return Place(refs.check_project(project), named)


@contextmanager
def _opened(place: Place) -> Generator[Store]:
    """The store; a folder that is not there yet is made, as what is watched may come later."""
    source = place.source()
    if source.url is None:
        Path(source.folder).mkdir(parents=True, exist_ok=True)
    with place.opened() as store:
        yield store
