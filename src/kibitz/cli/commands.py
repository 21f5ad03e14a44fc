"""The commands, in one group, and how their errors are shown."""

from __future__ import annotations

from typing import Any

import click

from kibitz.base.errors import KibitzError, UsageError
from kibitz.base.version import __version__
from kibitz.cli import calls, demonstration, doctor, importing, serve


class _Misused(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Shows our errors as a sentence: exit code 2 where the command was wrong, otherwise 1."""

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

    Settings come from the environment (KIBITZ_DATA, KIBITZ_URL, KIBITZ_API_KEY …); options win over them.
    """


for _command in (serve.serve, demonstration.demo, calls.calls, importing.import_, doctor.doctor):
    kibitz.add_command(_command)
