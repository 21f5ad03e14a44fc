"""Groups of calls or of judgements, and what is measured of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kibitz.asking import frames, measures
from kibitz.asking.measures import Measure
from kibitz.asking.questions import Question, Types
from kibitz.base.errors import QueryError
from kibitz.base.records import Aggregation, Measured
from kibitz.query import aggregation, aggregation_json, aggregation_text, shapes
from kibitz.query.expressions import Field
from kibitz.query.nodes import Node
from kibitz.storage.protocols import Store

Key = Field[Any] | str
"""What to group by: a field, or words such as `day`, `model`, `attributes.env`."""
_SHOWN_GROUPS = 20
_SHOWN_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Groups:
    """Calls or judgements in groups, to be measured."""

    _question: Question
    _keys: tuple[str, ...] = ()
    _over: aggregation.Over = "calls"
    _further: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def group_by(self, *keys: Key) -> Groups:
        """The same in these groups, in place of others.

        Args:
            keys: fields such as `calls.op` and `attributes.env`, or words: `hour`, `day`, `week`, `month`,
                `day("Europe/Berlin")`. Of judgements words only: `author`, `version`, `payload.output.match`.

        Raises:
            QueryError: one of them is no key.
        """
        written = tuple(map(_key, keys))
        for each in written:
            aggregation_text.parse_key(each, over=self._over)
        return dataclasses.replace(self, _keys=written)

    def aggregate(
        self,
        *unnamed: Measure | str,
        order: str | None = None,
        limit: int = aggregation.DEFAULT_LIMIT,
        confidence: float = 0.95,
        **named: Measure | str,
    ) -> Table:
        """What is measured of each group.

        Args:
            unnamed: measures, named as their words: `mean(calls.latency)`, `"p95(latency)"`.
            order: a measure by its name or words, then `asc` or `desc`; by the keys where nothing is said.
            limit: how many groups at most.
            confidence: how sure the intervals of means and shares are, from 0 to 1.
            named: measures by the names that they get.

        Raises:
            QueryError: a measure or the order is none, or there are too many groups.
        """
        written = {each: each for each in map(_measure, unnamed)}
        written |= {name: _measure(each) for name, each in named.items()}
        with self._question.place.opened() as store:
            query = aggregation_json.build(
                project=self._question.project,
                over=self._over,
                where=self._where(store),
                group_by=self._keys,
                measures=list(written.values()) or ["count"],
                order=None if order is None else _order(order, written),
                known_types=Types(self._question.place, store),
                limit=limit,
                confidence=confidence,
                **self._further,
            )
            reader = store.calls if self._over == "calls" else store.feedback
            return Table(self._keys, tuple(written) or ("count",), reader.aggregate(query))

    agg = aggregate

    def _where(self, store: Store) -> Node | None:
        if self._question.limit is not None:
            raise QueryError("groups are of all calls that match; leave .limit(…) out", at="limit")
        return self._question.query(store).where

    def __repr__(self) -> str:
        keys = ", ".join(self._keys) or "everything"
        return f"<{self._over} of {self._question.project} by {keys}: {self._question.words()}>"


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """One row for each group: its keys, and what was measured of it."""

    keys: tuple[str, ...]
    measures: tuple[str, ...]
    aggregation: Aggregation
    """All that was answered: numbers of values, intervals, histograms."""

    @property
    def truncated(self) -> bool:
        """Whether there are more groups than were asked for."""
        return self.aggregation.truncated

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows by name. A histogram, and the most frequent values, are whole `Measured` records."""
        for group in self.aggregation.groups:
            row = dict(zip(self.keys, group.keys, strict=True))
            figures = map(_figure, self.aggregation.measures, group.measures)
            yield row | dict(zip(self.measures, figures, strict=True))

    def __len__(self) -> int:
        return len(self.aggregation.groups)

    def to_arrow(self) -> frames.pyarrow.Table:
        """The rows as a table. A mean or share `x` has its interval in `x.low` and `x.high`, a histogram its parts in
        `x.edges` and `x.counts`, values theirs in `x.values` and `x.counts`.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        columns: dict[str, list[Any]] = {
            name: [group.keys[n] for group in self.aggregation.groups]
            for n, name in enumerate(self.keys)
        }
        for n, name in enumerate(self.measures):
            found = [group.measures[n] for group in self.aggregation.groups]
            columns |= _columns(name, self.aggregation.measures[n], found)
        return frames.table(columns)

    def to_pandas(self) -> frames.pandas.DataFrame:
        """The same as a frame of pandas; raises `MissingExtra` where it or pyarrow is not installed."""
        frames.check("pandas")
        return frames.to_pandas(self.to_arrow())

    def to_polars(self) -> frames.polars.DataFrame:
        """The same as a frame of polars; raises `MissingExtra` where it or pyarrow is not installed."""
        frames.check("polars")
        return frames.to_polars(self.to_arrow())

    def __repr__(self) -> str:
        names = [*self.keys, *self.measures]
        shown = [list(row.values()) for _, row in zip(range(_SHOWN_GROUPS), self, strict=False)]
        lines = [names, *([_cell(each) for each in row] for row in shown)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        left = len(self) - len(shown)
        return text + (f"\n… and {left:,} more" if left else "")


def _key(given: object) -> str:
    return given if isinstance(given, str) else measures.place(given)


def _measure(given: object) -> str:
    if isinstance(given, Measure):
        return given.text
    if isinstance(given, str):
        return given.strip()
    raise QueryError(
        f"{shapes.short(given)} is no measure; write measures.mean(calls.latency) or 'mean(latency)'"
    )


def _order(order: str, written: Mapping[str, str]) -> str:
    """The order with the words of a measure in place of its name."""
    name, space, way = order.strip().rpartition(" ")
    if space and way.lower() in ("asc", "desc"):
        return f"{written.get(name.strip(), name)} {way}"
    return written.get(order.strip(), order)


def _figure(measure: str, measured: Measured) -> Any:
    if measured.edges or measured.categories:
        return measured
    is_number = measure.startswith(("count", "distinct")) and measured.value is not None
    return int(measured.value or 0) if is_number else measured.value


def _columns(name: str, measure: str, found: list[Measured]) -> dict[str, list[Any]]:
    if any(each.edges for each in found):
        return {
            f"{name}.edges": [each.edges for each in found],
            f"{name}.counts": [each.counts for each in found],
        }
    if any(each.categories for each in found):
        return {
            f"{name}.values": [[one.value for one in each.categories] for each in found],
            f"{name}.counts": [[one.n for one in each.categories] for each in found],
        }
    columns: dict[str, list[Any]] = {name: [_figure(measure, each) for each in found]}
    if any(each.low is not None for each in found):
        columns[f"{name}.low"] = [each.low for each in found]
        columns[f"{name}.high"] = [each.high for each in found]
    return columns


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Measured):
        return f"{value.n:,} values"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = "".join(each if each.isprintable() else "�" for each in text)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
