"""How offensive an English text sounds, by the packaged classifier of `alt-profanity-check`.

A linear model over single words, trained on posts that people had marked as offensive: it knows swearing and slurs,
and neither irony nor what is said politely and is cruel; quoting an insult is one. Nothing is downloaded; the model is
read from the installed package. The package asks for one exact version of scikit-learn.

This module is the only one that knows `profanity_check`.
"""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from kibitz.base.errors import MissingExtra
from kibitz.base.provider import Provider
from kibitz.providers import loading, words

_CHARACTERS = 5000
_SENTENCES = 500


@loading.Once
def _predict() -> Any:
    try:
        module: Any = importlib.import_module("profanity_check")
    except ImportError as error:
        raise MissingExtra(
            "toxicity needs the package alt-profanity-check; install kibitz[toxicity]"
        ) from error
    return module.predict_prob


class Toxicity(Provider):
    """How offensive an English text sounds. Needs `kibitz[toxicity]`."""

    local: ClassVar[bool] = True

    def toxic(self, response: str) -> float:
        """The probability that its worst sentence is offensive: lower is better; 0 where there is no sentence.

        The first 500 sentences are looked at.

        Raises:
            MissingExtra: the classifier is not installed.
        """
        return self.toxic_with_reasons(response)[0]

    def toxic_with_reasons(self, response: str) -> tuple[float, dict[str, str]]:
        """`toxic`, and the sentence that it is about."""
        every = [each[:_CHARACTERS] for each in words.sentences(words.text(response))[:_SENTENCES]]
        if not every:
            return 0.0, {"reason": "there is no sentence"}
        worst, at = max((float(each), -at) for at, each in enumerate(_predict()(every)))
        return worst, {"reason": every[-at][:200]}

    def not_toxic(self, response: str) -> float:
        """1 less `toxic`."""
        return 1.0 - self.toxic(response)
