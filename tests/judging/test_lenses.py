"""Lenses select what they say, say where it is, and come back from their text."""

from __future__ import annotations

import copy
import itertools
import pickle
import types
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from kibitz.base.errors import MissingPlace, UsageError
from kibitz.judging import lenses
from kibitz.judging.lenses import Lens
from kibitz.judging.select import Select
from kibitz.judging.steps import Collect, Index, Member, Several, Slice

RECORD: dict[str, Any] = {
    "main_input": "why?",
    "app": {
        "retriever": {
            "retrieve": [{"args": {"odd key": 1, "get": 2}, "rets": [{"text": "a"}, {"text": "b"}]}]
        },
        "llm": [{"rets": "x"}, {"rets": "y"}, {"error": "late"}],
    },
    "empty": [],
    "nested": [[{"n": 1}], [{"n": 2}, {"m": 3}]],
}


@dataclass(frozen=True)
class Passage:
    text: str
    score: float = 0.5

    def shout(self) -> str:
        return self.text.upper()


class Point(NamedTuple):
    x: int
    y: int


class Struct(msgspec.Struct, frozen=True):
    text: str


class Model(BaseModel):
    text: str


def values(lens: Lens, value: Any) -> list[Any]:
    return list(lens.get(value))


@pytest.mark.parametrize(
    ("lens", "expected"),
    [
        (Lens(), [RECORD]),
        (Lens().main_input, ["why?"]),
        (Lens()["main_input"], ["why?"]),
        (Lens()["main_input", "empty"], ["why?", []]),
        (Lens().app.retriever.retrieve.rets[:].text, ["a", "b"]),
        (Lens().app.retriever.retrieve[0].rets[-1].text, ["b"]),
        (Lens().app.retriever.retrieve.rets[::-1].text, ["b", "a"]),
        (Lens().app.retriever.retrieve.rets[[1, 0]].text, ["b", "a"]),
        (Lens().app.retriever.retrieve.rets[:].text.collect(), [["a", "b"]]),
        (Lens().app.retriever.retrieve.rets[:].collect()[1].text, ["b"]),
        (Lens().app.retriever.retrieve.rets.text, ["a", "b"]),
        (Lens().app.retriever.retrieve.args["odd key"], [1]),
        (Lens().app.retriever.retrieve.args["get"], [2]),
        (Lens().app.llm.rets, ["x", "y"]),
        (Lens().nested.n, [1, 2]),
        (Lens().empty[:], []),
        (Lens().empty[:].text, []),
        (Lens().empty[3:].collect(), [[]]),
    ],
    ids=str,
)
def test_a_lens_selects(lens: Lens, expected: list[Any]) -> None:
    assert values(lens, RECORD) == expected
    assert [found for _, found in lens.paths(RECORD)] == expected
    assert lens.exists(RECORD)


@pytest.mark.parametrize(
    "value",
    [
        Passage("a"),
        Struct("a"),
        Model(text="a"),
        types.SimpleNamespace(text="a"),
        types.MappingProxyType({"text": "a"}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_objects_are_selected_in_as_mappings_are_and_can_be_mixed(value: Any) -> None:
    assert values(Lens().text, value) == ["a"]
    assert values(Lens()[:].text, [{"text": "0"}, value]) == ["0", "a"]
    assert values(Lens().text, [value, {"other": 1}, {"text": "0"}]) == ["a", "0"]


@pytest.mark.parametrize(
    "value",
    [Passage("a"), Struct("a"), Model(text="a"), types.SimpleNamespace(text="a")],
    ids=lambda each: type(each).__name__,
)
def test_setting_in_an_object_gives_a_changed_copy(value: Any) -> None:
    changed = Lens().inner.text.set({"inner": value}, "b")

    assert changed["inner"].text == "b"
    assert type(changed["inner"]) is type(value)
    assert value.text == "a"


def test_a_named_tuple_is_selected_in_by_name() -> None:
    assert values(Lens()[:].x, [Point(1, 2), Point(3, 4)]) == [1, 3]
    assert Lens().x.set(Point(1, 2), 5) == Point(5, 2)


@pytest.mark.parametrize("name", ["shout", "__class__", "__dict__", "nothing"])
def test_methods_and_what_python_keeps_for_itself_are_not_there(name: str) -> None:
    assert not Lens()[name].exists(Passage("a"))
    assert not Lens()[name].exists([Passage("a")])


def test_texts_have_no_elements() -> None:
    assert not Lens().main_input[0].exists(RECORD)
    assert not Lens().main_input[:].exists(RECORD)
    assert not Lens().main_input.strip.exists(RECORD)


def test_a_lens_reads_no_further_than_is_asked() -> None:
    read: list[int] = []

    class Element:
        def __init__(self, number: int) -> None:
            self.number = number

        @property
        def text(self) -> int:
            read.append(self.number)
            return self.number

    found = Lens()[:].text.get([Element(number) for number in range(10)])

    assert read == []
    assert list(itertools.islice(found, 2)) == [0, 1]
    assert read == [0, 1]


def test_exact_places_are_said_from_the_beginning_of_a_list() -> None:
    assert list(Lens().app.retriever.retrieve.rets[-1:].text.paths(RECORD)) == [
        ("app.retriever.retrieve[0].rets[1].text", "b")
    ]
    assert list(Lens().app.llm[-2].rets.paths(RECORD)) == [("app.llm[1].rets", "y")]
    assert list(Lens().app.llm.rets.collect().paths(RECORD)) == [
        ("app.llm.rets.collect()", ["x", "y"])
    ]


@pytest.mark.parametrize(
    ("lens", "prefix", "there"),
    [
        (Lens().app.retrieve.rets, "app", "the keys retriever, llm"),
        (Lens().app.retriever.retrieve.rets[7], "app.retriever.retrieve.rets", "2 elements, the first with the keys text"),
        (Lens().app.retriever.retrieve.rets[:].title, "app.retriever.retrieve.rets[:]", "the keys text (the first of 2 values)"),
        (Lens().main_input.text, "main_input", "a text 'why?'"),
        (Lens().nothing, "", "the keys main_input, app, empty, nested"),
        (Lens().empty.text, "empty", "an empty list"),
        (Lens().app.llm.nothing, "app.llm", "3 elements, the first with the keys rets"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_missing_is_an_error_with_how_far_the_lens_goes(
    lens: Lens, prefix: str, there: str
) -> None:
    with pytest.raises(MissingPlace) as raised:
        values(lens, RECORD)

    assert raised.value.facts == {"selector": str(lens), "prefix": prefix}
    assert there in raised.value.message
    assert not lens.exists(RECORD)
    assert str(lens.existing_prefix(RECORD)) == prefix


def test_spans_are_selected_by_op_kind_and_attributes() -> None:
    calls = [
        {"op": "rag.retrieve", "kind": "retriever", "attributes": {"env": {"name": "prod"}}, "rets": 1},
        {"op": "rag.answer", "kind": "llm", "attributes": {"n": 1, "env": {"name": "test"}}, "rets": 2},
        {"op": "other", "kind": "llm", "attributes": {"n": True}, "rets": 3},
    ]  # fmt: skip
    record = {"calls": calls}
    where = Lens().calls.where

    assert values(where(op="rag.*").rets, record) == [1, 2]
    assert values(where(kind="llm").rets, record) == [2, 3]
    assert values(where(attributes={"env.name": "prod"}).rets, record) == [1]
    assert values(where(attributes={"n": 1}).rets, record) == [2]
    assert values(where(attributes={"n": 1.0}).rets, record) == [2]
    assert values(where(attributes={"n": True}).rets, record) == [3]
    assert list(where(kind="llm", op="o*").rets.paths(record)) == [("calls[2].rets", 3)]
    assert list(where(kind="llm")[-1].rets.paths(record)) == [("calls[2].rets", 3)]
    assert list(where(kind="llm")[:].rets.paths(record)) == [
        ("calls[1].rets", 2),
        ("calls[2].rets", 3),
    ]
    assert list(where(kind="llm")[0, -1].rets.paths(record)) == [
        ("calls[1].rets", 2),
        ("calls[2].rets", 3),
    ]
    assert list(where(kind="llm").where(op="o*").rets.paths(record)) == [
        ('calls.where(kind="llm")[1].rets', 3)
    ]
    assert list(where(kind="llm").paths(record)) == [('calls.where(kind="llm")', calls[1:])]
    assert values(where(kind="llm").collect()[0][1].rets, record) == [3]
    assert not where(attributes={"n": "1"}).exists(record)
    with pytest.raises(
        MissingPlace, match=r"3 elements, calls of other, rag\.answer, rag\.retrieve"
    ):
        values(where(kind="tool").rets, record)


@pytest.mark.parametrize(
    "wrong", [{}, {"op": 1}, {"attributes": {"a": float("nan")}}, {"attributes": {"a": object()}}]
)
def test_where_refuses_what_it_cannot_look_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Lens().where(**wrong)


@pytest.mark.parametrize(
    "item",
    [
        [0, "a"],
        ["a", 0],
        [],
        (),
        1.5,
        None,
        True,
        [True],
        slice("a"),
        slice(0, 1, 0),
        [[0]],
        10**18,
    ],
)
def test_what_selects_nothing_is_refused(item: Any) -> None:
    with pytest.raises(UsageError, match="selects nothing"):
        Lens()[item]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("a..b", 2), ("a.b()", 2), ("[", 1), ("a[1:2:0]", 2), ("a['x]", 2), ("a b", 1), ("a[1, 'a']", 2), ("-", 0),
        ("a.", 2), ("a[0", 3), ("a]", 1), ("a.collect(x='1')", 2), ("a.where(op=1)", 11), ("a.where(op='a' kind='b')", 14),
        ("a.where(attributes={'a': nope})", 25), ("a.where(op='a', op='b')", 16), ("a[9999999999999999999]", 2),
        ("__import__('os')", 0), ("a.where(attributes={'a'})", 23), ("a.where(attributes=1)", 19), ("a.where(=1)", 8),
    ],
)  # fmt: skip
def test_a_text_that_is_no_lens_is_an_error_with_the_place(text: str, at: int) -> None:
    with pytest.raises(UsageError) as raised:
        Lens.parse(text)

    assert raised.value.facts["at"] == at
    assert f"character {at + 1}" in raised.value.message


def test_reading_is_bounded() -> None:
    with pytest.raises(UsageError, match="longer than"):
        Lens.parse("a" * 30_000)
    with pytest.raises(UsageError, match="more than 200 steps"):
        Lens.parse("[0]" * 201)
    longest = Lens.parse("[0]" * 200)
    with pytest.raises(UsageError, match="longer than 200"):
        longest[0]
    with pytest.raises(UsageError):
        Lens.parse("a.where(attributes={'a': " + "[" * 9000)
    with pytest.raises(UsageError):
        Lens.parse(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "lens"),
    [
        ("", Lens()),
        ("a", Lens().a),
        (".a", Lens().a),
        ("a['b c'][\"d\"]['it\\'s \"x\"']", Lens().a["b c"].d['it\'s "x"']),
        ("a[ 'b' , 'c' ]", Lens().a["b", "c"]),
        ("a[ 1 : ]", Lens().a[1:]),
        ("[:]", Lens()[:]),
        ("[::2]", Lens()[::2]),
        ("[1:2:]", Lens()[1:2]),
        ("collect()", Lens().collect()),
        ("a.get", Lens().a["get"]),
        ('a["\\u00e9\\n"]', Lens().a["é\n"]),
        ('a.where( kind = "llm" )[0]', Lens().a.where(kind="llm")[0]),
        ('a.where(attributes={"x": [1, null], \'y\': "z"})', Lens().a.where(attributes={"x": [1, None], "y": "z"})),
        ("__record__.calls[-1].rets", Select.RecordRets),
    ],
)  # fmt: skip
def test_texts_are_read(text: str, lens: Lens) -> None:
    assert Lens.parse(text) == lens


def test_names_that_lenses_have_themselves_are_keys_in_brackets() -> None:
    reserved = [name for name in dir(Lens) if not name.startswith("__")]
    value = {name: number for number, name in enumerate(reserved)}

    assert {"get", "set", "collect", "where", "paths"} <= set(reserved)
    for name in reserved:
        assert str(Lens()[name]) == f'["{name}"]'
        assert values(Lens.parse(str(Lens()[name])), value) == [value[name]]


def test_lenses_are_values() -> None:
    lens = Lens().a[0]["b c"].where(op="x").collect()

    assert lens == Lens().a[0]["b c"].where(op="x").collect()
    assert hash(lens) == hash(Lens().a[0]["b c"].where(op="x").collect())
    assert pickle.loads(pickle.dumps(lens)) == lens
    assert copy.deepcopy(lens) == lens
    assert Lens().a["b"] == Lens().a.b
    assert Lens().a != "a"
    assert Lens().a.b[0] == Lens().a + Lens().b[0] == Lens().a.b + Index(0)
    assert len(Lens().a.b[0]) == 3
    assert Lens().a.is_prefix_of(Lens().a.b)
    assert Lens().a.is_prefix_of(Lens().a)
    assert not Lens().b.is_prefix_of(Lens().a.b)
    assert Lens().a.is_immediate_prefix_of(Lens().a.b)
    assert not Lens().a.is_immediate_prefix_of(Lens().a.b.c)
    assert repr(lens) == 'Lens().a[0]["b c"].where(op="x").collect()'
    assert Lens()
    with pytest.raises(AttributeError):
        lens.name = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del lens.name
    with pytest.raises(TypeError):
        list(lens)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        "a" in lens  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        lens + 1  # type: ignore[operator]


def test_the_sole_item_is_one() -> None:
    assert Lens().main_input.get_sole_item(RECORD) == "why?"
    with pytest.raises(UsageError, match="selects 2 values"):
        Lens().app.llm.rets.get_sole_item(RECORD)
    with pytest.raises(MissingPlace, match="no values"):
        Lens().empty[:].get_sole_item(RECORD)


def test_calling_a_lens_selects_too() -> None:
    assert list(Lens().main_input(RECORD)) == ["why?"]


def test_setting_makes_what_is_missing() -> None:
    assert Lens().a.b[2].c.set({}, 5) == {"a": {"b": [None, None, {"c": 5}]}}
    assert Lens()[0].set(None, 1) == [1]
    assert Lens()["a", "b"].set({}, 1) == {"a": 1, "b": 1}
    assert Lens().a[:2].x.set({"a": [{"x": 1}, {"x": 1}, {"x": 1}]}, 2) == {
        "a": [{"x": 2}, {"x": 2}, {"x": 1}]
    }
    assert Lens().x.set(({"x": 1}, {"y": 1}), 2) == ({"x": 2}, {"y": 1})
    assert Lens().where(kind="llm").x.set([{"kind": "llm", "x": 0}, {"x": 0}], 1) == [
        {"kind": "llm", "x": 1},
        {"x": 0},
    ]
    assert Lens().where(kind="llm")[-1].set([{"kind": "llm"}, {"kind": "llm"}, {}], 1) == [
        {"kind": "llm"},
        1,
        {},
    ]
    assert Lens().set(1, 2) == 2
    before = copy.deepcopy(RECORD)
    Lens().app.llm[0].rets.set(RECORD, "z")
    assert before == RECORD


@pytest.mark.parametrize(
    ("lens", "value"),
    [
        (Lens().a.b, {"a": 1}),
        (Lens()[-3], [1]),
        (Lens()[10**9], []),
        (Lens().x, [{"y": 1}]),
        (Lens()[0], "text"),
        (Lens()[:], 5),
        (Lens()["__class__"], Passage("a")),
        (Lens().where(kind="llm"), [{"kind": "llm"}]),
        (Lens().where(kind="llm")[1], [{"kind": "llm"}]),
    ],
    ids=str,
)
def test_what_cannot_be_set_is_an_error(lens: Lens, value: Any) -> None:
    with pytest.raises(MissingPlace):
        lens.set(value, 1)


def test_several_places_collected_cannot_be_set() -> None:
    with pytest.raises(UsageError, match="collects"):
        Lens()[:].collect().set([1], 2)


def test_a_number_is_a_key_where_the_mapping_has_it() -> None:
    assert values(Lens()[3], {3: "x"}) == ["x"]
    assert Lens()[3].set({3: "x"}, "y") == {3: "y"}
    assert not Lens()[3].exists({"3": "x"})


def test_select_knows_the_aliases() -> None:
    assert str(Select.Record) == "__record__"
    assert str(Select.App) == "__app__"
    assert str(Select.RecordInput) == "__record__.main_input"
    assert str(Select.RecordOutput) == "__record__.main_output"
    assert str(Select.RecordCalls) == "__record__.app"
    assert str(Select.RecordCall) == "__record__.calls[-1]"
    assert str(Select.RecordArgs) == "__record__.calls[-1].args"
    assert str(Select.RecordRets) == "__record__.calls[-1].rets"
    assert Select.Lens is Select.Query is Lens
    assert str(Select.spans(kind="llm").rets) == '__record__.calls.where(kind="llm").rets'


def test_select_takes_selectors_apart() -> None:
    lens = Select.RecordCalls.retriever.retrieve

    assert Select.path_and_method(lens) == (Select.RecordCalls.retriever, "retrieve")
    assert str(Select.dequalify(lens)) == "app.retriever.retrieve"
    assert Select.dequalify(Lens().a) == Lens().a
    assert Select.for_record(Lens().app) == Select.RecordCalls
    assert Select.for_app(Lens().llm) == Select.App.llm
    assert Select.render(lens[0].rets) == "Select.RecordCalls.retriever.retrieve[0].rets"
    assert Select.render(Select.RecordInput) == "Select.RecordInput"
    assert Select.render(Lens().x) == "Select.Lens().x"
    with pytest.raises(UsageError, match="name of a method"):
        Select.path_and_method(Lens()[0])


# Properties.

KEYS = st.one_of(
    st.sampled_from(["a", "b", "get", "set", "collect", "where", "_lens_steps", "__record__", "__class__", "", " ", "a b",
                     "a.b", '"', "'", "\\", "\n", "é", "\u2028", "\ud800", "0", "[0]", "None"]),
    st.text(max_size=6),
    st.text(st.characters(), max_size=4),
)  # fmt: skip
NUMBERS = st.integers(-6, 6)
OPTIONAL = st.none() | NUMBERS
PLAIN_STEPS = st.one_of(
    st.builds(Member, KEYS),
    st.builds(Index, NUMBERS),
    st.builds(Slice, OPTIONAL, OPTIONAL, st.none() | NUMBERS.filter(bool)),
    st.lists(KEYS, min_size=2, max_size=3).map(lambda keys: Several(tuple(map(Member, keys)))),
    st.lists(NUMBERS, min_size=2, max_size=3).map(lambda at: Several(tuple(map(Index, at)))),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
WHERES = st.builds(
    lambda op, kind, attributes: Lens().where(op=op, kind=kind, attributes=attributes),
    st.text(max_size=4),
    st.none() | st.text(max_size=4),
    st.dictionaries(
        st.text(max_size=3), JSON.filter(lambda each: "\\ud8" not in ascii(each)), max_size=2
    ),
).map(lambda lens: lenses.steps_of(lens)[0])
ALL_STEPS = st.one_of(PLAIN_STEPS, st.just(Collect()), WHERES)


@settings(max_examples=60)
@given(st.lists(ALL_STEPS, max_size=5))
def test_every_lens_comes_back_from_its_text(steps: list[Any]) -> None:
    lens = Lens(*steps)

    assert Lens.parse(str(lens)) == lens
    assert pickle.loads(pickle.dumps(lens)) == lens
    assert str(Lens.parse(str(lens))) == str(lens)


@given(st.text(st.sampled_from("ab.[]()'\":,0-1 {}=where collect\\")) | st.text())
def test_any_text_is_a_lens_or_a_usage_error(text: str) -> None:
    try:
        lens = Lens.parse(text)
    except UsageError:
        return
    assert Lens.parse(str(lens)) == lens


class _Missing(Exception):
    pass


def naive(value: Any, steps: list[Any]) -> list[Any]:
    """What a lens selects, as slowly and plainly as it can be said."""
    found = [value]
    for step in steps:
        if isinstance(step, Collect):
            found = [found]
        else:
            found = [below for each in found for below in naive_step(each, step)]
    return found


def naive_step(value: Any, step: Any) -> list[Any]:  # noqa: C901 a case for each step
    match step:
        case Member(name):
            if isinstance(value, dict):
                if name not in value:
                    raise _Missing
                return [value[name]]
            if isinstance(value, list):
                below = []
                for each in value:
                    try:
                        below += naive_step(each, step)
                    except _Missing:
                        continue
                if below:
                    return below
            raise _Missing
        case Index(at):
            if isinstance(value, list) and -len(value) <= at < len(value):
                return [value[at]]
            raise _Missing
        case Slice(start, stop, every):
            if isinstance(value, list):
                return value[start:stop:every]
            raise _Missing
        case Several(steps):
            return [below for each in steps for below in naive_step(value, each)]
    raise AssertionError(step)


FEW_KEYS = st.sampled_from(["a", "b", "c d", "get"])
TREES = st.recursive(
    st.integers(0, 9) | st.just("text"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FEW_KEYS, inner, max_size=4),
    max_leaves=20,
)
FEW_STEPS = st.one_of(
    st.builds(Member, FEW_KEYS),
    st.builds(Member, FEW_KEYS),
    st.builds(Index, st.integers(-2, 2)),
    st.builds(Slice, OPTIONAL, OPTIONAL, st.none() | NUMBERS.filter(bool)),
    st.just(Slice(None, None)),
    st.lists(FEW_KEYS, min_size=2, max_size=2).map(lambda keys: Several(tuple(map(Member, keys)))),
    st.just(Several((Index(0), Index(-1)))),
    st.just(Collect()),
)


@settings(max_examples=60)
@given(TREES, st.lists(FEW_STEPS, max_size=4))
def test_a_lens_selects_what_the_plain_meaning_says(value: Any, steps: list[Any]) -> None:
    lens = Lens(*steps)
    try:
        expected = naive(value, steps)
    except _Missing:
        assert not lens.exists(value)
        with pytest.raises(MissingPlace) as raised:
            list(lens.get(value))
        prefix = Lens.parse(raised.value.facts["prefix"])
        assert prefix.is_prefix_of(lens)
        assert len(prefix) < len(lens)
        assert prefix.exists(value)
        assert prefix == lens.existing_prefix(value)
        with pytest.raises(MissingPlace):
            list(lens.paths(value))
        return

    assert list(lens.get(value)) == expected
    assert lens.exists(value)
    assert lens.existing_prefix(value) == lens


@settings(max_examples=60)
@given(TREES, st.lists(FEW_STEPS, max_size=4))
def test_the_text_of_an_exact_place_selects_exactly_its_value(value: Any, steps: list[Any]) -> None:
    lens = Lens(*steps)
    if not lens.exists(value):
        return
    found = list(lens.paths(value))

    assert [each for _, each in found] == list(lens.get(value))
    for place, each in found:
        assert list(Lens.parse(place).get(value)) == [each]


@settings(max_examples=60)
@given(TREES, st.lists(FEW_STEPS.filter(lambda step: not isinstance(step, Collect)), max_size=4))
def test_what_was_set_is_what_is_got_and_the_original_stays(value: Any, steps: list[Any]) -> None:
    lens, before = Lens(*steps), copy.deepcopy(value)
    try:
        changed = lens.set(value, "new")
    except MissingPlace:
        return
    finally:
        assert value == before

    if lens.exists(changed):
        assert set(map(str, lens.get(changed))) <= {"new"}
    for step in steps:
        if isinstance(step, Slice):
            return
    assert set(map(str, lens.get(changed))) == {"new"}
