"""Languages, sentiment and offence by the models that packages ship."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from kibitz.base.errors import MissingExtra, UsageError
from kibitz.providers import Local, languages, sentiment, toxicity

LOCAL = Local()
SENTENCES = {
    "en": "The weather is nice today and we are going to the park.",
    "de": "Das Wetter ist heute schön und wir gehen in den Park.",
    "fr": "Il fait beau aujourd'hui et nous allons au parc.",
    "es": "Hoy hace buen tiempo y vamos a ir al parque.",
    "ru": "Сегодня хорошая погода, и мы идём в парк.",
    "ja": "今日は天気がいいので公園に行きます。",
    "ar": "الطقس جميل اليوم وسنذهب إلى الحديقة.",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_language_is_known(code: str) -> None:
    text = SENTENCES[code]

    assert languages.ranked(text)[0][0] == code
    assert LOCAL.language_probability(text, code) > 0.8
    assert LOCAL.in_language(code)(text) == LOCAL.language_probability(text, code)
    assert sum(each for _, each in languages.ranked(text)) == pytest.approx(1, abs=1e-4)


def test_languages_match_where_they_are_the_same() -> None:
    same = LOCAL.language_match(
        SENTENCES["de"], "Morgen wird es wahrscheinlich regnen, sagt die Zeitung."
    )
    score, said = LOCAL.language_match_with_reasons(SENTENCES["de"], SENTENCES["fr"])

    assert same > 0.8 > 0.2 > score
    assert said["reason"].startswith("de (")
    assert LOCAL.language_match("12 + 3", SENTENCES["fr"]) == 1.0
    with pytest.raises(UsageError, match="code is 'english'"):
        LOCAL.language_probability("Hello there", "english")
    assert LOCAL.language_probability("…", "en") == 0.0


def test_sentiment_is_that_of_the_words() -> None:
    assert LOCAL.positive_sentiment("This is wonderful. I love it!") > 0.8
    assert LOCAL.positive_sentiment("This is terrible. I hate it!") < 0.3
    assert LOCAL.positive_sentiment("It is not good.") < 0.5
    assert LOCAL.positive_sentiment("The table is in the room.") == 0.5
    assert LOCAL.positive_sentiment("") == 0.5


def test_sentiment_of_a_long_text_does_not_run_to_an_end() -> None:
    assert LOCAL.positive_sentiment("A good day. A bad day. " * 200) == pytest.approx(
        0.47, abs=0.03
    )


def test_offence_is_that_of_the_worst_sentence() -> None:
    score, said = LOCAL.toxic_with_reasons(
        "Thank you for the help. You are a fucking idiot. Goodbye."
    )

    assert score > 0.9
    assert said["reason"] == "You are a fucking idiot."
    assert LOCAL.toxic("Thank you for your help, the shop opens at nine.") < 0.2
    assert LOCAL.not_toxic("") == 1.0


@pytest.mark.parametrize(
    ("door", "loader", "judge", "extra"),
    [
        (languages, "_detector", "language_match", "languages"),
        (sentiment, "_analyzer", "positive_sentiment", "sentiment"),
        (toxicity, "_predict", "toxic", "toxicity"),
    ],
)
def test_what_is_not_installed_is_named(
    door: Any, loader: str, judge: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    getattr(door, loader).forget()
    monkeypatch.setattr(importlib, "import_module", missing)
    arguments = ["A text.", "Another text."] if judge == "language_match" else ["A text."]

    with pytest.raises(MissingExtra, match=rf"install kibitz\[{extra}\]"):
        getattr(LOCAL, judge)(*arguments)


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "Bad. " * 40_000, "\x00", "\ud800 word", "!" * 100_000]
)
def test_odd_and_huge_texts_are_judged(text: str) -> None:
    for judge in (LOCAL.positive_sentiment, LOCAL.toxic):
        assert 0 <= judge(text) <= 1
    assert 0 <= LOCAL.language_match(text, "A text in English.") <= 1
