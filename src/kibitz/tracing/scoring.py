"""Judging a call with a program: `call.apply_scorer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from weakref import WeakKeyDictionary

from kibitz.base.errors import UsageError
from kibitz.tracing import guard
from kibitz.tracing import op as ops
from kibitz.tracing.calls import Call, Scored
from kibitz.tracing.op import AsyncOp, BoundOp, Op
from kibitz.tracing.recording import Active, Scope

OUTPUT_NAMES = ("output", "model_output")


class Programs:
    """Judges calls with functions and ops."""

    async def apply(self, call: Call, scorer: Callable[..., Any], extra: dict[str, Any]) -> Scored:
        """Judge a call; a scorer that is not async runs in a thread, so that the event loop goes on."""
        # Who awaits has loaded asyncio; importing kibitz does not.
        import asyncio

        op, before = _op_of(scorer)
        arguments = _arguments(op, before, call, extra)
        with Active(_scope(call)):
            if _is_async(op):
                output, scored = await cast("AsyncOp[..., Any]", op).call(*before, **arguments)
            else:
                output, scored = await asyncio.to_thread(op.call, *before, **arguments)
        return _store(call, op, output, scored)

    def apply_sync(self, call: Call, scorer: Callable[..., Any], extra: dict[str, Any]) -> Scored:
        """Judge a call in this thread."""
        op, before = _op_of(scorer)
        arguments = _arguments(op, before, call, extra)
        if _is_async(op):
            import asyncio

            if _loop_runs():
                raise UsageError(
                    f"scorer {op.name!r} is async and an event loop runs here; use `await call.apply_scorer(…)`"
                )
            return asyncio.run(self.apply(call, scorer, extra))
        with Active(_scope(call)):
            output, scored = op.call(*before, **arguments)
        return _store(call, op, output, scored)


def _store(call: Call, op: Op[..., Any], output: Any, scored: Call) -> Scored:
    if not call.recorded:
        return Scored(output, scored, None)
    if not scored.recorded:
        guard.warn(
            "scorer %r is not recorded (disabled, or the queue is full): its judgement has no call to name and is not stored",
            op.name,
        )
        return Scored(output, scored, None)
    feedback_id = call.judge(
        {
            "type": f"runnable.{op.name}",
            "payload": {"output": output},
            "author_kind": "program",
            "runnable_ref": call.op_ref(op),
            "call_ref": scored.ref,
        }
    )
    return Scored(output, scored, feedback_id)


def _scope(call: Call) -> Scope:
    """A trace of its own: a judgement is about the application, not a step of it. Recorded as the call is."""
    return Scope(None, None, None, call.recorded, True)


_made: WeakKeyDictionary[Any, Op[..., Any]] = WeakKeyDictionary()
"""The ops of plain functions, so that their code is captured once."""


def _op_of(scorer: Any) -> tuple[Op[..., Any], tuple[Any, ...]]:
    """The op of a scorer, and the instance that it is bound to."""
    if isinstance(scorer, BoundOp):
        bound = cast("BoundOp[..., Any]", scorer)
        return bound.__func__, (bound.__self__,)
    if isinstance(scorer, Op):
        return cast("Op[..., Any]", scorer), ()
    try:
        known = _made.get(scorer)
    except TypeError:
        # Not hashable, or without weak references: made anew each time.
        return ops.make(scorer, {"kind": "scorer"}), ()
    if known is None:
        known = ops.make(scorer, {"kind": "scorer"})
        try:
            _made[scorer] = known
        except TypeError:
            return known, ()
    return known, ()


def _arguments(
    op: Op[..., Any], before: tuple[Any, ...], call: Call, extra: dict[str, Any]
) -> dict[str, Any]:
    try:
        parameters = op.parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"scorer {op.name!r} does not say which parameters it takes") from error
    names = parameters.names[len(before) :]
    required = set(parameters.required) & set(names)
    inputs = _inputs(call)
    arguments: dict[str, Any] = {}
    for name in names:
        if name in extra:
            arguments[name] = extra[name]
        elif name in OUTPUT_NAMES:
            if name in required or _has_output(call):
                arguments[name] = call.output
        elif name in inputs:
            arguments[name] = inputs[name]
        elif name in required:
            raise UsageError(
                f"scorer {op.name!r} needs {name!r}, which call {call.id} of {call.op!r} does not have; "
                f"it has {', '.join([*inputs, 'output'])}. Pass it: apply_scorer(scorer, {name}=…)",
                field=name,
            )
    unknown = extra.keys() - arguments.keys()
    if unknown and not parameters.takes_any:
        raise UsageError(f"scorer {op.name!r} has no parameter {sorted(unknown)[0]!r}")
    return {**{name: extra[name] for name in unknown}, **arguments}


def _inputs(call: Call) -> dict[str, Any]:
    try:
        return call.inputs
    except TypeError:
        # The call raised because its arguments do not fit; a scorer may still judge the rest.
        return {}


def _has_output(call: Call) -> bool:
    try:
        call.output  # noqa: B018 asking is the check
    except UsageError:
        return False
    return True


def _is_async(op: Op[..., Any]) -> bool:
    return isinstance(op, AsyncOp)


def _loop_runs() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
