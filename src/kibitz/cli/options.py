"""Options that several commands have."""

from __future__ import annotations

import click

project = click.option(
    "--project", metavar="PROJECT", help="The project; it may be left out where there is only one."
)
as_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
