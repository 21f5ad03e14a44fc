"""Definitions are content: the same function has the same id everywhere, another one has another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import house_judges
import laid_out
import msgspec
import numpy as np
import pytest

from kibitz.base import refs
from kibitz.base.errors import InvalidRecord, KibitzError, NotImportable, UsageError
from kibitz.judging.functions import Feedback
from kibitz.judging.lenses import Lens
from kibitz.judging.modes import FeedbackCombinations, FeedbackOnMissingParameters
from kibitz.judging.select import Select

ALLOW = ["house_judges"]
RECORD = laid_out.record()
FULL = (
    Feedback(house_judges.Model("large").rate, "min", name="rated", higher_is_better=False, if_missing="warn",
             if_exists=Select.spans(kind="llm"), combinations="zip", run_location="in_app")
    .on(Select.RecordCalls.retriever.retrieve.rets[:].text)
    .with_arguments(temperature=0.3, criteria="kind")
)  # fmt: skip


def again(feedback: Feedback) -> Feedback:
    """The function as a worker gets it: through a store, which keeps JSON."""
    value = json.loads(msgspec.json.encode(feedback.definition.value))
    return Feedback.load(value, allow=ALLOW)


def test_everything_comes_back() -> None:
    loaded = again(FULL)

    assert loaded.definition.value == FULL.definition.value
    assert loaded.id == FULL.id
    assert loaded == FULL
    assert loaded.name == "rated"
    assert loaded.higher_is_better is False
    assert loaded.if_missing is FeedbackOnMissingParameters.WARN
    assert loaded.combinations is FeedbackCombinations.ZIP
    assert loaded.if_exists == Select.spans(kind="llm")
    assert loaded.selectors == FULL.selectors
    assert loaded.run(RECORD).result == FULL.run(RECORD).result == 8.0
    assert loaded.run(RECORD).calls[0].meta == {"reason": "0.3 kind"}


def test_the_stored_form_is_an_object_version_that_names_itself() -> None:
    definition = FULL.definition
    part = definition.part()

    assert (part.kind, part.name, part.digest) == ("object", "rated", definition.id)
    assert part.digest == refs.digest(msgspec.json.Encoder(order="sorted").encode(part.value))
    assert part.value["$type"] == "feedback_definition"
    assert part.value["class"] == {"module": "kibitz.judging.functions", "name": "Feedback"}
    ref = refs.parse_ref(definition.ref("acme/app"))
    assert (ref.project, ref.kind, ref.name, ref.digest) == (
        "acme/app",
        "object",
        "rated",
        definition.id,
    )


BASE = Feedback(house_judges.House(80).brief).on_output()
OTHERS = {
    "another implementation": Feedback(house_judges.length).on_output(),
    "another parameter of the provider": Feedback(house_judges.House(81).brief).on_output(),
    "a parameter more": Feedback(house_judges.House(80, tone="dry").brief).on_output(),
    "another selector": Feedback(house_judges.House(80).brief).on_input(),
    "no selector": Feedback(house_judges.House(80).brief),
    "another aggregator": BASE.aggregate("max"),
    "an aggregator's number": BASE.aggregate("quantile:0.5"),
    "aggregators in another order": BASE.aggregate(["min", "max"]),
    "another combination": BASE.aggregate(combinations="zip"),
    "a name": Feedback(house_judges.House(80).brief, name="x").on_output(),
    "a condition": Feedback(house_judges.House(80).brief, if_exists=Select.App).on_output(),
    "another outcome of missing data": Feedback(
        house_judges.House(80).brief, if_missing="warn"
    ).on_output(),
    "another direction": Feedback(house_judges.House(80).brief, higher_is_better=False).on_output(),
    "a place to run": Feedback(house_judges.House(80).brief, run_location="in_app").on_output(),
    "a fixed argument": Feedback(house_judges.Model().rate)
    .on_output()
    .with_arguments(temperature=0.5),
    "another fixed argument": Feedback(house_judges.Model().rate)
    .on_output()
    .with_arguments(temperature=0.6),
    "of another type": Feedback(house_judges.Model().rate)
    .on_output()
    .with_arguments(temperature="0.6"),
    "true": Feedback(house_judges.Model().rate).on_output().with_arguments(temperature=True),
    "one": Feedback(house_judges.Model().rate).on_output().with_arguments(temperature=1),
    "a list": Feedback(house_judges.House(marks=("a", "b")).brief).on_output(),
    "the list in another order": Feedback(house_judges.House(marks=("b", "a")).brief).on_output(),
}


def test_whatever_decides_what_a_score_says_is_in_the_id() -> None:
    ids = {name: feedback.id for name, feedback in OTHERS.items()}

    assert BASE.id not in ids.values()
    assert len(set(ids.values())) == len(ids)


@pytest.mark.parametrize("feedback", [BASE, *OTHERS.values(), FULL], ids=["base", *OTHERS, "full"])
def test_equal_functions_have_equal_ids_also_when_they_come_back(feedback: Feedback) -> None:
    assert again(feedback).id == feedback.id
    assert again(feedback).definition.value == feedback.definition.value


def test_the_order_in_which_it_is_said_does_not_matter() -> None:
    one = Feedback(house_judges.overlap).on(prompt=Lens().a, response=Lens().b).aggregate("min")
    other = (
        Feedback(house_judges.overlap, "min").on(response=Lens().b).on_input().on(prompt=Lens().a)
    )

    assert one == other


@pytest.mark.processes
def test_ids_are_the_same_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(
        "import house_judges\n"
        "from kibitz.judging.functions import Feedback\n"
        "padding = [object() for _ in range(1000)]\n"
        "for words in (80, 81):\n"
        "    print(Feedback(house_judges.House(words).brief).on_output().id)\n"
        "    print(Feedback(lambda text: text in {'a', 'b', 'c'}, name='x').id)\n"
    )
    found = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "elsewhere.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(house_judges.__file__).parent)},
        )  # fmt: skip
        found.add(done.stdout)

    assert len(found) == 1
    lines = found.pop().splitlines()
    assert lines[0] == BASE.id
    assert lines[2] == OTHERS["another parameter of the provider"].id
    assert lines[1] == lines[3]


def test_a_secret_is_not_in_a_definition() -> None:
    feedback = Feedback(house_judges.Model(api_key="sk-very-secret").rate).on_output()

    assert "sk-very-secret" not in json.dumps(feedback.definition.value)
    assert feedback.id == Feedback(house_judges.Model().rate).on_output().id


@pytest.mark.parametrize(
    ("feedback", "why"),
    [
        (Feedback(lambda text: 1.0, name="judge").on_output(), "a lambda has no name"),
        (
            Feedback(house_judges.Made(5).rate).on_output(),
            "is made with arguments that are not known",
        ),
        (BASE.aggregate(lambda values: 1.0), "a lambda has no name"),
        (
            Feedback(house_judges.times_ten).on_output().with_arguments(factor=object()),
            "argument 'factor' is <object",
        ),
    ],
)
def test_what_only_this_program_has_is_run_here_and_says_why_not_elsewhere(
    feedback: Feedback, why: str
) -> None:
    definition = feedback.definition

    assert not definition.is_loadable
    with pytest.raises(NotImportable, match=why):
        definition.check_loadable()
    assert definition.part().digest == definition.id


def test_what_can_be_loaded_passes_the_check() -> None:
    FULL.definition.check_loadable()
    assert FULL.definition.is_loadable


def test_two_lambdas_are_two_definitions() -> None:
    one, other = Feedback(lambda text: 1.0), Feedback(lambda text: 2.0)

    assert one.id != other.id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"$type": "annotation_spec"}, "$type"),
        ({"name": 5}, "name"),
        ({"implementation": None}, "implementation"),
        ({"selectors": []}, "selectors"),
        ({"threshold": 1}, "threshold"),
        ({"selectors": {"text": "a..b"}}, None),
        ({"selectors": {"nothing": "a"}}, None),
        ({"selectors": {"text": 5}}, None),
        ({"aggregator": "avg"}, None),
        ({"aggregator": {"several": {}}}, None),
        ({"aggregator": 5}, None),
        ({"aggregator": {"module": "os", "name": "system"}}, None),
        ({"combinations": "all"}, None),
        ({"if_missing": "x"}, None),
        ({"if_exists": "["}, None),
        ({"arguments": {"nothing": 1}}, None),
        ({"arguments": [1]}, None),
        ({"implementation": {"module": "os", "name": "system"}}, None),
    ],
    ids=str,
)
def test_a_value_that_is_no_definition_is_refused(
    change: dict[str, Any], field: str | None
) -> None:
    value = {**json.loads(msgspec.json.encode(BASE.definition.value)), **change}

    with pytest.raises(KibitzError) as raised:
        Feedback.load(value, allow=ALLOW)
    assert isinstance(raised.value, UsageError)
    if field is not None:
        assert isinstance(raised.value, InvalidRecord)
        assert raised.value.facts["field"] == field


@pytest.mark.parametrize("value", [None, 5, "text", [], {}])
def test_what_is_no_object_is_no_definition(value: Any) -> None:
    with pytest.raises(InvalidRecord, match="is no feedback definition"):
        Feedback.load(value)


def test_loading_imports_nothing_that_was_not_allowed() -> None:
    with pytest.raises(NotImportable, match="kibitz worker --allow house_judges"):
        Feedback.load(BASE.definition.value)


def test_numpys_aggregators_come_back_in_a_process_without_them_loaded() -> None:
    feedback = BASE.aggregate(np.median)

    assert feedback.definition.value["aggregator"] == {"module": "numpy", "name": "median"}
    assert again(feedback).run(RECORD).result == 1.0
