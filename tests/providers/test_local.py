"""`Local` as feedback functions use it: selected, stored, loaded again, run."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import laid_out
import pytest

from kibitz import providers
from kibitz.base.provider import Provider
from kibitz.judging.functions import Feedback
from kibitz.judging.select import Select
from kibitz.providers import Local

LOCAL = Local()
MADE = {
    "shorter_than": LOCAL.shorter_than(words=120),
    "longer_than": LOCAL.longer_than(characters=3),
    "containing": LOCAL.containing("because"),
    "without": LOCAL.without("sorry", ignore_case=False),
    "matching": LOCAL.matching("^because"),
    "valid_for": LOCAL.valid_for({"type": "string"}),
    "in_language": LOCAL.in_language("en"),
}
OWN = [
    "Local",
    "Embeddings",
    "GroundTruth",
    "GroundTruthAggregator",
    "Retrieval",
    "Classification",
    "Calibration",
    "Correlation",
]


@pytest.mark.parametrize("name", MADE)
def test_a_made_judge_is_a_feedback_function_that_comes_back_from_its_definition(name: str) -> None:
    feedback = Feedback(MADE[name]).on_output()
    stored = json.loads(json.dumps(feedback.definition.value))

    again = Feedback.load(stored)

    assert feedback.name == name
    assert again.definition.id == feedback.definition.id
    assert again.is_local
    result = again.run(laid_out.record())
    assert (result.status, result.error) == ("done", None)
    assert result.result == feedback.run(laid_out.record()).result
    assert 0 <= (result.result or 0.0) <= 1


def test_what_a_made_judge_demands_is_a_part_of_its_id() -> None:
    def of(words: int) -> str:
        return Feedback(Local().shorter_than(words=words)).on_output().definition.id

    assert of(120) == of(120)
    assert of(120) != of(121)


def test_static_arguments_go_beside_the_selected_ones() -> None:
    feedback = Feedback(LOCAL.contains).on_output().with_arguments(text="so")
    again = Feedback.load(json.loads(json.dumps(feedback.definition.value)))

    assert feedback.run(laid_out.record()).result == 1.0
    assert again.run(laid_out.record()).result == 1.0


def test_groundedness_of_the_retrieved_passages_gives_its_reasons() -> None:
    feedback = (
        Feedback(LOCAL.groundedness_with_reasons, name="grounded")
        .on(source=Select.RecordCalls.retriever.retrieve.rets[:].text.collect())
        .on_output("statement")
    )

    result = feedback.run(laid_out.record())

    assert result.status == "done"
    assert result.result == 1.0
    assert "in the source" in result.calls[0].meta["reason"]


def test_a_value_that_is_no_text_fails_with_what_it_is() -> None:
    feedback = Feedback(LOCAL.word_count).on(response=Select.RecordCalls.retriever.retrieve.rets[0])

    result = feedback.run(laid_out.record())

    assert result.status == "failed"
    assert "response is dict {'text': 'it is so'}, not a text" in (result.error or "")


@pytest.mark.parametrize("name", OWN)
def test_every_judge_says_what_it_is(name: str) -> None:
    provider = getattr(providers, name)

    assert issubclass(provider, Provider)
    assert provider.local
    for each, method in inspect.getmembers(provider, inspect.isfunction):
        if not each.startswith("_"):
            assert method.__doc__, f"{name}.{each} has no docstring"
            assert "return" in method.__annotations__, f"{name}.{each} does not say what it gives"


def test_the_names_of_the_package_are_there_and_others_are_not() -> None:
    assert set(OWN) <= set(providers.__all__) <= set(dir(providers))
    with pytest.raises(AttributeError, match="kibitz.providers has no 'Remote'"):
        providers.Remote  # type: ignore[attr-defined]  # noqa: B018


def test_local_loads_no_model_and_no_heavy_package() -> None:
    program = (
        "import sys; from kibitz.providers import Local, Retrieval, Classification, Correlation, GroundTruth; "
        "Local().rouge_l('a b', 'a'); Correlation().kendall([1, 2], [1, 3]); "
        "print([each for each in ('numpy', 'py3langid', 'vaderSentiment', 'profanity_check', 'sklearn', 'scipy', "
        "'re2', 'wordllama', 'onnxruntime', 'pandas') if each in sys.modules])"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout.strip() == "[]"


def test_what_nothing_was_retrieved_for_is_not_grounded() -> None:
    assert LOCAL.groundedness([], "Paris is in France.") == 0.0
    assert LOCAL.groundedness([], "") == 1.0
