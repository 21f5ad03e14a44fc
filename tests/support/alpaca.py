"""AlpacaEval's answers and GPT-4's preferences, and a server that has them all, asked over HTTP."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "shared" / "data" / "alpaca_eval"
PROJECT = "alpaca/eval"
TYPE = "runnable.gpt4_preference"
START = datetime(2024, 1, 1, tzinfo=UTC)
BATCH_CALLS = 500


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
    """What an import sends: one version of the judge, then the answers with their preferences."""
    judge = {"name": "weighted_alpaca_eval_gpt4_turbo", "baseline": "gpt4_1106_preview"}
    canonical = json.dumps(judge, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:40]
    made_by = f"kibitz:///{PROJECT}/object/gpt4_preference:{digest}"
    version = {"kind": "object", "name": "gpt4_preference", "digest": digest, "value": judge}
    yield {"project": PROJECT, "objects": [version]}
    instructions = {row["instruction_id"]: row for row in rows("instructions.jsonl.gz")}
    outputs = rows("outputs.jsonl.gz")
    for first in range(0, len(outputs), BATCH_CALLS):
        calls: list[dict[str, Any]] = []
        feedback: list[dict[str, Any]] = []
        for number, row in enumerate(outputs[first : first + BATCH_CALLS], start=first):
            asked = instructions[row["instruction_id"]]
            call_id = f"{row['model']}-{row['instruction_id']}"
            started_at = START + timedelta(seconds=number)
            ended_at = started_at + timedelta(seconds=row["time_per_example"] or 0)
            calls.append(
                {
                    "id": call_id,
                    "op": "answer",
                    "started_at": started_at.isoformat(),
                    "ended_at": ended_at.isoformat(),
                    "inputs": {"instruction": asked["instruction"], "dataset": asked["dataset"]},
                    "output": row["output"],
                    "attributes": {"model": row["model"]},
                }
            )
            if row["preference"] is not None:
                feedback.append(
                    {
                        "id": f"preference-{call_id}",
                        "type": TYPE,
                        "target_ref": f"kibitz:///{PROJECT}/call/{call_id}",
                        "payload": {"output": {"preference": row["preference"]}},
                        "author": "gpt-4",
                        "author_kind": "model",
                        "runnable_ref": made_by,
                        "created_at": ended_at.isoformat(),
                    }
                )
        yield {"project": PROJECT, "calls": calls, "feedback": feedback}


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
