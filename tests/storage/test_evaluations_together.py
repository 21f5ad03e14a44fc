"""Evaluations under many hands: processes, kills, and any order of events."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import evaluating
import parts
import pytest
from evaluating import GROUNDED, GROUNDED_REF
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from parts import PROJECT

from kibitz.base import clock, spending
from kibitz.base.evaluations import Claim, EvaluationQuery, NewRule
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite
from kibitz.storage.sqlite import evaluation_work, integrity, migrations


def _process(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, evaluating.__file__, str(folder), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(parts.__file__)},
    )


def _fill(store: Any, count: int) -> None:
    calls = [parts.call(f"c{n}", seconds=n) for n in range(count)]
    evaluations = [evaluating.wanted(each.id) for each in calls]
    store.ingest.write(parts.batch(calls=calls, objects=[GROUNDED], evaluations=evaluations))


@pytest.mark.processes
def test_processes_that_claim_never_get_the_same(tmp_path):
    store = sqlite.open_store(tmp_path)
    _fill(store, 600)
    # Not to be divided by the sizes of claims, so that the last ones meet.
    workers = [
        _process(tmp_path, name, size) for name, size in (("a", "7"), ("b", "31"), ("c", "50"))
    ]
    taken = [worker.communicate(timeout=60)[0].split() for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0, 0]
    together = [run for runs in taken for run in runs]
    assert len(together) == len(set(together)) == 600
    (progress,) = store.evaluations.progress(PROJECT)
    assert (progress.wanted, progress.running, progress.done) == (0, 0, 600)
    assert store.projects.get(PROJECT).feedback == 600
    assert integrity.disagreements(tmp_path) == []
    store.close()


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_a_killed_worker_had_is_due_when_its_lease_ends(tmp_path):
    store = sqlite.open_store(tmp_path)
    _fill(store, 5)
    worker = _process(tmp_path, "killed", "3", "hang", "3600")
    assert worker.stdout is not None
    assert worker.stdout.readline().strip() == "3"
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()

    rest = store.evaluations.claim("second", limit=9, lease_s=3600)
    assert len(rest) == 2
    hour = 3601 * 10**9
    before = clock.now_ns
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now_ns", lambda: before() + hour)
        again = store.evaluations.claim("second", limit=9, lease_s=3600)
    assert sorted(each.attempt for each in again) == [2, 2, 2, 2, 2]
    store.close()


@pytest.mark.processes
def test_a_rule_of_another_process_holds_for_what_this_one_writes(tmp_path):
    store = sqlite.open_store(tmp_path)
    store.ingest.write(parts.batch(calls=[parts.call("before")], objects=[GROUNDED]))
    other = sqlite.open_store(tmp_path)
    other.rules.save(PROJECT, "nightly", NewRule(definitions=[GROUNDED_REF]))
    store.ingest.write(parts.batch(calls=[parts.call("after")]))

    looked_at = [each.evaluations.want_by_rules() for each in (other, store)]

    assert looked_at == [1, 0]
    page = store.evaluations.query(EvaluationQuery(project=PROJECT))
    assert [each.call_id for each in page.items] == ["after"]
    other.close()
    store.close()


def test_a_store_of_the_first_version_keeps_what_it_has(tmp_path, monkeypatch):
    first = migrations.available()[:1]
    connection = sqlite3.connect(tmp_path / "kibitz.sqlite3", isolation_level=None)
    monkeypatch.setattr(migrations, "available", lambda: first)
    migrations.migrate(connection)
    monkeypatch.undo()
    text = (resources.files("kibitz.storage") / "sql" / "migrations" / first[0][1]).read_text()
    assert "evaluations" not in text
    connection.execute("INSERT INTO projects (pk, name, created_at) VALUES (1, ?, 0)", (PROJECT,))
    connection.execute("INSERT INTO ops VALUES (1, 1, 'answer')")
    connection.execute(
        "INSERT INTO calls (pk, project, id, trace_id, op, started_at, ended_at, latency, status)"
        " VALUES (1, 1, 'old', 'old', 1, 1, 2, 1, 'success')"
    )
    connection.execute("INSERT INTO payloads VALUES (1, '{\"q\":1}', '2', NULL, NULL, NULL)")
    connection.execute("INSERT INTO sequences VALUES ('calls', 1)")
    connection.close()

    store = sqlite.open_store(tmp_path)
    store.ingest.write(parts.batch(objects=[GROUNDED]))
    step = store.evaluations.want(PROJECT, [GROUNDED_REF], None)
    (run,) = store.evaluations.claim("w", limit=9, lease_s=60)
    record = store.evaluations.records(PROJECT, [run.call_id])["old"]
    store.evaluations.finish(PROJECT, [evaluating.outcome(run)])

    assert step.wanted == 1
    assert (record[0].inputs, record[0].output) == ({"q": 1}, 2)
    assert store.calls.get(PROJECT, "old").feedback[0].type == "runnable.grounded"
    store.close()


def test_a_claim_takes_as_long_in_a_large_store_as_in_a_small_one(store):
    """Counted in steps of SQLite's machine, which tell reading more rows from a slow disk."""

    def steps() -> list[int]:
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        found: list[int] = []
        for ask in (
            lambda: evaluation_work.next_due(connection, None),
            lambda: store.evaluations.release([claim(1)[0].run_id]),
        ):
            counted[0] = 0
            connection.set_progress_handler(count, 10)
            ask()
            connection.set_progress_handler(None, 0)
            found.append(counted[0])
        return found

    def claim(limit: int) -> list[Claim]:
        return store.evaluations.claim("w", limit=limit, lease_s=60)

    def more(start: int, count: int) -> None:
        calls = [parts.call(f"m{n}", seconds=n) for n in range(start, start + count)]
        evaluations = [evaluating.wanted(each.id) for each in calls]
        store.ingest.write(parts.batch(calls=calls, evaluations=evaluations))

    _fill(store, 50)
    connection = store.ingest._connection
    small = steps()
    more(0, 3000)
    runs = claim(1000)
    store.evaluations.finish(PROJECT, [evaluating.outcome(each) for each in runs])
    large = steps()

    for before, after in zip(small, large, strict=True):
        assert before > 0
        assert after <= 1.5 * before + 10


MAX_ATTEMPTS = 3
_DEFINITIONS = [GROUNDED, evaluating.definition("other")]
_REFS = [evaluating.ref(each) for each in _DEFINITIONS]
_CALLS = ["a", "b", "c"]


class Interleaving(RuleBasedStateMachine):
    """Whatever is done in whatever order: one row of each definition and record, one judgement that stands."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: list[Claim] = []
        self.sent: list[Any] = []
        self.seconds = 0

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(clock, "now_ns", lambda: clock.to_us(parts.at(self.seconds)) * 1000)
        self.store = sqlite.open_store(Path(self.folder.name))
        self.store.ingest.write(parts.batch(objects=_DEFINITIONS))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.patched.undo()
            self.folder.cleanup()

    @rule(call=st.sampled_from(_CALLS))
    def end(self, call: str) -> None:
        self.store.ingest.write(parts.batch(calls=[parts.call(call)]))

    @rule(call=st.sampled_from(_CALLS), of=st.sampled_from(_REFS))
    def want(self, call: str, of: str) -> None:
        self.store.ingest.write(parts.batch(evaluations=[evaluating.wanted(call, of)]))

    @rule(again=st.booleans())
    def want_the_past(self, again: bool) -> None:
        self.store.evaluations.want(PROJECT, _REFS, None, again=again)

    @rule(active=st.booleans())
    def keep_a_rule(self, active: bool) -> None:
        self.store.rules.save(PROJECT, "r", NewRule(definitions=_REFS, active=active, per_day=3))

    @rule()
    def hold(self) -> None:
        self.store.evaluations.want_by_rules()

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        claims = self.store.evaluations.claim(
            "w", limit=limit, lease_s=30, max_attempts=MAX_ATTEMPTS
        )
        assert all(1 <= each.attempt <= MAX_ATTEMPTS for each in claims)
        self.claims += claims

    @rule(seconds=st.sampled_from([1, 20, 31]))
    def wait(self, seconds: int) -> None:
        self.seconds += seconds

    @rule(data=st.data(), how=st.sampled_from(["done", "failed", "skipped", "again"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        if not self.claims:
            return
        claim = data.draw(st.sampled_from(self.claims))
        ended = {"ended_at": parts.at(self.seconds), "spent": spending.Spend(requests=1, usd=0.1)}
        if how == "again":
            retry_at = parts.at(self.seconds + 5)
            outcome = evaluating.outcome(claim, status="failed", retry_at=retry_at, **ended)
        else:
            outcome = evaluating.outcome(claim, self.seconds, status=how, **ended)
        self.store.evaluations.finish(PROJECT, [outcome, outcome])

    @rule(data=st.data(), lease=st.sampled_from([None, 30]))
    def release_or_extend(self, data: st.DataObject, lease: int | None) -> None:
        if not self.claims:
            return
        run = data.draw(st.sampled_from(self.claims)).run_id
        if lease is None:
            self.store.evaluations.release([run])
        else:
            self.store.evaluations.extend([run], lease_s=lease)

    @rule()
    def retry(self) -> None:
        page = self.store.evaluations.query(EvaluationQuery(project=PROJECT))
        self.store.evaluations.retry(PROJECT, [each.id for each in page.items])

    @rule(call=st.sampled_from(_CALLS), status=st.sampled_from(["done", "skipped"]))
    def run_in_the_program(self, call: str, status: Any) -> None:
        part = evaluating.said(
            call, 0.5, definition_ref=_REFS[0], status=status, ended_at=parts.at(self.seconds)
        )
        self.sent.append(part)
        self.store.ingest.write(parts.batch(evaluations=[part]))

    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        if self.sent:
            part = data.draw(st.sampled_from(self.sent))
            self.store.ingest.write(parts.batch(evaluations=[part]))

    @invariant()
    def each_is_there_once(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.store.evaluations.query(EvaluationQuery(project=PROJECT)).items
        pairs = [(each.definition_ref, each.call_id) for each in found]
        assert len(pairs) == len(set(pairs))
        assert all(0 <= each.attempts <= MAX_ATTEMPTS for each in found)
        running = [each for each in found if each.status == "running"]
        assert all(each.worker and each.due_at for each in running)
        feedback = self.store.feedback.query(FeedbackQuery(project=PROJECT, limit=1000)).items
        standing = [(each.type, each.target_ref) for each in feedback if each.stands]
        assert len(standing) == len(set(standing))
        known = {each.id for each in feedback}
        assert all(each.feedback_id in known for each in found if each.status == "done")
        assert integrity.disagreements(Path(self.folder.name)) == []


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
