"""What is offered at a place of a query, and what is said of one that cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import drawing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base.api import Completions
from kibitz.base.records import ScoreColumn
from kibitz.query import completion, text_form
from kibitz.query.nodes import ColumnField, FeedbackField, Field, Literal_, PathField, Root

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Project:
    """What a small project has."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def ops(self) -> Sequence[tuple[str, int]]:
        self.read.append("ops")
        return [("answer", 90), ("retrieve", 40), ("my op", 1)]

    def statuses(self) -> Sequence[tuple[str, int]]:
        return [("success", 120), ("error", 11), ("running", 0)]

    def types(self) -> Sequence[tuple[str, int]]:
        return [
            ("runnable.grounded", 50),
            ("annotation.helpful", 30),
            ("runnable.twice", 2),
            ("annotation.twice", 1),
            ("thumb", 5),
            ("a.b", 1),
        ]

    def columns(self) -> Sequence[ScoreColumn]:
        return [
            ScoreColumn(type="runnable.grounded", path="output.score", count=50, kinds=["number"]),
            ScoreColumn(type="runnable.grounded", path="output.class", count=48, kinds=["text"]),
            ScoreColumn(type="annotation.helpful", path="value", count=30, kinds=["bool"]),
            ScoreColumn(type="runnable.twice", path="output", count=2, kinds=["bool"]),
        ]

    def authors(self) -> Sequence[str]:
        return ["", "ada", "bob smith"]

    def paths(self, root: Root) -> Sequence[tuple[tuple[str, ...], int]]:
        self.read.append(root)
        if root == "attributes":
            return [(("env",), 10), (("user id",), 3), (("a.b", "0"), 1)]
        return []

    def values(self, field: Field) -> Sequence[tuple[Literal_, int]]:
        match field:
            case ColumnField("model"):
                return [("gpt-5", 7), ("claude 4", 5)]
            case FeedbackField(path=("output", "class")):
                return [("good", 40), ("very bad", 8)]
            case PathField("attributes", ("env",)):
                return [("prod", 9), (3, 1), (True, 1), ("true", 1)]
            case _:
                return []


def _complete(text: str, known: Project | None = None) -> Completions:
    """`|` is the place."""
    before, bar, after = text.partition("|")
    at = len(before) if bar else len(text)
    return completion.complete(before + after, at, known or Project(), NOW)


def _texts(found: Completions) -> list[str]:
    return [each.text for each in found.items]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("op = ", ["answer", "retrieve", '"my op"']),
        ("op = an", ["answer"]),
        ("op != re|xyz and x", ["retrieve"]),
        ('op = "my', ['"my op"']),
        ("op in (answer, r", ["retrieve"]),
        ("op = answer ", ["and", "or", "sort", "limit"]),
        ("(op = answer ", ["and", "or"]),
        ("op not ", ["in", "contains", "icontains", "matches", "imatches"]),
        ("op is ", ["null", "not null"]),
        ("sta", ["status", "started_at"]),
        ("status = e", ["error"]),
        ("model = ", ["gpt-5", '"claude 4"']),
        ("latency > ", ["100ms", "500ms", "1s", "5s", "30s"]),
        ("started_at > now-7", ["now-7d"]),
        ("attributes.env = ", ["prod", "3", "true", '"true"']),
        ("attributes.", ["attributes.env", 'attributes."user id"', 'attributes."a.b".0']),
        ("feedback.grounded.output.class = ", ["good", '"very bad"']),
        ("feedback.grounded.output.class = v", ['"very bad"']),
        ("feedback.helpful.value = ", ["true", "false"]),
        ("feedback.helpful.agree.value = ", ["true", "false"]),
        ("feedback.helpful.any.author = ", ["ada", '"bob smith"']),
        ("feedback.grounded ", ["and", "or", "sort", "limit"]),
        ("exists feedback.hel", ["feedback.helpful", "feedback.helpful.value"]),
        ("not feedback.thu", ["feedback.thumb"]),
        ("not feedback.[thu", ["feedback.thumb"]),
        ("not feedback.[runnable.grou", ["feedback.grounded"]),
        ('feedback."a.', ['feedback."a.b"']),
        ("op = answer sort lat", ["latency", "latency_ms"]),
        ("op = answer sort latency ", ["asc", "desc", "limit"]),
        ("op = answer sort by latency desc, co", ["cost"]),
        ("limit ", ["20", "50", "100", "1000"]),
        ("limit 5 ", []),
        ("size(attr", ["attributes.env"]),
        ("bool(output) = ", ["true", "false"]),
        ("any(op = x, sta", ["status", "started_at"]),
        ("sort num", ["number("]),
    ],
)
def test_what_is_offered(text: str, first: list[str]) -> None:
    assert _texts(_complete(text))[: len(first)] == first


def test_what_is_offered_says_how_often_it_is_there() -> None:
    counted = {each.text: each.count for each in _complete("feedback.").items}

    assert counted["feedback.grounded"] == 50
    assert counted["feedback.grounded.output.class"] == 48
    assert counted["feedback.[*]"] is None


def test_a_name_that_two_types_have_is_written_with_its_kind() -> None:
    offered = _texts(_complete("feedback.twi")) + _texts(_complete("twi"))

    assert {"feedback.runnable.twice", "feedback.annotation.twice"} <= set(offered)
    assert "feedback.twice" not in offered


def test_the_whole_word_is_replaced() -> None:
    text = "op = answer and feedback.grou|.output < 1"
    found = _complete(text)

    assert (found.start, found.end) == (16, 36)
    assert _texts(found)[0] == "feedback.grounded"


def test_behind_the_name_of_feedback_come_its_parts_and_authors() -> None:
    offered = set(_texts(_complete("feedback.grounded.")))

    assert {
        "feedback.grounded.count",
        "feedback.grounded.author",
        "feedback.grounded.mean",
        "feedback.grounded.output.score",
    } <= offered
    assert "feedback.grounded.any.count" not in _texts(_complete("feedback.grounded.any."))


def test_operators_fit_the_field() -> None:
    assert "contains" not in _texts(_complete("tokens "))
    assert "contains" in _texts(_complete("output.x "))
    assert ">" not in _texts(_complete("feedback.helpful.value "))
    assert ">" in _texts(_complete("size(output) "))
    assert "matches" in _texts(_complete("text(output.id) "))


def test_only_what_the_place_needs_is_read() -> None:
    project = Project()
    _complete("op = answer and latency > 1s", project)
    _complete("op = answer ", project)

    assert set(project.read) <= {"ops"}


def test_a_mistake_has_its_place() -> None:
    error = _complete("op = answer and outptu contains x").error

    assert error is not None
    assert (error.position, error.length) == (16, 6)
    assert error.suggestion == "output"
    assert "did you mean 'output'" in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("text", "position", "length", "says", "suggestion"),
    [
        ("op = answr", 5, 6 - 1, "no call has the op 'answr'", "answer"),
        ('status = error and op = "answr"', 24, 7, "did you mean 'answer'", "answer"),
        (
            "feedback.[runnable.nobody] and op = answer",
            0,
            26,
            "no feedback 'runnable.nobody' yet",
            None,
        ),
        (
            "feedback.grounded.output.clas = x",
            0,
            29,
            "says 'output.clas'; did you mean 'output.class'",
            "feedback.runnable.grounded.output.class",
        ),
    ],
)
def test_a_name_that_nothing_has_is_a_warning(
    text: str, position: int, length: int, says: str, suggestion: str | None
) -> None:
    found = _complete(text)

    assert found.error is None
    (warning,) = found.warnings
    assert (warning.position, warning.length) == (position, length)
    assert says in warning.message
    assert warning.suggestion == suggestion


@pytest.mark.parametrize(
    "text", ["op = answer", "op contains ans", "feedback.grounded.output.score > 1", "op = null"]
)
def test_known_names_are_no_warning(text: str) -> None:
    found = _complete(text)

    assert found.error is None
    assert found.warnings == []


GOOD = "not (op = answer and feedback.grounded.output.score < 0.5) or size(output) > 2 sort latency desc, number(output.x) limit 20"


@given(st.integers(0, len(GOOD)))
@settings(deadline=None)
def test_a_place_is_around_the_cursor_and_what_is_offered_can_be_read(at: int) -> None:
    found = completion.complete(GOOD, at, Project(), NOW)

    assert 0 <= found.start <= at <= found.end <= len(GOOD)
    for each in found.items:
        changed = GOOD[: found.start] + each.text + GOOD[found.end :]
        again = completion.complete(changed, found.start + len(each.text), Project(), NOW)
        assert 0 <= again.start <= again.end <= len(changed)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("|", " = x"),
        ("not exists feedback.grou|", ""),
        ("op = |", ""),
        ("op in (|", ")"),
        ("attributes.|", " = 1"),
        ("feedback.grounded.output.class = |", ""),
        ("op = answer sort feedb|", ""),
    ],
)
def test_what_is_offered_makes_a_query(text: str, rest: str) -> None:
    before = text.removesuffix("|")
    found = _complete(text)
    known = [name for name, _ in Project().types()]

    offered = [each for each in found.items if each.kind in ("field", "value")]
    assert offered
    for each in offered:
        whole = before[: found.start] + each.text
        if each.kind == "field" and rest == " = x" and "feedback" in each.text:
            continue
        if each.text.startswith(("latency", "tokens", "cost", "input_tokens", "output_tokens")):
            continue
        if each.text in ("started_at", "ended_at", "status") or (
            "sort" in text and each.detail in ("judged", "any judgement")
        ):
            continue
        text_form.parse(whole + rest, known_types=known, now=NOW)


pieces = st.sampled_from(
    [
        *GOOD.split(),
        "(",
        ")",
        ",",
        '"',
        "'",
        "[",
        "\\",
        "feedback",
        ".",
        "in",
        "is",
        "matches",
        "\0",
        "\ud800",
        "🙂",
        " ",
    ]
)


@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=30), st.integers(0, 60))
@settings(max_examples=drawing.examples(500), deadline=None)
def test_nothing_that_is_typed_breaks_it(text: str, at: int) -> None:
    found = completion.complete(text, at, Project(), NOW)

    assert 0 <= found.start <= min(at, len(text)) <= found.end <= len(text)
    if found.error is not None:
        assert 0 <= found.error.position <= len(text)
        assert found.error.position + found.error.length <= len(text)
