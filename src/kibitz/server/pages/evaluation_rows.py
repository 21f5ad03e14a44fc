"""Evaluations as pages show them: what became of each, beside every invocation with its arguments and reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from kibitz.base.evaluations import Evaluation, EvaluationStatus, Invocation
from kibitz.base.spending import Spend
from kibitz.server.pages import addresses, evaluation_links, feedback_links, formats, values
from kibitz.server.pages.values import Piece

MAX_INVOCATIONS = 40
"""Of one evaluation on a page."""
MAX_VALUE = 700
"""Characters of an argument."""
MAX_ERROR = 20_000
MAX_NAMED = 12
"""Named scores of one output."""
OPEN_INVOCATIONS = 6
"""An evaluation with no more of them stands open."""

WORDS: dict[EvaluationStatus, str] = {
    "none": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "skipped": "skipped",
}
"""What readers call each status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A number or a few by name, in words."""

    text: str = ""
    """Of one number."""
    share: float | None = None
    """The same in percent, where it is from 0 to 1."""
    named: tuple[tuple[str, str], ...] = ()
    """Numbers by name."""
    pieces: tuple[Piece, ...] = ()
    """Of anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What one parameter was given."""

    name: str
    path: str
    """The selector of exactly it; empty where it came from no record."""
    url: str
    """It in the record; empty where it came from none."""
    text: str
    cut: int
    """Characters that are not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One invocation of the implementation."""

    status: EvaluationStatus
    score: Score
    reason: str
    """What it said beside its value, in words."""
    more: tuple[Piece, ...]
    """The rest of what it said."""
    error: str
    arguments: tuple[Argument, ...]
    facts: tuple[str, ...]
    """Duration, tokens and money, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One evaluation."""

    evaluation: Evaluation
    word: str
    """What became of it."""
    score: Score
    reason: str
    """Why it failed or was skipped, in a sentence."""
    traceback: str
    facts: tuple[str, ...]
    """Duration, tokens, money and attempts, in words."""
    shared: tuple[Argument, ...]
    """Arguments that are the same in every invocation, where there are several."""
    invocations: tuple[Ran, ...]
    is_one: bool
    """Whether there is but one invocation, which says no more than the whole."""
    hidden: int
    """Invocations that are not shown."""
    is_open: bool
    can_retry: bool
    function_url: str
    """The page of the function."""
    call_url: str
    feedback_url: str
    """All that the function said; empty where it said nothing of this call."""
    raw_url: str
    version: str
    """The beginning of the definition's digest."""


def row(evaluation: Evaluation) -> EvaluationRow:
    """An evaluation as lists and the page of a call show it."""
    given = evaluation.invocations
    invocations: Sequence[Invocation] = () if given is msgspec.UNSET else given
    error = "" if evaluation.error is msgspec.UNSET else evaluation.error or ""
    shown = tuple(_ran(evaluation, each) for each in invocations[:MAX_INVOCATIONS])
    shared = _shared(shown)
    failed = evaluation.status == "failed"
    return EvaluationRow(
        evaluation=evaluation,
        word=WORDS[evaluation.status],
        score=score(evaluation.output),
        reason=(evaluation.reason or "")[:MAX_ERROR],
        traceback=error[-MAX_ERROR:],
        facts=_facts(evaluation),
        shared=shared,
        invocations=tuple(
            replace(each, arguments=tuple(one for one in each.arguments if one not in shared))
            for each in shown
        ),
        is_one=len(invocations) == 1 and _says_the_same(evaluation, invocations[0]),
        hidden=len(invocations) - len(shown),
        is_open=failed or 0 < len(invocations) <= OPEN_INVOCATIONS,
        can_retry=evaluation.status in ("failed", "skipped"),
        function_url=evaluation_links.function_path(
            evaluation.project, evaluation.name, evaluation.definition_ref
        ),
        call_url=addresses.call_path(evaluation.project, evaluation.call_id),
        feedback_url=(
            feedback_links.type_path(evaluation.project, f"runnable.{evaluation.name}")
            if evaluation.feedback_id
            else ""
        ),
        raw_url=evaluation_links.raw_path(evaluation.project, evaluation.id),
        version=evaluation_links.digest_of(evaluation.definition_ref)[:7],
    )


def score(output: Any) -> Score:
    """A number, or numbers by name, in words."""
    if output is None or output is msgspec.UNSET:
        return Score()
    if isinstance(output, bool | int | float):
        number = float(output) if not isinstance(output, int) or output.bit_length() < 64 else 2.0
        return Score(
            text=formats.scalar(output),
            share=round(100 * number, 1) if 0 <= number <= 1 else None,
        )
    if isinstance(output, str):
        return Score(text=output[:MAX_VALUE])
    if isinstance(output, dict):
        entries: dict[str, Any] = dict(output)  # pyright: ignore[reportUnknownArgumentType] JSON
        if len(entries) <= MAX_NAMED and all(
            each is None or isinstance(each, bool | int | float) for each in entries.values()
        ):
            return Score(named=tuple((key, formats.scalar(each)) for key, each in entries.items()))
    if isinstance(output, list):
        items: list[Any] = list(output)  # pyright: ignore[reportUnknownArgumentType] JSON
        if len(items) <= MAX_NAMED and all(isinstance(each, bool | int | float) for each in items):
            return Score(text=", ".join(formats.scalar(each) for each in items))
    return Score(pieces=values.tree(output, ""))


def spent_words(spent: Spend) -> tuple[str, ...]:
    """Tokens and money in words; nothing where nothing was spent."""
    words: list[str] = []
    tokens = spent.input_tokens + spent.output_tokens
    if tokens:
        words.append(formats.count(tokens, "token"))
    if spent.usd or (spent.requests and not spent.unpriced):
        words.append(formats.usd(spent.usd))
    if spent.unpriced:
        words.append(f"{formats.count(spent.unpriced, 'request')} without a price")
    return tuple(words)


def _says_the_same(evaluation: Evaluation, invocation: Invocation) -> bool:
    same_end = invocation.status == evaluation.status
    return same_end and (invocation.output == evaluation.output or bool(invocation.error))


def _shared(shown: Sequence[Ran]) -> tuple[Argument, ...]:
    if len(shown) < 2:
        return ()
    rest = [each.arguments for each in shown[1:]]
    return tuple(one for one in shown[0].arguments if all(one in each for each in rest))


def _facts(evaluation: Evaluation) -> tuple[str, ...]:
    words: list[str] = []
    if evaluation.started_at and evaluation.ended_at:
        took = (evaluation.ended_at - evaluation.started_at).total_seconds() * 1000
        words.append(formats.duration(max(took, 0.0)))
    words += spent_words(evaluation.spent)
    if evaluation.attempts > 1:
        words.append(formats.count(evaluation.attempts, "attempt"))
    return tuple(words)


def _ran(evaluation: Evaluation, invocation: Invocation) -> Ran:
    reason, rest = _said(invocation.metadata)
    error = invocation.error or ""
    return Ran(
        status=invocation.status,
        score=score(invocation.output),
        reason=reason,
        more=values.tree(rest, "") if rest else (),
        error="" if error in (evaluation.reason or "") else error[-MAX_ERROR:],
        arguments=tuple(
            _argument(evaluation, name, value, invocation.paths.get(name, ""))
            for name, value in invocation.arguments.items()
        ),
        facts=(
            formats.duration(invocation.duration_us / 1000),
            *spent_words(invocation.spent),
        ),
    )


def _said(metadata: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The reason, and everything else."""
    rest = dict(metadata)
    for name in ("reason", "reasons"):
        if isinstance(rest.get(name), str):
            return rest.pop(name)[:MAX_ERROR], rest
    return "", rest


def _argument(evaluation: Evaluation, name: str, value: Any, path: str) -> Argument:
    text = values.plain_text(value)
    selector = evaluation_links.spoken(path)
    return Argument(
        name=name,
        path=selector,
        url=evaluation_links.record_path(evaluation.project, evaluation.call_id, selector)
        if path
        else "",
        text=text[:MAX_VALUE],
        cut=max(0, len(text) - MAX_VALUE),
    )
