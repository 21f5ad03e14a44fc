"""Specifications as forms, and forms as answers: what is shown comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base import answers
from kibitz.base.errors import InvalidAnswer
from kibitz.base.specifications import Specification
from kibitz.server.pages import answer_forms
from kibitz.server.pages.answer_forms import NOTHING, Field

OUTPUT = "the quick 🦊 jumps, the end"
CALL = {"inputs": {"question": "why?"}, "output": OUTPUT, "attributes": {}, "summary": {"n": [1]}}


def look(path: tuple[str, ...]) -> Any:
    value: Any = CALL
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return answers.MISSING
        value = value[key]
    return value


def spec(schema: dict[str, Any]) -> Specification:
    return Specification("x", schema)


def sends(field: Field) -> list[str]:
    """What a browser sends for a field as it stands."""
    match field.display:
        case "options" | "checks" | "menu":
            return [each.value for each in field.options if each.chosen]
        case "ranking":
            return [f"{each.place or ''}:{each.value}" for each in field.options]
        case _:
            return [field.text.replace("\n", "\r\n")]


def sent(given_: Specification, **more: Any) -> dict[str, list[str]]:
    return {each.name: sends(each) for each in answer_forms.fields(given_, look=look, **more)}


THINGS = {"enum": ["a", "b", 1, "1", True]}
KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "number": ({"type": "number", "minimum": 0}, 0.25),
    "scale": ({"type": "integer", "minimum": 1, "maximum": 5}, 4),
    "integer": ({"type": "integer"}, -12),
    "boolean": ({"type": "boolean"}, False),
    "thumbs": ({"type": "boolean", "format": "thumbs"}, True),
    "choice": (THINGS, "1"),
    "choice of a number": (THINGS, 1),
    "choice of a truth": (THINGS, True),
    "menu": ({"enum": [f"o{n}" for n in range(20)]}, "o17"),
    "choices": ({"type": "array", "items": THINGS, "uniqueItems": True}, ["b", 1]),
    "no choices": ({"type": "array", "items": THINGS, "uniqueItems": True}, []),
    "text": ({"type": "string"}, "line one\nline two"),
    "ranking": (
        {"type": "array", "format": "ranking", "items": {"enum": ["a", "b", "c"]}},
        ["c", "a", "b"],
    ),
    "spans": (
        {"type": "array", "format": "spans", "labels": ["wrong", "good"]},
        [{"start": 10, "end": 11, "label": "wrong", "text": "🦊"}],
    ),
    "correction": ({"format": "correction"}, "a better\nanswer"),
    "correction of a list": ({"format": "correction", "field": "summary.n"}, [1, 2]),
    "fields": (
        {
            "type": "object",
            "properties": {
                "score": {"type": "integer", "minimum": 0, "maximum": 3},
                "more": {"type": "object", "properties": {"why": {"type": "string"}}},
            },
        },
        {"score": 2, "more": {"why": "because"}},
    ),
}


@pytest.mark.parametrize(("schema", "value"), KINDS.values(), ids=KINDS)
def test_answer_that_a_form_shows_is_what_it_sends(schema: dict[str, Any], value: Any) -> None:
    asked = spec(schema)
    asked.validate(value, look=look)

    found = answer_forms.read(asked, sent(asked, value=value), look=look)

    assert found == value
    assert type(found) is type(value)
    asked.validate(found, look=look)


@pytest.mark.parametrize(("schema", "value"), KINDS.values(), ids=KINDS)
def test_empty_form_is_no_answer(schema: dict[str, Any], value: Any) -> None:
    asked = spec(schema)

    assert answer_forms.read(asked, sent(asked), look=look) is NOTHING
    assert answer_forms.read(asked, {}, look=look) is NOTHING


@pytest.mark.parametrize(("schema", "value"), KINDS.values(), ids=KINDS)
def test_what_was_sent_is_shown_again(schema: dict[str, Any], value: Any) -> None:
    asked = spec(schema)
    first = sent(asked, value=value)

    assert answer_forms.read(asked, sent(asked, sent=first), look=look) == value


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_ranking_with_missing_or_doubled_places_is_refused_by_its_rule(places: list[int]) -> None:
    asked = spec({"type": "array", "format": "ranking", "items": {"enum": ["a", "b", "c"]}})
    things = ['"a"', '"b"', '"c"', '"d"', '"e"', "1", "[", '"a"']
    texts = [f"{place}:{thing}" for place, thing in zip(places, things, strict=False)]

    found = answer_forms.read(asked, {"answer.x.0": texts})

    if sorted(found, key=str) != ["a", "b", "c"]:
        with pytest.raises(InvalidAnswer):
            asked.validate(found)


@pytest.mark.parametrize("text", ["many", "1e999", "true", "1,000,000", "0x10", '"3"', "NaN"])
def test_text_that_is_no_number_is_left_for_the_rule_to_refuse(text: str) -> None:
    asked = spec({"type": "number"})

    found = answer_forms.read(asked, {"answer.x.0": [text]})

    with pytest.raises(InvalidAnswer):
        asked.validate(found)


@pytest.mark.parametrize(("text", "number"), [("0,5", 0.5), (" 3 ", 3), ("+2", 2), ("-1e2", -100)])
def test_numbers_are_read_as_people_type_them(text: str, number: float) -> None:
    assert answer_forms.read(spec({"type": "number"}), {"answer.x.0": [text]}) == number


def test_scale_is_chosen_by_its_own_digits_and_options_by_their_place() -> None:
    (numbers,) = answer_forms.fields(spec({"type": "integer", "minimum": 0, "maximum": 10}))
    (words,) = answer_forms.fields(spec({"enum": ["x", "y"]}))
    (thumbs,) = answer_forms.fields(spec({"format": "thumbs"}))

    assert [each.key for each in numbers.options] == [*"0123456789", ""]
    assert [(each.key, each.label) for each in words.options] == [("1", "x"), ("2", "y")]
    assert [(each.key, each.value) for each in thumbs.options] == [("1", "true"), ("2", "false")]


def test_long_choices_are_a_menu_and_wide_scales_a_field() -> None:
    (menu,) = answer_forms.fields(spec({"enum": [f"o{n}" for n in range(10)]}))
    (number,) = answer_forms.fields(spec({"type": "integer", "minimum": 0, "maximum": 100}))

    assert menu.display == "menu"
    assert (number.display, number.minimum, number.maximum) == ("number", "0", "100")
    assert number.hint == "a whole number from 0 to 100"


def test_marked_lines_become_spans_of_the_text() -> None:
    asked = spec({"type": "array", "format": "spans", "labels": ["wrong"]})

    found = answer_forms.read(asked, {"answer.x.0": ["wrong: 🦊 jumps\r\n"]}, look=look)

    assert found == [{"start": 10, "end": 17, "label": "wrong", "text": "🦊 jumps"}]
    asked.validate(found, look=look)
    nowhere = answer_forms.read(asked, {"answer.x.0": ["wrong: a bear"]}, look=look)
    with pytest.raises(InvalidAnswer):
        asked.validate(nowhere, look=look)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[1, NaN]"])
def test_words_that_json_does_not_have_stay_texts(text: str) -> None:
    correction = spec({"format": "correction", "field": "summary.n"})

    value = answer_forms.read(correction, {answer_forms.name_of(correction, 0): [text]}, look=look)

    assert value == text


def test_unchanged_copy_is_no_correction() -> None:
    asked = spec({"format": "correction"})
    (field,) = answer_forms.fields(asked, look=look)

    assert field.source == field.text == OUTPUT
    assert answer_forms.read(asked, {"answer.x.0": [OUTPUT]}, look=look) is NOTHING
    assert answer_forms.read(asked, {"answer.x.0": ["12"]}, look=look) == "12"


def test_optional_fields_are_left_out_and_errors_find_their_slot() -> None:
    asked = spec(KINDS["fields"][0])

    found = answer_forms.read(asked, {"answer.x.0": ["7"], "answer.x.1": [""]})

    assert found == {"score": 7}
    with pytest.raises(InvalidAnswer) as raised:
        asked.validate(found)
    assert answer_forms.position_of(asked, raised.value.facts["field"]) == 0
    assert answer_forms.position_of(asked, "payload.value.more.why") == 1
    shown = answer_forms.fields(asked, errors={0: "too much"})
    assert [each.error for each in shown] == ["too much", ""]
    assert [each.label for each in shown] == ["score", "more.why"]


def test_default_is_chosen_until_something_else_is() -> None:
    asked = spec({"type": "boolean", "default": True})

    assert [each.chosen for each in answer_forms.fields(asked)[0].options] == [True, False]
    assert [each.chosen for each in answer_forms.fields(asked, value=False)[0].options] == [
        False,
        True,
    ]
