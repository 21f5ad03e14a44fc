"""TruLens 1.2.11 doing deferred evaluations, in a virtual environment of its own.

The same trivial function over the main output, on an SQLite file, evaluator as it comes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("trulens-core==1.2.11", "trulens-feedback==1.2.11")
TIMEOUT_S = 900.0
JUDGE = """
def length(text: str) -> float:
    return min(len(text) / 100, 1.0)
"""
PROGRAM = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from trulens.core import Feedback, FeedbackMode, TruSession
from trulens.apps.custom import TruCustomApp, instrument
import peer_judge

class Answering:
    @instrument
    def answer(self, question: str) -> str:
        return "to " + question

records, path = int(sys.argv[1]), sys.argv[2]
session = TruSession(database_url="sqlite:///" + path)
session.reset_database()
judge = Feedback(peer_judge.length, name="length").on_output()
app = Answering()
recorder = TruCustomApp(app, app_name="peer", feedbacks=[judge], feedback_mode=FeedbackMode.DEFERRED)

def scored():
    frame, _ = session.get_records_and_feedback()
    return 0 if "length" not in frame else int(frame["length"].notna().sum())

for number in range(records):
    with recorder:
        app.answer(f"question {number}")
begun = time.perf_counter()
session.start_evaluator(disable_tqdm=True)
while scored() < records:
    time.sleep(0.2)
rate = records / (time.perf_counter() - begun)
times = []
for number in range(3):
    with recorder:
        app.answer(f"another {number}")
    begun = time.perf_counter()
    while scored() < records + number + 1:
        time.sleep(0.02)
    times.append(time.perf_counter() - begun)
print(json.dumps({"evals_per_s": rate, "first_score_s": sorted(times)[1]}))
sys.stdout.flush()
import os
os._exit(0)
"""


def measure(folder: Path, *, records: int) -> dict[str, Any]:
    """Its evaluations a second, and seconds from a call to its score; says why where it cannot be installed."""
    folder.mkdir(parents=True)
    python = folder / "venv" / "bin" / "python"
    try:
        _run([sys.executable, "-m", "venv", str(folder / "venv")])
        _run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES])
        (folder / "peer_judge.py").write_text(JUDGE)
        (folder / "program.py").write_text(PROGRAM)
        said = _run(
            [str(python), str(folder / "program.py"), str(records), str(folder / "peer.db")]
        )
    except (subprocess.SubprocessError, OSError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        return {"peer_error": detail.strip()[-300:]}
    told = json.loads(said.splitlines()[-1])
    return {
        "trulens_evals_per_s": round(told["evals_per_s"], 1),
        "trulens_first_score_s": round(told["first_score_s"], 2),
    }


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    return done.stdout
