"""What it takes to apply a feedback function to a record, beside calling its implementation bare and beside TruLens.

    python -m benchmarks.feedback_run --json [--quick] [--peer | --peer-python PYTHON]

The record has 50 calls: a question, a retriever with ten passages, and steps of seven other ops. Every run is on a
fresh record, so that laying it out is measured with it. `run_us` selects one passage, `run_output_us` only the main
output, `run_ten_us` judges ten passages and takes their mean. `lens_get_us` selects the texts of ten mappings,
`lens_get_mixed_us` those of mappings and objects. The implementation does next to nothing; `bare_us` is what calling
it costs.

Figures are the best of many short rounds, as `timeit` advises: what disturbs a round only makes it longer.

TruLens 1.2.11 is measured in a process of its own on a record of the same calls: `--peer` installs it into a temporary
environment, `--peer-python` names a Python that has it. Without both, or where it cannot be had, `peer` says why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kibitz.base.records import Call
from kibitz.judging.functions import Feedback
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Record
from kibitz.judging.select import Select

CALLS, PASSAGES = 50, 10
PEER = "trulens-core==1.2.11"
PEER_TIMEOUT_S = 600
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def judge(text: str) -> float:
    return 1.0


def calls() -> list[Call]:
    """The calls of one record."""
    made = [_call(0, None, "answer", {"question": "How do I cancel?"}, "Under settings.")]
    passages = [{"text": f"passage {at}", "id": at} for at in range(PASSAGES)]
    made.append(_call(1, "call-0", "retriever.retrieve", {"query": "cancel"}, passages))
    made += [
        _call(at, "call-0", f"component.step{at % 7}", {"text": "a text"}, "another")
        for at in range(2, CALLS)
    ]
    return made


def _call(at: int, parent: str | None, op: str, inputs: dict[str, Any], output: Any) -> Call:
    begins = BEGAN + timedelta(milliseconds=at)
    ends = BEGAN + timedelta(milliseconds=1000 - at)
    return Call(
        project="benchmark",
        id=f"call-{at}",
        trace_id="trace",
        parent_id=parent,
        op=op,
        op_ref=None,
        kind="retriever" if at == 1 else None,
        display_name=None,
        thread_id=None,
        author=None,
        status="success",
        started_at=begins,
        ended_at=ends,
        latency_ms=1000.0 - 2 * at,
        input_preview="",
        output_preview="",
        inputs=inputs,
        output=output,
        attributes={},
        summary={},
        exception=None,
    )


class Passage:
    def __init__(self, text: str) -> None:
        self.text = text


def best_us(func: Callable[[], object], *, rounds: int, times: int) -> float:
    """Microseconds of one call, in the best of the rounds."""
    return round(min(timeit.repeat(func, number=times, repeat=rounds)) / times * 1e6, 2)


def measure(rounds: int) -> dict[str, Any]:
    """The figures of Kibitz."""
    made = calls()
    texts = Select.RecordCalls.retriever.retrieve.rets[:].text
    one = Feedback(judge).on(Select.RecordCalls.retriever.retrieve.rets[0].text)
    ten, output = Feedback(judge).on(texts), Feedback(judge).on_output()

    def fresh() -> Record:
        return Record.of_calls(made, "call-0")

    assert one.run(fresh()).result == ten.run(fresh()).result == output.run(fresh()).result == 1.0
    assert len(ten.run(fresh()).calls) == PASSAGES
    lens = Lens().retriever.retrieve.rets[:].text
    plain = {"retriever": {"retrieve": {"rets": [{"text": "x"} for _ in range(PASSAGES)]}}}
    mixed = {
        "retriever": {
            "retrieve": {
                "rets": [Passage("x") if at % 2 else {"text": "x"} for at in range(PASSAGES)]
            }
        }
    }
    assert list(lens.get(plain)) == list(lens.get(mixed)) == ["x"] * PASSAGES
    return {
        "run_us": best_us(lambda: one.run(fresh()), rounds=10 * rounds, times=5),
        "run_output_us": best_us(lambda: output.run(fresh()), rounds=10 * rounds, times=5),
        "run_ten_us": best_us(lambda: ten.run(fresh()), rounds=10 * rounds, times=5),
        "layout_us": best_us(lambda: fresh().app, rounds=10 * rounds, times=5),
        "lens_get_us": best_us(lambda: list(lens.get(plain)), rounds=rounds, times=100),
        "lens_get_mixed_us": best_us(lambda: list(lens.get(mixed)), rounds=rounds, times=100),
        "bare_us": best_us(lambda: judge("x"), rounds=rounds, times=1000),
        "calls": CALLS,
        "cpus": os.cpu_count(),
    }


PEER_CODE = """
import json, sys, timeit
from datetime import datetime, timedelta
from trulens.core import Feedback, Select
from trulens.core.schema.base import Perf
from trulens.core.schema.record import Record, RecordAppCall, RecordAppCallMethod
from trulens.core.utils.pyschema import Class, Method, Module, Obj
from trulens.core.utils.serial import Lens
made, rounds = json.load(sys.stdin)
began = datetime(2026, 1, 1)

def call(id, op, inputs, output):
    *path, method = op.split(".")
    lens = Lens().app
    for name in path:
        lens = lens[name]
    cls = Class(name="App", module=Module(module_name="app"))
    place = RecordAppCallMethod(path=lens, method=Method(obj=Obj(cls=cls, id=1), name=method))
    perf = Perf(start_time=began, end_time=began + timedelta(seconds=1))
    return RecordAppCall(call_id=id, stack=[place], args=inputs, rets=output, perf=perf, pid=1, tid=1)

record = Record(
    app_id="app", main_input="q", main_output="a", calls=[call(*each) for each in made[::-1]],
)
def judge(text: str) -> float:
    return 1.0
def best(func, times):
    return round(min(timeit.repeat(func, number=times, repeat=rounds)) / times * 1e6, 2)
texts = Select.RecordCalls.retriever.retrieve[0].rets
one = Feedback(judge).on(text=texts[0].text)
ten = Feedback(judge).on(text=texts[:].text)
app = {"app_id": "app"}
result = one.run(app=app, record=record)
assert result.result == 1.0 and len(ten.run(app=app, record=record).calls) == 10, result
lens = Lens().retriever.retrieve.rets[:].text
plain = {"retriever": {"retrieve": {"rets": [{"text": "x"} for _ in range(10)]}}}
assert list(lens.get(plain)) == ["x"] * 10
print("FIGURES " + json.dumps({
    "run_us": best(lambda: one.run(app=app, record=record), 5),
    "run_ten_us": best(lambda: ten.run(app=app, record=record), 5),
    "lens_get_us": best(lambda: list(lens.get(plain)), 50),
}))
"""


def peer(python: str | None, install: bool, rounds: int) -> dict[str, Any]:
    """The figures of TruLens in the same run, or why there are none."""
    if python is not None:
        return _peer_with(python, rounds)
    if not install:
        return {"why_not": "not asked for; use --peer or --peer-python"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run([sys.executable, "-m", "venv", folder])
            found = str(Path(folder) / "bin" / "python")
            _run([found, "-m", "pip", "install", "--quiet", PEER])
        except (OSError, subprocess.SubprocessError) as error:
            return {"why_not": f"{PEER} cannot be installed: {_last_line(error)}"}
        return _peer_with(found, rounds)


def _peer_with(python: str, rounds: int) -> dict[str, Any]:
    made = [[call.id, call.op, call.inputs, call.output] for call in calls()]
    try:
        done = _run([python, "-c", PEER_CODE], json.dumps([made, rounds]))
    except (OSError, subprocess.SubprocessError) as error:
        return {"why_not": f"{PEER} does not run with {python}: {_last_line(error)}"}
    line = next(each for each in done.splitlines() if each.startswith("FIGURES "))
    return {"version": PEER, **json.loads(line.removeprefix("FIGURES "))}


def _run(command: list[str], given: str | None = None) -> str:
    # The peer leaves a database where it runs.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=PEER_TIMEOUT_S,
            cwd=folder,
        )
    return done.stdout


def _last_line(error: BaseException) -> str:
    said = getattr(error, "stderr", None) or str(error)
    lines = [line for line in str(said).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--peer", action="store_true", help=f"install {PEER} and measure it too")
    parser.add_argument("--peer-python", metavar="PYTHON", help="a Python that has it")
    options = parser.parse_args()
    rounds = 20 if options.quick else 200
    result = measure(rounds)
    # A run takes it tens of milliseconds: a few rounds are enough, and hundreds would take minutes.
    result["peer"] = peer(options.peer_python, options.peer, min(rounds, 20))
    if "run_us" in result["peer"]:
        result["run_ratio"] = round(result["run_us"] / result["peer"]["run_us"], 4)
    print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
