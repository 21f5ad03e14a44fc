"""What queries mean: the readable cases, and what they leave out."""

from __future__ import annotations

from datetime import timedelta

import pytest
import written
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.query import reference
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    FeedbackField,
    In,
    Node,
    Not,
    Or,
    PathField,
    SortKey,
)

CASES = written.cases()
OUTPUT = PathField("output")
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**400), 10**400)
    | st.sampled_from(["", "a", "A", "1", "true", "é", "\U0001f642", "�", "a" * 300])
)


def _outputs(*values: object) -> list[reference.Recorded]:
    return _recorded(
        *(
            CallPart(
                id=f"c{n}",
                op="f",
                started_at=written.EPOCH,
                ended_at=written.EPOCH,
                output=value,
            )
            for n, value in enumerate(values)
        )
    )


def _recorded(*calls: CallPart) -> list[reference.Recorded]:
    return written.recorded([Batch(project=written.PROJECT, calls=list(calls))])


def _ids(*sort: SortKey, where: Node | None = None, of: list[reference.Recorded]) -> list[str]:
    return reference.run(CallQuery(project=written.PROJECT, where=where, sort=sort), of)


def test_there_are_cases_to_check() -> None:
    assert sum(len(case.questions) for case in CASES) > 60


@pytest.mark.parametrize(
    ("case", "question"),
    [
        pytest.param(case, question, id=f"{case.name}: {question.says}")
        for case in CASES
        for question in case.questions
    ],
)
def test_a_case_gives_what_it_says(case: written.Case, question: written.Question) -> None:
    found = reference.run(question.query, written.recorded([case.batch]))

    assert (found if question.in_order else sorted(found)) == (
        question.gives if question.in_order else sorted(question.gives)
    )


@given(VALUES, VALUES)
def test_exactly_one_of_less_equal_and_greater_holds_within_a_kind(
    left: object, right: object
) -> None:
    (record,) = _outputs(left)

    holds = [
        reference.matches(Compare(OUTPUT, operator, right), record)  # type: ignore[arg-type]
        for operator in ("lt", "eq", "gt")
    ]

    same_kind = _kind(left) == _kind(right)
    assert sum(holds) == (1 if same_kind else 0)


def _kind(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "text" if isinstance(value, str) else "number"


@given(st.lists(VALUES, max_size=6))
def test_downwards_is_upwards_reversed_among_values(values: list[object]) -> None:
    records = _outputs(*values)
    valueless = {f"c{n}" for n, value in enumerate(values) if value is None}

    upwards = _ids(SortKey(OUTPUT), of=records)
    downwards = _ids(SortKey(OUTPUT, descending=True), of=records)

    assert [each for each in upwards if each not in valueless] == [
        each for each in reversed(downwards) if each not in valueless
    ]
    assert set(upwards[len(values) - len(valueless) :]) == valueless
    assert set(downwards[len(values) - len(valueless) :]) == valueless


def test_a_number_beyond_doubles_compares_as_infinity() -> None:
    (record,) = _outputs(10**400)

    assert reference.matches(Compare(OUTPUT, "gt", 1.7e308), record)
    assert reference.matches(Compare(OUTPUT, "eq", 10**401), record)


def test_text_sorts_by_its_first_256_characters_and_then_by_arrival() -> None:
    same = "é" * 256
    records = _outputs(same + "b", same + "a", same[:255] + "a")

    assert _ids(SortKey(OUTPUT), of=records) == ["c2", "c0", "c1"]
    assert _ids(where=Compare(OUTPUT, "gt", same + "a"), of=records) == ["c0"]


def test_connectives_of_nothing() -> None:
    records = _outputs(1)

    assert _ids(where=And(()), of=records) == ["c0"]
    assert _ids(where=Or(()), of=records) == []
    assert _ids(where=Not(In(OUTPUT, ())), of=records) == ["c0"]


def test_feedback_on_something_else_says_nothing_about_the_call() -> None:
    calls = [CallPart(id="c0", op="f", started_at=written.EPOCH)]
    feedback = [
        FeedbackPart(
            id="f0",
            type="review",
            target_ref=refs.format_ref(refs.Ref(project=written.PROJECT, kind="trace", name="c0")),
            payload={"score": 1},
            created_at=written.EPOCH,
        )
    ]
    score = FeedbackField("review", ("score",))

    found = _ids(
        where=Compare(score, "eq", 1),
        of=written.recorded([Batch(project=written.PROJECT, calls=calls, feedback=feedback)]),
    )

    assert found == []


def test_a_call_whose_clock_went_backwards_took_no_time() -> None:
    part = CallPart(
        id="c0",
        op="f",
        started_at=written.EPOCH,
        ended_at=written.EPOCH - timedelta(seconds=1),
    )

    assert _ids(where=Compare(ColumnField("latency_ms"), "eq", 0), of=_recorded(part)) == ["c0"]


def test_contains_folds_letters_of_ascii_and_no_others() -> None:
    records = _outputs("Kelvin k", "\N{KELVIN SIGN}", "İ")

    assert _ids(SortKey(OUTPUT), where=Contains(OUTPUT, "KELVIN K", True), of=records) == ["c0"]
    assert _ids(SortKey(OUTPUT), where=Contains(OUTPUT, "K", True), of=records) == ["c0"]
    assert _ids(SortKey(OUTPUT), where=Contains(OUTPUT, "i", True), of=records) == ["c0"]
