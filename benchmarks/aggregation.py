"""How long aggregates take over a large store: what the sums kept on ingest answer, and what every row is read for.

The store is that of `benchmarks.corpus`: `--data FOLDER` names one that it has built, or that is built now.

    python -m benchmarks.aggregation --json [--quick] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import corpus
from kibitz.query import aggregation_json
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore

CALLS, QUICK_CALLS = 1_000_000, 40_000
SECONDS_PER_QUESTION = 4.0
MOST_ROUNDS, FEWEST_ROUNDS = 100, 3
SCORE, MATCH = "feedback.runnable.correct.output.score", "feedback.runnable.correct.output.match"


def questions() -> dict[str, dict[str, Any]]:
    """Every question by name."""
    return {
        "op_and_day": _asked(["op", "day"], ["count", "share(status, error)", "mean(latency)"]),
        "score_and_day": _asked(["day"], [f"mean({SCORE})"]),
        "share_and_day": _asked(["day"], [f"share({MATCH})"]),
        "histogram_and_day": _asked(["day"], [f"histogram({SCORE}, 20)"]),
        "score_over_everything": _asked([], [f"mean({SCORE})", f"histogram({SCORE}, 20)"]),
        "scanned_op_quantile": _asked(["op"], ["p95(latency)"]),
        "scanned_score_and_op": _asked(["op"], [f"mean({SCORE})"]),
        "scanned_day_in_zone": _asked(["day(Europe/Berlin)"], ["count"]),
        "scanned_feedback_type_and_day": _asked(["type", "day"], ["count"], over="feedback"),
    }


def _asked(group_by: list[str], measures: list[str], **further: Any) -> dict[str, Any]:
    return {"project": corpus.PROJECT, "group_by": group_by, "measures": measures, **further}


def measure(store: SqliteStore) -> dict[str, dict[str, float]]:
    """The times of each question, in milliseconds, and how many groups it gave."""
    found: dict[str, dict[str, float]] = {}
    for name, asked in questions().items():
        query = aggregation_json.build(**asked)

        def ask(query: Any = query) -> int:
            return len(store.calls.aggregate(query).groups)

        groups = ask()
        times = _times(ask)
        found[name] = {
            "p50_ms": round(times[len(times) // 2], 2),
            "p95_ms": round(times[min(len(times) - 1, int(len(times) * 0.95))], 2),
            "groups": groups,
        }
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def _times(ask: Callable[[], int]) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < FEWEST_ROUNDS or (
        len(times) < MOST_ROUNDS and time.perf_counter() - begun < SECONDS_PER_QUESTION
    ):
        started = time.perf_counter()
        ask()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure aggregates over a large store.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_CALLS:,} calls")
    parser.add_argument("--data", type=Path, help="a folder to keep the store in")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.data or Path(temporary)
        if not (folder / corpus.MARKER).exists():
            corpus.build(folder, QUICK_CALLS if given.quick else CALLS)
        made = json.loads((folder / corpus.MARKER).read_text())
        store = sqlite.open_store(folder, query_timeout_s=60)
        try:
            figures = {"store": made, "queries": measure(store)}
        finally:
            store.close()
    print(json.dumps(figures, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
