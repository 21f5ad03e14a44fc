"""Any object or function as an app: its methods are recorded by their places, and its records judged.

app = kibitz.App(rag, app_name="support", app_version="v2", feedbacks=[grounded])

with app as recording:
    rag.query("How do I cancel?")
recording.get().wait_for_feedback_results()
"""

from __future__ import annotations

import functools
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from kibitz.apps import components, identity, recorder, wrapping
from kibitz.apps.components import Component, Method
from kibitz.apps.gathering import Gathered
from kibitz.apps.recorder import Recorder
from kibitz.base import clock, ids, jsonable, redaction
from kibitz.base.errors import UsageError
from kibitz.base.records import Call
from kibitz.judging.modes import FeedbackMode
from kibitz.judging.records import Record
from kibitz.tracing import recording
from kibitz.tracing.op import AsyncOp, Op
from kibitz.tracing.recording import Recording, Scope

if TYPE_CHECKING:
    from kibitz.judging.functions import Feedback


_Object = dict[str, Any]


class App(Recorder):
    """An app.

    The methods of the object and of its components are recorded wherever the object is called, as long as the `App`
    lives; other instances of its classes are left alone. A call that no other call of the app made begins a record.

    Args:
        obj: an object, or a function; a function is recorded where it is called as `app(…)`.
        app_name: what it is called.
        app_version: which version of it this is; records of several are told apart by it.
        feedbacks: the feedback functions that judge its records.
        feedback_mode: `none`, `with_app`, `with_app_thread` or `deferred`, see `evaluating`.
        main_method: the one whose calls begin records, as `rag.query` or by its place; without it any.
        methods: the only ones that are recorded, as bound methods or places (`"retriever.retrieve"`), also of classes
            of a library; without it the public ones of classes of the program, or those marked with `instrument`.
        tags: of its records.
        metadata: of its records.
        selectors_check: what a selector leads to that selects nothing the app can have: `warn`, `error` or `off`.
        feedback_timeout_s: how long `with_app` waits for feedback functions that do not only compute.

    Raises:
        UsageError: nothing can be recorded, or an argument cannot be used.
        NotImportable: the mode is `deferred`, and a worker could not import a feedback function.
        MissingPlace: `selectors_check` is `error`.
    """

    def __init__(
        self,
        obj: Any,
        *,
        app_name: str = identity.DEFAULT_NAME,
        app_version: str = identity.DEFAULT_VERSION,
        feedbacks: Sequence[Feedback] = (),
        feedback_mode: FeedbackMode | str = FeedbackMode.WITH_APP_THREAD,
        main_method: Callable[..., Any] | str | None = None,
        methods: Iterable[Callable[..., Any] | str] | None = None,
        tags: str | Iterable[str] = "",
        metadata: Mapping[str, Any] | None = None,
        selectors_check: Literal["warn", "error", "off"] = "warn",
        feedback_timeout_s: float = recorder.JUDGE_TIMEOUT_S,
    ) -> None:
        super().__init__(
            app_name=app_name,
            app_version=app_version,
            feedbacks=feedbacks,
            feedback_mode=feedback_mode,
            tags=tags,
            metadata=metadata,
            feedback_timeout_s=feedback_timeout_s,
        )
        if selectors_check not in ("warn", "error", "off"):
            raise UsageError(
                f"selectors_check={selectors_check!r} is not one of warn, error, off",
                field="selectors_check",
            )
        self.app = obj
        """What is wrapped."""
        self.token = object()
        self._is_function = components.is_function(obj)
        self._package = components.package_of(obj)
        if methods is not None and not components.is_own(cast("type[Any]", type(obj)), ""):
            # Of an object of a library what is named is recorded, and the library is not gone through.
            self._package = ""
        self._found = [] if self._is_function else components.walk(obj, self._package)
        self._ops: dict[str, Op[..., Any]] = {}
        """By place."""
        self._main: str | None = None
        if self._is_function:
            self._wrap_function(obj)
        else:
            self._main = None if main_method is None else self._method(main_method).place
            self._wrap(self._chosen(methods, main_method))
        if selectors_check != "off":
            self._check_selectors(strictly=selectors_check == "error")

    # Wrapping.

    def _wrap_function(self, func: Any) -> None:
        name = str(getattr(func, "__name__", "call")).strip("<>")
        self._ops[name] = wrapping.make(func, self._options(name))
        self._hook(self._ops[name])

    def _chosen(
        self,
        methods: Iterable[Callable[..., Any] | str] | None,
        main: Callable[..., Any] | str | None,
    ) -> list[Method]:
        if methods is not None:
            named = list(methods)
            if main is not None:
                named.append(main)
            return list({each.place: each for each in map(self._method, named)}.values())
        chosen = {
            method.place: method
            for component in self._found
            for method in components.methods_of(component, self._package)
        }
        if main is not None:
            named_main = self._method(main)
            chosen.setdefault(named_main.place, named_main)
        if not chosen:
            raise UsageError(
                f"{jsonable.class_name(cast('type[Any]', type(self.app)))} has no methods of its own to record; name "
                "them: App(…, methods=['complete', 'retriever.retrieve'])",
                field="methods",
            )
        return list(chosen.values())

    def _method(self, named: Callable[..., Any] | str) -> Method:
        """A method by its place, or as it is bound to its object."""
        if isinstance(named, str):
            return components.method_at(self.app, named)
        owner, name = getattr(named, "__self__", None), getattr(named, "__name__", None)
        if owner is None or not isinstance(name, str):
            raise UsageError(
                f"{named!r} is no method of the app; name it as `app.query` or by its place, 'retriever.retrieve'",
                field="methods",
            )
        place = next((each.place for each in self._found if each.object is owner), None)
        if place is None:
            place = type(owner).__name__
        return components.method_of(owner, name, f"{place}.{name}" if place else name)

    def _wrap(self, methods: list[Method]) -> None:
        # A token and a weak reference: what stands on the classes does not keep the app.
        placed: list[tuple[int, type, str]] = []
        self._owners = [method.owner for method in methods]
        self._wrapped = weakref.finalize(self, _displace, self.token, placed)
        # The end of the program takes the classes with it.
        self._wrapped.atexit = False
        for method in methods:
            made = wrapping.place(
                self.token,
                method.owner,
                method.definer,
                method.name,
                self._options(method.place),
            )
            placed.append((id(method.owner), method.definer, method.name))
            self._ops[method.place] = made
            self._hook(made)

    def _options(self, place: str) -> _Object:
        return {"name": place[-256:], "attributes": self.identity.attributes}

    def _hook(self, op: Op[..., Any]) -> None:
        op.begun = functools.partial(_begun, weakref.ref(self))
        if isinstance(op, AsyncOp) and self.feedback_mode is FeedbackMode.WITH_APP:
            cast("Any", op).__class__ = _JudgedAsyncOp

    def close(self) -> None:
        """Record the object no more; what has begun ends as it would. Again: nothing."""
        if not self._is_function:
            self._wrapped()

    def begun(self, call: Recording) -> None:
        """A recorded method was called."""
        if self._main is None or call.op.name == self._main:
            self.begin_record(call)

    def waits_for(self, call: Recording) -> bool:
        if isinstance(call.op, AsyncOp):
            # Its own call waits, see `_JudgedAsyncOp`.
            return False
        # A plain method in an event loop holds the loop up as it is; an async stream must not.
        return type(call.op) is Op or super().waits_for(call)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, or the main method of the object.

        Raises:
            UsageError: it is not clear which method is meant; name it with `main_method`.
        """
        if self._is_function:
            return next(iter(self._ops.values()))(*args, **kwargs)
        places = [self._main] if self._main else [name for name in self._ops if "." not in name]
        place = "__call__" if "__call__" in places else places[0] if len(places) == 1 else None
        if place is None:
            raise UsageError(
                f"the app has {', '.join(places) or 'no methods of its own'}: call one of them on the object, or name "
                "one: App(…, main_method=…)",
                field="main_method",
            )
        return components.value_at(self.app, place)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        wrapped: Any = self.__dict__.get("app")
        hint = ""
        if wrapped is not None and hasattr(cast("Any", type(wrapped)), name):
            hint = f"; the wrapped object has: call `.{name}` there, or as `app.app.{name}`"
        raise AttributeError(f"App has no {name!r}{hint}")

    # What it is made of.

    @property
    def components(self) -> list[Component]:
        """The objects that the app is made of, with their places."""
        return list(self._found)

    def instrumented(self) -> Mapping[str, Op[..., Any]]:
        """What is recorded, by place."""
        return dict(self._ops)

    def format_instrumented(self) -> str:
        """Components and recorded methods with their places, as text."""
        lines = ["Components:"]
        for component in self._found:
            kind = jsonable.class_name(cast("type[Any]", type(component.object)))
            lines.append(f"    {component.place or 'app'}: {kind}")
        lines.append("Methods:")
        for place, op in self._ops.items():
            begins = self._main in (None, place)
            lines.append(
                f"    {place}: {op.func.__module__}.{op.func.__qualname__}{'' if begins else ' (begins no record)'}"
                f"  Select.RecordCalls.{place}"
            )
        return "\n".join(lines)

    def print_instrumented(self) -> None:
        """Print components and recorded methods with their places."""
        sys.stdout.write(f"{self.format_instrumented()}\n")

    def describe(self) -> Any:
        if self._is_function:
            func = next(iter(self._ops.values())).func
            return {jsonable.TYPE: "function", **_named(func)}
        return components.describe(self.app, self._found, redaction.Redaction(()))

    def dict(self) -> _Object:
        found = super().dict()
        kind = cast("type[Any]", type(self.app))
        main = self._main or next(iter(self._ops))
        found["root_class"] = {"module": kind.__module__, "name": kind.__qualname__}
        found["root_callable"] = {**_named(self._ops[main].func), "place": main}
        found["methods"] = list(self._ops)
        return found

    # Selectors.

    def _check_selectors(self, *, strictly: bool) -> None:
        if not self.feedbacks:
            return
        sample = self._sample_record()
        for feedback in self.feedbacks:
            problem = _problem(feedback, self, sample)
            if problem is None:
                continue
            if strictly:
                raise problem
            warnings.warn(
                f"{problem}. If it is there when the app runs, this is to be passed over: App(…, selectors_check='off')",
                stacklevel=3,
            )

    def _sample_record(self) -> Record:
        """A record in which each recorded method was called once, with values that are not known."""
        now = clock.now()
        root_id = ids.new_id()
        root = self._main or next(iter(self._ops))
        places = [root, *(place for place in self._ops if place != root)]
        calls: list[Call] = []
        for place in places:
            op = self._ops[place]
            try:
                names = [
                    name for name in op.parameters.names if not op.takes_self or name != "self"
                ]
            except (TypeError, ValueError):
                names = []
            call_id = root_id if place == root else ids.new_id()
            calls.append(
                Call(
                    project="sample",
                    id=call_id,
                    trace_id=root_id,
                    parent_id=None if place == root else root_id,
                    op=place,
                    op_ref=None,
                    kind=op.kind,
                    display_name=None,
                    thread_id=None,
                    author=None,
                    status="success",
                    started_at=now,
                    ended_at=now,
                    latency_ms=0.0,
                    input_preview="",
                    output_preview="",
                    inputs=dict.fromkeys(names),
                    output=None,
                    attributes=self.identity.attributes,
                    summary={},
                )
            )
        return Record.of_calls(calls, root_id)


_OPEN_ENDS = (".rets", ".main_input", ".main_output", ".attributes", ".summary", ".kind", ".args.")
"""Below these lie values that only a call shows."""


def _problem(feedback: Feedback, app: App, sample: Record) -> UsageError | None:
    source = {"__record__": sample, "__app__": app.__kibitz_app__()}
    for argument, lens in feedback.selectors.items():
        text = str(lens)
        if ".spans" in text or ".calls" in text or not text.startswith(("__record__", "__app__")):
            continue
        if lens.exists(source):
            continue
        prefix = str(lens.existing_prefix(source))
        rest = text.removeprefix(prefix)
        if any(end in f"{prefix}." for end in _OPEN_ENDS) and rest != text:
            continue
        from kibitz.base.errors import MissingPlace
        from kibitz.judging import lenses

        error = lenses.missing(lens, source)
        return MissingPlace(
            f"argument {argument!r} of {feedback.name}: {error.message}",
            **{**error.facts, "argument": argument},
        )
    return None


def _named(func: Any) -> dict[str, str]:
    return {
        "module": str(getattr(func, "__module__", "")),
        "name": str(getattr(func, "__qualname__", type(func).__qualname__)),
    }


def _begun(app: weakref.ref[App], call: Recording) -> None:
    found = app()
    if found is not None:
        found.begun(call)


def _displace(token: object, placed: list[tuple[int, type, str]]) -> None:
    for instance_id, definer, name in placed:
        wrapping.displace(token, instance_id, definer, name)
    placed.clear()


class _JudgedAsyncOp(AsyncOp[..., Any]):
    """A coroutine method of an app that is judged WITH_APP: its call returns when its record is judged."""

    async def _run_async(self, call: Recording | Scope, args: Any, kwargs: Any) -> Any:
        gathered: Gathered | None = None
        try:
            call.enter_queue()
            found = recording.watched.get(call) if isinstance(call, Recording) else None
            gathered = found if isinstance(found, Gathered) else None
            with call, recording.Active(call):
                call.result = result = await self.func(*args, **kwargs)
        except Exception:
            await _settled(gathered)
            raise
        await _settled(gathered)
        return result


async def _settled(gathered: Gathered | None) -> None:
    if gathered is not None:
        await gathered.app.settled(gathered)
