"""`kibitz specs`: what people are asked, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kibitz.base.specifications import AnnotationSpec
from kibitz.testing import serving

Run = Callable[..., Result]
HELPFUL = {
    "name": "helpful",
    "schema": {
        "type": "object",
        "properties": {
            "rating": {"type": "integer", "minimum": 1, "maximum": 5},
            "tone": {"enum": ["kind", "rude"]},
        },
        "required": ["rating"],
    },
    "guidelines": "Be kind.",
    "answer": ["kind:person"],
}


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "helpful.json"
    path.write_text(json.dumps(HELPFUL))
    return path


def test_what_is_published_is_listed_and_shown(run: Run, folder: Path, file: Path):
    ref = run("specs", "publish", str(file), "--data", str(folder)).output.strip()
    again = run("specs", "publish", str(file), "--json", "--data", str(folder)).output
    assert json.loads(again)["ref"] == ref

    assert ref == AnnotationSpec(**HELPFUL).ref("acme/bot")
    listed = run("specs", "list", "--data", str(folder)).output.splitlines()
    assert listed[1].split("\t")[:3] == ["helpful", "rating, tone", "0"]
    shown = run("specs", "show", "helpful", "--data", str(folder)).output
    assert "rating: integer from 1 to 5" in shown
    assert "tone: choice of 'kind', 'rude' (optional)" in shown
    assert shown.endswith("Be kind.\n")


def test_a_change_is_a_new_version_and_the_old_one_stays(run: Run, folder: Path, file: Path):
    where = ("--data", str(folder))
    run("specs", "publish", str(file), *where)
    changed = {**HELPFUL, "guidelines": "Be honest."}
    run("specs", "publish", "-", *where, input=json.dumps(changed))
    run("specs", "publish", str(file), *where)

    newest = json.loads(run("specs", "show", "helpful", "--json", *where).output)
    first = run("specs", "show", "helpful", "--version", "0", "--json", *where).output
    assert newest["guidelines"] == "Be honest."
    assert json.loads(first)["guidelines"] == "Be kind."
    again = run("specs", "publish", "-", *where, input=first).output.strip()
    assert again == AnnotationSpec(**HELPFUL).ref("acme/bot")
    assert run("specs", "show", "helpful", "--version", "7", *where).exit_code == 1
    unknown = run("specs", "show", "helpfull", *where)
    assert (unknown.exit_code, "has no specification 'helpfull'; did you mean 'helpful'?") == (
        1,
        unknown.stderr.partition(" 'acme/bot' ")[2].strip(),
    )


def test_a_server_is_asked_alike(run: Run, file: Path, tmp_path: Path):
    with serving.server(tmp_path / "data") as url:
        run("specs", "publish", str(file), "--project", "a/b", "--url", url)
        lines = run("specs", "list", "--json", "--url", url).output.splitlines()

    assert [json.loads(line)["name"] for line in lines] == ["helpful"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "not an object with name and schema"),
        ('{"name": "x"}', "needs 'schema'"),
        ('{"name": "x", "schema": {"type": "int"}}', "schema.type is 'int'"),
    ],
)
def test_a_file_that_is_no_specification_says_why(run: Run, folder: Path, text, says):
    result = run("specs", "publish", "-", "--data", str(folder), input=text)

    assert result.exit_code == 2
    assert says in result.output
