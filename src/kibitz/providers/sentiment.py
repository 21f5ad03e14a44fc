"""How positive an English text sounds, by the packaged word list and rules of VADER.

7,500 rated words with rules for negation, emphasis and capitals (Hutto and Gilbert 2014), made for posts on social
media; it knows no context and no irony, and nothing but English. The package is complete and has not changed since
2020; nothing is downloaded.

This module is the only one that knows `vaderSentiment`.
"""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from kibitz.base.errors import MissingExtra
from kibitz.base.provider import Provider
from kibitz.providers import loading, words

_SENTENCE_CHARACTERS = 2000
_SENTENCES = 500


@loading.Once
def _analyzer() -> Any:
    try:
        module: Any = importlib.import_module("vaderSentiment.vaderSentiment")
    except ImportError as error:
        raise MissingExtra(
            "sentiment needs the package vaderSentiment; install kibitz[sentiment]"
        ) from error
    return module.SentimentIntensityAnalyzer()


class Sentiment(Provider):
    """How positive an English text sounds. Needs `kibitz[sentiment]`."""

    local: ClassVar[bool] = True

    def positive_sentiment(self, response: str) -> float:
        """0 (negative) to 1 (positive), 0.5 for what sounds like neither: the mean over its sentences.

        Of each sentence it is VADER's compound score, moved from -1 … 1 to 0 … 1; a whole text at once would come out
        at one of the ends as soon as it is long. The first 500 sentences are looked at.

        Raises:
            MissingExtra: the word list is not installed.
        """
        every = words.sentences(words.text(response))[:_SENTENCES]
        if not every:
            return 0.5
        analyzer = _analyzer()
        compound = [
            analyzer.polarity_scores(each[:_SENTENCE_CHARACTERS])["compound"] for each in every
        ]
        return (1 + sum(compound) / len(compound)) / 2
