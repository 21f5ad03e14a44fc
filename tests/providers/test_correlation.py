"""Correlations and their intervals against SciPy, and against what they promise."""

from __future__ import annotations

import math
import random

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from kibitz.base.errors import UsageError
from kibitz.providers import Correlation

OF = Correlation()
PAIRS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-3, 3)), min_size=3, max_size=40)


def sides(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    one, other = [each for each, _ in rows], [each for _, each in rows]
    assume(len({*one}) > 1 and len({*other}) > 1)
    return one, other


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_they_are_those_of_scipy(rows: list[tuple[float, float]]) -> None:
    x, y = sides(rows)

    assert OF.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
    assert OF.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    assert OF.kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-9)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_interval_of_pearson_is_that_of_scipy(confidence: float) -> None:
    draws = numpy.random.default_rng(3)
    x = draws.normal(size=60)
    y = x + draws.normal(size=60)
    theirs = stats.pearsonr(x, y).confidence_interval(confidence)

    ours = OF.pearson_with_interval(list(x), list(y), confidence)

    assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high))
    assert ours["estimate"] == pytest.approx(OF.pearson(list(x), list(y)))


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("pearson_with_interval", 0.6),
        # Of a bivariate normal: 6/π arcsin(ρ/2) and 2/π arcsin(ρ).
        ("spearman_with_interval", 6 / math.pi * math.asin(0.3)),
        ("kendall_with_interval", 2 / math.pi * math.asin(0.6)),
    ],
)
def test_nineteen_of_twenty_intervals_have_the_truth_in_them(name: str, truth: float) -> None:
    draws = random.Random(11)
    held = 0
    for _ in range(300):
        x = [draws.gauss(0, 1) for _ in range(50)]
        y = [0.6 * each + 0.8 * draws.gauss(0, 1) for each in x]
        found = getattr(OF, name)(x, y)
        held += found["low"] <= truth <= found["high"]

    # 95 % of 300 is 285; five standard deviations are 19.
    assert 266 <= held <= 300


def test_pairs_about_one_thing_make_it_less_sure() -> None:
    draws = random.Random(4)
    things = [(draws.gauss(0, 1), draws.gauss(0, 1)) for _ in range(40)]
    rows = [
        (x + draws.gauss(0, 0.1), y + draws.gauss(0, 0.1)) for x, y in things for _ in range(10)
    ]
    clusters = [at for at in range(40) for _ in range(10)]
    x, y = [each for each, _ in rows], [each for _, each in rows]

    plain = OF.spearman_with_interval(x, y)
    by_thing = OF.spearman_with_interval(x, y, clusters=clusters)

    assert by_thing["estimate"] == pytest.approx(plain["estimate"])
    # Ten alike pairs are one: the interval is about sqrt(10) as wide.
    ratio = (by_thing["high"] - by_thing["low"]) / (plain["high"] - plain["low"])
    assert 2.2 < ratio < 4.2
    assert by_thing == OF.spearman_with_interval(x, y, clusters=clusters)


def test_clusters_of_one_say_what_the_formula_says() -> None:
    draws = random.Random(5)
    x = [draws.gauss(0, 1) for _ in range(400)]
    y = [each + draws.gauss(0, 1) for each in x]

    plain = OF.pearson_with_interval(x, y)
    each_alone = OF.pearson_with_interval(x, y, clusters=range(400))

    assert (each_alone["low"], each_alone["high"]) == pytest.approx(
        (plain["low"], plain["high"]), abs=0.02
    )


def test_a_line_is_one_whatever_its_size() -> None:
    for size in (1e-300, 1e-9, 1.0, 1e300):
        assert OF.pearson([0, size, size / 2, size / 4], [1, 3, 2, 1.5]) == pytest.approx(1.0)
    assert OF.pearson_with_interval([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(
        {"estimate": -1.0, "low": -1.0, "high": -1.0}
    )


def test_ten_thousand_pairs_are_ranked() -> None:
    draws = random.Random(6)
    x = [draws.randrange(50) for _ in range(10_000)]
    y = [each + draws.randrange(50) for each in x]

    assert OF.kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
    assert OF.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize("name", ["pearson", "spearman", "kendall"])
def test_what_does_not_vary_has_none(name: str) -> None:
    measure = getattr(OF, name)

    with pytest.raises(UsageError, match=r"all values of x are 1.0"):
        measure([1, 1, 1], [1, 2, 3])
    with pytest.raises(UsageError, match=r"all values of y are 0.1"):
        measure([1, 2, 3], [0.1, 0.1, 0.1])
    with pytest.raises(UsageError, match="at least 2"):
        measure([1], [1])
    with pytest.raises(UsageError, match=r"y\[1\] is nan"):
        measure([1, 2], [1, math.nan])
    with pytest.raises(UsageError, match=r"x\[0\] is '1'"):
        measure(["1", 2], [1, 2])


def test_a_confidence_beyond_certainty_is_refused() -> None:
    with pytest.raises(UsageError, match="confidence is 95"):
        OF.pearson_with_interval([1, 2, 3, 5], [4, 3, 1, 1], 95)
    with pytest.raises(UsageError, match="at least 4 are needed"):
        OF.pearson_with_interval([1, 2, 3, 5], [4, 3, 1, 1], clusters=[1, 1, 2, 2])
