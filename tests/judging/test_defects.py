"""What goes wrong in TruLens, by the number it has there, and what happens here."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import house_judges
import laid_out
import msgspec
import numpy as np
import pytest
from laid_out import call

from kibitz.judging.functions import Feedback
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Record
from kibitz.judging.select import Select

RECORD = laid_out.record()


def deferred(feedback: Feedback) -> Feedback:
    """As a worker has it."""
    return Feedback.load(
        json.loads(msgspec.json.encode(feedback.definition.value)), allow=["house_judges"]
    )


def test_b1_functions_of_other_selectors_are_other_definitions() -> None:
    """There `on_input()` and `on_output()` keep one id, and the second overwrites the first: 4 and 4 instead of 4 and 12."""
    on_input, on_output = (
        Feedback(house_judges.length).on_input(),
        Feedback(house_judges.length).on_output(),
    )

    stored = {feedback.id: feedback.definition.value for feedback in (on_input, on_output)}

    assert len(stored) == 2
    record = Record.of_calls(
        [call("r", "answer", inputs={"question": "abcd"}, output="abcdefghijkl")], "r"
    )
    assert [deferred(each).run(record).result for each in (on_input, on_output)] == [4.0, 12.0]


def test_b1_every_method_gives_another_id() -> None:
    feedback = Feedback(house_judges.overlap)
    chain = [feedback, feedback.on_input(), feedback.on_input_output(), feedback.on_input_output().aggregate("max"),
             feedback.on_input_output().aggregate("max", combinations="zip")]  # fmt: skip

    assert len({each.id for each in chain}) == 5


def test_b2_selectors_by_position_go_to_one_argument_after_the_other() -> None:
    """There both go to the first."""
    by_position = Feedback(house_judges.overlap).on(Select.RecordInput, Select.RecordOutput)
    by_name = Feedback(house_judges.overlap).on(
        prompt=Select.RecordInput, response=Select.RecordOutput
    )

    assert by_position == by_name
    assert by_position.run(RECORD).calls[0].args == {
        "prompt": "why is it so?",
        "response": "because it is so",
    }


def test_b3_the_aggregator_is_the_same_when_it_is_loaded() -> None:
    """There `.aggregate(np.max)` is the mean in a worker: 2.0 instead of 3.0."""
    feedback = Feedback(house_judges.times_ten).with_arguments(factor=1).on(Lens().n[:])
    data = {"n": ["1", "2", "3"]}

    for aggregator in (np.max, max, "max"):
        chosen = feedback.aggregate(aggregator)
        assert chosen.run(source_data=data).result == 3.0
        assert deferred(chosen).run(source_data=data).result == 3.0


def test_b3_the_parameters_of_a_provider_are_in_the_id_and_its_address_is_not() -> None:
    ids = {Feedback(house_judges.House(words).brief).on_output().id for words in (80, 80, 81)}

    assert len(ids) == 2


@pytest.mark.parametrize(
    "lens", [Select.RecordCall.op, Select.RecordArgs.question, Select.RecordRets], ids=str
)
def test_b4_selectors_from_the_end_come_back(lens: Lens) -> None:
    """There they cannot be read back, and the error leaves the evaluator."""
    feedback = Feedback(house_judges.length).on(lens)

    assert deferred(feedback).selectors == feedback.selectors
    assert deferred(feedback).run(RECORD).result == feedback.run(RECORD).result


@pytest.mark.parametrize(
    "lens", [Lens()[1:2:1], Lens().collect(), Lens()["a.b c"]['"'], Lens()["get"][-1]], ids=str
)
def test_b4_odd_selectors_come_back(lens: Lens) -> None:
    assert deferred(Feedback(house_judges.length).on(lens)).selectors == {"text": lens}


def test_b5_and_b6_missing_data_is_an_outcome_and_never_raised() -> None:
    """There it raises out of the user's call, or kills the evaluator, or leaves no trace, by mode."""
    feedback = Feedback(house_judges.length).on(Select.RecordCalls.nobody.knows.rets)
    loop = asyncio.run(feedback.arun(RECORD))

    for result in (feedback.run(RECORD), loop, deferred(feedback).run(RECORD)):
        assert result.status == "failed"
        assert not result.retriable
        assert "it goes as far as '__record__.app', which has the keys retriever, llm, answer" in (
            result.reason or ""
        )


def test_b12_what_a_judge_is_told_comes_back() -> None:
    """There temperature, criteria and ranges are left out of the stored form, and of the id."""
    feedback = (
        Feedback(house_judges.Model().rate)
        .on_output()
        .with_arguments(temperature=0.7, criteria="be strict")
    )

    loaded = deferred(feedback)

    assert loaded.arguments == {"temperature": 0.7, "criteria": "be strict"}
    assert loaded.run(RECORD).calls[0].meta == {"reason": "0.7 be strict"}
    assert loaded.id == feedback.id != Feedback(house_judges.Model().rate).on_output().id


def test_b12_defaults_of_an_implementation_stay_its_own() -> None:
    """There an implementation's own `temperature=0.7` is overwritten by 0.0."""

    def judge(text: str, temperature: float = 0.7) -> float:
        return temperature

    assert Feedback(judge).on_output().run(RECORD).result == 0.7
    assert Feedback(judge).on_output().run(RECORD, temperature=0.2).result == 0.2


@pytest.mark.parametrize(
    "sentinel", [None, float("nan"), "-1", (None, {"reason": "cannot say"})], ids=repr
)
def test_b13_what_says_no_number_never_becomes_one(sentinel: Any) -> None:
    """There a failure is -1 or NaN among scores from 0 to 1, and counts in the mean."""
    answers = iter([1.0, sentinel, 1.0])
    result = Feedback(lambda n: next(answers)).on(Lens().n[:]).run(source_data={"n": [1, 2, 3]})

    assert (result.status, result.result) == ("failed", None)
    assert [each.ret for each in result.calls] == [1.0, None, 1.0]


def test_b13_what_is_left_out_does_not_count() -> None:
    result = Feedback(house_judges.even).on(Lens().n[:]).run(source_data={"n": [2, -1]})

    assert result.result == 1.0


def test_b14_threads_stay_pythons_own() -> None:
    """There importing it replaces `threading.Thread` and the pool of threads for the whole program."""
    assert threading.Thread.__module__ == "threading"
    assert ThreadPoolExecutor.__module__ == "concurrent.futures.thread"


def test_numbers_of_numpy_that_are_no_python_float_are_numbers() -> None:
    assert Feedback(lambda: np.float32(0.5)).run(RECORD).result == 0.5


def test_failed_calls_are_in_the_record() -> None:
    """There a call that raises is not kept at all."""
    record = Record.of_calls(
        [call("r", "answer", error="no"), call("x", "llm", "r", error="late")], "r"
    )

    assert (
        Feedback(lambda error: "late" in error).on(Select.RecordCalls.llm.error).run(record).result
        == 1.0
    )
