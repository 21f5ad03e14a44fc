"""What stands between a judge and its service: pace, concurrency, retries, time-outs, money.

One `Endpoint` stands for one service, address, key and model in this process, and everybody who asks it shares it:
threads, tasks and event loops alike. A request goes through these in turn:

    gate (so many at once) ──▶ budget ──▶ pace (requests and tokens a minute) ──▶ send ──▶ tokens and money counted
                                             ▲                                    │ 429: everybody here waits
                                             └────────── later, with jitter ◀─────┘ 5xx, no answer: this one waits

What a request will cost is known afterwards. Until then it is put by what its prompt costs, or the dearest request so
far: where the budget is not enough for all that are under way and one more, that one waits for them. So however many ask at
the same time, the budget is overrun by one request, and by what others cost more than was put by for them.

A 429 concerns all that ask the endpoint: it pauses them together until the moment that the service named, and then
lets in half as many as before, one more with each answer. Nothing is patched and no thread is replaced: clients call
`call` or `acall` with a function that sends one request.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar, assert_never

from msgspec import Struct

from kibitz.base import clock, spending
from kibitz.base.errors import BudgetSpent, KibitzError, Unavailable
from kibitz.base.locks import ForkLock
from kibitz.base.spending import NOTHING, Spend
from kibitz.providers import pace, prices, retrying

T = TypeVar("T")

DEFAULT_CONCURRENCY = 64
_FUNDS_S = 0.1
"""How often it is looked whether the budget has room again."""


class Limits(Struct, frozen=True, kw_only=True):
    """What holds for everybody who asks an endpoint. None leaves it as it is; at first there is no limit."""

    rpm: float | None = None
    """Requests per minute."""
    tpm: float | None = None
    """Tokens per minute, input and output together."""
    concurrency: int | None = None
    """Requests at the same time; `DEFAULT_CONCURRENCY` at first."""
    budget_usd: float | None = None
    """No request is sent any more when this process has spent so much on it."""


class Patience(Struct, frozen=True, kw_only=True):
    """How long one question may take."""

    timeout_s: float = 60.0
    """For one request."""
    total_timeout_s: float = 300.0
    """From the first request of a question to the end of its last; waiting for its turn is not counted."""
    retries: int = 5
    """Requests after the first one that failed."""


USUAL = Patience()


class Answered(Struct, Generic[T], frozen=True):
    """What a service said, and what it counted."""

    value: T
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    """What it cost, where the client knows better than the table of prices."""


class _Wait(Struct, frozen=True):
    seconds: float


class _Enter(Struct, frozen=True):
    pass


class _Send(Struct, frozen=True):
    timeout_s: float


_Step = _Wait | _Enter | _Send


class Endpoint:
    """A service as this process uses it. Take one from `shared`, so that all who ask it keep its limits together."""

    def __init__(self, name: str, *, model: str = "") -> None:
        self.name = name
        """For people: `gpt-4.1-mini at api.openai.com`."""
        self.model = model
        """What prices are looked up by."""
        self.sleep: Callable[[float], None] = _sleep
        self.asleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._renew()

    def _renew(self) -> None:
        """Begin as new: locks of a parent process may be held by threads that this one does not have."""
        self._lock = threading.Lock()
        """Protects what follows."""
        self.limits = getattr(self, "limits", Limits())
        self._requests = pace.Bucket(self.limits.rpm) if self.limits.rpm else None
        self._tokens = pace.Bucket(self.limits.tpm) if self.limits.tpm else None
        self.gate = pace.Gate(self.limits.concurrency or DEFAULT_CONCURRENCY)
        self.spent: Spend = getattr(self, "spent", NOTHING)
        self._paused_until_s = 0.0
        self._refusals = 0
        """How often in a row the service said that it is too much."""
        self._under_way, self._put_by_usd = 0, 0.0
        """Requests that are not counted yet, and what is put by for them."""
        self._dearest_usd: float = getattr(self, "_dearest_usd", 0.0)

    def limit(self, limits: Limits) -> None:
        """Hold everybody to these from now on; what is None stays as it was. Whoever said something last is heard."""
        with self._lock:
            before = self.limits
            self.limits = Limits(
                rpm=before.rpm if limits.rpm is None else limits.rpm,
                tpm=before.tpm if limits.tpm is None else limits.tpm,
                concurrency=(
                    before.concurrency if limits.concurrency is None else limits.concurrency
                ),
                budget_usd=before.budget_usd if limits.budget_usd is None else limits.budget_usd,
            )
            if self.limits.rpm != before.rpm:
                self._requests = _bucket(self._requests, self.limits.rpm)
            if self.limits.tpm != before.tpm:
                self._tokens = _bucket(self._tokens, self.limits.tpm)
            if self.limits.concurrency != before.concurrency and self.limits.concurrency:
                self.gate.set_width(self.limits.concurrency)

    def call(
        self,
        send: Callable[[float], Answered[T]],
        *,
        tokens: int = 0,
        patience: Patience = USUAL,
    ) -> T:
        """Send a request when it is its turn, again where that may help, and give what was answered.

        Args:
            send: Sends one request within so many seconds. It raises `Unavailable` for what may go well the next
                time, with `retry_after_s` and `status` among the facts, and any other error for what will not.
            tokens: How many tokens it will take, roughly; put right when the answer says.

        Raises:
            BudgetSpent: the budget is spent; nothing was sent.
            Unavailable: it was tried as often or as long as `patience` says.
        """
        course: Generator[_Step, Any, Answered[T]] = self._course(tokens, patience)
        try:
            step = next(course)
            while True:
                try:
                    done = self._do(step, send)
                except KibitzError as error:
                    step = course.throw(error)
                else:
                    step = course.send(done)
        except StopIteration as end:
            answered: Answered[T] = end.value
            return answered.value
        finally:
            course.close()

    async def acall(
        self,
        send: Callable[[float], Awaitable[Answered[T]]],
        *,
        tokens: int = 0,
        patience: Patience = USUAL,
    ) -> T:
        """The same without blocking the event loop."""
        course: Generator[_Step, Any, Answered[T]] = self._course(tokens, patience)
        try:
            step = next(course)
            while True:
                try:
                    done = await self._ado(step, send)
                except KibitzError as error:
                    step = course.throw(error)
                else:
                    step = course.send(done)
        except StopIteration as end:
            answered: Answered[T] = end.value
            return answered.value
        finally:
            course.close()

    def _do(self, step: _Step, send: Callable[[float], Answered[T]]) -> Answered[T] | None:
        match step:
            case _Wait(seconds):
                return self.sleep(seconds)
            case _Enter():
                return self.gate.enter()
            case _Send(timeout_s):
                return send(timeout_s)
            case _:
                assert_never(step)

    async def _ado(
        self, step: _Step, send: Callable[[float], Awaitable[Answered[T]]]
    ) -> Answered[T] | None:
        match step:
            case _Wait(seconds):
                return await self.asleep(seconds)
            case _Enter():
                return await self.gate.aenter()
            case _Send(timeout_s):
                try:
                    async with asyncio.timeout(timeout_s):
                        return await send(timeout_s)
                except TimeoutError as error:
                    if isinstance(error, KibitzError):
                        raise
                    raise Unavailable(
                        f"{self.name} did not answer within {timeout_s:g} s", status=0
                    ) from error
            case _:
                assert_never(step)

    def _course(self, tokens: int, patience: Patience) -> Generator[_Step, Any, Answered[Any]]:
        """The way of one question; it does nothing itself but say what is to be done next."""
        begun_s: float | None = None
        attempt = 0
        while True:
            attempt += 1
            self._check_budget()
            yield _Enter()
            held_usd: float | None = None
            sent = False
            try:
                held_usd = yield from self._funds(tokens)
                yield from self._turn(tokens)
                now_s = _now_s()
                begun_s = now_s if begun_s is None else begun_s
                left_s = begun_s + patience.total_timeout_s - now_s
                sent = True
                answered: Answered[Any] = yield _Send(min(patience.timeout_s, max(left_s, 1.0)))
            except Unavailable as error:
                wait_s = self._failed(error, attempt, tokens)
                over = _now_s() + wait_s > begun_s + patience.total_timeout_s if begun_s else False
                if attempt > patience.retries or over:
                    raise _given_up(error, attempt, over, patience) from error
            except BaseException:
                # Also one that is cancelled while it is under way is perhaps charged.
                if sent:
                    self._count(Spend(requests=1))
                raise
            else:
                self._answered(answered, tokens)
                return answered
            finally:
                self._release(held_usd)
                self.gate.leave()
            yield _Wait(wait_s)

    def _funds(self, tokens: int) -> Generator[_Step, Any, float]:
        """Wait until the budget has room for one more beside those under way, and put by what it may cost."""
        expected = 0.0
        if self.limits.budget_usd is not None:
            expected = prices.usd(self.model, tokens, 0) or 0.0
        while (held_usd := self._put_by(expected)) is None:
            yield _Wait(_FUNDS_S)
        return held_usd

    def _put_by(self, expected_usd: float) -> float | None:
        """Hold money for a request; None where the budget has no room for it beside those under way.

        Raises:
            BudgetSpent: the others have spent it while this one waited.
        """
        self._check_budget()
        with self._lock:
            usd = max(expected_usd, self._dearest_usd)
            budget = self.limits.budget_usd
            held_usd = self.spent.usd + self._put_by_usd
            # One that is alone is sent whatever it may cost: there is nobody to wait for.
            if budget is not None and self._under_way and held_usd + usd > budget:
                return None
            self._under_way += 1
            self._put_by_usd += usd
            return usd

    def _release(self, held_usd: float | None) -> None:
        if held_usd is None:
            return
        with self._lock:
            self._under_way -= 1
            # Exactly nothing where nobody is under way: sums of floats leave a little.
            self._put_by_usd = self._put_by_usd - held_usd if self._under_way else 0.0

    def _turn(self, tokens: int) -> Generator[_Step, Any, None]:
        """Wait until pace and pause allow to send. What was reserved is given back where nothing was sent."""
        requests, counted = self._requests, self._tokens
        wait_s = max(
            requests.reserve(1) if requests else 0.0,
            counted.reserve(tokens) if counted else 0.0,
        )
        sent = False
        try:
            if wait_s > 0:
                yield _Wait(wait_s)
            while (pause_s := self._paused_until_s - _now_s()) > 0:
                yield _Wait(pause_s * (1 + retrying.draw() / 10))
            # The others may have cost more than was put by for them.
            self._check_budget()
            sent = True
        finally:
            if not sent:
                if requests:
                    requests.give_back(1)
                if counted:
                    counted.give_back(tokens)

    def _failed(self, error: Unavailable, attempt: int, tokens: int) -> float:
        """Count a request that failed, pause everybody where it was too much, and say how long this one waits."""
        self._count(Spend(requests=1))
        if self._tokens:
            self._tokens.give_back(tokens)
        if error.facts.get("status") != 429:
            return retrying.wait_s(attempt, error.retry_after_s)
        with self._lock:
            now_s = _now_s()
            fresh = now_s >= self._paused_until_s
            if fresh:
                # Those that were under way when the first was refused are refused too: that is one refusal.
                self._refusals += 1
            wait_s = retrying.wait_s(self._refusals, error.retry_after_s)
            self._paused_until_s = max(self._paused_until_s, now_s + wait_s)
        if fresh:
            self.gate.narrow()
        return wait_s

    def _answered(self, answered: Answered[Any], tokens: int) -> None:
        used = answered.input_tokens + answered.output_tokens
        if self._tokens and used:
            self._tokens.give_back(tokens - used)
        self._refusals = 0
        self.gate.widen()
        usd = answered.usd
        if usd is None:
            usd = prices.usd(self.model, answered.input_tokens, answered.output_tokens)
        with self._lock:
            self._dearest_usd = max(self._dearest_usd, usd or 0.0)
        self._count(
            Spend(
                requests=1,
                input_tokens=answered.input_tokens,
                output_tokens=answered.output_tokens,
                usd=usd or 0.0,
                unpriced=int(usd is None),
            )
        )

    def _count(self, spent: Spend) -> None:
        with self._lock:
            self.spent += spent
        spending.spend(spent)

    def _check_budget(self) -> None:
        budget, spent = self.limits.budget_usd, self.spent.usd
        if budget is not None and spent >= budget:
            raise BudgetSpent(
                f"{self.name}: {spent:.4f} USD of the budget of {budget:g} USD are spent, so the next request was"
                " not sent; raise budget_usd",
                spent_usd=spent,
                budget_usd=budget,
            )


def _bucket(before: pace.Bucket | None, per_minute: float | None) -> pace.Bucket | None:
    if not per_minute:
        return None
    if before is None:
        return pace.Bucket(per_minute)
    before.set_rate(per_minute)
    return before


def _given_up(error: Unavailable, attempts: int, over: bool, patience: Patience) -> Unavailable:
    why = f"for {patience.total_timeout_s:g} s" if over else f"{attempts} times"
    return Unavailable(f"{error.message} (asked {why}, then gave up)", **error.facts)


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


def _now_s() -> float:
    return clock.monotonic_ns() / 1e9


_lock = ForkLock()
_endpoints: dict[tuple[str, ...], Endpoint] = {}
"""Every endpoint of this process, under `_lock`; they are few and stay."""


def shared(*key: str, name: str, model: str, limits: Limits) -> Endpoint:
    """The endpoint of this service, address, key and model, held to these limits as well."""
    with _lock:
        found = _endpoints.get(key)
        if found is None:
            found = _endpoints[key] = Endpoint(name, model=model)
    found.limit(limits)
    return found


def _after_fork() -> None:
    for each in _endpoints.values():
        each._renew()  # pyright: ignore[reportPrivateUsage] - its own module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
