"""Shapes of texts; JSON schemas against the reference library."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base.errors import UsageError
from kibitz.providers import Local, schemas

LOCAL = Local()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, -2.5, "", "a", "ab", "abc", "你"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "ab"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SMALL = st.integers(0, 3)
PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            [
                "null",
                "boolean",
                "integer",
                "number",
                "string",
                "array",
                "object",
                ["string", "null"],
            ]
        ),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$", "c"]),
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "minProperties": SMALL,
        "maxProperties": SMALL,
        "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        "dependentRequired": st.just({"a": ["b"]}),
    },
)
SCHEMAS = st.recursive(
    st.booleans() | PLAIN,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            "patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1),
            "additionalProperties": inner,
            "propertyNames": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "contains": inner,
            "maxContains": SMALL,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.just("#/$defs/short"),
            "title": st.just("a title"),
        },
    ),
    max_leaves=5,
)


@settings(max_examples=70, deadline=None)
@given(SCHEMAS, VALUES)
def test_a_schema_means_what_the_reference_library_says(schema: Any, value: Any) -> None:
    if isinstance(schema, bool):
        schema = {"allOf": [schema]}
    schema = {**schema, "$defs": {"short": {"maxLength": 2}}}

    expected = jsonschema.Draft202012Validator(schema).is_valid(value)

    score, said = LOCAL.json_schema_with_reasons(json.dumps(value), schema)
    assert score == float(expected), said


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "Ann", "age": 3}', "it keeps the schema"),
        ('{"age": 3}', "/: 'name' is missing"),
        ('{"name": "Ann", "age": -1}', "/age: -1 is too small"),
        ('{"name": 7}', "/name: it is 7, not string"),
        ("Sure! {}", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_the_reason_says_what_is_wrong_first_and_where(text: str, reason: str) -> None:
    score, said = LOCAL.json_schema_with_reasons(text, PERSON)

    assert (score, said["reason"]) == (float(reason == "it keeps the schema"), reason)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"typo": 1}, "/typo of the schema is not a keyword"),
        (
            {"properties": {"a": {"unevaluatedProperties": False}}},
            "/properties/a/unevaluatedProperties",
        ),
        ({"type": "text"}, "/type of the schema is 'text'"),
        ({"items": [1]}, r"the schema at /items is \[1\]"),
        ({"$ref": "other.json"}, "leads out of the schema"),
        ({"$ref": "#/$defs/none"}, "names nothing"),
        ({"minimum": "1"}, "/minimum"),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"pattern": "("}, "never closed"),
    ],
)
def test_a_schema_that_would_not_be_checked_is_refused(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LOCAL.json_schema("1", schema)


def test_references_that_never_end_and_alternatives_that_explode_are_stopped() -> None:
    with pytest.raises(UsageError, match="too deep or too large"):
        LOCAL.json_schema("1", {"$ref": "#"})
    doubling = {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}
    names = [*"abcdefghijklmnopqrstuvwxyz"]
    defs: dict[str, Any] = {
        one: {"allOf": [{"not": {"not": {"$ref": f"#/$defs/{other}"}}}] * 2}
        for one, other in zip(names, names[1:], strict=False)
    }
    with pytest.raises(UsageError, match="too deep or too large"):
        LOCAL.json_schema("1", {**doubling, "$defs": {**defs, "z": {}}})


def test_a_recursive_schema_follows_the_value() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}

    assert LOCAL.json_schema('{"next": {"next": {}}}', tree) == 1.0
    assert LOCAL.json_schema('{"next": {"other": {}}}', tree) == 0.0
    assert (
        schemas.Checked(tree).first_problem({"next": {"x": 1}})
        == "/next/x: nothing is allowed here"
    )


@pytest.mark.parametrize(
    ("text", "fenced", "score"),
    [
        ('{"a": 1}', False, 1.0),
        (" [1, 2] \n", False, 1.0),
        ("NaN", False, 0.0),
        ("{'a': 1}", False, 0.0),
        ('{"a": 1} ok', False, 0.0),
        ('```json\n{"a": 1}\n```', False, 0.0),
        ('```json\n{"a": 1}\n```', True, 1.0),
        ('Here:\n```json\n{"a": 1}\n```', True, 0.0),
        ("[" * 100_000, False, 0.0),
        ("9" * 5_000, False, 0.0),
    ],
)
def test_json_is_known(text: str, fenced: bool, score: float) -> None:
    assert LOCAL.is_json(text, fenced) == score


def test_fields_that_are_empty_are_not_there() -> None:
    assert LOCAL.json_fields('{"a": 0, "b": "", "c": null}', ["a", "b", "c", "d"]) == 0.25
    assert LOCAL.json_fields("[1]", ["a"]) == 0.0


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("is_code_block", "```py\nx = 1\n```", "```py\nx\n```\nand\n```py\ny\n```"),
        ("has_code_block", "Use:\n```\nx\n```", "Use `x`, or ```"),
        ("has_table", "| a | b |\n|---|:-:|\n| 1 | 2 |", "a | b\nc | d"),
        ("has_table", "a | b\n--- | ---\n1 | 2", "| a | b |\n|---|\n"),
        ("has_url", "see https://example.com/a?b=1.", "see example.com"),
        ("list_share", "- a\n2. b\n\n* c", "a\nb"),
    ],
)
def test_shapes_of_markdown_are_known(name: str, yes: str, no: str) -> None:
    assert (getattr(LOCAL, name)(yes), getattr(LOCAL, name)(no)) == (1.0, 0.0)


def test_addresses_have_to_be_in_the_source() -> None:
    source = ["Docs: https://example.com/a.", "more"]

    assert LOCAL.urls_from_source("See https://example.com/a", source) == 1.0
    assert LOCAL.urls_from_source("https://example.com/a and https://evil.example/b", source) == 0.5
    assert LOCAL.urls_from_source("none", source) == 1.0
    assert LOCAL.heading_count("# a\ntext\n### b\n#c") == 2
