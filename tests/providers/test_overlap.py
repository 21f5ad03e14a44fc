"""Overlap, BLEU and chrF against the libraries that papers use."""

from __future__ import annotations

import random

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from kibitz.base.errors import UsageError
from kibitz.providers import Local, overlap

LOCAL = Local()
WORDS = "the cat sat on a mat. don't 3.5 U.S. 10,000 — it's (well) “quoted” end! a-b &amp; x_y\n Ça naïve ١٢ 你好"
VOCABULARY = WORDS.split(" ")
SCORER = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
ASCII = st.text(st.characters(codec="ascii"), max_size=80)


def sentence(draws: random.Random) -> str:
    return " ".join(draws.choices(VOCABULARY, k=draws.randint(0, 14)))


@pytest.mark.parametrize("seed", range(50))
def test_bleu_and_chrf_are_those_of_sacrebleu(seed: int) -> None:
    draws = random.Random(seed)
    said, *wanted = (sentence(draws) for _ in range(3))

    assert LOCAL.bleu(said, wanted) == pytest.approx(
        sacrebleu.sentence_bleu(said, wanted, use_effective_order=True).score / 100, abs=1e-9
    )
    assert LOCAL.chrf(said, wanted[0]) == pytest.approx(
        sacrebleu.sentence_chrf(said, wanted[:1]).score / 100, abs=1e-9
    )
    assert LOCAL.chrf_plus(said, wanted) == pytest.approx(
        max(sacrebleu.sentence_chrf(said, [each], word_order=2).score for each in wanted) / 100,
        abs=1e-9,
    )


@settings(max_examples=60, deadline=None)
@given(ASCII, ASCII)
def test_rouge_is_that_of_rouge_score(said: str, wanted: str) -> None:
    theirs = SCORER.score(wanted, said)

    assert LOCAL.rouge_1(said, wanted) == pytest.approx(theirs["rouge1"].fmeasure)
    assert LOCAL.rouge_2(said, wanted) == pytest.approx(theirs["rouge2"].fmeasure)
    assert LOCAL.rouge_l(said, wanted) == pytest.approx(theirs["rougeL"].fmeasure)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd"), max_size=40)
)
def test_the_longest_common_subsequence_is_that_of_the_table(
    one: list[str], other: list[str]
) -> None:
    row = [0] * (len(other) + 1)
    for left in one:
        before = row[:]
        for at, right in enumerate(other):
            row[at + 1] = before[at] + 1 if left == right else max(before[at + 1], row[at])

    assert overlap.longest_common(one, other) == row[-1]


TEXT_METRICS = [
    *(
        "jaccard",
        "containment",
        "token_f1",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "bleu",
        "chrf",
        "chrf_plus",
    ),
    *(
        "groundedness",
        "length_ratio",
        "equals",
        "exact_match",
        "contains",
        "starts_with",
        "ends_with",
    ),
]


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
@pytest.mark.parametrize("name", TEXT_METRICS)
def test_every_score_of_two_texts_is_from_0_to_1(name: str, one: str, other: str) -> None:
    assert 0 <= getattr(LOCAL, name)(one, other) <= 1


@pytest.mark.parametrize("name", TEXT_METRICS)
def test_a_text_is_wholly_like_itself(name: str) -> None:
    text = "Orders can be cancelled within thirty days, says the shop."

    assert getattr(LOCAL, name)(text, text) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "name", ["rouge_l", "rouge_2", "bleu", "chrf_plus", "token_f1", "groundedness"]
)
def test_a_huge_text_is_judged(name: str) -> None:
    huge = " ".join(f"word{each % 997}." for each in range(5_000))

    assert getattr(LOCAL, name)(huge, huge) == pytest.approx(1.0)


def test_the_best_reference_counts() -> None:
    assert LOCAL.rouge_1("four", ["five", "four"]) == 1.0
    assert LOCAL.token_f1("four", ["five", "the Four!"]) == 1.0
    assert LOCAL.exact_match("The answer", ["no", "answer."]) == 1.0


def test_token_f1_counts_words_that_are_there_twice() -> None:
    # 2 of 3 said, 2 of 2 wanted.
    assert LOCAL.token_f1("new york york", "new york") == pytest.approx(0.8)


def test_containment_is_about_the_response_only() -> None:
    source = ["The shop opens at nine.", "It closes at six."]

    assert LOCAL.containment("opens at nine", source) == 1.0
    assert LOCAL.containment("opens at nine", source, size=3) == 1.0
    assert LOCAL.containment("nine at opens", source, size=2) == 0.0
    assert LOCAL.jaccard("a b", "b c") == pytest.approx(1 / 3)


def test_groundedness_says_of_each_sentence_what_the_source_lacks() -> None:
    source = ["Orders can be cancelled within 30 days.", "Refunds take a week."]

    score, said = LOCAL.groundedness_with_reasons(
        source, "You can cancel an order within 30 days. Shipping to Mars is free."
    )

    assert score == 0.5
    assert [each["grounded"] for each in said["sentences"]] == [True, False]
    assert said["sentences"][1]["missing"] == ["shipping", "mars", "free"]
    assert "not in the source: Shipping to Mars is free." in said["reason"]


def test_groundedness_of_nothing_is_whole_and_in_nothing_is_none() -> None:
    assert LOCAL.groundedness("a source", "") == 1.0
    assert LOCAL.groundedness("", "Cats purr.") == 0.0


@pytest.mark.parametrize("wrong", [None, 3, {"text": "x"}, [1, 2]])
def test_what_is_no_text_is_refused_and_named(wrong: object) -> None:
    with pytest.raises(UsageError, match="response is .*not a text"):
        LOCAL.rouge_l(wrong, "x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="reference is .*not a text"):
        LOCAL.rouge_l("x", wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least one text"):
        LOCAL.bleu("x", [])
