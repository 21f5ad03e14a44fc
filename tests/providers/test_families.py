"""The families of judgements: every method is there, says what it means, and is known to type checkers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from kibitz.judging import importables
from kibitz.providers import OpenAI
from kibitz.providers.families import FAMILIES
from kibitz.providers.judgements import Judgements, Options

ROOT = Path(__file__).parents[2]
OPTIONS = Options.__annotations__
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


@pytest.mark.parametrize("name", TRULENS)
def test_names_that_people_know_are_there(name: str) -> None:
    names = {name, f"{name}_with_cot_reasons"} if not name.endswith("answerability") else {name}
    for each in names:
        assert callable(getattr(OpenAI, each))
        assert inspect.iscoroutinefunction(getattr(OpenAI, f"a{each}"))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_a_method_of_each_kind_that_a_definition_can_name(name: str) -> None:
    judge = OpenAI("llama3.1", base_url="http://localhost:11434/v1")
    for suffix in ("", "_with_reasons", "_with_cot_reasons"):
        for prefix in ("", "a"):
            method = getattr(judge, f"{prefix}{name}{suffix}")
            assert importables.describe(method)["name"] == f"{prefix}{name}{suffix}"
            assert inspect.iscoroutinefunction(method) == (prefix == "a")
            assert [*inspect.signature(method).parameters] == [*FAMILIES[name].arguments, *OPTIONS]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_method_says_what_its_ends_mean(name: str) -> None:
    family = FAMILIES[name]
    method = getattr(Judgements, name)
    assert method.__doc__.startswith(f"{family.asks} 0:"), "editors and models are told the same"
    assert method.higher_is_better == family.higher_is_better
    assert f"0: {family.low}" in method.__doc__
    assert f"1: {family.high}" in method.__doc__
    assert ("Lower is better" in method.__doc__) == (not family.higher_is_better)
    assert method.__module__ == "kibitz.providers.judgements"


def test_every_family_is_documented() -> None:
    page = (ROOT / "docs/reference/providers.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)\(([^)]*)\)` \|", page, re.MULTILINE))
    assert {(each.name, ", ".join(each.arguments)) for each in FAMILIES.values()} <= rows
