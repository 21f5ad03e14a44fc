"""Evaluations for tests of what shows them: feedback functions that really run, on records that were really stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sites
from sites import PROJECT, Site, part

from kibitz.base.evaluations import Evaluation, RunOutcome
from kibitz.base.records import CallPart
from kibitz.judging.functions import Feedback
from kibitz.judging.records import Record

WORKER = "host:1"


def rag(
    id_: str, at_s: float = 0, passages: Sequence[str] = ("one two", "three")
) -> list[CallPart]:
    """The calls of an app that retrieves and answers; `answer` is the root."""
    below = {"trace_id": id_, "parent_id": id_}
    return [
        part(id_, at_s, attributes={"env": "prod"}),
        part(
            f"{id_}-r",
            at_s + 0.1,
            op="retriever.retrieve",
            kind="retriever",
            inputs={"query": "q"},
            output=[{"text": each} for each in passages],
            ended_at=sites.START + timedelta(seconds=at_s + 0.5),
            **below,
        ),
    ]


def publish(site: Site, *functions: Feedback) -> list[str]:
    """Store definitions and give their references."""
    found = [each.definition for each in functions]
    sites.write(site, *(each.part() for each in found))
    return [each.ref(PROJECT) for each in found]


def want(site: Site, *functions: Feedback) -> None:
    """Want the functions of all root calls that are there."""
    step = site.store.evaluations.want(PROJECT, publish(site, *functions), None)
    assert step.cursor is None


def work(site: Site, *functions: Feedback, limit: int = 1000) -> list[Evaluation]:
    """Do what is wanted, as a worker does, and give what became of it."""
    by_ref: dict[str, Feedback] = {each.definition.ref(PROJECT): each for each in functions}
    claims = site.store.evaluations.claim(WORKER, limit=limit, lease_s=60)
    calls = site.store.evaluations.records(PROJECT, [each.call_id for each in claims])
    outcomes = [
        RunOutcome(
            part=by_ref[each.definition_ref]
            .run(record=Record.of_calls(calls[each.call_id], each.call_id))
            .part(run_id=each.run_id, definition_ref=each.definition_ref, call_id=each.call_id)
        )
        for each in claims
    ]
    site.store.evaluations.finish(PROJECT, outcomes)
    return [site.store.evaluations.get(PROJECT, each.evaluation_id) for each in claims]


def evaluate(site: Site, *functions: Feedback) -> list[Evaluation]:
    """Want and do."""
    want(site, *functions)
    return work(site, *functions)
