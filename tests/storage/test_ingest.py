"""What a store makes of what it is given. Contract suite: any store must pass."""

import itertools

import drawing
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts import PROJECT, at, batch, call, judgement

from kibitz.base import refs
from kibitz.base.errors import NotFound, QueryError, UsageError
from kibitz.base.records import CallPart, ExceptionInfo, FeedbackPart, FilePart, ObjectPart
from kibitz.query.nodes import (
    ALL_COLUMNS,
    CallQuery,
    Compare,
    Contains,
    FeedbackField,
    FeedbackQuery,
    PathField,
    SortKey,
)


def test_a_whole_call_is_given_back_as_it_was_sent(store):
    part = call(
        "c1",
        took=0.25,
        trace_id="t1",
        parent_id="p1",
        kind="llm",
        display_name="the answer",
        thread_id="th",
        author="ann",
        inputs={"question": "why?", "k": 3, "nested": {"a.b": [1, None, "ü"]}},
        output={"text": "because"},
        attributes={"model": "m"},
        summary={"usage": {"m": {"tokens": 7}}},
    )

    receipt = store.ingest.write(batch(calls=[part]))

    assert receipt.calls == 1
    found = store.calls.get(PROJECT, "c1")
    assert (found.op, found.kind, found.display_name) == ("answer", "llm", "the answer")
    assert (found.trace_id, found.parent_id, found.thread_id, found.author) == (
        "t1",
        "p1",
        "th",
        "ann",
    )
    assert (found.started_at, found.ended_at) == (part.started_at, part.ended_at)
    assert (found.status, found.latency_ms) == ("success", 250.0)
    assert (found.inputs, found.output) == (part.inputs, part.output)
    assert (found.attributes, found.summary) == (part.attributes, part.summary)
    assert found.exception is None
    assert found.feedback == []


def test_an_output_of_null_is_not_an_output_that_never_came(store):
    store.ingest.write(batch(calls=[call("null", output=None), call("none", output=msgspec.UNSET)]))

    assert store.calls.get(PROJECT, "null").output is None
    assert store.calls.get(PROJECT, "none").output is msgspec.UNSET


def test_a_started_call_is_seen_running_until_its_end_arrives(store):
    start = CallPart(id="c1", op="answer", started_at=at(0), inputs={"q": "why?"})
    store.ingest.write(batch(calls=[start]))
    running = store.calls.get(PROJECT, "c1")

    store.ingest.write(batch(calls=[CallPart(id="c1", ended_at=at(2), output="so")]))

    assert (running.status, running.latency_ms, running.inputs) == ("running", None, {"q": "why?"})
    ended = store.calls.get(PROJECT, "c1")
    assert (ended.status, ended.latency_ms, ended.output) == ("success", 2000.0, "so")
    assert ended.inputs == {"q": "why?"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["together", "apart"])
def test_start_end_and_whole_give_one_call_in_any_order(store, order, together):
    whole = call("c1", took=2, trace_id="t", output="so", inputs={"q": 1})
    parts = [
        CallPart(id="c1", op="answer", trace_id="t", started_at=at(0), inputs={"q": 1}),
        CallPart(id="c1", trace_id="t", ended_at=at(2), output="so"),
        whole,
    ]
    chosen = [parts[index] for index in order]

    for each in [chosen] if together else [[part] for part in chosen]:
        store.ingest.write(batch(calls=each))

    found = store.calls.get(PROJECT, "c1")
    assert (found.op, found.trace_id, found.started_at, found.ended_at) == (
        "answer",
        "t",
        at(0),
        at(2),
    )
    assert (found.inputs, found.output, found.latency_ms) == ({"q": 1}, "so", 2000.0)
    assert store.projects.get(PROJECT).calls == 1


def test_an_end_alone_is_shown_and_corrected_by_its_start(store):
    store.ingest.write(batch(calls=[CallPart(id="c1", ended_at=at(5), output=1)]))
    alone = store.calls.get(PROJECT, "c1")

    store.ingest.write(batch(calls=[CallPart(id="c1", op="f", trace_id="t", started_at=at(3))]))

    assert (alone.op, alone.started_at, alone.trace_id) == ("", at(5), "c1")
    found = store.calls.get(PROJECT, "c1")
    assert (found.op, found.started_at, found.latency_ms, found.trace_id) == (
        "f",
        at(3),
        2000.0,
        "t",
    )


def test_a_second_delivery_changes_nothing(store):
    once = batch(calls=[call("c1")], feedback=[judgement("c1", 1, feedback_id="f1")])
    store.ingest.write(once)
    before = store.calls.get(PROJECT, "c1"), store.projects.get(PROJECT)

    receipt = store.ingest.write(once)

    assert (receipt.calls, receipt.feedback) == (1, 1)
    assert (store.calls.get(PROJECT, "c1"), store.projects.get(PROJECT)) == before
    assert len(store.feedback.query(FeedbackQuery(project=PROJECT)).items) == 1


def test_what_breaks_a_rule_is_named_and_the_rest_is_stored(store):
    receipt = store.ingest.write(
        batch(
            calls=[call("c1"), CallPart(id="no-time"), call("c2", inputs={"q": "x" * (5 << 20)})],
            feedback=[
                judgement("c1", 1),
                FeedbackPart(type="note", target_ref="nowhere", payload={"note": "x"}),
            ],
        )
    )

    assert (receipt.calls, receipt.feedback) == (1, 1)
    assert [(each.kind, each.index, each.id, each.code) for each in receipt.rejected] == [
        ("call", 1, "no-time", "invalid_record"),
        ("call", 2, "c2", "too_large"),
        ("feedback", 1, None, "invalid_record"),
    ]
    assert "kibitz:///" in receipt.rejected[2].message


def test_a_project_that_is_no_name_is_refused(store):
    with pytest.raises(UsageError, match="'a b'"):
        store.ingest.write(batch(project="a b"))


def test_feedback_may_come_before_its_call(store):
    store.ingest.write(batch(feedback=[judgement("c1", {"ok": True})]))
    with pytest.raises(NotFound):
        store.calls.get(PROJECT, "c1")
    before = store.calls.query(CallQuery(project=PROJECT)).items

    store.ingest.write(batch(calls=[call("c1")]))

    assert before == []
    assert [each.payload for each in store.calls.get(PROJECT, "c1").feedback] == [
        {"output": {"ok": True}}
    ]
    where = Compare(FeedbackField("runnable.x", ("output", "ok")), "eq", True)
    assert [
        each.id for each in store.calls.query(CallQuery(project=PROJECT, where=where)).items
    ] == ["c1"]


def test_scores_follow_the_newest_judgement_whatever_the_order_of_arrival(store):
    store.ingest.write(batch(calls=[call("c1")]))
    store.ingest.write(batch(feedback=[judgement("c1", {"a": 1, "b": "new"}, seconds=5)]))
    store.ingest.write(batch(feedback=[judgement("c1", {"a": 2, "c": True}, seconds=1)]))

    def scores():
        page = store.calls.query(CallQuery(project=PROJECT, columns=frozenset({"scores"})))
        return page.items[0].scores["runnable.x"]

    assert scores() == {"output.a": 1, "output.b": "new"}
    store.ingest.write(batch(feedback=[judgement("c1", {"c": False}, seconds=9)]))
    assert scores() == {"output.c": False}
    assert [(each.path, each.count, each.kinds) for each in store.feedback.columns(PROJECT)] == [
        ("output.c", 1, ["bool"])
    ]


def test_a_retraction_takes_back_what_its_author_said_and_keeps_it_to_be_read(store):
    def said(output, author, seconds, feedback_id, **fields):
        one = judgement("c1", output, author=author, seconds=seconds, feedback_id=feedback_id)
        return msgspec.structs.replace(one, **fields)

    def taken_back(feedback_id, seconds):
        return said(
            None,
            "ann",
            seconds,
            f"r-{feedback_id}",
            payload={},
            runnable_ref=None,
            retracts=feedback_id,
        )

    def standing():
        return [each.payload["output"] for each in store.calls.get(PROJECT, "c1").feedback]

    def with_mean_over(limit):
        field = FeedbackField("runnable.x", ("output",), "mean")
        where = Compare(field, "gt", limit)
        return bool(store.calls.query(CallQuery(project=PROJECT, where=where)).items)

    store.ingest.write(
        batch(
            calls=[call("c1")],
            feedback=[said(1, "ann", 1, "a1"), said(5, "bob", 2, "b1"), said(3, "ann", 3, "a2")],
        )
    )
    assert standing() == [3, 5]
    assert with_mean_over(3.9)
    assert not with_mean_over(4)

    receipt = store.ingest.write(batch(feedback=[taken_back("a2", 4)]))
    assert receipt.rejected == []
    assert standing() == [5]
    assert with_mean_over(4.9)
    history = store.feedback.query(FeedbackQuery(project=PROJECT)).items
    assert [(each.id, each.stands, each.retracts) for each in history] == [
        ("r-a2", False, "a2"),
        ("a2", False, None),
        ("b1", True, None),
        ("a1", False, None),
    ]

    store.ingest.write(batch(feedback=[said(2, "ann", 5, "a3")]))
    assert standing() == [2, 5]


def test_a_retraction_may_come_before_what_it_takes_back(store):
    taken_back = msgspec.structs.replace(
        judgement("c1", None, seconds=9, feedback_id="r1"),
        payload={},
        runnable_ref=None,
        retracts="f1",
    )
    store.ingest.write(batch(calls=[call("c1")], feedback=[taken_back]))

    store.ingest.write(batch(feedback=[judgement("c1", 1, seconds=1, feedback_id="f1")]))

    assert store.calls.get(PROJECT, "c1").feedback == []


def test_reactions_of_one_person_stand_beside_each_other(store):
    def reaction(emoji, feedback_id):
        return FeedbackPart(
            id=feedback_id,
            type="reaction",
            target_ref=refs.call_ref(PROJECT, "c1"),
            payload={"emoji": emoji},
            author="ann",
        )

    store.ingest.write(
        batch(calls=[call("c1")], feedback=[reaction("👍", "1"), reaction("🎉", "2")])
    )

    for emoji in "👍🎉":
        where = Compare(FeedbackField("reaction", ("emoji",), "any"), "eq", emoji)
        assert store.calls.query(CallQuery(project=PROJECT, where=where)).items


def test_a_payload_with_more_leaves_than_scores_keep_is_still_filtered_exactly(store):
    many = {f"k{index}": index for index in range(200)}
    store.ingest.write(batch(calls=[call("c1"), call("c2")], feedback=[judgement("c1", many)]))

    for index in (0, 63, 64, 199):
        where = Compare(FeedbackField("runnable.x", ("output", f"k{index}")), "eq", index)
        page = store.calls.query(CallQuery(project=PROJECT, where=where))
        assert [each.id for each in page.items] == ["c1"]


def test_feedback_on_a_trace_and_a_thread_is_kept_by_its_target(store):
    targets = [f"kibitz:///{PROJECT}/{kind}/7" for kind in ("trace", "thread", "message")]
    notes = [FeedbackPart(type="note", target_ref=ref, payload={"note": ref}) for ref in targets]
    store.ingest.write(batch(feedback=notes))

    for ref in targets:
        page = store.feedback.query(FeedbackQuery(project=PROJECT, target_ref=ref))
        assert [each.payload["note"] for each in page.items] == [ref]


def test_feedback_is_listed_newest_first_page_by_page(store):
    store.ingest.write(
        batch(feedback=[judgement("c1", index, seconds=index % 4) for index in range(11)])
    )

    seen, cursor = [], None
    while True:
        page = store.feedback.query(FeedbackQuery(project=PROJECT, limit=3, cursor=cursor))
        seen += [each.payload["output"] for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0]


def test_objects_count_their_versions_and_keep_each_once(store):
    def version(text):
        value = {"source": text}
        return ObjectPart(
            kind="op",
            name="answer",
            digest=refs.digest(msgspec.json.encode(value, order="sorted")),
            value=value,
        )

    first, second = version("one"), version("two")
    store.ingest.write(batch(objects=[first, second, first]))
    store.ingest.write(batch(objects=[second]))

    versions = store.objects.versions(PROJECT, "op", "answer")
    assert [(each.version, each.value["source"]) for each in versions] == [(1, "two"), (0, "one")]
    assert store.objects.get(PROJECT, "op", "answer", first.digest).value == {"source": "one"}
    receipt = store.ingest.write(
        batch(objects=[msgspec.structs.replace(first, value={"source": "forged"})])
    )
    assert [(each.kind, each.field) for each in receipt.rejected] == [("object", "digest")]


def test_files_are_kept_by_their_content(store):
    digest = store.files.put(PROJECT, b"\x00\xffbytes", "image/png")

    assert store.files.get(PROJECT, digest) == (b"\x00\xffbytes", "image/png")
    forged = FilePart(digest=digest, media_type="image/png", content=b"other")
    assert store.ingest.write(batch(files=[forged])).rejected[0].field == "digest"
    with pytest.raises(NotFound):
        store.files.get(PROJECT, "0" * 40)


def test_projects_are_apart(store):
    store.ingest.write(batch(calls=[call("c1")]))
    store.ingest.write(batch(calls=[call("c1", op="other")], project="elsewhere"))

    assert store.calls.get("elsewhere", "c1").op == "other"
    assert store.calls.get(PROJECT, "c1").op == "answer"
    assert [each.name for each in store.projects.list()] == sorted([PROJECT, "elsewhere"])
    with pytest.raises(NotFound, match="no project 'nowhere'"):
        store.calls.query(CallQuery(project="nowhere"))


def test_nul_characters_are_stored_as_their_symbol(store):
    store.ingest.write(batch(calls=[call("c1", inputs={"a\x00": "x\x00y"}, output="\x00")]))

    found = store.calls.get(PROJECT, "c1")
    assert (found.inputs, found.output) == ({"a\u2400": "x\u2400y"}, "\u2400")


def test_a_cursor_of_another_query_is_refused(store):
    store.ingest.write(batch(calls=[call(f"c{index}") for index in range(3)]))
    cursor = store.calls.query(CallQuery(project=PROJECT, limit=1)).next_cursor

    with pytest.raises(QueryError, match="another filter or sort"):
        store.calls.query(
            CallQuery(project=PROJECT, cursor=cursor, sort=(SortKey(PathField("output")),))
        )
    for broken in ("zz", "", "5b5d", cursor[:-2], "é"):
        with pytest.raises(QueryError, match="cursor"):
            store.calls.query(CallQuery(project=PROJECT, cursor=broken))


def test_words_are_found_before_and_after_they_are_indexed(store):
    store.ingest.write(
        batch(
            calls=[
                call("c1", output="the quick brown fox"),
                CallPart(
                    id="c2",
                    op="f",
                    started_at=at(1),
                    inputs={"q": ["a", {"b": "Ünïque-words here"}]},
                ),
            ]
        )
    )

    def found(text, field, **options):
        where = Contains(PathField(field), text, **options)
        return [
            each.id for each in store.calls.query(CallQuery(project=PROJECT, where=where)).items
        ]

    def check():
        assert found("quick brown f", "output") == ["c1"]
        assert found("uick", "output") == ["c1"]
        assert found("quick  brown", "output") == []
        assert found("Quick Brown fox", "output") == []
        assert found("Quick Brown fox", "output", case_insensitive=True) == ["c1"]
        assert found("words here", "inputs") == ["c2"]
        assert found("nïque-words", "inputs") == ["c2"]

    check()
    assert store.ingest.index_words(10) == 2
    assert store.ingest.index_words(10) == 0
    check()
    # An end changes the words of a call that is indexed already.
    store.ingest.write(
        batch(calls=[CallPart(id="c2", ended_at=at(2), output="late arrival today")])
    )
    assert found("late arrival t", "output") == ["c2"]
    assert store.ingest.index_words(10) == 1
    assert found("late arrival t", "output") == ["c2"]
    check()


_CALL_IDS = st.sampled_from(["a", "b", "c", "d"])
_PARTS = st.builds(
    lambda call_id, start, took, op, error, text: CallPart(
        id=call_id,
        op=op,
        started_at=None if start is None else at(start * 1800),
        ended_at=None if took is None else at(took * 1800),
        inputs={"t": text},
        exception=ExceptionInfo(type="E", message="m") if error and took is not None else None,
    ),
    _CALL_IDS,
    st.none() | st.integers(0, 8),
    st.none() | st.integers(0, 8),
    st.sampled_from([None, "f", "g"]),
    st.booleans(),
    st.text(max_size=4),
)


@given(st.lists(st.lists(_PARTS, max_size=4), max_size=5))
@settings(
    max_examples=drawing.examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_kept_sums_equal_what_counting_gives(store, batches):
    """Whatever parts arrive in whatever order, roll-ups say what the calls say."""
    project = f"p{next(_numbers)}"
    store.ingest.write(batch(project=project))
    for parts in batches:
        store.ingest.write(batch(calls=parts, project=project))

    calls = store.calls.query(CallQuery(project=project, limit=100, columns=ALL_COLUMNS)).items
    info = store.projects.get(project)
    assert (info.calls, info.errors, info.running) == (
        len(calls),
        sum(each.status == "error" for each in calls),
        sum(each.status == "running" for each in calls),
    )
    assert info.stored_bytes == sum(
        len(msgspec.json.encode(each.inputs))
        + (len(msgspec.json.encode(each.exception)) if each.exception else 0)
        for each in calls
    )
    by_op = {}
    for each in calls:
        by_op[each.op] = by_op.get(each.op, 0) + 1
    assert dict(store.calls.ops(project)) == by_op
    daily = store.calls.by_op_and_day(project)
    assert sum(row[2] for row in daily) == len(calls)
    for op, day, n, _errors, latency in daily:
        mine = [each for each in calls if each.op == op and f"{each.started_at:%Y-%m-%d}" == day]
        ended = [each.latency_ms for each in mine if each.latency_ms is not None]
        assert n == len(mine)
        assert latency == (pytest.approx(sum(ended) / len(ended)) if ended else None)


_numbers = itertools.count()
