"""Rules over HTTP: kept, asked for, followed, forgotten; and what of it is refused."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from asking import JSON, Answer, ask, get, send
from evaluated import PROJECT, call, claim, fill

from kibitz.base import api
from kibitz.testing import serving

ASKED = f"?project={PROJECT}"


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Generator[str]:
    with serving.server(tmp_path) as url:
        yield url


@pytest.fixture(name="still", scope="module")
def _still(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server that is only asked for what it refuses."""
    with serving.server(tmp_path_factory.mktemp("data")) as url:
        yield url


def save(url: str, name: str, rule: dict[str, Any], project: str = PROJECT) -> Answer:
    path = f"{api.RULES}/{quote(name, safe='')}?project={project}"
    return ask(url, "PUT", path, msgspec.json.encode(rule), JSON)


def test_a_rule_is_given_back_as_it_was_kept_and_forgotten(url: str) -> None:
    ref = fill(url)
    name = "bad/answers ä"
    path = f"{api.RULES}/{quote(name, safe='')}{ASKED}"
    rule = {"definitions": [ref], "query": "op = answer", "sample": 0.5, "per_day": 100}

    kept = save(url, name, rule)

    assert kept.status == 200
    assert {field: kept.json[field] for field in rule} == rule
    assert (kept.json["name"], kept.json["active"], kept.json["today"]) == (name, True, 0)
    assert get(url, path).json == kept.json
    assert get(url, api.RULES + ASKED).json == {"rules": [kept.json]}
    assert ask(url, "DELETE", path).json["name"] == name
    assert get(url, path).status == 404
    assert get(url, api.RULES + ASKED).json == {"rules": []}


def test_calls_that_end_are_held_to_the_rules(url: str) -> None:
    ref = fill(url, calls=1)
    assert save(url, "new", {"definitions": [ref], "query": "op = answer"}).status == 200
    later = [call("later"), call("other", op="retrieve")]
    send(url, api.INGEST, {"project": PROJECT, "calls": later})

    looked_at = send(url, api.EVALUATIONS_WANT_BY_RULES, {}).json

    assert looked_at == {"calls": 2}
    assert [each["call_id"] for each in claim(url)] == ["later"]
    assert get(url, f"{api.RULES}/new{ASKED}").json["today"] == 1
    assert send(url, api.EVALUATIONS_WANT_BY_RULES, {"limit": 5}).json == {"calls": 0}


@pytest.mark.parametrize(
    ("change", "status", "code", "where"),
    [
        ({"query": "outptu = 1"}, 400, "query", {"at": 0}),
        ({"query": "op = a limit 5"}, 400, "query", {}),
        ({"sample": 1.5}, 400, "usage", {"field": "sample"}),
        ({"per_day": -1}, 400, "usage", {"field": "per_day"}),
        ({"colour": "red"}, 400, "usage", {"field": "colour"}),
        ({"definitions": "x"}, 400, "usage", {"field": "definitions"}),
        (
            {"definitions": ["kibitz:///acme/bot/object/none:" + "0" * 40]},
            404,
            "not_found",
            {},
        ),
    ],
)
def test_a_rule_that_cannot_be_followed_is_not_kept(
    still: str, change: dict[str, Any], status: int, code: str, where: dict[str, Any]
) -> None:
    ref = fill(still)
    assert save(still, "r", {"definitions": [ref], "query": "op = answer"}).status == 200

    answer = save(still, "r", {"definitions": [ref], **change})

    assert (answer.status, answer.error["code"]) == (status, code)
    assert where.items() <= answer.error["details"].items()
    assert get(still, f"{api.RULES}/r{ASKED}").json["query"] == "op = answer"


def test_a_project_that_is_not_there_has_no_rules(url: str) -> None:
    for path in (api.RULES, f"{api.RULES}/r"):
        assert get(url, f"{path}?project=nobody").error["code"] == "not_found"
    assert ask(url, "DELETE", f"{api.RULES}/r?project=nobody").status == 404
