"""Examples for judges are made from what people said of calls."""

from __future__ import annotations

import json

import pytest

import kibitz
from kibitz.base.errors import UsageError
from kibitz.providers import Example, OpenAI, examples_from

GIVEN = {"prompt": "inputs.question", "response": "output.text"}


@pytest.fixture
def answered(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Four calls: one judged twice, one once with a note, one unjudged, one judged without the place that is asked."""
    monkeypatch.setenv("KIBITZ_DATA", str(tmp_path))
    kibitz.init("acme/bot")

    @kibitz.op
    def answer(question: str) -> dict[str, str]:
        return {} if question == "none" else {"text": f"about {question}"}

    made = {}
    for question in ("a", "b", "c", "none"):
        _, made[question] = answer.call(question)
    made["a"].feedback.add("review", {"value": 5})
    made["b"].feedback.add("review", {"value": 2})
    made["b"].feedback.add_note("too short")
    made["none"].feedback.add("review", {"value": 1})
    kibitz.flush()
    yield kibitz.calls("acme/bot")
    kibitz.finish()


def test_judged_calls_become_examples(answered) -> None:
    found = examples_from(answered, given=GIVEN, score="review", low=1, high=5)

    by_prompt = {each["given"]["prompt"]: each for each in found}
    assert by_prompt == {
        "a": {"given": {"prompt": "a", "response": "about a"}, "score": 1.0, "reason": ""},
        "b": {
            "given": {"prompt": "b", "response": "about b"},
            "score": 0.25,
            "reason": "too short",
        },
    }
    assert len(examples_from(answered, given=GIVEN, score="review", low=1, high=5, limit=1)) == 1


def test_what_is_no_score_is_named(answered) -> None:
    with pytest.raises(UsageError, match="no score from 0 to 1"):
        examples_from(answered, given=GIVEN, score="review")


def test_other_examples_are_another_judge() -> None:
    one = OpenAI(api_key="x", examples=[{"given": {"text": "a"}, "score": 1}])
    same = OpenAI(api_key="y", examples=[Example(given={"text": "a"}, score=1.0)])
    other = OpenAI(api_key="x", examples=[{"given": {"text": "a"}, "score": 0}])

    assert one.parameters() == same.parameters()
    assert one.parameters() != other.parameters()
    json.dumps(one.parameters())


def test_too_many_examples_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 32"):
        OpenAI(api_key="x", examples=[{"given": {}, "score": 1}] * 33)
