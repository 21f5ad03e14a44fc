"""Judge the answers of AlpacaEval without a model, and see which judge goes with what GPT-4 prefers.

    python examples/alpaca_eval.py FOLDER | kibitz import - --project alpaca/eval
    python examples/judge_alpaca.py

A rule says what is wanted, of the past too; `kibitz worker` processes do it. Then each score is held against the
preference: Spearman's rank correlation with a 95 % interval over instructions, as the answers to one instruction are
not independent of each other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import kibitz
from kibitz import Feedback, Select, calls, feedback
from kibitz.base.errors import UsageError
from kibitz.providers import Correlation, Embeddings, Local

PROJECT = "alpaca/eval"
PREFERENCE = "gpt4_preference"


def judges() -> list[Feedback]:
    """A feedback function for each judge whose package is installed."""
    local = Local()
    asked = Select.RecordArgs.instruction
    alone = [
        *(local.word_count, local.character_count, local.sentence_count),
        *(local.list_share, local.heading_count, local.has_code_block),
        *(local.flesch_reading_ease, local.flesch_kincaid_grade),
        *(local.lexical_diversity, local.repetition, local.compressed_share),
        *(local.refusal, local.apology, local.hedging, local.no_pii),
        *_installed("vaderSentiment", local.positive_sentiment),
        *_installed("profanity_check", local.not_toxic),
    ]
    beside = [
        Feedback(local.containment, name="words_of_instruction").on(source=asked),
        Feedback(local.rouge_1, name="rouge_1_to_instruction").on(reference=asked),
        Feedback(Embeddings().similarity, name="like_instruction").on(reference=asked),
    ]
    beside += [
        Feedback(each, name="language_of_instruction").on(reference=asked)
        for each in _installed("py3langid", local.language_match)
    ]
    return [*(Feedback(each).on_output() for each in alone), *(each.on_output() for each in beside)]


def _installed(package: str, judge: Any) -> list[Any]:
    return [judge] if importlib.util.find_spec(package) else []


def judge(
    source: str | None, functions: Sequence[Feedback], workers: int, sample: float, quiet: bool
) -> None:
    """Want every evaluation, start the workers, and wait until everything has ended."""
    where = {"url" if "://" in (source or "") else "data": source}
    watching = kibitz.watch(
        "answer",
        functions,
        name="judge without a model",
        sample=sample,
        backfill=_silent if quiet else True,
        project=PROJECT,
        **where,
    )
    command = [sys.executable, "-m", "kibitz.cli", "worker", PROJECT, "--until-idle"]
    command += ["--quiet"] if quiet else []
    command += [f"--{next(iter(where))}", source] if source else []
    started = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    ended = {each.communicate()[1] for each in started if each.wait() not in (0, 1)}
    if ended:
        sys.exit("\n".join(ended))
    watching.wait(progress=not quiet)


def _silent(done: int, total: int | None) -> None:
    """Told how far it is, and says nothing of it."""


def table(source: str | None, functions: Sequence[Feedback]) -> list[dict[str, Any]]:
    """One row for each function: how its score goes with the preference."""
    names = [each.name for each in functions]
    shown = [feedback(each) for each in [PREFERENCE, *names]]
    judged: list[tuple[str, float, dict[str, Any]]] = []
    for call in calls(PROJECT, source).columns(*shown):
        preference = call.scores.get(f"runnable.{PREFERENCE}", {}).get("output.preference")
        if preference is not None:
            # An id ends in that of the instruction.
            judged.append((call.id.rpartition("-")[2], preference, call.scores))
    rows = [_row(name, judged) for name in names]
    return sorted(rows, key=lambda row: -abs(row["estimate"] or 0.0))


def _row(name: str, judged: Sequence[tuple[str, float, dict[str, Any]]]) -> dict[str, Any]:
    scored = [
        (instruction, preference, score)
        for instruction, preference, scores in judged
        if (score := scores.get(f"runnable.{name}", {}).get("output")) is not None
    ]
    row: dict[str, Any] = {"judge": name, "answers": len(scored)}
    mean = sum(score for _, _, score in scored) / len(scored) if scored else None
    try:
        found = Correlation().spearman_with_interval(
            [score for _, _, score in scored],
            [preference for _, preference, _ in scored],
            clusters=[instruction for instruction, _, _ in scored],
        )
    except UsageError as error:
        # All answers have one score: it cannot go with anything.
        found = {"estimate": None, "low": None, "high": None, "why": error.message}
    return {**row, "mean": mean, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--source", default=os.environ.get("KIBITZ_DATA"), help="data folder or address of a server"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the answers, 0 to 1")
    parser.add_argument("--only", nargs="+", metavar="JUDGE", help="only the judges of these names")
    parser.add_argument("--json", action="store_true", help="the table as JSON, and no progress")
    given = parser.parse_args()
    functions = [each for each in judges() if each.name in (given.only or [each.name])]
    judge(given.source, functions, given.workers, given.sample, quiet=given.json)
    rows = table(given.source, functions)
    if given.json:
        print(json.dumps(rows))
        return
    print(f"{'judge':<26}{'answers':>8}{'mean':>10}   Spearman's ρ with the preference, 95 %")
    for row in rows:
        said = (
            f"{row['estimate']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            if row["estimate"] is not None
            else f"none: {row['why']}"
        )
        mean = "" if row["mean"] is None else f"{row['mean']:.3f}"
        print(f"{row['judge']:<26}{row['answers']:>8}{mean:>10}   {said}")


if __name__ == "__main__":
    main()
