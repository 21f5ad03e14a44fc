"""The command line: serve, demo, calls, import, doctor."""

from __future__ import annotations

import sys

INSTALL = "pip install 'kibitz[server]'"


def main() -> None:
    """The console script. It is installed with the SDK alone too, and then says what it needs."""
    try:
        from kibitz.cli import commands

        commands.kibitz(prog_name="kibitz")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "kibitz":
            raise
        sys.exit(
            f"kibitz: the command line needs {error.name}, which is not installed. "
            f"Install it with: {INSTALL}"
        )
