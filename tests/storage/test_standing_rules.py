"""Rules: calls that end are evaluated without being asked, as far as a sample and a budget go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import evaluating
import parts
import pytest
from evaluating import GROUNDED, GROUNDED_REF
from parts import PROJECT

from kibitz.base import clock as clock_door
from kibitz.base.errors import NotFound, QueryError, QueryTimeout, UsageError
from kibitz.base.evaluations import EvaluationQuery, NewRule
from kibitz.base.records import CallPart
from kibitz.base.spending import Spend
from kibitz.query.nodes import ColumnField, Compare, In
from kibitz.storage import sqlite
from kibitz.storage.sqlite import evaluation_work, planning, wanting
from kibitz.storage.sqlite.evaluation_rows import json_list
from kibitz.storage.sqlite.evaluations import SqliteEvaluations

OTHER = evaluating.definition("other")
OTHER_REF = evaluating.ref(OTHER)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time of day, in seconds after the first call; it stands still in between."""

    def set_(seconds: float) -> None:
        ns = clock_door.to_us(parts.at(seconds)) * 1000
        monkeypatch.setattr(clock_door, "now_ns", lambda: ns)

    set_(0)
    return set_


def keep(store: Any, name: str = "nightly", **fields: Any) -> Any:
    store.ingest.write(parts.batch(objects=[GROUNDED, OTHER]))
    return store.rules.save(PROJECT, name, NewRule(**{"definitions": [GROUNDED_REF], **fields}))


def ends(store: Any, *ids: str, **fields: Any) -> None:
    store.ingest.write(parts.batch(calls=[parts.call(each, **fields) for each in ids]))


def hold(store: Any) -> int:
    """Everything that waits is held to the rules."""
    looked_at = 0
    while some := store.evaluations.want_by_rules(limit=7):
        looked_at += some
    return looked_at


def wanted(store: Any, **asked: Any) -> list[str]:
    query = EvaluationQuery(project=PROJECT, limit=1000, **asked)
    return sorted(each.call_id for each in store.evaluations.query(query).items)


def progress(store: Any) -> Any:
    return store.evaluations.progress(PROJECT)


def test_calls_that_end_from_now_on_are_wanted_where_they_match(store):
    ends(store, "before")
    keep(store, query='op = "answer" and latency > 2s')
    ends(store, "quick")
    ends(store, "slow", took=3)
    ends(store, "another", took=3, op="search")

    assert hold(store) == 3
    assert wanted(store, rule="nightly") == ["slow"]
    assert store.rules.get(PROJECT, "nightly").today == 1
    assert hold(store) == 0


def test_without_a_query_all_root_calls_are_wanted(store):
    keep(store)
    ends(store, "root")
    ends(store, "child", parent_id="root", trace_id="root")

    assert hold(store) == 1
    assert wanted(store) == ["root"]


def test_a_call_is_held_to_the_rules_when_it_ends(store):
    keep(store, query="status = error or status = success")
    whole = parts.call("c")
    store.ingest.write(
        parts.batch(calls=[CallPart(id="c", op="answer", started_at=whole.started_at)])
    )
    assert hold(store) == 0

    for _ in range(2):
        store.ingest.write(parts.batch(calls=[whole]))
    assert hold(store) == 1
    assert wanted(store) == ["c"]


def test_a_sample_is_always_the_same_calls_and_back_filling_takes_them_too(store):
    ids = [f"c{n}" for n in range(400)]
    ends(store, *ids)
    keep(store, sample=0.25)
    store.evaluations.want(PROJECT, [OTHER_REF], None, sample=0.25, rule="nightly")
    back_filled = wanted(store, name="other")
    store.rules.save(PROJECT, "nightly", NewRule(definitions=[OTHER_REF], sample=0.25))
    store.evaluations.want(PROJECT, [GROUNDED_REF], None, sample=0.25, rule="another")

    assert 60 < len(back_filled) < 140
    assert wanted(store, name="grounded") != back_filled
    step = store.evaluations.want(PROJECT, [OTHER_REF], None, sample=0.25, rule="nightly")
    assert (step.wanted, step.known, step.left) == (0, len(back_filled), 0)


def test_the_sample_of_a_rule_follows_from_its_name_and_the_call(store):
    keep(store, "a", sample=0.5)
    keep(store, "b", sample=0.5, definitions=[OTHER_REF])
    ids = [f"c{n}" for n in range(200)]
    ends(store, *ids)
    hold(store)
    drawn = wanted(store, rule="a")
    store.evaluations.want(PROJECT, [GROUNDED_REF], None, sample=0.5, rule="a")

    assert wanted(store, name="grounded") == drawn
    assert 60 < len(drawn) < 140
    assert drawn != wanted(store, rule="b")


def test_a_day_has_so_many_evaluations_and_the_rest_is_counted(store, clock):
    keep(store, per_day=5, definitions=[GROUNDED_REF, OTHER_REF])
    ends(store, "a", "b", "c", "d")
    hold(store)
    rule = store.rules.get(PROJECT, "nightly")
    assert (rule.today, rule.left_out_today) == (5, 3)
    ends(store, "later")
    hold(store)
    rule = store.rules.get(PROJECT, "nightly")
    assert (rule.today, rule.left_out_today) == (5, 5)

    clock(86_400)
    rule = store.rules.get(PROJECT, "nightly")
    assert (rule.today, rule.left_out_today) == (0, 0)
    ends(store, "e")
    hold(store)
    assert wanted(store, name="other")[-1] == "e"


def test_two_that_look_at_the_same_calls_count_them_once(store, monkeypatch):
    keep(store, per_day=1)
    ends(store, "a", "b")
    among, looked_at = planning.among, []
    other = sqlite.open_store(store.path.parent)

    def meanwhile(*given: Any) -> list[int]:
        if not looked_at:
            looked_at.append(0)
            looked_at.append(other.evaluations.want_by_rules())
        return among(*given)

    monkeypatch.setattr(planning, "among", meanwhile)
    looked_at.append(store.evaluations.want_by_rules())

    rule = store.rules.get(PROJECT, "nightly")
    other.close()
    assert looked_at == [0, 2, 0]
    assert (rule.today, rule.left_out_today) == (1, 1)


def test_no_more_is_begun_on_a_day_on_which_the_money_was_spent(store, clock):
    keep(store, usd_per_day=1.0)
    ends(store, "a", "b", "c")
    hold(store)
    (run,) = store.evaluations.claim("w", limit=1, lease_s=60)
    spent = Spend(requests=1, usd=1.5)
    store.evaluations.finish(PROJECT, [evaluating.outcome(run, spent=spent)])
    ends(store, "d")
    hold(store)

    rule = store.rules.get(PROJECT, "nightly")
    assert (rule.today, rule.spent_today_usd, rule.left_out_today) == (3, 1.5, 1)
    assert store.evaluations.claim("w", limit=9, lease_s=60) == []
    assert store.evaluations.next_due() == parts.at(12 * 3600)
    clock(12 * 3600)
    left = store.evaluations.claim("w", limit=9, lease_s=60)
    assert sorted(each.call_id for each in left) == ["b", "c"]


def test_much_that_has_no_money_is_passed_over_in_several_transactions(store, monkeypatch):
    keep(store, usd_per_day=0.0)
    ends(store, *(f"c{n:02}" for n in range(20)))
    store.evaluations.want(PROJECT, [GROUNDED_REF], None, rule="nightly")
    ends(store, "free")
    store.evaluations.want(PROJECT, [OTHER_REF], Compare(ColumnField("id"), "eq", "free"))
    store.ingest.change(
        lambda connection: connection.execute(
            "INSERT INTO rule_days SELECT rule, ?, 0, 0, 1 FROM rules",
            (clock_door.now_ns() // 1000 // 86_400_000_000,),
        )
    )
    monkeypatch.setattr(evaluation_work, "LOOKED_AT_ONCE", 4)
    transactions: list[Any] = []
    change = store.ingest.change

    def counted(work: Any) -> Any:
        transactions.append(work)
        return change(work)

    monkeypatch.setattr(store.ingest, "change", counted)

    claims = store.evaluations.claim("w", limit=2, lease_s=60)

    assert [each.call_id for each in claims] == ["free"]
    assert len(transactions) >= 5


@pytest.mark.parametrize("more", [10.0, None, "no rule"])
def test_what_waits_for_the_money_of_the_next_day_goes_on_when_there_is_more(store, clock, more):
    keep(store, usd_per_day=1.0)
    ends(store, "a", "b", "c")
    hold(store)
    (run,) = store.evaluations.claim("w", limit=1, lease_s=60)
    spent = Spend(requests=1, usd=1.5)
    store.evaluations.finish(PROJECT, [evaluating.outcome(run, spent=spent)])
    assert store.evaluations.claim("w", limit=9, lease_s=60) == []
    keep(store, usd_per_day=1.2)
    assert store.evaluations.claim("w", limit=9, lease_s=60) == []

    if more == "no rule":
        store.rules.delete(PROJECT, "nightly")
    else:
        keep(store, usd_per_day=more)

    left = store.evaluations.claim("w", limit=9, lease_s=60)
    assert sorted(each.call_id for each in left) == ["b", "c"]


def test_a_rule_whose_query_is_no_query_any_more_keeps_no_other_from_its_calls(store, caplog):
    keep(store, "broken", query='op = "answer"')
    keep(store, "sound", query='op = "answer"')
    store.ingest.change(
        lambda connection: connection.execute(
            "UPDATE rules SET query = 'op =' WHERE rule = (SELECT pk FROM rule_names WHERE name = 'broken')"
        )
    )
    ends(store, "c")

    assert hold(store) == 1
    assert wanted(store, rule="sound") == ["c"]
    assert "broken" in caplog.text


def test_a_rule_that_rests_or_is_deleted_wants_nothing_and_what_it_wanted_stays(store):
    keep(store)
    ends(store, "a")
    hold(store)
    keep(store, active=False)
    ends(store, "b")
    assert hold(store) == 0
    keep(store)
    ends(store, "c")
    assert store.rules.delete(PROJECT, "nightly").name == "nightly"
    ends(store, "d")
    hold(store)

    assert wanted(store, rule="nightly") == ["a"]
    with pytest.raises(NotFound):
        store.rules.delete(PROJECT, "nightly")


def test_saving_again_takes_the_place_and_keeps_what_the_day_has_had(store, clock):
    first = keep(store, per_day=1)
    ends(store, "a")
    hold(store)
    clock(5)
    second = keep(store, per_day=2, author="Ada", query='op = "answer"')

    assert (second.created_at, second.updated_at) == (first.created_at, parts.at(5))
    assert (second.today, second.author, second.per_day) == (1, "Ada", 2)
    assert store.rules.list(PROJECT) == [second]


def test_conditions_on_feedback_and_texts_hold_for_rules(store):
    store.ingest.write(
        parts.batch(calls=[parts.call("old")], feedback=[parts.judgement("old", 0.1)])
    )
    keep(store, query='feedback.[runnable.x].payload.output < 0.5 and inputs contains "why"')
    store.ingest.write(
        parts.batch(
            calls=[parts.call("low"), parts.call("high"), parts.call("unjudged")],
            feedback=[parts.judgement("low", 0.2), parts.judgement("high", 0.8)],
        )
    )

    assert hold(store) == 3
    assert wanted(store) == ["low"]


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"query": "op ="}, QueryError, "op =|value"),
        ({"query": "op = 'x' sort started_at"}, QueryError, "sort"),
        ({"query": 'op = "x" limit 5'}, QueryError, "limit"),
        ({"definitions": []}, UsageError, "no definition"),
        ({"definitions": [evaluating.ref(evaluating.definition("no"))]}, NotFound, "no definition"),
        ({"definitions": ["x"]}, UsageError, "kibitz:///"),
        ({"sample": 1.5}, UsageError, "1.5"),
        ({"usd_per_day": float("inf")}, UsageError, "inf"),
        ({"per_day": -1}, UsageError, "-1"),
        ({"definitions": [GROUNDED_REF] * 65}, UsageError, "65"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(store, fields, error, says):
    with pytest.raises(error, match=says):
        keep(store, **fields)
    assert store.rules.list(PROJECT) == []


@pytest.mark.parametrize("name", ["", " a", "..", "x" * 101, "a\nb"])
def test_a_name_that_is_none_is_refused(store, name):
    with pytest.raises(UsageError):
        keep(store, name)


def test_a_rule_that_is_not_there_is_named_with_the_nearest(store):
    keep(store)
    with pytest.raises(NotFound, match="nightly"):
        store.rules.get(PROJECT, "nightli")
    with pytest.raises(NotFound, match="no project"):
        store.rules.list("nobody/here")


def test_back_filling_goes_in_steps_behind_a_cursor(store):
    ends(store, *(f"c{n:04}" for n in range(1200)))
    ends(store, "odd", op="odd")
    store.ingest.write(parts.batch(objects=[GROUNDED]))
    begun = parts.call("running")
    store.ingest.write(
        parts.batch(calls=[CallPart(id="running", op="answer", started_at=begun.started_at)])
    )
    where = Compare(ColumnField("op"), "eq", "answer")
    steps: list[Any] = []
    impatient = SqliteEvaluations(store._readers, store.ingest, step_ns=0)
    cursor = None
    while not steps or cursor is not None:
        steps.append(impatient.want(PROJECT, [GROUNDED_REF], where, cursor=cursor))
        cursor = steps[-1].cursor
        if len(steps) == 1:
            # What comes meanwhile is not of the past.
            ends(store, "meanwhile")
            store.bulk.delete(PROJECT, In(ColumnField("id"), ("c1100",)), expected=1)

    assert [each.wanted for each in steps] == [500, 500, 199]
    assert [each.left for each in steps] == [701, 200, 0]
    assert "running" not in wanted(store)
    assert "meanwhile" not in wanted(store)


def test_a_step_looks_for_no_more_calls_than_it_may_go_through(store, monkeypatch):
    ends(store, *(f"c{n:04}" for n in range(1200)))
    store.ingest.write(parts.batch(objects=[GROUNDED]))
    monkeypatch.setattr(wanting, "CALLS_OF_A_STEP", 300)
    patient = SqliteEvaluations(store._readers, store.ingest, step_ns=10**12)
    first = SqliteEvaluations(store._readers, store.ingest, step_ns=0).want(
        PROJECT, [GROUNDED_REF], None
    )
    steps, cursor = [], first.cursor
    while cursor is not None:
        steps.append(patient.want(PROJECT, [GROUNDED_REF], None, cursor=cursor))
        cursor = steps[-1].cursor

    assert first.wanted == 500
    assert [(each.wanted, each.left) for each in steps] == [(300, 400), (300, 100), (100, 0)]


def test_wanting_again_is_of_what_ended_and_leaves_what_runs_alone(store):
    ends(store, "a", "b", "c")
    store.ingest.write(parts.batch(objects=[GROUNDED]))
    store.evaluations.want(PROJECT, [GROUNDED_REF], None)
    first, _ = store.evaluations.claim("w", limit=2, lease_s=60)
    store.evaluations.finish(PROJECT, [evaluating.outcome(first)])

    plain = store.evaluations.want(PROJECT, [GROUNDED_REF], None)
    again = store.evaluations.want(PROJECT, [GROUNDED_REF], None, again=True)

    assert (plain.wanted, plain.known) == (0, 3)
    assert (again.wanted, again.known) == (1, 2)
    due = store.evaluations.claim("w", limit=9, lease_s=60)
    assert sorted(each.call_id for each in due) == sorted({"a", "b", "c"} - {_.call_id})


@pytest.mark.parametrize("ref", [evaluating.ref(evaluating.definition("no")), "x"])
def test_a_back_fill_with_what_is_not_there_is_refused(store, ref):
    ends(store, "a")
    with pytest.raises((NotFound, UsageError)):
        store.evaluations.want(PROJECT, [ref], None)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a query with some words in it take too long for more than so many calls, or for some of them at all."""

    def set_(most: int, never: tuple[str, ...] = ()) -> None:
        among = planning.among

        def timed(connection: Any, project: int, where: Any, pks: list[int]) -> list[int]:
            ids = {
                row[0]
                for row in connection.execute(
                    "SELECT id FROM calls WHERE pk IN (SELECT value FROM json_each(?))",
                    (json_list(pks),),
                )
            }
            if "slow" in repr(where) and (len(pks) > most or ids & set(never)):
                raise QueryTimeout("the query took longer than 10 s", limit_s=10.0)
            return among(connection, project, where, pks)

        monkeypatch.setattr(planning, "among", timed)

    return set_


def test_where_a_query_takes_too_long_for_many_calls_fewer_are_looked_at(store, slow):
    slow(3)
    keep(store, query='op = "answer" and not id = "slow"')
    ids = sorted(f"c{n}" for n in range(40))
    ends(store, *ids)

    first = store.evaluations.want_by_rules()
    waited = wanted(store)
    hold(store)

    # Whoever goes on while something is looked at comes to the end.
    assert (first, waited) == (40, [])
    assert wanted(store) == ids
    assert store.rules.get(PROJECT, "nightly").today == 40
    assert store.evaluations.want_by_rules() == 0


def test_a_call_for_which_a_query_takes_too_long_has_failed_with_the_reason_and_can_be_retried(
    store, slow
):
    slow(100, never=("b",))
    keep(store, "slow", query='op = "answer" and not id = "slow"')
    keep(store, "sound", definitions=[OTHER_REF])
    ends(store, "a", "b", "c")
    hold(store)

    [failed] = store.evaluations.query(EvaluationQuery(project=PROJECT, status=["failed"])).items
    assert (failed.call_id, failed.rule, failed.attempts) == ("b", "slow", 0)
    assert "rule 'slow' could not tell" in failed.reason
    assert "took longer than 10 s" in failed.reason
    assert wanted(store, rule="slow", status=["none"]) == ["a", "c"]
    assert wanted(store, rule="sound", status=["none"]) == ["a", "b", "c"]
    assert {each.name: (each.wanted, each.failed) for each in progress(store)} == {
        "grounded": (2, 1),
        "other": (3, 0),
    }
    assert store.evaluations.retry(PROJECT, [failed.id]) == 1
    claims = store.evaluations.claim("w", limit=10, lease_s=60)
    assert sorted(each.call_id for each in claims) == ["a", "a", "b", "b", "c", "c"]


def test_what_one_rule_cannot_tell_another_may_want(store, slow):
    slow(0)
    keep(store, "a slow one", query='op = "answer" and not id = "slow"')
    keep(store, "sound", query='op = "answer"')
    ends(store, "a", "b")
    hold(store)

    assert wanted(store, rule="sound", status=["none"]) == ["a", "b"]
    assert wanted(store, status=["failed"]) == []


def test_what_a_rule_cannot_tell_keeps_to_its_sample_and_its_budget(store, slow):
    slow(0)
    keep(store, "slow", query='op = "answer" and not id = "slow"', per_day=1)
    keep(store, "none", query='op = "answer" and not id = "slow"', sample=0)
    ends(store, "a", "b")
    hold(store)

    assert wanted(store, status=["failed"]) == ["a"]
    rule = store.rules.get(PROJECT, "slow")
    assert (rule.today, rule.left_out_today) == (1, 1)


def test_no_project_waits_for_another_of_which_there_is_always_more(store):
    keep(store)
    theirs = evaluating.definition("grounded", project="acme/other")
    store.ingest.write(parts.batch(objects=[theirs], project="acme/other"))
    named = evaluating.ref(theirs, project="acme/other")
    store.rules.save("acme/other", "nightly", NewRule(definitions=[named]))
    ends(store, "a", "b", "c")
    store.ingest.write(parts.batch(calls=[parts.call("z")], project="acme/other"))

    for _ in range(2):
        store.evaluations.want_by_rules(limit=1)

    assert len(wanted(store)) == 1
    assert len(store.evaluations.query(EvaluationQuery(project="acme/other")).items) == 1
