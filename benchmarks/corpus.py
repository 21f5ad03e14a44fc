"""A large store to ask: 1 M calls of about 2 kB and 1.5 M rows of feedback, the same for the same seed.

Traces of eight calls over 30 days in one large and one small project, two scorers with booleans, numbers and
comments, ratings by three people, notes and reactions. It is written through the store's own ingest. The texts of
the large project are indexed by parts of words too.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kibitz.base import refs, wire
from kibitz.base.records import Batch, CallPart, ExceptionInfo, FeedbackPart, ObjectPart
from kibitz.storage import sqlite

PROJECT, SMALL_PROJECT = "bench/app", "bench/other"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
BATCH_TRACES = 500
CALLS_PER_TRACE = 8
MARKER = "benchmark.json"
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


def prepare(folder: Path, calls: int) -> dict[str, Any]:
    """Fill a folder where it is not filled yet, and say what was made and how long that took."""
    marker = folder / MARKER
    if not marker.exists():
        return build(folder, calls)
    made = json.loads(marker.read_text())
    if made["calls"] != calls // CALLS_PER_TRACE * CALLS_PER_TRACE:
        raise SystemExit(f"{folder} holds {made['calls']:,} calls; use another folder")
    return made


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
        say(f"stored {(first + BATCH_TRACES) * CALLS_PER_TRACE:,} of {calls:,} calls", begun)
    stored_s = time.perf_counter() - begun
    store.search.set_level(PROJECT, "substrings")
    bytes_before = store.path.stat().st_size
    indexed = 0
    while done := store.search.index_some(10_000):
        indexed += done
        say(f"indexed the texts of {indexed:,} calls", begun)
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


def say(text: str, begun: float) -> None:
    """How far it is, in one line on standard error that is written over."""
    print(
        f"\r{text} ({time.perf_counter() - begun:,.0f} s)   ", end="", file=sys.stderr, flush=True
    )
