"""AlpacaEval's answers and GPT-4's preferences, and a server that has them all, asked over HTTP."""

from __future__ import annotations

import csv
import gzip
import json
import runpy
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "shared" / "data" / "alpaca_eval"
PROJECT = "alpaca/eval"
TYPE = "runnable.gpt4_preference"
EXAMPLE = Path(__file__).parents[2] / "examples" / "alpaca_eval.py"
LISTS = {"object": "objects", "call": "calls", "feedback": "feedback"}
BATCH_RECORDS = 1000


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a file, in its order."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def published() -> dict[str, dict[str, Any]]:
    """The leaderboard as it was published, by model."""
    with (DATA / "leaderboard.csv").open(encoding="utf-8") as lines:
        return {row.pop("model"): row for row in csv.DictReader(lines)}


class Api:
    """A server's API, spoken to as any program would."""

    def __init__(self, url: str) -> None:
        self._url = url

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._url}/api/v1/{path}",
            data=gzip.compress(json.dumps(body).encode(), 1),
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def calls(self, **asked: Any) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self.post(
                "calls/query", {"project": PROJECT, "limit": 250, "cursor": cursor, **asked}
            )
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def count(self, *conditions: dict[str, Any]) -> int:
        query = {"$expr": {"$and": list(conditions)}}
        found = self.post("calls/count", {"project": PROJECT, "query": query, "bound": 100_000})
        assert found["exact"]
        return found["count"]


def batches() -> Iterator[dict[str, Any]]:
    """What the example makes of the files, in batches as an import sends them."""
    example = runpy.run_path(str(EXAMPLE))
    batch: dict[str, Any] = {"project": PROJECT}
    for number, record in enumerate(example["records"](DATA), start=1):
        [(kind, value)] = record.items()
        batch.setdefault(LISTS[kind], []).append(value)
        if number % BATCH_RECORDS == 0:
            yield batch
            batch = {"project": PROJECT}
    yield batch


def fill(api: Api) -> None:
    """Send everything, and check that everything is there."""
    stored = 0
    for batch in batches():
        receipt = api.post("ingest", batch)
        assert receipt.get("rejected", []) == []
        assert receipt.get("calls", 0) == len(batch.get("calls", []))
        assert receipt.get("feedback", 0) == len(batch.get("feedback", []))
        stored += receipt.get("calls", 0)
    assert stored == 9_658
