"""How long questions take over a large store: 1 M calls of about 2 kB and 1.5 M rows of feedback.

The store is that of `benchmarks.corpus` (`--data FOLDER` keeps it for the next run). Each question is asked through the
store's public methods with parameters that vary, records built and all. `rows` says how many came back, so that
nothing is fast by being empty.

The baseline asks the same of the same file as one would without the store: a bare
connection, `json_extract` over payloads and feedback joined to calls, OFFSET for a deep page.

    python -m benchmarks.query --json [--quick] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import corpus
from benchmarks.corpus import CORRECT, DAYS, HELPFUL, PROJECT, RATING, START
from kibitz.base import clock
from kibitz.query import aggregation_json, json_form, nodes
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore

PAGE = 50
DEEP_ROWS = 20_000
SECONDS_PER_QUESTION = 6.0
MOST_ROUNDS, FEWEST_ROUNDS = 300, 12


@dataclasses.dataclass(frozen=True)
class Known:
    """What the questions ask for: drawn from the store itself."""

    calls: list[tuple[str, str, str, str, str]]
    """(id, trace, op, user, a stretch of the output's text) of calls all over the large project."""
    random: random.Random

    def moment(self, days: float) -> datetime:
        return START + timedelta(days=self.random.random() * (DAYS - days))


def know(store: SqliteStore, rounds: int = 400) -> Known:
    """Draw calls at random moments."""
    random_ = random.Random(5)
    found: list[tuple[str, str, str, str, str]] = []
    while len(found) < rounds:
        since = START + timedelta(days=random_.random() * (DAYS - 1))
        query = _query(since=since, sort=[{"field": "started_at"}], limit=20, columns=True)
        for call in store.calls.query(query).items:
            if isinstance(call.output, dict):
                words = call.output["text"].split(" ")
                begin = random_.randrange(len(words) - 6)
                stretch = " ".join(words[begin : begin + 4])
                found.append((call.id, call.trace_id, call.op, call.inputs["user"]["id"], stretch))
    random_.shuffle(found)
    return Known(found, random_)


def _query(
    *,
    where: Any = None,
    sort: Any = None,
    limit: int = PAGE,
    columns: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    op: str | None = None,
) -> Any:
    return json_form.parse_query(
        {
            "project": PROJECT,
            "filter": {
                "op": op,
                "since": since and since.isoformat(),
                "until": until and until.isoformat(),
            },
            "query": where and {"$expr": where},
            "sort": sort,
            "limit": limit,
            "columns": ["inputs", "output"] if columns else [],
        }
    )


def _field(text: str) -> dict[str, str]:
    return {"$getField": text}


def _compare(operator: str, field: str, value: Any) -> dict[str, Any]:
    return {operator: [_field(field), {"$literal": value}]}


MATCH = f"feedback.[{CORRECT}].payload.output.match"
CORRECT_SCORE = f"feedback.[{CORRECT}].payload.output.score"
HELPFUL_SCORE = f"feedback.[{HELPFUL}].payload.output.score"
_MEAN_RATING = nodes.FeedbackField(RATING, ("score",), over="mean")
_BEGUN = [
    "",
    "fee",
    "feedback.",
    "feedback.runnable.correct.output.",
    "op = ",
    "op = answer and lat",
]
"""Queries in words as far as somebody has typed them."""
Question = Callable[[int], int]
"""Asks with the parameters of a round and gives how many rows came back."""


def questions(store: SqliteStore, known: Known) -> dict[str, Question]:
    """Every question by name."""
    asked = Asked(store, known)
    return {
        **_of_columns(asked),
        **_of_feedback(asked),
        **_of_groups(asked),
        **_of_texts(asked),
    }


class Asked:
    """How questions are asked of a store, with the parameters of a round."""

    def __init__(self, store: SqliteStore, known: Known) -> None:
        self.calls = store.calls
        self.known = known
        self._cursors = _deep_cursors(store)

    def one(self, n: int) -> tuple[str, str, str, str, str]:
        """A call to ask about."""
        return self.known.calls[n % len(self.known.calls)]

    def page(self, **parts: Any) -> int:
        return len(self.calls.query(_query(**parts)).items)

    def within(self, days: float, **parts: Any) -> int:
        """A page of so many days."""
        since = self.known.moment(days)
        return self.page(since=since, until=since + timedelta(days=days), **parts)

    def judged(self, n: int, *sort: tuple[str, str]) -> int:
        """A page of what one scorer found right, or wrong."""
        return self.page(
            where=_compare("$eq", MATCH, n % 2 == 0),
            sort=[{"field": field, "direction": direction} for field, direction in sort],
        )

    def deep(self, n: int) -> int:
        """A page far down."""
        deep_query = dataclasses.replace(_best(), cursor=self._cursors[n % len(self._cursors)])
        return len(self.calls.query(deep_query).items)

    def averaged(self, n: int) -> int:
        """A page by the mean of several authors."""
        query = nodes.CallQuery(
            project=PROJECT,
            where=nodes.Compare(_MEAN_RATING, "gt" if n % 2 else "lt", 2 + n % 5 / 3),
            sort=(nodes.SortKey(_MEAN_RATING, descending=_way(n) == "desc"),),
        )
        return len(self.calls.query(query).items)

    def grouped(self, n: int) -> int:
        keys = ["op", "day"]
        measures = ["count", "mean(latency)"] if n % 2 else ["count"]
        query = aggregation_json.build(project=PROJECT, group_by=keys, measures=measures)
        return len(self.calls.aggregate(query).groups)


def _of_columns(asked: Asked) -> dict[str, Question]:
    one, calls = asked.one, asked.calls
    return {
        "newest_50": lambda n: asked.page(),
        "by_id": lambda n: len([calls.get(PROJECT, one(n)[0])]),
        "one_trace": lambda n: len(calls.trace(PROJECT, one(n)[1])),
        "op_time": lambda n: asked.within(1, op=one(n)[2]),
        "json_path_time": lambda n: asked.within(
            15, where=_compare("$eq", "inputs.user.id", one(n)[3])
        ),
        "complete": lambda n: len(calls.complete(PROJECT, _BEGUN[n % len(_BEGUN)]).items),
        "count_op_time": lambda n: (
            calls.count(PROJECT, _query(op=one(n)[2], since=asked.known.moment(1)).where).count
        ),
    }


def _of_feedback(asked: Asked) -> dict[str, Question]:
    return {
        "feedback_filter_sort": lambda n: asked.judged(n, (HELPFUL_SCORE, _way(n))),
        "feedback_filter_sort_same_scorer": lambda n: asked.judged(n, (CORRECT_SCORE, _way(n))),
        "feedback_above_sort": lambda n: asked.page(
            where=_compare("$gt", CORRECT_SCORE, n % 10 / 20), sort=_by_helpful(n)
        ),
        "feedback_two_keys": lambda n: asked.judged(n, (MATCH, "desc"), (HELPFUL_SCORE, _way(n))),
        "feedback_filter_sort_op_time": lambda n: asked.within(
            7, op=asked.one(n)[2], where=_compare("$eq", MATCH, True), sort=_by_helpful(n)
        ),
        "two_scorers_and": lambda n: asked.page(
            where={
                "$and": [
                    _compare("$eq", MATCH, n % 2 == 0),
                    _compare("$gt", HELPFUL_SCORE, n % 10 / 20),
                ]
            },
            sort=_by_helpful(n),
        ),
        "scorer_negated": lambda n: asked.page(
            where={"$not": [_compare("$eq", MATCH, n % 2 == 0)]}, sort=_by_helpful(n)
        ),
        "several_authors_mean": asked.averaged,
        "deep_page": asked.deep,
    }


def _of_groups(asked: Asked) -> dict[str, Question]:
    return {
        "aggregate_op_day": asked.grouped,
        "group_op_day": lambda n: len(
            asked.calls.by_op_and_day(PROJECT, since=asked.known.moment(15))
        ),
    }


def _of_texts(asked: Asked) -> dict[str, Question]:
    def text(n: int) -> str:
        return asked.one(n)[4]

    def word(n: int) -> dict[str, Any]:
        return _output_has(f" {text(n).split(' ')[1]} ")

    return {
        "word": lambda n: asked.page(where=word(n)),
        "word_op_time": lambda n: asked.within(15, op=asked.one(n)[2], where=word(n)),
        "word_and_score": lambda n: asked.page(
            where={"$and": [word(n), _compare("$eq", MATCH, n % 2 == 0)]}
        ),
        "substring": lambda n: asked.page(where=_output_has(text(n)[2:])),
        "substring_time": lambda n: asked.within(15, where=_output_has(text(n)[2:])),
        "substring_two_words": lambda n: asked.page(
            where=_output_has(" ".join(text(n).split(" ")[:2])[1:])
        ),
        "substring_in_word": lambda n: asked.page(where=_output_has(text(n).split(" ")[1][1:])),
        "substring_absent": lambda n: asked.page(where=_output_has(f"zzq{n}x qzz")),
    }


def _way(n: int) -> str:
    return "desc" if n // 2 % 2 == 0 else "asc"


def _by_helpful(n: int) -> list[dict[str, str]]:
    return [{"field": HELPFUL_SCORE, "direction": _way(n)}]


def _output_has(text: str) -> dict[str, Any]:
    return {"$contains": {"input": _field("output"), "substr": {"$literal": text}}}


def _best() -> Any:
    return _query(
        where=_compare("$eq", MATCH, True),
        sort=[{"field": HELPFUL_SCORE, "direction": "desc"}],
    )


def _deep_cursors(store: SqliteStore) -> list[str]:
    """Where pages some `DEEP_ROWS` rows down begin, as a reader gets there page by page."""
    query = dataclasses.replace(_best(), limit=1000)
    cursors: list[str] = []
    for rows in itertools.count(1000, 1000):
        cursor = store.calls.query(query).next_cursor
        if cursor is None:
            break
        query = dataclasses.replace(query, cursor=cursor)
        cursors.append(cursor)
        if rows >= DEEP_ROWS + 5_000:
            break
    return cursors[-6:]


def measure(ask: Question) -> dict[str, float]:
    """p50 and p95 in ms over rounds with varying parameters, after a few that do not count."""
    for n in range(3):
        ask(n)
    times: list[float] = []
    rows: list[int] = []
    begun = time.perf_counter()
    while len(times) < MOST_ROUNDS:
        if len(times) >= FEWEST_ROUNDS and time.perf_counter() - begun > SECONDS_PER_QUESTION:
            break
        before = time.perf_counter()
        rows.append(ask(len(times)))
        times.append(time.perf_counter() - before)
    times.sort()
    return {
        "p50_ms": round(1000 * times[len(times) // 2], 3),
        "p95_ms": round(1000 * times[min(len(times) - 1, int(len(times) * 0.95))], 3),
        "rounds": len(times),
        "rows": sorted(rows)[len(rows) // 2],
    }


_OF_CALLS = "SELECT c.*, p.inputs, p.output FROM calls c JOIN payloads p ON p.call = c.pk"
_JUDGED = f"""
    {_OF_CALLS}
    JOIN feedback m ON m.call = c.pk AND m.type = ? JOIN feedback s ON s.call = c.pk AND s.type = ?
    WHERE c.project = ? AND json_extract(m.payload, '$.output.match') = ?
    ORDER BY json_extract(s.payload, '$.output.score') DESC LIMIT 50 OFFSET ?
"""
_SCORED = f"""
    {_OF_CALLS}
    JOIN feedback s ON s.call = c.pk AND s.type = ?
    LEFT JOIN feedback m ON m.call = c.pk AND m.type = ?
    WHERE c.project = ? AND {{}} ORDER BY json_extract(s.payload, '$.output.score') DESC LIMIT 50
"""
_BOTH = _SCORED.format(
    "json_extract(m.payload, '$.output.match') = ? AND json_extract(s.payload, '$.output.score') > ?"
)
_NEITHER = _SCORED.format("coalesce(json_extract(m.payload, '$.output.match') = ?, 0) = 0")
_AVERAGED = """
    SELECT c.*, p.inputs, p.output, avg(json_extract(f.payload, '$.score')) AS mean
    FROM feedback f JOIN calls c ON c.pk = f.call JOIN payloads p ON p.call = c.pk
    WHERE f.type = (SELECT pk FROM feedback_types WHERE project = ? AND name = ?)
    GROUP BY c.pk HAVING mean > ? ORDER BY mean DESC LIMIT 50
"""
_GROUPED = """
    SELECT op, started_at / 86400000000, count(*), avg(latency) FROM calls
    WHERE project = ? {} GROUP BY 1, 2
"""


class Bare:
    """A connection to the same file that knows nothing of the store."""

    def __init__(self, path: Path, known: Known) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.execute("PRAGMA cache_size = -65536")
        self._connection.execute("PRAGMA mmap_size = 1073741824")
        self._known = known
        self.project = self._pk("SELECT pk FROM projects WHERE name = ?", PROJECT)

    def type(self, name: str) -> int:
        statement = "SELECT pk FROM feedback_types WHERE project = ? AND name = ?"
        return self._pk(statement, self.project, name)

    def asked(self, statement: str, *params: Any) -> int:
        return len(self._connection.execute(statement, params).fetchall())

    def within(self, condition: str, value: str) -> int:
        """A page of fifteen days."""
        since = self._known.moment(15)
        bounds = clock.to_us(since), clock.to_us(since + timedelta(days=15))
        return self.asked(
            f"{_OF_CALLS} WHERE c.project = ? AND c.started_at >= ? AND c.started_at < ? AND {condition}"
            " ORDER BY c.started_at DESC LIMIT 50",
            *(self.project, *bounds, value),
        )

    def has(self, text: str) -> int:
        return self.asked(
            f"{_OF_CALLS} WHERE c.project = ? AND instr(p.output, ?) > 0"
            " ORDER BY c.started_at DESC LIMIT 50",
            *(self.project, text),
        )

    def _pk(self, statement: str, *params: Any) -> int:
        return self._connection.execute(statement, params).fetchone()[0]


def baseline(path: Path, known: Known) -> dict[str, Question]:
    """Some of the questions in bare SQL over the same file, with `json_extract` where the store has scores."""
    bare, sample = Bare(path, known), known.calls
    asked, has, project = bare.asked, bare.has, bare.project
    correct, helpful = bare.type(CORRECT), bare.type(HELPFUL)
    return {
        "two_scorers_and": lambda n: asked(_BOTH, helpful, correct, project, n % 2, n % 10 / 20),
        "scorer_negated": lambda n: asked(_NEITHER, helpful, correct, project, n % 2),
        "several_authors_mean": lambda n: asked(_AVERAGED, project, RATING, 2 + n % 5 / 3),
        "aggregate_op_day": lambda n: asked(_GROUPED.format(""), project),
        "word": lambda n: has(f" {sample[n][4].split(' ')[1]} "),
        "substring": lambda n: has(sample[n][4][2:]),
        "substring_in_word": lambda n: has(sample[n][4].split(" ")[1][1:]),
        "substring_absent": lambda n: has(f"zzq{n}x qzz"),
        "complete": lambda n: asked(
            "SELECT f.type, count(*) FROM feedback f WHERE f.project = ? GROUP BY 1", project
        ),
        "feedback_filter_sort": lambda n: asked(_JUDGED, correct, helpful, project, n % 2, 0),
        "deep_page": lambda n: asked(_JUDGED, correct, helpful, project, 1, DEEP_ROWS),
        "group_op_day": lambda n: asked(
            _GROUPED.format("AND started_at >= ?"), project, clock.to_us(known.moment(15))
        ),
        "json_path_time": lambda n: bare.within(
            "json_extract(p.inputs, '$.user.id') = ?", sample[n][3]
        ),
        "substring_time": lambda n: bare.within("instr(p.output, ?) > 0", sample[n][4][2:]),
    }


def run(folder: Path, calls: int) -> dict[str, Any]:
    """Build where nothing is built yet, ask, and put both ways of asking side by side."""
    made = corpus.prepare(folder, calls)
    store = sqlite.open_store(folder, query_timeout_s=120)
    known = know(store)
    found: dict[str, dict[str, float]] = {}
    bare: dict[str, dict[str, float]] = {}
    begun = time.perf_counter()
    for name, ask in questions(store, known).items():
        corpus.say(f"asking {name}", begun)
        found[name] = measure(ask)
    for name, ask in baseline(store.path, known).items():
        corpus.say(f"asking {name} without the store", begun)
        bare[name] = measure(ask)
    store.close()
    print(file=sys.stderr)
    return {
        **made,
        "queries": found,
        "baseline": bare,
        "times_faster": {
            name: round(each["p50_ms"] / found[name]["p50_ms"], 1) for name, each in bare.items()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="100,000 calls instead of 1,000,000")
    parser.add_argument("--data", type=Path, help="build the store here once and use it again")
    given = parser.parse_args()
    calls = 100_000 if given.quick else 1_000_000
    if given.data is not None:
        given.data.mkdir(parents=True, exist_ok=True)
        result = run(given.data, calls)
    else:
        with tempfile.TemporaryDirectory() as name:
            result = run(Path(name), calls)
    if given.json:
        print(json.dumps(result))
        return 0
    for name, each in result["queries"].items():
        beside = result["baseline"].get(name)
        compared = f"   without the store {beside['p50_ms']:10.2f}" if beside else ""
        print(f"{name:34} p50 {each['p50_ms']:8.2f} ms   p95 {each['p95_ms']:8.2f} ms{compared}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
