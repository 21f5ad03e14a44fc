"""Agreement with golden responses under TruLens' name."""

from __future__ import annotations

import pytest
from judge_server import JudgeServer

from kibitz.base.errors import UsageError
from kibitz.base.provider import SkipEval
from kibitz.compat.trulens.providers import GroundTruthAgreement
from kibitz.judging.functions import Feedback
from kibitz.providers import OpenAI

GOLDEN = [{"query": "Who wrote it?", "expected_response": "Ada Lovelace wrote it."}]


def test_a_model_says_how_far_a_response_agrees() -> None:
    with JudgeServer(lambda request: 3 if "It was Ada" in request.text else 0) as server:
        model = OpenAI(model="stub", base_url=server.url, api_key="none")
        agreement = Feedback(GroundTruthAgreement(GOLDEN, provider=model).agreement_measure)
        record = {"main_input": "Who wrote it?", "main_output": "It was Ada."}

        result = agreement.on_input_output().run(record=record)
        other = agreement.on_input_output().run(record={**record, "main_output": "Nobody knows."})
        unknown = agreement.on_input_output().run(record={**record, "main_input": "When?"})

    assert (result.status, result.result) == ("done", 1.0)
    assert result.calls[0].meta["ground_truth_response"] == "Ada Lovelace wrote it."
    assert other.result == 0.0
    assert unknown.status == "skipped"
    assert all("Ada Lovelace wrote it." in request.text for request in server.requests)


def test_without_a_model_it_says_what_to_give() -> None:
    agreement = GroundTruthAgreement(GOLDEN)

    with pytest.raises(UsageError, match="provider=OpenAI"):
        agreement.agreement_measure("Who wrote it?", "Ada.")
    with pytest.raises(SkipEval):
        agreement.agreement_measure("When?", "Now.")
    assert agreement.exact_match("Who wrote it?", "Ada Lovelace wrote it.") == 1.0
