"""The evaluations of a call: what programs made of its record, what waits, and trying again what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from litestar import Response, post
from litestar.params import FromPath, RawBody

from kibitz.base import clock
from kibitz.base.evaluations import DEFINITION, EvaluationProgress, EvaluationStatus
from kibitz.server.pages import addresses, definition_words, evaluation_rows, formats, frames
from kibitz.server.pages.evaluation_rows import EvaluationRow
from kibitz.server.pages.forms import form_of
from kibitz.server.pages.frames import AnyRequest
from kibitz.storage.protocols import Store

PART_ID = "evaluations"
QUIET = timedelta(minutes=2)
"""Where work waits and nobody has done any for so long, probably nobody does."""
WORKER = "kibitz worker"
MAX_MODULES = 6
"""That the command names."""
MAX_IDS = 1000
"""Evaluations that one form tries again."""
_ORDER: tuple[EvaluationStatus, ...] = ("failed", "running", "none", "skipped", "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorker:
    """That work waits and nobody seems to do it."""

    says: str
    command: str
    """What to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationsPart:
    """The evaluations of one call."""

    rows: tuple[EvaluationRow, ...]
    """Failed ones first, then what goes on."""
    says: str
    """How many are in which state, in words."""
    going_on: bool
    """Whether something waits or runs."""
    url: str
    """Where the part is asked for again."""
    action: str
    """Where the form goes."""
    no_worker: NoWorker | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationsPage:
    """The part alone, for a page that is there already."""

    template: ClassVar[str] = "_evaluations_page.html"

    part: EvaluationsPart
    """What it shows."""


def part(request: AnyRequest, store: Store, project: str, call_id: str) -> EvaluationsPart:
    """The evaluations of a call."""
    found = store.evaluations.of_call(project, call_id)
    url = addresses.call_path(project, call_id)
    counts: Counter[EvaluationStatus] = Counter(each.status for each in found)
    waits = counts["none"] > 0
    return EvaluationsPart(
        rows=tuple(
            evaluation_rows.row(each)
            for each in sorted(found, key=lambda each: (_ORDER.index(each.status), each.name))
        ),
        says=said(counts),
        going_on=bool(counts["none"] or counts["running"]),
        url=url,
        action=f"{url}/evaluations",
        no_worker=no_worker(request, store, project, store.evaluations.progress(project))
        if waits
        else None,
    )


def said(counts: Counter[EvaluationStatus]) -> str:
    """`2 failed, 1 waiting`; nothing where all are done."""
    if set(counts) == {"done"}:
        return ""
    return ", ".join(
        f"{counts[status]:,} {evaluation_rows.WORDS[status]}" for status in _ORDER if counts[status]
    )


def no_worker(
    request: AnyRequest, store: Store, project: str, progress: Sequence[EvaluationProgress]
) -> NoWorker | None:
    """Whether evaluations wait in a project and nobody seems to do them: none runs, and none ended lately."""
    waiting = sum(each.wanted for each in progress)
    if not waiting or any(each.running for each in progress):
        return None
    ended = [each.last_at for each in progress if each.last_at is not None]
    last = max(ended, default=None)
    if last is not None and clock.now() - last < QUIET:
        return None
    verb = "waits" if waiting == 1 else "wait"
    since = f"; the last one ended {formats.ago(last)}" if last is not None else ""
    return NoWorker(
        says=f"{formats.count(waiting, 'evaluation')} {verb} for a worker, and none is at work{since}. "
        "Start one where the definitions can be imported:",
        command=" ".join((worker(request), *_allowed(store, project, progress))),
    )


def worker(request: AnyRequest) -> str:
    """The command that works for this server, from wherever it is run."""
    # By address: the folder that a server was started with is not the one that its readers are in.
    return f"{WORKER} --url {frames.address_of(request)}"


def _allowed(store: Store, project: str, progress: Sequence[EvaluationProgress]) -> list[str]:
    """What a worker has to be told, so that it may import what waits."""
    waiting = {each.name for each in progress if each.wanted}
    modules = {
        definition_words.module_of(each.value)
        for each in store.objects.list(project, "object", DEFINITION)
        if each.name in waiting
    }
    return [f"--allow {each}" for each in sorted(modules - {""})[:MAX_MODULES]]


@post(
    "/p/{segment:str}/calls/{call_id:str}/evaluations",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=303,
)
def retry_evaluations(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str], body: RawBody
) -> Response[None]:
    """Want evaluations of a call anew, then go back to it."""
    project = addresses.parse_project(segment)
    call_id = addresses.unescape(call_id)
    sent = form_of(body)
    store = frames.store_of(request)
    wanted = set(sent.get("id", ()))
    known = [each.id for each in store.evaluations.of_call(project, call_id) if each.id in wanted]
    if known:
        store.evaluations.retry(project, known[:MAX_IDS])
    url = addresses.call_path(project, call_id)
    # A script that asks for this part alone follows to it; a browser also goes to the place.
    return frames.redirect(url if frames.targets(request, PART_ID) else f"{url}#{PART_ID}")
