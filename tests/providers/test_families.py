"""The families of judgements: every method is there, says what it means, and is known to type checkers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from kibitz.providers import OpenAI, judgements
from kibitz.providers.families import FAMILIES
from kibitz.providers.judgements import Judgements

ROOT = Path(__file__).parents[2]
TRULENS = [
    "context_relevance",
    "relevance",
    "groundedness_measure",
    "groundedness_measure_with_cot_reasons_consider_answerability",
    "qs_relevance",
    "citation_accuracy",
    "citation_attribution",
    "sentiment",
    "conciseness",
    "correctness",
    "coherence",
    "helpfulness",
    "controversiality",
    "comprehensiveness",
    "summarization",
    "harmfulness",
    "maliciousness",
    "misogyny",
    "criminality",
    "insensitivity",
    "stereotypes",
    "logical_consistency",
    "execution_efficiency",
    "plan_adherence",
    "plan_quality",
    "tool_selection",
    "tool_calling",
    "tool_quality",
    "requirement_satisfaction",
    "conversation_helpfulness",
    "topic_adherence",
    "agent_goal_accuracy",
    "coherence_across_turns",
]


def test_the_stub_says_what_is_there() -> None:
    stub = Path(judgements.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert stub == judgements.stub(), "run python -m kibitz.providers.judgements > …/judgements.pyi"


@pytest.mark.parametrize("name", TRULENS)
def test_names_that_people_know_are_there(name: str) -> None:
    names = {name, f"{name}_with_cot_reasons"} if not name.endswith("answerability") else {name}
    for each in names:
        assert callable(getattr(OpenAI, each))
        assert inspect.iscoroutinefunction(getattr(OpenAI, f"a{each}"))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_method_says_what_its_ends_mean(name: str) -> None:
    family = FAMILIES[name]
    method = getattr(Judgements, name)
    assert f"0: {family.low}" in method.__doc__
    assert f"1: {family.high}" in method.__doc__
    assert ("Lower is better" in method.__doc__) == (not family.higher_is_better)
    assert method.__module__ == "kibitz.providers.judgements"


def test_every_family_is_documented() -> None:
    page = (ROOT / "docs/reference/providers.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)\(([^)]*)\)` \|", page, re.MULTILINE))
    assert {(each.name, ", ".join(each.arguments)) for each in FAMILIES.values()} <= rows
