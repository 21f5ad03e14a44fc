"""A published leaderboard, from its raw answers and judgements, through a server's public API alone.

805 instructions, 9,658 answers of 12 models as calls and GPT-4's preferences as feedback go in over HTTP. What
comes out of paged queries must be the published win rates, standard errors and wins.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from alpaca import TYPE, Api, published, rows

PREFERENCE = {"$getField": f"feedback.[{TYPE}].payload.output.preference"}

pytestmark = pytest.mark.processes


def _of(model: str) -> dict[str, Any]:
    return {"$eq": [{"$getField": "attributes.model"}, {"$literal": model}]}


def _judged(operator: str, value: float) -> dict[str, Any]:
    return {operator: [PREFERENCE, {"$literal": value}]}


def test_the_leaderboard_is_the_published_one(alpaca_eval: Api) -> None:
    for model, said in published().items():
        where = {"$expr": {"$and": [_of(model), {"$exists": PREFERENCE}]}}
        found = list(alpaca_eval.calls(filter={"op": "answer"}, query=where, columns=["scores"]))
        preferences = [call["scores"][TYPE]["output.preference"] for call in found]

        assert len({call["id"] for call in found}) == len(found) == int(said["n_total"]), model
        win_rate = math.fsum(each - 1 for each in preferences) / len(preferences) * 100
        error = statistics.stdev(preferences) / math.sqrt(len(preferences)) * 100
        assert win_rate == pytest.approx(float(said["win_rate"]), abs=1e-9, rel=0), model
        assert error == pytest.approx(float(said["standard_error"]), abs=1e-9, rel=0), model
        counts = {
            "n_wins": alpaca_eval.count(_of(model), _judged("$gt", 1.5)),
            "n_wins_base": alpaca_eval.count(_of(model), _judged("$lt", 1.5)),
            "n_draws": alpaca_eval.count(_of(model), _judged("$eq", 1.5)),
        }
        assert counts == {name: int(said[name]) for name in counts}, model


def test_what_was_not_judged_is_missing_and_not_zero(alpaca_eval: Api) -> None:
    """One model has two answers fewer: they are in no count, not even as a loss."""
    everything = [each for each in published() if published()[each]["n_total"] == "805"]
    assert len(everything) == 11

    assert (
        alpaca_eval.count(_of("phi-2"))
        == alpaca_eval.count(_of("phi-2"), {"$exists": PREFERENCE})
        == 803
    )
    assert alpaca_eval.count(_of("phi-2"), _judged("$lt", 1.0)) == 0


def test_the_best_answers_come_first_page_by_page(alpaca_eval: Api) -> None:
    sort = [
        {"field": PREFERENCE["$getField"], "direction": "desc"},
        {"field": "started_at", "direction": "asc"},
    ]
    expected = sorted(
        (-row["preference"], number, f"{row['model']}-{row['instruction_id']}")
        for number, row in enumerate(rows("outputs.jsonl.gz"))
    )

    found = [call["id"] for call in alpaca_eval.calls(filter={"op": "answer"}, sort=sort)]

    assert found == [call_id for _, _, call_id in expected]


def test_answers_are_found_by_instruction_and_text(alpaca_eval: Api) -> None:
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
        row for row in rows("instructions.jsonl.gz") if "famous actors that" in row["instruction"]
    )
    expected = {
        f"{row['model']}-{row['instruction_id']}"
        for row in rows("outputs.jsonl.gz")
        if row["instruction_id"] == instruction["instruction_id"]
        and "hugh jackman" in row["output"].lower()
    }

    found = {call["id"] for call in alpaca_eval.calls(query={"$expr": where})}

    assert found == expected
    assert len(found) > 3
