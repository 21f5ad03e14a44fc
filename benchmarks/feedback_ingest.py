"""How much feedback a second a server takes, durable and queryable when it says so.

A real server process over a folder that has the calls and the versions of the scorers; a client process sends batches
as the SDK does: feedback of runnable type with the references of its scorer and of the call that it judges, a boolean,
a number and a sentence each, two scorers to a call, over a few keep-alive connections, each as soon as the answer to
the last is there. Bodies are made, and compressed where asked, before the clock starts; the server's whole work is
inside: the rules, what stands, scores, counts and sums. After the run the acknowledged feedback is counted and some of
it is asked for over the API.

The baseline is the same rows, as many to a transaction, into one bare SQLite table with the same journal settings, in
the same run.

    python -m benchmarks.feedback_ingest --json [--quick] [--connections 4] [--zstd]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import zstandard

from benchmarks import ingest
from kibitz.base import refs, wire
from kibitz.base.records import Batch, CallPart, FeedbackPart, ObjectPart
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.query import json_form
from kibitz.storage import sqlite
from kibitz.testing.serving import ServerProcess

PROJECT = "bench/feedback"
BATCH_FEEDBACK = 400
SCORERS = ("correct", "helpful")
ASKED_AFTERWARDS = 200


def scorer(name: str) -> ObjectPart:
    """The version of a scorer that feedback names."""
    value = {"name": name, "release": 1}
    digest = refs.digest(wire.encode_record(value))
    return ObjectPart(kind="object", name=name, digest=digest, value=value)


def prepare_folder(folder: Path, calls: int) -> None:
    """Store the calls that are judged, and the scorers."""
    random_ = random.Random(3)
    words = ingest.vocabulary(random_)
    store = sqlite.open_store(folder)
    try:
        for first in range(0, calls, 1000):
            parts: list[CallPart] = []
            for number in range(first, min(calls, first + 1000)):
                started = ingest.START + timedelta(milliseconds=number * 7)
                parts.append(
                    CallPart(
                        id=_call_id(number),
                        op="answer",
                        started_at=started,
                        ended_at=started + timedelta(milliseconds=200),
                        inputs={"question": " ".join(random_.choices(words, k=8))},
                        output={"text": " ".join(random_.choices(words, k=20))},
                    )
                )
            objects = [scorer(name) for name in SCORERS]
            receipt = store.ingest.write(Batch(project=PROJECT, calls=parts, objects=objects))
            assert not receipt.rejected, receipt.rejected[:1]
        while store.search.index_some():
            pass
    finally:
        store.close()


def _call_id(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012x}"


def make_feedback(random_: random.Random, words: list[str], number: int) -> FeedbackPart:
    """What one scorer says of one call."""
    name = SCORERS[number % len(SCORERS)]
    part = scorer(name)
    score = random_.random()
    made_by = refs.Ref(project=PROJECT, kind="object", name=part.name, digest=part.digest)
    return FeedbackPart(
        id=f"01900000-0000-7000-9000-{number:012x}",
        type=f"runnable.{name}",
        target_ref=refs.call_ref(PROJECT, _call_id(number // len(SCORERS))),
        payload={
            "output": {
                "match": score > 0.5,
                "score": round(score, 6),
                "reason": " ".join(random_.choices(words, k=9)),
            }
        },
        author="judge",
        author_kind="program",
        created_at=ingest.START + timedelta(seconds=3600, milliseconds=number),
        runnable_ref=refs.format_ref(made_by),
    )


def make_bodies(feedback: int) -> tuple[list[bytes], list[int]]:
    """The bodies, and how much feedback is in each."""
    random_ = random.Random(7)
    words = ingest.vocabulary(random_)
    bodies: list[bytes] = []
    sizes: list[int] = []
    for first in range(0, feedback, BATCH_FEEDBACK):
        parts = [
            make_feedback(random_, words, number)
            for number in range(first, min(feedback, first + BATCH_FEEDBACK))
        ]
        bodies.append(wire.encode(Batch(project=PROJECT, feedback=parts)))
        sizes.append(len(parts))
    return bodies, sizes


def raw_sqlite(folder: Path, bodies: list[bytes]) -> float:
    """Rows a second of the same feedback into one bare table: id, target, JSON."""
    rows = [
        [
            (each["id"], each["target_ref"], json.dumps(each))
            for each in json.loads(body)["feedback"]
        ]
        for body in bodies
    ]
    return ingest.raw_rows_per_s(folder, rows)


def verify(url: str, feedback: int) -> tuple[int, int]:
    """How much feedback the project has, and how many of some calls are found by what both scorers said of them."""
    store = RemoteStore(Connection(url, timeout_s=60))
    try:
        stored = store.projects.get(PROJECT).feedback
        numbers = random.Random(1).sample(range(feedback // len(SCORERS)), k=ASKED_AFTERWARDS)
        both = {
            "$and": [
                {"$exists": {"$getField": f"feedback.[runnable.{name}].payload.output.score"}}
                for name in SCORERS
            ]
        }
        query = json_form.parse_query(
            {
                "project": PROJECT,
                "filter": {"ids": [_call_id(number) for number in numbers]},
                "query": {"$expr": both},
                "limit": ASKED_AFTERWARDS,
            }
        )
        return stored, len(store.calls.query(query).items)
    finally:
        store.close()


def run(feedback: int, connections: int, encoding: str) -> dict[str, Any]:
    """The whole measurement."""
    bodies, sizes = make_bodies(feedback)
    sent = [zstandard.compress(body, 1) for body in bodies] if encoding else bodies
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw_rows_per_s = raw_sqlite(folder, bodies)
        prepare_folder(folder / "data", feedback // len(SCORERS))
        with ServerProcess(folder / "data") as server:
            result = ingest.in_process(server.url, sent, encoding, connections, folder)
            stored, found = verify(server.url, feedback)
    acknowledged = sum(sizes[index] for index in result["acknowledged"])
    latencies: list[float] = result["latencies"]
    durable_per_s = acknowledged / result["seconds"]
    return {
        "durable_feedback_per_s": round(durable_per_s),
        "raw_sqlite_rows_per_s": round(raw_rows_per_s),
        "ratio": round(durable_per_s / raw_rows_per_s, 3),
        "feedback": feedback,
        "acknowledged": acknowledged,
        "stored": stored,
        "found_by_both_scores": found,
        "asked_for": ASKED_AFTERWARDS,
        "failures": result["failures"][:3],
        "batch_feedback": BATCH_FEEDBACK,
        "feedback_bytes": round(sum(map(len, bodies)) / feedback),
        "connections": connections,
        "encoding": encoding or "identity",
        "batch_p50_ms": round(1000 * latencies[len(latencies) // 2], 1) if latencies else None,
        "batch_p99_ms": round(1000 * latencies[int(len(latencies) * 0.99)], 1)
        if latencies
        else None,
        "bodies_prepared_before_timing": True,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="40,000 instead of 200,000")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--zstd", action="store_true", help="send bodies compressed")
    given = parser.parse_args()
    result = run(
        40_000 if given.quick else 200_000, given.connections, "zstd" if given.zstd else ""
    )
    if given.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:32} {value}")
    complete = (
        result["stored"] == result["acknowledged"] == result["feedback"]
        and result["found_by_both_scores"] == result["asked_for"]
    )
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main())
