"""Which language a text is in, by the packaged detector of `py3langid`.

A naive Bayes model over runs of bytes for 97 languages (Lui and Baldwin 2012, retrained by A. Barbaresi), 5 MB, shipped
in the package; nothing is downloaded. It needs some words to be sure: single words and names are often wrong, and a
text in two languages is one of them.

This module is the only one that knows `py3langid`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar

from kibitz.base.errors import MissingExtra, UsageError
from kibitz.base.provider import Provider
from kibitz.providers import loading, words

_LOOKED_AT = 20_000
"""Characters: more make no answer surer."""


def ranked(text: str) -> list[tuple[str, float]]:
    """Every language with its probability, the likeliest first; nothing for a text without a letter."""
    if not any(map(str.isalpha, text)):
        return []
    return [
        (str(code), float(probability)) for code, probability in _detector().rank(text[:_LOOKED_AT])
    ]


@loading.Once
def _detector() -> Any:
    try:
        module: Any = importlib.import_module("py3langid.langid")
    except ImportError as error:
        raise MissingExtra(
            "detecting languages needs the package py3langid; install kibitz[languages]"
        ) from error
    return module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)


class Languages(Provider):
    """Which language a text is in. Needs `kibitz[languages]`."""

    local: ClassVar[bool] = True

    def language_probability(self, response: str, code: str) -> float:
        """How sure the detector is that it is this language; 0 for a text without a letter.

        Args:
            response: the text.
            code: two letters of ISO 639-1, as `en`.

        Raises:
            MissingExtra: the detector is not installed.
            UsageError: the detector does not know the language.
        """
        known = dict(ranked(words.text(response)) or [(code, 0.0)])
        if code not in known:
            raise UsageError(
                f"code is {code!r}, which the detector does not know; two letters of ISO 639-1, as 'en'",
                value=code,
            )
        return known[code]

    def language_match(self, response: str, reference: str) -> float:
        """How alike the likely languages of both texts are: 1 for the same one, 0 for different ones.

        1 less half the sum of the differences of their probabilities (total variation distance). What has no letter
        matches everything.
        """
        return self.language_match_with_reasons(response, reference)[0]

    def language_match_with_reasons(
        self, response: str, reference: str
    ) -> tuple[float, dict[str, str]]:
        """`language_match`, and which languages they seem to be."""
        one, other = ranked(words.text(response)), ranked(words.text(reference, "reference"))
        if not one or not other:
            return 1.0, {"reason": "there is no letter in one of them"}
        said, wanted = dict(one), dict(other)
        apart = sum(abs(said.get(code, 0.0) - wanted.get(code, 0.0)) for code in {*said, *wanted})
        return max(0.0, 1.0 - apart / 2), {"reason": f"{_likeliest(one)}, and {_likeliest(other)}"}


def _likeliest(found: Sequence[tuple[str, float]]) -> str:
    code, probability = found[0]
    return f"{code} ({probability:.0%})"
