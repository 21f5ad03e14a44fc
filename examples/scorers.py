"""Judge calls with plain functions and ops, and ask for the worst through the query that everybody uses."""

import json
import subprocess
import sys

import kibitz

kibitz.init("acme/scorers")


@kibitz.op(kind="agent")
def summarise(text: str) -> str:
    return text.partition(".")[0] + "."


def short(output: str) -> bool:
    """Whether it has at most eight words."""
    return len(output.split()) <= 8


@kibitz.op(kind="scorer")
def coverage(text: str, output: str) -> dict[str, float]:
    """The share of the text's words that the summary has."""
    words, kept = set(text.lower().split()), set(output.lower().split())
    return {"score": len(words & kept) / len(words)}


for text in (
    "The committee met on Tuesday. It decided nothing.",
    "It rained. The match was moved to Sunday, when it rained again.",
    "All lights were on and nobody was at home.",
):
    _, call = summarise.call(text)
    call.apply_scorer_sync(short)
    call.apply_scorer_sync(coverage)

report = kibitz.finish()
assert report.complete, report

FIELD = "feedback.[runnable.coverage].payload.output.score"
worst = subprocess.run(
    [sys.executable, "-m", "kibitz.cli", "calls", "acme/scorers", "--op", "summarise",
     "--sort", FIELD, "--limit", "1", "--json", "--columns", f"output,{FIELD}"],
    capture_output=True, text=True, check=True,
)  # fmt: skip
print("worst:", json.loads(worst.stdout)["output"])
