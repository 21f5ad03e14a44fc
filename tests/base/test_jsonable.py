"""Any value becomes bounded JSON, and typed values come back."""

from __future__ import annotations

import collections
import enum
import math
import types
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import drawing
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base import jsonable, plainjson, refs
from kibitz.base.jsonable import Limits, from_json, to_json
from kibitz.base.redaction import Redaction
from kibitz.base.values import File, Markdown


class Colour(enum.Enum):
    RED = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    y: Any = None


class Pair(NamedTuple):
    left: int
    right: str


class Struct(msgspec.Struct):
    a: int


class Model(pydantic.BaseModel):
    name: str
    inner: dict[str, Any] = {}


class Attrs:
    __attrs_attrs__ = (types.SimpleNamespace(name="a"),)

    def __init__(self):
        self.a = 1
        self.hidden = 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        (1.5, 1.5),
        ((1, [2]), [1, [2]]),
        (collections.deque([1]), [1]),
        (range(3), [0, 1, 2]),
        (Mode.FAST, "fast"),
        (Level.HIGH, 3),
        (Path("a/b"), "a/b"),
        (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}),
        (Pair(1, "b"), {"left": 1, "right": "b"}),
        (Struct(1), {"a": 1}),
        (Model(name="n", inner={"when": date(2026, 1, 2)}), None),
        (Attrs(), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (2**64 + 1, 2**64 + 1),
        (-(2**300), -(2**300)),
        ({1: "a", None: "b", 1.5: "d", (1, 2): "e"}, None),
    ],
)
def test_what_json_has_a_kind_for_is_plain(value, expected):
    if isinstance(value, Model):
        expected = {"name": "n", "inner": {"when": {"$type": "date", "value": "2026-01-02"}}}
    elif isinstance(value, dict) and None in value:
        expected = {"1": "a", "null": "b", "1.5": "d", "(1, 2)": "e"}

    result = to_json(value)

    assert result == expected
    assert msgspec.json.decode(msgspec.json.encode(result)) == result


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001 one without a zone is the case
        datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        date(2026, 1, 2),
        time(3, 4, 5, 6),
        timedelta.max,
        timedelta(days=-1, microseconds=1),
        timedelta(0),
        Decimal("1.10"),
        UUID(int=7),
        b"\x00\xff",
        {1, 2},
        frozenset({"a"}),
        math.inf,
        -math.inf,
        Markdown("# hi"),
        {"$type": "datetime", "value": "a program's own"},
        {"nested": [{"deep": {1}}]},
    ],
    ids=repr,
)
def test_typed_values_come_back(value):
    back = from_json(msgspec.json.decode(msgspec.json.encode(to_json(value))))

    assert back == value
    assert type(back) is type(value)
    if isinstance(value, datetime):
        assert back.utcoffset() == value.utcoffset()


def test_nan_comes_back():
    assert math.isnan(from_json(to_json(math.nan)))


def test_an_enum_comes_back_as_its_value():
    assert to_json(Colour.RED) == {
        "$type": "enum",
        "class": f"{__name__}.Colour",
        "name": "RED",
        "value": 1,
    }
    assert from_json(to_json(Colour.RED)) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"$type": "datetime", "value": "soon"},
        {"$type": "datetime"},
        {"$type": "uuid", "value": 3},
        {"$type": "set", "value": [[1]]},
        {"$type": "bytes", "value": "?"},
        {"$type": "decimal", "value": "x"},
        {"$type": "nobody", "value": 1},
        {"$type": ["a"]},
        {"$type": None},
    ],
    ids=repr,
)
def test_what_cannot_be_read_back_stays_as_it_is(broken):
    assert from_json(broken) == broken


def test_files_are_stored_once_beside_the_value():
    files: dict[str, Any] = {}
    file = File(b"abc", "text/plain", name="a.txt")

    result = to_json([file, file], files=files)

    digest = refs.digest(b"abc")
    tag = {
        "$type": "file",
        "digest": digest,
        "media_type": "text/plain",
        "size": 3,
        "name": "a.txt",
    }
    assert result == [tag, tag]
    assert [(part.digest, part.content) for part in files.values()] == [(digest, b"abc")]


def test_long_bytes_become_a_file_or_are_cut():
    files: dict[str, Any] = {}

    assert to_json(b"x" * 5000) == {
        "$type": "truncated",
        "kind": "bytes",
        "kept": 0,
        "total": 5000,
    }
    assert to_json(b"x" * 5000, files=files)["$type"] == "file"
    assert to_json(File(b"x" * 100), limits=Limits(file_bytes=10), files=files) == {
        "$type": "truncated",
        "kind": "file",
        "kept": 0,
        "total": 100,
    }


def test_images_are_kept_as_png():
    image_class = type("Image", (), {"save": lambda self, target, _: target.write(b"PNG")})
    image_class.__module__ = "PIL.Image"
    image_class = type("Image", (image_class,), {})
    image_class.__mro__[1].__module__ = "PIL.Image"
    files: dict[str, Any] = {}

    result = to_json(image_class(), files=files)

    assert isinstance(result, dict)
    assert (result["$type"], result["media_type"]) == ("file", "image/png")


def test_data_frames_are_kept_by_shape_and_head():
    class DataFrame:
        shape = (1000, 2)
        columns = ("a", "b")

        def head(self, n):
            return types.SimpleNamespace(rows=lambda: [(i, date(2026, 1, 1)) for i in range(n)])

    DataFrame.__module__ = "polars.dataframe.frame"
    result = to_json(DataFrame())

    assert isinstance(result, dict)
    assert (result["$type"], result["shape"], result["columns"]) == (
        "dataframe",
        [1000, 2],
        ["a", "b"],
    )
    assert len(result["value"]) == 10


def test_cycles_are_marked_and_shared_values_are_not():
    cycle: dict[str, Any] = {"name": "a", "list": []}
    cycle["self"] = cycle
    cycle["list"].append(cycle)
    shared = [1]

    assert to_json(cycle) == {
        "name": "a",
        "self": {"$type": "cycle"},
        "list": [{"$type": "cycle"}],
    }
    assert to_json([shared, shared]) == [[1], [1]]


def test_depth_is_bounded():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    result = to_json(deep, limits=Limits(depth=3))

    assert result == [[[{"$type": "truncated", "kind": "depth", "total": 3}]]]
    while deep:
        # Taken apart from outside: Python itself recurses when it frees it.
        deep = deep.pop()


def test_what_grows_exponentially_is_bounded():
    value: list[Any] = ["x"]
    for _ in range(60):
        value = [value] * 10

    assert len(msgspec.json.encode(to_json(value))) < 5_000_000


def test_many_keys_and_items_are_cut_and_counted():
    limits = Limits(items=10)

    cut = to_json({f"k{i}": i for i in range(100_000)}, limits=limits)
    items = to_json(list(range(100_000)), limits=limits)

    assert isinstance(cut, dict)
    assert cut["$truncated"] == {
        "$type": "truncated",
        "kind": "object",
        "kept": 10,
        "total": 100_000,
    }
    assert isinstance(items, list)
    assert items[-1] == {"$type": "truncated", "kind": "list", "kept": 10, "total": 100_000}
    assert to_json(range(10**12), limits=limits)[-1]["total"] == 10**12


def test_ten_megabytes_of_text_are_cut_to_the_limit():
    for text in ("x" * 10_000_000, "\n" * 10_000_000, "é\ud800" * 5_000_000):
        result = to_json(text, limits=Limits(bytes=10_000))

        assert isinstance(result, dict)
        assert (result["$type"], result["total"]) == ("truncated", len(text))
        assert 4000 <= len(msgspec.json.encode(result["value"])) <= 10_000


def test_a_secret_at_the_cut_is_still_a_secret():
    text = "x" * 90 + " sk-" + "a1" * 30

    result = to_json(text, limits=Limits(bytes=110), redaction=Redaction())

    assert "sk-a" not in str(result)


def test_text_that_json_cannot_carry_is_mended():
    assert to_json("a\ud800b\udfffc\0d") == "a�b�c␀d"
    assert to_json("😀") == "😀"
    assert to_json("\ud83d\ude00") == "😀"
    assert to_json({"\ud800\0": 1, True: 2}) == {"�␀": 1, "true": 2}


def test_keys_that_become_the_same_are_kept_apart():
    assert to_json({1: "a", "1": "b", "1#2": "c"}) == {"1": "a", "1#2": "b", "1#2#2": "c"}


def test_huge_integers_are_marked():
    assert to_json(10**5000) == {"$type": "truncated", "kind": "int", "total": 16610}


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise ValueError("no repr")

    def __eq__(self, other):
        raise ValueError("no eq")

    def __hash__(self):
        raise ValueError("no hash")

    def __bool__(self):
        raise ValueError("no bool")

    @property
    def __class__(self):
        return dict


class LyingMeta(type):
    def __getattribute__(cls, name):
        raise RuntimeError(name)


class Lying(metaclass=LyingMeta):
    pass


class Dumper:
    def model_dump(self):
        raise RuntimeError("no")


class Answers:
    def __getattr__(self, name):
        return lambda *args, **kwargs: self


class Deep(dict[str, Any]):
    def items(self):
        raise RecursionError


@dataclass
class Property:
    ok: int
    bad: int = 0

    def __getattribute__(self, name):
        if name == "bad":
            raise KeyError(name)
        return super().__getattribute__(name)


def test_objects_that_fight_back_are_recorded_by_their_class():
    here = __name__

    assert to_json(Hostile()) == {
        "$type": "object",
        "class": f"{here}.Hostile",
        "error": "ValueError",
    }
    assert to_json([1, Hostile(), 2])[2] == 2
    assert to_json(Dumper()) == {
        "$type": "object",
        "class": f"{here}.Dumper",
        "error": "RuntimeError",
    }
    assert to_json(Deep(a=1)) == {
        "$type": "object",
        "class": f"{here}.Deep",
        "error": "RecursionError",
    }
    assert to_json(Property(1)) == {"ok": 1, "bad": {"$type": "object", "error": "KeyError"}}
    assert to_json(Lying())["$type"] == "object"
    assert to_json({Hostile: 1, "b": Answers()})["b"]["$type"] == "object"


def test_unknown_objects_are_known_by_class_and_repr_without_addresses():
    assert to_json(object()) == {"$type": "object", "class": "object", "value": "<object object>"}
    assert to_json(x for x in [1])["class"] == "generator"
    assert to_json(ValueError("x"))["value"] == "x"
    long = type("Long", (), {"__repr__": lambda self: "r" * 100_000})()
    assert len(to_json(long)["value"]) == 2001


def test_secrets_go_and_what_only_looks_like_one_stays():
    redaction = Redaction()
    value = {
        "API-Key": "x",
        "db": {"passwd": "x", "host": "h"},
        "headers": [["authorization", "x"], ("accept", "y")],
        "token": None,
        "tokens_used": 3,
        "secret": False,
        "url": "postgres://me:pw@host/db",
    }

    result = to_json(value, redaction=redaction)

    gone = {"$type": "redacted"}
    assert result == {
        "API-Key": gone,
        "db": {"passwd": gone, "host": "h"},
        "headers": [["authorization", gone], ["accept", "y"]],
        "token": None,
        "tokens_used": 3,
        "secret": False,
        "url": "postgres://[redacted]@host/db",
    }
    assert to_json(value) != result


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=10)
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=20,
)


def without_nan(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    if isinstance(value, dict):
        return {key.replace("\0", "␀"): without_nan(item) for key, item in value.items()}
    if isinstance(value, str):
        return value.replace("\0", "␀")
    if isinstance(value, frozenset):
        return frozenset(without_nan(item) for item in value)
    return value


@given(values)
@settings(max_examples=drawing.examples(300), deadline=None)
def test_whatever_has_a_type_comes_back_the_same(value):
    sent = msgspec.json.decode(msgspec.json.encode(to_json(value)))

    assert without_nan(from_json(sent)) == without_nan(value)


@given(values, st.integers(10, 400))
@settings(max_examples=drawing.examples(300), deadline=None)
def test_the_result_is_json_and_bounded_whatever_the_limit(value, size):
    writer = jsonable.writer(limits=Limits(bytes=size, items=50))

    content = msgspec.json.encode(writer.write(value))

    # What is cut leaves a mark, one for each container that is open, and the last value goes over.
    assert len(content) <= size + 200 * 8 + 400


plain_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["a\0", "\ud800", "sk-" + "a1" * 12, "https://u:p@h", "Bearer " + "x" * 20, {1}, b"x"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.tuples(st.sampled_from(["cookie", "x"]), st.text(max_size=3))
        | st.dictionaries(
            st.text(max_size=3)
            | st.sampled_from(["$type", "api_key", "k" * 1001, "a\0", "\ud800"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(plain_values, st.booleans())
@settings(max_examples=drawing.examples(500), deadline=None)
def test_the_short_way_says_the_same_as_the_long_one(value, redacted):
    redaction = Redaction() if redacted else None

    short = jsonable.writer(redaction=redaction).write(value)
    long = jsonable.writer(redaction=redaction).write_at(value, 0)

    assert short == long


def test_the_short_way_is_taken_by_plain_values_alone():
    def is_plain(value: Any) -> bool:
        return (
            plainjson.copy(value, max_bytes=1000, max_items=10, max_depth=3, redaction=Redaction())
            is not None
        )

    cycle: list[Any] = []
    cycle.append(cycle)
    assert is_plain({"a": [1, 2.5, None, True, "text", (1,)], "b": {}})
    for value in (
        math.nan,
        math.inf,
        {1: 2},
        {"$type": 1},
        {"password": "x"},
        ("token", "x"),
        "x" * 1001,
        list(range(11)),
        [[[[]]]],
        cycle,
        "a\0",
        "\ud800",
        {"\ud800": 1},
        {1},
        b"x",
        1 << 5000,
        Mode.FAST,
        "see https://u:p@h",
    ):
        assert not is_plain(value), value
