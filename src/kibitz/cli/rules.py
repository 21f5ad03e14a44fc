"""`kibitz rules`: what a project wants evaluated without being asked."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from msgspec import Struct

from kibitz.asking import watching
from kibitz.base import refs, settings
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.evaluations import DEFINITION, NewRule, Rule
from kibitz.base.settings import WorkerSettings
from kibitz.cli import imported, moments, options, people, sources, tables, work


class BackFill(Struct, frozen=True):
    """What a back-fill did."""

    project: str
    rule: str
    wanted: int
    known: int
    """Evaluations that were there already, and were left as they are."""


@click.group(short_help="Say which calls are judged without being asked.")
def rules() -> None:
    """Say what is judged without being asked: which calls, by which feedback functions, how many of them.

    Workers (kibitz worker) hold the calls that end to the rules, and do the evaluations.
    """


@rules.command("list")
@options.project
@options.as_json
@sources.options
def list_(project: str | None, data: str | None, url: str | None, as_json: bool) -> None:
    """Show the rules of a project."""
    with sources.reader(sources.find(data, url)) as opened:
        found = opened.rules.list(sources.project_of(opened, project))
    if as_json:
        tables.write_json(found)
        return
    headers = ("name", "active", "query", "feedback", "sample", "today", "spent today")
    tables.write_rows(headers, [_row(rule) for rule in found])
    if not found:
        click.echo(
            "There are no rules; make one with kibitz rules add NAME --op OP --definition NAME.",
            err=True,
        )


@rules.command()
@click.argument("name")
@options.project
@options.as_json
@sources.options
def show(name: str, project: str | None, data: str | None, url: str | None, as_json: bool) -> None:
    """Show one rule, with what it wanted today."""
    with sources.reader(sources.find(data, url)) as opened:
        rule = opened.rules.get(sources.project_of(opened, project), name)
    _say(rule, as_json=as_json)


def _what(command: Any) -> Any:
    """What a rule is made of."""
    for option in (
        click.option("--author", help="Who says it.  [default: your user name]"),
        click.option(
            "--usd-per-day",
            type=click.FloatRange(min=0),
            metavar="USD",
            help="No more are begun on a UTC day on which this was spent.",
        ),
        click.option(
            "--per-day", type=click.IntRange(min=0), metavar="N", help="Evaluations of one UTC day."
        ),
        click.option(
            "--sample",
            type=click.FloatRange(0, 1),
            metavar="SHARE",
            help="Which share of the calls, 0 to 1.",
        ),
        click.option(
            "--app-dir",
            metavar="DIR",
            help="Where the modules of --judge are.  [KIBITZ_WORKER_APP_DIR; default: .]",
        ),
        click.option(
            "--allow",
            multiple=True,
            metavar="MODULE",
            help="A module that --judge may import; several.  [KIBITZ_WORKER_ALLOW]",
        ),
        click.option(
            "--judge",
            "judges",
            multiple=True,
            metavar="MODULE:NAME",
            help="A Feedback of a module, which is stored as it is now; several.",
        ),
        click.option(
            "--definition",
            "definitions",
            multiple=True,
            metavar="NAME|REF",
            help="A feedback definition of the project, the newest of a name; several.",
        ),
        click.option("--query", metavar="QUERY", help="Calls that match, in words."),
        click.option("--op", metavar="OP", help="Calls of this op."),
    ):
        command = option(command)
    return command


@rules.command(short_help="Make a rule.")
@click.argument("name")
@_what
@options.project
@options.as_json
@sources.options
def add(name: str, as_json: bool, data: str | None, url: str | None, **asked: Any) -> None:
    """Make a rule: all root calls, or those of --op or --query, by each --definition and --judge."""
    _save(name, asked, as_json, data, url, is_new=True)


@rules.command("set", short_help="Change what is said of a rule.")
@click.argument("name")
@_what
@options.project
@options.as_json
@sources.options
def set_(name: str, as_json: bool, data: str | None, url: str | None, **asked: Any) -> None:
    """Change what is said of a rule that is there; the rest of it stays."""
    _save(name, asked, as_json, data, url, is_new=False)


def _save(
    name: str,
    asked: dict[str, Any],
    as_json: bool,
    data: str | None,
    url: str | None,
    *,
    is_new: bool,
) -> None:
    if asked["op"] is not None and asked["query"] is not None:
        raise UsageError("give either --op or --query, not both")
    judges = _judges(asked)
    source = sources.find(data, url)
    if source.url is None and asked["project"] is not None:
        # The first rule of a folder may come before the first call.
        source.folder.mkdir(parents=True, exist_ok=True)
    with sources.reader(source) as opened:
        project = sources.project_of(opened, asked["project"])
        known = _known(opened, project, name, is_new=is_new)
        definitions = [_definition(opened, project, each) for each in asked["definitions"]]
        definitions += watching.publish(opened, project, judges) if judges else []
        if known is None and not definitions:
            raise UsageError("give at least one --definition or --judge")
        fields: dict[str, Any] = {
            "definitions": definitions or None,
            "query": _query(asked),
            "sample": asked["sample"],
            "per_day": asked["per_day"],
            "usd_per_day": asked["usd_per_day"],
            "author": people.user() if asked["author"] is None else asked["author"],
        }
        given = {key: value for key, value in fields.items() if value is not None}
        new = NewRule(**given) if known is None else watching.changed(known, **given)
        rule = opened.rules.save(project, name, new)
    _say(rule, as_json=as_json)


def _known(opened: sources.Reader, project: str, name: str, *, is_new: bool) -> Rule | None:
    try:
        known = opened.rules.get(project, name)
    except NotFound:
        if is_new:
            return None
        raise
    if is_new:
        raise UsageError(
            f"there is a rule {name!r} already; change it with kibitz rules set, or delete it before"
        )
    return known


@rules.command(short_help="Want nothing more by a rule, and keep it.")
@click.argument("name")
@options.project
@options.as_json
@sources.options
def pause(name: str, as_json: bool, **place: str | None) -> None:
    """Want nothing more by a rule, and keep it. What it wanted is done all the same."""
    rule = _activate(name, active=False, **place)
    if as_json:
        tables.write_json([rule])
        return
    click.echo(f"{rule.name!r} rests; go on with kibitz rules resume.")


@rules.command(short_help="Have a rule hold again.")
@click.argument("name")
@options.project
@options.as_json
@sources.options
def resume(name: str, as_json: bool, **place: str | None) -> None:
    """Have a rule hold again, for calls that end from now on."""
    rule = _activate(name, active=True, **place)
    if as_json:
        tables.write_json([rule])
        return
    click.echo(f"{rule.name!r} holds for calls that end from now on.")


def _activate(
    name: str, *, active: bool, project: str | None, data: str | None, url: str | None
) -> Rule:
    with sources.reader(sources.find(data, url)) as opened:
        chosen = sources.project_of(opened, project)
        known = opened.rules.get(chosen, name)
        return opened.rules.save(chosen, name, watching.changed(known, active=active))


@rules.command()
@click.argument("name")
@options.project
@options.as_json
@sources.options
def delete(
    name: str, project: str | None, as_json: bool, data: str | None, url: str | None
) -> None:
    """Forget a rule. What it wanted stays wanted, and what was judged stays."""
    with sources.reader(sources.find(data, url)) as opened:
        was = opened.rules.delete(sources.project_of(opened, project), name)
    if as_json:
        tables.write_json([was])
        return
    click.echo(f"Deleted {was.name!r}: {tables.printable(was.query) or '(all root calls)'}")


@rules.command(short_help="Want the same of the calls that are there already.")
@click.argument("name")
@click.option("--again", is_flag=True, help="Also what was done, failed or skipped.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.project
@options.as_json
@sources.options
def backfill(
    name: str,
    again: bool,
    yes: bool,
    as_json: bool,
    project: str | None,
    data: str | None,
    url: str | None,
) -> None:
    """Want what a rule wants of the calls that are there already. Workers do it behind what is fresh.

    It may be interrupted and begun again: what is wanted already is not wanted twice.
    """
    with sources.reader(sources.find(data, url)) as opened:
        chosen = sources.project_of(opened, project)
        rule = opened.rules.get(chosen, name)
        _confirm(opened, rule, yes=yes)
        with work.shown() as advance:
            wanted, known = watching.back_fill(
                opened,
                rule,
                lambda done, total: advance(chosen, done, total or 0),
                again=again,
            )
    if as_json:
        tables.write_json([BackFill(chosen, name, wanted, known)])
        return
    there = f"; {known:,} were there already" if known else ""
    click.echo(
        f"{wanted:,} evaluations are wanted{there}. kibitz evaluations progress shows how far they are."
    )


def _confirm(opened: sources.Reader, rule: Rule, *, yes: bool) -> None:
    if yes:
        return
    where = watching.condition(opened, rule.project, rule.query)
    count = opened.calls.count(rule.project, where)
    calls = f"{'' if count.exact else 'more than '}{count.count:,} calls of {rule.project}"
    share = "" if rule.sample >= 1 else f", of which {rule.sample * 100:.4g} % are sampled,"
    what = f"{calls}{share} by {', '.join(_names(rule))}"
    if not sys.stdin.isatty():
        raise UsageError(f"this would judge {what}; give --yes where nobody can be asked")
    click.confirm(f"Judge {what}?", abort=True, err=True)


def _query(asked: dict[str, Any]) -> str | None:
    return watching.of_op(asked["op"]) if asked["op"] is not None else asked["query"]


def _judges(asked: dict[str, Any]) -> list[Any]:
    if not asked["judges"]:
        return []
    given = {"worker_allow": asked["allow"] or None, "worker_app_dir": asked["app_dir"]}
    chosen = settings.load(WorkerSettings, os.environ, given)
    imported.from_folder(chosen.worker_app_dir)
    found = [imported.feedback(each, chosen.worker_allow) for each in asked["judges"]]
    watching.check(found)
    return found


def _definition(opened: sources.Reader, project: str, given: str) -> str:
    """The reference of a definition that is named, or that is one already."""
    if given.startswith(refs.SCHEME):
        return str(refs.parse_ref(given))
    found = opened.objects.list(project, "object", DEFINITION)
    for each in found:
        if each.name == given:
            return refs.format_ref(
                refs.Ref(project=project, kind="object", name=given, digest=each.digest)
            )
    known = ", ".join(sorted(each.name for each in found)[:12]) or "none yet"
    raise NotFound(
        f"{project!r} has no feedback definition {given!r}; it has {known}. Define it with kibitz.watch() or --judge"
    )


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        rule.name,
        "yes" if rule.active else "no",
        rule.query or "(all root calls)",
        ", ".join(_names(rule)),
        f"{rule.sample:.4g}",
        f"{rule.today:,}" + (f" of {rule.per_day:,}" if rule.per_day is not None else ""),
        f"{rule.spent_today_usd:.4g} USD"
        + (f" of {rule.usd_per_day:.4g}" if rule.usd_per_day is not None else ""),
    )


def _names(rule: Rule) -> list[str]:
    return [refs.parse_ref(each).name for each in rule.definitions]


def _say(rule: Rule, *, as_json: bool) -> None:
    if as_json:
        tables.write_json([rule])
        return
    said = {
        "name": rule.name,
        "active": "yes" if rule.active else "no: kibitz rules resume",
        "query": rule.query or "(all root calls)",
        "sample": f"{rule.sample:.4g}",
        "per day": "" if rule.per_day is None else f"{rule.per_day:,} evaluations",
        "spending": "" if rule.usd_per_day is None else f"{rule.usd_per_day:.4g} USD a day",
        "today": f"{rule.today:,} wanted, {rule.spent_today_usd:.4g} USD"
        + (f", {rule.left_out_today:,} left out" if rule.left_out_today else ""),
        "saved": f"{moments.show(rule.updated_at)}{f' by {rule.author}' if rule.author else ''}",
    }
    tables.write_facts(said)
    for ref in rule.definitions:
        tables.write_facts({"judge": ref})
