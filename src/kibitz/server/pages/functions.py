"""Feedback functions: which there are, how far their evaluations are, and one of them in all its versions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ClassVar, get_args

from litestar import Response, get, post
from litestar.params import FromPath, RawBody

from kibitz.base import evaluations as records
from kibitz.base import judgements, refs
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.evaluations import EvaluationProgress, EvaluationQuery, EvaluationStatus
from kibitz.base.records import ObjectVersion
from kibitz.query.aggregation import MAX_MEASURES, AggregateQuery, OfNumbers
from kibitz.query.nodes import FeedbackField
from kibitz.server import access
from kibitz.server.pages import (
    addresses,
    charts,
    definition_words,
    evaluation_links,
    evaluation_rows,
    evaluations,
    feedback,
    feedback_links,
    frames,
)
from kibitz.server.pages.definition_words import DefinitionWords
from kibitz.server.pages.evaluation_rows import EvaluationRow
from kibitz.server.pages.evaluations import NoWorker
from kibitz.server.pages.forms import first, form_of
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.storage.protocols import Store

LIST_ID = "functions"
RUNS_ID = "evaluations"
RUNS = 30
"""Of a page."""
GROUPED = 500
"""Failed runs whose reasons are counted."""
REASONS = 8
RETRIED = 20_000
"""Evaluations that one click tries again."""
_RAISED = re.compile(r": ((?:\w+\.)*[A-Z]\w*: .*)\Z", re.DOTALL)
"""What was raised, at the end of a reason."""
Url = Callable[..., str]
"""An address with some of its parameters."""
STATUSES: tuple[EvaluationStatus, ...] = ("failed", "running", "none", "skipped", "done")
_PARTS: tuple[EvaluationStatus, ...] = ("done", "skipped", "failed", "running", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One state of a progress bar."""

    status: EvaluationStatus
    count: int
    start: float
    """In percent of all."""
    width: float
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the evaluations of a function are."""

    shares: tuple[Share, ...]
    """Those that are not empty, done ones first."""
    total: int
    words: str
    """`962 of 1,000 ended`."""
    going_on: bool
    spent_usd: float
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRow:
    """One function of the list."""

    name: str
    url: str
    version: str
    versions: int
    judges: str
    implementation: str
    progress: Progress
    mean: str
    """With its interval; empty where there is none."""
    type_url: str
    """What it said, in charts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsPage:
    """The feedback functions of a project."""

    template: ClassVar[str] = "functions.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose they are."""
    rows: tuple[FunctionRow, ...]
    """Those that ran last first."""
    going_on: bool
    """Whether anything waits or runs."""
    url: str
    """The page's own address."""
    no_worker: NoWorker | None
    """What to do where nobody works."""
    worker: str
    """The command of a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionVersion:
    """One version of a function."""

    number: int
    """Counted from 1."""
    digest: str
    created_at: datetime
    url: str
    current: bool
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A filter of the runs."""

    status: EvaluationStatus | None
    label: str
    count: int
    url: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPage:
    """One feedback function."""

    template: ClassVar[str] = "function.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose it is."""
    name: str
    """What its feedback is called."""
    ref: str
    """The version that is looked at."""
    created_at: datetime
    """When that version was published."""
    words: DefinitionWords
    """What that version says."""
    versions: tuple[DefinitionVersion, ...]
    """All, newest first."""
    progress: Progress
    """Of that version, or of all where none is chosen."""
    mean: str
    """With its interval."""
    why: EvaluationStatus
    """Of which runs reasons are told: those that failed, or those that were skipped where none did."""
    reasons: tuple[tuple[str, int], ...]
    """Why runs ended so lately, and how many for it."""
    reasons_of: int
    """Runs that these were counted of."""
    choices: tuple[Choice, ...]
    """The filters of the runs."""
    rows: tuple[EvaluationRow, ...]
    """The latest runs."""
    live_url: str
    """The page's own address, with what is being looked at."""
    next_url: str
    """Older runs; empty where there are none."""
    first_url: str
    """The newest, where this is another page."""
    retry_url: str
    """Where the forms go."""
    type_url: str
    """What it said, in charts; empty where it said nothing."""
    lowest_url: str
    """The calls it judged, the least first."""
    missing_url: str
    """The calls that it has not judged."""
    rule_url: str
    """Where a rule with it is made."""
    no_worker: NoWorker | None
    """What to do where nobody works."""


@get("/p/{segment:str}/functions", include_in_schema=False, sync_to_thread=True)
def list_functions(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """The feedback functions of a project."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    found = store.objects.list(project, "object", records.DEFINITION)
    progress = store.evaluations.progress(project)
    by_name: dict[str, list[EvaluationProgress]] = {}
    for each in progress:
        by_name.setdefault(each.name, []).append(each)
    means = _means(store, project, [each.name for each in found if by_name.get(each.name)])
    rows = [
        _row(project, each, by_name.get(each.name, ()), means.get(each.name, "")) for each in found
    ]
    rows.sort(key=lambda each: each.name)
    rows.sort(key=lambda each: each.progress.last_at is None)
    return frames.send(
        request,
        FunctionsPage(
            frame=_frame(request, store, f"Functions · {project}", project),
            project=project,
            rows=tuple(rows),
            going_on=any(each.progress.going_on for each in rows),
            url=evaluation_links.functions_path(project),
            no_worker=evaluations.no_worker(request, store, project, progress),
            worker=evaluations.worker(request),
        ),
    )


@get("/p/{segment:str}/functions/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_function(
    request: AnyRequest, segment: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """One feedback function: what it is, how far it is, and its latest runs."""
    project = addresses.parse_project(segment)
    name = addresses.unescape(name)
    store = frames.store_of(request)
    wanted = request.query_params.get("version", "")
    known = versions(store, project, name)
    shown = next((each for each in known if not wanted or each.digest == wanted), None)
    if shown is None:
        raise NotFound(f"project {project!r} has no such feedback function {name[:80]!r}")
    everything = store.evaluations.progress(project)
    progress = [each for each in everything if each.name == name]
    status = _status(request)
    cursor = request.query_params.get("cursor", "")
    ref = _ref(project, shown)
    asked = EvaluationQuery(
        project=project,
        name=name,
        definition_ref=ref if wanted else None,
        status=[status] if status else [],
        limit=RUNS,
        cursor=cursor or None,
    )
    found = store.evaluations.query(asked)
    path = evaluation_links.function_path(project, name)

    def url(**parameters: str) -> str:
        return feedback.address(path, version=wanted, **parameters)

    mine = [each for each in progress if not wanted or each.definition_ref == ref]
    counts = _counts(mine)
    why: EvaluationStatus = "failed" if counts["failed"] else "skipped"
    reasons, reasons_of = _reasons(store, asked, why) if counts[why] else ((), 0)
    leaf = _leaf(project, name)
    judged = any(each.done for each in progress)
    return frames.send(
        request,
        FunctionPage(
            frame=_frame(request, store, f"{name} · {project}", project),
            project=project,
            name=name,
            ref=ref,
            created_at=shown.created_at,
            words=definition_words.words(shown.value),
            versions=tuple(
                DefinitionVersion(
                    number=each.version + 1,
                    digest=each.digest,
                    created_at=each.created_at,
                    url=feedback.address(path, version=each.digest),
                    current=each is shown,
                    progress=progress_of(
                        [one for one in progress if one.definition_ref == _ref(project, each)]
                    ),
                )
                for each in known
            ),
            progress=progress_of(mine, url),
            mean=_means(store, project, [name]).get(name, "") if judged else "",
            why=why,
            reasons=reasons,
            reasons_of=reasons_of,
            choices=_choices(mine, status, url),
            rows=tuple(evaluation_rows.row(each) for each in found.items),
            live_url=url(status=status or "", cursor=cursor),
            next_url=url(status=status or "", cursor=found.next_cursor)
            if found.next_cursor
            else "",
            first_url=url(status=status or "") if cursor else "",
            retry_url=f"{path}/retry",
            type_url=feedback_links.type_path(project, leaf.type) if judged else "",
            lowest_url=feedback_links.lowest(leaf),
            missing_url=feedback_links.missing(leaf),
            rule_url=feedback.address(
                f"{evaluation_links.rules_path(project)}/new", definition=_ref(project, known[0])
            ),
            no_worker=evaluations.no_worker(request, store, project, everything),
        ),
    )


@post(
    "/p/{segment:str}/functions/{name:str}/retry",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=303,
)
def retry_runs(
    request: AnyRequest, segment: FromPath[str], name: FromPath[str], body: RawBody
) -> Response[None]:
    """Want evaluations of a function anew: those that a form names, or all that failed."""
    project = addresses.parse_project(segment)
    name = addresses.unescape(name)
    store = frames.store_of(request)
    sent = form_of(body)
    if first(sent, "all") == "failed":
        _retry_failed(store, project, name, first(sent, "version"))
    else:
        ids = sent.get("id", [])[: evaluations.MAX_IDS]
        if ids:
            store.evaluations.retry(project, ids)
    path = evaluation_links.function_path(project, name)
    return frames.redirect(access.local_path(first(sent, "back") or path))


def _retry_failed(store: Store, project: str, name: str, digest: str) -> None:
    """Try again what failed before now. What fails once more meanwhile is left for the next time."""
    ref = ref_of(project, name, digest) if digest else None
    cursor: str | None = None
    left = RETRIED
    while left > 0:
        asked = EvaluationQuery(
            project=project,
            name=name,
            definition_ref=ref,
            status=["failed"],
            limit=1000,
            cursor=cursor,
        )
        page = store.evaluations.query(asked)
        if page.items:
            store.evaluations.retry(project, [each.id for each in page.items])
        left -= len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def _row(
    project: str, version: ObjectVersion, progress: Sequence[EvaluationProgress], mean: str
) -> FunctionRow:
    words = definition_words.words(version.value)
    path = evaluation_links.function_path(project, version.name)
    return FunctionRow(
        name=version.name,
        url=path,
        version=version.digest[:7],
        versions=version.version + 1,
        judges=words.judges,
        implementation=words.implementation,
        progress=progress_of(progress, partial(feedback.address, path)),
        mean=mean,
        type_url=feedback_links.type_path(project, judgements.RUNNABLE + version.name),
    )


def progress_of(progress: Sequence[EvaluationProgress], url: Url | None = None) -> Progress:
    """How far some definitions are together."""
    counts = _counts(progress)
    total = sum(counts.values())
    shares: list[Share] = []
    start = 0.0
    for status in _PARTS:
        if counts[status]:
            width = 100 * counts[status] / total
            shares.append(
                Share(
                    status=status,
                    count=counts[status],
                    start=round(start, 2),
                    width=round(width, 2),
                    url=url(status=status) if url else "",
                )
            )
            start += width
    ended = total - counts["none"] - counts["running"]
    return Progress(
        shares=tuple(shares),
        total=total,
        words=f"{ended:,} of {total:,} ended" if total else "nothing wanted yet",
        going_on=bool(counts["none"] or counts["running"]),
        spent_usd=sum(each.spent_usd for each in progress),
        last_at=max((each.last_at for each in progress if each.last_at), default=None),
    )


def _counts(progress: Sequence[EvaluationProgress]) -> Counter[EvaluationStatus]:
    found: Counter[EvaluationStatus] = Counter()
    for each in progress:
        found["none"] += each.wanted
        found["running"] += each.running
        found["done"] += each.done
        found["failed"] += each.failed
        found["skipped"] += each.skipped
    return found


def _choices(
    progress: Sequence[EvaluationProgress], current: EvaluationStatus | None, url: Url
) -> tuple[Choice, ...]:
    counts = _counts(progress)
    return (
        Choice(status=None, label="all", count=counts.total(), url=url(), current=current is None),
        *(
            Choice(
                status=each,
                label=evaluation_rows.WORDS[each],
                count=counts[each],
                url=url(status=each),
                current=each == current,
            )
            for each in STATUSES
            if counts[each] or each == current
        ),
    )


def _reasons(
    store: Store, asked: EvaluationQuery, status: EvaluationStatus
) -> tuple[tuple[tuple[str, int], ...], int]:
    """Why the latest ended so, the most frequent reasons first."""
    page = store.evaluations.query(
        EvaluationQuery(
            project=asked.project,
            name=asked.name,
            definition_ref=asked.definition_ref,
            status=[status],
            limit=GROUPED,
        )
    )
    counts = Counter(_kind_of(each.reason or "no reason was given") for each in page.items)
    return tuple(counts.most_common(REASONS)), len(page.items)


def _kind_of(reason: str) -> str:
    """A reason without the arguments that it names: `TimeoutError: the judge did not answer`."""
    found = _RAISED.search(reason)
    return (found[1] if found else reason)[:300]


def _means(store: Store, project: str, names: Sequence[str]) -> dict[str, str]:
    """The mean of each function that says one number, with its interval, in one question to the sums that are kept."""
    names = names[:MAX_MEASURES]
    if not names:
        return {}
    measures = tuple(
        OfNumbers("mean", FeedbackField(judgements.RUNNABLE + name, ("output",))) for name in names
    )
    found = store.calls.aggregate(AggregateQuery(project=project, measures=measures))
    if not found.groups:
        return {}
    return {
        name: charts.with_interval(each.value, each.low, each.high)
        for name, each in zip(names, found.groups[0].measures, strict=True)
        if each.value is not None
    }


def versions(store: Store, project: str, name: str) -> list[ObjectVersion]:
    """The versions of a definition, newest first; none where the name is another object's."""
    try:
        found = store.objects.versions(project, "object", name)
    except NotFound:
        return []
    mine = [
        each
        for each in found
        if isinstance(each.value, dict) and each.value.get("$type") == records.DEFINITION  # pyright: ignore[reportUnknownMemberType] JSON
    ]
    return sorted(mine, key=lambda each: -each.version)


def _leaf(project: str, name: str) -> feedback_links.Leaf:
    return feedback_links.Leaf(
        project=project, type=judgements.RUNNABLE + name, path=("output",), kind="number"
    )


def _status(request: AnyRequest) -> EvaluationStatus | None:
    given = request.query_params.get("status", "")
    if not given:
        return None
    known: tuple[EvaluationStatus, ...] = get_args(EvaluationStatus)
    for each in known:
        if given == each:
            return each
    raise UsageError(f"status {given[:40]!r} is not one of {', '.join(known)}", field="status")


def _ref(project: str, version: ObjectVersion) -> str:
    return ref_of(project, version.name, version.digest)


def ref_of(project: str, name: str, digest: str) -> str:
    """The reference of a version of a definition."""
    return refs.format_ref(refs.Ref(project=project, kind="object", name=name, digest=digest))


def _frame(request: AnyRequest, store: Store, title: str, project: str) -> Frame:
    return frames.frame(
        request, title, project=project, projects=store.projects.list(), place="feedback"
    )
