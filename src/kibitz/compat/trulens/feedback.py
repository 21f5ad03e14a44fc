"""Feedback functions under the names of TruLens' models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

from kibitz.base.errors import UsageError
from kibitz.judging import functions


class Feedback(functions.Feedback):
    """A feedback function that is also its own stored form, as `FeedbackDefinition` is there."""

    __slots__ = ()

    @property
    def agg(self) -> Any:
        """How the numbers of several calls become one: as it is called with a list of them."""
        return self.aggregator.apply

    @property
    def implementation(self) -> dict[str, Any]:
        """The implementation by name, as it is stored."""
        return dict(self.definition.value["implementation"])

    def model_copy(self, **options: Any) -> Self:
        """Itself: it cannot be changed.

        Raises:
            UsageError: something is to be other; `.on(…)` and `.aggregate(…)` make another one.
        """
        if options.get("update"):
            raise UsageError(
                "a feedback function is made anew by its methods: Feedback(f, name=…).on(…).aggregate(…)",
                field="update",
            )
        return self

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The definition as JSON; options of pydantic say nothing here."""
        del options
        return dict(self.definition.value)

    def model_dump_json(self, **options: Any) -> str:
        """The definition as JSON text."""
        return json.dumps(self.model_dump(**options), ensure_ascii=False)

    @classmethod
    def model_validate(cls, obj: Any, *, allow: Sequence[str] | None = None) -> Self:
        """The feedback function of a definition, which is imported.

        Args:
            obj: what `model_dump` gave.
            allow: modules that it may be imported from, besides those of Kibitz.

        Raises:
            NotImportable: its implementation cannot or may not be imported.
            InvalidRecord: this is no definition.
        """
        return cls.load(obj, allow=allow)


FeedbackDefinition = Feedback
