"""How quickly wanted evaluations are done, by real `kibitz worker` processes.

- `evals_per_s`: one worker, a trivial function, a data folder: from the moment at which the worker has started until
  it is idle again, outcomes and scores durable.
- `first_score_s`: a program and an idle worker share a folder, a rule wants each call judged; from the end of a call
  until a query for its score finds it, as the median. What the program gathers before it delivers (half a second as
  it comes) is inside.
- `duplicates`: two workers at the same evaluations; how many calls of the function were too many.
- `slow_judge_ratio`: a provider that awaits a local HTTP service of 200 ms, 50 at once; evaluations a second from the
  first begin to the last end, of the 250 that there can be. `slow_bare_ratio` is the same of an event loop that does
  nothing but ask.

With `--peer`, TruLens 1.2.11 is installed into a folder of its own and does the first two, in the same run.

    python -m benchmarks.deferred --json [--quick] [--peer]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import kibitz
from benchmarks import deferred_judges, deferred_peer
from kibitz.base import clock
from kibitz.base.evaluations import Evaluation, EvaluationQuery, NewRule
from kibitz.base.records import Batch, CallPart
from kibitz.judging.functions import Feedback
from kibitz.query import json_form
from kibitz.storage import sqlite

PROJECT = "bench/deferred"
ROOT = Path(__file__).parent.parent
CONCURRENCY = 50
TIMEOUT_S = 300.0


def prepare(folder: Path, calls: int, function: Callable[..., Any]) -> None:
    """A store with calls, each of which is to be judged."""
    judge = Feedback(function).on_output()
    now = clock.now()
    store = sqlite.open_store(folder)
    for first in range(0, calls, 1000):
        parts = [
            CallPart(
                id=f"01900000-0000-7000-8000-{number:012x}",
                op="answer",
                started_at=now - timedelta(seconds=2),
                ended_at=now,
                inputs={"question": f"what is {number}?"},
                output=f"it is {number}",
            )
            for number in range(first, min(calls, first + 1000))
        ]
        store.ingest.write(Batch(project=PROJECT, calls=parts, objects=[judge.definition.part()]))
    cursor = None
    while True:
        step = store.evaluations.want(PROJECT, [judge.definition.ref(PROJECT)], None, cursor=cursor)
        cursor = step.cursor
        if cursor is None:
            break
    store.close()


@contextmanager
def worker(folder: Path, *options: str, **environment: str) -> Generator[subprocess.Popen[str]]:
    """A worker process; it is stopped at the end where it goes on."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "kibitz.cli", "worker", "--json", "--data", str(folder)),
            *("--allow", "benchmarks.deferred_judges", "--app-dir", str(ROOT), *options),
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a worker says last."""
    out, _ = process.communicate(timeout=TIMEOUT_S)
    return json.loads(out.splitlines()[-1])


def evaluations(folder: Path) -> list[Evaluation]:
    """All evaluations of a folder."""
    store = sqlite.open_store(folder)
    found: list[Evaluation] = []
    cursor = None
    while True:
        page = store.evaluations.query(EvaluationQuery(project=PROJECT, limit=1000, cursor=cursor))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            store.close()
            return found


def throughput(folder: Path, calls: int) -> float:
    """Trivial evaluations a second of one worker."""
    prepare(folder, calls, deferred_judges.length)
    with worker(folder, "--until-idle") as process:
        told = ended(process)
    assert told["total"]["done"] == calls, told
    return calls / told["seconds"]


def first_score(folder: Path, rounds: int) -> float:
    """Seconds from the end of a call until its score is found."""
    judge = Feedback(deferred_judges.length).on_output()
    session = kibitz.init(PROJECT, data=str(folder), print_summary=False)
    store = sqlite.open_store(folder)
    store.ingest.write(Batch(project=PROJECT, objects=[judge.definition.part()]))
    store.rules.save(PROJECT, "all", NewRule(definitions=[judge.definition.ref(PROJECT)]))

    @kibitz.op
    def answer(question: str) -> str:
        return f"to {question}"

    times: list[float] = []
    with worker(folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in range(rounds + 1):
            _, call = answer.call(f"question {number}")
            begun = time.perf_counter()
            query = json_form.parse_query(
                {
                    "project": PROJECT,
                    "filter": {"ids": [call.id]},
                    "query": {
                        "$expr": {
                            "$gt": [
                                {"$getField": "feedback.[runnable.length].payload.output"},
                                {"$literal": 0},
                            ]
                        }
                    },
                }
            )
            while not store.calls.query(query).items:
                assert time.perf_counter() - begun < TIMEOUT_S, "the score did not come"
                time.sleep(0.002)
            if number:
                times.append(time.perf_counter() - begun)
            # Calls come at any moment of a worker's rest, and of what the program gathers.
            time.sleep(0.037 * (number % 7))
    session.finish()
    store.close()
    return statistics.median(times)


def duplicates(folder: Path, calls: int) -> int:
    """How many calls of the function were too many, with two workers."""
    prepare(folder, calls, deferred_judges.noted)
    notes = str(folder / "notes")
    with (
        worker(folder, "--until-idle", BENCHMARK_NOTES=notes) as one,
        worker(folder, "--until-idle", BENCHMARK_NOTES=notes) as other,
    ):
        told = [ended(one), ended(other)]
    assert sum(each["total"]["done"] for each in told) == calls, told
    judged = Counter(Path(notes).read_text().splitlines())
    assert len(judged) == calls
    return sum(judged.values()) - calls


@contextmanager
def service() -> Generator[int]:
    """The service that a slow judge asks, in a process of its own; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.deferred_judges"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=10)


def slow_judge(folder: Path, calls: int) -> float:
    """The share of what is possible that evaluations by a slow service reach."""
    with service() as port:
        prepare(folder, calls, deferred_judges.Remote(port).score)
        with worker(folder, "--until-idle", "--concurrency", str(CONCURRENCY)) as process:
            told = ended(process)
    assert told["total"]["done"] == calls, told
    rows = evaluations(folder)
    begun = min(each.started_at for each in rows if each.started_at)
    over = max(each.ended_at for each in rows if each.ended_at)
    possible = CONCURRENCY / deferred_judges.LATENCY_S
    return calls / (over - begun).total_seconds() / possible


def bare_loop(calls: int) -> float:
    """The same of an event loop that does nothing but ask the service, 50 at once."""

    async def ask_all(port: int) -> float:
        judge = deferred_judges.Remote(port)
        places = asyncio.Semaphore(CONCURRENCY)

        async def ask() -> None:
            async with places:
                await judge.ascore("it is 7")

        begun = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(calls)))
        return time.perf_counter() - begun

    with service() as port:
        return calls / asyncio.run(ask_all(port)) / (CONCURRENCY / deferred_judges.LATENCY_S)


def run(*, quick: bool, peer: bool) -> dict[str, Any]:
    """The whole measurement."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result: dict[str, Any] = {
            "evals_per_s": round(throughput(folder / "rate", 4_000 if quick else 20_000)),
            "first_score_s": round(first_score(folder / "first", 5 if quick else 20), 3),
            "duplicates": duplicates(folder / "two", 2_000 if quick else 10_000),
            "slow_judge_ratio": round(slow_judge(folder / "slow", 1_500 if quick else 5_000), 3),
            "slow_bare_ratio": round(bare_loop(1_500 if quick else 5_000), 3),
        }
        if peer:
            result.update(deferred_peer.measure(folder / "peer", records=100 if quick else 200))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer evaluations")
    parser.add_argument("--peer", action="store_true", help="TruLens 1.2.11 beside, from PyPI")
    options = parser.parse_args()
    result = run(quick=options.quick, peer=options.peer)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
