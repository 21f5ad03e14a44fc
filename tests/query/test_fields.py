"""How fields are spelled."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kibitz.base.errors import QueryError
from kibitz.query import fields
from kibitz.query.nodes import ColumnField, FeedbackField, Field, PathField

KEYS = st.sampled_from(
    [
        "a",
        "",
        ".",
        "\\",
        "\\.",
        'say "hi"',
        "[0]",
        "]",
        "é",
        "日本",
        " ",
        "$",
        "0",
        "01",
        "\n",
        "🙂",
    ]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
PATHS = st.lists(KEYS, max_size=6).filter(
    lambda path: sum(fields.is_index(part) for part in path) <= fields.MAX_DIGIT_PARTS
)
VERSIONS = st.none() | st.text(alphabet="0123456789abcdef", min_size=1, max_size=40)
FIELDS = (
    st.sampled_from(fields.COLUMNS).map(ColumnField)
    | st.builds(PathField, st.sampled_from(fields.ROOTS), PATHS.map(tuple))
    | st.builds(
        FeedbackField,
        KEYS.filter(bool) | st.just("*"),
        PATHS.map(tuple),
        st.sampled_from(fields.OVERS),
        version=VERSIONS,
    )
    | st.builds(
        FeedbackField,
        KEYS.filter(bool) | st.just("*"),
        st.just(()),
        st.sampled_from(["latest", "any", "all"]),
        st.sampled_from(["author", "created_at"]),
        VERSIONS,
    )
    | st.builds(
        FeedbackField,
        KEYS.filter(bool),
        st.just(()),
        st.just("latest"),
        st.just("count"),
        VERSIONS,
    )
)


@given(FIELDS)
@example(PathField("inputs", ("",)))
@example(PathField("inputs", ("", "")))
@example(FeedbackField("runnable.a]b\\", ("payload", "")))
@example(FeedbackField("x", ("",)))
def test_what_is_formatted_parses_to_the_same_field(field: Field) -> None:
    assert fields.parse(fields.format(field)) == field


@given(st.text(alphabet="inputsfeedback.[]\\0a", max_size=40))
def test_a_text_is_a_field_that_can_be_written_again_or_an_error(text: str) -> None:
    field: Field | None = None
    with contextlib.suppress(QueryError):
        field = fields.parse(text)

    assert field is None or fields.parse(fields.format(field)) == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("op", ColumnField("op")),
        ("latency_ms", ColumnField("latency_ms")),
        ("output", PathField("output")),
        ("inputs.user.name", PathField("inputs", ("user", "name"))),
        (r"inputs.a\.b", PathField("inputs", ("a.b",))),
        (r"inputs.a\\.b", PathField("inputs", ("a\\", "b"))),
        ("inputs.items.0", PathField("inputs", ("items", "0"))),
        ("inputs.", PathField("inputs", ("",))),
        ("inputs.a\0b", PathField("inputs", ("a␀b",))),
        ("feedback.[note]", FeedbackField("note")),
        ("feedback.[note].payload", FeedbackField("note")),
        ("feedback.[note].payload.note", FeedbackField("note", ("note",))),
        (
            "feedback.[runnable.x].payload.output.y",
            FeedbackField("runnable.x", ("output", "y")),
        ),
        ("feedback.[x].mean.payload.output", FeedbackField("x", ("output",), "mean")),
        ("feedback.[x].latest.payload.output", FeedbackField("x", ("output",))),
        ("feedback.[x].any", FeedbackField("x", (), "any")),
        ("feedback.[x].payload.any", FeedbackField("x", ("any",))),
        ("feedback.[x].author", FeedbackField("x", part="author")),
        ("feedback.[x].any.author", FeedbackField("x", (), "any", "author")),
        ("feedback.[x].count", FeedbackField("x", part="count")),
        ("feedback.[x].min.created_at", FeedbackField("x", (), "min", "created_at")),
        ("feedback.[x]@3f9c", FeedbackField("x", version="3f9c")),
        ("feedback.[x]@3f9c.payload.a", FeedbackField("x", ("a",), version="3f9c")),
        ("feedback.[x]@0.all.payload.a", FeedbackField("x", ("a",), "all", version="0")),
        ("feedback.[*].count", FeedbackField("*", part="count")),
        (r"feedback.[runnable.a\]b].payload.output", FeedbackField("runnable.a]b", ("output",))),
    ],
)
def test_spellings(text: str, field: Field) -> None:
    assert fields.parse(text) == field


@pytest.mark.parametrize(
    ("text", "at", "suggestion"),
    [
        ("input.question", 0, "inputs.question"),
        ("Output", 0, "output"),
        ("stated_at", 0, "started_at"),
        ("latency", 0, "latency_ms"),
        ("status.code", 6, "status"),
        ("feedback", 8, "feedback.[type].payload"),
        ("feedback.exact.output", 8, "feedback.[exact].payload.output"),
        ("feedback.runnable.exact.output.y", 8, "feedback.[runnable.exact].payload.output.y"),
        ("feedback.exact.payload.output", 8, "feedback.[exact].payload.output"),
        ("feedback.[x].output", 12, "feedback.[x].payload.output"),
        ("feedback.[x]output", 12, "feedback.[x].payload.output"),
        ("feedback.[x", 11, None),
        ("feedback.[x].mean.output", 17, "feedback.[x].mean.payload.output"),
        ("feedback.[x].count.a", 18, "feedback.[x].count"),
        ("feedback.[x].any.count", 22, None),
        ("feedback.[x].mean.created_at", 28, None),
        ("feedback.[x].max.author", 23, None),
        ("feedback.[x]@", 13, None),
        ("feedback.[x]@xyz.payload.a", 13, None),
        ("feedback.[].payload.a", 10, None),
        ("zzz", 0, None),
        ("", 0, None),
        ("inputs.a\\b", 8, None),
        ("inputs.a\\", 8, None),
        ("inputs." + "a." * 40, 7, None),
        ("inputs.0.1.2.3", 7, None),
        ("feedback.[x].payload.0.1.2.3", 21, None),
        ("inputs." + "a" * 1100, 1024, None),
        ("inputs.\ud800", 0, None),
    ],
)
def test_an_error_says_where_and_what_was_meant(text: str, at: int, suggestion: str | None) -> None:
    with pytest.raises(QueryError) as caught:
        fields.parse(text)

    assert caught.value.facts.get("at") == at
    assert caught.value.facts.get("suggestion") == suggestion
    assert suggestion is None or suggestion in caught.value.message
    assert len(caught.value.message) < 600
    if suggestion is not None:
        fields.parse(suggestion)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("0", True),
        ("10", True),
        ("01", False),
        ("-1", False),
        ("", False),
        ("٣", False),
        ("1" * 10, False),
    ],
)
def test_an_index_is_digits_without_a_leading_zero(part: str, expected: bool) -> None:
    assert fields.is_index(part) is expected
