"""Writing feedback: rows are only ever added, and the scores follow the newest row of each type on a call."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field, replace

import msgspec

from kibitz.base import refs
from kibitz.query.pieces import BOOL, NUMBER, TEXT
from kibitz.storage import leaves, standing, statements
from kibitz.storage.sqlite.aggregating_sums import KEPT_ROLES, ScoreSums
from kibitz.storage.sqlite.call_writing import CallWriter
from kibitz.storage.sqlite.feedback_parts import PreparedFeedback
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("sqlite.sql")
_COUNTED = frozenset({standing.ALONE, standing.NEWEST_OF_SEVERAL, standing.ELEMENT})
"""Roles that count as having a value now: what columns are offered by."""

_Said = tuple[int, str, int, int, str | None, int]
"""(pk, id, author, created_at, retracts, stands)"""
_Counts = defaultdict[tuple[int, int], int]
"""By series and kind."""


@dataclass(slots=True)
class _Pending:
    project: int
    item: PreparedFeedback
    type: int
    call: int | None
    is_new_call: bool
    target: int | None
    author: int
    pk: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """Who has said a feedback, and about what."""

    author: str
    author_kind: str
    type: str
    target: str
    """The id of the call, or the reference of anything else."""


STORE = "kibitz", "program"
"""Author and kind of what the store says itself."""


def _taken_back(item: PreparedFeedback, feedback_id: str, why: str) -> PreparedFeedback:
    """The retraction of another feedback on the same target, by the author of this one."""
    return replace(
        item,
        id=refs.digest(f"{why}:{feedback_id}".encode())[:32],
        annotation_ref=None,
        runnable_ref=None,
        call_id=None,
        trigger_ref=None,
        retracts=feedback_id,
        corrects=None,
        answer=None,
        payload="{}",
        leaves={},
        complete=True,
    )


@dataclass(slots=True)
class FeedbackWriter:
    """Collects the feedback of one transaction; `flush` writes it after the calls."""

    connection: sqlite3.Connection
    names: WriterNames
    calls: CallWriter
    _pending: dict[tuple[int, str], _Pending] = field(
        default_factory=dict[tuple[int, str], _Pending]
    )
    _answers: defaultdict[tuple[int, int | None, int | None], list[_Pending]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """The answers to specifications among them, by type and target."""
    _sums: ScoreSums = field(init=False)

    def __post_init__(self) -> None:
        self._sums = ScoreSums(self.connection)

    def add(self, project: int, item: PreparedFeedback) -> None:
        """Take one feedback in. An id that is there already is taken for a second delivery."""
        key = (project, item.id)
        if key in self._pending:
            return
        call = target = None
        is_new = False
        if item.target.kind == "call":
            call, is_new = self.calls.pk(project, item.target.name)
        else:
            target = self.names.ref(self.connection, item.target_ref)
        type_pk = self.names.type(self.connection, project, item.type)
        pending = self._pending[key] = _Pending(
            project,
            item,
            type_pk,
            call,
            is_new,
            target,
            self.names.author(self.connection, project, item.author, item.author_kind),
        )
        if item.annotation_ref is not None:
            self._answers[type_pk, call, target].append(pending)

    def about(self, project: int, feedback_id: str) -> Said | None:
        """Who has said a feedback and about what, also in this transaction; None where it has not arrived."""
        pending = self._pending.get((project, feedback_id))
        if pending is not None:
            item = pending.item
            target = item.target.name if item.target.kind == "call" else item.target_ref
            return Said(item.author, item.author_kind, item.type, target)
        row = self.connection.execute(_SQL["who_said"], (project, feedback_id)).fetchone()
        if row is None:
            return None
        author, kind, type_name, call_id, target = row
        return Said(author, kind, type_name, target if call_id is None else call_id)

    def take_back(self, project: int, item: PreparedFeedback) -> None:
        """Take back the note or reaction that this one corrects: of these, each stands for itself."""
        assert item.corrects is not None
        self.add(project, _taken_back(item, item.corrects, f"corrected by {item.id}"))

    def share(self, project: int, item: PreparedFeedback) -> None:
        """Let only the newest answer to a shared specification stand: what it is said in the place of is taken back.

        The store says so itself, under an id that follows from the answer taken back, so that any order of
        arrival and a second delivery come to the same. So an answer that was retracted since has its place too:
        what it replaced does not come back.
        """
        mine = self._pending.get((project, item.id))
        if mine is None:
            return
        said = [
            each
            for each in self.connection.execute(
                _SQL["who_answered"], (mine.type, mine.call, mine.target)
            )
            if (project, each[0]) not in self._pending
        ]
        here = (mine.type, mine.call, mine.target)
        said += [
            (each.item.id, each.author, each.item.created_at, standing.STANDS)
            for each in self._answers[here]
        ]
        newest = max(said, key=lambda each: each[2])
        if newest[2] == item.created_at:
            newest = (item.id, mine.author, item.created_at, standing.STANDS)
        # The others do not stand any more: a batch of many answers to one question stays linear.
        self._answers[here] = [each for each in self._answers[here] if each.item.id == newest[0]]
        for feedback_id, author, _, stands in said:
            if author != newest[1] and stands:
                by, kind = STORE
                said = _taken_back(item, feedback_id, "shared")
                self.add(project, replace(said, author=by, author_kind=kind))

    def flush(self) -> None:
        """Write rows, scores and counts."""
        self._drop_delivered()
        if not self._pending:
            return
        pk = self._last_pk()
        together: defaultdict[tuple[int, int], list[_Pending]] = defaultdict(list)
        elsewhere: defaultdict[tuple[int | None, int], list[_Pending]] = defaultdict(list)
        for pending in self._pending.values():
            pk += 1
            pending.pk = pk
            if pending.call is not None:
                together[pending.call, pending.type].append(pending)
            else:
                elsewhere[pending.target, pending.type].append(pending)
        stands: dict[int, int] = {}
        scores: list[tuple[int, list[standing.ScoreRow]]] = []
        counts: _Counts = defaultdict(int)
        self._sums.look_up(call for call, _ in together)
        said = self._said_before(together)
        for (call, type_pk), arrived in together.items():
            judged = self._work_out(call, type_pk, arrived, said[call, type_pk], stands, counts)
            scores.append((call, standing.scores(judged)))
        for (target, type_pk), arrived in elsewhere.items():
            before = self.connection.execute(_SQL["feedback_on_target"], (target, type_pk))
            self._let_stand(before.fetchall(), arrived, stands)
        self.connection.executemany(
            _SQL["insert_feedback"],
            [
                self._row(each, stands.get(each.pk, standing.STANDS))
                for each in self._pending.values()
            ],
        )
        self.connection.execute(_SQL["keep_last_pk"], ("feedback", pk))
        self._count_types()
        self._write_scores(together, scores, counts)

    def _said_before(
        self, together: dict[tuple[int, int], list[_Pending]]
    ) -> defaultdict[tuple[int, int], list[_Said]]:
        """What was said so far on the calls that are not new, by call and type; asked for together."""
        calls = {call for (call, _), arrived in together.items() if not arrived[0].is_new_call}
        found: defaultdict[tuple[int, int], list[_Said]] = defaultdict(list)
        if calls:
            encoded = msgspec.json.encode(sorted(calls)).decode()
            rows = self.connection.execute(_SQL["feedback_on_calls"], (encoded,))
            for call, type_pk, *row in rows:
                found[call, type_pk].append((row[0], row[1], row[2], row[3], row[4], row[5]))
        return found

    def _drop_delivered(self) -> None:
        by_project: defaultdict[int, list[str]] = defaultdict(list)
        for project, feedback_id in self._pending:
            by_project[project].append(feedback_id)
        for project, feedback_ids in by_project.items():
            rows = self.connection.execute(
                _SQL["standing_feedback"],
                (msgspec.json.encode(feedback_ids).decode(), project),
            ).fetchall()
            for (feedback_id,) in rows:
                self._pending.pop((project, feedback_id), None)

    def _last_pk(self) -> int:
        row = self.connection.execute(_SQL["last_pk"], ("feedback",)).fetchone()
        return 0 if row is None else int(row[0])

    def _row(self, pending: _Pending, stands: int) -> tuple[None | int | str, ...]:
        item = pending.item
        ref = self.names.ref
        return (
            pending.pk,
            pending.project,
            item.id,
            pending.type,
            pending.call,
            pending.target,
            pending.author,
            item.created_at,
            stands,
            item.retracts,
            item.corrects,
            ref(self.connection, item.annotation_ref),
            ref(self.connection, item.runnable_ref),
            item.call_id,
            ref(self.connection, item.trigger_ref),
            item.payload,
        )

    def _work_out(
        self,
        call: int,
        type_pk: int,
        arrived: list[_Pending],
        before: list[_Said],
        stands: dict[int, int],
        counts: _Counts,
    ) -> list[standing.Judged]:
        """What stands of a type on a call now that these have arrived; what stood so far is brought to it."""
        if len(arrived) == 1 and not before and arrived[0].item.retracts is None:
            only = arrived[0]
            stands[only.pk] = standing.NEWEST
            return [standing.Judged(only.pk, standing.NEWEST, only.item.leaves)]
        now = self._let_stand(before, arrived, stands)
        if before:
            self._remove_scores(call, type_pk, counts)
        leaves_of = {each.pk: each.item.leaves for each in arrived}
        return [
            standing.Judged(pk, how, leaves_of[pk] if pk in leaves_of else self._leaves(pk))
            for pk, how in now.items()
            if how != standing.GONE
        ]

    def _let_stand(
        self,
        before: list[_Said],
        arrived: list[_Pending],
        stands: dict[int, int],
    ) -> dict[int, int]:
        """What stands of feedback of one type on one target, old and new, by pk; the old rows are brought to it."""
        stood = {row[0]: row[-1] for row in before}
        rows = [standing.Row(*row[:-1]) for row in before] + [
            standing.Row(
                each.pk, each.item.id, each.author, each.item.created_at, each.item.retracts
            )
            for each in arrived
        ]
        now = standing.stand(arrived[0].item.type, rows)
        stands.update((pk, how) for pk, how in now.items() if pk not in stood)
        self.connection.executemany(
            _SQL["let_stand"],
            [(now[pk], pk) for pk, was in stood.items() if now[pk] != was],
        )
        return now

    def _leaves(self, pk: int) -> dict[leaves.Leaf, leaves.Score]:
        row = self.connection.execute(_SQL["payload_of_feedback"], (pk,)).fetchone()
        return leaves.scores(msgspec.json.decode(row[0]))[0]

    def _count_types(self) -> None:
        counts: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for pending in self._pending.values():
            counts[pending.type][0] += 1
            counts[pending.type][1] += not pending.item.complete
        self.connection.executemany(
            _SQL["count_feedback"],
            [(rows, unindexed, type_pk) for type_pk, (rows, unindexed) in counts.items()],
        )

    def _write_scores(
        self,
        together: dict[tuple[int, int], list[_Pending]],
        scores: list[tuple[int, list[standing.ScoreRow]]],
        counts: _Counts,
    ) -> None:
        rows: list[tuple[int, int, int, int, int, int, float, str]] = []
        for (_, type_pk), (call, found) in zip(together, scores, strict=True):
            for path, source, place, role, kind, num, text in found:
                series = self.names.one_series(self.connection, type_pk, path)
                rows.append((series, call, source, place, role, kind, num, text))
                if role in _COUNTED and place <= 1:
                    counts[series, kind] += 1
                if role in KEPT_ROLES:
                    self._sums.count(series, call, kind, num, text, 1)
        self.connection.executemany(_SQL["insert_score"], rows)
        self._count_scores(counts)

    def remove_scores(self, judged: set[tuple[int, int]]) -> None:
        """Take the scores of some types on some calls, (call, type) each, out of the table and the counts."""
        counts: _Counts = defaultdict(int)
        self._sums.look_up(call for call, _ in judged)
        for call, type_pk in judged:
            self._remove_scores(call, type_pk, counts)
        self._count_scores(counts)

    def _count_scores(self, counts: _Counts) -> None:
        self.connection.executemany(
            _SQL["count_scores"],
            [
                (n * (kind == BOOL), n * (kind == NUMBER), n * (kind == TEXT), series)
                for (series, kind), n in counts.items()
                if n
            ],
        )
        self._sums.flush()

    def _remove_scores(self, call: int, type_pk: int, counts: _Counts) -> None:
        found = self.connection.execute(_SQL["standing_scores"], (call, type_pk)).fetchall()
        for series, kind, role, place, num, text in found:
            if role in _COUNTED and place <= 1:
                counts[series, kind] -= 1
            if role in KEPT_ROLES:
                self._sums.count(series, call, kind, num, text, -1)
        self.connection.executemany(_SQL["delete_score"], {(series, call) for series, *_ in found})
