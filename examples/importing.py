"""Bring calls and feedback from elsewhere: write JSON lines, import them, and do it again without harm."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = [
    {"id": "17", "asked": "2026-05-01T09:30:00Z", "question": "How do I cancel?", "answer": "Write to us.", "stars": 2},
    {"id": "18", "asked": "2026-05-01T09:41:00Z", "question": "Where are you?", "answer": "In Braga.", "stars": 5},
]  # fmt: skip
PROJECT = "acme/imported"


def lines(row: dict[str, object]) -> list[dict[str, object]]:
    call_id = f"ticket-{row['id']}"
    call = {
        "id": call_id,
        "op": "answer",
        "started_at": row["asked"],
        "ended_at": row["asked"],
        "inputs": {"question": row["question"]},
        "output": row["answer"],
    }
    stars = {
        "type": "stars",
        "target_ref": f"kibitz:///{PROJECT}/call/{call_id}",
        "payload": {"value": row["stars"]},
        "author_kind": "import",
    }
    return [{"call": call}, {"feedback": stars}]


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "tickets.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for row in ROWS for line in lines(row)))
    for _ in range(2):  # the second time adds nothing
        subprocess.run(
            [sys.executable, "-m", "kibitz.cli", "import", str(path), "--project", PROJECT],
            check=True,
        )

subprocess.run(
    [sys.executable, "-m", "kibitz.cli", "calls", PROJECT,
     "--sort", "feedback.[stars].payload.value",
     "--columns", "id,inputs.question,feedback.[stars].payload.value"],
    check=True,
)  # fmt: skip
