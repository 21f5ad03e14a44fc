"""Bins are round, few enough, and hold every number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.query import aggregation_bins as bins

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-1000, 1000).map(float),
    st.decimals(-10, 10, places=3).map(float),
)


@pytest.mark.parametrize(
    ("low", "high", "whole", "most", "edges"),
    [
        (0.0, 1.0, False, 10, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (0.0, 1.0, True, 20, [-0.5, 0.5, 1.5]),
        (1.0, 5.0, True, 20, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]),
        (3.0, 97.0, True, 5, [0, 20, 40, 60, 80, 100]),
        (-0.3, 0.9, False, 3, [-0.5, 0, 0.5, 1]),
        (0.37, 0.37, False, 20, [0.37, 0.38]),
        (7.0, 7.0, True, 20, [6.5, 7.5]),
        (0.3, 0.9, False, 1, [0, 1]),
        (-0.3, 0.9, False, 1, [-1, 1]),
    ],
)
def test_edges_are_round(
    low: float, high: float, whole: bool, most: int, edges: list[float]
) -> None:
    assert bins.edges(low, high, whole=whole, most=most) == edges


@given(NUMBERS, NUMBERS, st.integers(1, 100))
def test_every_number_between_the_ends_is_in_the_bin_that_holds_it(
    first: float, second: float, most: int
) -> None:
    low, high = min(first, second), max(first, second)
    whole = low.is_integer() and high.is_integer()
    edges = bins.edges(low, high, whole=whole, most=most)

    assert edges == sorted(edges)
    assert 2 <= len(edges) <= most + 1
    for number in (low, high, low / 2 + high / 2):
        index = bins.place(number, edges)
        assert edges[index] <= number
        assert number <= edges[index + 1]


@given(NUMBERS, NUMBERS)
def test_edges_are_decimals_of_one_width(first: float, second: float) -> None:
    low, high = min(first, second), max(first, second)
    edges = bins.edges(low, high, whole=False, most=20)
    if abs(edges[0]) < 1e300 and abs(edges[-1]) < 1e300:
        exact = [Decimal(repr(edge)) for edge in edges]
        width = (exact[-1] - exact[0]) / (len(exact) - 1)
        digits = width.normalize().as_tuple().digits
        assert len(set(edges)) < len(edges) or digits in ((1,), (2,), (5,))
