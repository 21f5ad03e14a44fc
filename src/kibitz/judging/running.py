"""Applying a feedback function: select values, combine them, call the implementation, aggregate.

The steps are apart from how calls are made, one after the other or several at once, so that both say the same.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from kibitz.base import clock, errors, spending
from kibitz.judging import lenses, numbers, places, signatures
from kibitz.judging.aggregators import Aggregator
from kibitz.judging.lenses import Lens
from kibitz.judging.modes import (
    FeedbackCombinations,
    FeedbackOnMissingParameters,
    FeedbackResultStatus,
    SkipEval,
)
from kibitz.judging.results import FeedbackCall, FeedbackResult

MAX_COMBINATIONS: Final = 10_000
"""How many calls of the implementation one run makes at most."""
MAX_FAILURES: Final = 3
"""After so many failed calls of one run no further ones are begun: the run has failed anyway, and calls cost."""
_BREATHE_EVERY = 64
"""Quick calls in a row before others on the event loop get their turn."""

_log = logging.getLogger("kibitz.judging")
_DONE, _FAILED, _SKIPPED = (
    FeedbackResultStatus.DONE,
    FeedbackResultStatus.FAILED,
    FeedbackResultStatus.SKIPPED,
)

_ENDINGS: Final = (asyncio.CancelledError, GeneratorExit)
"""How what is awaited is ended."""
_COPIED: Final = frozenset((list, dict))

Call = Callable[[Mapping[str, Any]], Any]
Combination = tuple[dict[str, Any], dict[str, str]]
"""Arguments by name, and where they came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run needs to know of a feedback function."""

    name: str
    call: Call
    static: Mapping[str, Any]
    selectors: Mapping[str, Lens]
    missing: list[str]
    """Arguments that need a value and have no selector."""
    if_exists: Lens | None
    if_missing: FeedbackOnMissingParameters
    combinations: FeedbackCombinations
    aggregator: Aggregator
    is_repeatable: bool
    """Whether the same call has the same outcome, so that trying again is of no use."""


class Run:
    """One application of a plan. `begin` gives what is to be called, `end` the result."""

    __slots__ = (
        "_calls",
        "_combinations",
        "_failure",
        "_failures",
        "plan",
        "_record_id",
        "_started",
        "definition_id",
    )

    def __init__(self, plan: Plan, record_id: str, definition_id: str) -> None:
        self.plan = plan
        self._record_id = record_id
        self.definition_id = definition_id
        self._started = clock.now()
        self._combinations: list[Combination] = []
        self._calls: dict[int, FeedbackCall] = {}
        self._failure: tuple[int, BaseException, bool] | None = None
        self._failures = 0

    def begin(
        self, source: Mapping[str, Any], overrides: Mapping[str, Any]
    ) -> list[Combination] | FeedbackResult:
        """The calls to make, or the result where there are none."""
        plan = self.plan
        lens = plan.if_exists
        try:
            if lens is not None and not lens.exists(source):
                missing = lenses.missing(lens, source)
                if "cut" in missing.facts:
                    # Whether it was there nobody knows.
                    return self._missing(missing)
                return self.skipped(f"it is to run only if this exists: {missing}")
            needed = [name for name in plan.missing if name not in overrides]
            if needed:
                return self._over(
                    _FAILED,
                    f"no selector says where {_joined(needed)} of {plan.name} come from; use `.on(…)`",
                )
            selected = self._selected(source, overrides)
        except errors.MissingPlace as missing:
            return self._missing(missing)
        except (Exception, SystemExit) as error:  # noqa: BLE001 what objects do when they are looked at is theirs
            return self._over(
                _FAILED, f"selecting failed: {type(error).__name__}: {error}", error=_traced(error)
            )
        for name, values in selected.items():
            if not values:
                lens = plan.selectors[name]
                return self._over(
                    _SKIPPED, f"{str(lens)!r} for {name!r} selects no values: nothing to judge"
                )
        return self._combined(selected)

    def _selected(
        self, source: Mapping[str, Any], overrides: Mapping[str, Any]
    ) -> dict[str, list[tuple[str, Any]]]:
        selected: dict[str, list[tuple[str, Any]]] = {}
        for name, lens in self.plan.selectors.items():
            if name in overrides:
                continue
            try:
                selected[name] = list(lenses.whole(lens, source))
            except errors.MissingPlace as missing:
                missing.facts["argument"] = name
                raise errors.MissingPlace(
                    f"argument {name!r}: {missing.message}", **missing.facts
                ) from None
        for name, value in overrides.items():
            selected[name] = [("", value)]
        return selected

    def _combined(
        self, selected: Mapping[str, list[tuple[str, Any]]]
    ) -> list[Combination] | FeedbackResult:
        plan = self.plan
        sizes = {name: len(values) for name, values in selected.items()}
        together: Iterable[tuple[tuple[str, Any], ...]]
        if plan.combinations is FeedbackCombinations.ZIP and sizes:
            count = min(sizes.values())
            together = zip(*selected.values(), strict=False)
        else:
            count = math.prod(sizes.values())
            together = itertools.product(*selected.values())
        if count > MAX_COMBINATIONS:
            shown = ", ".join(f"{name}: {size:,}" for name, size in sizes.items())
            return self._over(
                _FAILED,
                f"{count:,} combinations are more than {MAX_COMBINATIONS:,} ({shown}); select less, pair values "
                f"position by position with `.aggregate(combinations='zip')`, or make one list with `.collect()`",
            )
        names = list(selected)
        combined: list[Combination] = []
        for values in together:
            arguments: dict[str, Any] = {}
            paths: dict[str, str] = {}
            for name, (place, value) in zip(names, values, strict=True):
                arguments[name] = value
                if place:
                    paths[name] = place
            combined.append((arguments, paths))
        self._combinations = combined
        return combined

    def goes_on(self) -> bool:
        """Whether further calls are of use."""
        return self._failures < MAX_FAILURES

    def invoke(self, at: int) -> None:
        """Make one call here and now, and keep its outcome. An answer that is to be awaited is refused."""
        arguments, _ = self._combinations[at]
        begun = clock.monotonic_ns()
        with spending.tally() as spent:
            try:
                value = self.plan.call(self._complete(arguments))
                if _is_awaited(value):
                    _close(value)
                    raise errors.UsageError(
                        f"{self.plan.name} gives something to be awaited; use `arun`"
                    )
                self._keep(at, numbers.read(value), begun, spent.total)
            except (Exception, SystemExit) as error:  # noqa: BLE001 the implementation's errors are outcomes
                self._keep_error(at, error, begun, spent.total)
            except BaseException as error:
                # Nobody can be cancelled in here, so that what says so is the implementation's.
                if not isinstance(error, _ENDINGS) and _is_of_caller(error):
                    raise
                self._keep_error(at, error, begun, spent.total)

    async def ainvoke(self, at: int, call: Callable[[Mapping[str, Any]], Awaitable[Any]]) -> None:
        """The same by a call that is awaited."""
        arguments, _ = self._combinations[at]
        begun = clock.monotonic_ns()
        with spending.tally() as spent:
            try:
                value = await call(self._complete(arguments))
                if _is_awaited(value):
                    value = await value
                self._keep(at, numbers.read(value), begun, spent.total)
            except (Exception, SystemExit) as error:  # noqa: BLE001 as above
                self._keep_error(at, error, begun, spent.total)
            except BaseException as error:
                if _is_of_caller(error):
                    raise
                self._keep_error(at, error, begun, spent.total)

    def _complete(self, arguments: dict[str, Any]) -> dict[str, Any]:
        static = self.plan.static
        whole = {**static, **arguments} if static else arguments
        if self.plan.is_repeatable:
            return whole
        # What an implementation changes is its own: others judge the same record, and what it was given is kept.
        return {name: _own(value) for name, value in whole.items()}

    def _keep(
        self, at: int, said: tuple[numbers.Score, dict[str, Any]], begun: int, spent: spending.Spend
    ) -> None:
        arguments, paths = self._combinations[at]
        self._calls[at] = FeedbackCall(
            args=arguments,
            paths=paths,
            ret=said[0],
            meta=said[1],
            duration_us=(clock.monotonic_ns() - begun) // 1000,
            spent=spent,
        )

    def _keep_error(self, at: int, error: BaseException, begun: int, spent: spending.Spend) -> None:
        arguments, paths = self._combinations[at]
        skipped = isinstance(error, SkipEval)
        if not skipped:
            self._failures += 1
            if self._failure is None or at < self._failure[0]:
                self._failure = at, error, self._is_transient(error)
        self._calls[at] = FeedbackCall(
            args=arguments,
            paths=paths,
            status=_SKIPPED if skipped else _FAILED,
            error=error.reason if isinstance(error, SkipEval) else _said(error),
            duration_us=(clock.monotonic_ns() - begun) // 1000,
            spent=spent,
        )

    def end(self) -> FeedbackResult:
        """The result of all calls that were made."""
        calls = [self._calls[at] for at in sorted(self._calls)]
        if self._failure is not None:
            return self._failed(calls, self._failure)
        done = [each for each in calls if each.status is _DONE]
        if not done:
            reason = calls[0].error if calls else "there was nothing to judge"
            return self._over(_SKIPPED, f"every call was left out: {reason}", calls=calls)
        try:
            output = _aggregated(self.plan.aggregator, [each.ret for each in done])
        except numbers.NotAScore as error:
            return self._over(_FAILED, f"the aggregator {error}", calls=calls)
        except (Exception, SystemExit) as error:  # noqa: BLE001 so are those of the aggregator
            reason = f"aggregating {len(done)} values failed: {_said(error)}"
            return self._over(_FAILED, reason, calls=calls, error=_traced(error))
        if output is None:
            return self._over(
                _SKIPPED, "every list of scores was empty: nothing to aggregate", calls=calls
            )
        return FeedbackResult(
            record_id=self._record_id,
            feedback_definition_id=self.definition_id,
            started_at=self._started,
            status=_DONE,
            cost=_spent(calls),
            name=self.plan.name,
            calls=calls,
            result=None if isinstance(output, dict) else output,
            multi_result=output if isinstance(output, dict) else None,
        )

    def _failed(
        self, calls: list[FeedbackCall], failure: tuple[int, BaseException, bool]
    ) -> FeedbackResult:
        at, error, transient = failure
        count = len(self._combinations)
        which = f"call {at + 1} of {count}" if count > 1 else "it"
        given = ", ".join(
            f"{name}={places.shown(value)}" for name, value in self._combinations[at][0].items()
        )
        left = count - len(calls)
        stopped = f"; {left} further calls were not made" if left else ""
        reason = f"{which} failed with {given or 'no arguments'}: {_said(error)}{stopped}"
        return self._over(_FAILED, reason, calls=calls, error=_traced(error), retriable=transient)

    def _missing(self, missing: errors.MissingPlace) -> FeedbackResult:
        policy = self.plan.if_missing
        if policy is FeedbackOnMissingParameters.ERROR:
            return self._over(_FAILED, missing.message)
        if policy is FeedbackOnMissingParameters.WARN:
            _log.warning(
                "%s is skipped on %s: %s", self.plan.name, self._record_id, missing.message
            )
        return self._over(_SKIPPED, missing.message)

    def skipped(self, reason: str) -> FeedbackResult:
        """The result where nothing is to be judged."""
        return self._over(_SKIPPED, reason)

    def _over(
        self,
        status: FeedbackResultStatus,
        reason: str,
        *,
        calls: list[FeedbackCall] | None = None,
        error: str | None = None,
        retriable: bool = False,
    ) -> FeedbackResult:
        calls = calls or []
        return FeedbackResult(
            record_id=self._record_id,
            feedback_definition_id=self.definition_id,
            started_at=self._started,
            status=status,
            cost=_spent(calls),
            name=self.plan.name,
            calls=calls,
            reason=reason,
            error=error or (reason if status is _FAILED else None),
            retriable=retriable,
        )

    def _is_transient(self, error: BaseException) -> bool:
        if self.plan.is_repeatable or isinstance(error, numbers.NotAScore):
            return False
        said = getattr(error, "retriable", None)
        if isinstance(said, bool):
            return said
        if isinstance(error, errors.UsageError | errors.Unauthorized | ImportError):
            return False
        # A TypeError out of the call itself: it was given what it does not take.
        return not (isinstance(error, TypeError) and _raised_in(error) == signatures.__name__)

    @property
    def count(self) -> int:
        """How many calls there are to make."""
        return len(self._combinations)


def at_once(run: Run) -> FeedbackResult:
    """Make the calls one after the other."""
    for at in range(run.count):
        if not run.goes_on():
            break
        run.invoke(at)
    return run.end()


async def together(
    run: Run,
    call: Callable[[Mapping[str, Any]], Awaitable[Any]] | None,
    *,
    concurrency: int,
    threads: bool,
) -> FeedbackResult:
    """Make the calls at the same time, so many at once.

    Args:
        call: what is awaited; None where the implementation is a plain function.
        concurrency: how many calls are under way at once.
        threads: whether a plain function is called on other threads, because it may wait.
    """
    waiting = iter(range(run.count))

    async def on_thread(arguments: Mapping[str, Any]) -> Any:
        return await asyncio.to_thread(run.plan.call, arguments)

    if call is None and threads:
        call = on_thread

    async def work() -> None:
        for made, at in enumerate(waiting):
            if not run.goes_on():
                return
            if call is not None:
                await run.ainvoke(at, call)
            else:
                run.invoke(at)
                if made % _BREATHE_EVERY == _BREATHE_EVERY - 1:
                    await asyncio.sleep(0)

    workers = 1 if call is None else min(concurrency, run.count)
    if workers <= 1:
        await work()
    else:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    return run.end()


def _aggregated(aggregator: Aggregator, scores: list[Any]) -> float | dict[str, float] | None:
    named: list[dict[str, float]] = [each for each in scores if isinstance(each, dict)]
    if not named:
        values: list[float] = []
        for each in scores:
            if isinstance(each, list):
                values += cast("list[float]", each)
            else:
                values.append(each)
        return aggregator.apply(values) if values else None
    if len(named) < len(scores):
        raise numbers.NotAScore(
            "cannot make one of named scores and plain ones; give the same sort each time"
        )
    by_name: dict[str, list[float]] = {}
    for each in named:
        for name, value in each.items():
            by_name.setdefault(name, []).append(value)
    found: dict[str, float] = {}
    for name, values in by_name.items():
        one = aggregator.apply(values)
        if isinstance(one, dict):
            found.update({f"{name}_{below}": value for below, value in one.items()})
        else:
            found[name] = one
    return found


def _spent(calls: Iterable[FeedbackCall]) -> spending.Spend:
    total = spending.NOTHING
    for each in calls:
        if each.spent is not spending.NOTHING:
            total += each.spent
    return total


def _own(value: Any, made: dict[int, Any] | None = None) -> Any:
    """A value with lists and mappings of its own, as JSON has them; anything else as it is.

    A live value may hold itself, or one thing many times over: so does its copy.
    """
    kind = cast("type[Any]", type(value))
    if kind not in _COPIED:
        return value
    made = {} if made is None else made
    copied: Any = made.get(id(value))
    if copied is None:
        copied = made[id(value)] = cast("Any", kind())
        if kind is list:
            copied += [_own(each, made) if type(each) in _COPIED else each for each in value]
        else:
            copied.update(value)
            for name, each in value.items():
                if type(each) in _COPIED:
                    copied[name] = _own(each, made)
    return copied


def _is_of_caller(error: BaseException) -> bool:
    """Whether it ends the caller: interrupts reach the main thread only, so elsewhere the implementation raised it."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    if isinstance(error, GeneratorExit):
        return True
    return threading.current_thread() is threading.main_thread()


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 what an error does when it is shown is its own affair
        text = ""
    if isinstance(error, numbers.NotAScore):
        return f"the implementation {text}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _traced(error: BaseException) -> str | None:
    """The traceback from the implementation on; none of ours, and none for what was given back wrongly."""
    if isinstance(error, numbers.NotAScore):
        return None
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(
        "kibitz.judging."
    ):
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace, limit=-50)
    return "".join(lines)


def _raised_in(error: BaseException) -> str | None:
    """The module whose code raised it."""
    trace, module = error.__traceback__, None
    while trace is not None:
        module, trace = trace.tb_frame.f_globals.get("__name__"), trace.tb_next
    return module


def _is_awaited(value: object) -> bool:
    return hasattr(type(value), "__await__")


def _close(value: Any) -> None:
    close = getattr(value, "close", None)
    if close is not None:
        close()


def _joined(names: list[str]) -> str:
    return " and ".join(repr(name) for name in names)
