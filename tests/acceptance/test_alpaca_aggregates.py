"""Aggregates of AlpacaEval over HTTP, against figures that plain Python works out from the files."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from typing import Any

import pytest
from alpaca import PROJECT, TYPE, Api, published, rows

PREFERENCE = f"feedback.[{TYPE}].output.preference"
T_95 = {804: 1.9629326, 802: 1.9629440}
"""Student's t at 97.5 % from a printed table, by degrees of freedom (1.9629 for some 800)."""

pytestmark = pytest.mark.processes


@pytest.fixture(name="judged", scope="module")
def _judged() -> list[tuple[str, str, float]]:
    """(model, dataset, preference) of every answer in the files."""
    datasets = {row["instruction_id"]: row["dataset"] for row in rows("instructions.jsonl.gz")}
    return [
        (row["model"], datasets[row["instruction_id"]], row["preference"])
        for row in rows("outputs.jsonl.gz")
    ]


def _asked(api: Api, **asked: Any) -> dict[str, Any]:
    return api.post("calls/aggregate", {"project": PROJECT, "text": "op = answer", **asked})


def _by_keys(found: dict[str, Any]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    assert not found["truncated"]
    return {tuple(group["keys"]): group["measures"] for group in found["groups"]}


def test_the_mean_preference_of_each_model_is_the_published_win_rate(alpaca_eval: Api) -> None:
    groups = _by_keys(
        _asked(alpaca_eval, group_by=["attributes.model"], measures=[f"mean({PREFERENCE})"])
    )

    assert {model for (model,) in groups} == set(published())
    for model, said in published().items():
        [mean] = groups[model,]
        assert mean["n"] == int(said["n_total"])
        assert (mean["value"] - 1) * 100 == pytest.approx(float(said["win_rate"]), abs=1e-9)
        half = T_95[mean["n"] - 1] * float(said["standard_error"]) / 100
        assert mean["low"] == pytest.approx(mean["value"] - half, abs=1e-6)
        assert mean["high"] == pytest.approx(mean["value"] + half, abs=1e-6)


def test_win_rates_by_dataset_are_those_of_the_files(
    alpaca_eval: Api, judged: list[tuple[str, str, float]]
) -> None:
    expected: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for model, dataset, preference in judged:
        expected[model, dataset].append(preference)

    found = _asked(
        alpaca_eval,
        group_by=["attributes.model", "inputs.dataset"],
        measures=[f"{name}({PREFERENCE})" for name in ("mean", "sd", "min", "max", "median")],
    )
    groups = _by_keys(found)

    assert list(groups) == sorted(groups)
    assert set(groups) == set(expected)
    assert len(groups) == 12 * 5
    for keys, preferences in expected.items():
        mean, sd, least, most, median = groups[keys]
        assert {each["n"] for each in groups[keys]} == {len(preferences)}
        assert mean["value"] == pytest.approx(statistics.fmean(preferences), rel=1e-12)
        assert sd["value"] == pytest.approx(statistics.stdev(preferences), rel=1e-12)
        assert least["value"] == min(preferences)
        assert most["value"] == max(preferences)
        assert median["value"] == pytest.approx(statistics.median(preferences), rel=1e-12)
        assert mean["low"] < mean["value"] < mean["high"]


def test_a_histogram_of_preferences_counts_what_the_files_have(
    alpaca_eval: Api, judged: list[tuple[str, str, float]]
) -> None:
    found = _asked(
        alpaca_eval, group_by=["attributes.model"], measures=[f"histogram({PREFERENCE}, 10)"]
    )

    for (model,), [spread] in _by_keys(found).items():
        edges = spread["edges"]
        assert edges == [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0]
        of_model = [preference for its, _, preference in judged if its == model]
        expected = Counter(
            min(sum(edge <= each for edge in edges[1:]), len(edges) - 2) for each in of_model
        )
        assert spread["counts"] == [expected[index] for index in range(10)]


def test_everything_by_day_comes_from_the_sums_and_is_the_same(
    alpaca_eval: Api, judged: list[tuple[str, str, float]]
) -> None:
    found = alpaca_eval.post(
        "calls/aggregate",
        {
            "project": PROJECT,
            "group_by": ["month"],
            "measures": ["count", f"mean({PREFERENCE})", f"histogram({PREFERENCE}, 10)"],
        },
    )
    preferences = [preference for *_, preference in judged]
    groups = _by_keys(found)

    assert sum(measures[0]["value"] for measures in groups.values()) == len(judged)
    total = math.fsum(m["value"] * m["n"] for _, m, _ in groups.values() if m["n"])
    assert total / len(preferences) == pytest.approx(statistics.fmean(preferences), rel=1e-12)
    assert sum(sum(spread["counts"]) for *_, spread in groups.values()) == len(preferences)


def test_judgements_are_grouped_by_who_and_what_made_them(alpaca_eval: Api) -> None:
    found = alpaca_eval.post(
        "feedback/aggregate",
        {
            "project": PROJECT,
            "group_by": ["type", "author_kind"],
            "measures": ["count", "distinct(target)", "mean(output.preference)"],
        },
    )
    everything = [row["preference"] for row in rows("outputs.jsonl.gz")]

    [(keys, [count, targets, mean])] = _by_keys(found).items()
    assert keys[0] == TYPE
    assert count["value"] == targets["value"] == mean["n"] == len(everything)
    assert mean["value"] == pytest.approx(statistics.fmean(everything), rel=1e-12)


def test_models_are_ranked_by_a_measure(alpaca_eval: Api) -> None:
    measure = f"mean({PREFERENCE})"
    found = _asked(
        alpaca_eval,
        group_by=["attributes.model"],
        measures=[measure],
        order=f"{measure} desc",
        limit=3,
    )
    best = sorted(published(), key=lambda model: -float(published()[model]["win_rate"]))[:3]

    assert [group["keys"] for group in found["groups"]] == [[model] for model in best]
    assert found["truncated"]
