"""Feedback definitions over HTTP: published, listed by version, and what is none."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from asking import Answer, get, send
from evaluated import PROJECT, fill, want

from kibitz.base import api
from kibitz.judging.functions import Feedback
from kibitz.judging.select import Select
from kibitz.testing import serving

ASKED = f"?project={PROJECT}"
LEAST = {
    "name": "brief",
    "implementation": {"module": "house.judges", "name": "brief"},
    "selectors": {"text": "__record__.main_output"},
}


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Generator[str]:
    with serving.server(tmp_path) as url:
        fill(url, name="other")
        yield url


@pytest.fixture(name="still", scope="module")
def _still(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server that is only asked for what it refuses."""
    with serving.server(tmp_path_factory.mktemp("data")) as url:
        fill(url, name="other")
        yield url


def publish(url: str, value: dict[str, Any]) -> Answer:
    return send(url, api.DEFINITIONS, {"project": PROJECT, "value": value})


def test_what_python_makes_is_published_as_it_is_and_loads_again(url: str) -> None:
    function = Feedback(fmean, [min, max], name="low", if_exists=Select.RecordCalls.retrieve).on(
        data=Select.RecordCalls.retrieve.rets[:].score
    )

    answer = publish(url, function.definition.value)

    assert answer.status == 201, answer.body
    said = answer.json
    assert (said["name"], said["digest"], said["version"]) == ("low", function.definition.id, 0)
    assert said["ref"] == function.definition.ref(PROJECT)
    assert said["selectors"] == {"data": "__record__.app.retrieve.rets[:].score"}
    assert said["if_exists"] == "__record__.app.retrieve"
    stored = get(url, f"{api.OBJECTS}/object/low{ASKED}").json["versions"][0]["value"]
    assert Feedback.load(stored) == function
    assert want(url, said["ref"]).json["wanted"] == 3


def test_what_is_left_out_is_what_python_would_say(url: str) -> None:
    whole = {
        **LEAST,
        "$type": "feedback_definition",
        "class": {"module": "kibitz.judging.functions", "name": "Feedback"},
        "arguments": {},
        "combinations": "product",
        "aggregator": "mean",
        "if_exists": None,
        "if_missing": "error",
        "higher_is_better": True,
        "run_location": None,
    }
    in_short = {**LEAST, "selectors": {"text": "Select.RecordOutput"}}

    digests = {publish(url, each).json["digest"] for each in (LEAST, whole, in_short)}

    assert len(digests) == 1
    [said] = get(url, f"{api.DEFINITIONS}/brief/versions{ASKED}").json["definitions"]
    for key in ("implementation", "combinations", "aggregator", "if_missing", "higher_is_better"):
        assert said[key] == whole[key]


def test_another_content_is_another_version_and_the_newest_is_listed(url: str) -> None:
    name = "answers/brief"
    path = f"{api.DEFINITIONS}/answers%2Fbrief/versions{ASKED}"
    first = publish(url, {**LEAST, "name": name}).json
    second = publish(url, {**LEAST, "name": name, "aggregator": "quantile:0.1"}).json

    assert (first["version"], second["version"]) == (0, 1)
    assert get(url, path).json["definitions"] == [second, first]
    listed = get(url, api.DEFINITIONS + ASKED).json["definitions"]
    assert [each["name"] for each in listed] == [name, "other"]
    assert listed[0] == second


def test_nothing_that_a_definition_names_is_imported(url: str, tmp_path: Path) -> None:
    module = "antigravity"
    assert module not in sys.modules
    value = {
        **LEAST,
        "implementation": {"module": module, "class": "C", "parameters": {}, "name": "f"},
        "aggregator": {"several": {"low": {"module": module, "name": "g"}, "mean": "mean"}},
    }

    assert publish(url, value).status == 201
    assert get(url, api.DEFINITIONS + ASKED).status == 200
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"$type": "something"}, "$type"),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"implementation": "house.brief"}, "implementation"),
        ({"implementation": {"module": "house"}}, "implementation.name"),
        ({"selectors": []}, "selectors"),
        ({"implementation": {"module": "m", "name": "f", "class": 7}}, "implementation.class"),
        (
            {"implementation": {"module": "m", "name": "f", "parameters": [1]}},
            "implementation.parameters",
        ),
        ({"class": "Feedback"}, "class"),
        ({"name": "x" * 300}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"selectors": {"a b": "main_output"}}, "selectors"),
        ({"selectors": {"text": 7}}, "selectors.text"),
        ({"selectors": {"text": "a..b"}}, "selector"),
        ({"selectors": {"text": "Select.Nothing"}}, "selector"),
        ({"arguments": []}, "arguments"),
        ({"combinations": "shuffle"}, "combinations"),
        ({"aggregator": "best"}, "aggregator"),
        ({"aggregator": {"several": {}}}, "aggregator"),
        ({"aggregator": {"several": {"low": {"module": "m"}}}}, "aggregator.low.name"),
        ({"if_exists": "a["}, "selector"),
        ({"if_missing": "panic"}, "if_missing"),
        ({"higher_is_better": "yes"}, "higher_is_better"),
        ({"run_location": "moon"}, "run_location"),
    ],
)
def test_what_is_no_definition_names_the_field(
    still: str, change: dict[str, Any], field: str
) -> None:
    answer = publish(still, {**LEAST, **change})

    assert answer.status == 400
    assert answer.error["code"] in {"usage", "invalid_record"}
    assert answer.error["details"]["field"] == field
    listed = get(still, api.DEFINITIONS + ASKED).json["definitions"]
    assert [each["name"] for each in listed] == ["other"]


def test_an_object_that_is_no_definition_is_not_found_as_one(url: str) -> None:
    value = {"threshold": 0.5}
    digest = "78223d46fdb183493f1317458f0099631d4bda40"
    part = {"kind": "object", "name": "plain", "digest": digest, "value": value}
    send(url, api.INGEST, {"project": PROJECT, "objects": [part]})

    for path in ("plain/versions", "nothing/versions", "other", "other/newest"):
        answer = get(url, f"{api.DEFINITIONS}/{path}{ASKED}")
        assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert get(url, f"{api.DEFINITIONS}?project=nobody").status == 404


def test_a_definition_of_an_odd_shape_is_listed_as_far_as_it_goes(still: str) -> None:
    [said] = get(still, f"{api.DEFINITIONS}/other/versions{ASKED}").json["definitions"]

    assert said["selectors"] == {"text": "main_output"}
    assert (said["aggregator"], said["if_missing"]) == (None, None)
