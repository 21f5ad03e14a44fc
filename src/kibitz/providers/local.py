"""Everything that judges a text without a model service: `Local`, and what it is made of.

    from kibitz import Feedback
    from kibitz.providers import Local

    local = Local()
    Feedback(local.shorter_than(words=120)).on_output()
    Feedback(local.contains).on_output().with_arguments(text="refund")
    Feedback(local.groundedness_with_reasons).on(source=Select.RecordCalls.retrieve.rets).on_output()

A method that takes a `response` judges it. One that takes none is made with what it demands and gives a judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from kibitz.providers import limits
from kibitz.providers.languages import Languages
from kibitz.providers.manners import Manners
from kibitz.providers.overlap import Overlap
from kibitz.providers.privacy import Privacy
from kibitz.providers.readability import Readability
from kibitz.providers.sentiment import Sentiment
from kibitz.providers.structure import Structure
from kibitz.providers.texts import Texts
from kibitz.providers.toxicity import Toxicity
from kibitz.providers.translation import Translation

Judge = Callable[[str], float]
"""Judges a `response`. A bound method of a provider: it has a name, and its parameters are a part of the definition."""


class Local(
    Texts,
    Structure,
    Privacy,
    Readability,
    Manners,
    Overlap,
    Translation,
    Languages,
    Sentiment,
    Toxicity,
):
    """All judges of texts that only compute: quick, alike for alike texts, without a network."""

    local: ClassVar[bool] = True

    def shorter_than(
        self,
        words: int | None = None,
        characters: int | None = None,
        sentences: int | None = None,
    ) -> Judge:
        """A judge that gives 1 to what is shorter than one limit.

        Raises:
            UsageError: none or several limits are given.
        """
        return limits.Length(**_given(words, characters, sentences)).shorter_than

    def longer_than(
        self,
        words: int | None = None,
        characters: int | None = None,
        sentences: int | None = None,
    ) -> Judge:
        """A judge that gives 1 to what is longer than one limit.

        Raises:
            UsageError: none or several limits are given.
        """
        return limits.Length(**_given(words, characters, sentences)).longer_than

    def containing(self, *phrases: str, ignore_case: bool = True) -> Judge:
        """A judge that gives the share of the phrases that occur.

        Raises:
            UsageError: no phrase is given.
        """
        return limits.Phrases([*phrases], ignore_case=ignore_case).containing

    def without(self, *phrases: str, ignore_case: bool = True) -> Judge:
        """A judge that gives 1 where none of the phrases occurs.

        Raises:
            UsageError: no phrase is given.
        """
        return limits.Phrases([*phrases], ignore_case=ignore_case).without

    def matching(self, pattern: str, ignore_case: bool = False) -> Judge:
        """A judge that gives 1 where a regular expression (RE2's) is found."""
        return limits.Pattern(pattern, ignore_case).matching

    def valid_for(self, schema: Mapping[str, Any]) -> Judge:
        """A judge that gives 1 to JSON that keeps a schema."""
        return limits.Schema(schema).valid_for

    def in_language(self, code: str) -> Judge:
        """A judge that gives how sure it is that a text is in a language, as `en`. Needs `kibitz[languages]`."""
        return limits.Language(code).in_language


def _given(words: int | None, characters: int | None, sentences: int | None) -> dict[str, Any]:
    """The limits that are given: a definition does not depend on how it was spelled."""
    named: Sequence[tuple[str, int | None]] = (
        ("words", words),
        ("characters", characters),
        ("sentences", sentences),
    )
    return {name: limit for name, limit in named if limit is not None}
