"""How well predicted classes agree with the actual ones. Where a share has nothing below it, it is 0."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import series

Average = Literal["binary", "macro", "micro", "weighted"]
"""Of one class; the mean over classes; over all decisions; the mean by how often a class is actual."""


class Classification(Provider):
    """Predicted beside actual classes, one by one. The rows are never changed."""

    local: ClassVar[bool] = True

    def accuracy(self, predicted: Sequence[Hashable], actual: Sequence[Hashable]) -> float:
        """Which share is right."""
        series.alike(predicted, actual, ("predicted", "actual"))
        return sum(map(_same, predicted, actual)) / len(actual)

    def balanced_accuracy(self, predicted: Sequence[Hashable], actual: Sequence[Hashable]) -> float:
        """The mean over the actual classes of the share of each that is right."""
        right, _, there = _counts(predicted, actual)
        return series.mean([right[each] / count for each, count in there.items()])

    def precision(
        self,
        predicted: Sequence[Hashable],
        actual: Sequence[Hashable],
        average: Average = "binary",
        positive: Hashable = 1,
    ) -> float:
        """Which share of what is predicted as a class is of it."""
        return self._averaged(predicted, actual, average, positive)[0]

    def recall(
        self,
        predicted: Sequence[Hashable],
        actual: Sequence[Hashable],
        average: Average = "binary",
        positive: Hashable = 1,
    ) -> float:
        """Which share of a class is predicted as it."""
        return self._averaged(predicted, actual, average, positive)[1]

    def f1(
        self,
        predicted: Sequence[Hashable],
        actual: Sequence[Hashable],
        average: Average = "binary",
        positive: Hashable = 1,
    ) -> float:
        """The harmonic mean of precision and recall: of each class, then averaged."""
        return self._averaged(predicted, actual, average, positive)[2]

    def matthews_correlation(
        self, predicted: Sequence[Hashable], actual: Sequence[Hashable]
    ) -> float:
        """-1 to 1: the correlation of both, of any number of classes; 0 where one side has one class only.

        Source: Matthews (1975), for several classes Gorodkin (2004).
        """
        right, said, there = _counts(predicted, actual)
        count = len(actual)
        both = right.total() * count - sum(said[each] * there[each] for each in said)
        one = count**2 - sum(each**2 for each in said.values())
        other = count**2 - sum(each**2 for each in there.values())
        return both / math.sqrt(one) / math.sqrt(other) if one and other else 0.0

    def cohens_kappa(
        self,
        predicted: Sequence[Hashable],
        actual: Sequence[Hashable],
        weights: Literal["linear", "quadratic"] | None = None,
    ) -> float:
        """-1 to 1: agreement beyond what chance gives; 1 where both say one and the same class throughout.

        With weights a near miss counts less than a far one: the classes are numbers then, by their order.
        Source: Cohen (1960, 1968).
        """
        _, said, there = _counts(predicted, actual)
        classes = {*said, *there}
        if weights is None:
            order = dict.fromkeys(classes, 0)
        else:
            values = dict(zip(classes, series.numbers(classes, "classes"), strict=True))
            order = {each: at for at, each in enumerate(sorted(classes, key=values.__getitem__))}

        def apart(one: Hashable, other: Hashable) -> float:
            if weights is None:
                return float(one != other)
            return float(abs(order[one] - order[other]) ** (1 if weights == "linear" else 2))

        seen = math.fsum(map(apart, predicted, actual))
        by_chance = math.fsum(
            count * there[other] * apart(one, other)
            for one, count in said.items()
            for other in there
        ) / len(actual)
        return 1 - seen / by_chance if by_chance else 1.0

    def auc(self, scores: Sequence[float], actual: Sequence[float]) -> float:
        """The area under the ROC curve: how likely a positive has a higher score than a negative, equal ones half.

        Source: Hanley and McNeil (1982), by the ranks of Mann and Whitney.

        Raises:
            UsageError: one of both classes is missing.
        """
        valued, labels = series.pair(scores, actual, ("scores", "actual"))
        positive = [_label(each, at) for at, each in enumerate(labels)]
        yes = sum(positive)
        no = len(positive) - yes
        if not yes or not no:
            raise UsageError(f"actual has {yes} positives and {no} negatives; the area needs both")
        ranked = series.ranks(valued)
        total = math.fsum(rank for rank, each in zip(ranked, positive, strict=True) if each)
        return (total - yes * (yes + 1) / 2) / (yes * no)

    def _averaged(
        self,
        predicted: Sequence[Hashable],
        actual: Sequence[Hashable],
        average: Average,
        positive: Hashable,
    ) -> tuple[float, float, float]:
        right, said, there = _counts(predicted, actual)
        if average == "binary":
            return _shares(right[positive], said[positive], there[positive])
        if average == "micro":
            return _shares(right.total(), said.total(), there.total())
        if average not in ("macro", "weighted"):
            raise UsageError(
                f"average is {average!r}; binary, macro, micro or weighted", value=average
            )
        classes = {*said, *there}
        weight = {each: 1 if average == "macro" else there[each] for each in classes}
        whole = sum(weight.values())
        of = [(weight[each], _shares(right[each], said[each], there[each])) for each in classes]
        precision, recall, f1 = (
            math.fsum(share * values[at] for share, values in of) / whole for at in range(3)
        )
        return precision, recall, f1


Counts = tuple[Counter[Hashable], Counter[Hashable], Counter[Hashable]]


def _counts(predicted: Sequence[Hashable], actual: Sequence[Hashable]) -> Counts:
    """By class: how many are right, predicted, and actual."""
    series.alike(predicted, actual, ("predicted", "actual"))
    right = Counter(one for one, other in zip(predicted, actual, strict=True) if one == other)
    return right, Counter(predicted), Counter(actual)


def _shares(right: int, said: int, there: int) -> tuple[float, float, float]:
    precision = right / said if said else 0.0
    recall = right / there if there else 0.0
    return precision, recall, 2 * right / (said + there) if said + there else 0.0


def _same(one: Hashable, other: Hashable) -> bool:
    return one == other


def _label(value: float, at: int) -> bool:
    if value not in (0.0, 1.0):
        raise UsageError(f"actual[{at}] is {value!r}; a label is 0 or 1", at=at)
    return value == 1.0
