"""What a summary says was used."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base import usage
from kibitz.base.usage import Usage

OPENAI = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ANTHROPIC = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "output_tokens": 3,
}


@pytest.mark.parametrize(
    ("given_usage", "means"),
    [
        ({"gpt": OPENAI}, Usage("gpt", 10, 5, 15)),
        ({"claude": ANTHROPIC}, Usage("claude", 1107, 3, 1110)),
        ({"gpt": OPENAI, "claude": ANTHROPIC}, Usage("claude", 1117, 8, 1125)),
        ({"b": {"total_tokens": 3}, "a": {"total_tokens": 3}}, Usage("b", None, None, 6)),
        (
            {"gemini": {"prompt_token_count": 4, "candidates_token_count": 2}},
            Usage("gemini", 4, 2, 6),
        ),
        # The total of a provider may count more than both, such as reasoning.
        (
            {"o": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 9}},
            Usage("o", 1, 1, 9),
        ),
        # Both names for the same tokens are not added up.
        (
            {"x": {"prompt_tokens": 9, "input_tokens": 2, "cache_read_input_tokens": 7}},
            Usage("x", 9, None, 9),
        ),
        (
            {"x": {"prompt_tokens": 1, "cost": 0.25}, "y": {"cost": 0.5}},
            Usage("x", 1, None, 1, 0.75),
        ),
        ({"x": {"prompt_tokens": "12", "completion_tokens": True}}, Usage("x")),
        ({"x": {"prompt_tokens": -1, "completion_tokens": 1.5}}, Usage("x")),
        ({"x": {"prompt_tokens": 12.0}}, Usage("x", 12, None, 12)),
        ({"x": {"prompt_tokens": 10**400, "completion_tokens": math.inf}}, Usage("x")),
        ({"x": {"input": 4, "output": 2}}, Usage("x", 4, 2, 6)),
        ({"": OPENAI}, Usage(None, 10, 5, 15)),
        ({"x": 5}, Usage()),
        ("much", Usage()),
        (None, Usage()),
    ],
)
def test_usage_by_model(given_usage: Any, means: Usage) -> None:
    assert usage.of_summary(given_usage) == means


def test_counts_without_a_model_take_the_one_beside_them() -> None:
    assert usage.of_summary(OPENAI, "gpt") == Usage("gpt", 10, 5, 15)
    assert usage.of_summary(OPENAI) == Usage(None, 10, 5, 15)
    assert usage.of_summary(None, "gpt", 0.1) == Usage("gpt", cost=0.1)
    assert usage.of_summary({"mini": OPENAI}, "gpt").model == "mini"


def test_the_cost_given_for_all_stands_over_those_of_the_models() -> None:
    assert usage.of_summary({"x": {"cost": 1}}, None, 3).cost == 3.0
    assert usage.of_summary({"x": {"cost": 1}}, None, "3").cost == 1.0
    assert usage.of_summary(None, None, 10**400).cost is None
    assert usage.of_summary(None, None, math.nan).cost is None
    assert usage.of_summary({"x": {"cost": 1e308}, "y": {"cost": 1e308}}).cost is None


def test_a_long_name_is_cut() -> None:
    assert usage.of_summary({"m" * 1000: OPENAI}).model == "m" * usage.MAX_MODEL_CHARACTERS


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["input_tokens", "prompt_tokens", "output_tokens", "cost", "m"]), inner
        )
    ),
)


@given(anything, anything, anything)
@settings(deadline=None)
def test_nothing_makes_it_fail_and_what_it_says_can_be_stored(
    counts: Any, model: Any, cost: Any
) -> None:
    found = usage.of_summary(counts, model, cost)
    for each in (found.input_tokens, found.output_tokens, found.tokens):
        assert each is None or (type(each) is int and 0 <= each <= usage.MAX_TOKENS)
    assert found.cost is None or (type(found.cost) is float and math.isfinite(found.cost))
