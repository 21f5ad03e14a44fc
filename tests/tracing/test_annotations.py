"""Answers of people to specifications, corrections and retractions, from a recorded program."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

import kibitz
from kibitz.base.errors import (
    InvalidAnswer,
    InvalidRecord,
    NotFound,
    NotPermitted,
    OutOfScope,
    TooLarge,
    UsageError,
)
from kibitz.base.records import Batch, Receipt
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite
from kibitz.testing import CapturingTransport, capture
from kibitz.testing.capturing import PROJECT, Captured
from kibitz.tracing.batches import halves


@kibitz.op
def answer(question):
    return f"{question}!"


@kibitz.op
def length(output):
    return len(output)


@dataclasses.dataclass
class Review:
    rating: Annotated[int, Field(ge=1, le=5)]
    tags: set[Literal["long", "wrong"]] = dataclasses.field(default_factory=set)


class Model(BaseModel):
    rating: int = Field(ge=1, le=5)


HELPFUL = kibitz.AnnotationSpec("helpful", Review)


@pytest.mark.parametrize(
    "given", [Review(4, {"wrong", "long"}), {"rating": 4, "tags": ["long", "wrong"]}]
)
def test_an_answer_goes_out_with_the_version_that_it_is_to(captured: Captured, given):
    _, call = answer.call("hi")

    feedback_id = call.feedback.add_annotation(HELPFUL, given, author="ann")

    (part,) = captured.feedback
    assert (part.id, part.type, part.author) == (feedback_id, "annotation.helpful", "ann")
    assert part.payload == {"value": {"rating": 4, "tags": ["long", "wrong"]}}
    assert part.annotation_ref == HELPFUL.ref(PROJECT)
    assert HELPFUL.part() in captured.objects


def test_a_pydantic_model_is_an_answer(captured: Captured):
    _, call = answer.call("hi")

    call.feedback.add_annotation(kibitz.AnnotationSpec("m", Model), Model(rating=2))

    assert captured.feedback[0].payload == {"value": {"rating": 2}}


@pytest.mark.parametrize(
    ("spec", "value", "error"),
    [
        (HELPFUL, {"rating": 7}, InvalidAnswer),
        (kibitz.AnnotationSpec("x", bool, answer=["bob"]), True, NotPermitted),
        (kibitz.AnnotationSpec("x", bool, ops=["retrieve"]), True, OutOfScope),
    ],
)
def test_an_answer_that_breaks_a_rule_raises_where_it_is_given(
    captured: Captured, spec, value, error
):
    _, call = answer.call("hi")

    with pytest.raises(error):
        call.feedback.add_annotation(spec, value, author="ann")

    assert captured.feedback == []


def test_a_published_specification_is_known_by_its_name(captured: Captured):
    ref = kibitz.publish(HELPFUL)
    _, call = answer.call("hi")
    call.feedback.add_annotation("helpful", {"rating": 1})

    assert captured.feedback[0].annotation_ref == ref
    assert kibitz.publish(HELPFUL) == ref


def test_without_recording_answers_are_checked_and_go_nowhere():
    _, call = answer.call("hi")

    assert call.feedback.add_annotation(HELPFUL, {"rating": 1})
    with pytest.raises(InvalidAnswer):
        call.feedback.add_annotation(HELPFUL, {"rating": 9})
    with pytest.raises(UsageError, match="publish to which project"):
        kibitz.publish(HELPFUL)


def test_only_the_author_takes_back_what_was_said(captured: Captured):
    _, call = answer.call("hi")
    said = call.feedback.add_note("good", author="ann")

    with pytest.raises(NotPermitted, match="only its author may"):
        call.feedback.retract(said, author="bob")
    call.feedback.retract(said)

    part = captured.feedback[-1]
    assert (part.retracts, part.payload, part.author, part.type) == (said, {}, "ann", "note")


def test_what_was_said_of_another_call_is_not_taken_back_here(captured: Captured):
    said = answer.call("hi")[1].feedback.add_note("good")

    with pytest.raises(InvalidRecord, match="not about this call"):
        answer.call("ho")[1].feedback.retract(said)
    assert len(captured.feedback) == 1


def test_a_correction_keeps_what_the_judgement_was_made_by(captured: Captured):
    _, call = answer.call("hi")
    scored = call.apply_scorer_sync(length)
    assert scored.feedback_id is not None
    call.feedback.correct(scored.feedback_id, {"output": 4})

    first, second = captured.feedback
    assert second.corrects == first.id
    assert (second.runnable_ref, second.call_ref) == (first.runnable_ref, first.call_ref)
    with pytest.raises(InvalidRecord):
        call.feedback.correct(scored.feedback_id, {"score": 4})


def test_every_batch_has_the_versions_that_its_judgements_name():
    """Batches may overtake each other, and a store refuses judgements by what it does not have."""
    transport = CapturingTransport()
    with capture(transport=transport):
        for _ in range(3):
            _, call = answer.call("hi")
            call.apply_scorer_sync(length)
            call.feedback.add_annotation(HELPFUL, {"rating": 1})
            kibitz.flush()

    judged = [batch for batch in transport.batches if batch.feedback]
    assert len(judged) == 3
    for batch in judged:
        assert {"length", "helpful"} <= {each.name for each in batch.objects}


def test_halves_of_a_batch_are_complete_each():
    transport = CapturingTransport()
    with capture(transport=transport):
        for _ in range(10):
            _, call = answer.call("hi")
            call.apply_scorer_sync(length)
        kibitz.flush()
    whole = transport.batches[0]

    waiting, parts = [whole], []
    while waiting:
        batch = waiting.pop()
        cut = halves(batch) if len(batch.calls) + len(batch.feedback) > 3 else None
        if cut is None:
            parts.append(batch)
        else:
            waiting += cut

    judged = [part for part in parts if part.feedback]
    assert len(judged) > 1
    assert all({"length"} <= {each.name for each in part.objects} for part in judged)
    assert sum(len(part.feedback) for part in parts) == 10


def test_a_limit_that_nothing_fits_ends():
    class Full(CapturingTransport):
        def write(self, batch: Batch) -> Receipt:
            raise TooLarge("413")

    with capture(transport=Full()):
        _, call = answer.call("hi")
        call.feedback.add_annotation(HELPFUL, {"rating": 1})
        report = kibitz.flush()

    assert report is not None
    assert report.pending == 0
    assert sum(report.dropped.values()) >= 2


def test_what_another_program_said_is_answered_corrected_and_taken_back(tmp_path: Path):
    kibitz.init("acme/bot", data=str(tmp_path), print_summary=False)
    kibitz.publish(HELPFUL)
    _, first = answer.call("hi")
    said = first.feedback.add_annotation(HELPFUL, {"rating": 2}, author="ann")
    kibitz.finish()

    kibitz.init("acme/bot", data=str(tmp_path), print_summary=False, running_after_s=60)
    _, call = answer.call("again")
    call.feedback.add_annotation("helpful", {"rating": 5}, author="bob")
    with pytest.raises(NotFound):
        call.feedback.add_annotation("unheard", True)
    with pytest.raises(NotFound):
        call.feedback.retract("nobody")
    report = kibitz.finish()

    assert report is not None
    assert report.dropped == {}
    store = sqlite.open_store(tmp_path)
    rows = store.feedback.query(FeedbackQuery(project="acme/bot", standing=True)).items
    assert {(each.author, each.payload["value"]["rating"]) for each in rows} == {
        ("ann", 2),
        ("bob", 5),
    }
    assert store.feedback.get("acme/bot", said).stands
    store.close()


def test_publishing_needs_no_recording(tmp_path: Path):
    ref = kibitz.publish(HELPFUL, "acme/bot", source=str(tmp_path))

    store = sqlite.open_store(tmp_path)
    assert kibitz.publish(HELPFUL, "acme/bot", source=store) == ref
    [version] = store.objects.list("acme/bot", type="annotation_spec")
    assert kibitz.AnnotationSpec.from_version(version) == HELPFUL
    store.close()
