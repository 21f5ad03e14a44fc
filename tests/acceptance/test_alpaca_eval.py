"""A published leaderboard, from its raw answers and judgements, through a server's public API alone.

805 instructions, 9,658 answers of 12 models as calls and GPT-4's preferences as feedback go in over HTTP. What
comes out of paged queries must be the published win rates, standard errors and wins.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import math
import statistics
import urllib.request
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kibitz.testing.serving import ServerProcess

DATA = Path(__file__).parents[3] / "shared" / "data" / "alpaca_eval"
PROJECT = "alpaca/eval"
TYPE = "runnable.gpt4_preference"
PREFERENCE = {"$getField": f"feedback.[{TYPE}].payload.output.preference"}
START = datetime(2024, 1, 1, tzinfo=UTC)
BATCH_CALLS = 500

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the AlpacaEval data is not beside the repository"
    ),
]


def _rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _published() -> dict[str, dict[str, Any]]:
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


def _batches() -> Iterator[dict[str, Any]]:
    judge = {"name": "weighted_alpaca_eval_gpt4_turbo", "baseline": "gpt4_1106_preview"}
    canonical = json.dumps(judge, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:40]
    made_by = f"kibitz:///{PROJECT}/object/gpt4_preference:{digest}"
    version = {"kind": "object", "name": "gpt4_preference", "digest": digest, "value": judge}
    yield {"project": PROJECT, "objects": [version]}
    instructions = {row["instruction_id"]: row for row in _rows("instructions.jsonl.gz")}
    outputs = _rows("outputs.jsonl.gz")
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


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with ServerProcess(tmp_path_factory.mktemp("alpaca")) as server:
        api = Api(server.url)
        stored = 0
        for batch in _batches():
            receipt = api.post("ingest", batch)
            assert receipt.get("rejected", []) == []
            assert receipt.get("calls", 0) == len(batch.get("calls", []))
            assert receipt.get("feedback", 0) == len(batch.get("feedback", []))
            stored += receipt.get("calls", 0)
        assert stored == 9_658
        yield api


def _of(model: str) -> dict[str, Any]:
    return {"$eq": [{"$getField": "attributes.model"}, {"$literal": model}]}


def _judged(operator: str, value: float) -> dict[str, Any]:
    return {operator: [PREFERENCE, {"$literal": value}]}


def test_the_leaderboard_is_the_published_one(api: Api) -> None:
    for model, published in _published().items():
        where = {"$expr": {"$and": [_of(model), {"$exists": PREFERENCE}]}}
        found = list(api.calls(filter={"op": "answer"}, query=where, columns=["scores"]))
        preferences = [call["scores"][TYPE]["output.preference"] for call in found]

        assert len({call["id"] for call in found}) == len(found) == int(published["n_total"]), model
        win_rate = math.fsum(each - 1 for each in preferences) / len(preferences) * 100
        error = statistics.stdev(preferences) / math.sqrt(len(preferences)) * 100
        assert win_rate == pytest.approx(float(published["win_rate"]), abs=1e-9, rel=0), model
        assert error == pytest.approx(float(published["standard_error"]), abs=1e-9, rel=0), model
        counts = {
            "n_wins": api.count(_of(model), _judged("$gt", 1.5)),
            "n_wins_base": api.count(_of(model), _judged("$lt", 1.5)),
            "n_draws": api.count(_of(model), _judged("$eq", 1.5)),
        }
        assert counts == {name: int(published[name]) for name in counts}, model


def test_what_was_not_judged_is_missing_and_not_zero(api: Api) -> None:
    """One model has two answers fewer: they are in no count, not even as a loss."""
    everything = [each for each in _published() if _published()[each]["n_total"] == "805"]
    assert len(everything) == 11

    assert api.count(_of("phi-2")) == api.count(_of("phi-2"), {"$exists": PREFERENCE}) == 803
    assert api.count(_of("phi-2"), _judged("$lt", 1.0)) == 0


def test_the_best_answers_come_first_page_by_page(api: Api) -> None:
    sort = [
        {"field": PREFERENCE["$getField"], "direction": "desc"},
        {"field": "started_at", "direction": "asc"},
    ]
    expected = sorted(
        (-row["preference"], number, f"{row['model']}-{row['instruction_id']}")
        for number, row in enumerate(_rows("outputs.jsonl.gz"))
    )

    found = [call["id"] for call in api.calls(filter={"op": "answer"}, sort=sort)]

    assert found == [call_id for _, _, call_id in expected]


def test_answers_are_found_by_instruction_and_text(api: Api) -> None:
    where = {
        "$and": [
            {
                "$contains": {
                    "input": {"$getField": "inputs.instruction"},
                    "substr": {"$literal": "famous actors that started"},
                }
            },
            {
                "$contains": {
                    "input": {"$getField": "output"},
                    "substr": {"$literal": "hugh jackman"},
                    "case_insensitive": True,
                }
            },
        ]
    }
    instruction = next(
        row for row in _rows("instructions.jsonl.gz") if "famous actors that" in row["instruction"]
    )
    expected = {
        f"{row['model']}-{row['instruction_id']}"
        for row in _rows("outputs.jsonl.gz")
        if row["instruction_id"] == instruction["instruction_id"]
        and "hugh jackman" in row["output"].lower()
    }

    found = {call["id"] for call in api.calls(query={"$expr": where})}

    assert found == expected
    assert len(found) > 3
