"""What judges the demo's answers without being asked: feedback functions, wanted by a rule and done by a worker.

They need no model service. `supported` judges each sentence of an answer by itself against the passages that were
retrieved, and keeps the mean and the worst; `readable` judges the answer as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kibitz.base.evaluations import NewRule
from kibitz.base.records import Batch
from kibitz.judging.functions import Feedback
from kibitz.judging.select import Select
from kibitz.providers.local import Local
from kibitz.storage import sqlite
from kibitz.workers import definitions
from kibitz.workers.claiming import Options
from kibitz.workers.tallies import Tally, Told
from kibitz.workers.worker import Worker

RULE = "every answer"
QUERY = "op = answer"

SUPPORTED = (
    Feedback(Local().groundedness_with_reasons, name="supported", if_missing="ignore")
    .on(source=Select.RecordCalls.retrieve.rets[:].text.collect())
    .on(statement=Select.RecordRets.sentences[:])
    .aggregate({"mean": "mean", "worst": "min"})
)
READABLE = Feedback(Local().plain_english, name="readable", if_missing="ignore").on(
    response=Select.RecordRets.sentences[:]
)
FUNCTIONS = (SUPPORTED, READABLE)


def want(folder: Path, project: str) -> None:
    """Publish the feedback functions and the rule that wants them; again, it changes nothing."""
    store = sqlite.open_store(folder)
    try:
        parts = [each.definition.part() for each in FUNCTIONS]
        store.ingest.write(Batch(project=project, objects=parts))
        references = [each.definition.ref(project) for each in FUNCTIONS]
        store.rules.save(project, RULE, NewRule(definitions=references, query=QUERY))
    finally:
        store.close()


def work(folder: Path, project: str, progress: Callable[[int, int, str], None]) -> Tally:
    """Do what is wanted, as `kibitz worker --until-idle` does, and give what became of it."""

    def tell(told: Told) -> None:
        if told.total is not None:
            done = told.total.done + told.total.failed + told.total.skipped
            progress(done, done + (told.running or 0), "")

    store = sqlite.open_store(folder)
    try:
        options = Options(projects=(project,), until="idle")
        worker = Worker(store, options, load=definitions.loading(()), tell=tell)
        return worker.run().total
    finally:
        store.close()
