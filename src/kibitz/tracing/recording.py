"""What the caller's thread keeps of a call, and the two blocks that every op is made of.

`recording` is the life of a call, `active` makes it the parent of what starts inside. They are apart because a
generator lives between its yields but must not be active then: what its consumer calls is not its child.

A recording is put into the exporter's queue when the call begins and filled when it ends. Beginning costs one
append, ending only assignments, and the exporter sees by itself what has been running for a moment. What can
wait (names of arguments, JSON, ids as text) waits for the exporter's thread; `parts.py` does it there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from kibitz.base import clock, ids
from kibitz.tracing import failures, guard, snapshots, streams

if TYPE_CHECKING:
    from kibitz.base.records import FeedbackPart
    from kibitz.base.specifications import AnnotationSpec

NOTHING: Any = object()
"""Stands for an output that is not there."""
NO_ROOM: Any = object()
"""Stands for an output that the exporter's queue had no room for."""


_SMALL_OUTPUT = 2000
_CALL_BYTES = 500 + _SMALL_OUTPUT
"""What a call takes in memory beside its arguments; an output that is not larger is in it already."""


class Session(Protocol):
    """What a recording needs of the session it belongs to."""

    @property
    def sample_rate(self) -> float: ...

    @property
    def project(self) -> str: ...

    @property
    def page(self) -> str | None:
        """The address of the project's calls in a browser; None where no server is known."""
        ...

    def put(self, recording: Recording, size: int) -> bool:
        """Take a call that begins; False where there is no room for it."""
        ...

    def grow(self, recording: Recording, size: int) -> bool:
        """Make room for the output of a call that ends; False where there is none."""
        ...

    def specification(self, named: AnnotationSpec | str) -> AnnotationSpec:
        """A specification of the project: itself, or the newest of a name."""
        ...

    def said(self, feedback_id: str) -> FeedbackPart:
        """A judgement by its id, without its payload."""
        ...

    def op_ref(self, op: Any) -> str:
        """The reference of an op's version."""
        ...

    def judge(self, judgement: Mapping[str, Any]) -> str:
        """Take a feedback by its fields and give its id; raises `UsageError` where it breaks a rule."""
        ...


class OpInfo(Protocol):
    """What a recording needs of its op."""

    name: str
    enabled: bool
    sample_rate: float | None
    takes_self: bool
    postprocess_inputs: Any
    postprocess_output: Any
    begun: Any
    """Is told of each recording that begins; None where nobody wants to know."""

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, with defaults; raises `TypeError` where they do not fit."""
        ...


class Scope:
    """What a call that starts inside inherits, where that is not simply the current call.

    As a block it does nothing, so that a call in a trace that is not recorded takes the same way.
    """

    __slots__ = ("attributes", "judging", "parent", "recorded", "result", "thread_id")

    result: Any
    """Taken and forgotten with the scope."""

    def __init__(
        self,
        parent: Recording | None,
        attributes: Mapping[str, Any] | None,
        thread_id: str | None,
        recorded: bool = True,
        judging: bool = False,
    ) -> None:
        self.parent = parent
        self.attributes = attributes
        self.thread_id = thread_id
        self.recorded = recorded
        """False inside a trace that sampling left out."""
        self.judging = judging
        """True where what begins here judges a call: it is recorded whatever sampling says, and is a scorer's."""

    def enter_queue(self) -> None:
        """Nothing to do."""

    def stop_early(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> Scope:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Recording:
    """One call, from its begin to its export. As a block it is the call's life: it ends as the block does."""

    __slots__ = (
        "args",
        "attributes",
        "ended_ns",
        "extra",
        "failure",
        "held",
        "inputs",
        "kwargs",
        "lost",
        "number",
        "op",
        "output",
        "owner",
        "parent",
        "result",
        "root",
        "session",
        "size",
        "started_ns",
        "thread_id",
    )

    def __init__(
        self,
        op: OpInfo,
        session: Session,
        parent: Recording | None,
        attributes: Mapping[str, Any] | None,
        thread_id: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.op = op
        self.session = session
        self.parent = parent
        self.root = None if parent is None else (parent.root or parent)
        """The call that began the trace; None where it is this one: a cycle would keep it for the collector."""
        self.attributes = attributes
        self.thread_id = thread_id
        self.args: tuple[Any, ...] | None = args
        self.kwargs: dict[str, Any] | None = kwargs
        self.result: Any = NOTHING
        """What the function gave, as it is; `output` is what is kept of it."""
        self.failure: failures.Failure | None = None
        self.extra: Extra | None = None
        self.held = False
        """True where the user has a handle: then what is kept of the values stays, for scorers."""
        self.lost = False
        self.ended_ns = 0
        self.number = ids.next_number()
        self.started_ns = clock.now_ns()

    @property
    def id(self) -> str:
        """The call's id."""
        return ids.id_of(self.started_ns, self.number)

    @property
    def trace_id(self) -> str:
        """The id of the call that began the trace."""
        return (self.root or self).id

    def enter_queue(self) -> None:
        """Keep the arguments as they are now and hand the call to the exporter."""
        try:
            size = self._keep_inputs()
            self.size = size
            if not self.session.put(self, size):
                self.lost = True
            if self.op.begun is not None:
                self.op.begun(self)
        except Exception as error:  # noqa: BLE001 the guard of the recording path
            self.lost = True
            guard.note(error)

    def _keep_inputs(self) -> int:
        # Still there: a call lets go of its arguments when it ends, and it has not begun.
        args: Any = self.args
        kwargs: Any = self.kwargs
        op = self.op
        if op.postprocess_inputs is not None:
            self.inputs, size = _postprocessed_inputs(op, args, kwargs)
            return size + _CALL_BYTES
        if op.takes_self and args:
            # Of `self` only its class is kept, however much it holds.
            self.owner = _class_of(args[0])
            args = (None, *args[1:])
        size = _CALL_BYTES
        atoms = snapshots.ATOMS
        value: Any
        kind: Any
        for value in args:
            kind = type(value)  # pyright: ignore[reportUnknownVariableType] of any argument
            if kind is str:
                size += len(value)
            elif kind not in atoms:
                break
        else:
            for value in kwargs.values():
                kind = type(value)  # pyright: ignore[reportUnknownVariableType] of any argument
                if kind is str:
                    size += len(value)
                elif kind not in atoms:
                    break
            else:
                # Nothing in it can change, so that nothing needs a copy.
                self.inputs = (args, kwargs)
                return size
        self.inputs, more = snapshots.take_arguments(args, kwargs)
        return size + more

    def stop_early(self) -> None:
        """Note that whoever consumed the call's stream left it before its end."""
        if self.extra is None:
            self.extra = Extra()
        self.extra.summary["stopped_early"] = True

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The time first: what follows is our work, not the call's.
        ended_ns = clock.now_ns()
        watching = _watching(self) if watched else ()
        try:
            if error is not None:
                self.failure = failures.take(error, trace)
            self._keep_output()
        except Exception as problem:  # noqa: BLE001 the guard of the recording path
            self.output = NOTHING
            if kind is not None and self.failure is None:
                # What raised must not look like a success. At the recursion limit this has to do without a call.
                self.failure = failure = failures.Failure.__new__(failures.Failure)
                failure.kind, failure.message, failure.frames, failure.cause = kind, "", [], None
            _note(problem)
        finally:
            self.args = self.kwargs = self.result = None
            # Last: from now on the exporter's thread takes the call as ended and complete.
            self.ended_ns = ended_ns if ended_ns > self.started_ns else self.started_ns
            for watch in watching:
                watch.ended(self)

    def _keep_output(self) -> None:
        result = self.result
        if result is NOTHING or (self.lost and not self.held):
            self.output = NOTHING
            return
        if type(result) is streams.Items:
            self.output = result if self._has_room(result.size) else NO_ROOM
            return
        if self.op.postprocess_output is not None:
            try:
                result = self.op.postprocess_output(result)
            except Exception as error:  # noqa: BLE001 a user's callback
                # What it was meant to take out must not be stored.
                result = Withheld(error)
        if type(result) is str:
            # The most frequent one by far, without a call.
            output: object = result
            size = len(result)
        else:
            output, size = snapshots.take(result)
        fits = size <= _SMALL_OUTPUT or self._has_room(size)
        self.output = output if fits else NO_ROOM

    def _has_room(self, size: int) -> bool:
        # What did not get into the queue takes no room there; whoever holds it does so in his own.
        return self.lost or self.session.grow(self, size)

    def release(self) -> None:
        """Let go of the values, after the export."""
        if not self.held:
            self.inputs = self.output = self.extra = None


class Extra:
    """What a program adds to a call while it runs."""

    __slots__ = ("attributes", "display_name", "kind", "summary")

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.display_name: str | None = None
        self.kind: str | None = None
        """What the call is where its op does not say."""


class Withheld:
    """Stands for a value whose post-processing raised."""

    __slots__ = ("reason",)

    def __init__(self, error: Exception) -> None:
        self.reason = f"post-processing raised {type(error).__name__}"


class Named:
    """Arguments that are by name already."""

    __slots__ = ("values",)

    def __init__(self, values: object) -> None:
        self.values = values


def _class_of(owner: Any) -> type:
    return owner if isinstance(owner, type) else type(owner)


def _postprocessed_inputs(
    op: OpInfo, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[object, int]:
    try:
        named = op.bind(args, kwargs)
        if op.takes_self and args:
            named[next(iter(named))] = _class_of(args[0])
        kept, size = snapshots.take(op.postprocess_inputs(named))
        return Named(kept), size
    except Exception as error:  # noqa: BLE001 a user's callback
        return Named(Withheld(error)), 0


def _note(problem: Exception) -> None:
    try:
        guard.note(problem)
    except Exception:
        # At the recursion limit even the guard may fail; the user's exception must stay the one that flies.
        if guard.strict and not isinstance(problem, RecursionError):
            raise


CURRENT: ContextVar[Recording | Scope | None] = ContextVar("kibitz_current", default=None)


class Watch(Protocol):
    """Gathers a call and what it calls, as they end."""

    def ended(self, call: Recording) -> None:
        """Take a call that has ended, the watched one last; raises nothing."""
        ...


watched: dict[Recording, Watch] = {}
"""Who gathers what a running call calls. Changed one entry at a time, which needs no lock."""
apart: Session | None = None
"""Where calls of wrapped apps are recorded to before `init()`: nowhere, but their records are made."""


def _watching(call: Recording) -> list[Watch]:
    found: list[Watch] = []
    each: Recording | None = call
    while each is not None:
        watch = watched.get(each)
        if watch is not None:
            found.append(watch)
        each = each.parent
    if found:
        call.held = True
    return found


class Active:
    """The block in which a call is the parent of what starts."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Recording | Scope | None) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._token: Token[Recording | Scope | None] = CURRENT.set(self._scope)

    def __exit__(self, *_: object) -> None:
        try:
            CURRENT.reset(self._token)
        except ValueError:
            # The block was left in another context than it was entered in: an event loop closes
            # abandoned async generators so. The context it was set in is gone with its value.
            return


_session: Session | None = None
_expected = False


def install(session: Session | None, *, expected: bool = True) -> None:
    """Make a session the one that calls are recorded to; None: calls are not recorded.

    Args:
        expected: False where nobody asked yet, so that a call is worth a hint.
    """
    global _session, _expected
    _session = session
    _expected = expected


def installed() -> Session | None:
    """The session that calls are recorded to."""
    return _session


def _apart(op: OpInfo) -> Session | None:
    if apart is None or op.begun is not None:
        return apart
    here = CURRENT.get()
    return apart if type(here) is Recording and here.session is apart else None


def begin(op: OpInfo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording | Scope | None:
    """What an op's call is recorded into; None where it is to run as if there were no op."""
    session = _session
    if session is None or not op.enabled:
        session = _apart(op) if session is None and not _expected and op.enabled else None
        if session is None:
            if _session is None and not _expected:
                guard.hint_not_started()
            return None
    try:
        here = CURRENT.get()
        if type(here) is Recording:
            return Recording(op, session, here, here.attributes, here.thread_id, args, kwargs)
        judging = False
        if here is None:
            parent = attributes = thread_id = None
        else:
            scope: Any = here
            if not scope.recorded:
                return None
            parent, attributes, thread_id = scope.parent, scope.attributes, scope.thread_id
            judging = scope.judging
        if parent is None and not judging:
            rate = session.sample_rate if op.sample_rate is None else op.sample_rate
            if rate < 1.0 and random.random() >= rate:
                return Scope(None, attributes, thread_id, False)
        call = Recording(op, session, parent, attributes, thread_id, args, kwargs)
        if judging:
            call.extra = Extra()
            call.extra.kind = "scorer"
        return call
    except Exception as error:  # noqa: BLE001 the guard of the recording path
        guard.note(error)
        return None
