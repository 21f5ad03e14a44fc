"""The evaluations and rules of a server, as workers and everybody else ask for them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec

from kibitz.base import api, evaluation_api, spending, wire
from kibitz.base.errors import InvalidRecord, TooLarge, Unavailable, UsageError
from kibitz.base.evaluations import (
    Claim,
    Evaluation,
    EvaluationProgress,
    EvaluationQuery,
    NewRule,
    Rule,
    RunOutcome,
    WantStep,
)
from kibitz.base.records import Call, Page
from kibitz.client.http import Connection
from kibitz.query import json_form
from kibitz.query.nodes import Node


class Evaluations:
    """Satisfies `storage.protocols.Evaluations`; raises beside what it names what `http.Connection` raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def want(
        self,
        project: str,
        definitions: Sequence[str],
        where: Node | None,
        *,
        sample: float = 1.0,
        again: bool = False,
        rule: str | None = None,
        cursor: str | None = None,
    ) -> WantStep:
        asked = evaluation_api.Want(
            project=project,
            definitions=list(definitions),
            query=None if where is None else json_form.where_to_json(where),
            sample=sample,
            again=again,
            rule=rule,
            cursor=cursor,
        )
        # What is wanted again may have been done by the time that a broken connection is tried again.
        return self._connection.post(
            WantStep, api.EVALUATIONS_WANT, wire.encode_record(asked), repeatable=not again
        )

    def want_by_rules(self, *, limit: int = 1000) -> int:
        asked = evaluation_api.WantByRules(limit=limit)
        return self._connection.post(
            evaluation_api.LookedAt, api.EVALUATIONS_WANT_BY_RULES, wire.encode_record(asked)
        ).calls

    def claim(
        self,
        worker: str,
        *,
        limit: int,
        lease_s: float,
        projects: Sequence[str] | None = None,
        max_attempts: int = 5,
        except_definitions: Sequence[str] = (),
    ) -> list[Claim]:
        asked = evaluation_api.ClaimAsked(
            worker=worker,
            limit=limit,
            lease_s=lease_s,
            projects=None if projects is None else list(projects),
            max_attempts=max_attempts,
            except_definitions=list(except_definitions),
        )
        # Claims whose answer was lost are due again when their lease ends, whether it is asked again or not.
        return self._connection.post(
            evaluation_api.Claims, api.EVALUATIONS_CLAIM, wire.encode_record(asked)
        ).claims

    def next_due(self, projects: Sequence[str] | None = None) -> datetime | None:
        asked = evaluation_api.DueAsked(projects=None if projects is None else list(projects))
        return self._connection.post(
            evaluation_api.Due, api.EVALUATIONS_NEXT_DUE, wire.encode_record(asked)
        ).due_at

    def extend(self, run_ids: Sequence[str], *, lease_s: float) -> list[str]:
        asked = evaluation_api.Extension(run_ids=list(run_ids), lease_s=lease_s)
        return self._connection.post(
            evaluation_api.RunIds, api.EVALUATIONS_EXTEND, wire.encode_record(asked)
        ).run_ids

    def release(self, run_ids: Sequence[str]) -> int:
        asked = evaluation_api.Release(run_ids=list(run_ids))
        return self._connection.post(
            evaluation_api.Released, api.EVALUATIONS_RELEASE, wire.encode_record(asked)
        ).released

    def finish(self, project: str, outcomes: Sequence[RunOutcome]) -> list[str]:
        """The same, in several transactions where they are more than the server takes at once."""
        # As the store does it: JSON has no word for what is no finite number.
        sent = [_bounded(each) for each in outcomes]
        asked = evaluation_api.Finish(project=project, outcomes=sent)
        try:
            return self._connection.post(
                evaluation_api.RunIds, api.EVALUATIONS_FINISH, _encoded(asked)
            ).run_ids
        except TooLarge:
            if len(outcomes) < 2:
                raise
        half = len(outcomes) // 2
        return [*self.finish(project, outcomes[:half]), *self.finish(project, outcomes[half:])]

    def retry(self, project: str, ids: Sequence[str]) -> int:
        asked = evaluation_api.Retry(project=project, ids=list(ids))
        # A second answer would count none: what was wanted by the first has not ended.
        return self._connection.post(
            evaluation_api.Retried,
            api.EVALUATIONS_RETRY,
            wire.encode_record(asked),
            repeatable=False,
        ).wanted

    def query(self, query: EvaluationQuery) -> Page[Evaluation]:
        body = wire.encode_record(query)
        return self._connection.post(Page[Evaluation], api.EVALUATIONS_QUERY, body)

    def get(self, project: str, evaluation_id: str) -> Evaluation:
        path = _below(api.EVALUATIONS, evaluation_id)
        return self._connection.read(Evaluation, path, {"project": project})

    def of_call(self, project: str, call_id: str) -> list[Evaluation]:
        path = _below(api.CALLS, call_id, "evaluations")
        asked = {"project": project}
        return self._connection.read(evaluation_api.Evaluations, path, asked).evaluations

    def progress(self, project: str) -> list[EvaluationProgress]:
        asked = {"project": project}
        path = api.EVALUATIONS_PROGRESS
        return self._connection.read(evaluation_api.Progress, path, asked).progress

    def records(self, project: str, call_ids: Sequence[str]) -> dict[str, list[Call]]:
        waiting = list(call_ids)
        found: dict[str, list[Call]] = {}
        while waiting:
            asked = evaluation_api.RecordsAsked(
                project=project, call_ids=waiting[: evaluation_api.MAX_RECORDS]
            )
            answer = self._connection.post(
                evaluation_api.Records, api.EVALUATIONS_RECORDS, wire.encode_record(asked)
            )
            if len(answer.left) >= len(asked.call_ids):
                raise Unavailable(
                    f"{self._connection.url} gave none of {len(asked.call_ids)} records; is it a Kibitz server?"
                )
            found |= answer.records
            waiting = [*answer.left, *waiting[evaluation_api.MAX_RECORDS :]]
        return found


class Rules:
    """Satisfies `storage.protocols.RuleStore`; raises beside what it names what `http.Connection` raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, project: str) -> Sequence[Rule]:
        return self._connection.read(evaluation_api.Rules, api.RULES, {"project": project}).rules

    def get(self, project: str, name: str) -> Rule:
        return self._connection.read(Rule, _below(api.RULES, name), {"project": project})

    def save(self, project: str, name: str, rule: NewRule) -> Rule:
        usd = rule.usd_per_day
        if usd is not None and not math.isfinite(usd):
            # JSON has no word for it, and without a number there would be no budget.
            raise UsageError(f"usd_per_day {usd!r} is not an amount of money", field="usd_per_day")
        path = _below(api.RULES, _named(name))
        return self._connection.put(Rule, path, {"project": project}, wire.encode_record(rule))

    def delete(self, project: str, name: str) -> Rule:
        return self._connection.delete(Rule, _below(api.RULES, name), {"project": project})


def _encoded(asked: evaluation_api.Finish) -> bytes:
    """What became of runs as JSON. A judge may say anything, half a surrogate pair too; that must not keep the run."""
    try:
        return wire.encode_record(asked)
    except InvalidRecord:
        text = json.dumps(msgspec.to_builtins(asked), ensure_ascii=False)
        return text.encode("utf-8", "replace")


def _named(name: str) -> str:
    """The name, if an address can end in it."""
    if not name.strip("."):
        raise UsageError(f"rule {name!r} is not a name; use printable characters", field="name")
    return name


def _below(path: str, *parts: str) -> str:
    return "/".join([path, *(quote(part, safe="") for part in parts)])


def _bounded(outcome: RunOutcome) -> RunOutcome:
    part = outcome.part
    spent = spending.bounded(part.spent)
    if spent == part.spent:
        return outcome
    part = msgspec.structs.replace(part, spent=spent)
    return msgspec.structs.replace(outcome, part=part)
