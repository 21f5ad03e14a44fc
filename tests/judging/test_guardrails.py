from __future__ import annotations

import asyncio
import threading

import pytest

import kibitz
from kibitz.base import spending
from kibitz.base.errors import JudgeFailed, UsageError
from kibitz.base.provider import Provider
from kibitz.judging.functions import Feedback
from kibitz.judging.guardrails import block_input, block_output, context_filter


class Overlap(Provider):
    local = True

    def shares(self, question: str, context: str) -> float:
        asked = set(question.lower().split())
        return len(asked & set(context.lower().split())) / len(asked)

    def with_reason(self, question: str, context: str) -> tuple[float, dict[str, str]]:
        return self.shares(question, context), {"reason": "shared words"}


SHARES = Feedback(Overlap().shares)
CONTEXTS = ["you may cancel the plan", "bananas are yellow", "cancel", "the plan may cancel you"]


def polite(text: str) -> float:
    return 0.0 if "idiot" in text else 1.0


def rude(text: str) -> float:
    return 1.0 - polite(text)


def fails(text: str) -> float:
    raise ConnectionError(f"nobody judges {text!r}")


def test_contexts_that_are_better_than_the_threshold_stay_in_their_order() -> None:
    @context_filter(SHARES, 0.5)
    def retrieve(question: str) -> list[str]:
        return list(CONTEXTS)

    assert retrieve("cancel plan") == [CONTEXTS[0], CONTEXTS[3]]
    assert retrieve.__name__ == "retrieve"


def test_order_is_that_of_the_contexts_when_judges_end_in_another() -> None:
    first = threading.Event()

    def slow_for_the_first(question: str, context: str) -> float:
        if context == "a":
            assert first.wait(10)
        else:
            first.set()
        return 1.0

    @context_filter(Feedback(slow_for_the_first), 0.5)
    def retrieve(question: str) -> list[str]:
        return ["a", "b", "c"]

    assert retrieve("?") == ["a", "b", "c"]


def test_a_context_at_the_threshold_goes_and_a_prompt_at_it_stays() -> None:
    def half(text: str, context: str = "") -> float:
        return 0.5

    @context_filter(Feedback(half), 0.5)
    def retrieve(question: str) -> tuple[str, ...]:
        return ("a",)

    @block_input(Feedback(half), 0.5, return_value="blocked")
    def answer(question: str) -> str:
        return "answered"

    assert retrieve("?") == ()
    assert answer("?") == "answered"


def test_scores_with_reasons_count_by_their_number() -> None:
    @context_filter(Feedback(Overlap().with_reason), 0.5, keyword_for_prompt="query")
    def retrieve(limit: int, query: str) -> list[str]:
        return CONTEXTS[:limit]

    assert retrieve(2, query="cancel plan") == CONTEXTS[:1]


def test_lower_may_be_better() -> None:
    @block_output(Feedback(rude, higher_is_better=False), 0.5, return_value="…")
    def answer(question: str) -> str:
        return question

    assert answer("you idiot") == "…"
    assert answer("you dear") == "you dear"


def test_a_blocked_call_is_not_made() -> None:
    called: list[str] = []

    class Bot:
        @kibitz.block_input(Feedback(polite), 0.5, return_value="no")
        def answer(self, question: str) -> str:
            called.append(question)
            return "yes"

    assert Bot().answer("you idiot") == "no"
    assert Bot().answer(question="please") == "yes"
    assert called == ["please"]


def test_an_output_may_be_judged_with_its_prompt() -> None:
    @block_output(SHARES, 0.5, return_value="off the subject")
    def answer(question: str) -> str:
        return "cancel the plan" if "cancel" in question else "bananas"

    assert answer("cancel plan") == "cancel the plan"
    assert answer("renew plan") == "off the subject"


def test_coroutine_functions_are_guarded_without_holding_their_loop() -> None:
    under_way = most = 0

    async def judge(question: str, context: str) -> float:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return float("cancel" in context)

    @context_filter(Feedback(judge), 0.5)
    async def retrieve(question: str) -> list[str]:
        return list(CONTEXTS)

    @block_input(Feedback(polite), 0.5, return_value="no")
    @block_output(Feedback(polite), 0.5, return_value="…")
    async def answer(question: str) -> str:
        return f"{question}, idiot"

    assert asyncio.run(retrieve("?")) == [CONTEXTS[0], CONTEXTS[2], CONTEXTS[3]]
    assert most > 1
    assert asyncio.run(answer("you idiot")) == "no"
    assert asyncio.run(answer("hello")) == "…"


def test_a_plain_function_may_have_a_judge_that_is_awaited() -> None:
    async def judge(question: str, context: str) -> float:
        return float(context == "b")

    @context_filter(Feedback(judge), 0.5)
    def retrieve(question: str) -> list[str]:
        return ["a", "b"]

    assert retrieve("?") == ["b"]


@pytest.mark.parametrize(("on_error", "expected"), [("block", "blocked"), ("pass", "answered")])
def test_a_judge_that_fails_blocks_or_lets_pass(on_error, expected) -> None:
    @block_input(Feedback(fails), 0.5, return_value="blocked", on_error=on_error)
    def answer(question: str) -> str:
        return "answered"

    assert answer("?") == expected


def test_a_judge_that_fails_is_raised_where_nothing_else_is_said() -> None:
    @block_input(Feedback(fails), 0.5)
    def answer(question: str) -> str:
        return "answered"

    with pytest.raises(JudgeFailed, match=r"'fails' could not judge: .*nobody judges '\?'"):
        answer("?")


def test_what_judging_costs_is_counted_where_it_was_caused() -> None:
    def judge(question: str, context: str) -> float:
        spending.spend(spending.Spend(requests=1, usd=0.5))
        return 1.0

    @context_filter(Feedback(judge), 0.5)
    def retrieve(question: str) -> list[str]:
        return ["a", "b"]

    with spending.tally() as spent:
        retrieve("?")

    assert spent.total == spending.Spend(requests=2, usd=1.0)


def test_contexts_may_be_documents() -> None:
    @context_filter(SHARES, 0.5, text=lambda document: document["text"])
    def retrieve(question: str) -> list[dict[str, str]]:
        return [{"text": each} for each in CONTEXTS]

    assert [each["text"] for each in retrieve("cancel plan")] == [CONTEXTS[0], CONTEXTS[3]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: context_filter(Feedback(polite), 0.5)(f), "called with 2 values"),
        (lambda f: block_input(SHARES, 0.5)(f), "called with one value"),
        (lambda f: block_input(Feedback(polite), 0.5, "prompt")(f), "no argument 'prompt'"),
        (lambda f: block_input(Feedback(polite), 0.5, on_error="never")(f), "on_error='never'"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_put_on(make, message) -> None:
    def answer(question: str) -> str:
        return "answered"

    with pytest.raises(UsageError, match=message):
        make(answer)


def test_generators_are_refused() -> None:
    def words():
        yield "a"

    with pytest.raises(UsageError, match="yields its output bit by bit"):
        block_output(Feedback(polite), 0.5)(words)


def test_named_scores_are_no_decision() -> None:
    def several(text: str) -> dict[str, float]:
        return {"a": 1.0, "b": 0.0}

    @block_input(Feedback(several), 0.5)
    def answer(question: str) -> str:
        return "answered"

    with pytest.raises(UsageError, match=r"several numbers \(a, b\)"):
        answer("?")


def test_a_filter_needs_a_list() -> None:
    @context_filter(SHARES, 0.5)
    def retrieve(question: str) -> str:
        return "one text"

    with pytest.raises(UsageError, match="returned str; context_filter needs a list"):
        retrieve("?")
