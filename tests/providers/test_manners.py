"""How a text is said, and how hard it is to read."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.providers import Local, manners, readability, structure, texts

LOCAL = Local()


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I cannot assist with that request.",
        "As an AI language model, I don't have personal opinions.",
        "I cannot provide instructions for that.",
        "I apologize, but I am unable to answer. I must decline.",
        "I don't feel comfortable writing this.",
        "It would be unethical to share that.",
        "I am not able to access the internet.",
    ],
)
def test_refusals_are_known(text: str) -> None:
    assert LOCAL.refusal(text) == 1.0
    assert LOCAL.no_refusal(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "You can't help but smile when it rains.",
        "Sorry to hear that! Here is what to do: restart it.",
        "AI language models are trained on text.",
        "The company said it cannot provide refunds.",
        "Sure, I can help with that.",
        "",
    ],
)
def test_what_does_not_refuse_is_no_refusal(text: str) -> None:
    assert LOCAL.refusal(text) == 0.0


def test_a_refusal_is_said_first() -> None:
    assert LOCAL.refusal("Here is a poem. " * 40 + "I can't help with that.") == 0.0


def test_apologies_and_doubt_are_known() -> None:
    assert LOCAL.apology("We sincerely apologize for the delay.") == 1.0
    assert LOCAL.apology("My apologies, that was wrong.") == 1.0
    assert LOCAL.apology("It was a sorry sight.") == 0.0
    assert LOCAL.hedging("It may rain. It rained. Perhaps it depends. So it was.") == 0.5
    assert LOCAL.hedging("") == 0.0


def test_repetition_is_what_was_there_before() -> None:
    assert LOCAL.repetition("a b c d e") == 0.0
    # 9 runs of four words, 4 different ones.
    assert LOCAL.repetition("a b c d a b c d a b c d") == pytest.approx(5 / 9)
    assert LOCAL.repetition("a b") == 0.0
    assert LOCAL.repeated_sentences("One two. One, two! Three.") == pytest.approx(1 / 3)
    assert LOCAL.compressed_share("again and again " * 500) < 0.05
    assert LOCAL.compressed_share("") == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcde"), max_size=30), st.integers(1, 12))
def test_lexical_diversity_is_the_mean_over_every_window(every: list[str], window: int) -> None:
    size = min(window, len(every)) or 1
    runs = [every[at : at + size] for at in range(len(every) - size + 1)]
    expected = sum(len({*run}) / size for run in runs) / len(runs) if every else 0.0

    assert LOCAL.lexical_diversity(" ".join(every), window) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("word", "count"),
    [
        *(
            ("cat", 1),
            ("table", 2),
            ("make", 1),
            ("makes", 1),
            ("wanted", 2),
            ("walked", 1),
            ("readability", 5),
        ),
        *(
            ("the", 1),
            ("create", 2),
            ("sales", 1),
            ("being", 2),
            ("idea", 3),
            ("boxes", 2),
            ("rhythm", 1),
            ("beautiful", 3),
        ),
    ],
)
def test_syllables_are_counted_by_the_rule(word: str, count: int) -> None:
    assert readability.syllables(word) == count


def test_formulas_are_those_of_their_sources() -> None:
    # the-cat-sat-on-the-mat 6, it-was-a 3, beau-ti-ful 3, and 1, sun-ny 2, af-ter-noon 3.
    text = "The cat sat on the mat. It was a beautiful and sunny afternoon."
    of = readability.counts(text)
    assert of == readability.Counts(words=13, sentences=2, syllables=18, letters=49, hard=2)

    assert LOCAL.flesch_reading_ease(text) == pytest.approx(206.835 - 1.015 * 6.5 - 84.6 * 18 / 13)
    assert LOCAL.flesch_kincaid_grade(text) == pytest.approx(0.39 * 6.5 + 11.8 * 18 / 13 - 15.59)
    assert LOCAL.automated_readability_index(text) == pytest.approx(
        4.71 * 49 / 13 + 0.5 * 6.5 - 21.43
    )
    assert LOCAL.coleman_liau_index(text) == pytest.approx(5.88 * 49 / 13 - 29.6 * 2 / 13 - 15.8)
    assert LOCAL.gunning_fog(text) == pytest.approx(0.4 * (6.5 + 200 / 13))
    assert LOCAL.smog_grade(text) == pytest.approx(1.0430 * 30**0.5 + 3.1291)
    assert LOCAL.plain_english(text) == pytest.approx(LOCAL.flesch_reading_ease(text) / 100)


def test_harder_texts_are_harder_by_every_formula() -> None:
    easy = "The dog ran to me. I gave him a ball. He was glad. We went home to eat."
    hard = (
        "Notwithstanding considerable institutional opposition, the administration subsequently implemented "
        "comprehensive regulatory modifications, fundamentally transforming international telecommunications."
    )

    assert LOCAL.flesch_reading_ease(easy) > 80 > 0 > LOCAL.flesch_reading_ease(hard)
    assert (LOCAL.plain_english(hard), LOCAL.plain_english("Go.")) == (0.0, 1.0)
    for name in (
        *("flesch_kincaid_grade", "automated_readability_index", "coleman_liau_index"),
        *("gunning_fog", "smog_grade"),
    ):
        assert getattr(LOCAL, name)(easy) < 6 < 12 < getattr(LOCAL, name)(hard)


@pytest.mark.parametrize("text", ["", "…", "\n", "😀"])
def test_what_has_no_word_has_0(text: str) -> None:
    for name in dir(readability.Readability):
        if not name.startswith("_") and name not in ("local", "parameters"):
            assert getattr(LOCAL, name)(text) == 0.0


HOSTILE = [
    "I",
    "can't",
    "I'm sorry ",
    "as an AI ",
    ".",
    "!)",
    "\n",
    "- ",
    "a'",
    "\x00",
    "\ud800",
    "ab",
    "1. ",
    "``` ",
    "|-",
    "eded",
]


ONE_TEXT = sorted(
    name
    for kind in (texts.Texts, structure.Structure, readability.Readability, manners.Manners)
    for name, judge in vars(kind).items()
    if inspect.isfunction(judge)
    and all(
        each.default is not each.empty
        for each in [*inspect.signature(judge).parameters.values()][2:]
    )
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_huge_hostile_text_is_judged_by_everything(piece: str) -> None:
    text = piece * (20_000 // len(piece))

    for name in ONE_TEXT:
        assert isinstance(getattr(LOCAL, name)(text), int | float)
