"""Rules: what is evaluated without being asked, how one is made, and applying one to the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody

from kibitz.base import clock, refs
from kibitz.base import evaluations as records
from kibitz.base.errors import KibitzError, NotFound, QueryError, RefError, UsageError
from kibitz.base.evaluations import NewRule, Rule
from kibitz.base.records import Call, ObjectVersion
from kibitz.query import text_form
from kibitz.query.nodes import CallQuery, ColumnField, Compare, Node
from kibitz.server.pages import (
    addresses,
    definition_words,
    evaluation_links,
    evaluations,
    feedback,
    formats,
    frames,
    functions,
    rule_drafts,
)
from kibitz.server.pages.evaluations import NoWorker
from kibitz.server.pages.forms import first, form_of
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.server.pages.functions import Progress
from kibitz.server.pages.rule_drafts import RuleDraft
from kibitz.storage.protocols import Store

LATEST = 5
"""Calls that match, shown beside a draft."""
ROOTS: Node = Compare(ColumnField("parent_id"), "eq", None)
"""What a rule without a query is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLink:
    """A function that a rule wants."""

    name: str
    version: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One rule, in words."""

    rule: Rule
    url: str
    functions: tuple[FunctionLink, ...]
    query: str
    """As text; what it is about where it has none."""
    calls_url: str
    """The calls that match."""
    sample: str
    budgets: tuple[str, ...]
    today: str
    """What it wanted today, and spent."""
    left_out: str
    """What the budget left out today; empty where nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesPage:
    """The rules of a project."""

    template: ClassVar[str] = "rules.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose they are."""
    rows: tuple[RuleRow, ...]
    """All of them, by name."""
    new_url: str
    """Where one is made."""
    has_functions: bool
    """Whether there is anything that a rule could want."""
    no_worker: NoWorker | None
    """What to do where nobody works."""
    worker: str
    """The command of a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFill:
    """How far applying a rule to the past is."""

    says: str
    going_on: bool
    share: float
    """Of the calls, in percent."""
    fields: tuple[tuple[str, str], ...]
    """What the next step has to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    """One rule."""

    template: ClassVar[str] = "rule.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose it is."""
    row: RuleRow
    """What it says."""
    matching: str
    """Calls that match now, in words."""
    at_most: str
    """How many evaluations a back-fill would want, in words."""
    back_fill: BackFill | None
    """How far that is, where it has begun."""
    progress: Progress
    """How far what it wants is, of all that is wanted of its functions."""
    edit_url: str
    """Where it is changed."""
    change_url: str
    """Where its forms go."""
    fill_url: str
    """Where a back-fill goes."""
    live_url: str
    """The page itself."""
    no_worker: NoWorker | None
    """What to do where nobody works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A function that a rule may want."""

    ref: str
    name: str
    version: str
    judges: str
    checked: bool
    is_old: bool
    """Whether there is a newer version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Which calls a draft is about."""

    matching: str
    """In words; empty where the query cannot be read."""
    sampled: str
    """How many of them the sample takes, where it is not all."""
    calls: tuple[Call, ...]
    """The latest of them."""
    url: str
    """All of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEditorPage:
    """The form of a rule."""

    template: ClassVar[str] = "rule_editor.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Where it will be."""
    draft: RuleDraft
    """What the form holds."""
    choices: tuple[Choice, ...]
    """The functions that there are."""
    errors: Mapping[str, str]
    """What is wrong, by field."""
    places: tuple[str, ...]
    """The fields that a mistake is said at."""
    preview: Preview
    """Which calls it is about."""
    action: str
    """Where the form goes."""
    rules_url: str
    """The list."""


@get("/p/{segment:str}/rules", include_in_schema=False, sync_to_thread=True)
def list_rules(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """The rules of a project."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    found = store.rules.list(project)
    path = evaluation_links.rules_path(project)
    definitions = () if found else store.objects.list(project, "object", records.DEFINITION)
    progress = store.evaluations.progress(project) if found else ()
    return frames.send(
        request,
        RulesPage(
            frame=_frame(request, store, f"Rules · {project}", project),
            project=project,
            rows=tuple(_row(each) for each in found),
            new_url=f"{path}/new",
            has_functions=bool(found or definitions),
            no_worker=evaluations.no_worker(request, store, project, progress),
            worker=evaluations.worker(request),
        ),
    )


@get("/p/{segment:str}/rules/named/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_rule(request: AnyRequest, segment: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """One rule."""
    project = addresses.parse_project(segment)
    return _send_rule(request, project, addresses.unescape(name))


@get("/p/{segment:str}/rules/new", include_in_schema=False, sync_to_thread=True)
def new_rule(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """The form: empty, with what an address says of it, or with a rule to change."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    name = request.query_params.get("of", "")
    if name:
        draft = rule_drafts.from_rule(store.rules.get(project, name))
    else:
        wanted = [value for key, value in frames.query_pairs(request) if key == "definition"]
        query = request.query_params.get("query", "")
        draft = RuleDraft(definitions=tuple(wanted), query=query[:2000])
    return _send_editor(request, store, project, draft, errors={})


@post("/p/{segment:str}/rules/draft", include_in_schema=False, sync_to_thread=True, status_code=200)
def edit_rule(
    request: AnyRequest, segment: FromPath[str], body: RawBody
) -> Response[bytes] | Response[None]:
    """Show which calls a draft is about, or keep it."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    sent = form_of(body)
    draft = rule_drafts.from_form(sent)
    saves = first(sent, "do") == "save"
    rule, found = rule_drafts.to_rule(draft, frames.reader_name(request))
    errors = dict(found)
    if draft.is_new and draft.name and draft.name in {e.name for e in store.rules.list(project)}:
        errors["name"] = "there is a rule of this name already; choose another, or change that one"
    if not saves or errors:
        # A form that is being typed in is not told what it lacks.
        given = {place: said for place, said in errors.items() if saves or _is_given(draft, place)}
        return _send_editor(request, store, project, draft, errors=given, saves=saves)
    try:
        store.rules.save(project, draft.name, rule)
    except QueryError as error:
        errors["query"] = error.message
    except NotFound as error:
        errors["definitions"] = error.message
    except KibitzError as error:
        errors[str(error.facts.get("field") or "name")] = error.message
    if errors:
        return _send_editor(request, store, project, draft, errors=errors, saves=True)
    return frames.redirect(evaluation_links.rule_path(project, draft.name))


@post(
    "/p/{segment:str}/rules/named/{name:str}/change",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=303,
)
def change_rule(
    request: AnyRequest, segment: FromPath[str], name: FromPath[str], body: RawBody
) -> Response[None]:
    """Pause, resume or delete a rule."""
    project = addresses.parse_project(segment)
    name = addresses.unescape(name)
    store = frames.store_of(request)
    does = first(form_of(body), "do")
    if does == "delete":
        store.rules.delete(project, name)
        return frames.redirect(evaluation_links.rules_path(project))
    if does not in ("pause", "resume"):
        raise UsageError(f"do {does[:40]!r} is not one of pause, resume, delete", field="do")
    rule = store.rules.get(project, name)
    store.rules.save(project, name, _kept(rule, active=does == "resume"))
    return frames.redirect(evaluation_links.rule_path(project, name))


@post(
    "/p/{segment:str}/rules/named/{name:str}/past",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=200,
)
def fill_back(
    request: AnyRequest, segment: FromPath[str], name: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Apply a rule to the calls that are there, one step of it, and say how far that is."""
    project = addresses.parse_project(segment)
    name = addresses.unescape(name)
    store = frames.store_of(request)
    sent = form_of(body)
    rule = store.rules.get(project, name)
    step = store.evaluations.want(
        project,
        rule.definitions,
        _where(store, project, rule.query),
        sample=rule.sample,
        rule=rule.name,
        cursor=first(sent, "cursor") or None,
    )
    wanted = _whole(first(sent, "wanted")) + step.wanted
    known = _whole(first(sent, "known")) + step.known
    # The first step says how many calls there are only by what it leaves.
    total = max(_whole(first(sent, "total")), step.left)
    says = f"Wanted {formats.count(wanted, 'evaluation')}"
    if known:
        says += f"; {known:,} were there already"
    going_on = step.cursor is not None
    told = {"cursor": step.cursor or "", "wanted": wanted, "known": known, "total": total}
    return _send_rule(
        request,
        project,
        name,
        back_fill=BackFill(
            says=f"{says}, {formats.count(step.left, 'call')} to go." if going_on else f"{says}.",
            going_on=going_on,
            share=round(100 * (1 - step.left / total), 1) if going_on and total else 100.0,
            fields=tuple((key, str(value)) for key, value in told.items()),
        ),
    )


def _send_rule(
    request: AnyRequest, project: str, name: str, *, back_fill: BackFill | None = None
) -> Response[bytes]:
    store = frames.store_of(request)
    rule = store.rules.get(project, name)
    path = evaluation_links.rule_path(project, name)
    everything = store.evaluations.progress(project)
    matching = at_most = ""
    if back_fill is None:
        matching, at_most = _counted(store, project, rule)
    return frames.send(
        request,
        RulePage(
            frame=_frame(request, store, f"{name} · {project}", project),
            project=project,
            row=_row(rule),
            matching=matching,
            at_most=at_most,
            back_fill=back_fill,
            progress=functions.progress_of(
                [each for each in everything if each.definition_ref in rule.definitions]
            ),
            edit_url=feedback.address(f"{evaluation_links.rules_path(project)}/new", of=name),
            change_url=f"{path}/change",
            fill_url=f"{path}/past",
            live_url=path,
            no_worker=evaluations.no_worker(request, store, project, everything),
        ),
    )


def _counted(store: Store, project: str, rule: Rule) -> tuple[str, str]:
    """How many calls match now, and how many evaluations that is at most."""
    try:
        where = _where(store, project, rule.query)
    except QueryError as error:
        return f"The query cannot be read any more: {error.message}", ""
    count = store.calls.count(project, where)
    calls = formats.count(count.count, "call")
    evaluations_ = count.count * len(rule.definitions)
    about = round(evaluations_ * rule.sample)
    words = formats.count(about, "evaluation")
    if not count.exact:
        return f"more than {calls}", f"more than {words}"
    return calls, words if rule.sample >= 1 else f"about {words}"


def _send_editor(
    request: AnyRequest,
    store: Store,
    project: str,
    draft: RuleDraft,
    *,
    errors: Mapping[str, str],
    saves: bool = False,
) -> Response[bytes]:
    found = store.objects.list(project, "object", records.DEFINITION)
    errors = dict(errors)
    preview = Preview(matching="", sampled="", calls=(), url="")
    try:
        preview = _preview(store, project, draft)
    except QueryError as error:
        errors.setdefault("query", error.message)
    path = evaluation_links.rules_path(project)
    title = "New rule" if draft.is_new else draft.name
    return frames.send(
        request,
        RuleEditorPage(
            frame=_frame(request, store, f"{title} · {project}", project),
            project=project,
            draft=draft,
            choices=_choices(project, found, draft.definitions),
            errors=errors,
            places=rule_drafts.PLACES,
            preview=preview,
            action=f"{path}/draft",
            rules_url=path,
        ),
        status=400 if errors and saves else 200,
    )


def _preview(store: Store, project: str, draft: RuleDraft) -> Preview:
    """Which calls a draft is about; raises `QueryError`."""
    where = _where(store, project, draft.query)
    count = store.calls.count(project, where)
    page = store.calls.query(CallQuery(project=project, where=where, limit=LATEST))
    rule, errors = rule_drafts.to_rule(draft, "")
    sampled = ""
    if rule.sample < 1 and "sample" not in errors and count.exact:
        sampled = f"about {formats.count(round(count.count * rule.sample), 'call')} in the sample"
    words = formats.count(count.count, "call")
    return Preview(
        matching=words if count.exact else f"more than {words}",
        sampled=sampled,
        calls=tuple(page.items),
        url=_calls_url(project, draft.query),
    )


def _choices(
    project: str, found: Sequence[ObjectVersion], chosen: Sequence[str]
) -> tuple[Choice, ...]:
    """The newest version of each function, and older ones that are chosen."""
    newest = {functions.ref_of(project, each.name, each.digest): each for each in found}
    choices = [
        Choice(
            ref=ref,
            name=each.name,
            version=each.digest[:7],
            judges=definition_words.words(each.value).judges,
            checked=ref in chosen,
            is_old=False,
        )
        for ref, each in newest.items()
    ]
    for ref in chosen:
        link = _link(project, ref)
        if ref not in newest and link.version:
            choices.append(
                Choice(
                    ref=ref,
                    name=link.name,
                    version=link.version,
                    judges="",
                    checked=True,
                    is_old=True,
                )
            )
    return tuple(sorted(choices, key=lambda each: (each.name, each.is_old)))


def _row(rule: Rule) -> RuleRow:
    budgets: list[str] = []
    if rule.per_day is not None:
        budgets.append(f"{formats.count(rule.per_day, 'evaluation')} a day")
    if rule.usd_per_day is not None:
        budgets.append(f"{formats.usd(rule.usd_per_day)} a day")
    today = f"{rule.today:,} wanted"
    if rule.spent_today_usd:
        today += f", {formats.usd(rule.spent_today_usd)} spent"
    return RuleRow(
        rule=rule,
        url=evaluation_links.rule_path(rule.project, rule.name),
        functions=tuple(_link(rule.project, each) for each in rule.definitions),
        query=rule.query,
        calls_url=_calls_url(rule.project, rule.query),
        sample=f"{rule_drafts.number_text(rule.sample * 100)} %",
        budgets=tuple(budgets),
        today=today,
        left_out=f"{rule.left_out_today:,} left out" if rule.left_out_today else "",
    )


def _link(project: str, ref: str) -> FunctionLink:
    try:
        name = refs.parse_ref(ref).name
    except RefError:
        return FunctionLink(name=ref[:80], version="", url="")
    return FunctionLink(
        name=name,
        version=evaluation_links.digest_of(ref)[:7],
        url=evaluation_links.function_path(project, name, ref),
    )


def _calls_url(project: str, query: str) -> str:
    path = f"{addresses.project_path(project)}/calls"
    return feedback.address(path, q=query, calls="all" if query else "")


def _where(store: Store, project: str, query: str) -> Node | None:
    """The condition of a rule's query; raises `QueryError`."""
    if not query:
        return ROOTS
    types = [each.type for each in store.feedback.columns(project)]
    parsed = text_form.parse(query, known_types=types, now=clock.now())
    if parsed.sort or parsed.limit is not None:
        raise QueryError("a rule is about all calls that match: leave out 'sort' and 'limit'")
    return parsed.where or ROOTS


def _kept(rule: Rule, *, active: bool) -> NewRule:
    """A rule to keep again."""
    values = {name: getattr(rule, name) for name in NewRule.__struct_fields__ if name != "active"}
    return msgspec.convert({**values, "active": active}, NewRule)


def _is_given(draft: RuleDraft, place: str) -> bool:
    return bool(draft.definitions) if place == "definitions" else bool(draft[place])


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0


def _frame(request: AnyRequest, store: Store, title: str, project: str) -> Frame:
    return frames.frame(
        request, title, project=project, projects=store.projects.list(), place="feedback"
    )
