"""Several judges as one: their votes are counted as said, and one that fails keeps nobody from a verdict."""

from __future__ import annotations

import asyncio
import inspect
import json
import statistics

import pytest
from judge_server import JudgeServer, Reply

from kibitz.base import spending
from kibitz.base.errors import JudgeAnswerError, NotImportable, Unavailable, UsageError
from kibitz.base.provider import Provider
from kibitz.judging import importables
from kibitz.providers import Jury, OpenAI, jury


class House(Provider):
    """A juror that says what it is told, in this program."""

    local = True

    def __init__(self, says: float | str) -> None:
        self.says = says

    def relevance(self, prompt: str, response: str) -> float:
        if isinstance(self.says, str):
            raise {"busy": Unavailable, "mad": JudgeAnswerError}[self.says](self.says)
        return self.says


def best(votes: list[float]) -> float:
    return max(votes)


def house(*says: float | str, **options) -> Jury:
    return Jury([House(each) for each in says], **options)


@pytest.mark.parametrize(
    ("aggregation", "score"),
    [
        ("mean", 0.54),
        ("median", 0.6),
        ("trimmed", 1.7 / 3),
        ("majority", 1.0),
        ("weighted", 1.0 / 3),
        (best, 1.0),
        ("statistics:fmean", 0.54),
        (statistics.fmean, 0.54),
    ],
)
def test_votes_are_counted_as_said(aggregation, score: float) -> None:
    weights = [1, 0, 0, 1, 1] if aggregation == "weighted" else None
    one = house(0.0, 1.0, 0.7, 0.6, 0.4, aggregation=aggregation, weights=weights)
    assert one.relevance("a", "b")[0] == pytest.approx(score)
    assert asyncio.run(one.arelevance("a", "b"))[0] == pytest.approx(score)


def test_a_tie_is_half_and_weights_break_it() -> None:
    assert house(1.0, 0.0, aggregation="majority").relevance("a", "b")[0] == 0.5
    assert house(1.0, 0.0, aggregation="majority", weights=[1, 2]).relevance("a", "b")[0] == 0.0


def test_a_juror_that_fails_does_not_vote() -> None:
    score, metadata = house(1.0, "mad", 0.5).relevance("a", "b")
    assert score == 0.75
    assert metadata["votes"][1] == {
        "juror": metadata["votes"][1]["juror"],
        "error": "JudgeAnswerError: mad",
    }
    assert "failed: JudgeAnswerError: mad" in metadata["reason"]
    assert house(1.0, "mad", "mad", quorum=1).relevance("a", "b")[0] == 1.0


@pytest.mark.parametrize(
    ("says", "kind"), [((1.0, "mad", "mad"), JudgeAnswerError), ((1.0, "busy", "mad"), Unavailable)]
)
def test_without_a_quorum_there_is_no_verdict(says, kind) -> None:
    with pytest.raises(kind, match="1 of 3 jurors voted and 2 must"):
        house(*says).relevance("a", "b")
    with pytest.raises(kind):
        asyncio.run(house(*says).arelevance("a", "b"))


def test_models_vote_with_their_reasons_and_costs() -> None:
    with (
        JudgeServer(3) as kind,
        JudgeServer(0) as stern,
        JudgeServer(Reply("no", status=400)) as broken,
    ):
        one = Jury(
            [
                OpenAI(f"m{i}", base_url=each.url, api_key="sk-secret", retries=0)
                for i, each in enumerate((kind, stern, broken))
            ]
        )
        with spending.tally() as spent:
            score, metadata = one.relevance_with_reasons("a", "b")
        again = asyncio.run(one.arelevance("a", "b", criteria="Is it short?"))

    assert score == 0.5
    assert [each.get("score") for each in metadata["votes"]] == [1.0, 0.0, None]
    assert metadata["votes"][0]["reason"] == "as told"
    assert spent.total.requests >= 3
    assert "sk-secret" not in json.dumps(metadata)
    assert again[0] == 0.5
    assert "Is it short?" in kind.requests[-1].text


def test_a_jury_is_made_again_from_its_parameters() -> None:
    with JudgeServer(3) as server:
        one = Jury(
            [
                OpenAI("a", base_url=server.url, api_key="sk-secret"),
                OpenAI("b", base_url=server.url),
            ],
            aggregation="median",
            quorum=1,
        )
        described = importables.describe(one.groundedness)
        assert importables.is_importable(described), described
        assert "sk-secret" not in json.dumps(described)
        loaded = importables.load(json.loads(json.dumps(described)))
        assert loaded("s", "One.")[0] == 1.0
        assert loaded.__self__.parameters() == one.parameters()


def test_signatures_are_those_of_judges() -> None:
    one = house(1.0)
    assert list(inspect.signature(one.relevance).parameters)[:2] == ["prompt", "response"]
    assert inspect.iscoroutinefunction(one.arelevance)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"jurors": []}, UsageError),
        ({"jurors": [House(1)], "quorum": 2}, UsageError),
        ({"jurors": [House(1)], "weights": [1, 2]}, UsageError),
        ({"jurors": [House(1)], "aggregation": "weighted"}, UsageError),
        ({"jurors": [House(1)], "aggregation": "best of three"}, UsageError),
        ({"jurors": [House(1)], "aggregation": "sys:exit"}, UsageError),
        ({"jurors": [House(1)], "aggregation": "os:_exit"}, UsageError),
        ({"jurors": [House(1)], "aggregation": lambda votes: 1.0}, NotImportable),
        ({"jurors": [{"module": "os", "class": "system", "parameters": {}}]}, NotImportable),
        ({"jurors": [{"module": "antigravity", "class": "X"}]}, NotImportable),
        ({"jurors": [{"module": "kibitz.providers.nothing", "class": "X"}]}, NotImportable),
    ],
)
def test_a_jury_that_cannot_be_is_refused(arguments, kind) -> None:
    with pytest.raises(kind):
        Jury(**arguments)


def test_a_juror_without_the_method_is_named() -> None:
    with pytest.raises(UsageError, match="juror House has no 'coherence'"):
        house(1.0).coherence("x")


def test_every_aggregation_is_between_the_votes() -> None:
    votes = [0.1, 0.9, 0.4, 0.4]
    for each in jury.AGGREGATIONS.values():
        assert 0 <= each(votes, [1, 1, 1, 1]) <= 1
