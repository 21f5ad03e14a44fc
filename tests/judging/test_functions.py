"""Feedback functions: where arguments come from, what is called, what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import house_judges
import laid_out
import msgspec
import numpy as np
import pytest
from laid_out import call
from naming import named

from kibitz.base import spending
from kibitz.base.errors import MissingPlace, NotImportable, UsageError
from kibitz.base.evaluations import EvaluationPart
from kibitz.judging import running
from kibitz.judging.functions import Feedback
from kibitz.judging.lenses import Lens
from kibitz.judging.modes import (
    FeedbackCombinations,
    FeedbackMode,
    FeedbackOnMissingParameters,
    FeedbackResultStatus,
    FeedbackRunLocation,
    InvalidSelector,
    SkipEval,
)
from kibitz.judging.records import Record
from kibitz.judging.select import Select

PASSAGES = Select.RecordCalls.retriever.retrieve.rets[:].text
RECORD = laid_out.record()


def two(a: Any, b: Any) -> float:
    return 1.0


def three(a: Any, b: Any, c: Any = None) -> float:
    return 1.0


def says(value: Any) -> Any:
    """A feedback function whose implementation gives this."""
    return Feedback(lambda: value, name="says")


def texts(feedback: Feedback) -> dict[str, str]:
    return {name: str(lens) for name, lens in feedback.selectors.items()}


# Words.


def test_the_words_are_texts() -> None:
    assert [*map(str, FeedbackMode)] == ["none", "with_app", "with_app_thread", "deferred"]
    assert [*map(str, FeedbackResultStatus)] == ["none", "running", "failed", "done", "skipped"]
    assert [*map(str, FeedbackOnMissingParameters)] == ["error", "warn", "ignore"]
    assert [*map(str, FeedbackCombinations)] == ["zip", "product"]
    assert FeedbackRunLocation.IN_APP == "in_app"
    assert FeedbackMode("deferred") is FeedbackMode.DEFERRED
    assert InvalidSelector is MissingPlace


# Saying where arguments come from.


def test_input_and_output_go_to_the_next_arguments() -> None:
    assert texts(Feedback(two).on_input_output()) == {
        "a": "__record__.main_input",
        "b": "__record__.main_output",
    }
    assert texts(Feedback(two).on_prompt().on_response()) == texts(Feedback(two).on_input_output())
    assert texts(Feedback(two).on_output("b").on_input()) == texts(Feedback(two).on_input_output())


def test_the_defaults_follow_the_signature() -> None:
    assert texts(Feedback(house_judges.length).on_default()) == {"text": "__record__.main_output"}
    assert texts(Feedback(two).on_default()) == texts(Feedback(two).on_input_output())
    assert texts(Feedback(three).on_default()) == texts(Feedback(two).on_input_output())
    assert texts(Feedback(two).on(a=Lens().x).on_default()) == {
        "a": "x",
        "b": "__record__.main_output",
    }
    assert texts(Feedback(two).on(a=Lens().x, b=Lens().y).on_default()) == {"a": "x", "b": "y"}
    with pytest.raises(UsageError, match="3 arguments left"):
        Feedback(lambda a, b, c: 1.0).on_default()


def test_selectors_are_checked_against_the_signature_wherever_they_are_given() -> None:
    message = r"two has no argument 'c'; its arguments are a, b"
    with pytest.raises(UsageError, match=message):
        Feedback(two).on(c=Lens().x)
    with pytest.raises(UsageError, match=message):
        Feedback(two, selectors={"c": Lens().x})
    with pytest.raises(UsageError, match=message):
        Feedback(two).on_input("c")
    with pytest.raises(UsageError, match=message):
        Feedback(two).with_arguments(c=1)
    with pytest.raises(UsageError, match="no further argument"):
        Feedback(two).on_input_output().on_input()
    with pytest.raises(UsageError, match="no further argument"):
        Feedback(two).on(Lens().x, Lens().y, Lens().z)


def test_what_is_no_selector_is_refused_with_what_it_is() -> None:
    with pytest.raises(UsageError, match=r"5 is no selector but of the type int.*with_arguments"):
        Feedback(two).on(a=5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be read at character"):
        Feedback(two).on("a..b")


def test_an_implementation_with_keywords_takes_any_name() -> None:
    def anything(**given: Any) -> float:
        return float(given["x"])

    assert Feedback(anything).on(x=Lens().n).run(source_data={"n": 3}).result == 3.0


def test_a_method_without_its_object_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"House\.brief is a method without its object; make one first"
    ):
        Feedback(house_judges.House.brief)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("text", "'text' is no implementation"),
        (5, "cannot be called"),
        (iter, "write a function around it"),
    ],
)
def test_what_is_no_implementation_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Feedback(wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"combinations": "all"}, "combinations='all' is not known; known are 'zip', 'product'"),
        (
            {"if_missing": "raise"},
            "if_missing='raise' is not known; known are 'error', 'warn', 'ignore'",
        ),
        ({"run_location": "moon"}, "run_location='moon' is not known; known are 'in_app'"),
        ({"name": ""}, "name='' cannot name"),
        ({"name": "a\nb"}, "cannot name"),
        ({"agg": "avg"}, "aggregator 'avg' is not known; known are mean, median"),
        ({"agg": 5}, "5 is no aggregator"),
        ({"if_exists": 5}, "5 is no selector"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Feedback(two, **given)
    assert message in raised.value.message


def test_a_feedback_function_cannot_be_changed() -> None:
    feedback = Feedback(two)

    with pytest.raises(AttributeError):
        feedback.name = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        feedback.selectors = {}
    with pytest.raises(AttributeError):
        del feedback.selectors
    feedback.on_input()
    assert texts(feedback) == {}


def test_one_without_an_implementation_says_so() -> None:
    feedback = Feedback(name="human")

    assert feedback.name == "human"
    for use in (
        lambda: feedback.run(RECORD),
        lambda: feedback.on_input(),
        lambda: feedback.id,
        lambda: feedback("x"),
    ):
        with pytest.raises(UsageError, match="'human' has no implementation"):
            use()
    with pytest.raises(UsageError, match="has no implementation"):
        _ = Feedback().name


def test_the_name_is_that_of_the_implementation_or_given() -> None:
    assert Feedback(two).name == "two"
    assert Feedback(house_judges.House().brief).name == "brief"
    assert Feedback(two, name="relevance").name == "relevance"
    assert Feedback(lambda: 1).name == "<lambda>"
    assert str(Feedback(two).sig).startswith("(a: 'Any'")


def test_calling_it_calls_the_implementation() -> None:
    assert Feedback(house_judges.length)("abc") == 3.0
    assert Feedback(house_judges.times_ten).with_arguments(factor=2)("4") == 8.0
    assert Feedback(house_judges.times_ten).with_arguments(factor=2)("4", factor=3) == 12.0
    assert Feedback(house_judges.times_ten).with_arguments(factor=2)("4", 3) == 12.0


# Running.


def test_values_of_several_arguments_are_combined_each_with_each() -> None:
    """The example of the document: 0, 1 and "a", "b" give four calls."""
    seen: list[dict[str, Any]] = []

    def judge(arg1: int, arg2: str) -> float:
        seen.append({"arg1": arg1, "arg2": arg2})
        return 1.0

    result = (
        Feedback(judge)
        .on(arg1=Lens().a[:], arg2=Lens().b[:])
        .run(source_data={"a": [0, 1], "b": ["a", "b"]})
    )

    assert result.status is FeedbackResultStatus.DONE
    assert seen == [
        {"arg1": 0, "arg2": "a"},
        {"arg1": 0, "arg2": "b"},
        {"arg1": 1, "arg2": "a"},
        {"arg1": 1, "arg2": "b"},
    ]
    assert [each.args for each in result.calls] == seen


def test_values_of_several_arguments_are_paired_as_many_as_the_fewest() -> None:
    """The example of the document: 0, 1, 2 and "a", "b", "c" give three calls."""
    feedback = Feedback(two, combinations="zip").on(Lens().a[:], Lens().b[:])

    result = feedback.run(source_data={"a": [0, 1, 2], "b": ["a", "b", "c"]})
    shorter = feedback.run(source_data={"a": [0, 1, 2], "b": ["a", "b"]})

    assert [each.args for each in result.calls] == [
        {"a": 0, "b": "a"},
        {"a": 1, "b": "b"},
        {"a": 2, "b": "c"},
    ]
    assert [each.args for each in shorter.calls] == [{"a": 0, "b": "a"}, {"a": 1, "b": "b"}]


def test_a_collected_list_is_one_value() -> None:
    result = Feedback(lambda texts: len(texts)).on(PASSAGES.collect()).run(RECORD)

    assert result.result == 2.0
    assert [each.args for each in result.calls] == [{"texts": ["it is so", "nobody knows"]}]
    assert result.calls[0].paths == {
        "texts": "__record__.app.retriever.retrieve.rets[:].text.collect()"
    }


def test_every_call_is_kept_with_what_it_was_given_and_exactly_where_that_came_from() -> None:
    result = Feedback(house_judges.overlap).on_input().on(PASSAGES).run(RECORD)

    assert result.status == "done"
    assert result.result == pytest.approx(statistics.fmean(each.ret for each in result.calls))
    assert [each.paths for each in result.calls] == [
        {
            "prompt": "__record__.main_input",
            "response": f"__record__.app.retriever.retrieve[0].rets[{at}].text",
        }
        for at in (0, 1)
    ]
    assert [each.args["response"] for each in result.calls] == ["it is so", "nobody knows"]
    for each in result.calls:
        for name, path in each.paths.items():
            assert list(Lens.parse(path).get({"__record__": RECORD})) == [each.args[name]]
    assert (result.name, result.record_id) == ("overlap", "c0")
    assert (
        result.feedback_definition_id == Feedback(house_judges.overlap).on_input().on(PASSAGES).id
    )
    assert result.started_at is not None
    assert result.started_at <= result.last_ts


def test_it_is_run_on_a_record_on_app_and_record_or_on_other_data() -> None:
    feedback = Feedback(lambda text: len(text), name="length").on_output()
    app = {"model": "small"}

    assert feedback.run(RECORD).result == 16.0
    assert feedback.run(record=RECORD).result == 16.0
    assert feedback.run(app, RECORD).result == 16.0
    assert feedback.run(app=app, record=RECORD.to_json()).result == 16.0
    assert feedback.run(app, RECORD.to_json()).record_id == "c0"
    assert Feedback(len).on(Select.App.model).run(app, RECORD).result == 5.0
    assert (
        Feedback(len)
        .on(Lens().ground_truth)
        .run(RECORD, source_data={"ground_truth": "abc"})
        .result
        == 3.0
    )


def test_an_app_says_itself_what_is_seen_of_it() -> None:
    class Wrapped:
        def __kibitz_app__(self) -> dict[str, Any]:
            return {"app": {"k": 4}}

    assert Feedback(lambda k: k).on(Select.App.app.k).run(Wrapped(), RECORD).result == 4.0


def test_arguments_by_name_take_the_place_of_what_is_selected() -> None:
    feedback = Feedback(house_judges.overlap).on_input_output()

    assert feedback.run(RECORD, prompt="a b", response="b c").result == pytest.approx(1 / 3)
    assert feedback.run(prompt="a", response="a").result == 1.0
    assert feedback.run(RECORD, prompt="a b").calls[0].paths == {
        "response": "__record__.main_output"
    }
    with pytest.raises(UsageError, match="has no argument 'promt'"):
        feedback.run(RECORD, promt="x")


def test_fixed_arguments_are_given_with_each_call_and_are_in_the_definition() -> None:
    feedback = Feedback(house_judges.times_ten).with_arguments(factor=3).on(Lens().n[:])

    assert feedback.run(source_data={"n": ["1", "2"]}).result == 4.5
    assert feedback.definition.value["arguments"] == {"factor": 3}
    assert feedback.id != Feedback(house_judges.times_ten).on(Lens().n[:]).id
    assert feedback.arguments == {"factor": 3}
    with pytest.raises(UsageError, match="'text' of times_ten is selected already, by 'n"):
        feedback.with_arguments(text="x")


def test_an_argument_without_a_selector_fails_and_is_named() -> None:
    result = Feedback(two).on_input().run(RECORD)

    assert result.status == "failed"
    assert result.reason == "no selector says where 'b' of two come from; use `.on(…)`"
    assert not result.retriable


def test_an_implementation_without_arguments_is_called_once() -> None:
    assert says(0.5).run(RECORD).result == 0.5
    assert len(says(0.5).run().calls) == 1


def test_positional_arguments_are_given_by_position() -> None:
    def judge(a: int, /, b: int) -> float:
        return a - b

    assert Feedback(judge).on(Lens().a, Lens().b).run(source_data={"a": 5, "b": 2}).result == 3.0
    assert Feedback(len).on_output().run(RECORD).result == 16.0


def test_a_product_that_explodes_is_refused_with_its_sizes() -> None:
    called: list[int] = []
    feedback = Feedback(lambda a, b: called.append(1) or 1.0).on(Lens().a[:], Lens().b[:])

    result = feedback.run(source_data={"a": list(range(200)), "b": list(range(51))})

    assert result.status == "failed"
    assert result.reason is not None
    assert result.reason.startswith("10,200 combinations are more than 10,000 (a: 200, b: 51)")
    assert not called
    assert not result.retriable
    assert feedback.run(source_data={"a": list(range(200)), "b": list(range(50))}).status == "done"
    paired = feedback.aggregate(combinations="zip").run(
        source_data={"a": list(range(200)), "b": list(range(51))}
    )
    assert len(paired.calls) == 51


# What an implementation may give.


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (True, 1.0), (False, 0.0), (3, 3.0), (0.5, 0.5), (Decimal("0.25"), 0.25), (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5), (np.float64(0.5), 0.5), (np.float16(0.5), 0.5), (np.int8(3), 3.0), (np.uint64(3), 3.0),
        (np.bool_(True), 1.0), (np.array(0.5), 0.5), ([1, 0], 0.5), (np.array([1, 0]), 0.5), ([True, np.float32(0)], 0.5),
    ],
    ids=named,
)  # fmt: skip
def test_numbers_of_every_sort_are_scores(value: Any, result: float) -> None:
    found = says(value).run(RECORD)

    assert (found.status, found.result, found.multi_result) == ("done", result, None)
    assert type(found.result) is float


def test_a_pair_is_a_score_and_what_is_said_beside() -> None:
    result = says((0.5, {"reason": "half", "details": [1, 2]})).run(RECORD)

    assert result.result == 0.5
    assert result.calls[0].meta == {"reason": "half", "details": [1, 2]}
    assert says(({"a": 1.0}, {"reason": "x"})).run(RECORD).multi_result == {"a": 1.0}


def test_named_scores_are_aggregated_by_name() -> None:
    feedback = Feedback(
        lambda n: {"n": n, "is_odd": n % 2 == 1} if n < 3 else {"n": n}, name="named"
    )

    result = feedback.on(Lens().n[:]).aggregate("max").run(source_data={"n": [1, 2, 3]})

    assert result.result is None
    assert result.multi_result == result.output == {"n": 3.0, "is_odd": 1.0}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"), ("0.5", "'0.5' (str)"), (float("nan"), "nan (float), which is no finite number"),
        (float("inf"), "inf (float)"), (10**400, "which is no finite number"), (1j, "1j (complex)"),
        ((0.5, "because"), "(0.5, 'because'): a pair is"), ((1, 2, 3), "(1, 2, 3): a pair is"), ({}, "a mapping without scores"),
        ({"a": "x"}, "'x' (str) for 'a'"), ({"a": {"b": 1}}, "for 'a'"), ({1: 0.5}, "a score named 1"),
        ([0.5, None], "None at position 1"), (np.array([[1.0]]), "ndarray"), (object(), "object"), (np.float64("nan"), "nan"),
        (b"1", "bytes"), ((None, {"reason": "x"}), "None"), (Decimal("nan"), "no finite number"),
    ],
    ids=named,
)  # fmt: skip
def test_what_is_no_score_fails_with_the_value_in_the_reason(value: Any, shown: str) -> None:
    result = says(value).run(RECORD)

    assert result.status == "failed"
    assert result.result is None
    assert result.reason is not None
    assert shown in result.reason
    assert not result.retriable


def test_named_and_plain_scores_cannot_be_mixed() -> None:
    result = (
        Feedback(lambda n: {"n": 1.0} if n else 0.5).on(Lens().n[:]).run(source_data={"n": [0, 1]})
    )

    assert result.status == "failed"
    assert "named scores and plain ones" in (result.reason or "")


def test_lists_are_aggregated_together_and_empty_ones_judge_nothing() -> None:
    feedback = Feedback(lambda n: list(range(n)), name="lists").on(Lens().n[:])

    assert feedback.aggregate("sum").run(source_data={"n": [2, 3, 0]}).result == 4.0
    assert feedback.run(source_data={"n": [2, 3, 0]}).calls[1].ret == [0.0, 1.0, 2.0]
    empty = feedback.run(source_data={"n": [0]})
    assert (empty.status, empty.result) == ("skipped", None)


# Leaving out, and failing.


def test_what_an_implementation_has_nothing_to_say_of_is_left_out() -> None:
    result = Feedback(house_judges.even).on(Lens().n[:]).run(source_data={"n": [2, -1, 3, 4]})

    assert (result.status, result.result) == ("done", pytest.approx(2 / 3))
    assert [each.status for each in result.calls] == ["done", "skipped", "done", "done"]
    assert result.calls[1].error == "negative numbers are neither"
    assert result.calls[1].ret is None


def test_where_everything_is_left_out_the_run_is_skipped() -> None:
    result = Feedback(house_judges.even).on(Lens().n[:]).run(source_data={"n": [-1, -2]})

    assert (result.status, result.result, result.error) == ("skipped", None, None)
    assert result.reason == "every call was left out: negative numbers are neither"
    assert len(result.calls) == 2
    assert str(SkipEval()) == "the implementation had nothing to say"


def test_one_call_that_fails_fails_the_run_and_the_others_are_kept() -> None:
    result = Feedback(house_judges.even).on(Lens().n[:]).run(source_data={"n": [2, 13, 4]})

    assert (result.status, result.result) == ("failed", None)
    assert (
        result.reason == "call 2 of 3 failed with number=13: ConnectionError: 13 cannot be reached"
    )
    assert [(each.status, each.ret) for each in result.calls] == [
        ("done", 1.0),
        ("failed", None),
        ("done", 1.0),
    ]
    assert result.calls[1].error == "ConnectionError: 13 cannot be reached"
    assert result.retriable
    assert result.error is not None
    assert "house_judges.py" in result.error
    assert "raise ConnectionError" in result.error
    assert "judging/running.py" not in result.error


def test_after_some_failures_no_further_calls_are_made() -> None:
    result = Feedback(house_judges.even).on(Lens().n[:]).run(source_data={"n": [13] * 10})

    assert len(result.calls) == running.MAX_FAILURES
    assert (result.reason or "").endswith("; 7 further calls were not made")


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (ConnectionError("away"), True), (TimeoutError(), True), (RuntimeError("x"), True), (ValueError("x"), True),
        (SystemExit(3), True), (UsageError("wrong"), False), (ImportError("no"), False), (NotImportable("no"), False),
    ],
    ids=named,
)  # fmt: skip
def test_what_may_pass_is_retriable(error: BaseException, retriable: bool) -> None:
    def judge() -> float:
        raise error

    result = Feedback(judge).run(RECORD)

    assert (result.status, result.retriable) == ("failed", retriable)


def test_being_called_wrongly_is_not_retriable_but_a_type_error_inside_is() -> None:
    def adds(text: Any) -> float:
        return text + 1

    def takes(**given: Any) -> float:
        return 1.0

    wrong = Feedback(len).on(Lens().n)
    assert Feedback(adds).on_output().run(RECORD).retriable
    assert not wrong.run(source_data={"n": 5}).retriable
    assert not asyncio.run(wrong.arun(source_data={"n": 5})).retriable
    assert asyncio.run(Feedback(adds).on_output().arun(RECORD)).retriable
    assert Feedback(takes).on(text=Lens().n).run(source_data={"n": 5}).status == "done"


def test_a_local_judge_that_fails_is_not_tried_again() -> None:
    """It would say the same."""
    result = Feedback(house_judges.House(5).brief).on(Lens().n).run(source_data={"n": 5})

    assert (result.status, result.retriable) == ("failed", False)


def test_an_error_may_say_itself_whether_it_passes() -> None:
    class Budget(Exception):
        retriable = False

    def judge() -> float:
        raise Budget("spent")

    assert not Feedback(judge).run(RECORD).retriable


def test_errors_of_values_that_are_looked_at_are_outcomes() -> None:
    class Odd:
        @property
        def text(self) -> str:
            raise RuntimeError("do not look")

    result = Feedback(len).on(Lens().odd.text).run(source_data={"odd": Odd()})

    assert result.status == "failed"
    assert result.reason == "selecting failed: RuntimeError: do not look"


def test_an_interrupt_is_no_outcome() -> None:
    def judge() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Feedback(judge).run(RECORD)


# What is missing.


def test_missing_data_is_an_outcome_that_names_how_far_the_selector_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lens = Select.RecordCalls.retriever.search.rets
    outcomes = {
        policy: Feedback(len, if_missing=policy).on(lens).run(RECORD)
        for policy in FeedbackOnMissingParameters
    }

    assert {str(policy): str(each.status) for policy, each in outcomes.items()} == {
        "error": "failed",
        "warn": "skipped",
        "ignore": "skipped",
    }
    for each in outcomes.values():
        assert each.reason == (
            "argument 'obj': '__record__.app.retriever.search.rets' is not there: it goes as far as "
            "'__record__.app.retriever', which has the keys embed, retrieve"
        )
        assert (each.calls, each.result, each.retriable) == ([], None, False)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "len is skipped on c0" in caplog.text


def test_without_a_record_what_is_asked_of_it_is_missing() -> None:
    result = Feedback(len).on_output().run(source_data={"x": 1})

    assert (result.status, result.record_id) == ("failed", "no record")
    assert "which has the keys x" in (result.reason or "")


def test_a_failed_app_call_has_no_output_to_judge() -> None:
    record = Record.of_calls([call("r", "a", error="bad")], "r")

    result = Feedback(len, if_missing="ignore").on_output().run(record)

    assert result.status == "skipped"
    assert (
        Feedback(lambda error: error is not None).on(Select.Record.main_error).run(record).result
        == 1.0
    )


def test_only_records_in_which_something_is_are_judged() -> None:
    feedback = Feedback(len, if_exists=Select.spans(kind="tool")).on_output()

    skipped = feedback.run(RECORD)

    assert skipped.status == "skipped"
    assert (
        "it is to run only if this exists: '__record__.calls.where(kind=\"tool\")' is not there"
        in (skipped.reason or "")
    )
    assert (
        Feedback(len, if_exists=Select.spans(kind="llm")).on_output().run(RECORD).status == "done"
    )
    assert (
        Feedback(len, if_exists=Lens().empty[:])
        .on(Lens().x)
        .run(source_data={"empty": [], "x": "a"})
        .status
        == "done"
    )


def test_a_selector_of_no_values_leaves_nothing_to_judge() -> None:
    result = Feedback(two).on(Lens().a[:], Lens().b[:]).run(source_data={"a": [1], "b": []})

    assert result.status == "skipped"
    assert result.reason == "'b[:]' for 'b' selects no values: nothing to judge"


def test_selectors_can_be_checked_before() -> None:
    feedback = Feedback(two).on(a=Select.RecordInput, b=Select.RecordCalls.retriever.search.rets)

    assert Feedback(two).on_input_output().check_selectors(record=RECORD)
    assert Feedback(two).on_input_output().check_selectors(RECORD)
    with pytest.raises(InvalidSelector) as raised:
        feedback.check_selectors(record=RECORD)
    assert "argument 'b' of two" in raised.value.message
    assert "'__record__.app.retriever', which has the keys embed, retrieve" in raised.value.message
    assert raised.value.facts["prefix"] == "__record__.app.retriever"
    assert raised.value.facts["argument"] == "b"
    assert feedback.check_selectors(record=RECORD, warning=True) is False
    with pytest.raises(UsageError, match="no selector for b"):
        Feedback(two).on_input().check_selectors(record=RECORD)
    assert feedback.check_selectors(app={"x": 1}), "what is not given is not checked"
    with pytest.raises(InvalidSelector):
        Feedback(len).on(Select.App.y).check_selectors(app={"x": 1})


def test_what_would_be_called_can_be_seen() -> None:
    feedback = Feedback(house_judges.overlap).on_input().on(PASSAGES)

    assert [each["response"] for each in feedback.extract_selection(record=RECORD)] == [
        "it is so",
        "nobody knows",
    ]
    assert list(Feedback(len).on(Lens().a[:]).extract_selection(source_data={"a": []})) == []
    with pytest.raises(InvalidSelector):
        list(Feedback(len).on(Lens().a).extract_selection(source_data={}))


# What is spent, and several at once.


def test_what_is_spent_is_kept_by_call_and_added_up() -> None:
    feedback = Feedback(house_judges.Model().rate).on(Lens().n[:])

    with spending.tally() as outer:
        result = feedback.run(source_data={"n": ["a", "bb"]})

    assert [each.spent.usd for each in result.calls] == [0.5, 0.5]
    assert result.cost == outer.total == spending.Spend(requests=2, usd=1.0)


def test_money_that_a_failing_call_spent_is_kept() -> None:
    def judge(text: str) -> float:
        spending.spend(spending.Spend(requests=1, usd=0.5))
        raise ConnectionError

    assert Feedback(judge).on_output().run(RECORD).cost.usd == 0.5


def test_calls_of_one_run_are_made_at_the_same_time_within_a_bound_and_kept_in_order() -> None:
    under_way, most = 0, 0

    async def judge(n: int) -> float:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(10 - n):
            await asyncio.sleep(0)
        under_way -= 1
        return float(n)

    feedback = Feedback(judge).on(Lens().n[:])
    result = asyncio.run(feedback.arun(source_data={"n": list(range(10))}, concurrency=4))

    assert feedback.is_async
    assert most == 4
    assert [each.ret for each in result.calls] == [float(n) for n in range(10)]
    assert result.result == 4.5


def test_an_awaited_implementation_runs_where_no_loop_does() -> None:
    feedback = Feedback(house_judges.later).on_output()

    assert feedback.run(RECORD).result == 16.0

    async def inside() -> None:
        with pytest.raises(UsageError, match=r"use `await feedback\.arun\(…\)`"):
            feedback.run(RECORD)
        assert (await feedback.arun(RECORD)).result == 16.0

    asyncio.run(inside())


def test_the_twin_of_a_providers_method_is_awaited() -> None:
    feedback = (
        Feedback(house_judges.Model().rate)
        .on(Lens().n[:])
        .with_arguments(temperature=0.3, criteria="kind")
    )

    result = asyncio.run(feedback.arun(source_data={"n": ["a", "bb"]}))

    assert feedback.is_async
    assert result.result == 1.5
    assert result.cost.usd == 1.0
    assert result.calls[0].meta == {"reason": "0.3 kind"}
    assert feedback.run(source_data={"n": ["a", "bb"]}).result == 1.5


def test_plain_functions_run_on_other_threads_and_local_ones_here() -> None:
    threads: set[int] = set()

    class Here(house_judges.House):
        def where(self, n: int) -> float:
            threads.add(threading.get_ident())
            return 1.0

    def where(n: int) -> float:
        threads.add(threading.get_ident())
        return 1.0

    data = {"n": list(range(70))}
    feedback = Feedback(Here().where).on(Lens().n[:])
    assert (feedback.is_local, feedback.is_async) == (True, False)
    assert asyncio.run(feedback.arun(source_data=data)).status == "done"
    assert threads == {threading.get_ident()}
    threads.clear()
    assert not Feedback(where).on(Lens().n[:]).is_local
    assert asyncio.run(Feedback(where).on(Lens().n[:]).arun(source_data=data)).status == "done"
    assert threading.get_ident() not in threads


def test_awaiting_says_the_same_as_running() -> None:
    for feedback, data in (
        (Feedback(house_judges.even).on(Lens().n[:]), {"n": [2, -1, 3]}),
        (Feedback(house_judges.even).on(Lens().n[:]), {"n": [2, 13, 3]}),
        (Feedback(house_judges.even).on(Lens().m), {"n": []}),
        (Feedback(house_judges.even).on(Lens().n[:]), {"n": []}),
    ):
        here, there = feedback.run(source_data=data), asyncio.run(feedback.arun(source_data=data))
        assert (here.status, here.result, here.reason, here.retriable) == (
            there.status, there.result, there.reason, there.retriable,
        )  # fmt: skip
        assert [(each.status, each.ret, each.args, each.error) for each in here.calls] == [
            (each.status, each.ret, each.args, each.error) for each in there.calls
        ]


def test_a_plain_function_that_gives_something_to_await_is_refused_and_awaited_where_that_is_possible() -> (
    None
):
    feedback = Feedback(lambda text: house_judges.later(text), name="sly").on_output()

    result = feedback.run(RECORD)

    assert result.status == "failed"
    assert "use `arun`" in (result.reason or "")
    assert asyncio.run(feedback.arun(RECORD)).result == 16.0


def test_cancelling_is_no_outcome() -> None:
    async def judge() -> float:
        await asyncio.Event().wait()
        return 1.0

    async def main() -> None:
        task = asyncio.create_task(Feedback(judge).arun(RECORD))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_what_an_implementation_says_of_cancelling_itself_is_an_outcome() -> None:
    """A task of its own was cancelled, and it awaited that."""

    async def awaits() -> float:
        raise asyncio.CancelledError

    def closes() -> float:
        raise GeneratorExit

    def cancels() -> float:
        raise asyncio.CancelledError

    for judge in (awaits, closes, cancels):
        result = Feedback(judge).run(RECORD)
        assert (result.status, len(result.calls)) == ("failed", 1)


@pytest.mark.parametrize("leaving", [SystemExit(3), ZeroDivisionError()], ids=repr)
def test_nothing_but_an_interrupt_leaves_a_run(leaving: BaseException) -> None:
    class Hostile:
        @property
        def text(self) -> str:
            raise leaving

    def leave(values: list[float]) -> float:
        raise leaving

    selecting = Feedback(house_judges.length).on(Lens().a.text).run(source_data={"a": Hostile()})
    aggregating = Feedback(house_judges.length, leave).on_output().run(RECORD)

    assert (selecting.status, aggregating.status) == ("failed", "failed")
    assert type(leaving).__name__ in f"{selecting.reason} {aggregating.reason}"


def test_positional_arguments_keep_their_places_when_one_before_them_is_left_to_its_default() -> (
    None
):
    def judge(a: int = 1, b: int = 2, /, c: int = 3) -> float:
        return float(a * 100 + b * 10 + c)

    for selectors, expected in (({"b": 7}, 173.0), ({"a": 7}, 723.0), ({"c": 7}, 127.0)):
        feedback = Feedback(judge).on({name: Lens()[name] for name in selectors})
        assert feedback.run(source_data=selectors).result == expected


def test_values_that_hold_themselves_are_handed_over_as_they_are() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    many: list[Any] = [1]
    for _ in range(60):
        many = [many, many]

    def judge(value: list[Any]) -> float:
        value[0] = 2
        return float(value[1] is value or value[1] is not None)

    for value in (loop, many):
        assert Feedback(judge).on(Lens().v).run(source_data={"v": value}).result == 1.0
    assert loop[0] == 1
    assert loop[1] is loop


def test_one_function_is_run_by_many_threads_at_once() -> None:
    feedback = Feedback(house_judges.overlap).on_input().on(PASSAGES)
    expected = feedback.run(RECORD).result

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: feedback.run(laid_out.record()), range(64)))

    assert {each.result for each in results} == {expected}
    assert len({each.feedback_result_id for each in results}) == 64


def test_a_feedback_function_may_run_another() -> None:
    inner = Feedback(house_judges.Model().rate).on(Lens().text)

    def outer(text: str) -> float | None:
        return inner.run(source_data={"text": text}).result

    result = Feedback(outer).on_output().run(RECORD)

    assert result.result == 16.0
    assert result.cost.usd == 0.5


# Context.


def test_passages_of_retrievers_are_the_context() -> None:
    feedback = Feedback(lambda question, context: 1.0, name="context").on_input()

    each = feedback.on_context().run(RECORD)
    together = feedback.on_context(collect_list=True).run(RECORD)

    assert [found.args["context"] for found in each.calls] == [
        {"text": "it is so"},
        {"text": "nobody knows"},
    ]
    assert [found.args["context"] for found in together.calls] == [
        [{"text": "it is so"}, {"text": "nobody knows"}]
    ]


# What is delivered.


def test_a_result_is_delivered_with_what_a_store_keeps_of_it() -> None:
    feedback = Feedback(house_judges.Model().rate, name="rated").on(Lens().n[:])
    result = feedback.run(source_data={"n": ["a", "b" * 100_000]})

    part = result.part(
        run_id="r1", definition_ref=feedback.definition.ref("acme/app"), call_id="c0"
    )
    again = msgspec.json.decode(msgspec.json.encode(part), type=EvaluationPart)

    assert (again.id, again.call_id, again.status, again.output) == (
        "r1",
        "c0",
        "done",
        result.result,
    )
    assert again.definition_ref == f"kibitz:///acme/app/object/rated:{feedback.id}"
    assert again.spent.usd == 1.0
    assert [each.paths for each in again.invocations] == [{"text": "n[0]"}, {"text": "n[1]"}]
    assert again.invocations[0].arguments == {"text": "a"}
    assert again.invocations[0].metadata == {"reason": "0.0 "}
    assert again.invocations[1].arguments["text"]["$type"] == "truncated"
    assert len(msgspec.json.encode(part)) < 20_000
    assert again.started_at == result.started_at


def test_failures_and_skips_are_delivered_with_their_reasons_and_without_an_output() -> None:
    for feedback in (Feedback(len).on(Lens().x), Feedback(len, if_missing="ignore").on(Lens().x)):
        result = feedback.run(source_data={})
        part = result.part(
            run_id="r", definition_ref="kibitz:///a/object/len:" + "0" * 40, call_id="c"
        )
        assert part.status == str(result.status)
        assert part.reason == result.reason
        assert part.output is msgspec.UNSET


def test_a_result_with_thousands_of_calls_is_delivered_bounded() -> None:
    result = Feedback(lambda n: n).on(Lens().n[:]).run(source_data={"n": list(range(2000))})

    assert len(result.part(run_id="r", definition_ref="d", call_id="c").invocations) == 500


def test_the_more_calls_there_are_the_less_is_kept_of_each() -> None:
    result = Feedback(lambda text: 1.0).on(Lens().n[:]).run(source_data={"n": ["x" * 9000] * 600})

    part = result.part(run_id="r", definition_ref="d", call_id="c")

    assert len(msgspec.json.encode(part)) < 1 << 20
    assert all(each.arguments["text"]["value"].startswith("x" * 100) for each in part.invocations)


def test_what_json_cannot_carry_is_delivered_all_the_same() -> None:
    def judge(text: Any) -> float:
        raise ValueError("broken \udc00 text")

    for feedback in (
        Feedback(judge).on(Lens().x),
        Feedback(lambda x: (1.0, {"\udc00": "\udc00", "at": object(), 5: {1, 2}})).on(Lens().x),
        Feedback(lambda x: {"\udc00": 1.0}).on(Lens().x),
        Feedback(len).on(Lens()["\udc00"]),
    ):
        result = feedback.run(source_data={"x": "\udc00"})
        part = result.part(run_id="r", definition_ref="d", call_id="c")
        assert (
            msgspec.json.decode(msgspec.json.encode(part), type=EvaluationPart).status
            == part.status
        )


def test_a_feedback_function_can_be_pickled() -> None:
    feedback = (
        Feedback(
            house_judges.times_ten,
            "min",
            name="x",
            if_exists=Select.App,
            if_missing="warn",
            higher_is_better=False,
        )
        .on(Lens().n[:])
        .with_arguments(factor=2)
    )

    again = pickle.loads(pickle.dumps(feedback))

    assert again == feedback
    assert hash(again) == hash(feedback)
    assert again != Feedback(house_judges.times_ten)
    assert "text='n[:]'" in repr(again)


def test_what_an_implementation_changes_is_its_own() -> None:
    def clearing(passages: list[Any], options: dict[str, Any]) -> float:
        count = float(len(passages) + len(options["keep"]))
        passages.clear()
        options["keep"].clear()
        return count

    record = {"passages": [["a"], ["b"]]}
    clears = Feedback(clearing).on(passages=Lens().passages).with_arguments(options={"keep": [1]})

    first, again = (clears.run(source_data=record) for _ in range(2))

    assert (first.result, again.result) == (3.0, 3.0)
    assert first.calls[0].args == {"passages": [["a"], ["b"]]}
    assert record == {"passages": [["a"], ["b"]]}
