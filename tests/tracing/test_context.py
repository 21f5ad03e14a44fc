"""What calls inherit from where they start, in threads and event loops too."""

from __future__ import annotations

import asyncio
import threading

import pytest

import kibitz
from kibitz.testing.capturing import Captured


@kibitz.op
def leaf(n):
    return n


def test_attributes_reach_every_call_inside_and_inner_ones_go_first(captured: Captured):
    @kibitz.op(attributes={"of": "op", "user": "nobody"})
    def outer():
        with kibitz.attributes({"step": 2, "user": "b"}):
            leaf(1)
        leaf(2)

    with kibitz.attributes({"user": "a"}):
        outer()
    leaf(3)

    found = [
        {name: value for name, value in (part.attributes or {}).items() if name != "kibitz"}
        for part in captured.calls
    ]
    assert found == [{"of": "op", "user": "a"}, {"step": 2, "user": "b"}, {"user": "a"}, {}]


def test_thread_names_a_conversation(captured: Captured):
    with kibitz.thread("conversation-1") as name:
        leaf(1)
        with kibitz.attributes({"x": 1}):
            leaf(2)
        with kibitz.thread() as new:
            leaf(3)
    leaf(4)

    assert name == "conversation-1"
    assert [part.thread_id for part in captured.calls] == [name, name, new, None]


def test_the_current_call_can_be_asked_and_added_to(captured: Captured):
    @kibitz.op
    def outer():
        call = kibitz.get_current_call()
        assert call is not None
        call.set_attributes({"route": "a"})
        call.set_summary({"usage": {"gpt": {"input_tokens": 3}}, "cost": 0.5})
        call.set_display_name("first try")
        with kibitz.attributes({"x": 1}):
            inside = kibitz.get_current_call()
            assert inside is not None
            assert inside.id == call.id
        return call.id

    assert kibitz.get_current_call() is None
    found = outer()

    (part,) = captured.calls
    assert part.id == found
    assert (part.attributes or {})["route"] == "a"
    assert part.summary == {"usage": {"gpt": {"input_tokens": 3}}, "cost": 0.5}
    assert part.display_name == "first try"


def test_a_root_call_says_where_it_ran_and_others_do_not(captured: Captured):
    @kibitz.op
    def outer():
        leaf(1)

    outer()

    root, inner = captured.calls
    about = (root.attributes or {})["kibitz"]
    assert about["client"]["name"] == "kibitz"
    assert set(about["system"]) >= {"os", "python", "host"}
    assert inner.attributes is None


def test_a_plain_thread_starts_a_trace_and_copy_context_continues_one(captured: Captured):
    @kibitz.op
    def outer():
        for target in (leaf, kibitz.copy_context(leaf)):
            thread = threading.Thread(target=target, args=(1,))
            thread.start()
            thread.join()

    outer()

    first, second = captured.tree()
    assert (first["op"], [part["op"] for part in first["children"]]) == ("outer", ["leaf"])
    assert second["op"] == "leaf"


def test_the_thread_pool_keeps_the_parent(captured: Captured):
    @kibitz.op
    def outer():
        with kibitz.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(leaf, range(20))) == list(range(20))

    with kibitz.thread("t"):
        outer()

    (trace,) = captured.tree()
    assert sorted(part["output"] for part in trace["children"]) == list(range(20))
    assert {part["thread_id"] for part in trace["children"]} == {"t"}


def test_tasks_of_an_event_loop_keep_their_own_parents(captured: Captured):
    @kibitz.op
    async def work(n):
        await asyncio.sleep(0)
        leaf(n)
        await asyncio.sleep(0)
        return n

    @kibitz.op
    async def outer():
        return await asyncio.gather(*(work(n) for n in range(5)))

    assert asyncio.run(outer()) == [0, 1, 2, 3, 4]

    (trace,) = captured.tree()
    found = {
        part["inputs"]["n"]: [each["inputs"]["n"] for each in part["children"]]
        for part in trace["children"]
    }
    assert found == {n: [n] for n in range(5)}


def test_many_threads_record_every_call_once(captured: Captured):
    def work():
        for n in range(200):
            leaf(n)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    calls = captured.calls
    assert len(calls) == len({part.id for part in calls}) == 1600
    assert captured.flush().calls_sent == 1600


def test_attributes_are_given_by_name_as_a_mapping_or_both_and_around_a_function(
    captured: Captured,
):
    @kibitz.op
    def step() -> None: ...

    @kibitz.attributes(of="decorator")  # type: ignore[operator]
    def work() -> None:
        step()

    with kibitz.attributes(env="prod"):
        step()
    with kibitz.attributes({"user.id": 1, "env": "a"}, env="b"):
        step()
    work()
    with kibitz.attributes():
        step()

    given = [
        {name: value for name, value in (part.attributes or {}).items() if name != "kibitz"}
        for part in captured.calls
    ]
    assert given == [{"env": "prod"}, {"user.id": 1, "env": "b"}, {"of": "decorator"}, {}]
    with pytest.raises(TypeError), kibitz.attributes(5):  # type: ignore[arg-type]
        step()


def test_attributes_are_also_the_field_to_ask_for_them():
    assert repr(kibitz.attributes.env == "prod") == "attributes.env = prod"
    assert repr(kibitz.attributes["user.id"].exists()) == 'exists attributes."user.id"'
    assert repr(kibitz.attributes.contains("x")) == 'attributes contains "x"'
    assert repr(kibitz.attributes) == "attributes"
