"""What feedback must find in its project, held in the store: references, answers, authors, corrections, history."""

from __future__ import annotations

import itertools
import math

import msgspec
import pytest
import versions
from parts import PROJECT, at, batch, call, judgement

from kibitz.base import refs
from kibitz.base.records import Batch, FeedbackPart, ObjectPart
from kibitz.base.specifications import AnnotationSpec
from kibitz.query.nodes import (
    CallQuery,
    Compare,
    Exists,
    FeedbackField,
    FeedbackQuery,
)

RATING = AnnotationSpec("helpful", {"type": "integer", "minimum": 1, "maximum": 5})
SPANS = AnnotationSpec(
    "marks", {"type": "array", "format": "spans", "field": "output", "labels": ["bad"]}
)


def answer(spec, value, *, on="c1", author="ann", seconds=0.0, **more):
    target = on if on.startswith("kibitz:") else refs.call_ref(PROJECT, on)
    return FeedbackPart(
        type=spec.type,
        target_ref=target,
        payload={"value": value},
        author=author,
        annotation_ref=spec.ref(PROJECT),
        **{"created_at": at(seconds), **more},
    )


def note(text, *, feedback_id, author="ann", seconds=0.0, **more):
    return FeedbackPart(
        id=feedback_id,
        type="note",
        target_ref=refs.call_ref(PROJECT, "c1"),
        payload={"note": text} if text else {},
        author=author,
        created_at=at(seconds),
        **more,
    )


def sent(store, *feedback, **lists):
    """Store feedback as a program sends it, and give (code, field) of what was refused."""
    receipt = store.ingest.write(Batch(project=PROJECT, feedback=list(feedback), **lists))
    assert receipt.feedback == len(feedback) - len(receipt.rejected)
    return [(each.code, each.field) for each in receipt.rejected]


def stored(store, **asked):
    return store.feedback.query(FeedbackQuery(project=PROJECT, **asked)).items


@pytest.fixture(name="filled")
def _filled(store):
    parts = [RATING.part(), SPANS.part()]
    assert (
        store.ingest.write(batch(calls=[call("c1"), call("c2", op="retrieve")], objects=parts))
    ).rejected == []
    return store


def test_versions_that_feedback_names_are_stored_or_come_along(store):
    part = judgement("c1", 1)
    missing = [("unknown_reference", "runnable_ref")]

    assert sent(store, part) == missing
    assert sent(store, part) == missing, "a refused reference is not remembered as there"
    assert sent(store, part, objects=versions.named_by([part])) == []
    assert sent(store, msgspec.structs.replace(part, payload={"output": 2})) == []


def test_what_comes_with_a_bad_item_is_stored(filled):
    good, bad = answer(RATING, 3, id="good"), answer(RATING, 7, id="bad")

    assert sent(filled, bad, good) == [("invalid_answer", "payload.value")]
    assert [each.id for each in stored(filled)] == ["good"]


def test_a_refusal_says_the_rule_and_what_is_allowed(filled):
    receipt = filled.ingest.write(Batch(project=PROJECT, feedback=[answer(RATING, 7)]))

    [refused] = receipt.rejected
    assert refused.message == "the value is 7; helpful allows at most 5"
    assert (refused.details["rule"], refused.details["allowed"]) == ("maximum", 5)


def test_an_answer_is_held_to_its_own_version(filled):
    newer = AnnotationSpec("helpful", {"enum": ["yes", "no"]})
    assert sent(filled, answer(RATING, 5), objects=[newer.part()]) == []
    assert sent(filled, answer(newer, "yes", author="bob")) == []
    assert sent(filled, answer(newer, 5)) == [("invalid_answer", "payload.value")]
    assert len(stored(filled, standing=True)) == 2

    [only] = stored(filled, version=newer.digest[:7])
    assert only.payload == {"value": "yes"}


def test_a_call_may_come_later_and_is_looked_at_where_it_is_known(filled):
    scoped = AnnotationSpec("scoped", bool, ops=["answer*"])
    lists = {"objects": [scoped.part()]}

    assert sent(filled, answer(scoped, True), **lists) == []
    assert sent(filled, answer(scoped, True, on="later")) == []
    assert sent(filled, answer(scoped, True, on="c2")) == [("out_of_scope", "target_ref")]
    trace = f"kibitz:///{PROJECT}/trace/t"
    assert sent(filled, answer(scoped, True, on=trace)) == [("out_of_scope", "target_ref")]


def test_spans_are_held_to_the_text_of_the_call(filled):
    span = {"start": 0, "end": 2, "label": "bad", "text": "be"}

    assert sent(filled, answer(SPANS, [span])) == []
    for wrong in ({**span, "text": "no"}, {"start": 0, "end": 8, "label": "bad"}):
        assert sent(filled, answer(SPANS, [wrong])) == [
            ("invalid_answer", f"payload.value.0.{'text' if 'text' in wrong else 'end'}")
        ]
    with_its_call = call("c3", output="12345678")
    assert (
        sent(
            filled,
            answer(SPANS, [{"start": 0, "end": 8, "label": "bad"}], on="c3"),
            calls=[with_its_call],
        )
        == []
    )


def test_who_may_not_answer_is_refused(filled):
    spec = AnnotationSpec("own", bool, answer=["ann"])
    lists = {"objects": [spec.part()]}

    assert sent(filled, answer(spec, True, author="bob"), **lists) == [("not_permitted", "author")]
    assert sent(filled, answer(spec, True)) == []


@pytest.mark.parametrize(
    ("value", "name", "code"),
    [
        ({"schema": {"type": "integer", "minimum": 2, "maximum": 1}}, "x", "invalid_specification"),
        ({"schema": {"type": "boolean"}}, "another", "invalid_specification"),
        ({"schema": {"type": "boolean"}, "colour": "red"}, "x", "invalid_specification"),
    ],
)
def test_a_specification_that_cannot_be_used_is_not_stored(store, value, name, code):
    whole = {"$type": "annotation_spec", "name": "x", **value}
    digest = refs.digest(msgspec.json.encode(whole, order="sorted"))
    part = ObjectPart(kind="object", name=name, digest=digest, value=whole)

    [refused] = store.ingest.write(batch(objects=[part])).rejected

    assert refused.code == code


def test_an_object_that_is_no_specification_cannot_be_answered(filled):
    other = versions.version("object", "helpful")
    part = msgspec.structs.replace(answer(RATING, 3), annotation_ref=versions.ref(PROJECT, other))

    assert sent(filled, part, objects=[other]) == [("invalid_record", "annotation_ref")]


def test_each_author_has_an_answer_of_their_own_unless_it_is_shared(filled):
    shared = AnnotationSpec("shared", int, unique_among_creators=False)
    lists = {"objects": [shared.part()]}
    for spec in (RATING, shared):
        sent(filled, answer(spec, 1, author="ann", seconds=0), **lists)
        sent(filled, answer(spec, 2, author="bob", seconds=1))

    standing = {each.type: [] for each in stored(filled)}
    for each in stored(filled, standing=True):
        standing[each.type].append(each.author)
    assert standing == {"annotation.helpful": ["bob", "ann"], "annotation.shared": ["bob"]}
    field = FeedbackField("annotation.shared", ("value",), "mean")
    asked = CallQuery(project=PROJECT, where=Compare(field, "eq", 2))
    assert [each.id for each in filled.calls.query(asked).items] == ["c1"]


def test_of_a_shared_answer_the_newest_stands_in_any_order_and_on_any_target(filled):
    shared = AnnotationSpec("shared", int, unique_among_creators=False)
    for n, on in enumerate(("c1", f"kibitz:///{PROJECT}/trace/t")):
        parts = [
            answer(shared, each, on=on, author=f"a{each}", seconds=each, id=f"{n}{each}")
            for each in range(4)
        ]
        sent(filled, parts[2], objects=[shared.part()])
        sent(filled, parts[3], parts[0])
        sent(filled, parts[1], parts[3])

        found = stored(filled, target_ref=parts[0].target_ref)
        assert [each.payload for each in found if each.stands] == [{"value": 3}], on
        assert sum(each.retracts is not None for each in found) == 3


@pytest.mark.parametrize("together", [False, True])
def test_what_a_shared_answer_replaced_does_not_come_back_with_its_retraction(filled, together):
    shared = AnnotationSpec("shared", int, unique_among_creators=False)
    sent(filled, objects=[shared.part()])
    for n, order in enumerate(itertools.permutations(range(3))):
        on = f"kibitz:///{PROJECT}/trace/t{n}"
        first = answer(shared, 1, on=on, author="ann", seconds=1, id=f"{n}a")
        second = answer(shared, 2, on=on, author="bob", seconds=2, id=f"{n}b")
        gone = msgspec.structs.replace(
            second, id=f"{n}r", payload={}, annotation_ref=None, retracts=second.id
        )
        arriving = [(first, second, gone)[each] for each in order]
        for some in [arriving] if together else [[each] for each in arriving]:
            sent(filled, *some)
        assert stored(filled, target_ref=on, standing=True) == [], order

        sent(filled, answer(shared, 3, on=on, author="ann", seconds=3, id=f"{n}c"))
        assert [each.id for each in stored(filled, target_ref=on, standing=True)] == [f"{n}c"]


def test_reactions_are_named_and_counted_without_their_tone(filled):
    def react(emoji, author):
        return msgspec.structs.replace(
            note("x", feedback_id=None, author=author), type="reaction", payload={"emoji": emoji}
        )

    assert sent(filled, react("👍🏽", "a"), react(":thumbs_up:", "b"), react("no", "c")) == [
        ("invalid_record", "payload.emoji")
    ]

    payloads = {each.author: each.payload for each in stored(filled)}
    assert payloads == {
        "a": {"emoji": "👍🏽", "alias": "thumbs_up_medium_skin_tone", "neutral": "👍"},
        "b": {"emoji": "👍", "alias": "thumbs_up", "neutral": "👍"},
    }
    field = FeedbackField("reaction", ("neutral",), "all")
    asked = CallQuery(project=PROJECT, where=Compare(field, "eq", "👍"))
    assert [each.id for each in filled.calls.query(asked).items] == ["c1"]


def test_a_stored_reaction_comes_back_in_as_it_is(filled):
    reaction = note("x", feedback_id="r", author="a")
    reaction = msgspec.structs.replace(
        reaction,
        type="reaction",
        payload={"emoji": "👍🏽", "alias": "whatever", "neutral": "👎"},
    )

    assert sent(filled, reaction) == []
    assert stored(filled)[0].payload["neutral"] == "👍"


def test_only_the_author_corrects_and_retracts(filled):
    sent(filled, note("first", feedback_id="n1"))

    for wrong in (
        note("mine", feedback_id="n2", author="bob", corrects="n1"),
        note("", feedback_id="n3", author="bob", retracts="n1"),
    ):
        assert sent(filled, wrong) == [("not_permitted", "author")]
    assert [each.id for each in stored(filled, standing=True)] == ["n1"]


def test_a_corrected_note_takes_the_place_of_the_one_before(filled):
    sent(filled, note("first", feedback_id="n1"), note("another", feedback_id="other", seconds=1))
    sent(filled, note("second", feedback_id="n2", seconds=2, corrects="n1"))

    assert [each.id for each in stored(filled, standing=True)] == ["n2", "other"]
    history = filled.feedback.history(PROJECT, "n2")
    assert [(each.id, each.stands) for each in history if each.retracts is None] == [
        ("n1", False),
        ("n2", True),
    ]
    assert [each.retracts for each in history if each.retracts] == ["n1"]
    assert history == filled.feedback.history(PROJECT, "n1")


def test_history_has_everything_an_author_said_oldest_first(filled):
    sent(filled, *(answer(RATING, n, seconds=n, id=f"a{n}") for n in (1, 2, 3)))
    sent(filled, answer(RATING, 5, author="bob", id="b1"))
    sent(
        filled,
        msgspec.structs.replace(
            answer(RATING, 0, seconds=9, id="gone"),
            payload={},
            annotation_ref=None,
            retracts="a3",
        ),
    )

    for asked in ("a1", "a3", "gone"):
        history = filled.feedback.history(PROJECT, asked)
        assert [each.id for each in history] == ["a1", "a2", "a3", "gone"]
    assert not any(each.stands for each in history)
    judged = CallQuery(project=PROJECT, where=Exists(FeedbackField("annotation.helpful")))
    assert [each.id for each in filled.calls.query(judged).items] == ["c1"], "bob's still stands"


def test_what_stands_on_a_trace_follows_the_same_rules(filled):
    trace = f"kibitz:///{PROJECT}/trace/t"
    sent(
        filled,
        answer(RATING, 1, on=trace, id="t1"),
        answer(RATING, 2, on=trace, id="t2", seconds=1),
    )

    assert [each.id for each in stored(filled, target_ref=trace, standing=True)] == ["t2"]


def test_one_by_one_calls_must_be_there(filled):
    parts = [
        answer(RATING, 1, id="ok"),
        answer(RATING, 1, on="nobody"),
        answer(RATING, 9),
        note("x", feedback_id="n", corrects="nothing"),
        note("y", feedback_id="m"),
    ]
    outcomes = filled.feedback.add(PROJECT, parts)

    told = [(each.id, each.error and each.error.code) for each in outcomes]
    assert told == [
        ("ok", None),
        (None, "unknown_reference"),
        (None, "invalid_answer"),
        (None, "unknown_reference"),
        ("m", None),
    ]
    assert [each.index for each in outcomes] == [0, 1, 2, 3, 4]
    assert {each.id for each in stored(filled)} == {"ok", "m"}


def test_what_does_not_stand_is_not_corrected(filled):
    sent(filled, note("first", feedback_id="n1"))
    sent(filled, note("second", feedback_id="n2", seconds=1, corrects="n1"))

    [outcome] = filled.feedback.add(PROJECT, [note("third", feedback_id="n3", corrects="n1")])

    assert outcome.error is not None
    assert outcome.error.code == "conflict"


def test_a_correction_that_is_delivered_again_is_the_same_correction(filled):
    sent(filled, note("first", feedback_id="n1"))
    second = note("second", feedback_id="n2", seconds=1, corrects="n1")

    for _ in range(2):
        [outcome] = filled.feedback.add(PROJECT, [second])
        assert (outcome.id, outcome.error) == ("n2", None)

    assert [each.id for each in stored(filled, standing=True)] == ["n2"]


def test_an_id_belongs_to_one_judgement(filled):
    first = note("first", feedback_id="n1")
    sent(filled, first)

    outcomes = filled.feedback.add(
        PROJECT,
        [
            first,
            msgspec.structs.replace(first, payload={"note": "second"}),
            msgspec.structs.replace(first, author="somebody else"),
            msgspec.structs.replace(first, type="free", payload={"note": "first"}),
            note("third", feedback_id="n3"),
        ],
    )

    assert [each.error and each.error.code for each in outcomes] == [
        None,
        "conflict",
        "conflict",
        "conflict",
        None,
    ]
    assert [(each.id, each.payload) for each in stored(filled, standing=True)] == [
        ("n3", {"note": "third"}),
        ("n1", {"note": "first"}),
    ]


def test_a_judgement_that_is_refused_begins_no_project(store):
    [outcome] = store.feedback.add(PROJECT, [note("nobody", feedback_id="n1")])

    assert outcome.error is not None
    assert outcome.error.code == "unknown_reference"
    assert store.projects.list() == []


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("type_", ["integer", "number"])
def test_a_number_that_json_has_no_word_for_corrects_nothing(filled, type_, number):
    fixed = AnnotationSpec("fixed", {"format": "correction", "field": "output", "type": type_})
    filled.ingest.write(batch(objects=[fixed.part()]))

    [outcome] = filled.feedback.add(PROJECT, [answer(fixed, number)])

    assert outcome.error is not None
    assert outcome.error.details["rule"] == "type"


def test_feedback_is_found_by_time_id_and_standing(filled):
    sent(filled, *(answer(RATING, n, seconds=n, id=f"a{n}") for n in (1, 2, 3)))
    second = int(at(2).timestamp() * 1e6)

    assert [each.id for each in stored(filled, since=second)] == ["a3", "a2"]
    assert [each.id for each in stored(filled, until=second)] == ["a1"]
    assert [each.id for each in stored(filled, ids=("a1", "a3", "zz"))] == ["a3", "a1"]
    assert [each.id for each in stored(filled, standing=True)] == ["a3"]


def test_newest_versions_are_listed_by_name(store):
    older, newer = AnnotationSpec("b", bool), AnnotationSpec("b", int)
    other = versions.version("object", "a")
    op = versions.version("op", "c")
    store.ingest.write(batch(objects=[older.part(), other, op]))
    store.ingest.write(batch(objects=[newer.part()]))

    listed = store.objects.list(PROJECT)
    assert [(each.kind, each.name, each.version) for each in listed] == [
        ("object", "a", 0),
        ("object", "b", 1),
        ("op", "c", 0),
    ]
    assert [each.name for each in store.objects.list(PROJECT, "op")] == ["c"]
    [spec] = store.objects.list(PROJECT, type="annotation_spec")
    assert AnnotationSpec.from_version(spec) == newer
