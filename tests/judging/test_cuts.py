"""What was cut when a call was recorded is never judged as if it were the whole, in any mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import house_judges
import msgspec
import numpy as np
import pandas as pd
import pytest
from laid_out import call

import kibitz
from kibitz.base import jsonable
from kibitz.base.errors import MissingPlace
from kibitz.judging import records, trying
from kibitz.judging.functions import Feedback
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Record
from kibitz.judging.select import Select
from kibitz.server.pages import record_tree

FEW = jsonable.Limits(items=10, bytes=2000, depth=6)
RETS = Select.RecordRets


def count(value: Any) -> float:
    return float(len(value)) if isinstance(value, list | str | dict) else 1.0


def recorded(output: Any, **inputs: Any) -> Record:
    """The record of a call, within small limits, as it comes out of a store."""
    stored = msgspec.json.decode(
        msgspec.json.encode([jsonable.to_json(each, limits=FEW) for each in (inputs, output)])
    )
    return Record.of_calls([call("r", "answer", inputs=stored[0], output=stored[1])], "r")


RUNNING_INTO_IT: list[tuple[Any, Lens]] = [
    (list(range(25)), RETS),
    (list(range(25)), RETS[:]),
    (list(range(25)), RETS[2:]),
    (list(range(25)), RETS[::-1]),
    (list(range(25)), RETS[:-1]),
    (list(range(25)), RETS[:20]),
    (list(range(25)), RETS[10]),
    (list(range(25)), RETS[17]),
    (list(range(25)), RETS[-1]),
    (list(range(25)), RETS[0, 12]),
    (list(range(25)), RETS[:].collect()),
    (list(range(25)), Select.RecordOutput),
    (list(range(25)), Select.RecordCall),
    (list(range(25)), Select.RecordSpans),
    (list(range(25)), Select.Record),
    (list(range(25)), Select.RecordCalls.answer[0]),
    ([{"kind": "a", "n": at} for at in range(9)], RETS[:].n),
    ([{"kind": "a", "n": at} for at in range(9)], RETS.kind),
    ([{"kind": "a", "n": at} for at in range(9)], RETS.where(kind="a").n),
    ([{"kind": "a", "n": at} for at in range(9)], RETS[-1].n),
    ({f"k{at}": at for at in range(25)}, RETS),
    ({f"k{at}": at for at in range(25)}, RETS.k20),
    ({"a": {f"k{at}": at for at in range(25)}}, RETS.a),
    ({"a": {f"k{at}": at for at in range(25)}}, Select.RecordOutput),
    ("x" * 9000, RETS),
    ("x" * 9000, Select.RecordOutput),
    (["y", "x" * 9000], RETS[1]),
    (["y", "x" * 9000], RETS),
    ({"answer": ["y", "x" * 9000]}, Select.RecordOutput),
    (json.loads("[" * 9 + "]" * 9), RETS),
    (json.loads("[" * 9 + "]" * 9), RETS[0][0][0][0][0][0][0]),
    (b"x" * 9000, RETS),
    (1 << 5000, RETS),
    ({"n": range(25)}, RETS.n[:]),
    (set(range(25)), RETS.value[:]),
    (pd.DataFrame({"a": range(30)}), RETS),
    (pd.DataFrame({"a": range(30)}), RETS.value[:]),
    (pd.DataFrame({"a": range(30)}), RETS.value[-1]),
    ([pd.DataFrame({"a": range(30)})], RETS[:].value[:]),
    ([{"role": "user", "content": [{"text": "a"}, *({"text": "b"} for _ in range(9))]}], Select.RecordOutput),
]  # fmt: skip


@pytest.mark.parametrize(("output", "lens"), RUNNING_INTO_IT, ids=lambda each: str(each)[:40])
def test_a_selection_that_runs_into_what_was_cut_is_missing_everywhere(
    output: Any, lens: Lens
) -> None:
    record = recorded(output)
    judge = Feedback(count).on(lens)
    loaded = Feedback(house_judges.length).on(lens)
    loaded = Feedback.load(loaded.definition.value, allow=["house_judges"])

    for result in (judge.run(record), asyncio.run(judge.arun(record)), loaded.run(record)):
        assert (result.status, result.result, result.calls) == ("failed", None, [])
        assert "is not all there" in (result.reason or ""), result.reason
        assert not result.retriable
    skipping = Feedback(count, if_missing="ignore").on(lens)
    assert skipping.run(record).status == "skipped"
    assert not judge.check_selectors(record=record, warning=True)
    with pytest.raises(MissingPlace, match="argument 'value' of count: .* is not all there"):
        judge.check_selectors(record=record)
    tried = trying.attempt(record, str(lens))
    assert tried.values == []
    assert "is not all there" in (tried.missing or "")
    assert "is not all there" in record_tree.select(record, str(lens), str).missing


@pytest.mark.parametrize(
    ("output", "lens", "expected"),
    [
        (list(range(25)), RETS[:10], list(range(10))),
        (list(range(25)), RETS[9], [9]),
        (list(range(25)), RETS[9:2:-1], list(range(9, 2, -1))),
        (list(range(25)), RETS[3:1], []),
        ([{"n": at} for at in range(9)], RETS[:3].n, [0, 1, 2]),
        ({f"k{at}": at for at in range(25)}, RETS.k3, [3]),
        ("x" * 9000, RETS.total, [9000]),
        (["y", "x" * 9000], RETS[0], ["y"]),
        (["y", "x" * 9000], RETS[:1], ["y"]),
        (pd.DataFrame({"a": range(3)}), RETS.value[:][0], list(range(3))),
        (pd.DataFrame({"a": range(30)}), RETS.value[:2][0], list(range(2))),
        (np.arange(4).reshape(2, 2), RETS.value[:][0], [0, 2]),
        (list(range(25)), Select.RecordCall.op, ["answer"]),
        (list(range(25)), Select.RecordInput, ["why"]),
    ],
    ids=str,
)
def test_what_was_kept_can_be_named(output: Any, lens: Lens, expected: list[Any]) -> None:
    record = recorded(output, question="why")
    source = {"__record__": record}

    assert list(lens.get(source)) == expected
    assert [found for _, found in lens.paths(source)] == expected
    if expected:
        result = Feedback(lambda value: float(count(value))).on(lens).run(record)
        assert [each.args["value"] for each in result.calls] == expected


def test_the_beginning_of_a_text_is_judged_where_it_is_asked_for() -> None:
    record = recorded("x" * 9000)
    (kept,) = RETS.value.get({"__record__": record})

    assert 1000 < len(kept) < 2000
    assert Feedback(count).on(RETS.value).run(record).result == len(kept)


def test_the_message_says_how_much_there_was() -> None:
    reasons = [
        Feedback(count).on_output().run(recorded(output)).reason
        for output in (list(range(25)), "x" * 9000, {str(at): at for at in range(25)})
    ]

    assert "a list of 25 elements, of which 10 were kept, at '__record__.main_output'" in str(
        reasons[0]
    )
    assert "a text of 9,000 characters, of which " in str(reasons[1])
    assert "an object of 25 entries, of which 10 were kept" in str(reasons[2])


def test_get_and_paths_stop_where_they_run_into_it() -> None:
    source = {"__record__": recorded(list(range(25)))}

    for lens in (RETS[:], RETS[-1], RETS[10], RETS[:20].collect()):
        with pytest.raises(MissingPlace, match="is not all there") as raised:
            list(lens.get(source))
        assert raised.value.facts["cut"] == "a list of 25 elements, of which 10 were kept"
        with pytest.raises(MissingPlace, match="is not all there"):
            list(lens.paths(source))
    # A value is given as it is stored, with its mark: nobody takes that for the whole.
    assert list(RETS.get(source))[0][-1]["$type"] == "truncated"


def test_whether_what_was_cut_was_there_nobody_knows() -> None:
    """A condition that cannot be answered is no reason to leave a record out."""
    record = recorded({f"k{at}": at for at in range(25)}, question="why")

    def on(if_exists: Lens) -> Feedback:
        return Feedback(count, if_exists=if_exists).on_input()

    assert on(RETS.k3).run(record).status == "done"
    assert on(RETS.k20).run(record).status == "failed"
    assert on(RETS.nothing).run(recorded({"a": 1}, question="why")).status == "skipped"
    assert on(RETS[:]).run(recorded(list(range(25)), question="why")).status == "done"
    assert RETS[:].exists({"__record__": recorded(list(range(25)))})


def test_what_was_left_out_as_a_secret_is_not_judged() -> None:
    left_out = {"$type": "redacted", "reason": "capture_output=False"}
    record = Record.of_calls([call("r", "answer", output=left_out)], "r")

    result = Feedback(count).on_output().run(record)

    assert result.status == "failed"
    assert "left out as a secret" in (result.reason or "")


def test_a_program_s_own_keys_are_no_marks() -> None:
    own = {"$type": "truncated", "kind": "text", "total": 3}
    record = recorded([own, {"$truncated": 1}])

    assert Feedback(count).on(RETS[0].value["kind"]).run(record).result == 4.0
    assert Feedback(count).on(RETS[0]).run(record).status == "done"


@pytest.mark.parametrize("mode", ["with_app", "with_app_thread"])
def test_a_record_of_this_process_and_one_of_a_store_say_the_same(
    mode: str, tmp_path: Path
) -> None:
    class Bot:
        @kibitz.op(name="answer")
        def answer(self, question: str) -> list[int]:
            return list(range(25_000))

        @kibitz.op(name="stream")
        def stream(self, question: str) -> Iterator[int]:
            yield from range(12_000)

    whole = Feedback(count, name="whole").on_output()
    kibitz.init("acme/cut", data=str(tmp_path))
    try:
        bot = Bot()
        with kibitz.App(
            bot, main_method="answer", feedbacks=[whole], feedback_mode=mode
        ) as recording:
            bot.answer("a")
        live = recording.get().wait_for_feedback_results()["whole"]
        list(bot.stream("a"))
        kibitz.flush()
        calls = {each.op: each for each in kibitz.calls("acme/cut")}
    finally:
        kibitz.finish()

    answered, streamed = (Record.of_calls([calls[op]], calls[op].id) for op in ("answer", "stream"))
    assert live.reason == whole.run(answered).reason
    assert "a list of 25,000 elements" in (live.reason or "")
    assert "a list of 12,000 elements, of which 10,000 were kept" in str(
        Feedback(count).on(RETS[:]).run(streamed).reason
    )


def test_a_record_with_more_calls_than_are_read_is_judged_by_its_root_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_CALLS", 50)
    calls = [
        call("r", "answer", inputs={"question": "why"}, output="so"),
        *(call(f"c{at}", "llm", "r", inputs={}, output="x", begins=1, ends=2) for at in range(50)),
    ]
    record = Record.of_calls(calls, "r")

    for lens in (Select.RecordSpans.op.collect(), Select.RecordCalls.llm[0].rets, Select.Record):
        result = Feedback(count).on(lens).run(record)
        assert (result.status, "more than 50 calls" in str(result.reason)) == ("failed", True)
    for lens in (Select.RecordOutput, Select.RecordCall.rets, Select.RecordArgs.question):
        assert Feedback(count).on(lens).run(record).status == "done"
    whole = Record.of_calls(calls[:-1], "r")
    assert Feedback(count).on(Select.RecordSpans.op.collect()).run(whole).result == 50.0
