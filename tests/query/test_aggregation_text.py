"""Keys and measures as text: what each means, and what is said of a mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base.errors import QueryError
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_text as text
from kibitz.query import fields
from kibitz.query.nodes import ColumnField, FeedbackField, PathField

LATENCY = ColumnField("latency_ms")
SCORE = FeedbackField("runnable.x", ("output", "score"))


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("op", nodes.PlaceKey(ColumnField("op"))),
        ("latency", nodes.PlaceKey(LATENCY)),
        ("attributes.env", nodes.PlaceKey(PathField("attributes", ("env",)))),
        ('inputs."a.b"', nodes.PlaceKey(PathField("inputs", ("a.b",)))),
        ("feedback.x.output.score", nodes.PlaceKey(SCORE)),
        ("day", nodes.TimeKey("day")),
        ("HOUR", nodes.TimeKey("hour")),
        ("week(UTC)", nodes.TimeKey("week")),
        ("day(Europe/Berlin)", nodes.TimeKey("day", "Europe/Berlin")),
        ('day("Europe/Berlin")', nodes.TimeKey("day", "Europe/Berlin")),
        ("month(UTC, ended_at)", nodes.TimeKey("month", "UTC", ColumnField("ended_at"))),
    ],
)
def test_keys_are_read(written: str, key: nodes.Key) -> None:
    assert text.parse_key(written) == key


@pytest.mark.parametrize(
    ("written", "measure"),
    [
        ("count", nodes.Count()),
        ("count(latency)", nodes.Count(LATENCY)),
        ("mean(latency)", nodes.OfNumbers("mean", LATENCY)),
        ("sd( latency )", nodes.OfNumbers("sd", LATENCY)),
        ("quantile(latency, 0.95)", nodes.Quantile(LATENCY, 0.95)),
        ("p99.9(latency)", nodes.Quantile(LATENCY, 0.9990000000000001)),
        ("median(latency)", nodes.Quantile(LATENCY, 0.5)),
        ("share(feedback.x.output.score)", nodes.Share(SCORE)),
        ("share(status, error)", nodes.Share(ColumnField("status"), "error")),
        ("share(output.n, 3)", nodes.Share(PathField("output", ("n",)), 3)),
        ("share(output.n, '3')", nodes.Share(PathField("output", ("n",)), "3")),
        ("share(output.n, false)", nodes.Share(PathField("output", ("n",)), False)),
        ("histogram(latency)", nodes.Histogram(LATENCY, 20)),
        ("histogram(latency, 7)", nodes.Histogram(LATENCY, 7)),
        ("values(op, 3)", nodes.Values(ColumnField("op"), 3)),
        ("distinct(op)", nodes.Distinct(ColumnField("op"))),
    ],
)
def test_measures_are_read(written: str, measure: nodes.Measure) -> None:
    assert text.parse_measure(written) == measure


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("type", nodes.RowField("type")),
        ("version", nodes.RowField("version")),
        ("payload", nodes.PayloadField()),
        ("payload.output", nodes.PayloadField(("output",))),
        ("output.match", nodes.PayloadField(("output", "match"))),
        ("payload.type", nodes.PayloadField(("type",))),
        ('"a b"."c.d"', None),
        ('payload."a b"', nodes.PayloadField(("a b",))),
    ],
)
def test_over_feedback_fields_are_those_of_its_rows(
    written: str, place: nodes.FeedbackPlace | None
) -> None:
    if place is None:
        with pytest.raises(QueryError):
            text.parse_key(written, over="feedback")
    else:
        assert text.parse_key(written, over="feedback") == nodes.PlaceKey(place)
        assert text.parse_measure(f"distinct({written})", over="feedback") == nodes.Distinct(place)


def test_short_names_mean_the_types_that_are_known() -> None:
    known = ["annotation.helpful"]

    assert text.parse_key("feedback.helpful.value", known_types=known) == nodes.PlaceKey(
        FeedbackField("annotation.helpful", ("value",))
    )


@pytest.mark.parametrize(
    ("written", "at", "suggestion", "says"),
    [
        ("", 0, None, "a measure"),
        ("avg(latency)", 0, "mean", "did you mean 'mean'"),
        ("cuont", 0, "count", "did you mean 'count'"),
        ("mean", 4, "mean(", "mean of what?"),
        ("mean()", 5, None, "mean of what?"),
        ("mean(latncy)", 5, "latency", "did you mean 'latency'"),
        ("mean(latency", 12, None, ") is missing"),
        ("mean(latency) x", 14, None, "too much"),
        ("quantile(latency)", 16, None, "which quantile?"),
        ("quantile(latency, 95)", 18, None, "did you mean 0.95"),
        ("quantile(latency, nan)", 18, None, "not a number from 0 to 1"),
        ("histogram(latency, 101)", 19, None, "from 1 to 100"),
        ("histogram(latency, 0)", 19, None, "from 1 to 100"),
        ("values(op, -1)", 11, None, "from 1 to 100"),
        ("share(status, null)", 14, None, "null is no value"),
        ("share(latency, error)", 15, None, "not a number"),
        ("share(status, op)", 14, '"op"', "is a field"),
        ("mean(feedback)", 5, "feedback.[*]", "feedback of what?"),
        ('mean("latency")', 5, None, "mean of what?"),
    ],
)
def test_mistakes_in_measures_are_named_with_their_place(
    written: str, at: int, suggestion: str | None, says: str
) -> None:
    with pytest.raises(QueryError) as raised:
        text.parse_measure(written)

    assert says in raised.value.message
    assert raised.value.facts["at"] == at
    assert raised.value.facts.get("suggestion") == suggestion


@pytest.mark.parametrize(
    ("written", "at", "suggestion"),
    [
        ("opp", 0, "op"),
        ("date", 0, "day"),
        ("dya", 0, "day"),
        ("day(Europe/Berln)", 4, "Europe/Berlin"),
        ("day(UTC, op)", 9, None),
        ("day(../../etc/passwd)", 4, None),
        ("op, day", 2, None),
        ("\ud800", 0, None),
        ("a" * 3000, text.MAX_CHARACTERS, None),
    ],
)
def test_mistakes_in_keys_are_named_with_their_place(
    written: str, at: int, suggestion: str | None
) -> None:
    with pytest.raises(QueryError) as raised:
        text.parse_key(written)

    assert raised.value.facts["at"] == at
    if suggestion is not None:
        assert raised.value.facts["suggestion"] == suggestion
    assert len(raised.value.message) < 1000


def test_an_order_is_one_of_the_measures() -> None:
    written = ["count", "mean( latency )"]
    measures = [text.parse_measure(each) for each in written]

    assert text.parse_order("count", measures, written) == nodes.Order(0)
    assert text.parse_order("count asc", measures, written) == nodes.Order(0, descending=False)
    assert text.parse_order("mean( latency ) desc", measures, written) == nodes.Order(1)
    assert text.parse_order("mean(latency_ms)", measures, written) == nodes.Order(1)
    with pytest.raises(QueryError, match="none of the measures"):
        text.parse_order("op", measures, written)


def test_lists_are_split_at_commas_outside_of_brackets_and_quotes() -> None:
    assert text.split(
        'op, day("a,b"), feedback.[x,y].z, share(status, error), output."a\\",b"'
    ) == [
        "op",
        'day("a,b")',
        "feedback.[x,y].z",
        "share(status, error)",
        'output."a\\",b"',
    ]


KEYS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
PATHS = st.lists(KEYS, max_size=4).map(tuple)
PLACES = st.one_of(
    st.sampled_from(fields.COLUMNS).map(ColumnField),
    st.builds(PathField, st.sampled_from(fields.ROOTS), PATHS),
    st.builds(
        FeedbackField,
        st.text(
            st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
            min_size=1,
            max_size=8,
        ),
        PATHS,
        st.sampled_from(fields.OVERS),
    ),
)
ROW_PLACES = st.one_of(
    st.sampled_from(text.ROW_FIELDS).map(nodes.RowField), PATHS.map(nodes.PayloadField)
)
LITERALS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    # A text of a query is read as a store keeps it, without NUL.
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8),
)


def _measures(places: st.SearchStrategy[nodes.Place]) -> st.SearchStrategy[nodes.Measure]:
    return st.one_of(
        st.builds(nodes.Count, st.none() | places),
        st.builds(nodes.OfNumbers, st.sampled_from(["mean", "sd", "sum", "min", "max"]), places),
        st.builds(nodes.Quantile, places, st.floats(0, 1)),
        st.builds(nodes.Histogram, places, st.integers(1, nodes.MAX_BINS)),
        st.builds(nodes.Values, places, st.integers(1, nodes.MAX_VALUES)),
        st.builds(nodes.Distinct, places),
    )


@given(_measures(PLACES))
def test_measures_over_calls_come_back_from_their_text(measure: nodes.Measure) -> None:
    written = _written(measure)
    if written is not None:
        assert text.parse_measure(written) == measure


@given(_measures(ROW_PLACES))
def test_measures_over_feedback_come_back_from_their_text(measure: nodes.Measure) -> None:
    written = _written(measure)
    if written is not None:
        assert text.parse_measure(written, over="feedback") == measure


@given(PATHS, LITERALS)
def test_shares_come_back_from_their_text(path: tuple[str, ...], value: bool | float | str) -> None:
    measure = nodes.Share(PathField("output", path), value)
    written = _written(measure)
    if written is not None:
        found = text.parse_measure(written)
        assert isinstance(found, nodes.Share)
        assert found == measure
        assert type(found.value) is type(value)


@given(st.sampled_from(text.UNITS), st.sampled_from(["UTC", "Europe/Berlin", "Etc/GMT+5"]))
def test_times_come_back_from_their_text(unit: nodes.Unit, zone: str) -> None:
    for place in (ColumnField("started_at"), ColumnField("ended_at")):
        key = nodes.TimeKey(unit, zone, place)
        assert text.parse_key(text.format_key(key)) == key


@given(st.text(max_size=40))
def test_whatever_is_written_is_read_or_refused(written: str) -> None:
    for parse in (text.parse_key, text.parse_measure):
        for over in ("calls", "feedback"):
            try:
                found = parse(written, over=over)
            except QueryError:
                continue
            spelled = (text.format_key if parse is text.parse_key else text.format_measure)(found)
            assert parse(spelled, over=over) == found


def _written(measure: nodes.Measure) -> str | None:
    """The text of a measure; None where the place is one that no query may name."""
    place = measure.place
    if isinstance(place, PathField | FeedbackField):
        try:
            fields.parse(fields.format(place))
        except QueryError:
            return None
    if isinstance(place, nodes.PayloadField):
        try:
            fields.parse(fields.format(FeedbackField("*", place.path)))
        except QueryError:
            return None
    return text.format_measure(measure)
