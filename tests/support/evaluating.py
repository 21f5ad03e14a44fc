"""Definitions of feedback functions and what is said of their evaluations, for the storage tests."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import parts

from kibitz.base import ids, refs
from kibitz.base.evaluations import Claim, EvaluationPart, RunOutcome
from kibitz.base.records import ObjectPart
from kibitz.storage import sqlite


def definition(name: str = "grounded", project: str = parts.PROJECT, **content: Any) -> ObjectPart:
    """A version of a feedback function; what else it says makes it another version."""
    value = {"$type": "feedback_definition", "name": name, **content}
    digest = refs.digest(msgspec.json.encode(value, order="sorted"))
    return ObjectPart(kind="object", name=name, digest=digest, value=value)


def ref(part: ObjectPart, project: str = parts.PROJECT) -> str:
    return refs.format_ref(
        refs.Ref(project=project, kind="object", name=part.name, digest=part.digest)
    )


GROUNDED = definition()
GROUNDED_REF = ref(GROUNDED)


def wanted(call_id: str, definition_ref: str = GROUNDED_REF, **fields: Any) -> EvaluationPart:
    return EvaluationPart(
        id=ids.new_id(), definition_ref=definition_ref, call_id=call_id, status="none", **fields
    )


def said(
    call_id: str,
    output: Any = 1.0,
    *,
    definition_ref: str = GROUNDED_REF,
    run_id: str | None = None,
    **fields: Any,
) -> EvaluationPart:
    """A run that needed no worker and is done."""
    fields.setdefault("status", "done")
    if fields["status"] == "done":
        fields["output"] = output
    return EvaluationPart(
        id=run_id or ids.new_id(), definition_ref=definition_ref, call_id=call_id, **fields
    )


def outcome(claim: Claim, output: Any = 1.0, *, retry_at: Any = None, **fields: Any) -> RunOutcome:
    """What a worker says of a claim."""
    fields.setdefault("status", "done")
    if fields["status"] == "done":
        fields["output"] = output
    part = EvaluationPart(
        id=claim.run_id, definition_ref=claim.definition_ref, call_id=claim.call_id, **fields
    )
    return RunOutcome(part=part, retry_at=retry_at)


def work(folder: Any, name: str, limit: int) -> None:
    """Claim and finish in a process of its own until nothing is due; prints the id of each run that was taken."""
    store = sqlite.open_store(folder)
    while claims := store.evaluations.claim(name, limit=limit, lease_s=60):
        outcomes = [outcome(each, 0.5) for each in claims]
        for run in store.evaluations.finish(parts.PROJECT, outcomes):
            print(run)
    store.close()


def main() -> None:
    """`FOLDER NAME LIMIT`: `work`. With `hang` behind, claim once, say so and wait to be killed."""
    folder, name, limit, *further = sys.argv[1:]
    if not further:
        work(Path(folder), name, int(limit))
        return
    store = sqlite.open_store(Path(folder))
    claims = store.evaluations.claim(name, limit=int(limit), lease_s=float(further[1]))
    print(len(claims), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
