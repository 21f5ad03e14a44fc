"""A published evaluation as calls and feedback: JSON lines for `kibitz import`.

python examples/alpaca_eval.py FOLDER | kibitz import - --project alpaca/eval

FOLDER has `instructions.jsonl.gz` (instruction_id, dataset, instruction) and `outputs.jsonl.gz` (instruction_id,
model, output, time_per_example, preference), one object a line.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = "alpaca/eval"
# The files do not say when; answers are laid a second apart, in their order.
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
JUDGE = {"judge": "weighted_alpaca_eval_gpt4_turbo", "baseline": "gpt4_1106_preview"}


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """The version of the judge, then each answer as a call and each preference as feedback on it."""
    # A version is known by its content: the beginning of the SHA-256 of its JSON, keys sorted, no spaces.
    content = json.dumps(JUDGE, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(content.encode()).hexdigest()[:40]
    yield {
        "object": {"kind": "object", "name": "gpt4_preference", "digest": digest, "value": JUDGE}
    }
    instructions = {row["instruction_id"]: row for row in rows(folder / "instructions.jsonl.gz")}
    for number, row in enumerate(rows(folder / "outputs.jsonl.gz")):
        asked = instructions[row["instruction_id"]]
        started_at = FIRST + timedelta(seconds=number)
        ended_at = started_at + timedelta(seconds=row["time_per_example"] or 0)
        call_id = f"{row['model']}-{row['instruction_id']}"
        yield {
            "call": {
                "id": call_id,
                "op": "answer",
                "kind": "llm",
                "started_at": started_at.isoformat(),
                "ended_at": ended_at.isoformat(),
                "inputs": {"instruction": asked["instruction"], "dataset": asked["dataset"]},
                "output": row["output"],
                "attributes": {"model": row["model"]},
            }
        }
        if row["preference"] is not None:
            yield {
                "feedback": {
                    "id": f"preference-{call_id}",
                    "type": "runnable.gpt4_preference",
                    "target_ref": f"kibitz:///{PROJECT}/call/{call_id}",
                    "runnable_ref": f"kibitz:///{PROJECT}/object/gpt4_preference:{digest}",
                    "payload": {"output": {"preference": row["preference"]}},
                    "author": "gpt-4",
                    "author_kind": "model",
                    "created_at": ended_at.isoformat(),
                }
            }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python alpaca_eval.py FOLDER | kibitz import - --project alpaca/eval")
    for record in records(Path(sys.argv[1])):
        print(json.dumps(record))
