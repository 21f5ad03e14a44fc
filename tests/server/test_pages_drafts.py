"""A specification in its form and as a schema: the one makes the other, and a mistake finds its field."""

from __future__ import annotations

from typing import Any

import pytest

from kibitz.base.errors import InvalidSpecification
from kibitz.base.specifications import Specification
from kibitz.server.pages import drafts
from kibitz.server.pages.drafts import Draft

SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 1, "maximum": 5},
    {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "boolean", "format": "thumbs"},
    {"enum": ["a", "true", "1", 1, True, "two words", '"quoted"']},
    {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True, "minItems": 1},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "maxItems": 2},
    {"type": "string", "minLength": 3, "maxLength": 200},
    {"type": "array", "format": "ranking", "items": {"enum": ["a", "b"]}},
    {
        "type": "array",
        "format": "spans",
        "field": "inputs.question",
        "labels": ["x"],
        "maxItems": 4,
    },
    {"format": "correction", "field": "output"},
]
BEYOND: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "boolean"}}},
    {"type": "integer", "minimum": 1, "title": "Score"},
    {"type": "integer", "exclusiveMinimum": 1},
    {"type": ["integer", "null"]},
    {"type": "boolean", "default": True},
    {"format": "correction", "field": "output", "type": "string"},
]


def sent(draft: Draft) -> dict[str, list[str]]:
    """What a browser sends for the form of a draft."""
    names = ("name", "kind", "mode", *drafts.PLACES)
    pairs = {name: str(getattr(draft, name)).replace("\n", "\r\n") for name in names}
    return {name: [text] for name, text in pairs.items() if name != "unique" or draft.unique}


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_form_of_a_schema_makes_that_schema(schema: dict[str, Any]) -> None:
    spec = Specification("x", schema, ops=["a*", "b"], answer=["kind:person"], guidelines="g\n\nh")
    draft = drafts.from_spec(spec)

    assert draft.mode == "form"
    assert drafts.to_spec(drafts.from_form(sent(draft))).value == spec.value


@pytest.mark.parametrize("schema", BEYOND, ids=str)
def test_schema_that_says_more_than_the_form_stays_a_schema(schema: dict[str, Any]) -> None:
    spec = Specification("x", schema, unique_among_creators=False, targets=["call"])
    draft = drafts.from_spec(spec)

    assert draft.mode == "schema"
    assert drafts.to_spec(drafts.from_form(sent(draft))).value == spec.value


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_rules_go_to_the_schema_view_and_back(schema: dict[str, Any]) -> None:
    draft = drafts.from_spec(Specification("x", schema))
    as_schema = drafts.as_schema(draft)

    back = drafts.as_form(as_schema, drafts.to_schema(as_schema))
    assert back is not None
    assert drafts.to_spec(back) == drafts.to_spec(draft)


@pytest.mark.parametrize(
    ("draft", "place", "says"),
    [
        (Draft(name="x", kind="integer", minimum="many"), "minimum", "'many'"),
        (Draft(name="x", kind="integer", minimum="5", maximum="1"), "minimum", "maximum"),
        (Draft(name="x", kind="number", step="0"), "step", "multipleOf"),
        (Draft(name="x", kind="choice", options=""), "options", "enum"),
        (Draft(name="x", kind="choices", options="a\na"), "options", "twice"),
        (Draft(name="x", kind="choices", options="a\nb", least="3"), "least", "minItems"),
        (Draft(name="x", kind="ranking", options="a"), "options", "one thing"),
        (Draft(name="x", kind="spans", options="a", field="nowhere"), "field", "nowhere"),
        (Draft(name="x", kind="text", most="-1"), "most", "maxLength"),
        (Draft(name=" ", kind="boolean"), "name", "name"),
        (Draft(name="x", kind="boolean", answer="kind:dog"), "answer", "kind:dog"),
        (Draft(name="x", mode="schema", schema="{"), "schema", "not JSON"),
        (Draft(name="x", mode="schema", schema="[1]"), "schema", "not an object"),
        (Draft(name="x", mode="schema", schema='{"type": "intger"}'), "schema", "intger"),
    ],
)
def test_mistake_is_named_at_its_field(draft: Draft, place: str, says: str) -> None:
    with pytest.raises(InvalidSpecification) as raised:
        drafts.to_spec(drafts.from_form(sent(draft)))

    assert drafts.place_of(raised.value.facts["field"], draft.mode) == place
    assert says in raised.value.message
