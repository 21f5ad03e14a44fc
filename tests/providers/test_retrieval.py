"""Measures of rankings against scikit-learn, and against every order of what is tied."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from kibitz.base.errors import UsageError
from kibitz.providers import Retrieval

OF = Retrieval()
GRADED = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5])), min_size=2, max_size=9
)


@settings(max_examples=40, deadline=None)
@given(GRADED, st.none() | st.integers(1, 12))
def test_ndcg_is_that_of_scikit_learn_with_ties_too(
    rows: list[tuple[int, float]], k: int | None
) -> None:
    grades, scores = [each for each, _ in rows], [each for _, each in rows]
    ids = [*range(len(rows))]

    ours = OF.ndcg_at_k(ids, dict(zip(ids, grades, strict=True)), k, scores)

    assert ours == pytest.approx(ndcg_score(numpy.array([grades]), numpy.array([scores]), k=k))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2])), min_size=1, max_size=5),
    st.integers(1, 6),
)
@pytest.mark.parametrize("name", ["precision_at_k", "recall_at_k", "hit_rate", "mrr"])
def test_ties_are_the_mean_over_every_order_of_them(
    name: str, rows: list[tuple[bool, float]], k: int
) -> None:
    relevant = [at for at, (is_relevant, _) in enumerate(rows) if is_relevant]
    scores = [score for _, score in rows]
    orders = [
        order
        for order in itertools.permutations(range(len(rows)))
        if all(scores[one] >= scores[other] for one, other in itertools.pairwise(order))
    ]

    expected = sum(getattr(OF, name)(order, relevant, k) for order in orders) / len(orders)

    assert getattr(OF, name)([*range(len(rows))], relevant, k, scores) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=20).filter(any))
def test_average_precision_is_that_of_scikit_learn(relevance: list[bool]) -> None:
    falling = [-each for each in range(len(relevance))]

    assert OF.average_precision(
        [*range(len(relevance))], [at for at, each in enumerate(relevance) if each]
    ) == pytest.approx(average_precision_score(relevance, falling))


def test_what_was_not_retrieved_lowers_ndcg_and_more_may_be_wanted_than_retrieved() -> None:
    assert OF.ndcg_at_k(["a"], {"a": 1, "b": 1}) == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert OF.ndcg_at_k(["a", "b", "c"], {"b": 1}) == pytest.approx(1 / math.log2(3))


@pytest.mark.parametrize(
    "name", ["ndcg_at_k", "precision_at_k", "recall_at_k", "hit_rate", "mrr", "average_precision"]
)
def test_where_nothing_is_relevant_or_retrieved_it_is_0(name: str) -> None:
    measure = getattr(OF, name)

    assert measure(["a", "b"], ["c"]) == 0.0
    assert measure(["a", "b"], []) == 0.0
    assert measure(["a", "b"], {"a": 0, "b": 0}) == 0.0
    assert measure([], ["a"]) == 0.0
    assert measure([], []) == 0.0


def test_places_that_a_ranking_does_not_have_are_irrelevant() -> None:
    assert OF.precision_at_k(["a", "b"], ["a", "b"], k=4) == 0.5
    assert OF.recall_at_k(["a", "b"], ["a", "b", "c", "d"], k=10) == 0.5
    assert OF.mrr(["x", "a"], ["a"], k=1) == 0.0
    assert OF.mrr(["x", "a"], ["a"]) == 0.5
    assert OF.hit_rate(["x", "a"], ["a"], k=1) == 0.0


def test_what_is_there_twice_counts_once() -> None:
    assert OF.recall_at_k(["a", "a"], ["a", "b"]) == 0.5
    assert OF.ndcg_at_k(["a", "a"], ["a"]) == 1.0
    assert OF.average_precision(["a", "a", "b"], ["a", "b"]) == 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"retrieved": "text", "relevant": ["a"]}, "retrieved is a text"),
        ({"retrieved": ["a"], "relevant": "text"}, "relevant is a text"),
        ({"retrieved": ["a"], "relevant": ["a"], "k": 0}, "k is 0"),
        ({"retrieved": ["a"], "relevant": {"a": -1}}, "below 0"),
        ({"retrieved": ["a"], "relevant": ["a"], "scores": [1, 2]}, "scores has 2"),
        ({"retrieved": ["a"], "relevant": ["a"], "scores": [math.nan]}, r"scores\[0\] is nan"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        OF.ndcg_at_k(**arguments)  # type: ignore[arg-type]
