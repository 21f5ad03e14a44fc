"""`kibitz doctor`: what is wrong, in sentences."""

from __future__ import annotations

import sys

import click

from kibitz.cli import checks, sources
from kibitz.cli.checks import Finding

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("problem", "red")}


@click.command(short_help="Check the installation, the data and the settings.")
@click.option("--json", "as_json", is_flag=True, help="Findings and settings as JSON.")
@sources.options
def doctor(data: str | None, url: str | None, as_json: bool) -> None:
    """Look at the installation, the data folder, what waits for delivery, the server and the settings.

    Exits with 1 where something is wrong.
    """
    source = sources.find(data, url)
    findings: list[Finding] = []
    for check in (
        checks.installation(),
        checks.folder(source),
        checks.store(source),
        checks.spooled(source),
        checks.server(source),
    ):
        for finding in check:
            findings.append(finding)
            if not as_json:
                _show(finding)
    in_force = checks.settings_in_force(source)
    problems = sum(each.state == "problem" for each in findings)
    if as_json:
        click.echo(checks.to_json(findings, in_force))
    else:
        changed = [each for each in in_force if each.source != "default"]
        click.echo(
            "\nSettings that are not the default:" if changed else "\nAll settings are the default."
        )
        for each in changed:
            click.echo(f"  {each.variable}={each.value}  (from the {each.source})")
        click.echo(
            "\n"
            + (
                "Nothing is wrong."
                if not problems
                else f"Something is wrong: {problems} of {len(findings)} checks."
            )
        )
    if problems:
        sys.exit(1)


def _show(finding: Finding) -> None:
    word, colour = _MARKS[finding.state]
    click.echo(click.style(f"{word:>8}  ", fg=colour) + finding.says)
