"""How values are shown: by their shape, within bounds, and never as anything but text."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup import read

from kibitz.base import jsonable
from kibitz.base.values import File, Markdown
from kibitz.query import fields
from kibitz.server.pages import formats, markdown, messages, values
from kibitz.server.pages.values import Piece

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=6)
            | st.sampled_from(("$type", "value", "role", "content", "messages")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def leaves(pieces: tuple[Piece, ...]) -> list[tuple[str, str]]:
    return [(each.path, each.text) for each in pieces if each.piece == "leaf"]


# The view that fits


@pytest.mark.parametrize(
    ("value", "view"),
    [
        ("plain words", "text"),
        ("It is **bold**", "markdown"),
        ("# Title\n\ntext", "markdown"),
        ("- one\n- two", "markdown"),
        ("5 * 3 * 2", "text"),
        ({"$type": "markdown", "value": "x"}, "markdown"),
        ({"a": 1}, "json"),
        ([1, 2], "json"),
        (3, "json"),
        (False, "json"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "chat"),
        ([{"role": "user", "content": "hi"}], "chat"),
        ({"role": "assistant", "content": "hi"}, "chat"),
        ({"choices": [{"message": {"role": "assistant", "content": "hi"}}]}, "chat"),
        ({"messages": ["hi"]}, "json"),
        ({"messages": []}, "json"),
        ({"role": "admin"}, "json"),
    ],
)
def test_view_is_chosen_by_shape(value: Any, view: str) -> None:
    assert values.show("output", value).view == view


def test_wanted_view_is_taken_where_it_fits() -> None:
    assert values.show("output", "plain", "json").view == "json"
    assert values.show("output", "plain", "chat").view == "text"
    assert values.show("output", "plain", "nonsense").view == "text"


@pytest.mark.parametrize("value", [None, {}, msgspec.UNSET])
def test_nothing_recorded_is_empty(value: Any) -> None:
    assert values.show("output", value).is_empty


@pytest.mark.parametrize("value", [0, False, "", []])
def test_falsy_values_are_values(value: Any) -> None:
    assert not values.show("output", value).is_empty


@given(anything)
def test_any_value_can_be_shown_in_any_view(value: Any) -> None:
    for wanted in (None, "chat", "markdown", "text", "json"):
        shown = values.show("output", value, wanted)
        assert shown.is_empty or shown.view in shown.views


# The tree


def test_tree_names_places_as_queries_do() -> None:
    pieces = values.tree({"user": {"first.name": "Ada"}, "tags": ["x"]}, "inputs")

    assert leaves(pieces) == [(r"inputs.user.first\.name", "Ada"), ("inputs.tags.0", "x")]
    for path, _ in leaves(pieces):
        fields.parse(path)


@given(anything)
def test_every_opening_has_its_closing_and_every_path_can_be_asked(value: Any) -> None:
    depth = 0
    for piece in values.tree({"v": value}, "output"):
        depth += {"open": 1, "close": -1}.get(piece.piece, 0)
        assert depth >= 0
        if piece.path:
            fields.parse(piece.path)
    assert depth == 0


def test_large_value_is_cut_and_says_by_how_much() -> None:
    pieces = values.tree({"list": list(range(5000)), "text": "x" * 10_000}, "output")

    assert len(pieces) <= values.MAX_PIECES + 10
    assert [each.text for each in pieces if each.piece == "more"] == ["4,900 more"]
    assert [each.cut for each in pieces if each.cut] == [10_000 - values.MAX_TEXT]


def test_deep_value_needs_no_recursion() -> None:
    value: Any = "bottom"
    for _ in range(50_000):
        value = [value]

    assert values.tree(value, "output")
    assert "too deeply" in values.plain_text(value)


def test_wide_and_deep_value_stays_within_the_bound() -> None:
    value = {str(n): {str(m): {"leaf": n} for m in range(100)} for n in range(100)}

    assert len(values.tree(value, "output")) < 4 * values.MAX_PIECES


def test_typed_values_are_said_in_words() -> None:
    kinds: Any = {
        "when": {"$type": "datetime", "value": "2026-03-01T10:00:00+01:00"},
        "secret": {"$type": "redacted"},
        "huge": {"$type": "truncated", "kind": "text", "total": 9000, "value": "begin"},
        "thing": {"$type": "object", "class": "app.Thing", "value": "<Thing 1>"},
        "mute": {"$type": "object", "class": "app.Mute"},
        "nan": {"$type": "float", "value": "nan"},
        "set": {"$type": "set", "value": [1]},
    }

    said = {each.key: (each.label, each.text) for each in values.tree(kinds, "output")}

    assert said["when"] == ("datetime", "2026-03-01T10:00:00+01:00")
    assert said["secret"] == ("redacted", "left out: a secret")
    assert said["huge"] == ("truncated", "begin… (the rest was not recorded: text of 9,000)")
    assert said["thing"] == ("app.Thing", "<Thing 1>")
    assert said["mute"] == ("app.Mute", "")
    assert said["nan"] == ("float", "nan")
    assert said["0"] == ("", "1")


def test_what_the_sdk_writes_is_shown_as_it_was_meant() -> None:
    recorded = jsonable.to_json(
        {"page": Markdown("# Hi"), "logo": File(b"\x89PNG", "image/png", name="l.png")}, files={}
    )

    said = {each.key: each for each in values.tree(recorded, "output")}

    assert (said["page"].label, said["page"].text) == ("markdown", "# Hi")
    assert said["logo"].kind == "file"
    assert said["logo"].media_type == "image/png"
    assert len(said["logo"].digest) == 40


def test_typed_value_that_lies_about_itself_is_still_shown() -> None:
    for value in (
        {"$type": "file"},
        {"$type": "markdown", "value": {"a": [1]}},
        {"$type": "datetime", "value": None},
        {"$type": 5},
        {"$type": "truncated", "total": "x"},
        {"$type": "enum"},
        {"$type": "object", "class": ["x"], "value": 5},
    ):
        assert values.tree(value, "output")
        values.show("output", value)


# Conversations


def test_conversation_keeps_what_stands_beside_it() -> None:
    found = messages.find({"model": "m", "messages": [{"role": "user", "content": "hi"}]})

    assert found is not None
    assert found.rest == {"model": "m"}
    assert found.messages[0].parts[0].text == "hi"


def test_parts_of_messages_are_told_apart() -> None:
    found = messages.find(
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image", "source": {"data": "…"}},
                    {"$type": "file", "digest": "d", "media_type": "image/png"},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"name": "find", "arguments": '{"q": 1}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "name": "find", "input": {"q": 2}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "7"}],
            },
        ]
    )

    assert found is not None
    assert [[part.kind for part in message.parts] for message in found.messages] == [
        ["text", "other", "file"],
        ["call"],
        ["result"],
        ["call"],
        ["result"],
    ]
    assert found.messages[1].parts[0].name == "find"


def test_one_entry_that_is_no_message_makes_it_no_conversation() -> None:
    assert messages.find([{"role": "user", "content": "hi"}, {"other": 1}]) is None


# Markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html;base64,PHNjcmlwdD4=)",
        "[a](vbscript:x)",
        "![a](http://evil.example/pixel.png)",
        "![a](javascript:alert(1))",
        "<a href='javascript:alert(1)'>x</a>",
        "<iframe src=//evil.example></iframe>",
        "<style>*{display:none}</style>",
        "```html\n<script>alert(1)</script>\n```",
        "<!-- --!><script>alert(1)</script>",
        "[a]: javascript:alert(1)\n\n[a]",
        "<javascript:alert(1)>",
        "# <svg onload=alert(1)>",
        "|<b onclick=x>|\n|--|\n|<i>|",
    ],
)
def test_markdown_gives_nothing_that_runs_or_loads(text: str) -> None:
    html = markdown.render(text)

    assert html is not None
    page = read(str(html))
    for element in page.walk():
        assert element.tag in markdown.ALLOWED_TAGS
        assert set(element.attributes) <= {"href", "title", "rel", "start"}
        assert element.attributes.get("href", "https:").startswith(("http:", "https:", "mailto:"))


@given(st.text(max_size=200))
def test_markdown_of_any_text_is_only_what_is_allowed(text: str) -> None:
    html = markdown.render(text)

    assert html is not None
    assert {element.tag for element in read(str(html)).walk()} <= markdown.ALLOWED_TAGS


def test_markdown_is_rendered() -> None:
    page = read(str(markdown.render("# Title\n\n- a\n- **b**\n\n[k](https://kibitz.example)")))

    assert page.one("h3").text == "Title"
    assert [each.text for each in page.all("li")] == ["a", "b"]
    assert page.one("a")["rel"] == "noopener noreferrer nofollow"


def test_text_too_long_for_markdown_is_left_to_be_shown_as_text() -> None:
    assert markdown.render("x" * (markdown.MAX_CHARACTERS + 1)) is None


# Numbers and times


def test_ids_that_were_made_together_are_told_apart() -> None:
    one, other = "01a20667-eaa6-7013-9d40-e421f329857f", "01a20667-eaa6-7013-9d40-e421f3298581"

    assert (formats.short_id(one), formats.short_id(other)) == ("01a20667…857f", "01a20667…8581")
    assert formats.short_id("q-17") == "q-17"


def test_what_every_call_of_a_program_has_is_folded() -> None:
    value = {"kibitz": {"client": {"name": "kibitz"}}, "user": {"name": "ann"}}

    def is_open(name: str) -> dict[str | None, bool]:
        return {each.key: each.is_open for each in values.tree(value, name) if each.piece == "open"}

    assert is_open("attributes") == {"kibitz": False, "client": True, "user": True}
    assert is_open("output")["kibitz"]


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, "…"),
        (0, "0 µs"),
        (0.414, "414 µs"),
        (0.9994, "999 µs"),
        (0.9996, "1.00 ms"),
        (9.99, "9.99 ms"),
        (412.3, "412 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (3210, "3.21 s"),
        (59_990, "60.0 s"),
        (59_999, "1 min 00 s"),
        (125_400, "2 min 05 s"),
        (3_599_600, "1 h 00 min"),
        (11_520_000, "3 h 12 min"),
    ],
)
def test_durations_have_digits_that_count(milliseconds: float | None, words: str) -> None:
    assert formats.duration(milliseconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4096, "4.1 kB"), (2_300_000_000, "2.3 GB")],
)
def test_sizes_are_decimal(count: int, words: str) -> None:
    assert formats.size(count) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "0.5"),
        (1 / 3, "0.3333"),
        (1.0, "1"),
        (1234567, "1,234,567"),
        (True, "true"),
        (None, "null"),
        (1e300, "1e+300"),
        ("x", "x"),
    ],
)
def test_scores_are_short(value: Any, words: str) -> None:
    assert formats.scalar(value) == words


@pytest.mark.parametrize(
    ("type_", "path", "name"),
    [
        ("runnable.short", ("output",), "short"),
        ("runnable.short", ("output", "score"), "short.score"),
        ("annotation.helpful", ("value",), "helpful"),
        ("reaction", ("emoji",), "reaction"),
        ("custom", ("a", "b"), "custom.a.b"),
    ],
)
def test_feedback_columns_have_the_judges_name(
    type_: str, path: tuple[str, ...], name: str
) -> None:
    assert formats.feedback_name(type_, path) == name
