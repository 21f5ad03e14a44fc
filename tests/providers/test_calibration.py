"""Calibration against scikit-learn and numpy."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from kibitz.base.errors import UsageError
from kibitz.providers import Calibration

OF = Calibration()
ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


def sides(rows: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    return [one for one, _ in rows], [other for _, other in rows]


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_losses_are_those_of_scikit_learn(rows: list[tuple[float, int]]) -> None:
    said, happened = sides(rows)

    assert OF.brier(said, happened) == pytest.approx(metrics.mean_squared_error(happened, said))
    assert OF.mae(said, happened) == pytest.approx(metrics.mean_absolute_error(happened, said))
    assert OF.rmse(said, happened) == pytest.approx(metrics.root_mean_squared_error(happened, said))
    assert OF.log_loss(said, happened) == pytest.approx(
        metrics.log_loss(happened, said, labels=[0, 1]), abs=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 12))
def test_the_calibration_error_is_that_of_its_definition(
    rows: list[tuple[float, int]], bins: int
) -> None:
    said, happened = sides(rows)
    into = numpy.minimum((numpy.array(said) * bins).astype(int), bins - 1)
    expected = sum(
        (into == each).mean()
        * abs(numpy.array(said)[into == each].mean() - numpy.array(happened)[into == each].mean())
        for each in {*into.tolist()}
    )

    assert OF.ece(said, happened, bins) == pytest.approx(expected, abs=1e-9)


def test_a_forecaster_who_means_it_has_no_error() -> None:
    assert OF.ece([0.75] * 4 + [0.25] * 4, [1, 1, 1, 0, 0, 0, 0, 1]) == 0.0
    assert OF.ece([1.0, 0.0], [0, 1]) == 1.0


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(UsageError, match=r"probabilities\[1\] is 1.5"):
        OF.brier([0.5, 1.5], [0, 1])
    with pytest.raises(UsageError, match=r"actual\[0\] is 0.5"):
        OF.ece([0.5], [0.5])
    with pytest.raises(UsageError, match="bins is 0"):
        OF.ece([0.5], [1], 0)
