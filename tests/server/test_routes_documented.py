"""The page about the HTTP API says what the server does: every route, every error, and examples that work."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from asking import JSON, ask, get

from kibitz.base import api, errors
from kibitz.base.errors import KibitzError
from kibitz.base.settings import ServerSettings
from kibitz.server import errors as answers
from kibitz.testing import serving

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"
TEXT = PAGE.read_text(encoding="utf-8")
HEADING = re.compile(r"^### (GET|POST|PUT|PATCH|DELETE) (\S+)$", re.MULTILINE)
EVALUATION = "01995d2e-0000-7000-8000-000000000001"
"""How the page writes the id of an evaluation, which only the server can give."""
RUN = "01995d2e-0000-7000-8000-000000000002"
EXAMPLE = re.compile(
    r"^```http\n(GET|POST|PUT|DELETE) (\S+)\n(?:\n(.*?))?```$", re.MULTILINE | re.DOTALL
)


def test_every_route_is_documented_and_every_documented_route_is_there(tmp_path: Path):
    with serving.server(tmp_path) as url:
        paths = get(url, api.OPENAPI).json["paths"]

    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert set(HEADING.findall(TEXT)) == served | {("GET", api.OPENAPI)}


def test_every_example_works_in_the_order_of_the_page(tmp_path: Path):
    examples = EXAMPLE.findall(TEXT)
    assert len(examples) == len(HEADING.findall(TEXT))
    with serving.server(tmp_path) as url:
        named: dict[str, str] = {}
        for method, path, body in examples:
            for written, given in named.items():
                path, body = path.replace(written, given), body.replace(written, given)
            if body:
                json.loads(body)
            answer = ask(url, method, path, body.encode() or None, JSON)

            assert answer.status in (200, 201), (method, path, answer.body)
            if path == api.INGEST:
                assert "rejected" not in answer.json
            elif path == api.CALLS_QUERY:
                assert [each["id"] for each in answer.json["items"]] == ["c1"]
            elif path == api.CALLS_COUNT:
                assert answer.json == {"count": 1, "exact": True}
            elif path == api.EVALUATIONS_QUERY:
                named[EVALUATION] = answer.json["items"][0]["id"]
            elif path == api.EVALUATIONS_CLAIM:
                [claim] = answer.json["claims"]
                named[RUN] = claim["run_id"]
            elif path in (api.EVALUATIONS_EXTEND, api.EVALUATIONS_FINISH):
                assert answer.json == {"run_ids": [named[RUN]]}


def test_an_example_stands_under_each_heading():
    sections = re.split(r"^### ", TEXT, flags=re.MULTILINE)
    for section in sections:
        if HEADING.match("### " + section.partition("\n")[0]):
            [(method, path, _)] = EXAMPLE.findall(section)
            head_method, head_path = section.partition("\n")[0].split(" ")
            pattern = re.sub(r"\{\w+\}", "[^/?]+", head_path)
            assert method == head_method
            assert re.fullmatch(pattern, path.partition("?")[0])


def _kinds(kind: type[KibitzError]) -> list[type[KibitzError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _kinds(child))]


def test_every_error_that_can_be_answered_is_in_the_table():
    table = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXT, re.MULTILINE))
    codes = {code for _, code in table}
    for kind in _kinds(KibitzError):
        if kind in (KibitzError, errors.SettingsError, errors.MissingExtra):
            continue
        status, info, _ = answers.describe(kind("what was wrong"))
        assert (str(status), info.code) in table
    assert {"forbidden", "method_not_allowed", "unsupported_media_type", "internal"} <= codes


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("max_body_bytes", f"{ServerSettings().max_body_bytes >> 20} MiB"),
        ("max_batch_items", f"{ServerSettings().max_batch_items:,}"),
        ("max_call_bytes", f"{ServerSettings().max_call_bytes >> 20} MiB"),
        ("query_timeout_s", f"{ServerSettings().query_timeout_s:g} s"),
    ],
)
def test_the_limits_are_the_ones_in_force(setting: str, shown: str):
    assert setting in {each.name for each in dataclasses.fields(ServerSettings)}
    [row] = [line for line in TEXT.splitlines() if f"`KIBITZ_{setting.upper()}`" in line]
    assert f"| {shown} |" in row
