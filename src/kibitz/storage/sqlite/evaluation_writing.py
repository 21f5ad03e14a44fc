"""Writing what batches say of evaluations: what is wanted, and what became of runs that needed no worker."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from kibitz.storage import statements
from kibitz.storage.sqlite import definitions, evaluation_rows
from kibitz.storage.sqlite.call_writing import CallWriter, Ended
from kibitz.storage.sqlite.evaluation_parts import WANTED, PreparedEvaluation
from kibitz.storage.sqlite.evaluation_rows import FRESH, Row, Sums, json_list
from kibitz.storage.sqlite.feedback_writing import FeedbackWriter
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("evaluations.sql")


@dataclass(slots=True)
class _Said:
    project: int
    call: int
    definition: int
    item: PreparedEvaluation


@dataclass(slots=True)
class EvaluationWriter:
    """Collects what one transaction says of evaluations; `flush` writes it after the calls and the feedback."""

    connection: sqlite3.Connection
    names: WriterNames
    calls: CallWriter
    feedback: FeedbackWriter
    now: int
    _said: list[_Said] = field(default_factory=list[_Said])

    def add(self, project: int, project_name: str, item: PreparedEvaluation) -> None:
        """Take one in, with the judgement that it is.

        Raises:
            UnknownReference: the project does not have the definition.
            InvalidRecord: it is no definition.
        """
        definition = definitions.ensure(
            self.connection, self.names, project, project_name, item.definition_ref
        )
        call, _ = self.calls.pk(project, item.call_id)
        if item.judgement is not None:
            self.feedback.add(project, item.judgement)
        self._said.append(_Said(project, call, definition, item))

    def flush(self) -> None:
        """Write rows and sums; let what waited for calls begin, and hold them to the rules soon."""
        if self._said:
            self._write()
        ended = self.calls.ended
        if ended:
            self._wake([each.pk for each in ended if not each.is_new])
            self._put_into_inbox(ended)

    def _write(self) -> None:
        sums = Sums(self.connection, self.now)
        calls = {each.call for each in self._said}
        stood = {
            (row.call, row.definition): row
            for row in evaluation_rows.read(self.connection, "evaluations_of_calls", calls)
        }
        rows = dict(stood)
        before = {row.pk: row.state for row in stood.values()}
        told: dict[tuple[int, int], PreparedEvaluation] = {}
        for said in self._said:
            key = (said.call, said.definition)
            row = rows.get(key)
            if row is None:
                rule = said.item.rule
                pk = None if rule is None else self.names.rule(self.connection, said.project, rule)
                row = new_row = evaluation_rows.new_row(
                    said.project, said.definition, said.call, pk, self.now, FRESH
                )
                rows[key] = new_row
                if said.item.state == WANTED:
                    new_row.asked_id = said.item.id
            spent = row.spent
            if self._take(row, said.item):
                told[key] = said.item
                sums.move(row, None, None, spent=row.spent - spent, at=said.item.ended_at)
        new = [row for row in rows.values() if not row.pk]
        self._set_due([row for row in new if row.state == WANTED])
        self._set_ids(new)
        evaluation_rows.insert(self.connection, new)
        changed = [row for key, row in stood.items() if key in told]
        evaluation_rows.update(self.connection, changed)
        for row in (*new, *changed):
            sums.move(row, before.get(row.pk), row.state)
        evaluation_rows.write_details(
            self.connection, [(rows[key], item) for key, item in told.items()]
        )
        sums.flush()

    def _take(self, row: Row, item: PreparedEvaluation) -> bool:
        """Bring a row to what an outcome says, unless a later run has ended, or this one was said before."""
        if item.state == WANTED:
            return False
        if row.ended_at is not None and (
            row.run == item.id or (item.ended_at, item.id) < (row.ended_at, row.run or "")
        ):
            return False
        row.end(item)
        row.worker = None
        return True

    def _set_ids(self, rows: list[Row]) -> None:
        """What is wanted first is called what its sender called it, unless another has this id."""
        known: set[tuple[int, str]] = set()
        for project in {row.project for row in rows}:
            asked = {row.asked_id for row in rows if row.project == project and row.asked_id}
            found = self.connection.execute(_SQL["known_ids"], (json_list(asked), project))
            known.update((project, each) for (each,) in found)
        for row in rows:
            if (row.project, row.asked_id) in known:
                row.asked_id = ""
            known.add((row.project, row.asked_id))

    def _set_due(self, rows: list[Row]) -> None:
        """What is wanted may begin where its call has ended; else when it ends."""
        ended = {
            pk
            for (pk,) in self.connection.execute(
                _SQL["ended_calls"], (json_list({row.call for row in rows}),)
            )
        }
        for row in rows:
            row.due_at = self.now if row.call in ended else None

    def _wake(self, pks: list[int]) -> None:
        if pks:
            self.connection.execute(_SQL["wake_evaluations"], (self.now, json_list(pks)))

    def _put_into_inbox(self, ended: list[Ended]) -> None:
        # Asked in every transaction: another process may have kept a rule since.
        ruled = dict(self.connection.execute(_SQL["ruled_projects"]).fetchall())
        if ruled:
            self.connection.executemany(
                _SQL["put_into_inbox"],
                [
                    (each.project, each.pk)
                    for each in ended
                    if each.project in ruled and (each.is_root or ruled[each.project])
                ],
            )
