"""Evaluations: each definition is applied to each record once, by whoever claims it."""

from __future__ import annotations

from typing import Any

import evaluating
import parts
import pytest
from evaluating import GROUNDED, GROUNDED_REF
from parts import PROJECT

from kibitz.base.evaluations import EvaluationQuery
from kibitz.base.spending import Spend
from kibitz.query.nodes import FeedbackQuery


def fill(store: Any, count: int = 3, **fields: Any) -> None:
    """Calls that have ended, each wanted to be evaluated."""
    calls = [parts.call(f"c{n}", seconds=n) for n in range(count)]
    evaluations = [evaluating.wanted(f"c{n}", **fields) for n in range(count)]
    receipt = store.ingest.write(
        parts.batch(calls=calls, objects=[GROUNDED], evaluations=evaluations)
    )
    assert (receipt.rejected, receipt.evaluations) == ([], count)


def claim(store: Any, worker: str = "w", **options: Any) -> list[Any]:
    options = {"limit": 100, "lease_s": 60.0, **options}
    return store.evaluations.claim(worker, **options)


def only(store: Any) -> Any:
    (found,) = store.evaluations.query(EvaluationQuery(project=PROJECT)).items
    return found


def judgements(store: Any) -> list[Any]:
    query = FeedbackQuery(project=PROJECT, limit=1000)
    return [each for each in store.feedback.query(query).items if each.stands]


def counts(store: Any) -> tuple[int, int, int, int, int]:
    (found,) = store.evaluations.progress(PROJECT)
    return found.wanted, found.running, found.done, found.failed, found.skipped


def test_what_is_wanted_is_claimed_once_and_becomes_feedback(store):
    fill(store)

    claims = claim(store)
    assert claim(store, "another") == []
    taken = store.evaluations.finish(
        PROJECT, [evaluating.outcome(each, n / 2) for n, each in enumerate(claims)]
    )

    assert sorted(taken) == sorted(each.run_id for each in claims)
    assert [each.attempt for each in claims] == [1, 1, 1]
    said = judgements(store)
    assert {each.id for each in said} == set(taken)
    assert sorted(each.payload["output"] for each in said) == [0, 0.5, 1.0]
    assert {(each.type, each.author, each.author_kind, each.runnable_ref) for each in said} == {
        ("runnable.grounded", "", "program", GROUNDED_REF)
    }
    assert counts(store) == (0, 0, 3, 0, 0)
    evaluation = store.evaluations.of_call(PROJECT, "c0")[0]
    assert (evaluation.status, evaluation.name, evaluation.worker, evaluation.op) == (
        "done",
        "grounded",
        "w",
        "answer",
    )
    assert evaluation.feedback_id in taken


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_run_that_says_nothing_is_kept_with_its_reason_and_is_no_judgement(store, status):
    fill(store, 1)
    (run,) = claim(store)

    store.evaluations.finish(
        PROJECT,
        [evaluating.outcome(run, status=status, reason="no context", error="Traceback …")],
    )

    found = store.evaluations.get(PROJECT, run.evaluation_id)
    assert (found.status, found.reason, found.error) == (status, "no context", "Traceback …")
    assert judgements(store) == []


def test_a_run_that_is_to_be_tried_again_is_wanted_with_its_attempts_and_its_cost(store):
    fill(store, 1)
    (run,) = claim(store)
    spent = Spend(requests=1, input_tokens=10, usd=0.25)
    part = evaluating.outcome(
        run, status="failed", reason="busy", retry_at=parts.at(0), spent=spent
    )

    assert store.evaluations.finish(PROJECT, [part]) == [run.run_id]
    found = only(store)
    (second,) = claim(store)
    store.evaluations.finish(PROJECT, [evaluating.outcome(second, spent=spent)])

    assert (found.status, found.attempts, found.reason) == ("none", 1, "busy")
    assert second.attempt == 2
    assert only(store).spent == Spend(requests=2, input_tokens=20, usd=0.5)
    assert store.evaluations.progress(PROJECT)[0].spent_usd == 0.5
