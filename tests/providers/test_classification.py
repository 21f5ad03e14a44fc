"""Measures of classes against scikit-learn."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from kibitz.base.errors import UsageError
from kibitz.providers import Classification

OF = Classification()
CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=25)
BINARY = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=25)


def sides(rows: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [one for one, _ in rows], [other for _, other in rows]


@settings(max_examples=40, deadline=None)
@given(CLASSES)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_precision_recall_and_f1_over_classes_are_those_of_scikit_learn(
    average: str, rows: list[tuple[int, int]]
) -> None:
    predicted, actual = sides(rows)
    theirs = metrics.precision_recall_fscore_support(
        actual, predicted, average=average, zero_division=0
    )

    ours = [getattr(OF, name)(predicted, actual, average) for name in ("precision", "recall", "f1")]

    assert ours == pytest.approx(theirs[:3])


@settings(max_examples=40, deadline=None)
@given(BINARY)
def test_precision_recall_and_f1_of_one_class_are_those_of_scikit_learn(
    rows: list[tuple[int, int]],
) -> None:
    predicted, actual = sides(rows)
    theirs = metrics.precision_recall_fscore_support(
        actual, predicted, average="binary", zero_division=0
    )

    ours = [getattr(OF, name)(predicted, actual) for name in ("precision", "recall", "f1")]

    assert ours == pytest.approx(theirs[:3])


@settings(max_examples=40, deadline=None)
@given(CLASSES)
def test_agreement_is_that_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    predicted, actual = sides(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matthews = metrics.matthews_corrcoef(actual, predicted)
        accuracy = metrics.accuracy_score(actual, predicted)
        balanced = metrics.balanced_accuracy_score(actual, predicted)
        kappas = {
            each: metrics.cohen_kappa_score(actual, predicted, weights=each)
            for each in (None, "linear", "quadratic")
        }

    assert OF.accuracy(predicted, actual) == pytest.approx(accuracy)
    assert OF.balanced_accuracy(predicted, actual) == pytest.approx(balanced)
    assert OF.matthews_correlation(predicted, actual) == pytest.approx(matthews, abs=1e-12)
    for weights, kappa in kappas.items():
        # scikit-learn leaves it open where only one class is there; both are of one mind then.
        expected = kappa if kappa == kappa else 1.0
        assert OF.cohens_kappa(predicted, actual, weights) == pytest.approx(expected, abs=1e-12)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=30))
def test_the_area_under_the_curve_is_that_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    scores, actual = sides(rows)
    if len({*actual}) < 2:
        with pytest.raises(UsageError, match="the area needs both"):
            OF.auc(scores, actual)
    else:
        assert OF.auc(scores, actual) == pytest.approx(metrics.roc_auc_score(actual, scores))


def test_kappa_leaves_the_labels_as_they_are() -> None:
    predicted, actual = [0.9, 0.1], [1, 0]
    OF.cohens_kappa(predicted, actual)

    assert (predicted, actual) == ([0.9, 0.1], [1, 0])


def test_rows_of_different_length_and_empty_ones_are_refused() -> None:
    with pytest.raises(UsageError, match="predicted has 1 values and actual has 2"):
        OF.accuracy([1], [1, 2])
    with pytest.raises(UsageError, match="at least 1"):
        OF.f1([], [])
    with pytest.raises(UsageError, match="binary, macro, micro or weighted"):
        OF.f1([1], [1], "mean")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"actual\[1\] is 2.0; a label is 0 or 1"):
        OF.auc([0.1, 0.2], [0, 2])
