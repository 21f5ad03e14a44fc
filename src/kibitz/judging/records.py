"""Records: a call with all that it called, as selectors see them.

    record.main_input, record.main_output          what was asked and answered, see `main_values`
    record.calls[-1].args["question"]              the calls in the order in which they ended; the root is the last
    record.app.retriever.retrieve[0].rets          the calls as the app is

The place of a call in the app is its op's name, split at the dots: the calls of `retriever.retrieve` are a list at
`app.retriever.retrieve`, also where there is only one. Where an op has calls of its own and there are ops below its
name, the last element of its list holds those below. Values are as JSON gives them.

Making a record reads nothing; everything is worked out when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Self, cast

import msgspec
from msgspec import Struct

from kibitz.base import jsonable, refs
from kibitz.base.errors import UsageError
from kibitz.base.evaluations import JUDGED_BY, MAX_RECORD_CALLS
from kibitz.base.lazily import Once
from kibitz.base.records import Call, ExceptionInfo
from kibitz.judging import main_values
from kibitz.judging.lenses import Lens
from kibitz.judging.steps import Index, Member, Step


class Perf(Struct, frozen=True, kw_only=True):
    """When something happened."""

    start_time: datetime
    end_time: datetime | None = None
    """None while it runs."""
    latency: float | None = None
    """Seconds."""


class Cost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the calls used, where they said so."""

    n_requests: int = 0
    """Calls that said what they used."""
    n_tokens: int = 0
    n_prompt_tokens: int = 0
    n_completion_tokens: int = 0
    cost: float = 0.0
    cost_currency: str = "USD"


class Family:
    """Who called whom in a record. Calls know it instead of their record, so that neither keeps the other alive."""

    __slots__ = ("_by_id", "_calls", "_root_id")

    def __init__(self, calls: Sequence[Call], root_id: str) -> None:
        self._calls = calls
        self._root_id = root_id
        self._by_id: dict[str, Call] | None = None

    def stack_of(self, call: Call) -> list[dict[str, str]]:
        """The calls from the root to this one, each as its `path` and `method`."""
        by_id = self._by_id
        if by_id is None:
            by_id = self._by_id = {each.id: each for each in self._calls}
        found: list[dict[str, str]] = []
        seen: set[str] = set()
        each: Call | None = call
        while each is not None and each.id not in seen:
            seen.add(each.id)
            path, _, method = each.op.rpartition(".")
            found.append({"path": path, "method": method})
            each = None if each.id == self._root_id else by_id.get(each.parent_id or "")
        return found[::-1]


class RecordCall:
    """One call of a record. A call that raised or has not ended has no `rets`."""

    __slots__ = ("_call", "_family")

    KEYS: Final = (
        "call_id",
        "parent_id",
        "op",
        "kind",
        "path",
        "method",
        "status",
        "args",
        "rets",
        "error",
        "perf",
        "cost",
        "attributes",
        "summary",
        "stack",
    )

    def __init__(self, call: Call, family: Family) -> None:
        self._call = call
        self._family = family

    def __kibitz_keys__(self) -> list[str]:
        has_rets = _has_output(self._call)
        return [name for name in self.KEYS if name != "rets" or has_rets]

    @property
    def call_id(self) -> str:
        return self._call.id

    @property
    def parent_id(self) -> str | None:
        return self._call.parent_id

    @property
    def op(self) -> str:
        """The name of the op."""
        return self._call.op

    @property
    def kind(self) -> str | None:
        return self._call.kind

    @property
    def path(self) -> str:
        """The component that it is a method of, as a place below the app; empty for the app itself."""
        return self._call.op.rpartition(".")[0]

    @property
    def method(self) -> str:
        """The last part of the op's name."""
        return self._call.op.rpartition(".")[2]

    @property
    def status(self) -> str:
        return self._call.status

    @property
    def args(self) -> Any:
        """The arguments by name."""
        return _known(self._call.inputs, {})

    @property
    def rets(self) -> Any:
        """What it returned; AttributeError where it did not return."""
        if not _has_output(self._call):
            raise AttributeError(
                f"the call of {self._call.op} returned nothing: {self.error or 'it runs'}"
            )
        return self._call.output

    @property
    def error(self) -> str | None:
        """What it raised, `type: message`."""
        call = self._call
        exception = call.exception
        if isinstance(exception, ExceptionInfo):
            return f"{exception.type}: {exception.message}"
        return call.error or ("it failed" if call.status == "error" else None)

    @property
    def perf(self) -> Perf:
        call = self._call
        latency = None if call.latency_ms is None else call.latency_ms / 1000
        return Perf(start_time=call.started_at, end_time=call.ended_at, latency=latency)

    @property
    def cost(self) -> Cost:
        return _cost([self._call])

    @property
    def attributes(self) -> Any:
        return _known(self._call.attributes, {})

    @property
    def summary(self) -> Any:
        return _known(self._call.summary, {})

    def __kibitz_values__(self) -> list[Any]:
        call = self._call
        return [call.inputs, call.output, call.attributes, call.summary]

    @property
    def stack(self) -> list[dict[str, str]]:
        """The calls from the root to this one, each as its `path` and `method`."""
        return self._family.stack_of(self._call)

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__kibitz_keys__()}
        for name in ("perf", "cost"):
            found[name] = msgspec.to_builtins(found[name])
        return found

    def __repr__(self) -> str:
        return f"<call of {self.op} {self.call_id}>"


class Calls(list[Any]):
    """The calls of one op. A name is that of the call where there is one, and of each that has it where there are more."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = [each for call in self if (each := _of(call, name)) is not _ABSENT]
        if not found:
            raise AttributeError(f"none of the {len(self)} calls has {name!r}")
        return found[0] if len(self) == 1 or isinstance(self[-1], Layout) else found


class Layout(dict[str, Any]):
    """Components of an app by name. A component is an attribute too, unless mappings have a method of its name."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"{name!r} is not there; there are {', '.join(self) or 'no calls'}")


class Record:
    """A call with all that it called.

    Args:
        record_id: the id of the root call.
        calls: every call of it, in the order in which they ended.
        main_input: what was asked, as JSON; of the root call without.
        main_output: what was answered, as JSON; of the root call without.
    """

    KEYS: Final = (
        "record_id",
        "app_id",
        "app_name",
        "app_version",
        "cost",
        "perf",
        "ts",
        "tags",
        "meta",
        "main_input",
        "main_output",
        "main_error",
        "calls",
        "app",
    )

    find_app: Callable[[], Any] | None = None
    """Gives the app as JSON, for selectors of `Select.App` where a run is not given one; whoever made the record sets
    it."""

    def __init__(
        self,
        *,
        record_id: str,
        calls: Sequence[Call],
        main_input: Any = msgspec.UNSET,
        main_output: Any = msgspec.UNSET,
    ) -> None:
        self.record_id = record_id
        self._given = calls
        self._family = Family(calls, record_id)
        self.__dict__["_calls"] = calls
        # What is given takes the place of what would be worked out.
        if main_input is not msgspec.UNSET:
            self.__dict__["main_input"] = main_input
        if main_output is not msgspec.UNSET:
            self.__dict__["main_output"] = main_output

    @classmethod
    def of_calls(cls, calls: Sequence[Call], root_id: str) -> Self:
        """The record of a call, out of calls in any order. Those that it did not call are left out.

        Raises:
            UsageError: the root is not among them.
        """
        root = next((call for call in calls if call.id == root_id), None)
        if root is None:
            raise UsageError(f"call {root_id!r} is not among the {len(calls)} calls of its record")
        made = cls(record_id=root_id, calls=calls)
        made.__dict__["root"] = root
        # Many selectors only ask for what was asked and answered: that needs no order.
        del made.__dict__["_calls"]
        return made

    @Once
    def _calls(self) -> Sequence[Call]:
        return _below(self._given, self.record_id)

    def __kibitz_keys__(self) -> list[str]:
        return [name for name in self.KEYS if name != "main_output" or self._answers]

    def __kibitz_values__(self) -> list[Any]:
        return list(self.calls)

    def __kibitz_cut__(self, path: Sequence[Step]) -> str | None:
        """In words, what of a place in the record there was no room for: of too many calls the root alone is sure."""
        if len(self._given) <= MAX_RECORD_CALLS:
            return None
        begin = path[0].name if path and isinstance(path[0], Member) else ""
        if begin not in ("", "calls", "app", "cost") or path[:2] == _ROOT:
            return None
        return f"a record of more than {MAX_RECORD_CALLS:,} calls, of which as many were read"

    @Once
    def root(self) -> Call:
        """The call that the record is of."""
        return next(each for each in reversed(self._calls) if each.id == self.record_id)

    @Once
    def calls(self) -> list[RecordCall]:
        """Every call, in the order in which they ended; those that run come after, and the root is the last."""
        family = self._family
        return [RecordCall(each, family) for each in self._calls]

    @Once
    def app(self) -> Layout:
        """The calls as the app is laid out."""
        return _laid_out(zip(self._calls, self.calls, strict=True))

    @Once
    def main_input(self) -> Any:
        """What the app was asked."""
        return main_values.of_inputs(_known(self.root.inputs, {}))

    @property
    def main_output(self) -> Any:
        """What the app answered; AttributeError where it did not."""
        given = self.__dict__.get("main_output", _ABSENT)
        if given is not _ABSENT:
            return given
        if not self._answers:
            raise AttributeError(f"the app gave no answer: {self.main_error or 'it runs'}")
        return main_values.of_output(self.root.output)

    @property
    def _answers(self) -> bool:
        return "main_output" in self.__dict__ or _has_output(self.root)

    @property
    def main_error(self) -> str | None:
        """What the root call raised, `type: message`."""
        return RecordCall(self.root, self._family).error

    @property
    def app_name(self) -> str:
        """The attribute `app_name` of the root call, or the first part of its op's name."""
        return str(self._attribute("app_name") or self.root.op.partition(".")[0])

    @property
    def app_version(self) -> str:
        """The attribute `app_version` of the root call, or `base`."""
        return str(self._attribute("app_version") or "base")

    @Once
    def app_id(self) -> str:
        """One id for every name and version."""
        given = self._attribute("app_id")
        if given:
            return str(given)
        content = msgspec.json.encode([self.app_name, self.app_version])
        return f"app_{refs.digest(content)}"

    @property
    def judged_by(self) -> tuple[str, ...]:
        """Where feedback functions made the root call while they ran: the ids of their definitions, outermost first."""
        said = self._attribute(JUDGED_BY)
        return tuple(map(str, cast("list[Any]", said))) if isinstance(said, list) else ()

    @property
    def tags(self) -> Any:
        """The attribute `tags` of the root call."""
        return self._attribute("tags") or ""

    @property
    def meta(self) -> Any:
        """The attribute `meta` of the root call, or all of its attributes."""
        return self._attribute("meta") or _known(self.root.attributes, {})

    @property
    def ts(self) -> datetime:
        """When the root call began."""
        return self.root.started_at

    @Once
    def perf(self) -> Perf:
        return RecordCall(self.root, self._family).perf

    @Once
    def cost(self) -> Cost:
        """What the root call says that it used, or what the calls below it say together."""
        own = _cost([self.root])
        return own if own.n_requests else _cost(self._calls)

    def get(self, lens: Lens) -> Any:
        """The one value that a selector of this record selects.

        Raises:
            MissingPlace: there is none.
            UsageError: there are several.
        """
        return lens.get_sole_item({"__record__": self})

    def layout_calls_as_app(self) -> dict[str, Any]:
        """The record as JSON; the same as `to_json`."""
        return self.to_json()

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON. Places in it are places of the record."""
        written = {each.call_id: each.to_json() for each in self.calls}
        found: dict[str, Any] = {}
        for name in self.__kibitz_keys__():
            if name == "calls":
                found[name] = list(written.values())
            elif name == "app":
                found[name] = _written(self.app, written)
            else:
                found[name] = getattr(self, name)
        return cast("dict[str, Any]", msgspec.to_builtins(found, enc_hook=jsonable.to_json))

    def _attribute(self, name: str) -> Any:
        attributes = self.root.attributes
        return (
            cast("dict[str, Any]", attributes).get(name) if isinstance(attributes, dict) else None
        )

    def __repr__(self) -> str:
        return f"<record {self.record_id} of {self.root.op}, {len(self._calls)} calls>"


_ABSENT: Final = object()
_ROOT: Final = (Member("calls"), Index(-1))
"""Where the root call is, whatever other calls there are."""


def _of(value: Any, name: str) -> Any:
    if isinstance(value, Layout):
        return value.get(name, _ABSENT)
    return getattr(value, name, _ABSENT)


def _known(value: Any, otherwise: Any) -> Any:
    return otherwise if value is msgspec.UNSET or value is None else value


def _has_output(call: Call) -> bool:
    return call.status == "success" and call.output is not msgspec.UNSET


_began = attrgetter("started_at", "id")
_ended = attrgetter("ended_at")


def _below(calls: Sequence[Call], root_id: str) -> list[Call]:
    """The root and what it called, however deep, in the order in which they ended; the root last."""
    ended = _by_end(calls, root_id)
    if len({call.ended_at for call in ended}) < len(ended):
        # Those that ended in the same moment leave in one order too, whatever order they come in.
        ended = _by_end(sorted(calls, key=_began), root_id)
    return ended


def _by_end(calls: Sequence[Call], root_id: str) -> list[Call]:
    children: dict[str | None, list[Call]] = {}
    root: Call | None = None
    for call in calls:
        if call.id == root_id:
            root = call
        else:
            found = children.get(call.parent_id)
            if found is None:
                children[call.parent_id] = [call]
            else:
                found.append(call)
    chosen: list[Call] = []
    waiting = children.pop(root_id, [])
    while waiting:
        call = waiting.pop()
        chosen.append(call)
        if call.id in children:
            waiting += children.pop(call.id)
    # Backwards, who was called comes before who called it, also where both ended in the same moment.
    chosen.reverse()
    running = [call for call in chosen if call.ended_at is None]
    ended = [call for call in chosen if call.ended_at is not None] if running else chosen
    ended.sort(key=_ended)
    ended += running
    if root is not None:
        ended.append(root)
    return ended


def _laid_out(calls: Iterable[tuple[Call, RecordCall]]) -> Layout:
    by_op: dict[str, Calls] = {}
    for call, view in calls:
        found = by_op.get(call.op)
        if found is None:
            by_op[call.op] = Calls((view,))
        else:
            found.append(view)
    app = Layout()
    for op, found in by_op.items():
        _put(app, op, found)
    return app


def _put(app: Layout, op: str, calls: Calls) -> None:
    *path, method = op.split(".")
    for name in path:
        below = app.get(name)
        if below is None:
            below = app[name] = Layout()
        elif isinstance(below, Calls):
            # What lies below the name of an op comes after its calls.
            if type(below[-1]) is not Layout:
                below.append(Layout())
            below = below[-1]
        app = cast("Layout", below)
    there = app.get(method)
    if there is not None:
        calls.append(there)
    app[method] = calls


def _written(value: Any, calls: Mapping[str, Any]) -> Any:
    if isinstance(value, Layout):
        return {name: _written(each, calls) for name, each in value.items()}
    if isinstance(value, Calls):
        return [_written(each, calls) for each in value]
    return calls[cast("RecordCall", value).call_id]


def _cost(calls: Iterable[Call]) -> Cost:
    requests = tokens = prompt = completion = 0
    cost = 0.0
    for call in calls:
        if call.tokens is None and call.cost is None:
            continue
        requests += 1
        tokens += call.tokens or 0
        prompt += call.input_tokens or 0
        completion += call.output_tokens or 0
        cost += call.cost or 0.0
    return Cost(
        n_requests=requests,
        n_tokens=tokens,
        n_prompt_tokens=prompt,
        n_completion_tokens=completion,
        cost=cost,
    )
