"""`kibitz specs`: what people are asked, as files and in a project."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import click
from msgspec import Struct

from kibitz.base import controls, publishing, specifications
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.records import ObjectVersion
from kibitz.base.specifications import AnnotationSpec
from kibitz.cli import moments, options, sources, tables
from kibitz.query import fields


class Published(Struct, frozen=True):
    """What was published, or was there already."""

    project: str
    name: str
    ref: str


@click.group(short_help="Say what people are asked about calls.")
def specs() -> None:
    """Say what people are asked about calls: annotation specifications, each with its versions."""


@specs.command("list")
@options.project
@options.as_json
@sources.options
def list_(project: str | None, data: str | None, url: str | None, as_json: bool) -> None:
    """Show the newest version of each specification."""
    with sources.reader(sources.find(data, url)) as opened:
        name = sources.project_of(opened, project)
        found = opened.objects.list(name, "object", specifications.TYPE)
    if as_json:
        tables.write_json(found)
        return
    tables.write_rows(
        ("name", "asks for", "version", "published", "answered by"), [_row(each) for each in found]
    )
    if not found:
        click.echo(
            "There are no specifications; publish one with kibitz specs publish FILE.", err=True
        )


@specs.command()
@click.argument("name")
@click.option(
    "--version", type=int, help="An earlier version, counted from 0.  [default: the newest]"
)
@options.project
@options.as_json
@sources.options
def show(
    name: str,
    version: int | None,
    project: str | None,
    data: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show one specification. With --json it is what `kibitz specs publish` takes."""
    with sources.reader(sources.find(data, url)) as opened:
        versions = _versions(opened, sources.project_of(opened, project), name)
    found = versions[0] if version is None else _numbered(versions, name, version)
    spec = AnnotationSpec.from_version(found)
    if as_json:
        click.echo(json.dumps(found.value, ensure_ascii=False, indent=2))
        return
    says = {
        "version": f"{found.version} of {len(versions)}, {moments.show(found.created_at)}",
        "ref": spec.ref(found.project),
        "about": spec.description,
        "shown to": ", ".join(spec.see) or "everybody",
        "answered by": ", ".join(spec.answer) or "everybody",
        "answers": "one of each author" if spec.unique_among_creators else "one, shared by all",
        "ops": ", ".join(spec.ops) or "all",
        "targets": ", ".join(spec.targets) or ("call" if spec.ops else "all"),
    }
    tables.write_facts(says, 11)
    for slot in spec.slots:
        tables.write_facts({"asks for": _slot(slot)}, 11)
    if spec.guidelines:
        click.echo(f"\n{spec.guidelines}")


@specs.command(short_help="Publish the specification in a file.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@options.project
@options.as_json
@sources.options
def publish(
    file: Path, project: str | None, as_json: bool, data: str | None, url: str | None
) -> None:
    """Publish the specification in FILE, an object in JSON with name, schema and more; `-` is stdin.

    A specification that is there already stays as it is; a different one is a new version, and answers to
    older versions stay what they were.
    """
    spec = AnnotationSpec.from_value(_read(file))
    source = sources.find(data, url)
    if project is None:
        with sources.reader(source) as opened:
            project = sources.project_of(opened, None)
    with sources.writer(source) as ingest:
        ref = publishing.publish(ingest.write, project, spec)
    if as_json:
        tables.write_json([Published(project, spec.name, ref)])
        return
    click.echo(ref)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        given = json.loads(text)
    except OSError as error:
        raise NotFound(f"{str(file)!r} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(file)!r} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise UsageError(
            f"{str(file)!r} has {controls.show(given)}, not an object with name and schema"
        )
    return {specifications.TYPE_KEY: specifications.TYPE, **cast("dict[str, Any]", given)}


def _versions(opened: sources.Reader, project: str, name: str) -> list[ObjectVersion]:
    known = {each.name for each in opened.objects.list(project, "object", specifications.TYPE)}
    if name not in known:
        close = fields.nearest(name, known)
        hint = f"; did you mean {close!r}?" if close else "; kibitz specs list shows those it has"
        raise NotFound(
            f"project {project!r} has no specification {name!r}{hint}",
            project=project,
            name=name,
            suggestion=close,
        )
    return opened.objects.versions(project, "object", name)


def _numbered(versions: list[ObjectVersion], name: str, wanted: int) -> ObjectVersion:
    for each in versions:
        if each.version == wanted:
            return each
    raise NotFound(f"{name!r} has no version {wanted}; the newest is {versions[0].version}")


def _row(version: ObjectVersion) -> tuple[str, ...]:
    spec = AnnotationSpec.from_version(version)
    asks = spec.kind
    if spec.kind == "fields":
        asks = ", ".join(".".join(slot.path) for slot in spec.slots)
    return (
        version.name,
        asks,
        str(version.version),
        moments.show(version.created_at),
        ", ".join(spec.answer) or "everybody",
    )


def _slot(slot: controls.Slot) -> str:
    control = slot.control
    name = ".".join(slot.path)
    said = [f"{name}: {control.kind}" if name else control.kind]
    low = control.minimum if control.minimum is not None else control.exclusive_minimum
    high = control.maximum if control.maximum is not None else control.exclusive_maximum
    if low is not None:
        said.append(f"from {low:g}")
    if high is not None:
        said.append(f"to {high:g}")
    if control.options:
        said.append("of " + ", ".join(controls.show(option) for option in control.options))
    if control.field:
        said.append(f"in {control.field}")
    if not slot.required:
        said.append("(optional)")
    return " ".join(said)
