"""The group: version, help of everything, and what the script says without its extra."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import Result

from kibitz.base.version import __version__
from kibitz.cli import commands

Run = Callable[..., Result]
COMMANDS = commands.all_commands()
NAMES = sorted(COMMANDS)


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"kibitz {__version__}\n"


def test_the_commands_are_these() -> None:
    assert NAMES == [
        "bulk",
        "calls",
        "demo",
        "doctor",
        "evaluations",
        "export",
        "import",
        "index",
        "record",
        "reindex",
        "rules",
        "serve",
        "specs",
        "stats",
        "views",
        "worker",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_has_help(run: Run, name: str) -> None:
    command = COMMANDS[name]

    assert run(name, "--help").exit_code == 0
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def _leaves(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    for name, below in command.commands.items():
        yield from _leaves(below, *path, name)


def test_what_prints_an_answer_prints_it_as_json_too() -> None:
    leaves = [leaf for name in NAMES for leaf in _leaves(COMMANDS[name], name)]
    without = [
        name
        for name, command in leaves
        if not any("--json" in parameter.opts for parameter in command.params)
    ]

    assert without == ["demo", "serve"]


@pytest.mark.parametrize("group", ["", *(n for n in NAMES if isinstance(COMMANDS[n], click.Group))])
def test_a_list_of_commands_has_whole_sentences(run: Run, group: str) -> None:
    said = run(*group.split(), "--help").stdout

    assert "..." not in said.partition("Commands:")[2]


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    assert run("cals").exit_code == 2


WITHOUT = """
import sys

MISSING = sys.argv.pop(1)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from kibitz.cli import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [("click", ["--version"]), ("rich", ["calls"]), ("litestar", ["serve"])],
)
def test_without_its_extra_the_script_says_what_to_install(
    missing: str, arguments: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.strip().endswith("Install it with: pip install 'kibitz[server]'")
    assert f"needs {missing}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_query_does_not_load_the_server() -> None:
    code = (
        "import sys; from kibitz.cli import calls; "
        "print([name for name in ('litestar', 'granian', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
