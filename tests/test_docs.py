"""The documentation is complete, its links resolve, and its code runs."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import kibitz
from kibitz import testing
from kibitz.base import errors, records, settings
from kibitz.base.settings import ServerSettings, TracingSettings, WorkerSettings
from kibitz.cli import commands

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")])
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FRAGMENT = re.compile(r"[a-z0-9-]+\.(added|changed|deprecated|removed|fixed|security)\.md")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("Recording", TracingSettings), ("Serving", ServerSettings), ("Working", WorkerSettings)],
)
def test_every_setting_is_documented_with_its_default(heading, kind) -> None:
    section = text_of("docs/reference/settings.md").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(KIBITZ_\w+)` \| (.+?) \|", section, re.MULTILINE))
    expected = {}
    for variable, _, default in settings.describe(kind):
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        expected[variable] = "–" if default in (None, ()) else f"`{shown}`"

    assert rows == expected


def _options(command: click.Command) -> list[click.Option]:
    """The options of a command and of the commands below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = [each for each in command.params if isinstance(each, click.Option)]
    return own + [option for each in below for option in _options(each)]


def test_every_command_and_option_is_documented() -> None:
    sections = dict(
        re.findall(
            r"^## kibitz (\w+)\n(.*?)(?=^## |\Z)", text_of("docs/reference/cli.md"), re.M | re.S
        )
    )
    known_commands = commands.all_commands()
    assert set(sections) == set(known_commands)
    for command, section in sections.items():
        options = _options(known_commands[command])
        longest = {max(option.opts, key=len) for option in options}
        documented = set(re.findall(r"`(--[a-z-]+)", section))
        assert documented >= longest, command
        known = {each for option in options for each in option.opts}
        in_table = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
        assert in_table <= known, command


def test_every_error_is_documented_with_its_base_and_code() -> None:
    rows = {
        row[0]: (row[1], row[2])
        for row in re.findall(
            r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|",
            text_of("docs/reference/errors.md"),
            re.MULTILINE,
        )
    }
    expected = {}
    for each in vars(errors).values():
        if inspect.isclass(each) and issubclass(each, errors.KibitzError):
            # The builtin where there is one: it is what somebody would catch without knowing us.
            bases = [base.__name__ for base in each.__bases__]
            expected[each.__name__] = (bases[-1], each.code)

    assert rows == expected


@pytest.mark.parametrize("public", sorted(kibitz.__all__))
def test_every_public_name_is_documented(public: str) -> None:
    assert f"`kibitz.{public}" in text_of("docs/reference/python.md")


@pytest.mark.parametrize("public", sorted(testing.__all__))
def test_every_name_for_tests_is_documented(public: str) -> None:
    assert f"`kibitz.testing.{public}" in text_of("docs/reference/python.md")


@pytest.mark.parametrize("kind", ["CallPart", "FeedbackPart", "Call", "Feedback"])
def test_every_field_of_a_record_is_documented(kind: str) -> None:
    page = text_of("docs/reference/python.md")
    section = page.split(f"### {kind}\n")[1].split("\n### ")[0].split("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))

    assert documented == set(getattr(records, kind).__struct_fields__)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in slugs, f"{name(page)} links to {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                waiting.append((page.parent / target).resolve())

    assert {name(page) for page in PAGES if page.parts[-2] != "changelog.d"} <= {
        name(page) for page in reached
    }


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/tutorial.md",
        "docs/how-to/annotate.md",
        "docs/how-to/ask-from-python.md",
        "docs/how-to/judge-by-program.md",
    ],
)
@pytest.mark.processes
def test_the_code_of_a_page_runs_from_top_to_bottom(tmp_path: Path, page: str) -> None:
    code = "\n".join(PYTHON.findall(text_of(page)))
    (tmp_path / "page.py").write_text(code, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=tmp_path,
        env={**os.environ, "KIBITZ_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"kibitz: .* sent to ", done.stderr)


@pytest.mark.parametrize("page", [page for page in PAGES if "how-to" in page.parts], ids=name)
def test_the_code_of_how_tos_is_python(page: Path) -> None:
    for block in PYTHON.findall(page.read_text(encoding="utf-8")):
        compile(block, name(page), "exec")


def test_fragments_of_the_changelog_are_named_as_it_says() -> None:
    fragments = [path.name for path in ROOT.glob("changelog.d/*") if path.name != "README.md"]

    assert [each for each in fragments if not FRAGMENT.fullmatch(each)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_speak_of_no_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert not re.search(r"(?<![\w.`])/(home|root|work|tmp|Users)/", text)
