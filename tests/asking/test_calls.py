"""Sets of calls: what they give, from a folder and over HTTP alike, and when they are asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kibitz
from kibitz.asking.calls import CallSet, calls
from kibitz.base import refs
from kibitz.base.errors import KibitzError, NotFound, QueryError, UsageError
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.query import json_form, nodes, text_form
from kibitz.query.expressions import attributes, inputs, output, summary
from kibitz.query.expressions_feedback import feedback
from kibitz.storage import sqlite
from kibitz.testing import serving

PROJECT = "acme/app"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNSET = msgspec.UNSET
ANSWERS = calls.op == "answer"


def ids(found: CallSet) -> list[str]:
    return [call.id.removeprefix("c") for call in found]


@pytest.fixture(name="every")
def _every(source: str) -> CallSet:
    return calls(PROJECT, source)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (ANSWERS, "10 08 06 04 02 00"),
        (calls.status == "error", "09 04"),
        (ANSWERS & (calls.latency > timedelta(seconds=0.8)), "10 08"),
        (attributes.env == "prod", "05 04 03 02 01 00"),
        (attributes.env.exists() & ~ANSWERS & (inputs.n < 4), "03 01"),
        (inputs["odd key"][1]["a.b"] == "7", "07"),
        (inputs.question.contains("QUESTION 1", case_insensitive=True), "11 10 01"),
        (inputs.question.matches("n [23]$"), "03 02"),
        (output.items.size() >= 10, "11 10"),
        (inputs["odd key"][1]["a.b"].as_number() > 9, "11 10"),
        (calls.input_tokens.is_in([3, 4]), "04 03"),
        (summary.usage["m-1"].input_tokens == 3, "03"),
        (feedback("helpful").value > 3, "05 04 02"),
        (feedback("helpful").mean.value == 3.5, "02"),
        (feedback("helpful").agree.value == True, "01"),  # noqa: E712
        (feedback("helpful").all.value > 1, "05 04 03 02"),
        (feedback("helpful").count == 2, "02 01"),
        (feedback("helpful").any.author == "bob", "02 01"),
        (feedback("thumb") & ~feedback("note"), "03 02 01"),
        (feedback("thumb").up == False, "03"),  # noqa: E712
        (feedback["thumb"].up == True, "02 01"),  # noqa: E712
        (feedback("*"), "05 04 03 02 01 00"),
        (feedback("note").note == "look", "00"),
        ("op = answer and latency > 800ms", "10 08"),
        ("feedback.helpful.value > 3 sort feedback.helpful.value", "04 05 02"),
        ("status = error limit 1", "09"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_set_gives_the_calls_for_which_it_holds(
    every: CallSet, condition: Any, expected: str
) -> None:
    found = every.where(condition)

    # Of equal values the newest author counts, and both said theirs at one time: arrival decides.
    assert sorted(ids(found)) == sorted(expected.split())
    assert found.count() == len(expected.split())


def test_without_a_sort_the_newest_come_first(every: CallSet) -> None:
    assert ids(every) == [f"{n:02}" for n in reversed(range(12))]


def test_a_set_is_sorted_as_it_says(every: CallSet) -> None:
    judged = every.where(feedback("helpful"))

    assert ids(judged.sort(inputs.n)) == ["00", "01", "02", "03", "04", "05"]
    assert ids(judged.sort(feedback("helpful").mean.value.desc(), calls.id)) == (
        ["05", "04", "02", "03", "01", "00"]
    )
    assert ids(judged.sort(calls.op, inputs.n.desc())) == ["04", "02", "00", "05", "03", "01"]
    assert ids(judged.sort("op, inputs.n desc")) == ["04", "02", "00", "05", "03", "01"]
    assert ids(judged.sort(inputs.n).sort(calls.id.desc()))[0] == "05"
    assert ids(every.sort(feedback("thumb").up.desc(), calls.id).limit(4)) == [
        "01",
        "02",
        "03",
        "00",
    ]


def test_a_set_is_never_changed(every: CallSet) -> None:
    narrower = every.where(ANSWERS).sort(inputs.n).limit(1).columns()

    assert (every.count(), narrower.count()) == (12, 1)
    assert every.first().id == "c11"  # type: ignore[union-attr]


def test_of_several_limits_the_smallest_counts(every: CallSet) -> None:
    assert ids(every.limit(3).limit(5)) == ["11", "10", "09"]
    assert ids(every.limit(5).where("limit 2")) == ["11", "10"]
    assert every.limit(3).count() == 3
    assert every.where("op = answer limit 2").count() == 2


def test_conditions_one_after_another_must_all_hold(every: CallSet) -> None:
    found = every.where(ANSWERS, "inputs.n > 2").where(attributes.env == "prod")

    assert ids(found) == ["04"]


def test_pages_are_followed_to_the_end(every: CallSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kibitz.asking.questions.WIDE_PAGE", 5)

    assert len(set(ids(every))) == 12
    assert ids(every.limit(7)) == [f"{n:02}" for n in range(11, 4, -1)]
    going = iter(every)
    assert [next(going).id for _ in range(6)][-1] == "c06"
    going.close()  # type: ignore[attr-defined]


def test_one_call_is_given_alone(every: CallSet) -> None:
    one = every.where(inputs.n == 7)

    assert one.one().id == one.first().id == "c07"  # type: ignore[union-attr]
    assert every.where(inputs.n == 70).first() is None
    with pytest.raises(NotFound, match=r"inputs\.n = 70"):
        every.where(inputs.n == 70).one()
    with pytest.raises(UsageError, match="several calls"):
        every.one()


def test_a_call_of_an_id_is_whole(every: CallSet) -> None:
    call = every.columns().get("c01")

    assert call.inputs["n"] == 1
    assert {each.type for each in call.feedback} == {"helpful", "thumb"}  # type: ignore[union-attr]
    assert every.where(~ANSWERS).get("c01") == call
    with pytest.raises(NotFound, match="the set has no call 'c01'"):
        every.where(ANSWERS).get("c01")
    with pytest.raises(NotFound, match="nope"):
        every.get("nope")


def test_only_what_is_wanted_is_read(every: CallSet) -> None:
    def read(found: CallSet) -> set[str]:
        call = found.where(inputs.n == 1).one()
        return {name for name in nodes.ALL_COLUMNS if getattr(call, name) is not UNSET}

    assert read(every) == set(nodes.ALL_COLUMNS)
    assert read(every.columns()) == set()
    assert read(every.columns("inputs", "scores")) == {"inputs", "scores"}
    assert read(every.columns(inputs.n, output.text, calls.op)) == {"inputs", "output"}
    assert read(every.columns(feedback("helpful").value)) == {"scores"}
    assert read(every.columns(feedback("helpful"), "attributes.env")) == {
        "feedback",
        "scores",
        "attributes",
    }


def test_counting_stops_where_it_is_told(every: CallSet) -> None:
    assert every.count(bound=5) == 5
    assert every.where(ANSWERS).count(bound=6) == 6
    assert every.where(ANSWERS).count(bound=5) == 5


def test_a_set_is_true_where_there_is_a_call(every: CallSet) -> None:
    assert every.where(ANSWERS)
    assert not every.where(inputs.n == 70)


def test_a_set_shows_its_number_and_its_question(every: CallSet) -> None:
    assert repr(every) == "<12 calls of acme/app: all>"
    assert repr(every.where(ANSWERS, "latency > 800ms").sort(calls.id.desc()).limit(1)) == (
        "<1 call of acme/app: (op = answer) and (latency > 800ms) sort id desc limit 1>"
    )
    assert "there is no project 'acme/none'" in repr(
        calls("acme/none", every._question.place.named)
    )


def test_a_set_is_written_in_every_spelling(every: CallSet) -> None:
    found = every.where(feedback("helpful").value > 3).sort(calls.latency.desc()).limit(5)

    assert found.to_text() == "feedback.[helpful].value > 3 sort latency_ms desc limit 5"
    parsed = text_form.parse(found.to_text())
    query = json_form.parse_query(found.to_json())
    assert (parsed.where, parsed.sort, parsed.limit) == (query.where, query.sort, query.limit)
    assert found.query() == query
    assert found.to_python() == (
        "calls('acme/app').where(feedback['helpful'].value > 3).sort(calls.latency_ms.desc()).limit(5)"
    )


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda every: every.where(True), "is no condition"),
        (lambda every: every.where(None), "is no condition"),
        (lambda every: every.where(calls.op), "op is no condition by itself"),
        (lambda every: every.where("outptu = 1"), "did you mean 'output'"),
        (lambda every: every.sort(feedback("helpful")), "has no order"),
        (lambda every: every.sort(5), "nothing to sort by"),
        (lambda every: every.sort("outptu"), "did you mean 'output'"),
        (lambda every: every.sort("op limit 5"), "has no limit"),
        (lambda every: every.sort(*[calls.op] * 9), "at most 8 keys"),
        (lambda every: every.limit(0), "from 1 on"),
        (lambda every: every.limit(True), "from 1 on"),
        (lambda every: every.columns("outptu"), "did you mean 'output'"),
        (lambda every: every.columns(5), "nothing that a call has"),
        (lambda every: every.count(bound=0), "from 1 to 1,000,000"),
        (lambda every: ids(every.where("sort op").sort(calls.id)), "leave one out"),
        (lambda every: ids(every.where("sort op", "sort id")), "leave one out"),
        (lambda every: every.where(feedback("helpfull").value > 3).count(), "did you mean 'helpful'"),
        (lambda every: every.where("feedback.helpfull.value > 3").count(), "did you mean 'helpful'"),
        (lambda every: every.where(inputs.a.matches("(")).count(), "never closed"),
    ],
)  # fmt: skip
def test_a_mistake_says_the_way_out(every: CallSet, ask: Any, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        ask(every)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no data folder .*nothing'; name the place in calls"):
        calls(PROJECT, tmp_path / "nothing").count()
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(KibitzError, match="could not be reached"):
        calls(PROJECT, "http://127.0.0.1:9").count()
    with pytest.raises(UsageError, match="is not a name"):
        calls("a b")
    for wrong in ("", 5, ["x"]):
        with pytest.raises(UsageError, match="source"):
            calls(PROJECT, wrong)  # type: ignore[arg-type]


def test_a_set_is_described_before_there_is_anything_to_ask(tmp_path: Path) -> None:
    found = calls(PROJECT, tmp_path / "later").where(ANSWERS).sort(calls.latency)

    assert found.to_text() == "op = answer sort latency_ms"
    assert "there is no data folder" in repr(found)
    store = sqlite.open_store(tmp_path / "later")
    store.ingest.write(
        Batch(project=PROJECT, calls=[CallPart(id="c1", op="answer", started_at=AT)])
    )
    store.close()
    assert ids(found) == ["1"]


def test_an_open_store_is_asked_as_it_is(folder: Path) -> None:
    store = sqlite.open_store(folder)
    try:
        found = calls(PROJECT, store)
        assert found.count() == 12
        assert found.get("c01").id == "c01"
    finally:
        store.close()


def test_where_to_ask_is_what_is_named_then_the_session_then_the_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    monkeypatch.setenv("KIBITZ_DATA", str(folder))
    assert calls(PROJECT).count() == 12

    kibitz.init(PROJECT, data=str(other), print_summary=False)
    with pytest.raises(NotFound, match="no project"):
        calls(PROJECT).count()
    assert calls(PROJECT, folder).count() == 12

    kibitz.finish()
    assert calls(PROJECT).count() == 12
    with serving.server(folder) as url:
        monkeypatch.setenv("KIBITZ_URL", url)
        monkeypatch.setenv("KIBITZ_DATA", str(other))
        assert calls(PROJECT).count() == 12
        with pytest.raises(NotFound, match="no project"):
            calls(PROJECT, other).count()


@pytest.mark.parametrize("remote", [False, True], ids=["folder", "server"])
def test_what_this_program_has_recorded_is_there(
    folder: Path, remote: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)

    def check(**place: str) -> None:
        kibitz.init(PROJECT, flush_interval_s=60.0, print_summary=False, **place)

        @kibitz.op
        def double(n: int) -> int:
            return 2 * n

        with kibitz.attributes(env="new"), kibitz.attributes({"user.id": 7}):
            for n in range(5):
                _, call = double.call(n)
                call.feedback.add("seen", {"n": n}, author="ada")
        new = kibitz.calls(PROJECT).where(kibitz.attributes.env == "new")
        assert new.count() == 5
        assert [
            call.output for call in new.where(kibitz.attributes["user.id"] == 7).sort("inputs.n")
        ] == [0, 2, 4, 6, 8]
        assert new.where(feedback("seen").n >= 3).count() == 2
        assert new.columns(kibitz.attributes).first().attributes["env"] == "new"
        double(9)
        named = calls(PROJECT, place.get("url") or folder).where(calls.op.contains("double"))
        assert named.count() == 6

    if remote:
        with serving.server(folder) as url:
            check(url=url)
            kibitz.finish()
    else:
        check(data="data")
        kibitz.finish()


def test_a_question_of_another_project_does_not_wait_for_this_one(folder: Path) -> None:
    session = kibitz.init(
        "acme/other", data=str(folder), print_summary=False, flush_interval_s=60.0
    )

    @kibitz.op
    def nothing() -> None: ...

    nothing()
    assert calls(PROJECT).count() == 12
    assert session.flush().calls_sent == 1


def test_calls_of_this_program_that_are_not_delivered_are_warned_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving.server(folder) as url:
        kibitz.init(PROJECT, url=url, print_summary=False, data=str(folder), timeout_s=2.0)

    @kibitz.op
    def nothing() -> None: ...

    nothing()
    with pytest.raises(KibitzError, match="could not be reached"):
        calls(PROJECT).count()

    assert "lacks calls of this program" in caplog.text


HOSTILE = [
    "' OR '1'='1", '" OR ""="', "'; DROP TABLE calls; --", "a\x00b", "%", "_", "\\", "a.b", "a\\.b", "[0]", "]",
    "}}", "${x}", "{0}", "%s", "?", "?1", ":x", "$.a", "$", "@", "--", "/*", "\u202e", "💩", "é", "e\u0301", "İ",
    "\n", " ", "NULL", "null", "true", "0", "00", "-1", "1e5", "feedback.[x]", "runnable.x", "annotation.", "*", "]@3f",
    "x" * 300, "payload", "mean", "count", "__class__", "and", "size(", "<script>", "\x1b[2J",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_a_key_or_a_text_is_only_ever_itself(every: CallSet, name: str) -> None:
    stored: dict[str, dict[str, Any]] = {
        "hit": {name: {"deep": name}},
        "other": {f"{name}!": {"deep": name}},
        "near": {name: {"deep": f"{name}!"}},
    }
    with every._question.place.opened() as store:
        written = store.ingest.write(
            Batch(
                project=PROJECT,
                calls=[CallPart(id=id_, started_at=AT, inputs=stored[id_]) for id_ in stored],
                feedback=[
                    FeedbackPart(
                        id=f"f-{id_}",
                        type="t",
                        target_ref=refs.call_ref(PROJECT, id_),
                        payload=stored[id_],
                        created_at=AT,
                    )
                    for id_ in stored
                ],
            )
        )
    assert written.rejected == []

    for root in (inputs, feedback("t").payload, feedback["t"].any.payload):
        assert ids(every.where(root[name]["deep"] == name)) == ["hit"]
        assert ids(every.where(root[name].deep.is_in([name, None]), root[name].exists())) == ["hit"]
        assert every.where(root[name]["deep"].contains(f"{name}!")).one().id == "near"
        assert every.sort(root[name]["deep"].desc()).first().id == "near"  # type: ignore[union-attr]
    assert ids(every.where(inputs[f"{name}!"].exists())) == ["other"]
    for type_ in (f"{name}!", f"annotation.{name}", f"runnable.{name}"):
        assert every.where(feedback[type_]).count() == 0
    for column in (calls.op, calls.id, calls.thread_id, feedback("t").author):
        assert every.where(column == f"{name}!").count() == 0
    assert every.count() == 15


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_asks_or_is_refused(folder: Path, first: str, second: str, third: str) -> None:
    every = calls(PROJECT, folder)
    for ask in (
        lambda: every.where(inputs[first][second] == third).count(),
        lambda: every.where(feedback[first][second].any != third).count(),
        lambda: every.where(feedback(first).version(second).output.contains(third)).count(),
        lambda: every.where(inputs.question.matches(first), output[second].size() > 3).count(),
        lambda: every.where(f"{first} {second}").sort(third).count(),
        lambda: every.sort(inputs[first], feedback(second)[third]).limit(1).first(),
    ):
        try:
            ask()
        except (QueryError, AttributeError) as error:
            assert str(error)  # noqa: PT017 either is an answer
    assert every.count() == 12
