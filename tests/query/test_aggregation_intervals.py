"""Intervals are those of printed tables and of the distributions themselves."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.query import aggregation_intervals as intervals


@pytest.mark.parametrize(
    ("freedom", "confidence", "printed"),
    [
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (3, 0.95, 3.182),
        (4, 0.99, 4.604),
        (5, 0.90, 2.015),
        (9, 0.95, 2.262),
        (10, 0.998, 4.144),
        (20, 0.95, 2.086),
        (30, 0.99, 2.750),
        (60, 0.95, 2.000),
        (120, 0.95, 1.980),
        (1000, 0.95, 1.962),
        (1000, 0.99, 2.581),
    ],
)
def test_students_t_is_that_of_the_printed_table(
    freedom: int, confidence: float, printed: float
) -> None:
    assert intervals.student(freedom, confidence) == pytest.approx(printed, abs=5e-4)


def test_the_expansion_goes_on_where_the_sum_ends() -> None:
    for confidence in (0.5, 0.9, 0.95, 0.99, 0.999):
        last, first = intervals.student(120, confidence), intervals.student(121, confidence)
        assert first < last
        assert last - first < 2e-3 * last
        assert intervals.student(10**7, confidence) == pytest.approx(
            intervals.normal(confidence), rel=1e-6
        )


@pytest.mark.parametrize("confidence", [5e-324, 1 - 1e-12, math.nextafter(1.0, 0.0)])
def test_any_confidence_between_0_and_1_has_an_interval(confidence: float) -> None:
    for n in (2, 3, 50, 121, 122, 10**6):
        found = intervals.of_mean(0.0, 1.0, n, confidence)
        assert found is not None
        assert all(map(math.isfinite, found))
    assert intervals.of_share(1, 2, confidence) == pytest.approx(
        (0.5, 0.5) if confidence < 0.5 else (0.0, 1.0), abs=0.02
    )


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_the_published_one(
    successes: int, n: int, low: float, high: float
) -> None:
    found = intervals.of_share(successes, n, 0.95)

    assert found is not None
    assert found == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000), st.data(), st.floats(0.01, 0.9999))
def test_the_interval_of_a_share_holds_it_and_stays_a_share(
    n: int, data: st.DataObject, confidence: float
) -> None:
    successes = data.draw(st.integers(0, n))
    found = intervals.of_share(successes, n, confidence)

    assert found is not None
    low, high = found
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    mirrored = intervals.of_share(n - successes, n, confidence)
    assert mirrored is not None
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


def test_the_interval_of_a_mean_holds_the_true_one_as_often_as_it_says() -> None:
    draw = random.Random(4)
    held = 0
    for _ in range(2000):
        sample = [draw.gauss(10, 3) for _ in range(6)]
        mean = math.fsum(sample) / 6
        sd = math.sqrt(math.fsum((each - mean) ** 2 for each in sample) / 5)
        found = intervals.of_mean(mean, sd, 6, 0.9)
        assert found is not None
        held += found[0] <= 10 <= found[1]

    # 1800 of 2000, within four standard deviations of that count.
    assert abs(held - 1800) < 4 * math.sqrt(2000 * 0.9 * 0.1)


def test_of_nothing_there_is_no_interval() -> None:
    assert intervals.of_mean(1.0, 0.0, 1, 0.95) is None
    assert intervals.of_share(0, 0, 0.95) is None
