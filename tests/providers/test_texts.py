"""What a text says and how long it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base.errors import QueryError, UsageError
from kibitz.providers import Local, words

LOCAL = Local()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" \n\t", 0),
        ("Don't stop well-known e-mails.", 6),
        ("one — two … three!", 3),
        ("3.5 km/h", 4),
        ("你好世界", 4),
        ("Привет, мир", 2),
        ("naïve café", 2),
        ("😀😀", 0),
    ],
)
def test_words_are_counted(text: str, count: int) -> None:
    assert LOCAL.word_count(text) == count


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met J. K. Rowling at 3.5 p.m. sharp.", 1),
        ("Really?! Yes… “He said no.” She left.", 4),
        ("Steps:\n1. Wash it\n2. Dry it\n\nDone", 4),
        ("- a\n- b", 2),
        ("今日は。明日は！", 2),
        ("No. I went.", 2),
        ("...", 0),
        ("", 0),
    ],
)
def test_sentences_are_told_apart(text: str, found: int | list[str]) -> None:
    seen = words.sentences(text)

    assert (seen if isinstance(found, list) else len(seen)) == found


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_sentences_have_all_words_of_the_text(text: str) -> None:
    assert [each for part in words.sentences(text) for each in words.tokens(part)] == words.tokens(
        text
    )


def test_contains_looks_without_regard_to_case_unless_told() -> None:
    text = "Refunds take ONE week. Straße"

    assert LOCAL.contains(text, "one week") == 1.0
    assert LOCAL.contains(text, "one week", ignore_case=False) == 0.0
    assert LOCAL.contains(text, "STRASSE") == 1.0
    assert LOCAL.contains_any(text, ["never", "refund"]) == 1.0
    assert LOCAL.contains_all(text, ["never", "refund"]) == 0.0
    assert LOCAL.share_contained(text, ["never", "refund"]) == 0.5
    assert LOCAL.starts_with("  Yes, sir", "yes") == 1.0
    assert LOCAL.ends_with("the end.\n", "END.") == 1.0


def test_equality_is_exact_and_the_exact_match_is_that_of_squad() -> None:
    assert LOCAL.equals("The answer", "the answer") == 0.0
    assert LOCAL.exact_match("The  answer!", "answer") == 1.0
    assert LOCAL.exact_match("an answer", "no answer") == 0.0


def test_a_pattern_is_found() -> None:
    assert LOCAL.matches("Order 4711 is on its way", r"\b\d{4}\b") == 1.0
    assert LOCAL.matches("ORDER", "order") == 0.0
    assert LOCAL.matches("ORDER", "order", ignore_case=True) == 1.0
    with pytest.raises(QueryError, match="never closed"):
        LOCAL.matches("x", "(")


def test_a_pattern_that_would_take_for_ever_elsewhere_does_not() -> None:
    assert LOCAL.matches("a" * 50_000, "(a|a|aa)+$b") == 0.0


def test_limits_count_in_their_unit() -> None:
    local = Local()

    assert [local.shorter_than(words=3)(text) for text in ("a b", "a b c")] == [1.0, 0.0]
    assert [local.longer_than(sentences=1)(text) for text in ("One.", "One. Two.")] == [0.0, 1.0]
    assert local.shorter_than(characters=4)("abc") == 1.0
    with pytest.raises(UsageError, match="2 are given"):
        local.shorter_than(words=3, characters=3)
    with pytest.raises(UsageError, match="0 are given"):
        local.longer_than()
    with pytest.raises(UsageError, match="words is -1"):
        local.longer_than(words=-1)


def test_made_judges_judge() -> None:
    local = Local()

    assert local.containing("sorry", "refund")("We refund you") == 0.5
    assert local.without("sorry", "refund")("We pay you") == 1.0
    assert local.without("sorry", "refund")("SORRY") == 0.0
    assert local.matching("^We")("We refund") == 1.0
    assert local.valid_for({"type": "array"})("[1]") == 1.0
    with pytest.raises(UsageError, match="at least one text"):
        local.containing()


def test_several_texts_are_judged_as_one() -> None:
    assert LOCAL.contains(["first", "second"], "second") == 1.0  # type: ignore[arg-type]
    assert LOCAL.word_count(("one", "two three")) == 3  # type: ignore[arg-type]


def test_lengths_beside_each_other() -> None:
    assert LOCAL.length_ratio("a b", "a b c d") == 0.5
    assert LOCAL.length_ratio("", "") == 1.0
    assert LOCAL.length_ratio("", "a") == 0.0
    assert LOCAL.character_count("äöü") == 3
    assert LOCAL.not_empty(" \n") == 0.0
    assert LOCAL.not_empty("x") == 1.0
