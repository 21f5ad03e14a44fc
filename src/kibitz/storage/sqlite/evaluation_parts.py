"""From what is said of evaluations to columns, outside of the write lock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from kibitz.base import evaluations, judgements, refs, spending
from kibitz.base.errors import InvalidRecord, KibitzError, RefError, TooLarge
from kibitz.base.evaluations import EvaluationPart, Invocation
from kibitz.base.spending import Spend
from kibitz.query.pieces import NUMBER
from kibitz.storage import leaves
from kibitz.storage.sqlite.encoding import json_text, microseconds
from kibitz.storage.sqlite.feedback_parts import PreparedFeedback

State = Literal[0, 1, 2, 3, 4]
WANTED, RUNNING, DONE, FAILED, SKIPPED = 0, 1, 2, 3, 4
"""How a status is stored: its place in `STATUSES`."""
STATUSES: tuple[evaluations.EvaluationStatus, ...] = (
    "none",
    "running",
    "done",
    "failed",
    "skipped",
)
MAX_REASON_CHARACTERS = 2_000
MAX_ERROR_CHARACTERS = 64 << 10
MAX_INVOCATIONS_BYTES = 1 << 20
"""Of one evaluation as JSON; those that do not fit are left out, and the last one says so."""
_OUTPUT: leaves.Leaf = (("output",), 0)
_EXACT = 1 << 53
_MAX_NAME_CHARACTERS = 256 - len(judgements.RUNNABLE)
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True, kw_only=True)
class PreparedEvaluation:
    """What is said of an evaluation, as columns; definition, call and rule still by name."""

    index: int
    id: str
    """Of the run."""
    definition_ref: str
    call_id: str
    state: int
    output: str | None
    reason: str | None
    error: str | None
    invocations: str | None
    spent: Spend
    started_at: int | None
    ended_at: int
    rule: str | None
    judgement: PreparedFeedback | None
    """What a run that is done becomes."""

    @property
    def nanos(self) -> int:
        """What it cost, in billionths of a USD."""
        return nanos(self.spent.usd)


def nanos(usd: float) -> int:
    """USD as they are stored: whole billionths, so that sums can be taken back exactly."""
    return round(usd * 1e9) if math.isfinite(usd) else 0


def prepare_evaluation(
    index: int, part: EvaluationPart, project: str, now: int
) -> PreparedEvaluation:
    """What a delivery says of an evaluation, as columns.

    Raises:
        InvalidRecord: it breaks a rule; `field` says where.
    """
    if part.status == "running":
        raise InvalidRecord(
            "an evaluation is running when a worker has claimed it, and not because it is said; "
            "send what became of the run",
            field="status",
        )
    definition = definition_ref(part.definition_ref, project)
    ended_at = now if part.ended_at is None else microseconds(part.ended_at, "ended_at")
    output = judgement = None
    if part.status == "done":
        value = _scores(part.output)
        output = json_text(value, "output")[0]
        judgement = _judgement(index, part, project, definition.name, value, output, ended_at)
    return PreparedEvaluation(
        index=index,
        id=part.id,
        definition_ref=part.definition_ref,
        call_id=part.call_id,
        state=STATUSES.index(part.status),
        output=output,
        reason=_plain(part.reason, MAX_REASON_CHARACTERS),
        error=_plain(part.error, MAX_ERROR_CHARACTERS),
        invocations=_invocations(part.invocations),
        spent=spending.bounded(part.spent),
        started_at=(
            None if part.started_at is None else microseconds(part.started_at, "started_at")
        ),
        ended_at=ended_at,
        rule=part.rule or None,
        judgement=judgement,
    )


def prepare_outcome(part: EvaluationPart, project: str, now: int) -> PreparedEvaluation:
    """What a worker says of its run. One that cannot be taken as it is FAILED, so that the run ends.

    Raises:
        InvalidRecord: it is no outcome at all, or not of a definition of this project.
    """
    if part.status not in ("done", "failed", "skipped"):
        raise InvalidRecord(
            f"a run becomes done, failed or skipped, not {part.status!r}; release it to give it back",
            field="status",
        )
    try:
        return prepare_evaluation(0, part, project, now)
    except RefError:
        raise
    except KibitzError as error:
        definition_ref(part.definition_ref, project)
        return prepare_evaluation(
            0,
            EvaluationPart(
                id=part.id,
                definition_ref=part.definition_ref,
                call_id=part.call_id,
                status="failed",
                reason=f"what it gave cannot be stored: {error.message}",
                spent=part.spent,
            ),
            project,
            now,
        )


def definition_ref(text: str, project: str) -> refs.Ref:
    """The reference of a definition, taken apart; raises `InvalidRecord` where it cannot be one."""
    ref = judgements.version_ref(text)
    if ref.kind != "object":
        raise InvalidRecord(
            f"definition_ref {text!r} names {'an op' if ref.kind == 'op' else f'a {ref.kind}'}; "
            "it must name an object, the definition of a feedback function",
            field="definition_ref",
        )
    if ref.project != project:
        raise InvalidRecord(
            f"definition_ref {text!r} is of project {ref.project!r}, the evaluation of {project!r}",
            field="definition_ref",
        )
    if len(ref.name) > _MAX_NAME_CHARACTERS:
        raise InvalidRecord(
            f"definition_ref {text[:80]!r}… has a name of more than {_MAX_NAME_CHARACTERS} characters",
            field="definition_ref",
        )
    return ref


def _judgement(
    index: int, part: EvaluationPart, project: str, name: str, output: Any, text: str, at: int
) -> PreparedFeedback:
    """The feedback that a run becomes. What `judgements` ask of one is so by construction."""
    if isinstance(output, dict):
        found, complete = leaves.scores({"output": output})
    else:
        found, complete = {_OUTPUT: (NUMBER, float(output), "")}, True
    if len(text) > judgements.MAX_PAYLOAD_BYTES:
        raise TooLarge(
            f"the output takes {len(text):,} bytes, more than {judgements.MAX_PAYLOAD_BYTES:,}",
            field="output",
            size=len(text),
            limit=judgements.MAX_PAYLOAD_BYTES,
        )
    target = refs.Ref(project=project, kind="call", name=part.call_id)
    return PreparedFeedback(
        index=index,
        id=part.id,
        type=f"{judgements.RUNNABLE}{name}",
        target=target,
        target_ref=refs.format_ref(target),
        author="",
        author_kind="program",
        created_at=at,
        annotation_ref=None,
        runnable_ref=part.definition_ref,
        call_id=None,
        trigger_ref=None,
        retracts=None,
        corrects=None,
        answer=None,
        payload=f'{{"output":{text}}}',
        leaves=found,
        complete=complete,
    )


def _scores(output: Any) -> float | dict[str, float]:
    """What a run that is done says: a number, or numbers by name. True is 1 and false 0."""
    if isinstance(output, dict):
        by_name = cast("dict[Any, Any]", output)
        if by_name and all(isinstance(name, str) for name in by_name):
            return {name: _number(value, f"output.{name[:64]}") for name, value in by_name.items()}
    return _number(output, "output")


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        try:
            if math.isfinite(value):
                # Numbers compare as doubles everywhere; a larger whole number would be another one.
                return value if abs(value) <= _EXACT else float(value)
        except OverflowError:
            pass
    shown = "nothing" if value is msgspec.UNSET else repr(value)[:80]
    raise InvalidRecord(
        f"{where} is {shown}; a run that is done says a finite number, or numbers by name",
        field="output",
    )


def _plain(text: str | None, limit: int) -> str | None:
    """A text as a column can hold it: bounded, without NUL and lone surrogates."""
    if text is None:
        return None
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text.replace("\x00", "\u2400").encode(errors="replace").decode()


def _invocations(invocations: list[Invocation]) -> str | None:
    """The invocations as JSON, as many as fit."""
    if not invocations:
        return None
    text = _text_of(invocations)
    if len(text) <= MAX_INVOCATIONS_BYTES:
        return text
    kept: list[Invocation] = []
    size = 0
    for each in invocations:
        size += len(_text_of([each]))
        if size > MAX_INVOCATIONS_BYTES:
            break
        kept.append(each)
    left_out = Invocation(
        status="skipped",
        error=f"{len(invocations) - len(kept):,} further invocations are not kept: "
        f"all take {len(text):,} bytes, more than {MAX_INVOCATIONS_BYTES:,}",
    )
    return _text_of([*kept, left_out])


def _text_of(invocations: list[Invocation]) -> str:
    try:
        text = _encode(invocations)
    except (UnicodeEncodeError, TypeError, RecursionError, ValueError) as error:
        raise InvalidRecord(
            f"invocations cannot be stored as JSON: {error}", field="invocations"
        ) from error
    if b"\\u0000" in text:
        return json_text(msgspec.json.decode(text), "invocations")[0]
    return text.decode()
