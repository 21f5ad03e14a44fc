"""Feedback functions that are ops do not judge their own calls, by whatever rule."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import house_judges
import laid_out
import pytest

import kibitz
from kibitz.apps.gathering import call_of
from kibitz.judging.functions import Feedback
from kibitz.judging.records import Record
from kibitz.testing import capturing
from kibitz.testing.capturing import Captured
from kibitz.workers.judging import Judging


@pytest.fixture(name="captured")
def _captured() -> Iterator[Captured]:
    with capturing.capture() as captured:
        yield captured


@kibitz.op(name="judge")
def judge(text: str) -> float:
    return float(len(text))


@kibitz.op(name="other")
async def other(text: str) -> float:
    return float(len(text))


def _newest(captured: Captured) -> Record:
    kibitz.flush()
    call = call_of(captured.calls[-1], "acme/app")
    return Record.of_calls([call], call.id)


def test_a_call_that_a_judge_made_says_so_and_is_not_judged_by_it(captured: Captured) -> None:
    first, second = Judging(judge).on_input(), Judging(other).on_input()

    assert first.run(record=laid_out.record()).status == "done"
    of_first = _newest(captured)
    assert of_first.judged_by == (first.id,)
    # Another one may, whose own calls neither judges then: so it ends.
    assert asyncio.run(second.arun(record=of_first)).status == "done"
    of_second = _newest(captured)
    assert of_second.judged_by == (first.id, second.id)
    for each in (first, second, Feedback(judge).on_input()):
        result = each.run(record=of_second)
        assert result.status == "skipped"
        assert "does not judge its own calls" in (result.reason or "")
    assert len(captured.calls) == 2


def test_a_judge_is_what_its_definition_says(captured: Captured) -> None:
    loaded = Judging.load(
        Feedback(house_judges.length).on_output().definition.value, allow=["house_judges"]
    )

    assert loaded.id == Feedback(house_judges.length).on_output().id
    assert loaded.run(record=laid_out.record()).result == 16.0
