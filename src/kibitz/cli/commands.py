"""The commands, in one group, and how their errors are shown."""

from __future__ import annotations

import importlib
from typing import Any

import click

from kibitz.base.errors import KibitzError, UsageError
from kibitz.base.version import __version__

COMMANDS = {
    "bulk": ("kibitz.cli.bulk", "bulk"),
    "calls": ("kibitz.cli.calls", "calls"),
    "demo": ("kibitz.cli.demonstration", "demo"),
    "doctor": ("kibitz.cli.doctor", "doctor"),
    "evaluations": ("kibitz.cli.evaluations", "evaluations"),
    "export": ("kibitz.cli.exporting", "export"),
    "import": ("kibitz.cli.importing", "import_"),
    "index": ("kibitz.cli.index", "index"),
    "record": ("kibitz.cli.record", "record"),
    "reindex": ("kibitz.cli.reindex", "reindex"),
    "rules": ("kibitz.cli.rules", "rules"),
    "serve": ("kibitz.cli.serve", "serve"),
    "specs": ("kibitz.cli.specs", "specs"),
    "stats": ("kibitz.cli.stats", "stats"),
    "views": ("kibitz.cli.views", "views"),
    "worker": ("kibitz.cli.worker", "worker"),
}
"""Where each is. Only the one that runs is loaded: a query need not wait for the server's frameworks."""


class _Misused(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Loads commands by name, and shows our errors as a sentence: exit code 2 where the command was wrong, otherwise 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KibitzError as error:
            kind = _Misused if isinstance(error, UsageError) else click.ClickException
            raise kind(error.message) from error


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kibitz", message="%(prog)s %(version)s")
def kibitz() -> None:
    """Record what an LLM application does, collect every judgement on it, and ask.

    Begin with kibitz demo, and kibitz serve to look at it; kibitz COMMAND --help says more of each.

    Settings come from the environment (KIBITZ_DATA, KIBITZ_URL, KIBITZ_API_KEY …); options win over them.
    """


def all_commands() -> dict[str, click.Command]:
    """Every command by name, loaded."""
    context = click.Context(kibitz)
    loaded = {name: kibitz.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in loaded.items() if command is not None}
