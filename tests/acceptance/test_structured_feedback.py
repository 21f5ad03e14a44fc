"""A model, a scorer, and the question which of the answers were right: one program, asked in three spellings.

The program runs in a process of its own and records to a server in another. JSON goes over HTTP as a client of
another system writes it, words through HTTP and the command line, expressions through Python; all give the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from asking import get, send

from kibitz.base import api, refs
from kibitz.testing.serving import ServerProcess

PROJECT = "team/structured"
PROGRAM = """
import json
import sys

import kibitz
from kibitz import calls, feedback

kibitz.init("team/structured")


@kibitz.op
def my_scorer(x: int, output: int) -> int:
    expected = ["a", "b", "c", "d"][x]
    return {
        "model_output": output,
        "match": output == expected,
    }


@kibitz.op
def my_model(x: int) -> str:
    return [
        "a",
        "x",  # intentional "mistake"
        "c",
        "y",  # intentional "mistake"
    ][x]


ids = []
for x in range(4):
    _, c = my_model.call(x)
    ids.append(c.id)
    c.apply_scorer_sync(my_scorer)

right = (
    calls("team/structured")
    .where((calls.op_ref == c.op_ref(my_model)) & (feedback("my_scorer").output.match == True))
    .sort(feedback("my_scorer").output.model_output.desc())
)
wrong = calls("team/structured").where(
    calls.op == "my_model", ~(feedback("my_scorer").output.match == True)
)
json.dump(
    {
        "ids": ids,
        "right": [call.id for call in right],
        "outputs": [call.output for call in right],
        "wrong": sorted(call.id for call in wrong),
        "count": right.count(),
        "text": right.to_text(),
        "json": right.to_json(),
        "op_ref": c.op_ref(my_model),
    },
    sys.stdout,
)
"""

pytestmark = pytest.mark.processes
MATCH = "feedback.[runnable.my_scorer].payload.output.match"
MODEL_OUTPUT = "feedback.[runnable.my_scorer].payload.output.model_output"


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("structured") / "data") as server:
        yield server


@pytest.fixture(name="said", scope="module")
def _said(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program said, whose last question came before its end."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith("KIBITZ_")
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=folder,
        env={**environment, "KIBITZ_URL": server.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "8 calls, 4 feedback sent to" in done.stderr
    return json.loads(done.stdout)


def test_python_gives_the_right_answers_last_letter_first(said: dict[str, Any]) -> None:
    first, second, third, fourth = said["ids"]

    assert said["right"] == [third, first]
    assert said["outputs"] == ["c", "a"]
    assert said["wrong"] == sorted([second, fourth])
    assert said["count"] == 2


@pytest.mark.parametrize("literal", [True, "true"])
def test_json_over_http_gives_the_same(
    server: ServerProcess, said: dict[str, Any], literal: object
) -> None:
    """Also with the text "true", as clients of other systems write a boolean."""
    asked = {
        "project": PROJECT,
        "filter": {"op": "my_model"},
        "query": {"$expr": {"$eq": [{"$getField": MATCH}, {"$literal": literal}]}},
        "sort": [{"field": MODEL_OUTPUT, "direction": "desc"}],
    }

    answer = send(server.url, api.CALLS_QUERY, asked)

    assert [call["id"] for call in answer.json["items"]] == said["right"]
    del asked["sort"]
    assert send(server.url, api.CALLS_COUNT, asked).json == {"count": 2, "exact": True}


def test_words_give_the_same_over_http_and_in_the_shell(
    server: ServerProcess, said: dict[str, Any]
) -> None:
    words = (
        "op = my_model and feedback.my_scorer.output.match = true "
        "sort feedback.my_scorer.output.model_output desc"
    )

    answer = send(server.url, api.CALLS_QUERY, {"project": PROJECT, "text": words})
    shell = subprocess.run(
        [
            sys.executable,
            "-m",
            "kibitz.cli",
            "calls",
            PROJECT,
            words,
            "--url",
            server.url,
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert [call["id"] for call in answer.json["items"]] == said["right"]
    assert [json.loads(line)["id"] for line in shell.stdout.splitlines()] == said["right"]


def test_what_python_writes_in_the_other_spellings_is_the_same_question(
    server: ServerProcess, said: dict[str, Any]
) -> None:
    by_text = send(server.url, api.CALLS_QUERY, {"project": PROJECT, "text": said["text"]})
    by_json = send(server.url, api.CALLS_QUERY, said["json"])

    assert [call["id"] for call in by_text.json["items"]] == said["right"]
    assert [call["id"] for call in by_json.json["items"]] == said["right"]


def test_the_feedback_names_its_scorer_and_the_call_that_judged(
    server: ServerProcess, said: dict[str, Any]
) -> None:
    call = get(server.url, f"{api.CALLS}/{said['ids'][1]}?project={PROJECT}").json

    [judgement] = call["feedback"]
    assert judgement["type"] == "runnable.my_scorer"
    assert judgement["payload"] == {"output": {"model_output": "x", "match": False}}
    scorer = refs.parse_ref(judgement["runnable_ref"])
    assert (scorer.kind, scorer.name) == ("op", "my_scorer")
    judging = refs.parse_ref(judgement["call_ref"])
    made_by = get(server.url, f"{api.CALLS}/{judging.name}?project={PROJECT}").json
    assert (made_by["op"], made_by["op_ref"]) == ("my_scorer", judgement["runnable_ref"])
    assert made_by["inputs"] == {"x": 1, "output": "x"}
    version = get(server.url, f"{api.OBJECTS}/op/my_scorer/{scorer.digest}?project={PROJECT}").json
    assert "model_output" in json.dumps(version["value"])


def test_a_version_of_the_scorer_can_be_asked_for(
    server: ServerProcess, said: dict[str, Any]
) -> None:
    call = get(server.url, f"{api.CALLS}/{said['ids'][0]}?project={PROJECT}").json
    digest = refs.parse_ref(call["feedback"][0]["runnable_ref"]).digest or ""
    other = "0" if digest[0] != "0" else "1"

    counts = [
        send(
            server.url,
            api.CALLS_COUNT,
            {"project": PROJECT, "text": f"feedback.my_scorer@{version}.output.match = true"},
        ).json["count"]
        for version in (digest, digest[:6], other)
    ]

    assert counts == [2, 2, 0]


def test_the_calls_are_there_for_whoever_comes_later(
    server: ServerProcess, said: dict[str, Any], tmp_path: Path
) -> None:
    """Another process, which records nothing."""
    code = (
        "from kibitz import calls, feedback\n"
        f"found = calls({PROJECT!r}, {server.url!r}).where(feedback('my_scorer').output.match == True)\n"
        "print(*sorted(call.output for call in found.columns('output')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["a", "c"]
    assert list(tmp_path.iterdir()) == []
