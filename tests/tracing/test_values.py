"""What is kept of values: as they were at the time, bounded, and without harm to the program."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kibitz
from kibitz.base import jsonable
from kibitz.testing import capturing
from kibitz.testing.capturing import Captured
from kibitz.tracing import guard, snapshots


@kibitz.op
def echo(value=None, *rest, **named):
    return value


@dataclass
class Config:
    name: str
    tags: list[str] = field(default_factory=list)


def test_what_is_changed_after_the_call_began_or_ended_is_not_seen(captured: Captured):
    @kibitz.op
    def change(messages, config, seen):
        messages.append("inside")
        config.tags.append("inside")
        seen["x"].add(2)
        return messages

    messages, config, seen = ["before"], Config("c", ["before"]), {"x": {1}}
    output = change(messages, config, seen)
    output.append("after")
    config.name = "after"

    (trace,) = captured.tree()
    assert trace["inputs"] == {
        "messages": ["before"],
        "config": {"name": "c", "tags": ["before"]},
        "seen": {"x": {"$type": "set", "value": [1]}},
    }
    assert trace["output"] == ["before", "inside"]


def test_what_a_stream_yielded_is_kept_as_it_was(captured: Captured):
    @kibitz.op
    def grows():
        items: list[int] = []
        for number in range(3):
            items.append(number)
            yield items

    for items in grows():
        items.append(9)

    assert captured.tree()[0]["output"] == [[0], [0, 9, 1], [0, 9, 1, 9, 2]]


def test_one_argument_that_cannot_be_packed_leaves_the_others_exact(captured: Captured):
    client = object()
    items = [1, {2}]
    echo(client, items, when=datetime(2026, 1, 1, tzinfo=UTC))
    items.append(3)

    inputs = captured.tree()[0]["inputs"]
    assert inputs["value"]["class"] == "object"
    assert inputs["rest"] == [[1, {"$type": "set", "value": [2]}]]
    assert inputs["named"]["when"]["$type"] == "datetime"


def test_an_object_of_another_class_is_kept_by_reference_until_it_is_sent(captured: Captured):
    class Own:
        text = "before"

        def __repr__(self):
            return self.text

    value = Own()
    echo(value)
    value.text = "after"

    assert captured.tree()[0]["inputs"]["value"]["value"] == "after"


def test_values_are_let_go_when_they_are_sent():
    class Own:
        pass

    with capturing.capture() as captured:
        value = Own()
        alive = weakref.ref(value)
        echo(value)
        del value
        captured.flush()
        gc.collect()

        assert alive() is None


def test_an_exception_does_not_keep_the_variables_of_its_frames(captured: Captured):
    class Own:
        pass

    alive: list[weakref.ref[Own]] = []

    @kibitz.op
    def fails():
        value = Own()
        alive.append(weakref.ref(value))
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fails()
    sys.exc_info()
    gc.collect()

    assert alive[0]() is None


cyclic: list[Any] = ["a"]
cyclic.append(cyclic)
deep: list[Any] = []
for _ in range(5000):
    deep = [deep]
shared: list[Any] = ["x"]
for _ in range(50):
    shared = [shared] * 20


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise ValueError("no repr")

    def __eq__(self, other):
        raise ValueError("no eq")

    def __hash__(self):
        raise ValueError("no hash")

    def __bool__(self):
        raise ValueError("no bool")

    def __reduce__(self):
        raise ValueError("no reduce")

    def __len__(self):
        raise ValueError("no len")

    def __iter__(self):
        raise ValueError("no iter")


class HostileDict(dict[str, Any]):
    def items(self):
        raise ValueError("no items")

    def keys(self):
        raise ValueError("no keys")

    def __iter__(self):
        raise ValueError("no iter")


class HostileStr(str):
    __slots__ = ()

    def __str__(self):
        raise ValueError("no str")

    def __len__(self):
        raise ValueError("no len")

    def __hash__(self):
        raise ValueError("no hash")


@dataclass
class HostileData:
    value: Any = None

    def __getattribute__(self, name):
        raise ValueError(name)


class SystemExitRepr:
    def __repr__(self):
        raise KeyboardInterrupt


HOSTILE = {
    "cycle": cyclic,
    "cycle beside an object": [cyclic, object()],
    "deep": deep,
    "deep beside an object": [deep, object()],
    "shared": shared,
    "shared beside an object": [shared, object()],
    "10 MB": "x" * 10_000_000,
    "10 MB inside": {"a": ["é" * 5_000_000]},
    "surrogates": "a\ud800",
    "surrogate keys": {"\ud800": "\udfff"},
    "NUL": "a\0b",
    "not finite": [float("nan"), float("inf"), -float("inf")],
    "huge int": 10**100_000,
    "huge ints": [2**64, -(2**63) - 1, 10**4000],
    "100 k keys": {f"key {number}": number for number in range(100_000)},
    "100 k keys with an object": {
        **{f"key {number}": number for number in range(100_000)},
        "o": object(),
    },
    "hostile": Hostile(),
    "hostile inside": [{"a": Hostile()}, (Hostile(),)],
    "hostile dict": HostileDict(a=1),
    "hostile str": HostileStr("x"),
    "hostile data": HostileData(),
    "class": Hostile,
    "lock": threading.Lock(),
    "module": sys,
    "generator": (number for number in "abc"),
    "deque": deque([1, [2]]),
    "memoryview": memoryview(b"abc"),
    "exception": ValueError("x"),
    "typed dict key": {("a", 1): 1, None: 2, 1.5: 3, b"x": 4},
    "ellipsis": [..., NotImplemented],
    "complex": 1j,
    "type key": {"$type": "file", "digest": "../../etc/passwd"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_leave_the_program_alone_and_become_bounded_json(
    captured: Captured, name: str
):
    value = HOSTILE[name]

    assert echo(value, value, named=value) is value

    (part,) = captured.calls
    content = msgspec.json.encode(part)
    assert len(content) < 3_500_000
    assert b"\\u0000" not in content
    assert part.exception is None
    assert captured.flush().complete


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_can_be_yielded_raised_judged_and_attached(captured: Captured, name: str):
    value = HOSTILE[name]

    @kibitz.op
    def stream():
        yield value

    @kibitz.op
    def fails():
        raise ValueError(value)

    with kibitz.attributes({"value": value}):
        _, call = echo.call(value)
    assert next(iter(list(stream()))) is value
    with pytest.raises(ValueError) as caught:
        fails()
    assert caught.value.args[0] is value
    call.feedback.add("word", {"value": value})
    call.apply_scorer_sync(lambda output: output)

    assert captured.flush().complete
    assert len(captured.calls) == 4
    assert len(captured.feedback) == 2
    for batch in captured.batches:
        assert msgspec.json.decode(msgspec.json.encode(batch))


def test_a_repr_that_interrupts_does_not_stop_the_exporter(captured: Captured, monkeypatch):
    monkeypatch.setattr(guard, "strict", False)
    echo(SystemExitRepr())
    echo(1)

    first, second = captured.calls
    assert (first.attributes or {})["kibitz"] == {"incomplete": "KeyboardInterrupt"}
    assert second.output == 1


def test_the_size_limit_of_the_settings_holds():
    with capturing.capture(settings={"max_value_bytes": 1000}) as captured:
        echo("x" * 5000, y=["z" * 400] * 10)
        (part,) = captured.calls

    assert len(msgspec.json.encode(part.inputs)) < 1600
    assert part.output["$type"] == "truncated"


def test_a_stream_without_end_is_bounded_and_its_length_known(captured: Captured):
    @kibitz.op
    def many():
        yield from range(12_000)

    assert sum(1 for _ in many()) == 12_000

    (trace,) = captured.tree()
    assert trace["output"][9_998:] == [
        9_998,
        9_999,
        {"$type": "truncated", "kind": "list", "kept": 10_000, "total": 12_000},
    ]
    assert trace["summary"] == {"yielded": 12_000}


def test_a_generator_that_is_collected_with_its_thread_is_recorded(captured: Captured):
    @kibitz.op
    def items():
        yield 1
        yield 2

    started = threading.Event()

    def work():
        kept = items()
        next(kept)
        started.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    gc.collect()

    assert captured.tree()[0]["summary"] == {"stopped_early": True}


def test_an_async_generator_left_behind_by_a_closed_loop_does_no_harm(captured: Captured):
    @kibitz.op
    async def items():
        yield 1
        yield 2

    loop = asyncio.new_event_loop()
    kept = items()
    assert loop.run_until_complete(anext(kept)) == 1
    loop.run_until_complete(kept.aclose())
    loop.close()

    assert captured.tree()[0]["output"] == [1]


def test_a_coroutine_that_is_never_awaited_is_not_recorded(captured: Captured):
    @kibitz.op
    async def later():
        return 1

    later().close()

    assert captured.tree() == []


def test_an_exception_whose_text_raises_is_recorded(captured: Captured):
    class Bad(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    @kibitz.op
    def fails():
        raise Bad

    with pytest.raises(Bad):
        fails()

    assert captured.tree()[0]["error"].endswith("<no message: str() raised RuntimeError>")


def test_exceptions_are_bounded(captured: Captured):
    @kibitz.op
    def fails():
        try:
            raise ValueError("x" * 1_000_000)
        except ValueError as error:
            cause: Exception = error
            for number in range(100):
                following = KeyError(number)
                following.__cause__ = cause
                cause = following
            raise cause from None

    with pytest.raises(KeyError):
        fails()

    (part,) = captured.calls
    assert len(msgspec.json.encode(part.exception)) < 100_000


def test_a_group_of_exceptions_says_its_first(captured: Captured):
    @kibitz.op
    def fails():
        raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])

    with pytest.raises(ExceptionGroup):
        fails()

    (part,) = captured.calls
    assert part.exception is not None
    assert part.exception.message == "two (2 sub-exceptions)"
    assert part.exception.cause is not None
    assert part.exception.cause.message == "a"


class Opaque:
    def __repr__(self):
        return "opaque"


plain: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(Opaque)
    | st.builds(Config, st.text(max_size=3), st.lists(st.text(max_size=3), max_size=2)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.builds(deque, st.lists(inner, max_size=2))
    ),
    max_leaves=12,
)


@given(plain)
@settings(max_examples=300, deadline=None)
def test_a_snapshot_says_the_same_as_the_value(value):
    kept, size = snapshots.take(value)

    assert jsonable.to_json(snapshots.value_of(kept)) == jsonable.to_json(value)
    assert size >= 0


@given(st.lists(plain, max_size=4), st.dictionaries(st.text(max_size=3), plain, max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_snapshot_of_arguments_gives_them_back(args, kwargs):
    kept, _ = snapshots.take_arguments(tuple(args), kwargs)

    back_args, back_kwargs = snapshots.arguments_of(kept)

    assert jsonable.to_json(back_args) == jsonable.to_json(tuple(args))
    assert jsonable.to_json(back_kwargs) == jsonable.to_json(kwargs)
