"""Aggregations: rows are read once and tallied by group, or the sums kept on ingest are asked where they know.

SQLite groups by sorting. Here rows stream through instead, and what is kept of each is the numbers that are measured,
so that one pass gives every measure, quantiles too. What is kept is bounded.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kibitz.base.errors import QueryError
from kibitz.base.records import Aggregation, Group, Measured
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_tallies, aggregation_text
from kibitz.query.aggregation_tallies import Tally, Value
from kibitz.query.pieces import BOOL, NUMBER, TEXT, Param, Sql, joined
from kibitz.storage.sqlite import aggregating_kept, planning
from kibitz.storage.sqlite.aggregating_places import KeyReading, Places, Raw, Reading
from kibitz.storage.sqlite.names import project_pk

MAX_NUMBERS = 5_000_000
"""Kept at a time, eight bytes each."""
MAX_NAMED = 200_000
"""Different texts that are told apart, over all groups; of rarer ones only the number is known."""
_ROWS_PER_CHECK = 50_000
_NOTHING = 9
"""Ranks above every kind of value."""

Keys = tuple[Value | None, ...]


class Grouped:
    """The tallies of one group: how many rows, and the values at each place."""

    __slots__ = ("rows", "tallies")

    def __init__(self, places: int) -> None:
        self.rows = 0
        self.tallies = [Tally() for _ in range(places)]

    def merge(self, other: Grouped) -> None:
        self.rows += other.rows
        for mine, its in zip(self.tallies, other.tallies, strict=True):
            mine.merge(its)


def run(connection: sqlite3.Connection, query: nodes.AggregateQuery) -> Aggregation:
    """The groups of a query.

    Raises:
        NotFound: there is no such project.
        QueryError: it makes more groups, or needs more memory, than is allowed.
    """
    project = project_pk(connection, query.project)
    found = aggregating_kept.answer(connection, project, query)
    if found is None:
        found = _scanned(connection, project, query)
    return answer(query, found)


def answer(query: nodes.AggregateQuery, found: list[tuple[Keys, list[Measured]]]) -> Aggregation:
    """Groups in their order, as many as were asked for.

    Raises:
        QueryError: their bins and values are more than is allowed.
    """
    found.sort(key=lambda entry: _place(entry[0]))
    order = query.order
    if order is not None:
        found.sort(key=lambda entry: _rank(order, entry[1][order.measure]))
    size = 0
    for _, measured in found[: query.limit]:
        size += _size(measured)
        _check_size(size)
    return Aggregation(
        group_by=[aggregation_text.format_key(key) for key in query.group_by],
        measures=[aggregation_text.format_measure(measure) for measure in query.measures],
        groups=[
            Group(keys=[None if key is None else key[1] for key in keys], measures=measured)
            for keys, measured in found[: query.limit]
        ],
        truncated=len(found) > query.limit,
    )


def _place(keys: Keys) -> tuple[Value | tuple[int, int], ...]:
    """What groups are sorted by."""
    return tuple((_NOTHING, 0) if key is None else key for key in keys)


def _rank(order: nodes.Order, measured: Measured) -> tuple[bool, float]:
    """What groups are sorted by where a measure orders them."""
    figure = measured.value
    if figure is None:
        return True, 0.0
    return False, -figure if order.descending else figure


def _size(measured: list[Measured]) -> int:
    """How many bins and values measures have."""
    return sum(len(each.counts) + len(each.categories) for each in measured)


def _check_size(number: int) -> None:
    if number > nodes.MAX_PARTS:
        raise QueryError(
            f"the histograms and values of the groups have more than {nodes.MAX_PARTS:,} bins and values; "
            "ask for fewer of them, or for fewer groups with limit",
            at="measures",
        )


# -- reading every row


def _scanned(
    connection: sqlite3.Connection, project: int, query: nodes.AggregateQuery
) -> list[tuple[Keys, list[Measured]]]:
    wanted = list(dict.fromkeys(m.place for m in query.measures if m.place is not None))
    named = {
        measure.place for measure in query.measures if aggregation_tallies.needs_names(measure)
    }
    lead, condition, compiler = planning.leading(connection, project, query.where)
    places = Places(connection, query.project, compiler)
    keys = [places.key(key) for key in query.group_by]
    readings = [places.place(place) for place in wanted]
    columns = [column for each in (*keys, *readings) for column in each.columns]
    width = sum(len(key.columns) for key in keys)
    grouping = ""
    if not wanted:
        # Where rows are only counted, SQLite is the quicker one.
        columns.append(Sql("count(*)"))
        grouping = f"GROUP BY {', '.join(map(str, range(1, width + 1)))}" if width else ""
    source = lead
    joins = compiler.joins
    if query.over == "feedback":
        source, condition = _feedback(project, query, lead, condition)
    if compiler.reads_payload:
        source = Sql(f"{source.text} LEFT JOIN payloads p ON p.call = c.pk", source.params)
    pieces = [
        Sql("SELECT " + ", ".join(column.text for column in columns)),
        source,
        *joins,
        Sql(f"WHERE {condition.text}", condition.params),
        Sql(grouping),
    ]
    params: tuple[Param, ...] = tuple(
        param for each in (*columns, *pieces) for param in each.params
    )
    rows = connection.execute(" ".join(piece.text for piece in pieces), params)
    loading = _Loading(readings, width, [place in named for place in wanted])
    groups = _decoded(loading.groups(rows) if wanted else _counted(rows), keys)
    if not query.group_by and not groups:
        groups[()] = Grouped(len(wanted))
    loading.name(groups.values())
    return _measured(query, groups, wanted)


def _counted(rows: sqlite3.Cursor) -> dict[Raw, Grouped]:
    """Groups that only have a count."""
    groups: dict[Raw, Grouped] = {}
    for *key, count in rows:
        _check_groups(len(groups) + 1)
        group = groups[tuple(key)] = Grouped(0)
        group.rows = count
    return groups


def _check_groups(number: int) -> None:
    if number > nodes.MAX_GROUPS:
        raise QueryError(
            f"group_by makes more than {nodes.MAX_GROUPS:,} groups; group by something that "
            "fewer values have, or add a condition",
            at="group_by",
        )


def _feedback(
    project: int, query: nodes.AggregateQuery, lead: Sql, condition: Sql
) -> tuple[Sql, Sql]:
    conditions = [
        # Of one type, its own index is the shorter one.
        Sql("f.project = ?" if query.type is None else "+f.project = ?", (project,)),
        Sql("f.retracts IS NULL" if query.every else "f.stands > 0"),
    ]
    if query.type is not None:
        conditions.append(
            Sql(
                "f.type = (SELECT pk FROM feedback_types WHERE project = ? AND name = ?)",
                (project, query.type),
            )
        )
    if query.author is not None:
        conditions.append(
            Sql(
                "f.author IN (SELECT pk FROM authors WHERE project = ? AND name = ?)",
                (project, query.author),
            )
        )
    if query.since is not None:
        conditions.append(Sql("f.created_at >= ?", (query.since,)))
    if query.until is not None:
        conditions.append(Sql("f.created_at < ?", (query.until,)))
    if query.where is None:
        return Sql("FROM feedback f"), joined(conditions, " AND ")
    source = Sql(f"{lead.text} CROSS JOIN feedback f ON f.call = c.pk", lead.params)
    return source, joined([condition, *conditions], " AND ")


@dataclass(slots=True)
class _Loading:
    """Takes rows in; counts what is kept."""

    readings: list[Reading]
    width: int
    """Columns of the keys, which come first."""
    named: list[bool]
    """Whether the texts at each place are told apart."""
    _texts: int = 0

    def groups(self, rows: sqlite3.Cursor) -> dict[Raw, Grouped]:
        """The rows by the columns of their keys."""
        groups: dict[Raw, Grouped] = {}
        width = self.width
        places = len(self.readings)
        numbers = 0
        while chunk := list(islice(rows, _ROWS_PER_CHECK)):
            parts: dict[Raw, list[Raw]] = {} if width else {(): chunk}
            for row in chunk if width else ():
                key = row[:width]
                if key in parts:
                    parts[key].append(row)
                else:
                    parts[key] = [row]
            for key, its in parts.items():
                group = groups.get(key)
                if group is None:
                    group = groups[key] = Grouped(places)
                group.rows += len(its)
                self._take(group, its)
            numbers += len(chunk) * places
            _check_groups(len(groups))
            if numbers > MAX_NUMBERS:
                raise QueryError(
                    f"the measures need more than {MAX_NUMBERS:,} values; add a condition, such as on "
                    "started_at, or ask for fewer measures",
                    at="measures",
                )
        return groups

    def _take(self, group: Grouped, rows: list[Raw]) -> None:
        at = self.width
        for tally, reading, named in zip(group.tallies, self.readings, self.named, strict=True):
            if reading.form == "number":
                tally.numbers.extend([row[at] for row in rows if row[at] is not None])
                at += 1
            elif reading.form == "any":
                tally.numbers.extend([row[at + 1] for row in rows if row[at] == NUMBER])
                bools = [row[at + 1] for row in rows if row[at] == BOOL]
                true = sum(map(bool, bools))
                tally.true += true
                tally.false += len(bools) - true
                self._name(tally, [row[at + 2] for row in rows if row[at] == TEXT], named)
                at += 3
            else:
                self._name(tally, [row[at] for row in rows if row[at] is not None], named)
                at += 1

    def _name(self, tally: Tally, texts: list[Any], named: bool) -> None:
        if not named:
            tally.unnamed += len(texts)
            return
        known = tally.named
        for text in texts:
            if text in known:
                known[text] += 1
            elif self._texts < MAX_NAMED:
                self._texts += 1
                known[text] = 1
            else:
                tally.unnamed += 1

    def name(self, groups: Any) -> None:
        """Put texts where integers stood for them."""
        for index, reading in enumerate(self.readings):
            if reading.form != "name" or reading.name is None:
                continue
            known: dict[Any, str | None] = {}
            for group in groups:
                tally = group.tallies[index]
                texts: dict[str, int] = {}
                for pk, n in tally.named.items():
                    if pk not in known:
                        known[pk] = reading.name(pk)
                    text = known[pk]
                    if text is not None:
                        texts[text] = texts.get(text, 0) + n
                tally.named = texts


def _decoded(groups: dict[Raw, Grouped], keys: list[KeyReading]) -> dict[Keys, Grouped]:
    """The groups by the values of their keys. Several integers may stand for one value."""
    known: list[dict[Raw, Value | None]] = [{} for _ in keys]
    found: dict[Keys, Grouped] = {}
    for raw, group in groups.items():
        values: list[Value | None] = []
        at = 0
        for key, seen in zip(keys, known, strict=True):
            part = raw[at : at + len(key.columns)]
            at += len(key.columns)
            if part not in seen:
                seen[part] = key.value(part)
            values.append(seen[part])
        its = tuple(values)
        if its in found:
            found[its].merge(group)
        else:
            found[its] = group
    return found


def _measured(
    query: nodes.AggregateQuery, groups: dict[Keys, Grouped], places: list[nodes.Place]
) -> list[tuple[Keys, list[Measured]]]:
    position = {place: index for index, place in enumerate(places)}
    shared: dict[tuple[nodes.Place, int], list[float]] = {}
    edges: list[list[float]] = []
    for measure in query.measures:
        its: list[float] = []
        if isinstance(measure, nodes.Histogram):
            asked = measure.place, measure.bins
            if asked not in shared:
                at = position[measure.place]
                tallies = (group.tallies[at] for group in groups.values())
                shared[asked] = aggregation_tallies.edges_of(tallies, measure.bins)
            its = shared[asked]
        edges.append(its)

    def of(group: Grouped, index: int) -> Measured:
        measure = query.measures[index]
        if measure.place is None:
            return Measured(value=group.rows, n=group.rows)
        tally = group.tallies[position[measure.place]]
        return aggregation_tallies.measured(measure, tally, edges[index], query.confidence)

    order = query.order
    kept = sorted(groups, key=_place)
    if order is not None:
        kept.sort(key=lambda keys: _rank(order, of(groups[keys], order.measure)))
    found: list[tuple[Keys, list[Measured]]] = []
    size = 0
    # One more than is asked for says that there are more.
    for keys in kept[: query.limit + 1]:
        measured = [of(groups[keys], index) for index in range(len(query.measures))]
        size += _size(measured) if len(found) < query.limit else 0
        _check_size(size)
        found.append((keys, measured))
    return found
