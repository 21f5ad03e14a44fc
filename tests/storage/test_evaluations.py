"""Evaluations: each definition is applied to each record once, by whoever claims it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import evaluating
import msgspec
import parts
import pytest
from evaluating import GROUNDED, GROUNDED_REF
from parts import PROJECT

from kibitz.base import clock as clock_door
from kibitz.base import refs
from kibitz.base.errors import NotFound, QueryError, UsageError
from kibitz.base.evaluations import EvaluationQuery, Invocation
from kibitz.base.records import ObjectPart
from kibitz.base.spending import Spend
from kibitz.query.nodes import ColumnField, FeedbackQuery, In
from kibitz.storage.sqlite import integrity


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time of day, in seconds after the first call; it stands still in between."""

    def set_(seconds: float) -> None:
        ns = clock_door.to_us(parts.at(seconds)) * 1000
        monkeypatch.setattr(clock_door, "now_ns", lambda: ns)

    set_(0)
    return set_


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


def test_the_same_run_again_is_taken_and_changes_nothing(store):
    fill(store, 1)
    (run,) = claim(store)
    ended = [evaluating.outcome(run, 0.5, spent=Spend(usd=1.0))]
    store.evaluations.finish(PROJECT, ended)
    before = only(store)

    assert store.evaluations.finish(PROJECT, ended) == [run.run_id]

    assert only(store) == before
    assert len(judgements(store)) == 1
    assert store.evaluations.progress(PROJECT)[0].spent_usd == 1.0


def test_a_lease_that_ended_is_due_again_and_its_first_run_is_not_taken(store, clock):
    fill(store, 1)
    (first,) = claim(store, "slow", lease_s=30)
    clock(29)
    assert claim(store) == []
    clock(31)
    (second,) = claim(store, "quick")

    assert store.evaluations.finish(PROJECT, [evaluating.outcome(first, 0.1)]) == []
    assert store.evaluations.finish(PROJECT, [evaluating.outcome(second, 0.9)]) == [second.run_id]
    assert second.attempt == 2
    assert [each.payload["output"] for each in judgements(store)] == [0.9]


def test_a_lease_that_ended_and_that_nobody_took_is_still_its_workers(store, clock):
    fill(store, 1)
    (run,) = claim(store, lease_s=30)
    clock(31)

    assert store.evaluations.finish(PROJECT, [evaluating.outcome(run)]) == [run.run_id]
    assert only(store).status == "done"


def test_a_lease_can_be_kept_for_longer_while_it_is_ones_own(store, clock):
    fill(store, 2)
    mine, lost = claim(store, "a", lease_s=30)
    clock(25)
    assert store.evaluations.extend([mine.run_id], lease_s=30) == [mine.run_id]
    clock(40)
    (taken,) = claim(store, "b")

    assert taken.call_id == lost.call_id
    runs = [mine.run_id, lost.run_id, "nobody"]
    assert store.evaluations.extend(runs, lease_s=30) == [mine.run_id]


def test_what_is_released_is_due_at_once_and_its_attempt_does_not_count(store):
    fill(store, 1)
    (first,) = claim(store)

    assert store.evaluations.release([first.run_id, "nobody"]) == 1
    (second,) = claim(store)

    assert (first.attempt, second.attempt) == (1, 1)
    assert store.evaluations.finish(PROJECT, [evaluating.outcome(first)]) == []
    assert counts(store) == (0, 1, 0, 0, 0)


def test_after_its_last_attempt_it_has_failed_and_says_why(store, clock):
    fill(store, 1)
    for n in range(3):
        clock(100 * n)
        (run,) = claim(store, "crashing", lease_s=50, max_attempts=3)
        assert run.attempt == n + 1
    clock(400)

    assert claim(store, max_attempts=3) == []
    found = only(store)
    assert (found.status, found.attempts) == ("failed", 3)
    assert "crashing" in found.reason
    assert store.evaluations.finish(PROJECT, [evaluating.outcome(run)]) == []
    assert counts(store) == (0, 0, 0, 1, 0)


def test_what_gave_up_does_not_take_the_place_of_what_is_due(store, clock):
    """A claim looks on behind what it gives up."""
    fill(store, 6)
    claim(store, limit=4, lease_s=1)
    clock(10)

    found = claim(store, limit=3, max_attempts=1)

    assert sorted(each.call_id for each in found) == ["c4", "c5"]
    assert counts(store) == (0, 2, 0, 4, 0)


def test_what_ended_can_be_wanted_anew(store):
    fill(store, 2)
    runs = claim(store)
    store.evaluations.finish(
        PROJECT,
        [
            evaluating.outcome(runs[0], 0.2, ended_at=parts.at(5)),
            evaluating.outcome(runs[1], status="failed", reason="x", error="trace"),
        ],
    )
    ids = [each.evaluation_id for each in runs]

    assert store.evaluations.retry(PROJECT, [*ids, "nobody"]) == 2
    assert store.evaluations.retry(PROJECT, ids) == 0
    again = claim(store)
    assert [each.attempt for each in again] == [1, 1]
    assert store.evaluations.get(PROJECT, ids[1]).error is None
    store.evaluations.finish(
        PROJECT, [evaluating.outcome(each, 0.7, ended_at=parts.at(9)) for each in again]
    )

    assert [each.payload["output"] for each in judgements(store)] == [0.7, 0.7]


def test_fresh_ones_come_before_those_of_the_past_and_projects_take_turns(store):
    for project in ("a", "b"):
        part = evaluating.definition(project=project)
        ref = evaluating.ref(part, project)
        calls = [parts.call(f"{project}{n}", seconds=n) for n in range(4)]
        store.ingest.write(parts.batch(project=project, calls=calls, objects=[part]))
        store.evaluations.want(project, [ref], None)
        fresh = parts.call(f"{project}-fresh", seconds=9)
        store.ingest.write(
            parts.batch(
                project=project, calls=[fresh], evaluations=[evaluating.wanted(fresh.id, ref)]
            )
        )

    found = claim(store, limit=6)

    assert {each.call_id for each in found[:2]} == {"a-fresh", "b-fresh"}
    assert [each.project for each in found].count("a") == 3


def test_claims_may_leave_definitions_and_projects_out(store):
    slow = evaluating.definition("slow")
    fill(store, 1)
    part = evaluating.wanted("c0", evaluating.ref(slow))
    store.ingest.write(parts.batch(objects=[slow], evaluations=[part]))

    assert claim(store, projects=["another"]) == []
    found = claim(store, except_definitions=[evaluating.ref(slow)])
    assert [each.definition_ref for each in found] == [GROUNDED_REF]
    assert len(claim(store, projects=[PROJECT])) == 1


def test_what_waits_for_its_call_is_not_due_before_the_call_has_ended(store):
    store.ingest.write(parts.batch(objects=[GROUNDED], evaluations=[evaluating.wanted("late")]))
    assert (claim(store), store.evaluations.next_due()) == ([], None)
    assert only(store).due_at is None

    whole = parts.call("late")
    begun = parts.call("late")
    begun = type(begun)(id="late", op=begun.op, started_at=begun.started_at)
    store.ingest.write(parts.batch(calls=[begun]))
    assert claim(store) == []
    store.ingest.write(parts.batch(calls=[whole]))

    assert [each.call_id for each in claim(store)] == ["late"]


def test_what_is_wanted_twice_is_there_once(store):
    fill(store, 1)
    fill(store, 1)
    store.evaluations.want(PROJECT, [GROUNDED_REF], None)

    assert len(claim(store)) == 1
    assert counts(store) == (0, 1, 0, 0, 0)


def test_a_run_of_the_program_itself_is_stored_with_its_judgement_and_once(store):
    ended = evaluating.said("c0", {"min": 0.25, "max": 1}, ended_at=parts.at(2))
    for _ in range(2):
        receipt = store.ingest.write(
            parts.batch(calls=[parts.call("c0")], objects=[GROUNDED], evaluations=[ended])
        )
        assert (receipt.evaluations, receipt.rejected) == (1, [])

    found = only(store)
    assert (found.status, found.output, found.feedback_id) == (
        "done",
        {"min": 0.25, "max": 1},
        ended.id,
    )
    assert [each.payload for each in judgements(store)] == [{"output": {"min": 0.25, "max": 1}}]
    assert counts(store) == (0, 0, 1, 0, 0)


def test_the_run_that_ended_last_counts_whatever_arrives_last(store):
    first = evaluating.said("c0", 0.1, ended_at=parts.at(1))
    last = evaluating.said("c0", 0.9, ended_at=parts.at(2))
    store.ingest.write(parts.batch(calls=[parts.call("c0")], objects=[GROUNDED]))
    for part in (last, first, last, first):
        store.ingest.write(parts.batch(evaluations=[part]))
        assert only(store).output == 0.9

    assert [each.payload["output"] for each in judgements(store)] == [0.9]


def test_a_run_of_the_program_itself_takes_the_place_of_what_a_worker_has(store):
    fill(store, 1)
    (run,) = claim(store)
    store.ingest.write(parts.batch(evaluations=[evaluating.said("c0", 0.3)]))

    assert store.evaluations.finish(PROJECT, [evaluating.outcome(run, 0.8)]) == []
    assert only(store).output == 0.3
    assert counts(store) == (0, 0, 1, 0, 0)


@pytest.mark.parametrize(
    ("part", "code", "says"),
    [
        (evaluating.wanted("c", evaluating.ref(evaluating.definition("no"))), "unknown_reference", "send the definition"),
        (evaluating.wanted("c", evaluating.ref(evaluating.definition(), "other")), "invalid_record", "of project 'other'"),
        (evaluating.wanted("c", f"kibitz:///{PROJECT}/call/x"), "invalid_record", "must name an object"),
        (evaluating.wanted("c", "nonsense"), "ref", "does not begin with"),
        (evaluating.said("c", "text"), "invalid_record", "'text'"),
        (evaluating.said("c", float("nan")), "invalid_record", "finite"),
        (evaluating.said("c", {}), "invalid_record", "finite"),
        (evaluating.said("c", {"a": None}), "invalid_record", "output.a"),
        (evaluating.said("c", status="running"), "invalid_record", "claimed"),
    ],
)  # fmt: skip
def test_what_is_no_evaluation_is_refused_and_the_rest_of_its_batch_is_stored(
    store, part, code, says
):
    good = evaluating.wanted("c0")
    receipt = store.ingest.write(
        parts.batch(calls=[parts.call("c0")], objects=[GROUNDED], evaluations=[part, good])
    )

    (refused,) = receipt.rejected
    assert (refused.kind, refused.index, refused.id, refused.code) == (
        "evaluation",
        0,
        part.id,
        code,
    )
    assert says in refused.message
    assert receipt.evaluations == 1
    assert only(store).call_id == "c0"


def test_an_object_that_is_no_definition_is_refused(store):
    value = {"temperature": 0.5}
    part = ObjectPart(
        kind="object",
        name="settings",
        digest=refs.digest(msgspec.json.encode(value, order="sorted")),
        value=value,
    )
    receipt = store.ingest.write(
        parts.batch(objects=[part], evaluations=[evaluating.wanted("c", evaluating.ref(part))])
    )

    assert "no definition" in receipt.rejected[0].message


@pytest.mark.parametrize(
    "output",
    ["text", float("nan"), None, {"a": "b"}, {"k" * 50: 1.0} | {str(n): n for n in range(200_000)}],
)
def test_what_a_worker_says_that_is_no_score_ends_its_run_as_failed(store, output):
    fill(store, 1)
    (run,) = claim(store)

    assert store.evaluations.finish(PROJECT, [evaluating.outcome(run, output)]) == [run.run_id]

    found = only(store)
    assert (found.status, judgements(store)) == ("failed", [])
    assert "cannot be stored" in found.reason


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (Spend(usd=1e300, input_tokens=10**30), Spend(usd=1e6, input_tokens=10**12)),
        (Spend(usd=float("inf"), requests=2), Spend(usd=1e6, requests=2)),
        (Spend(usd=float("nan"), unpriced=-1), Spend()),
        (Spend(usd=-5.0, output_tokens=-7), Spend()),
    ],
)
def test_what_a_run_says_that_it_spent_is_held_to_bounds(store, said, kept):
    fill(store, 2)
    first, second = claim(store)

    taken = store.evaluations.finish(
        PROJECT, [evaluating.outcome(first, spent=said), evaluating.outcome(second)]
    )

    assert taken == [first.run_id, second.run_id]
    assert store.evaluations.get(PROJECT, first.evaluation_id).spent == kept
    assert store.evaluations.progress(PROJECT)[0].spent_usd == kept.usd


def test_hostile_texts_and_many_invocations_are_kept_as_far_as_they_fit(store):
    fill(store, 1)
    (run,) = claim(store)
    invocations = [
        Invocation(arguments={"text": "\x00" + "x" * 100_000}, paths={"text": "output"}, output=n)
        for n in range(20)
    ]
    reason = "\ud800" + "r" * 5000
    store.evaluations.finish(
        PROJECT,
        [
            evaluating.outcome(
                run,
                status="failed",
                reason=reason,
                error="e\x00" * 100_000,
                invocations=invocations,
            )
        ],
    )

    found = store.evaluations.get(PROJECT, run.evaluation_id)
    assert len(found.reason) == 2000
    assert len(found.error) == 64 << 10
    assert 2 < len(found.invocations) < 20
    assert found.invocations[0].arguments["text"].startswith("\u2400xx")
    assert "further invocations are not kept" in found.invocations[-1].error


def test_pages_go_on_where_the_last_ended_and_filters_join(store):
    other = evaluating.definition("other")
    calls = [parts.call(f"c{n:02}", seconds=n) for n in range(30)]
    evaluations = [
        evaluating.wanted(each.id, ref, rule="nightly" if n % 3 == 0 else None)
        for n, each in enumerate(calls)
        for ref in (GROUNDED_REF, evaluating.ref(other))
    ]
    store.ingest.write(parts.batch(calls=calls, objects=[GROUNDED, other], evaluations=evaluations))
    runs = claim(store, limit=20, except_definitions=[evaluating.ref(other)])
    store.evaluations.finish(
        PROJECT,
        [
            evaluating.outcome(each, status="failed" if n % 2 else "done")
            for n, each in enumerate(runs)
        ],
    )
    everything = store.evaluations.query(EvaluationQuery(project=PROJECT, limit=1000)).items

    def ask(**asked: Any) -> list[Any]:
        found: list[Any] = []
        cursor = None
        while True:
            page = store.evaluations.query(
                EvaluationQuery(project=PROJECT, limit=7, cursor=cursor, **asked)
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert len(everything) == 60
    assert ask() == everything
    assert ask(status=["failed", "done"]) == [e for e in everything if e.status != "none"]
    assert ask(name="other") == [e for e in everything if e.name == "other"]
    assert ask(definition_ref=GROUNDED_REF, status=["none"]) == [
        e for e in everything if e.name == "grounded" and e.status == "none"
    ]
    assert ask(rule="nightly") == [e for e in everything if e.rule == "nightly"]
    assert ask(rule="nightly", status=["done"], name="grounded") == [
        e for e in everything if (e.rule, e.status, e.name) == ("nightly", "done", "grounded")
    ]
    assert ask(call_id="c03") == [e for e in everything if e.call_id == "c03"]
    assert ask(call_id="c03", rule="another") == ask(rule="another") == ask(name="no") == []
    wrong = EvaluationQuery(project=PROJECT, cursor="zz")
    with pytest.raises(QueryError):
        store.evaluations.query(wrong)
    with pytest.raises(NotFound):
        store.evaluations.get(PROJECT, "nobody")


def test_a_record_is_the_trace_of_its_root_or_what_is_below_a_call(store):
    def part(call_id: str, parent: str | None, trace: str, seconds: float) -> Any:
        return parts.call(
            call_id, parent_id=parent, trace_id=trace, seconds=seconds, inputs={"of": call_id}
        )

    store.ingest.write(
        parts.batch(
            calls=[
                part("root", None, "t", 0),
                part("child", "root", "t", 2),
                part("leaf", "child", "t", 3),
                part("early", "root", "t", 1),
                part("lost", "unknown", "t", 4),
                part("one", None, "shared", 0),
                part("two", None, "shared", 1),
                part("below", "two", "shared", 2),
            ],
            feedback=[parts.judgement("stub", 1)],
        )
    )

    found = store.evaluations.records(PROJECT, ["two", "root", "child", "nobody", "stub", "root"])

    assert {root: [each.id for each in its] for root, its in found.items()} == {
        "root": ["root", "early", "child", "leaf", "lost"],
        "child": ["child", "leaf"],
        "two": ["two", "below"],
    }
    whole = found["child"][1]
    assert (whole.inputs, whole.output, whole.attributes) == ({"of": "leaf"}, "because", {})


def test_deleting_calls_deletes_what_was_wanted_of_them(store):
    fill(store, 4)
    runs = claim(store, limit=2)
    store.evaluations.finish(PROJECT, [evaluating.outcome(runs[0], invocations=[Invocation()])])
    deleted = [runs[0].call_id, runs[1].call_id, "c3"]

    store.bulk.delete(PROJECT, In(ColumnField("id"), tuple(deleted)), expected=3)

    assert store.evaluations.finish(PROJECT, [evaluating.outcome(runs[1])]) == []
    assert only(store).call_id == "c2"
    assert counts(store) == (1, 0, 0, 0, 0)
    assert judgements(store) == []
    assert integrity.disagreements(store.path.parent) == []


def test_it_is_said_when_the_next_is_due(store, clock):
    assert store.evaluations.next_due() is None
    fill(store, 1)
    assert store.evaluations.next_due() <= parts.at(0)
    (run,) = claim(store, lease_s=30)
    assert store.evaluations.next_due() == parts.at(30)
    assert store.evaluations.next_due(["another"]) is None
    store.evaluations.finish(
        PROJECT, [evaluating.outcome(run, status="failed", retry_at=parts.at(77))]
    )
    assert store.evaluations.next_due([PROJECT]) == parts.at(77)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"limit": 20_000},
        {"lease_s": 0},
        {"lease_s": float("nan")},
        {"max_attempts": 0},
    ],
)
def test_a_claim_that_cannot_be_is_refused(store, options):
    with pytest.raises(UsageError):
        claim(store, **options)
