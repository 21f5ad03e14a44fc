"""`kibitz views`: what a project asks often, kept under names."""

from __future__ import annotations

import click

from kibitz.base.api import NewView
from kibitz.base.records import View
from kibitz.cli import calls, moments, options, people, sources, tables


@click.group(short_help="Keep queries under names.")
def views() -> None:
    """Keep what a project asks often under names: a query, a sort and columns.

    `kibitz calls --view NAME` asks it, and the page of calls shows it under the same name.
    """


@views.command("list")
@options.project
@options.as_json
@sources.options
def list_(project: str | None, data: str | None, url: str | None, as_json: bool) -> None:
    """Show the views of a project."""
    with sources.reader(sources.find(data, url)) as opened:
        found = opened.views.list(sources.project_of(opened, project))
    if as_json:
        tables.write_json(found)
        return
    tables.write_rows(("name", "query", "author", "saved"), [_row(view) for view in found])
    if not found:
        click.echo("There are no views; keep one with kibitz views save NAME QUERY.", err=True)


@views.command()
@click.argument("name")
@options.project
@options.as_json
@sources.options
def show(name: str, project: str | None, data: str | None, url: str | None, as_json: bool) -> None:
    """Show one view."""
    with sources.reader(sources.find(data, url)) as opened:
        view = opened.views.get(sources.project_of(opened, project), name)
    if as_json:
        tables.write_json([view])
        return
    said = {
        "query": view.query or "(all calls)",
        "sort": view.sort,
        "columns": ", ".join(view.columns),
        "saved": f"{moments.show(view.updated_at)}{f' by {view.author}' if view.author else ''}",
    }
    tables.write_facts(said)


@views.command(short_help="Keep a query under a name.")
@click.argument("name")
@click.argument("text", required=False, default="", metavar="[QUERY]")
@click.option("--sort", metavar="KEYS", default="", help="Where QUERY does not sort: latency desc.")
@click.option("--columns", metavar="FIELD,…", help="The fields to show.")
@click.option("--author", help="Who saves it.  [default: your user name]")
@options.project
@options.as_json
@sources.options
def save(
    name: str,
    text: str,
    sort: str,
    columns: str | None,
    author: str | None,
    project: str | None,
    as_json: bool,
    data: str | None,
    url: str | None,
) -> None:
    """Keep QUERY under NAME, in the place of what the name had.

    QUERY is a condition, an order and a limit in words, as kibitz calls takes it. Times such as now-24h mean
    the moment when the view is asked.
    """
    view = NewView(
        query=text,
        sort=sort,
        columns=calls.split_columns(columns) if columns else [],
        author=people.user() if author is None else author,
    )
    with sources.reader(sources.find(data, url)) as opened:
        saved = opened.views.save(sources.project_of(opened, project), name, view)
    if as_json:
        tables.write_json([saved])
        return
    click.echo(f"Saved {tables.printable(saved.name)!r}; ask it with kibitz calls --view.")


@views.command()
@click.argument("name")
@options.project
@options.as_json
@sources.options
def delete(
    name: str, project: str | None, as_json: bool, data: str | None, url: str | None
) -> None:
    """Forget a view. The calls stay; what it asked is printed."""
    with sources.reader(sources.find(data, url)) as opened:
        was = opened.views.delete(sources.project_of(opened, project), name)
    if as_json:
        tables.write_json([was])
        return
    click.echo(f"Deleted {was.name!r}: {tables.printable(was.query) or '(all calls)'}")


def _row(view: View) -> tuple[str, ...]:
    query = f"{view.query} sort {view.sort}" if view.sort else view.query
    return view.name, query.strip(), view.author, moments.show(view.updated_at)
