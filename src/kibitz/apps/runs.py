"""Runs that a library tells of as they begin and end, as calls: by their ids, and by what runs here.

A run is the child of the run that the library names, or of the innermost op that runs inside of that one. While it
runs it is the current call, so that ops which it calls are its children; not while a consumer reads its stream, whose
own calls are none of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kibitz.base.locks import ForkLock
from kibitz.tracing import guard, recording, snapshots
from kibitz.tracing.op import Op
from kibitz.tracing.recording import CURRENT, Active, Extra, Recording, Scope

MAX_OPEN = 10_000
"""Runs that have not ended; over it the oldest are ended, as they were lost."""
_NOT_IN_NAMES = re.compile(r"\W+", re.ASCII)


def place(name: str, method: str) -> str:
    """The place of a run in the layout of a record: the component's name, as an identifier, and the method's."""
    component = _NOT_IN_NAMES.sub("_", name).strip("_") or "run"
    return f"{component[:200]}.{method}"


class _Open:
    __slots__ = ("before", "call", "is_current", "is_first", "is_shown")

    def __init__(
        self,
        call: Recording | Scope | None,
        before: Any,
        is_current: bool,
        *,
        is_first: bool = False,
        is_shown: bool = True,
    ) -> None:
        self.call = call
        self.is_first = is_first
        """Whether it is part of no other run."""
        self.is_shown = is_shown
        """False where the call is that of the run above, which ends for itself."""
        self.before = before
        """What was current before it; only where it is current itself."""
        self.is_current = is_current


class Runs:
    """The runs of one recorder."""

    def __init__(self, attributes: Mapping[str, Any], begun: Callable[[Recording], object]) -> None:
        self._attributes = attributes
        self._begun = begun
        self._ops: dict[tuple[str, str], Op[..., Any]] = {}
        self._open: dict[Any, _Open] = {}
        self._changing = ForkLock()

    def begin(
        self,
        run_id: Any,
        parent_id: Any,
        *,
        name: str,
        kind: str,
        inputs: dict[str, Any],
        is_current: bool = True,
    ) -> None:
        """A run begins; raises nothing.

        Args:
            run_id: its id, as the library has it.
            parent_id: of the run that it is part of; None for none.
            name: its place, which is that of its op.
            kind: chain, llm, retriever, tool …
            inputs: what it was given, by name.
            is_current: whether what begins here until it ends is part of it.
        """
        try:
            above = self._open.get(parent_id)
            with Active(_parent(None if above is None else above.call)):
                call = recording.begin(self._op(name, kind), (), {"inputs": inputs})
            before = CURRENT.get()
            if call is not None:
                call.enter_queue()
                if is_current:
                    CURRENT.set(call)
            lost = None
            with self._changing:
                is_first = above is None or above.call is None
                self._open[run_id] = _Open(call, before, is_current, is_first=is_first)
                if len(self._open) > MAX_OPEN:
                    lost = next(iter(self._open))
            if lost is not None:
                self.end(lost, recording.NOTHING)
        except Exception as error:  # noqa: BLE001 the guard of the recording path
            guard.note(error)

    def skip(self, run_id: Any, parent_id: Any) -> None:
        """A run that is not shown: what it calls belongs to the one above."""
        above = self._open.get(parent_id)
        with self._changing:
            call = None if above is None else above.call
            self._open[run_id] = _Open(call, None, False, is_shown=False)

    def knows(self, run_id: Any) -> bool:
        """Whether a run has begun here and not ended."""
        return run_id in self._open

    def is_first(self, run_id: Any) -> bool:
        """Whether a run is part of no other run; it may be that of an op."""
        open_ = self._open.get(run_id)
        return open_ is not None and open_.is_first and isinstance(open_.call, Recording)

    def asked(self, run_id: Any, inputs: dict[str, Any]) -> None:
        """What a run that has not ended was given turns out now, as that of a chain which takes a stream."""
        open_ = self._open.get(run_id)
        call = None if open_ is None else open_.call
        if isinstance(call, Recording) and not call.ended_ns:
            call.inputs = recording.Named(snapshots.take(inputs)[0])

    def leave(self, run_id: Any) -> Recording | Scope | None:
        """Go on to what is no part of a run that has not ended; gives its call."""
        open_ = self._open.get(run_id)
        if open_ is None:
            return None
        if open_.is_current and CURRENT.get() is open_.call:
            CURRENT.set(open_.before)
        open_.is_current = False
        return open_.call

    def tell(self, run_id: Any, summary: Mapping[str, Any]) -> None:
        """Add numbers about a run that has not ended."""
        open_ = self._open.get(run_id)
        call = None if open_ is None else open_.call
        if isinstance(call, Recording) and summary:
            if call.extra is None:
                call.extra = Extra()
            call.extra.summary.update(summary)

    def end(self, run_id: Any, output: Any, error: BaseException | None = None) -> None:
        """A run has ended, with its output or by raising; raises nothing."""
        with self._changing:
            open_ = self._open.pop(run_id, None)
        if open_ is None or not open_.is_shown:
            return
        try:
            call = open_.call
            if open_.is_current and CURRENT.get() is call:
                CURRENT.set(open_.before)
            elif open_.is_current:
                self._pass_over(call, open_.before)
            if not isinstance(call, Recording) or call.ended_ns:
                return
            call.result = output if error is None else recording.NOTHING
            call.__exit__(
                None if error is None else type(error),
                error,
                None if error is None else error.__traceback__,
            )
        except Exception as problem:  # noqa: BLE001 the guard of the recording path
            guard.note(problem)

    def _pass_over(self, call: Any, before: Any) -> None:
        """A run has ended before one that began after it, as those of a batch do: that one does not lead back to it."""
        with self._changing:
            for each in self._open.values():
                if each.before is call:
                    each.before = before

    def _op(self, name: str, kind: str) -> Op[..., Any]:
        op = self._ops.get((name, kind))
        if op is None:
            op = Op(
                _run,
                name=name,
                kind=kind,
                capture_code=False,
                attributes=self._attributes,
                postprocess_inputs=_inputs,
            )
            op.begun = self._begin
            self._ops[name, kind] = op
        return op

    def _begin(self, call: Recording) -> None:
        self._begun(call)


def _run(inputs: dict[str, Any]) -> Any:
    """Stands for what the library runs."""


def _inputs(named: dict[str, Any]) -> Any:
    return named["inputs"]


def _parent(above: Recording | Scope | None) -> Recording | Scope | None:
    """What is current for a run: the innermost that runs here where it is part of the run above, else that one."""
    here = CURRENT.get()
    if above is None:
        return here
    each = here if isinstance(here, Recording) else here and here.parent
    while each is not None:
        if each is above:
            return here
        each = each.parent
    return above
