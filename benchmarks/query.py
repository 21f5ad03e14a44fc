"""How long questions take over a large store: 1 M calls of about 2 kB and 1.5 M rows of feedback.

The store is built through its own ingest (`--data FOLDER` keeps it for the next run): traces of eight calls
over 30 days in one large and one small project, two scorers with booleans, numbers and comments, ratings by
three people, notes and reactions. The texts of the large project are indexed by parts of words too. Then each question is asked through the store's public methods with parameters that vary, records
built and all. `rows` says how many came back, so that nothing is fast by being empty.

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
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kibitz.base import clock, refs, wire
from kibitz.base.records import Batch, CallPart, ExceptionInfo, FeedbackPart, ObjectPart
from kibitz.query import aggregation_json, json_form, nodes
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore

PROJECT, SMALL_PROJECT = "bench/app", "bench/other"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
BATCH_TRACES = 500
CALLS_PER_TRACE = 8
PAGE = 50
DEEP_ROWS = 20_000
MARKER = "benchmark.json"
SECONDS_PER_QUESTION = 6.0
MOST_ROUNDS, FEWEST_ROUNDS = 300, 12
CORRECT, HELPFUL = "runnable.correct", "runnable.helpful"
RATING = "rating"
"""Of several authors."""
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ing")]


class Corpus:
    """Made-up calls and judgements, the same for the same seed."""

    def __init__(self, seed: int = 11) -> None:
        self.random = random.Random(seed)
        words = ["".join(self.random.choices(_SYLLABLES, k=1 + n % 4)) for n in range(30_000)]
        # Common words are common: a word is in the urn in proportion to one over its rank.
        self._urn = [
            word
            for rank, word in enumerate(words, start=1)
            for _ in range(max(1, 40_000 // (rank + 40)))
        ]

    def text(self, words: int) -> str:
        return " ".join(self.random.choices(self._urn, k=words))

    def trace(self, number: int, traces: int) -> list[CallPart]:
        """An agent's call with what it calls, in the order in which they end."""
        project_share = number / traces
        started = START + timedelta(days=DAYS * project_share, seconds=self.random.random() * 60)
        trace_id = f"{number:032x}"
        root_id = f"{number:024x}-{0:07x}"
        common: dict[str, Any] = {
            "trace_id": trace_id,
            "thread_id": f"thread-{number // 3}",
            "attributes": {
                "environment": self.random.choice(["production", "staging"]),
                "release": f"2026.{number * 12 // traces}",
            },
        }
        user = {"id": f"user-{self.random.randrange(traces // 4 + 1)}", "plan": "team"}
        children = ["retrieve", "rerank", "chat", "tool.search", "tool.lookup", "chat", "guard"]
        parts: list[CallPart] = []
        at = started
        for index, op in enumerate(children[: CALLS_PER_TRACE - 1], start=1):
            took = timedelta(milliseconds=self.random.lognormvariate(4.5, 1))
            inputs: dict[str, Any] = {"query": self.text(12), "user": user, "k": index}
            inputs["passages" if op != "chat" else "messages"] = [
                {"role": "user", "text": self.text(30)} for _ in range(3)
            ]
            failed = self.random.random() < 0.02
            parts.append(
                CallPart(
                    id=f"{number:024x}-{index:07x}",
                    parent_id=root_id,
                    op=op,
                    kind="llm" if op == "chat" else "tool",
                    started_at=at,
                    ended_at=at + took,
                    inputs=inputs,
                    output=None if failed else {"text": self.text(85), "tokens": index * 7},
                    summary={"usage": {"m-large": {"input": 300 + index, "output": 120}}},
                    exception=ExceptionInfo(type="TimeoutError", message=self.text(6))
                    if failed
                    else None,
                    **common,
                )
            )
            at += took
        question = {"question": self.text(25), "user": user, "history": [self.text(60)]}
        parts.append(
            CallPart(
                id=root_id,
                op="answer",
                kind="agent",
                started_at=started,
                ended_at=at,
                inputs=question,
                output={"text": self.text(150), "sources": [self.text(8) for _ in range(3)]},
                summary={"cost": round(self.random.random() / 100, 6)},
                **common,
            )
        )
        return parts

    def judgements(self, project: str, call: CallPart) -> Iterator[FeedbackPart]:
        """One and a half on a call, on average."""
        assert call.ended_at is not None
        draw = self.random.random
        quality = draw()
        common: dict[str, Any] = {
            "target_ref": refs.call_ref(project, call.id),
            "created_at": call.ended_at + timedelta(seconds=draw() * 3600),
        }
        if draw() < 0.7:
            output = {"match": draw() < quality, "score": round(draw() * quality, 6)}
            output["reason"] = self.text(12)
            yield self._runnable(project, CORRECT, call, output, common)
        if draw() < 0.65:
            passed = {"passed": draw() < 0.8, "score": round((draw() + quality) / 2, 6)}
            passed["comment"] = self.text(15)
            yield self._runnable(project, HELPFUL, call, passed, common)
        if draw() < 0.03:
            for author in ("ann", "bob", "cem"):
                yield FeedbackPart(
                    id=f"{author}{call.id}",
                    type=RATING,
                    payload={"score": min(5, 1 + int(5 * (draw() + quality) / 2))},
                    author=author,
                    **common,
                )
        if draw() < 0.04:
            payload = {"note": self.text(20)}
            yield FeedbackPart(
                id=f"n{call.id}", type="note", payload=payload, author="ann", **common
            )
        if draw() < 0.02:
            emoji = self.random.choice("👍👎🎉")
            yield FeedbackPart(
                id=f"r{call.id}", type="reaction", payload={"emoji": emoji}, author="bob", **common
            )

    def _runnable(
        self, project: str, type_: str, call: CallPart, output: Any, common: dict[str, Any]
    ) -> FeedbackPart:
        name = type_.partition(".")[2]
        judge = _judge(name)
        made_by = refs.Ref(project=project, kind="object", name=name, digest=judge.digest)
        return FeedbackPart(
            id=f"{name[0]}{call.id}",
            type=type_,
            payload={"output": output},
            author_kind="program",
            runnable_ref=refs.format_ref(made_by),
            **common,
        )


def _judge(name: str) -> ObjectPart:
    """The version of a scorer that the judgements are by."""
    value = {"scorer": name}
    digest = refs.digest(wire.encode_record(value))
    return ObjectPart(kind="object", name=name, digest=digest, value=value)


JUDGES = [_judge(each.partition(".")[2]) for each in (CORRECT, HELPFUL)]


def build(folder: Path, calls: int) -> dict[str, Any]:
    """Fill a folder with so many calls, a tenth of them in the small project; what was made and how long it took."""
    corpus = Corpus()
    traces = calls // CALLS_PER_TRACE
    feedback_rows = 0
    store = sqlite.open_store(folder)
    begun = time.perf_counter()
    for first in range(0, traces, BATCH_TRACES):
        project = SMALL_PROJECT if first // BATCH_TRACES % 10 == 9 else PROJECT
        parts = [
            part
            for number in range(first, min(traces, first + BATCH_TRACES))
            for part in corpus.trace(number, traces)
        ]
        feedback = [each for part in parts for each in corpus.judgements(project, part)]
        receipt = store.ingest.write(
            Batch(project=project, calls=parts, feedback=feedback, objects=JUDGES)
        )
        assert not receipt.rejected, receipt.rejected[:1]
        feedback_rows += len(feedback)
        _say(f"stored {(first + BATCH_TRACES) * CALLS_PER_TRACE:,} of {calls:,} calls", begun)
    stored_s = time.perf_counter() - begun
    store.search.set_level(PROJECT, "substrings")
    bytes_before = store.path.stat().st_size
    indexed = 0
    while done := store.search.index_some(10_000):
        indexed += done
        _say(f"indexed the texts of {indexed:,} calls", begun)
    store.close()
    made = {
        "calls": traces * CALLS_PER_TRACE,
        "feedback": feedback_rows,
        "build_s": round(stored_s, 1),
        "text_index_s": round(time.perf_counter() - begun - stored_s, 1),
        "text_index_bytes": store.path.stat().st_size - bytes_before,
        "file_bytes": store.path.stat().st_size,
    }
    (folder / MARKER).write_text(json.dumps(made))
    return made


def _say(text: str, begun: float) -> None:
    print(
        f"\r{text} ({time.perf_counter() - begun:,.0f} s)   ", end="", file=sys.stderr, flush=True
    )


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
    calls = store.calls
    sample = known.calls

    def one(n: int) -> tuple[str, str, str, str, str]:
        return sample[n % len(sample)]

    def asked(**parts: Any) -> int:
        return len(calls.query(_query(**parts)).items)

    def within(days: float, **parts: Any) -> int:
        since = known.moment(days)
        return asked(since=since, until=since + timedelta(days=days), **parts)

    def judged(n: int, *sort: tuple[str, str]) -> int:
        return asked(
            where=_compare("$eq", MATCH, n % 2 == 0),
            sort=[{"field": field, "direction": direction} for field, direction in sort],
        )

    def way(n: int) -> str:
        return "desc" if n // 2 % 2 == 0 else "asc"

    cursors = _deep_cursors(store)

    def deep(n: int) -> int:
        deep_query = dataclasses.replace(_best(), cursor=cursors[n % len(cursors)])
        return len(calls.query(deep_query).items)

    def output_has(text: str) -> dict[str, Any]:
        return {"$contains": {"input": _field("output"), "substr": {"$literal": text}}}

    def word(n: int) -> dict[str, Any]:
        return output_has(f" {one(n)[4].split(' ')[1]} ")

    def best(n: int) -> list[dict[str, str]]:
        return [{"field": HELPFUL_SCORE, "direction": way(n)}]

    def averaged(n: int) -> int:
        query = nodes.CallQuery(
            project=PROJECT,
            where=nodes.Compare(_MEAN_RATING, "gt" if n % 2 else "lt", 2 + n % 5 / 3),
            sort=(nodes.SortKey(_MEAN_RATING, descending=way(n) == "desc"),),
        )
        return len(calls.query(query).items)

    def grouped(n: int) -> int:
        keys = ["op", "day"]
        measures = ["count", "mean(latency)"] if n % 2 else ["count"]
        query = aggregation_json.build(project=PROJECT, group_by=keys, measures=measures)
        return len(calls.aggregate(query).groups)

    return {
        "newest_50": lambda n: asked(),
        "by_id": lambda n: len([calls.get(PROJECT, one(n)[0])]),
        "one_trace": lambda n: len(calls.trace(PROJECT, one(n)[1])),
        "op_time": lambda n: within(1, op=one(n)[2]),
        "feedback_filter_sort": lambda n: judged(n, (HELPFUL_SCORE, way(n))),
        "feedback_filter_sort_same_scorer": lambda n: judged(n, (CORRECT_SCORE, way(n))),
        "feedback_above_sort": lambda n: asked(
            where=_compare("$gt", CORRECT_SCORE, n % 10 / 20),
            sort=[{"field": HELPFUL_SCORE, "direction": way(n)}],
        ),
        "feedback_two_keys": lambda n: judged(n, (MATCH, "desc"), (HELPFUL_SCORE, way(n))),
        "feedback_filter_sort_op_time": lambda n: within(
            7,
            op=one(n)[2],
            where=_compare("$eq", MATCH, True),
            sort=[{"field": HELPFUL_SCORE, "direction": way(n)}],
        ),
        "two_scorers_and": lambda n: asked(
            where={
                "$and": [
                    _compare("$eq", MATCH, n % 2 == 0),
                    _compare("$gt", HELPFUL_SCORE, n % 10 / 20),
                ]
            },
            sort=best(n),
        ),
        "scorer_negated": lambda n: asked(
            where={"$not": [_compare("$eq", MATCH, n % 2 == 0)]}, sort=best(n)
        ),
        "several_authors_mean": averaged,
        "deep_page": deep,
        "aggregate_op_day": grouped,
        "group_op_day": lambda n: len(calls.by_op_and_day(PROJECT, since=known.moment(15))),
        "json_path_time": lambda n: within(15, where=_compare("$eq", "inputs.user.id", one(n)[3])),
        "word": lambda n: asked(where=word(n)),
        "word_op_time": lambda n: within(15, op=one(n)[2], where=word(n)),
        "word_and_score": lambda n: asked(
            where={"$and": [word(n), _compare("$eq", MATCH, n % 2 == 0)]}
        ),
        "substring": lambda n: asked(where=output_has(one(n)[4][2:])),
        "substring_time": lambda n: within(15, where=output_has(one(n)[4][2:])),
        "substring_two_words": lambda n: asked(
            where=output_has(" ".join(one(n)[4].split(" ")[:2])[1:])
        ),
        "substring_in_word": lambda n: asked(where=output_has(one(n)[4].split(" ")[1][1:])),
        "substring_absent": lambda n: asked(where=output_has(f"zzq{n}x qzz")),
        "complete": lambda n: len(calls.complete(PROJECT, _BEGUN[n % len(_BEGUN)]).items),
        "count_op_time": lambda n: (
            calls.count(PROJECT, _query(op=one(n)[2], since=known.moment(1)).where).count
        ),
    }


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


def baseline(path: Path, known: Known) -> dict[str, Question]:
    """Some of the questions in bare SQL over the same file, with `json_extract` where the store has scores."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA mmap_size = 1073741824")

    def ids(name: str, table: str) -> int:
        statement = f"SELECT pk FROM {table} WHERE name = ?"
        return connection.execute(statement, (name,)).fetchone()[0]

    project = ids(PROJECT, "projects")
    statement = "SELECT pk FROM feedback_types WHERE project = ? AND name = ?"
    correct, helpful = (
        connection.execute(statement, (project, name)).fetchone()[0] for name in (CORRECT, HELPFUL)
    )
    judged = """
        SELECT c.*, p.inputs, p.output FROM calls c JOIN payloads p ON p.call = c.pk
        JOIN feedback m ON m.call = c.pk AND m.type = ? JOIN feedback s ON s.call = c.pk AND s.type = ?
        WHERE c.project = ? AND json_extract(m.payload, '$.output.match') = ?
        ORDER BY json_extract(s.payload, '$.output.score') DESC LIMIT 50 OFFSET ?
    """

    def asked(statement: str, *params: Any) -> int:
        return len(connection.execute(statement, params).fetchall())

    def within(condition: str, value: str) -> int:
        since = known.moment(15)
        bounds = clock.to_us(since), clock.to_us(since + timedelta(days=15))
        return asked(
            "SELECT c.*, p.inputs, p.output FROM calls c JOIN payloads p ON p.call = c.pk"
            f" WHERE c.project = ? AND c.started_at >= ? AND c.started_at < ? AND {condition}"
            " ORDER BY c.started_at DESC LIMIT 50",
            *(project, *bounds, value),
        )

    sample = known.calls
    scored = """
        SELECT c.*, p.inputs, p.output FROM calls c JOIN payloads p ON p.call = c.pk
        JOIN feedback s ON s.call = c.pk AND s.type = ?
        LEFT JOIN feedback m ON m.call = c.pk AND m.type = ?
        WHERE c.project = ? AND {} ORDER BY json_extract(s.payload, '$.output.score') DESC LIMIT 50
    """
    both = "json_extract(m.payload, '$.output.match') = ? AND json_extract(s.payload, '$.output.score') > ?"
    neither = "coalesce(json_extract(m.payload, '$.output.match') = ?, 0) = 0"
    averaged = """
        SELECT c.*, p.inputs, p.output, avg(json_extract(f.payload, '$.score')) AS mean
        FROM feedback f JOIN calls c ON c.pk = f.call JOIN payloads p ON p.call = c.pk
        WHERE f.type = (SELECT pk FROM feedback_types WHERE project = ? AND name = ?)
        GROUP BY c.pk HAVING mean > ? ORDER BY mean DESC LIMIT 50
    """

    def has(text: str) -> int:
        return asked(
            "SELECT c.*, p.inputs, p.output FROM calls c JOIN payloads p ON p.call = c.pk"
            " WHERE c.project = ? AND instr(p.output, ?) > 0 ORDER BY c.started_at DESC LIMIT 50",
            *(project, text),
        )

    return {
        "two_scorers_and": lambda n: asked(
            scored.format(both), helpful, correct, project, n % 2, n % 10 / 20
        ),
        "scorer_negated": lambda n: asked(scored.format(neither), helpful, correct, project, n % 2),
        "several_authors_mean": lambda n: asked(averaged, project, RATING, 2 + n % 5 / 3),
        "aggregate_op_day": lambda n: asked(
            "SELECT op, started_at / 86400000000, count(*), avg(latency) FROM calls"
            " WHERE project = ? GROUP BY 1, 2",
            project,
        ),
        "word": lambda n: has(f" {sample[n][4].split(' ')[1]} "),
        "substring": lambda n: has(sample[n][4][2:]),
        "substring_in_word": lambda n: has(sample[n][4].split(" ")[1][1:]),
        "substring_absent": lambda n: has(f"zzq{n}x qzz"),
        "complete": lambda n: asked(
            "SELECT f.type, count(*) FROM feedback f WHERE f.project = ? GROUP BY 1", project
        ),
        "feedback_filter_sort": lambda n: asked(judged, correct, helpful, project, n % 2, 0),
        "deep_page": lambda n: asked(judged, correct, helpful, project, 1, DEEP_ROWS),
        "group_op_day": lambda n: asked(
            "SELECT op, started_at / 86400000000, count(*), avg(latency) FROM calls"
            " WHERE project = ? AND started_at >= ? GROUP BY 1, 2",
            project,
            clock.to_us(known.moment(15)),
        ),
        "json_path_time": lambda n: within("json_extract(p.inputs, '$.user.id') = ?", sample[n][3]),
        "substring_time": lambda n: within("instr(p.output, ?) > 0", sample[n][4][2:]),
    }


def run(folder: Path, calls: int) -> dict[str, Any]:
    """Build where nothing is built yet, ask, and put both ways of asking side by side."""
    marker = folder / MARKER
    if marker.exists():
        made = json.loads(marker.read_text())
        if made["calls"] != calls // CALLS_PER_TRACE * CALLS_PER_TRACE:
            raise SystemExit(f"{folder} holds {made['calls']:,} calls; use another folder")
    else:
        made = build(folder, calls)
    store = sqlite.open_store(folder, query_timeout_s=120)
    known = know(store)
    found: dict[str, dict[str, float]] = {}
    bare: dict[str, dict[str, float]] = {}
    begun = time.perf_counter()
    for name, ask in questions(store, known).items():
        _say(f"asking {name}", begun)
        found[name] = measure(ask)
    for name, ask in baseline(store.path, known).items():
        _say(f"asking {name} without the store", begun)
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
