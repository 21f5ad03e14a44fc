"""Agreement with what is known to be right."""

from __future__ import annotations

import math

import pandas
import polars
import pytest
from scipy import stats
from sklearn import metrics

from kibitz.base.errors import NotImportable, UsageError
from kibitz.base.provider import SkipEval
from kibitz.judging import importables
from kibitz.providers import GroundTruth, GroundTruthAggregator

GOLDEN = [
    {
        "query": "Who invented the light bulb?",
        "expected_response": "Thomas Edison",
        "expected_chunks": [
            {"text": "Edison invented it.", "expect_score": 1},
            {"text": "Swan did too.", "expect_score": 0.5},
            {"text": "Bulbs are bright.", "expect_score": 0},
        ],
    },
    {"query": "Where?", "expected_response": "Menlo Park", "expected_score": 0.7},
]
QUERY = GOLDEN[0]["query"]


@pytest.mark.parametrize(
    "golden",
    [GOLDEN, tuple(GOLDEN), pandas.DataFrame(GOLDEN), polars.DataFrame(GOLDEN, strict=False)],
)
def test_a_golden_set_is_a_list_or_a_frame(golden: object) -> None:
    truth = GroundTruth(golden)

    assert truth.exact_match(QUERY, "thomas edison!") == 1.0
    assert truth.rouge(QUERY, "It was Thomas Edison") == pytest.approx(2 / 3)
    assert truth.token_f1("Where?", "in Menlo Park") == pytest.approx(0.8)
    assert truth.bleu("Where?", "Menlo Park") == pytest.approx(1.0)
    assert truth.rouge_l("Where?", "Menlo Park") == 1.0
    assert truth.chrf("Where?", "Menlo Park") == pytest.approx(1.0)
    assert truth.similarity("Where?", "Menlo Park") == pytest.approx(1.0)
    assert truth.absolute_error("Where?", "Menlo Park", 0.5) == pytest.approx(0.2)
    assert truth.precision_at_k(QUERY, ["Swan did too.", "x"]) == 0.5
    assert truth.parameters()["golden"][1]["query"] == "Where?"


def test_a_worker_makes_an_equal_one_from_its_parameters() -> None:
    truth = GroundTruth(pandas.DataFrame(GOLDEN))

    described = importables.describe(truth.exact_match)
    again = importables.load(described)

    assert importables.is_importable(described)
    assert again(QUERY, "Edison, Thomas") == 0.0
    assert again(QUERY, "Thomas Edison") == 1.0


def test_a_function_gives_what_is_right_in_this_program_only() -> None:
    truth = GroundTruth({"1 + 1?": "2"}.get)

    assert truth.exact_match("1 + 1?", "2") == 1.0
    with pytest.raises(SkipEval, match="no expected response is known for '2 \\+ 2"):
        truth.exact_match("2 + 2?", "4")
    with pytest.raises(NotImportable):
        importables.load(importables.describe(truth.exact_match))


@pytest.mark.parametrize(
    "name", ["ndcg_at_k", "precision_at_k", "recall_at_k", "mrr", "ir_hit_rate"]
)
def test_a_ranking_with_nothing_relevant_has_0_and_one_with_all_of_it_1(name: str) -> None:
    measure = getattr(GroundTruth(GOLDEN), name)

    assert measure(QUERY, ["a", "b", "c", "d", "e"]) == 0.0
    assert measure(QUERY, ["Bulbs are bright."]) == 0.0
    assert measure(QUERY, []) == 0.0
    assert measure(QUERY, ["Edison invented it.", " Swan did too. "]) == pytest.approx(1.0)
    assert measure(QUERY, ["Swan did too.", "Edison invented it."], [0.1, 0.9]) == pytest.approx(
        1.0
    )
    with pytest.raises(SkipEval, match="no expected chunks are known for 'Where"):
        measure("Where?", ["x"])


def test_ndcg_knows_grades_and_more_retrieved_than_expected() -> None:
    truth = GroundTruth(GOLDEN)
    best = 1 + 0.5 / math.log2(3)

    assert truth.ndcg_at_k(
        QUERY, ["Swan did too.", "x", "y", "Edison invented it."]
    ) == pytest.approx((0.5 + 1 / math.log2(5)) / best)
    assert truth.recall_at_k(QUERY, ["Edison invented it.", "x", "y"], k=2) == 0.5


def test_a_score_is_held_to_the_expected_one_of_the_query_and_the_response() -> None:
    truth = GroundTruth(
        [
            {"query": "q", "expected_response": "a", "expected_score": 1.0},
            {"query": "q", "expected_response": "b", "expected_score": 0.25},
        ]
    )

    assert truth.absolute_error("q", "b", 0.5) == 0.25
    with pytest.raises(SkipEval):
        truth.absolute_error("q", "c", 0.5)


@pytest.mark.parametrize(
    ("golden", "says"),
    [
        ("query", "golden is str"),
        ([{"question": "x"}], r"golden\[0\] has no text as its query"),
        ([{"query": "x"}, 3], r"golden\[1\]"),
    ],
)
def test_a_golden_set_that_is_none_is_refused(golden: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        GroundTruth(golden)


LABELS = [1, 0, 1, 1, 0, 0]
SCORES = [0.9, 0.2, 0.6, 0.4, 0.4, 0.1]


def test_aggregators_are_those_of_scikit_learn() -> None:
    against = GroundTruthAggregator(LABELS, k=3)
    said = [int(each >= 0.5) for each in SCORES]

    assert against.auc(SCORES) == pytest.approx(metrics.roc_auc_score(LABELS, SCORES))
    assert against.matthews_correlation(SCORES) == pytest.approx(
        metrics.matthews_corrcoef(LABELS, said)
    )
    assert against.cohens_kappa(SCORES) == pytest.approx(metrics.cohen_kappa_score(LABELS, said))
    assert against.precision(SCORES) == pytest.approx(metrics.precision_score(LABELS, said))
    assert against.recall(SCORES) == pytest.approx(metrics.recall_score(LABELS, said))
    assert against.f1_score(SCORES) == pytest.approx(metrics.f1_score(LABELS, said))
    assert against.brier_score(SCORES) == pytest.approx(metrics.brier_score_loss(LABELS, SCORES))
    assert against.mae(SCORES) == pytest.approx(metrics.mean_absolute_error(LABELS, SCORES))
    assert against.ndcg_at_k(SCORES) == pytest.approx(metrics.ndcg_score([LABELS], [SCORES], k=3))
    assert against.kendall_tau(SCORES) == pytest.approx(stats.kendalltau(SCORES, LABELS).statistic)
    assert against.spearman_correlation(SCORES) == pytest.approx(
        stats.spearmanr(SCORES, LABELS).statistic
    )
    assert against.pearson_correlation(SCORES) == pytest.approx(
        stats.pearsonr(SCORES, LABELS).statistic
    )
    # 0.9 and 0.6 are relevant, and the third place is one of two, of which one is.
    assert against.precision_at_k(SCORES) == pytest.approx(2.5 / 3)
    assert against.recall_at_k(SCORES) == pytest.approx(2.5 / 3)
    assert LABELS == [1, 0, 1, 1, 0, 0]


def test_the_calibration_error_takes_scores_or_pairs_of_score_and_confidence() -> None:
    against = GroundTruthAggregator([1, 0, 1, 0])

    assert against.ece([1.0, 0.0, 1.0, 0.0]) == 0.0
    assert against.ece([0.0, 1.0, 0.0, 1.0]) == 1.0
    # Right twice and wrong twice, half sure each time.
    assert against.ece([(0.9, 0.5), (0.1, 0.5), (0.2, 0.5), (0.8, 0.5)]) == 0.0


def test_more_scores_than_labels_are_refused() -> None:
    with pytest.raises(UsageError, match="scores has 2 values and true_labels has 1"):
        GroundTruthAggregator([1]).precision([0.1, 0.2])


def test_an_aggregator_is_loaded_by_a_worker() -> None:
    labels = pandas.Series(LABELS)

    loaded = importables.load(importables.describe(GroundTruthAggregator(labels, k=3).auc))

    assert loaded(SCORES) == pytest.approx(metrics.roc_auc_score(LABELS, SCORES))


def test_a_further_function_becomes_a_method() -> None:
    against = GroundTruthAggregator([1, 0])
    against.register_custom_agg_func("worst", lambda scores, it: min(scores) - it.true_labels[1])

    assert against.worst([0.5, 0.75]) == 0.5  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="'auc' is no name for a further method"):
        against.register_custom_agg_func("auc", lambda scores, it: 0.0)
