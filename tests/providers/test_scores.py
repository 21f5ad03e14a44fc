"""What judges say is read as the score they mean, or refused with what they said; never guessed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kibitz.providers
from kibitz.base.errors import JudgeAnswerError, UsageError
from kibitz.providers import scores
from kibitz.providers.scores import Scale

TEN = Scale(0, 10)


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ('{"score": 7}', 0.7),
        ('{"reason": "1 of 3 points {sic}", "score": 7}', 0.7),
        ('```json\n{"score": 7}\n```', 0.7),
        ('Well, I think: {"reason": "ok", "score": 7.5} is what I mean in 2026.', 0.75),
        ('{"Score": 7}', 0.7),
        ('{"score": "7"}', 0.7),
        ('{"score": "8/10"}', 0.8),
        ('{"rating": 7}', 0.7),
        ('{"answer": "Paris", "score": 7}', 0.7),
        ('{"given": {"score": 1}, "score": 7}', 0.7),
        ("{'score': 7}", 0.7),
        ('{"score": 7', 0.7),
        ("7", 0.7),
        ("7.", 0.7),
        ("**7**", 0.7),
        (" 7,5 ", 0.75),
        ("Score: 7", 0.7),
        ("**Score:** 7", 0.7),
        ("**Score**: 7", 0.7),
        ("Score = 7", 0.7),
        ("Rating - 7", 0.7),
        ("Score (0-10): 7", 0.7),
        ("Score: 8/10", 0.8),
        ("Score: 4/5", 0.8),
        ("Score: 85%", 0.85),
        ("I would give it 4 out of 5.", 0.8),
        ("4/5", 0.8),
        ("It has 3 flaws.\nScore: 7", 0.7),
        ("1. Clear\n2. Short\nScore: 7", 0.7),
        ("Score for clarity and tone: fine. Rating: 7", 0.7),
        ("Score: 3 for style\nScore: 9 for truth\nOverall score: 7", 0.7),
        ("The answer is 42 years. Score: 7", 0.7),
        ("There were 12 apples and 3 pears.\n\n7", 0.7),
        ("In the range of 0-10, I give this a 9.", 0.9),
        ("On a scale from 0 to 10 I say 9", 0.9),
        ("seven", 0.7),
        ("Score: Seven.", 0.7),
        ('<think>maybe 3? or 5? {"score": 1}</think>\n7', 0.7),
        ("-0", 0.0),
        ("10", 1.0),
    ],
)
def test_a_score_is_read(said: str, score: float) -> None:
    assert scores.read(said, TEN).score == pytest.approx(score)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "said nothing"),
        ("", "said nothing"),
        (" \n\t", "said nothing"),
        ("I cannot help with that.", "refused"),
        ("I'm sorry, but I can't rate this. Error 3", "refused"),
        ("As an AI, I do not judge. 5", "refused"),
        ("It is quite good.", "gave no number"),
        ("Somewhere from 0 to 10.", "gave no number"),
        ("3 or 4", r"several numbers \(3, 4\)"),
        ("Score: 3\nScore: 4", "several numbers"),
        ('{"score": 3} {"score": 4}', "several numbers"),
        ("3/10, no, 4/10", "several numbers"),
        ("first 1\nthen 2 and 3", "several numbers"),
        ("Score: 11", "it was asked for one from 0 to 10"),
        ("Score: -1", "is -1, and it was asked for"),
        ("-1", "is -1, and it was asked for"),
        ("−1", "is -1, and it was asked for"),
        ("11/10", "11, and it was asked"),
        ("7/5", "'7/5'"),
        ("7/0", "'7/0'"),
        ('{"score": 1e400}', "inf"),
        ('{"score": NaN}', "nan"),
        ('{"score": null}', "null"),
        ('{"score": true}', "True"),
        ('{"score": ""}', '""'),
        ('{"score": [7]}', r"\[7\]"),
        ('{"score": "high"}', "gave no number"),
        ("x" * 10_000_000, "10,000,000 characters"),
        ("GPT4 and v2.1.3 say nothing", "gave no number"),
    ],
)
def test_what_is_no_score_is_said_with_its_text(said: str | None, why: str) -> None:
    with pytest.raises(JudgeAnswerError, match=why) as raised:
        scores.read(said, TEN)
    assert len(str(raised.value)) < 1_000
    assert raised.value.facts["text"] == (said or "")[:500]


@pytest.mark.parametrize(
    ("low", "high", "said", "score"),
    [
        (0, 3, "8/10", 0.8),  # its own scale
        (1, 5, "3", 0.5),
        (1, 5, "3/5", 0.5),  # of the scale that was asked for
        (1, 5, "1/5", 0.0),
        (-1, 1, "-0.5", 0.25),
        (-2, 2, "Score: -1", 0.25),
        (0.0, 1.0, "0.25", 0.25),
        (0.0, 1.0, ".25", 0.25),
        (0, 100, "85%", 0.85),
        (0, 100, "Score: 85", 0.85),
        (0, 1, '{"score": true}', 1.0),
        (0.5, 2.5, "1.5", 0.5),
    ],
)
def test_b10_a_score_is_normalised_by_the_scale_it_was_asked_on(
    low: float, high: float, said: str, score: float
) -> None:
    assert scores.read(said, Scale(low, high)).score == pytest.approx(score)


@pytest.mark.parametrize(
    "low_high", [(3, 3), (4, 1), (0, float("nan")), (0, float("inf")), ("0", 3), (False, True)]
)
def test_a_scale_that_is_none_is_refused(low_high) -> None:
    with pytest.raises(UsageError, match="score"):
        Scale(*low_high)


def test_b11_no_number_is_preferred_for_being_small() -> None:
    assert scores.read("In the range of 0-10, I give this a 9.", TEN).score == 0.9
    assert scores.read("8/10", Scale(0, 3)).score == 0.8
    with pytest.raises(JudgeAnswerError):
        scores.read("-1", TEN)


def test_b13_a_failure_is_never_a_number() -> None:
    for said in ("no score here", "", '{"score": -1}', "Score: none"):
        with pytest.raises(JudgeAnswerError):
            scores.read(said, Scale(0, 1))


def test_the_other_fields_are_the_reason() -> None:
    assert scores.read('{"reason": "short", "score": 5}', TEN).said == {"reason": "short"}
    assert scores.read("Rather short.\nScore: 5", TEN).said == {"reason": "Rather short.\nScore: 5"}


@given(st.text(), st.sampled_from([Scale(0, 3), Scale(1, 10), Scale(0.0, 1.0)]))
def test_any_text_is_a_score_on_the_scale_or_refused(text: str, scale: Scale) -> None:
    try:
        score = scores.read(text, scale).score
    except JudgeAnswerError:
        return
    assert 0 <= score <= 1


@pytest.mark.parametrize(
    "hostile",
    [
        "{" * 190_000,
        '{"a":' * 30_000,
        "score " * 30_000,
        "1 to " * 38_000,
        "1/" * 90_000,
        "score: " + "1" * 190_000,
        "9" * 5_000,
        "\n" * 190_000 + "x",
        '{"score": ' + "1" * 5_000 + "}",
        "```" * 60_000,
    ],
)
def test_hostile_texts_are_read_in_bounded_time(hostile: str) -> None:
    with pytest.raises(JudgeAnswerError):
        scores.read(hostile, TEN)


def test_b9_no_provider_evaluates_what_a_model_said() -> None:
    folder = Path(kibitz.providers.__file__).parent
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                assert node.id not in {"eval", "exec", "compile", "__import__"}, file.name
