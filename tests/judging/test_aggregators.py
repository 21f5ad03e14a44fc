"""Many numbers become one, or several by name."""

from __future__ import annotations

import statistics
from typing import Any

import house_judges
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naming import named

from kibitz.base.errors import NotImportable, UsageError
from kibitz.judging import aggregators
from kibitz.judging.functions import Feedback
from kibitz.judging.lenses import Lens

NUMBERS = {"n": [0.0, 1.0, 3.0, 4.0]}


def identity(n: float) -> float:
    return n


FEEDBACK = Feedback(identity).on(Lens().n[:])


@pytest.mark.parametrize(
    ("aggregator", "result"),
    [
        (None, 2.0), ("mean", 2.0), ("median", 2.0), ("min", 0.0), ("max", 4.0), ("sum", 8.0), ("count", 4.0),
        ("first", 0.0), ("last", 4.0), ("all", 0.0), ("any", 1.0), ("std", statistics.pstdev(NUMBERS["n"])),
        ("quantile:0.5", 2.0), ("quantile:1", 4.0), ("quantile:0", 0.0), ("share:>=3", 0.5), ("share:>3", 0.25),
        ("share:<=1", 0.5), ("share:<1", 0.25), ("share:==3", 0.25), ("share:!=3", 0.75), ("share:>-.5", 1.0),
        (min, 0.0), (max, 4.0), (sum, 8.0), (len, 4.0), (np.mean, 2.0), (np.max, 4.0), (np.median, 2.0),
        (statistics.fmean, 2.0), (house_judges.spread, 4.0),
    ],
    ids=named,
)  # fmt: skip
def test_one_number_of_many(aggregator: Any, result: float) -> None:
    feedback = Feedback(identity, aggregator).on(Lens().n[:])

    found = feedback.run(source_data=NUMBERS)

    assert (found.status, found.result, found.multi_result) == ("done", pytest.approx(result), None)
    again = aggregators.load(feedback.aggregator.value, ["house_judges"])
    assert again.value == feedback.aggregator.value
    assert again.apply(NUMBERS["n"]) == pytest.approx(result)
    if aggregator is not None:
        assert FEEDBACK.aggregate(aggregator).run(source_data=NUMBERS).result == pytest.approx(
            result
        )


def test_several_give_numbers_by_name() -> None:
    listed = FEEDBACK.aggregate(["mean", "quantile:0.9", "share:>=-0.5", np.max])
    named = FEEDBACK.aggregate({"low": min, "p90": "quantile:0.9"})

    assert listed.run(source_data=NUMBERS).multi_result == {
        "mean": 2.0, "quantile_0_9": pytest.approx(3.7), "share_at_least_minus_0_5": 1.0, "max": 4.0,
    }  # fmt: skip
    result = named.run(source_data=NUMBERS)
    assert result.result is None
    assert result.multi_result == {"low": 0.0, "p90": pytest.approx(3.7)}
    for feedback in (listed, named):
        again = aggregators.load(feedback.aggregator.value)
        assert again.apply(NUMBERS["n"]) == feedback.run(source_data=NUMBERS).multi_result


def test_one_that_gives_numbers_by_name_does_so() -> None:
    assert FEEDBACK.aggregate(house_judges.extremes).run(source_data=NUMBERS).multi_result == {
        "low": 0.0,
        "high": 4.0,
    }
    both = FEEDBACK.aggregate(["mean", house_judges.extremes]).run(source_data=NUMBERS).multi_result
    assert both == {"mean": 2.0, "extremes_low": 0.0, "extremes_high": 4.0}


def test_named_scores_and_several_aggregators_are_named_by_both() -> None:
    feedback = Feedback(lambda n: {"a": n, "b": -n}).on(Lens().n[:]).aggregate(["min", "max"])

    assert feedback.run(source_data={"n": [1, 2]}).multi_result == {
        "a_min": 1,
        "a_max": 2,
        "b_min": -2,
        "b_max": -1,
    }


@pytest.mark.parametrize(
    "wrong",
    ["avg", "", "quantile", "quantile:2", "quantile:-1", "quantile:x", "share:0.5", "share:>=x", "share:=>1", [], {}, [5],
     ["min", "min"], ["min", min], [["min"]], 5, {"a": None}],
    ids=named,
)  # fmt: skip
def test_what_is_no_aggregator_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        FEEDBACK.aggregate(wrong)
    with pytest.raises(UsageError):
        FEEDBACK.aggregate()


@pytest.mark.parametrize(
    ("aggregator", "reason"),
    [
        (lambda values: None, "the aggregator gave None"),
        (lambda values: "high", "the aggregator gave 'high'"),
        (lambda values: float("nan"), "no finite number"),
        (lambda values: values, "gave 4 numbers, where one is expected"),
        (lambda values: 1 / 0, "aggregating 4 values failed: ZeroDivisionError"),
    ],
)
def test_an_aggregator_that_fails_fails_the_run_and_the_calls_are_kept(
    aggregator: Any, reason: str
) -> None:
    result = FEEDBACK.aggregate(aggregator).run(source_data=NUMBERS)

    assert (result.status, result.result, result.retriable) == ("failed", None, False)
    assert reason in (result.reason or "")
    assert len(result.calls) == 4


def test_an_aggregator_without_a_name_can_be_used_here_only() -> None:
    feedback = FEEDBACK.aggregate([max, lambda values: 1.0])

    assert feedback.run(source_data=NUMBERS).multi_result == {"max": 4.0, "<lambda>": 1.0}
    assert "a lambda has no name" in (feedback.definition.why or "")
    with pytest.raises(NotImportable):
        aggregators.load(feedback.aggregator.value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    found = aggregators.of(f"quantile:{share:.6f}").apply(values)

    assert found == pytest.approx(np.quantile(values, round(share, 6)), rel=1e-9, abs=1e-6)
