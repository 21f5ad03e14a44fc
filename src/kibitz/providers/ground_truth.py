"""Answers and retrieved passages beside what is known to be right, and whole rows of scores beside labels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider, SkipEval
from kibitz.providers import overlap, retrieval, series, translation, words
from kibitz.providers.calibration import Calibration
from kibitz.providers.classification import Classification
from kibitz.providers.correlation import Correlation

Golden = Mapping[str, Any]
"""`query`, and some of `expected_response`, `expected_score`, and `expected_chunks`: texts, or mappings with `text` and
`expect_score`."""


class GroundTruth(Provider):
    """What is right, by query. A query that is not known is skipped: nothing is said of it, and nothing fails.

    Expected chunks are relevant by their `expect_score`, 1 where they have none. A chunk is the expected one where
    their texts are the same but for spaces around them.
    """

    local: ClassVar[bool] = True

    def __init__(self, golden: Any) -> None:
        """Take the golden set.

        Args:
            golden: a list of mappings, a data frame with such columns, or a function of the query that gives the
                expected response. The function is used in this program only; a worker needs a list.

        Raises:
            UsageError: it is none of these, or an entry has no `query`.
        """
        self._ask: Callable[[str], Any] | None = None
        self._entries: list[dict[str, Any]] = []
        if callable(golden) and not hasattr(golden, "to_dict"):
            self._ask = cast("Callable[[str], Any]", golden)
        else:
            self._entries = _entries(golden)
        self._known = {each["query"]: each for each in reversed(self._entries)}

    def parameters(self) -> dict[str, Any]:
        """The golden set as a list, whatever it came as; a function is no JSON, so that it stays in this program."""
        return {"golden": self._ask if self._ask is not None else self._entries}

    def exact_match(self, prompt: str, response: str) -> float:
        """1 where it is the expected response, as `Local.exact_match` compares."""
        from kibitz.providers import texts

        return texts.Texts().exact_match(response, self._expected(prompt))

    def token_f1(self, prompt: str, response: str) -> float:
        """`Local.token_f1` to the expected response."""
        return overlap.Overlap().token_f1(response, self._expected(prompt))

    def bleu(self, prompt: str, response: str) -> float:
        """`Local.bleu` to the expected response."""
        return translation.Translation().bleu(response, self._expected(prompt))

    def rouge(self, prompt: str, response: str) -> float:
        """`Local.rouge_1` to the expected response."""
        return overlap.Overlap().rouge_1(response, self._expected(prompt))

    def rouge_l(self, prompt: str, response: str) -> float:
        """`Local.rouge_l` to the expected response."""
        return overlap.Overlap().rouge_l(response, self._expected(prompt))

    def chrf(self, prompt: str, response: str) -> float:
        """`Local.chrf` to the expected response."""
        return translation.Translation().chrf(response, self._expected(prompt))

    def similarity(self, prompt: str, response: str, model: str = "hashed") -> float:
        """`Embeddings(model).similarity` to the expected response."""
        from kibitz.providers import embeddings

        return embeddings.Embeddings(model).similarity(response, self._expected(prompt))

    def absolute_error(self, prompt: str, response: str, score: float) -> float:
        """How far a score is from the expected one, in its unit: lower is better.

        The entry is the one of this query and, where entries have a response, of this response.
        """
        for each in self._entries:
            said = each.get("expected_response", each.get("response"))
            if each["query"] == prompt and "expected_score" in each and said in (None, response):
                [wanted] = series.numbers([each["expected_score"]], "expected_score")
                [given] = series.numbers([score], "score")
                return abs(given - wanted)
        raise SkipEval(f"no expected score is known for {prompt!r:.80}")

    def ndcg_at_k(
        self,
        query: str,
        retrieved_context_chunks: Sequence[str],
        relevance_scores: Sequence[float] | None = None,
        k: int | None = None,
    ) -> float:
        """`Retrieval.ndcg_at_k` with the expected chunks as what is relevant."""
        return retrieval.Retrieval().ndcg_at_k(
            _chunks(retrieved_context_chunks), self._relevant(query), k, relevance_scores
        )

    def precision_at_k(
        self,
        query: str,
        retrieved_context_chunks: Sequence[str],
        relevance_scores: Sequence[float] | None = None,
        k: int | None = None,
    ) -> float:
        """`Retrieval.precision_at_k` with the expected chunks as what is relevant."""
        return retrieval.Retrieval().precision_at_k(
            _chunks(retrieved_context_chunks), self._relevant(query), k, relevance_scores
        )

    def recall_at_k(
        self,
        query: str,
        retrieved_context_chunks: Sequence[str],
        relevance_scores: Sequence[float] | None = None,
        k: int | None = None,
    ) -> float:
        """`Retrieval.recall_at_k` with the expected chunks as what is relevant."""
        return retrieval.Retrieval().recall_at_k(
            _chunks(retrieved_context_chunks), self._relevant(query), k, relevance_scores
        )

    def mrr(
        self,
        query: str,
        retrieved_context_chunks: Sequence[str],
        relevance_scores: Sequence[float] | None = None,
        k: int | None = None,
    ) -> float:
        """`Retrieval.mrr` with the expected chunks as what is relevant."""
        return retrieval.Retrieval().mrr(
            _chunks(retrieved_context_chunks), self._relevant(query), k, relevance_scores
        )

    def ir_hit_rate(
        self,
        query: str,
        retrieved_context_chunks: Sequence[str],
        relevance_scores: Sequence[float] | None = None,
        k: int | None = None,
    ) -> float:
        """`Retrieval.hit_rate` with the expected chunks as what is relevant."""
        return retrieval.Retrieval().hit_rate(
            _chunks(retrieved_context_chunks), self._relevant(query), k, relevance_scores
        )

    def expected_response(self, prompt: str) -> str | list[str] | None:
        """What is known to be right for a query; None where nothing is."""
        if self._ask is not None:
            return self._ask(prompt)
        entry = self._known.get(prompt, {})
        return entry.get("expected_response", entry.get("response"))

    def _expected(self, prompt: str) -> list[str]:
        found = self.expected_response(prompt)
        if found is None:
            raise SkipEval(f"no expected response is known for {prompt!r:.80}")
        return words.texts(found, "expected_response")

    def _relevant(self, query: str) -> dict[str, float]:
        chunks = self._known.get(query, {}).get("expected_chunks")
        if chunks is None:
            raise SkipEval(f"no expected chunks are known for {query!r:.80}")
        found: dict[str, float] = {}
        for each in cast("Sequence[Any]", chunks):
            chunk = cast("Mapping[str, Any]", each if isinstance(each, Mapping) else {"text": each})
            [grade] = series.numbers([chunk.get("expect_score", 1)], "expect_score")
            found[str(chunk["text"]).strip()] = max(0.0, grade)
        return found


class GroundTruthAggregator(Provider):
    """Aggregators of a feedback function over records whose labels are known, in the order of the scores.

    `Feedback(judge).aggregate(GroundTruthAggregator(labels).auc)`
    """

    local: ClassVar[bool] = True

    def __init__(self, true_labels: Sequence[Any], k: int | None = None) -> None:
        """Take the labels; `k` is for rankings."""
        self.true_labels = [*true_labels]
        self.k = k

    def parameters(self) -> dict[str, Any]:
        """The labels as a list of plain numbers or texts."""
        labels = [each.item() if hasattr(each, "item") else each for each in self.true_labels]
        return {"true_labels": labels} | ({} if self.k is None else {"k": self.k})

    def register_custom_agg_func(
        self, name: str, func: Callable[[Sequence[float], Self], float]
    ) -> None:
        """Take a function of the scores and this aggregator as a further method, in this program only.

        Raises:
            UsageError: the name is taken, or is none.
        """
        if not name.isidentifier() or hasattr(self, name):
            raise UsageError(f"{name!r} is no name for a further method, or taken", value=name)
        setattr(self, name, functools.partial(_applied, func, self))

    def auc(self, scores: Sequence[float]) -> float:
        """The area under the ROC curve."""
        return Classification().auc(scores, self.true_labels)

    def kendall_tau(self, scores: Sequence[float]) -> float:
        """Kendall's tau-b, -1 to 1."""
        return Correlation().kendall(scores, self.true_labels)

    def spearman_correlation(self, scores: Sequence[float]) -> float:
        """Spearman's rank correlation, -1 to 1."""
        return Correlation().spearman(scores, self.true_labels)

    def pearson_correlation(self, scores: Sequence[float]) -> float:
        """Pearson's correlation, -1 to 1."""
        return Correlation().pearson(scores, self.true_labels)

    def matthews_correlation(self, scores: Sequence[float], threshold: float = 0.5) -> float:
        """Matthews' correlation, -1 to 1; scores and labels of at least the threshold are positive."""
        return Classification().matthews_correlation(*self._classes(scores, threshold))

    def cohens_kappa(self, scores: Sequence[float], threshold: float = 0.5) -> float:
        """Cohen's kappa, -1 to 1; scores and labels of at least the threshold are positive."""
        return Classification().cohens_kappa(*self._classes(scores, threshold))

    def precision(self, scores: Sequence[float], threshold: float = 0.5) -> float:
        """Which share of the positive scores has a positive label."""
        return Classification().precision(*self._classes(scores, threshold))

    def recall(self, scores: Sequence[float], threshold: float = 0.5) -> float:
        """Which share of the positive labels has a positive score."""
        return Classification().recall(*self._classes(scores, threshold))

    def f1_score(self, scores: Sequence[float], threshold: float = 0.5) -> float:
        """The harmonic mean of precision and recall."""
        return Classification().f1(*self._classes(scores, threshold))

    def brier_score(self, scores: Sequence[float]) -> float:
        """The mean squared difference of scores, as probabilities, and labels: lower is better."""
        return Calibration().brier(scores, self.true_labels)

    def ece(self, scores: Sequence[Any], bins: int = 5) -> float:
        """The expected calibration error: lower is better.

        Of scores as probabilities of a label of 1; or of pairs of a score and how sure it is: then how often score
        and label are on one side of 0.5, beside how sure it was.
        """
        if scores and all(isinstance(each, tuple | list) for each in scores):
            said = series.numbers((each[0] for each in scores), "scores")
            sure = [each[1] for each in scores]
            right = [
                float((one >= 0.5) == (other >= 0.5))
                for one, other in zip(said, self._labels(said), strict=True)
            ]
            return Calibration().ece(sure, right, bins)
        return Calibration().ece(scores, self.true_labels, bins)

    def mae(self, scores: Sequence[float]) -> float:
        """The mean absolute error: lower is better."""
        return Calibration().mae(scores, self.true_labels)

    def ndcg_at_k(self, scores: Sequence[float]) -> float:
        """The discounted gain of the labels as grades, in the order of the scores."""
        grades = dict(enumerate(self._labels(scores)))
        return retrieval.Retrieval().ndcg_at_k([*grades], grades, self.k, scores)

    def precision_at_k(self, scores: Sequence[float]) -> float:
        """Which share of the k highest scores has a label above 0."""
        grades = dict(enumerate(self._labels(scores)))
        return retrieval.Retrieval().precision_at_k([*grades], grades, self.k, scores)

    def recall_at_k(self, scores: Sequence[float]) -> float:
        """Which share of the labels above 0 is among the k highest scores."""
        grades = dict(enumerate(self._labels(scores)))
        return retrieval.Retrieval().recall_at_k([*grades], grades, self.k, scores)

    def _labels(self, scores: Sequence[Any]) -> list[float]:
        series.alike(scores, self.true_labels, ("scores", "true_labels"))
        return series.numbers(self.true_labels, "true_labels")

    def _classes(self, scores: Sequence[float], threshold: float) -> tuple[list[int], list[int]]:
        said = series.numbers(scores, "scores")
        return (
            [int(each >= threshold) for each in said],
            [int(each >= threshold) for each in self._labels(said)],
        )


def _applied(func: Callable[[Any, Any], float], aggregator: Any, scores: Sequence[float]) -> float:
    return func(scores, aggregator)


def _entries(golden: Any) -> list[dict[str, Any]]:
    if hasattr(golden, "to_dict"):
        try:
            # pandas; what a cell lacks is NaN there, and no entry here.
            rows = golden.to_dict("records")
        except (TypeError, ValueError):
            rows = golden.to_dicts()
    else:
        rows = golden.to_dicts() if hasattr(golden, "to_dicts") else golden
    if not isinstance(rows, list | tuple):
        raise UsageError(
            f"golden is {type(golden).__name__}; a list of mappings, a data frame, or a function of the query"
        )
    found: list[dict[str, Any]] = []
    for at, row in enumerate(cast("Sequence[Any]", rows)):
        entry = cast("Mapping[str, Any]", row if isinstance(row, Mapping) else {})
        if not isinstance(entry.get("query"), str):
            raise UsageError(f"golden[{at}] has no text as its query", at=at)
        found.append({name: each for name, each in entry.items() if not _is_lacking(each)})
    return found


def _is_lacking(value: Any) -> bool:
    """None, or the NaN with which a data frame says None."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _chunks(retrieved: Sequence[str]) -> list[str]:
    return (
        [each.strip() for each in words.texts(retrieved, "retrieved_context_chunks")]
        if retrieved
        else []
    )
