"""What an op records of each kind of function, and that the function stays what it was."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import pickle
import traceback

import pytest

import kibitz
from kibitz.base.errors import UsageError
from kibitz.testing.capturing import FROZEN_START_NS, Captured


@kibitz.op
def plain(a, b=2):
    return a + b


@kibitz.op
async def later(a):
    await asyncio.sleep(0)
    return plain(a)


@kibitz.op
def stream(n):
    for i in range(n):
        yield plain(i, 0)


@kibitz.op
async def stream_later(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield plain(i, 0)


class Bot:
    def __init__(self, name):
        self.name = name
        self.huge = ["x" * 1000] * 1000

    @kibitz.op
    def answer(self, question, *, n=1):
        return f"{self.name}: {question}" * n

    @kibitz.op
    async def answer_later(self, question):
        return self.answer(question)

    @kibitz.op
    def words(self, text):
        yield from text.split()

    @kibitz.op
    @classmethod
    def make(cls, name):
        return cls(name)

    @classmethod
    @kibitz.op
    def make_below(cls, name):
        return cls(name).name

    @kibitz.op
    @staticmethod
    def length(text):
        return len(text)

    @staticmethod
    @kibitz.op
    def length_below(text):
        return len(text)

    def __repr__(self):
        return f"Bot({self.name})"


def child(a, b, output):
    return {"op": "plain", "inputs": {"a": a, "b": b}, "output": output}


def test_a_function_is_recorded_with_its_arguments_by_name_and_defaults(captured: Captured):
    assert plain(1) == 3

    assert captured.tree() == [child(1, 2, 3)]


def test_a_whole_trace_has_deterministic_ids_and_times(captured: Captured):
    asyncio.run(later(1))

    outer, inner = captured.calls
    assert outer.id == "019b76da-a800-7000-8000-000000000000"
    assert inner.parent_id == outer.id
    assert {outer.trace_id, inner.trace_id} == {outer.id}
    assert outer.started_at is not None
    assert int(outer.started_at.timestamp()) == FROZEN_START_NS // 10**9
    assert [part.ended_at is not None for part in (outer, inner)] == [True, True]


def test_every_kind_gives_its_result_and_is_the_parent_of_what_it_calls(captured: Captured):
    async def drain():
        return [item async for item in stream_later(2)]

    assert asyncio.run(later(1)) == 3
    assert list(stream(2)) == [0, 1]
    assert asyncio.run(drain()) == [0, 1]

    inside = [child(0, 0, 0), child(1, 0, 1)]
    assert captured.tree() == [
        {"op": "later", "inputs": {"a": 1}, "output": 3, "children": [child(1, 2, 3)]},
        {"op": "stream", "inputs": {"n": 2}, "output": [0, 1], "children": inside},
        {"op": "stream_later", "inputs": {"n": 2}, "output": [0, 1], "children": inside},
    ]


def test_ops_nest_through_functions_that_are_none(captured: Captured):
    def between(a):
        return plain(a)

    @kibitz.op
    def outer():
        return between(5)

    outer()

    assert captured.tree()[0]["children"] == [child(5, 2, 7)]


def test_what_a_consumer_calls_between_yields_is_not_a_child_of_the_generator(captured: Captured):
    async def consume():
        async for _ in stream_later(1):
            plain(70)

    for _ in stream(1):
        plain(60)
    asyncio.run(consume())

    assert [part["op"] for part in captured.tree()] == ["stream", "plain", "stream_later", "plain"]


def test_interleaved_generators_keep_their_own_children(captured: Captured):
    list(zip(stream(2), stream(2), strict=True))

    assert [len(part["children"]) for part in captured.tree()] == [2, 2]


def test_a_generator_is_the_child_of_where_it_was_called(captured: Captured):
    @kibitz.op
    def outer():
        return stream(1)

    for _ in outer():
        pass

    (trace,) = captured.tree()
    assert trace["op"] == "outer"
    assert trace["children"][0]["op"] == "stream"


def test_generators_take_values_and_exceptions_and_return(captured: Captured):
    @kibitz.op
    def talk():
        heard = []
        while True:
            try:
                heard.append((yield len(heard)))
            except KeyError as error:
                heard.append(error.args[0])
            if len(heard) == 3:
                return heard

    talking = talk()
    assert next(talking) == 0
    assert talking.send("a") == 1
    assert talking.throw(KeyError("b")) == 2
    with pytest.raises(StopIteration) as stop:
        talking.send(None)

    assert stop.value.value == ["a", "b", None]
    assert captured.tree()[0]["output"] == [0, 1, 2]


def test_yield_from_passes_the_return_value(captured: Captured):
    @kibitz.op
    def inner():
        yield 1
        return "end"

    def outer():
        result = yield from inner()
        yield result

    assert list(outer()) == [1, "end"]
    assert captured.tree()[0]["output"] == [1]


def test_async_generators_take_values_and_exceptions(captured: Captured):
    @kibitz.op
    async def talk():
        heard = []
        while len(heard) < 2:
            try:
                heard.append((yield len(heard)))
            except KeyError as error:
                heard.append(error.args[0])
        yield heard

    async def run():
        talking = talk()
        assert await anext(talking) == 0
        assert await talking.asend("a") == 1
        assert await talking.athrow(KeyError("b")) == ["a", "b"]
        await talking.aclose()

    asyncio.run(run())

    assert captured.tree()[0]["output"] == [0, 1, ["a", "b"]]
    assert captured.tree()[0]["summary"] == {"stopped_early": True}


@pytest.mark.parametrize("leave", ["close", "collect"])
def test_an_abandoned_generator_is_recorded_with_what_it_had_yielded(
    captured: Captured, leave: str
):
    items = stream(5)
    next(items)
    if leave == "close":
        items.close()
    del items
    gc.collect()

    (trace,) = captured.tree()
    assert trace["output"] == [0]
    assert "error" not in trace
    assert trace["summary"] == {"stopped_early": True}


def test_cleaning_up_after_an_abandoned_generator_happens_inside_its_call(captured: Captured):
    @kibitz.op
    def careful():
        try:
            yield 1
        finally:
            plain(9)

    items = careful()
    next(items)
    items.close()

    (trace,) = captured.tree()
    assert trace["children"] == [child(9, 2, 11)]


def test_an_async_generator_that_nobody_finishes_is_recorded_when_the_loop_ends(
    captured: Captured,
):
    kept = []

    async def abandon():
        items = stream_later(5)
        kept.append(items)
        await anext(items)

    asyncio.run(abandon())

    (trace,) = captured.tree()
    assert trace["output"] == [0]
    assert "error" not in trace
    assert trace["summary"] == {"stopped_early": True}


def test_a_generator_that_is_never_started_is_not_recorded(captured: Captured):
    stream(3)
    gc.collect()

    assert captured.tree() == []


def test_a_generator_that_raises_keeps_what_it_had_yielded(captured: Captured):
    @kibitz.op
    def breaks():
        yield 1
        raise ValueError("after one")

    with pytest.raises(ValueError, match="after one"):
        list(breaks())

    assert captured.tree() == [
        {"op": "breaks", "inputs": {}, "output": [1], "error": "ValueError: after one"}
    ]


def test_accumulate_makes_one_output_of_a_stream(captured: Captured):
    @kibitz.op(accumulate="".join)
    def tokens():
        yield "a"
        yield "b"

    @kibitz.op(accumulate=sum)
    async def numbers():
        yield 1
        yield 2

    async def drain():
        return [item async for item in numbers()]

    assert list(tokens()) == ["a", "b"]
    assert asyncio.run(drain()) == [1, 2]

    assert [part["output"] for part in captured.tree()] == ["ab", 3]


def test_an_accumulator_that_raises_leaves_the_list(captured: Captured, caplog):
    @kibitz.op(accumulate="".join)
    def numbers():
        yield 1

    assert list(numbers()) == [1]

    assert captured.tree()[0]["output"] == [1]
    assert "accumulate=" in caplog.text


def test_an_exception_is_recorded_with_its_place_and_cause_and_raised_unchanged(
    captured: Captured,
):
    boom = ValueError("boom")

    def deep():
        raise boom from KeyError("why")

    @kibitz.op
    def outer():
        deep()

    with pytest.raises(ValueError, match="boom") as caught:
        outer()

    assert caught.value is boom
    (part,) = captured.calls
    assert part.exception is not None
    assert (part.exception.type, part.exception.message) == ("ValueError", "boom")
    assert [frame.function.rpartition(".")[2] for frame in part.exception.traceback] == [
        "outer",
        "deep",
    ]
    assert part.exception.traceback[-1].text == 'raise boom from KeyError("why")'
    assert all("kibitz/tracing" not in frame.file for frame in part.exception.traceback)
    assert part.exception.cause is not None
    assert part.exception.cause.type == "KeyError"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_recorded_too(captured: Captured, kind):
    @kibitz.op
    def stop():
        raise kind

    with pytest.raises(kind):
        stop()

    assert captured.tree()[0]["error"].startswith(kind.__name__)


def test_a_cancelled_coroutine_is_recorded(captured: Captured):
    @kibitz.op
    async def wait():
        await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert captured.tree()[0]["error"].startswith("asyncio.exceptions.CancelledError")


def test_wrong_arguments_raise_as_they_would_without_us(captured: Captured):
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        plain()
    with pytest.raises(TypeError, match="unexpected keyword"):
        stream(m=1)

    assert captured.tree()[0]["inputs"] == {"args": [], "kwargs": {}}


def test_methods_know_their_instance_and_do_not_record_what_it_holds(captured: Captured):
    bot = Bot("Ada")
    assert bot.answer("why?", n=2) == "Ada: why?Ada: why?"
    assert Bot.answer(bot, "how?") == "Ada: how?"
    assert list(bot.words("a b")) == ["a", "b"]
    assert Bot.make("Bob").name == "Bob"
    assert Bot.make_below("Cid") == "Cid"
    assert bot.length("abc") == Bot.length("abc") == Bot.length_below("abc") == 3

    owner = {"$type": "object", "class": f"{__name__}.Bot"}
    found = [(part["op"], part["inputs"]) for part in captured.tree()]
    assert found == [
        ("Bot.answer", {"self": owner, "question": "why?", "n": 2}),
        ("Bot.answer", {"self": owner, "question": "how?", "n": 1}),
        ("Bot.words", {"self": owner, "text": "a b"}),
        ("Bot.make", {"cls": owner, "name": "Bob"}),
        ("Bot.make_below", {"cls": owner, "name": "Cid"}),
        ("Bot.length", {"text": "abc"}),
        ("Bot.length", {"text": "abc"}),
        ("Bot.length_below", {"text": "abc"}),
    ]


def test_call_gives_result_and_handle_for_every_kind(captured: Captured):
    bot = Bot("Ada")

    async def later_calls():
        return await later.call(1), await bot.answer_later.call("q")

    result, call = plain.call(1)
    bound, bound_call = bot.answer.call("q")
    made, _ = Bot.make.call("Bob")
    items, stream_call = stream.call(2)
    assert list(items) == [0, 1]
    (async_result, _), (method_result, _) = asyncio.run(later_calls())

    assert (result, bound, made.name, async_result, method_result) == (
        3,
        "Ada: q",
        "Bob",
        3,
        "Ada: q",
    )
    assert call.id == captured.calls[0].id
    assert (call.inputs, call.output) == ({"a": 1, "b": 2}, 3)
    assert (bound_call.op, bound_call.recorded) == ("Bot.answer", True)
    assert stream_call.output == [0, 1]


def test_call_raises_what_the_function_raises(captured: Captured):
    with pytest.raises(TypeError):
        plain.call("a", 1)

    assert captured.tree()[0]["error"].startswith("TypeError")


def test_an_op_looks_like_the_function_it_was_made_of():
    assert inspect.iscoroutinefunction(later)
    assert inspect.isgeneratorfunction(stream)
    assert inspect.isasyncgenfunction(stream_later)
    assert inspect.iscoroutinefunction(Bot("x").answer_later)
    assert not inspect.iscoroutinefunction(plain)
    assert str(inspect.signature(plain)) == "(a, b=2)"
    assert str(inspect.signature(Bot("x").answer)) == "(question, *, n=1)"
    assert plain.__name__ == "plain"
    assert plain.__wrapped__(1) == 3
    assert plain.__module__ == __name__


def test_ops_are_pickled_and_copied_by_name():

    assert copy.deepcopy(plain) is plain
    assert copy.copy(plain) is plain
    reduced = plain.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    assert reduced == "plain"


def test_bound_ops_are_equal_where_instance_and_op_are():
    bot = Bot("x")

    assert bot.answer == bot.answer
    assert bot.answer != Bot("x").answer
    assert len({bot.answer, bot.answer}) == 1


def test_partials_and_callable_objects_can_be_ops(captured: Captured):
    class Adder:
        def __call__(self, a, b=5):
            return a + b

    assert kibitz.op(functools.partial(plain.func, b=7))(1) == 8
    assert kibitz.op(Adder())(1) == 6
    assert kibitz.op(len)("abc") == 3

    found = [(part["op"], part["inputs"], part["output"]) for part in captured.tree()]
    assert found == [
        ("plain", {"a": 1, "b": 7}, 8),
        ("Adder", {"a": 1, "b": 5}, 6),
        ("len", {"obj": "abc"}, 3),
    ]


def test_all_ways_to_take_arguments_are_recorded_by_name(captured: Captured):
    @kibitz.op
    def takes(a, /, b, *rest, c=3, **extra):
        return None

    takes(1, 2, 4, 5, c=6, d=7)
    takes(1, b=2)
    takes(1, 2, a=9)

    assert [part["inputs"] for part in captured.tree()] == [
        {"a": 1, "b": 2, "c": 6, "rest": [4, 5], "extra": {"d": 7}},
        {"a": 1, "b": 2, "c": 3, "rest": [], "extra": {}},
        {"a": 1, "b": 2, "c": 3, "rest": [], "extra": {"a": 9}},
    ]


def test_a_class_or_a_value_cannot_be_an_op():
    with pytest.raises(UsageError, match="put it on its methods"):
        kibitz.op(Bot)
    with pytest.raises(UsageError, match="is for functions"):
        kibitz.op(3)
    with pytest.raises(UsageError, match="from 0 to 1"):
        kibitz.op(sample_rate=2)(len)
    with pytest.raises(UsageError, match="op name"):
        kibitz.op(name="a\nb")(len)


def test_the_users_traceback_shows_the_users_lines(captured: Captured):
    @kibitz.op
    def boom():
        raise ValueError("x")

    try:
        boom()
    except ValueError as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]

    assert names[0] == "test_the_users_traceback_shows_the_users_lines"
    assert names[-1] == "boom"


def test_recursion_to_the_limit_raises_recursion_error(captured: Captured):
    @kibitz.op
    def down(n):
        return down(n + 1)

    with pytest.raises(RecursionError):
        down(0)

    report = captured.flush()
    assert report.calls_sent == len(captured.calls) > 50
    assert report.dropped == {}
