"""What people are asked: which schemas are taken, what their answers may be, and who may give them."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Literal, TypedDict

import drawing
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from kibitz.base import refs
from kibitz.base.errors import InvalidAnswer, InvalidSpecification, NotPermitted, OutOfScope
from kibitz.base.specifications import AnnotationSpec, matches


class Tone(enum.Enum):
    """How it sounds."""

    KIND = "kind"
    RUDE = "rude"


@dataclasses.dataclass
class Review:
    """A review."""

    rating: Annotated[int, Field(ge=1, le=5)]
    tone: Tone = Tone.KIND
    tags: set[Literal["long", "wrong"]] = dataclasses.field(default_factory=set)
    reason: str | None = None


class Inner(BaseModel):
    ok: bool


class Model(BaseModel):
    rating: int = Field(ge=1, le=5)
    inner: Inner
    tags: list[Literal["long", "wrong"]] = []
    reason: str | None = None


class Asked(TypedDict, total=False):
    rating: Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Loop(BaseModel):
    inside: Loop | None = None


CHOICES = {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True}
RANKING = {"type": "array", "format": "ranking", "items": {"enum": ["a", "b", "c"]}}
SPANS = {"type": "array", "format": "spans", "field": "output.text", "labels": ["bad", "good"]}


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        (bool, {"": "boolean"}),
        (int, {"": "integer"}),
        (float, {"": "number"}),
        (str, {"": "text"}),
        ((int, Field(ge=1, le=5)), {"": "integer"}),
        (Literal["a", "b"], {"": "choice"}),
        (Tone, {"": "choice"}),
        (set[Literal["a", "b"]], {"": "choices"}),
        (Annotated[bool, {"format": "thumbs"}], {"": "thumbs"}),
        (RANKING, {"": "ranking"}),
        (SPANS, {"": "spans"}),
        ({"format": "correction"}, {"": "correction"}),
        (Review, {"rating": "integer", "tone": "choice", "tags": "choices", "reason": "text"}),
        (
            Model,
            {"rating": "integer", "inner.ok": "boolean", "tags": "choices", "reason": "text"},
        ),
        (Asked, {"rating": "number"}),
    ],
)
def test_a_form_is_made_of_what_a_program_says(source, kinds) -> None:
    spec = AnnotationSpec("helpful", source)

    assert {".".join(slot.path): slot.control.kind for slot in spec.slots} == kinds


@pytest.mark.parametrize(
    ("schema", "keyword", "place"),
    [
        ({"type": "number", "minimun": 1}, "minimun", "schema.minimun"),
        ({"type": "string", "pattern": "a*"}, "pattern", "schema.pattern"),
        ({"type": "number", "minimum": 5, "maximum": 1}, "minimum", "schema.minimum"),
        (
            {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
            "exclusiveMinimum",
            "schema.exclusiveMinimum",
        ),
        (
            {"type": "number", "minimum": 0.5, "maximum": 0.9, "multipleOf": 1},
            "minimum",
            "schema.minimum",
        ),
        ({"type": "number", "multipleOf": 0}, "multipleOf", "schema.multipleOf"),
        ({"type": "number", "minimum": "1"}, "minimum", "schema.minimum"),
        ({"type": "number", "minimum": float("nan")}, "minimum", "schema.minimum"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "minLength", "schema.minLength"),
        ({"enum": []}, "enum", "schema.enum"),
        ({"enum": ["a", "a"]}, "enum", "schema.enum"),
        ({"enum": [1, 1.0]}, "enum", "schema.enum"),
        ({"enum": [{"a": 1}]}, "enum", "schema.enum"),
        ({"enum": ["a"], "type": "integer"}, "enum", "schema.enum"),
        ({**CHOICES, "uniqueItems": False}, "uniqueItems", "schema.uniqueItems"),
        ({**CHOICES, "minItems": 4}, "minItems", "schema.minItems"),
        ({"type": "array", "items": {"type": "string"}}, "items", "schema.items"),
        ({**RANKING, "maxItems": 2}, "maxItems", "schema.maxItems"),
        ({**SPANS, "field": "elsewhere"}, "field", "schema.field"),
        ({**SPANS, "labels": [1]}, "labels", "schema.labels"),
        ({"type": "object", "properties": {}}, "properties", "schema.properties"),
        (
            {"type": "object", "properties": {"a": {"type": "int"}}},
            "type",
            "schema.properties.a.type",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
            "required",
            "schema.required",
        ),
        ({"type": "string", "format": "date-time"}, "format", "schema.format"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "anyOf", "schema.anyOf"),
        ({"$ref": "https://example.com/schema.json"}, "$ref", "schema.$ref"),
        ({"type": "integer", "default": "x"}, "default", "schema.default"),
        ({}, "type", "schema.type"),
    ],
)
def test_what_could_not_be_enforced_or_answered_is_refused_by_keyword(
    schema, keyword, place
) -> None:
    with pytest.raises(InvalidSpecification) as caught:
        AnnotationSpec("helpful", schema)

    assert (caught.value.facts.get("keyword"), caught.value.facts["field"]) == (keyword, place)
    assert place in caught.value.message


@pytest.mark.parametrize("source", [Loop, int | str, list[int], object(), complex])
def test_a_type_that_is_no_form_is_refused(source) -> None:
    with pytest.raises(InvalidSpecification):
        AnnotationSpec("helpful", source)


@pytest.mark.parametrize("depth", [5, 5_000])
def test_depth_is_bounded(depth) -> None:
    schema: dict[str, Any] = {"type": "boolean"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}

    with pytest.raises(InvalidSpecification):
        AnnotationSpec("helpful", schema)


def test_definitions_that_grow_without_end_are_refused() -> None:
    """Each level names the one below twice: a thousand bytes that would be a million fields."""
    levels: dict[str, Any] = {"l0": {"type": "boolean"}}
    for n in range(1, 30):
        ref = {"$ref": f"#/$defs/l{n - 1}"}
        levels[f"l{n}"] = {"type": "object", "properties": {"a": ref, "b": ref}}

    with pytest.raises(InvalidSpecification):
        AnnotationSpec("helpful", {"$ref": "#/$defs/l29", "$defs": levels})


@pytest.mark.parametrize(
    ("source", "answers", "wrong"),
    [
        (
            (int, Field(ge=1, le=5)),
            [1, 5, 3.0],
            [(0, "minimum"), (7, "maximum"), (1.5, "type"), (True, "type"), ("1", "type")],
        ),
        (
            {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.1},
            [0.1, 0.3, 7],
            [(0, "exclusiveMinimum"), (0.25, "multipleOf"), (None, "type")],
        ),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, [None, True], [(0, "type")]),
        (Literal["a", 1], ["a", 1, 1.0], [("b", "enum"), (True, "enum"), (["a"], "enum")]),
        (
            CHOICES,
            [[], ["b", "a"]],
            [(["a", "a"], "uniqueItems"), (["d"], "enum"), ("a", "type"), ({}, "type")],
        ),
        (
            RANKING,
            [["c", "a", "b"]],
            [(["a", "b"], "minItems"), (["a", "b", "b"], "uniqueItems"), (["a"] * 4, "maxItems")],
        ),
        (
            {"type": "string", "minLength": 1, "maxLength": 2},
            ["é", "🙂🙂"],
            [("", "minLength"), ("abc", "maxLength"), (1, "type")],
        ),
        (Annotated[bool, {"format": "thumbs"}], [True], [("up", "type")]),
        (
            {"format": "correction", "type": ["string", "integer"]},
            ["x", 1, 2.0],
            [(None, "type"), (1.5, "type"), ([], "type")],
        ),
        (
            Review,
            [{"rating": 1}, {"rating": 5, "tags": ["long"], "reason": None, "tone": "rude"}],
            [
                ({}, "required"),
                ({"rating": 7}, "maximum"),
                ({"rating": 1, "x": 1}, "additionalProperties"),
                ({"rating": 1, "tone": None}, "enum"),
                ([], "type"),
            ],
        ),
    ],
)
def test_an_answer_fits_or_the_error_names_the_rule(source, answers, wrong) -> None:
    spec = AnnotationSpec("helpful", source)
    for answer in answers:
        spec.validate(answer)
    for answer, rule in wrong:
        with pytest.raises(InvalidAnswer) as caught:
            spec.validate(answer)
        assert caught.value.facts["rule"] == rule, answer


def test_the_message_says_the_place_the_value_and_what_is_allowed() -> None:
    with pytest.raises(InvalidAnswer, match="^rating is 7; helpful allows at most 5$") as caught:
        AnnotationSpec("helpful", Review).validate({"rating": 7})

    assert caught.value.facts["field"] == "payload.value.rating"
    assert caught.value.facts["allowed"] == 5


TEXT = "naïve 🙂 café"


def look(path: tuple[str, ...]) -> Any:
    return TEXT if path == ("output", "text") else None


@pytest.mark.parametrize(
    "span",
    [
        {"start": 0, "end": 5, "label": "bad", "text": "naïve"},
        {"start": 6, "end": 7, "label": "good", "text": "🙂"},
        {"start": 8, "end": 12, "label": "good"},
    ],
)
def test_a_span_is_a_piece_of_the_text(span) -> None:
    AnnotationSpec("marks", SPANS).validate([span], look=look)


@pytest.mark.parametrize(
    "span",
    [
        {"start": 0, "end": 13, "label": "bad"},
        {"start": 3, "end": 3, "label": "bad"},
        {"start": -1, "end": 3, "label": "bad"},
        {"start": 0.5, "end": 3, "label": "bad"},
        {"start": 0, "end": 5, "label": "other"},
        {"start": 0, "end": 5, "label": "bad", "text": "naive"},
        {"start": 0, "end": 5, "label": "bad", "text": "na"},
        {"start": 0, "end": 5, "label": "bad", "colour": "red"},
        {"start": 0, "end": 5},
        "naïve",
    ],
)
def test_a_span_that_is_not_there_is_refused(span) -> None:
    with pytest.raises(InvalidAnswer):
        AnnotationSpec("marks", SPANS).validate([span], look=look)


def test_spans_of_something_that_is_no_text_are_refused() -> None:
    spec = AnnotationSpec("marks", {**SPANS, "field": "output"})

    with pytest.raises(InvalidAnswer, match="output of the call is null"):
        spec.validate([{"start": 0, "end": 1, "label": "bad"}], look=look)


def test_the_same_span_twice_is_refused() -> None:
    span = {"start": 0, "end": 5, "label": "bad"}

    with pytest.raises(InvalidAnswer) as caught:
        AnnotationSpec("marks", SPANS).validate([span, span], look=look)
    assert caught.value.facts["rule"] == "uniqueItems"


def test_who_may_see_and_answer() -> None:
    spec = AnnotationSpec("x", bool, see=["kind:person", "bot-*"], answer=["ann", "*@acme.com"])

    assert spec.may_answer("ann")
    assert spec.may_answer("bob@acme.com")
    assert not spec.may_answer("bob")
    assert not spec.may_answer("ann", "model"), "who may not see it may not answer"
    assert spec.may_see("bob")
    assert spec.may_see("bot-7", "program")
    assert not spec.may_see("judge", "model")
    with pytest.raises(NotPermitted, match="person 'bob' may not answer 'x'"):
        spec.check_author("bob", "person")


def test_what_it_is_about() -> None:
    spec = AnnotationSpec("x", bool, ops=["answer*", "rag.*.final"])

    spec.check_target("call", "answer_v2")
    spec.check_target("call", "rag.a.b.final")
    spec.check_target("call", None)
    for kind, op in (("call", "retrieve"), ("trace", None)):
        with pytest.raises(OutOfScope):
            spec.check_target(kind, op)
    AnnotationSpec("x", bool).check_target("thread")
    with pytest.raises(OutOfScope):
        AnnotationSpec("x", bool, targets=["message"]).check_target("call")


@pytest.mark.parametrize(
    "wrong",
    [
        {"see": ["kind:robot"]},
        {"answer": "ann"},
        {"answer": [""]},
        {"targets": ["calls"]},
        {"unique_among_creators": 1},
        {"guidelines": "\0"},
        {"name": ""},
        {"name": "a\nb"},
    ],
)
def test_the_rest_of_a_specification_is_checked_too(wrong) -> None:
    with pytest.raises(InvalidSpecification):
        AnnotationSpec(**{"name": "x", "schema": bool, **wrong})


@given(pattern=st.text(st.sampled_from("ab*"), max_size=8), text=st.text(st.sampled_from("ab*")))
def test_a_pattern_means_what_a_shell_means_by_stars(pattern, text) -> None:
    import re

    regular = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    assert matches(pattern, text) == (regular.fullmatch(text) is not None)


def test_a_change_of_anything_is_a_version() -> None:
    first = AnnotationSpec("x", {"type": "integer", "minimum": 1, "maximum": 5})

    assert (
        first.digest == AnnotationSpec("x", {"maximum": 5, "minimum": 1, "type": "integer"}).digest
    )
    assert first.digest != AnnotationSpec("x", first.schema, guidelines="be kind").digest
    ref = refs.parse_ref(first.ref("team/app"))
    assert (ref.kind, ref.name, ref.digest) == ("object", "x", first.part().digest)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["a", "b", 1, 1.0, 0.1, 5, "up"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["start", "end", "label", "text", "a", "b"]), inner),
    ),
    max_leaves=8,
)
KEYWORDS = [
    "type",
    "format",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "title",
    "default",
    "field",
    "labels",
    "anyOf",
    "$ref",
    "pattern",
]
WORDS = ["number", "integer", "boolean", "string", "array", "object", "null"]
FORMATS = ["thumbs", "ranking", "spans", "correction"]


def _sensible(keyword: str) -> st.SearchStrategy[Any]:
    match keyword:
        case "type":
            return st.one_of(st.sampled_from(WORDS), st.lists(st.sampled_from(WORDS), max_size=3))
        case "format":
            return st.sampled_from([*FORMATS, "date"])
        case "enum" | "labels":
            return st.lists(scalars, max_size=4)
        case "field":
            return st.sampled_from(["output", "inputs.a", "x", "output.", "output\\.x"])
        case "uniqueItems":
            return st.booleans()
        case _:
            return st.one_of(scalars, st.integers(-3, 6), st.floats(-3, 6))


@st.composite
def _schemas(draw: st.DrawFn, depth: int = 2) -> Any:
    if draw(st.integers(0, 30)) == 0:
        return draw(values)
    schema: dict[str, Any] = {}
    if draw(st.integers(0, 4)):
        schema["type"] = draw(st.sampled_from(WORDS))
    for keyword in draw(st.lists(st.sampled_from(KEYWORDS), max_size=3, unique=True)):
        schema[keyword] = draw(_sensible(keyword))
    if depth and schema.get("type") == "array":
        schema["items"] = draw(
            st.one_of(
                st.fixed_dictionaries({"enum": st.lists(scalars, min_size=1, max_size=4)}),
                _schemas(depth - 1),
            )
        )
        schema.setdefault("uniqueItems", True)
    if depth and schema.get("type") == "object":
        names = st.sampled_from(["a", "b", "rating", "", "x.y"])
        schema["properties"] = draw(st.dictionaries(names, _schemas(depth - 1), max_size=3))
        schema["required"] = draw(st.lists(names, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _made(schema: Any) -> AnnotationSpec | InvalidSpecification:
    try:
        return AnnotationSpec("helpful", schema)
    except InvalidSpecification as error:
        return error


def _outcome(spec: AnnotationSpec, value: Any) -> tuple[str, Any] | None:
    try:
        spec.validate(value)
    except InvalidAnswer as error:
        return error.message, error.facts["rule"]
    return None


@settings(max_examples=drawing.examples(400), deadline=None)
@given(schema=_schemas(), answers=st.lists(values, max_size=6))
def test_any_schema_is_refused_with_a_reason_or_means_the_same_after_json(schema, answers) -> None:
    spec = _made(schema)
    if isinstance(spec, InvalidSpecification):
        assert spec.facts["field"] in spec.message or spec.facts["field"] == "schema"
        return

    again = AnnotationSpec.from_value(msgspec.json.decode(msgspec.json.encode(spec.value)))
    assert (again.value, again.digest) == (spec.value, spec.digest)
    options = [each for slot in spec.slots for each in slot.control.options]
    for answer in [*answers, *options, options, options[:1], {"a": 1}, {}]:
        assert _outcome(spec, answer) == _outcome(again, answer)
