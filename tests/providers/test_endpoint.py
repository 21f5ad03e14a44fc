"""An endpoint keeps pace, waits as it is told, tries again what may go well, and counts what it costs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import subprocess
import sys
import threading
from datetime import timedelta
from email.utils import format_datetime

import pytest

from kibitz.base import clock, spending
from kibitz.base.errors import BudgetSpent, NotFound, SettingsError, Unavailable, UsageError
from kibitz.providers import endpoint, pace, prices, retrying
from kibitz.providers.endpoint import Answered, Endpoint, Limits, Patience


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clock, "monotonic_ns", lambda: round(time.now_s * 1e9))
    monkeypatch.setattr(retrying, "draw", lambda: 0.5)
    return time


def made(time: Time, *, model: str = "gpt-4.1-mini", **limits) -> Endpoint:
    one = Endpoint("a model", model=model)
    one.sleep, one.asleep = time.sleep, time.asleep
    one.limit(Limits(**limits))
    return one


def said(*outcomes):
    """A way to send that gives or raises these one after the other, and the moments at which it was used."""
    left = list(outcomes)

    def send(_timeout_s: float):
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome if isinstance(outcome, Answered) else Answered(outcome)

    return send


def too_much(after: float | None = None) -> Unavailable:
    facts = {} if after is None else {"retry_after_s": after}
    return Unavailable("too much", status=429, **facts)


def test_requests_are_spread_evenly_over_the_minute(time: Time) -> None:
    one = made(time, rpm=30)
    moments = []
    for _ in range(5):
        one.call(lambda _s: Answered(moments.append(time.now_s)))

    assert [each - moments[0] for each in moments] == pytest.approx([0, 2, 4, 6, 8])


def test_tokens_are_paced_and_put_right_by_what_the_answer_counts(time: Time) -> None:
    one = made(time, tpm=6_000)
    one.call(said(Answered("x", 500, 100)), tokens=100)
    started = time.now_s
    one.call(said("y"), tokens=100)

    # 600 tokens were used, so 500 more than a second's worth had to come in: 5 s, and the next 100 after them.
    assert time.now_s - started == pytest.approx(6.0)


def test_tasks_and_threads_keep_one_pace(time: Time) -> None:
    one = made(time, rpm=60)

    async def ask() -> None:
        async def send(_s: float):
            return Answered(1)

        await one.acall(send)

    one.call(said(1))
    asyncio.run(ask())
    one.call(said(1))

    assert time.waits == pytest.approx([1.0, 1.0])


def test_the_service_names_the_moment_and_is_not_asked_before(time: Time) -> None:
    one = made(time)
    assert one.call(said(too_much(12), "x")) == "x"
    assert sum(time.waits) >= 12


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 529])
def test_what_may_go_well_is_tried_again_with_jitter_that_grows(time: Time, status: int) -> None:
    error = retrying.refusal("a model", status, "busy", {})
    one = made(time)
    assert one.call(said(error, error, error, "x")) == "x"
    assert time.waits == pytest.approx([0.5, 1.0, 2.0])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_is_wrong_with_the_request_is_never_tried_again(time: Time, status: int) -> None:
    one = made(time)
    error = retrying.refusal("a model", status, "no", {"Retry-After": "1"})
    with pytest.raises(type(error)) as raised:
        one.call(said(error, "x"))
    assert raised.value.facts["status"] == status
    assert time.waits == []


def test_it_gives_up_and_says_how_often_it_asked(time: Time) -> None:
    one = made(time)
    errors = [Unavailable("busy", status=503) for _ in range(3)]
    with pytest.raises(Unavailable, match=r"busy \(asked 3 times, then gave up\)"):
        one.call(said(*errors), patience=Patience(retries=2))


def test_it_does_not_wait_beyond_the_time_of_the_question(time: Time) -> None:
    one = made(time)
    with pytest.raises(Unavailable, match="asked for 10 s") as raised:
        one.call(said(too_much(60)), patience=Patience(total_timeout_s=10))
    assert raised.value.retry_after_s == 60
    assert time.waits == []


def test_a_storm_pauses_everybody_on_the_endpoint(time: Time) -> None:
    one = made(time)
    with pytest.raises(Unavailable):
        one.call(said(too_much(20)), patience=Patience(retries=0))
    started = time.now_s
    moments = []
    one.call(lambda _s: Answered(moments.append(time.now_s)))

    assert moments[0] - started >= 20


def test_after_a_storm_fewer_are_let_in_and_one_more_with_each_answer(time: Time) -> None:
    one = made(time, concurrency=8)
    for _ in range(8):
        one.gate.enter()
    one._failed(too_much(5), 1, 0)
    one._failed(too_much(5), 1, 0)  # of the same storm: that is one refusal
    for _ in range(8):
        one.gate.leave()
    assert one.gate.opening == 4

    one.call(said("x"))
    assert one.gate.opening == 5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "1e9"}, retrying.MAX_RETRY_AFTER_S),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Mon, 99 Foo 2026 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retrying.retry_after_s(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(clock.now() + timedelta(seconds=90), usegmt=True)
    assert retrying.retry_after_s({"Retry-After": date}) == pytest.approx(90, abs=5)


def test_the_budget_stops_before_the_next_request(time: Time) -> None:
    one = made(time, budget_usd=0.0005)
    one.call(said(Answered("x", 1_000, 100)))  # 0.0004 + 0.00016
    with pytest.raises(BudgetSpent, match="raise budget_usd") as raised:
        one.call(said("never sent"))
    assert raised.value.facts["spent_usd"] == pytest.approx(0.00056)

    one.limit(Limits(budget_usd=1))
    assert one.call(said("y")) == "y"


def test_however_many_ask_at_the_same_time_the_budget_is_overrun_by_one_request_at_most() -> None:
    one = Endpoint("a model", model="gpt-4.1-mini")
    one.asleep = lambda _s: asyncio.sleep(0)
    one.limit(Limits(budget_usd=0.0019))
    sent = 0

    async def send(_s: float) -> Answered[str]:
        nonlocal sent
        sent += 1
        for _ in range(10):
            await asyncio.sleep(0)
        return Answered("x", 1_000, 0)  # 0.0004

    async def ask() -> list[str | BaseException]:
        asked = (one.acall(send, tokens=1_000) for _ in range(20))
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(ask())

    assert sent == answers.count("x") == 5
    assert sum(isinstance(each, BudgetSpent) for each in answers) == 15
    assert one.spent == spending.Spend(requests=5, input_tokens=5_000, usd=pytest.approx(0.002))


def test_what_costs_more_than_was_thought_is_put_by_for_the_next(time: Time) -> None:
    one = made(time, budget_usd=0.01)
    one.call(said(Answered("thought for long", 10, 2_500)), tokens=10)  # 0.004

    async def ask() -> list[str | BaseException]:
        asked = (one.acall(dear, tokens=10) for _ in range(9))
        return await asyncio.gather(*asked, return_exceptions=True)

    async def dear(_s: float) -> Answered[str]:
        for _ in range(10):
            await asyncio.sleep(0)
        return Answered("x", 10, 2_500)

    one.asleep = lambda _s: asyncio.sleep(0)
    answers = asyncio.run(ask())
    assert answers.count("x") == 2
    assert one.spent.usd < 0.01 + 0.005


def test_a_request_that_is_cancelled_is_counted_and_one_that_was_not_sent_is_not(
    time: Time,
) -> None:
    one = made(time, rpm=1)

    async def hang(_s: float) -> Answered[int]:
        await asyncio.Event().wait()
        return Answered(1)

    async def cancel_both() -> None:
        tasks = [asyncio.create_task(one.acall(hang))]
        await asyncio.sleep(0)
        one.asleep = lambda _s: asyncio.Event().wait()  # until its turn, which does not come
        tasks.append(asyncio.create_task(one.acall(hang)))
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(cancel_both())

    assert one.spent == spending.Spend(requests=1)


def test_money_and_tokens_are_said_to_whoever_counts(time: Time) -> None:
    one = made(time)
    with spending.tally() as spent:
        one.call(said(Unavailable("busy", status=503), Answered("x", 1_000_000, 500_000)))
    assert spent.total == spending.Spend(
        requests=2, input_tokens=1_000_000, output_tokens=500_000, usd=pytest.approx(1.2)
    )
    assert one.spent == spent.total


def test_a_model_without_a_price_is_counted_as_unpriced(time: Time) -> None:
    with spending.tally() as spent:
        made(time, model="house-7b").call(said(Answered("x", 10, 5)))
    assert spent.total == spending.Spend(requests=1, input_tokens=10, output_tokens=5, unpriced=1)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-4o", (2.5, 10.0)),
        ("gpt-4o-2024-08-06", (2.5, 10.0)),
        ("openrouter/openai/gpt-4o-mini", (0.15, 0.6)),
        ("mistral/mistral-small-latest", (0.15, 0.6)),
        ("gpt-4o-audio-preview", None),
        ("", None),
    ],
)
def test_a_model_is_found_without_its_service_and_version(name: str, found) -> None:
    price = prices.price(name)
    assert (price and (price.input, price.output)) == found


def test_prices_of_a_file_go_on_top(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "prices.json"
    table.write_text(
        '{"models": {"house-7b": {"input": 1, "output": 2}, "gpt-4o": {"input": 0, "output": 0}}}'
    )
    monkeypatch.setenv("KIBITZ_PRICES", str(table))

    assert prices.usd("house-7b", 1_000_000, 1_000_000) == 3.0
    assert prices.usd("gpt-4o", 1_000, 1_000) == 0.0
    assert prices.usd("gpt-4.1", 1_000_000, 0) == 2.0


@pytest.mark.parametrize(
    "content", [None, "{", '{"models": {"x": {"input": "free", "output": 1}}}']
)
def test_a_table_of_prices_that_cannot_be_read_is_named(tmp_path, monkeypatch, content) -> None:
    table = tmp_path / "prices.json"
    if content is not None:
        table.write_text(content)
    monkeypatch.setenv("KIBITZ_PRICES", str(table))
    with pytest.raises(SettingsError, match=r"KIBITZ_PRICES=.*prices\.json"):
        prices.price("x")


def test_threads_and_tasks_share_one_gate() -> None:
    one = Endpoint("a model")
    one.limit(Limits(concurrency=3))
    lock, release = threading.Lock(), threading.Event()
    inside, most, full = 0, 0, threading.Event()

    def begin() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == 3:
                full.set()

    def end() -> None:
        nonlocal inside
        with lock:
            inside -= 1

    def send(_s: float):
        begin()
        release.wait(10)
        end()
        return Answered(1)

    async def asend(_s: float):
        begin()
        await asyncio.to_thread(release.wait, 10)
        end()
        return Answered(1)

    async def tasks() -> int:
        return sum(await asyncio.gather(*(one.acall(asend) for _ in range(5))))

    with concurrent.futures.ThreadPoolExecutor(7) as threads:
        asked = [threads.submit(one.call, send) for _ in range(5)]
        asked += [threads.submit(asyncio.run, tasks())]
        assert full.wait(10)
        release.set()
        assert sum(each.result(10) for each in asked) == 10

    assert most == 3
    assert one.gate.inside == 0


def test_a_task_that_is_cancelled_leaves_no_hole() -> None:
    async def go() -> None:
        gate = pace.Gate(1)
        await gate.aenter()
        waiting = [asyncio.create_task(gate.aenter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # before its turn
        gate.leave()
        waiting[1].cancel()  # when it was just let in
        await asyncio.gather(*waiting, return_exceptions=True)
        assert gate.inside == 1
        gate.leave()
        assert gate.inside == 0
        await gate.aenter()

    asyncio.run(go())


def test_a_thread_that_is_interrupted_while_it_waits_leaves_no_hole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = pace.Gate(1)
    gate.enter()

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pace._Thread, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gate.enter()

    gate.leave()
    assert gate.inside == 0


def test_a_question_that_is_cancelled_gives_its_place_back() -> None:
    async def go() -> None:
        one = Endpoint("a model")
        one.limit(Limits(concurrency=1))

        async def hang(_s: float):
            await asyncio.Event().wait()
            return Answered(1)

        async def quick(_s: float):
            return Answered(2)

        task = asyncio.create_task(one.acall(hang))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await one.acall(quick) == 2

    asyncio.run(go())


def test_a_question_that_hangs_is_cut_off() -> None:
    async def hang(_s: float):
        await asyncio.Event().wait()
        return Answered(1)

    with pytest.raises(Unavailable, match="did not answer within 0.05 s"):
        asyncio.run(Endpoint("a model").acall(hang, patience=Patience(timeout_s=0.05, retries=0)))


def test_a_secret_is_in_no_error() -> None:
    error = retrying.refusal(
        "x", 401, "Incorrect API key: sk-very-secret", {}, secret="sk-very-secret"
    )
    assert "sk-very-secret" not in str(error)
    assert "…" in str(error)


def test_errors_of_a_service_are_cut() -> None:
    assert len(str(retrying.refusal("x", 500, "a" * 10_000_000, {}))) < 500


def test_all_who_ask_a_service_share_one_endpoint() -> None:
    one = endpoint.shared("t", "1", name="t", model="", limits=Limits(rpm=10))
    other = endpoint.shared("t", "1", name="t", model="", limits=Limits(concurrency=2))
    assert one is other
    assert (one.limits.rpm, one.gate.width) == (10, 2)
    assert endpoint.shared("t", "2", name="t", model="", limits=Limits()) is not one


def test_other_errors_are_as_they_are(time: Time) -> None:
    one = made(time, concurrency=1)
    with pytest.raises(ZeroDivisionError):
        one.call(said(ZeroDivisionError()))
    with pytest.raises(NotFound):
        one.call(said(NotFound("no")))
    with pytest.raises(UsageError):
        one.call(said(UsageError("no")))
    assert one.call(said("x")) == "x"


def test_b14_importing_providers_changes_nothing_in_threading() -> None:
    code = """
import threading, concurrent.futures, concurrent.futures.thread, sys
before = {m: dict(vars(m)) for m in (threading, concurrent.futures, concurrent.futures.thread)}
start = threading.Thread.start
import kibitz.providers.endpoint, kibitz.providers
from kibitz.providers import OpenAI
for module, names in before.items():
    changed = [n for n, v in names.items() if vars(module).get(n) is not v]
    assert not changed, (module, changed)
assert threading.Thread.start is start
assert "openai" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_spent_in_threads_with_the_context_is_counted(time: Time) -> None:
    one = made(time)
    with spending.tally() as spent, concurrent.futures.ThreadPoolExecutor(1) as threads:
        context = contextvars.copy_context()
        threads.submit(context.run, one.call, said(Answered("x", 3, 4))).result(10)
    assert spent.total.requests == 1
