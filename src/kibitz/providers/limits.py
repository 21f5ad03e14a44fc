"""Judges that are made with what they demand: `Local().shorter_than(words=120)` gives one of their methods.

Each is a provider of its own, so that what it demands is a part of the definition and a worker can make it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import languages, structure, texts, words


class Length(Provider):
    """How long a text may be, counted in exactly one way."""

    local: ClassVar[bool] = True

    def __init__(
        self,
        words: int | None = None,
        characters: int | None = None,
        sentences: int | None = None,
    ) -> None:
        """Make a limit.

        Raises:
            UsageError: none or several are given, or the limit is below 0.
        """
        given = {
            name: limit
            for name, limit in (
                ("words", words),
                ("characters", characters),
                ("sentences", sentences),
            )
            if limit is not None
        }
        if len(given) != 1:
            raise UsageError(
                f"a length is counted in one way, and {len(given)} are given: words, characters or sentences"
            )
        [(self.unit, self.limit)] = given.items()
        if self.limit < 0:
            raise UsageError(
                f"{self.unit} is {self.limit}; a length is 0 or more", value=self.limit
            )

    def shorter_than(self, response: str) -> float:
        """1 where it has fewer than the limit."""
        return float(self.of(words.text(response)) < self.limit)

    def longer_than(self, response: str) -> float:
        """1 where it has more than the limit."""
        return float(self.of(words.text(response)) > self.limit)

    def of(self, text: str) -> int:
        """How long a text is in the unit of the limit."""
        if self.unit == "characters":
            return len(text)
        if self.unit == "words":
            return len(words.words(text))
        return len(words.sentences(text))


class Phrases(Provider):
    """Texts that have to be there, or must not."""

    local: ClassVar[bool] = True

    def __init__(self, phrases: Sequence[str], ignore_case: bool = True) -> None:
        self.phrases = words.texts(phrases, "phrases")
        self.ignore_case = ignore_case

    def parameters(self) -> dict[str, Any]:
        """As lists, which are alike however they were given."""
        return {"phrases": self.phrases, "ignore_case": self.ignore_case}

    def containing(self, response: str) -> float:
        """Which share of the texts is there."""
        return texts.Texts().share_contained(response, self.phrases, self.ignore_case)

    def without(self, response: str) -> float:
        """1 where none of the texts is there."""
        return 1.0 - texts.Texts().contains_any(response, self.phrases, self.ignore_case)


class Pattern(Provider):
    """A regular expression that has to be found."""

    local: ClassVar[bool] = True

    def __init__(self, pattern: str, ignore_case: bool = False) -> None:
        self.pattern = pattern
        self.ignore_case = ignore_case

    def matching(self, response: str) -> float:
        """1 where it is found; see `Texts.matches`."""
        return texts.Texts().matches(response, self.pattern, self.ignore_case)


class Schema(Provider):
    """A JSON schema that has to be kept."""

    local: ClassVar[bool] = True

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)

    def valid_for(self, response: str) -> float:
        """1 where it is JSON that keeps the schema; see `Structure.json_schema`."""
        return structure.Structure().json_schema(response, self.schema)


class Language(Provider):
    """A language that has to be written."""

    local: ClassVar[bool] = True

    def __init__(self, code: str) -> None:
        self.code = code

    def in_language(self, response: str) -> float:
        """How sure the detector is that it is this language; see `Languages.language_probability`."""
        return languages.Languages().language_probability(response, self.code)
