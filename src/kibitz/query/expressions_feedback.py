"""What feedback says, as fields of Python: `feedback("grounded").output.match`. Pure."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Generic, TypeVar

from kibitz.base.errors import QueryError
from kibitz.query import fields, shapes, text_fields
from kibitz.query.expressions import NumberField, Place, Scalar, TextField, TimeField
from kibitz.query.expressions_conditions import Condition, Conditional
from kibitz.query.nodes import Exists, FeedbackField

V = TypeVar("V")
_VERSION = re.compile("[0-9a-f]{1,40}")


class Said(Conditional, Generic[V]):
    """The judgements of one type on a call, and what they say: attributes and items are keys of the payload.

    By itself it is the condition that there is one: `~feedback("thumb")` is "not judged by thumb".
    """

    __slots__ = ("_field",)

    def __init__(self, field: FeedbackField) -> None:
        self._field = field

    def exists(self) -> Condition:
        """There is such a judgement."""
        checked = fields.parse(fields.format(self._field))
        assert isinstance(checked, FeedbackField)
        return Condition(Exists(dataclasses.replace(self._field, type=checked.type)))

    @property
    def payload(self) -> Place[V]:
        """All that they say; below it every name is a key: `feedback("x").payload.mean`."""
        return Place(self._field)

    def __getattr__(self, key: str) -> Place[V]:
        if key.startswith("_"):
            raise AttributeError(f"feedback has no {key!r}; write [{key!r}] for the key")
        if key in fields.OVERS or key in fields.PARTS:
            raise QueryError(f"there is no {key} of {self!r}; write [{key!r}] for the key")
        return self.payload[key]

    def __getitem__(self, key: str | int) -> Place[V]:
        return self.payload[key]

    def __bool__(self) -> bool:
        raise QueryError(
            f"{self!r} is not true or false before it is asked; "
            "join it with & | ~ in place of and, or and not"
        )

    def __iter__(self) -> Any:
        raise QueryError(f"{self!r} is of many calls and cannot be gone through")

    def __eq__(self, value: object) -> bool:
        raise QueryError(
            f"{self!r} is a whole judgement; name what it says, such as {self!r}.output, "
            "or ask .exists()",
            suggestion=f"{self!r}.output",
        )

    # Less and greater too, so that all say what to name instead.
    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__

    def __hash__(self) -> int:
        return hash(self._field)

    def __repr__(self) -> str:
        return text_fields.format(self._field)


class Judgement(Said[Scalar]):
    """The judgements of one type on a call: by whom, when, how many, what they say, and which of them count."""

    __slots__ = ()

    @property
    def author(self) -> TextField:
        """Who judged."""
        return TextField(dataclasses.replace(self._field, part="author"))

    @property
    def created_at(self) -> TimeField:
        """When."""
        return TimeField(dataclasses.replace(self._field, part="created_at"))

    @property
    def count(self) -> NumberField:
        """How many stand."""
        return NumberField(dataclasses.replace(self._field, part="count"))

    @property
    def latest(self) -> Judgement:
        """The newest of all authors; what counts where nothing is said."""
        return Judgement(dataclasses.replace(self._field, over="latest"))

    @property
    def any(self) -> Judgement:
        """One of the authors says so."""
        return Judgement(dataclasses.replace(self._field, over="any"))

    @property
    def all(self) -> Judgement:
        """There are some, and each says so."""
        return Judgement(dataclasses.replace(self._field, over="all"))

    @property
    def mean(self) -> Said[float]:
        """The mean of what the authors say, booleans as 0 and 1."""
        return Said(dataclasses.replace(self._field, over="mean"))

    @property
    def min(self) -> Extreme:
        """The least of what the authors say."""
        return Extreme(dataclasses.replace(self._field, over="min"))

    @property
    def max(self) -> Extreme:
        """The greatest of what the authors say."""
        return Extreme(dataclasses.replace(self._field, over="max"))

    @property
    def agree(self) -> Said[bool]:
        """Whether two or more say the same; missing for fewer."""
        return Said(dataclasses.replace(self._field, over="agree"))

    def version(self, digest: str) -> Judgement:
        """Only what a version of the scorer or specification made, by the beginning of its digest.

        Raises:
            QueryError: it is no beginning of a digest.
        """
        if not isinstance(digest, str) or not _VERSION.fullmatch(digest):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise QueryError(
                f"version {shapes.short(digest)} is not the beginning of a digest, 1 to 40 of 0-9 and a-f"
            )
        return Judgement(dataclasses.replace(self._field, version=digest))


class Extreme(Said[float]):
    """The least or greatest of several judgements."""

    __slots__ = ()

    @property
    def created_at(self) -> TimeField:
        """The first or last time."""
        return TimeField(dataclasses.replace(self._field, part="created_at"))


class Feedback:
    """Where judgements begin: `feedback("grounded")` by a short name, `feedback["any type"]` by a whole one."""

    __slots__ = ()

    def __call__(self, name: str) -> Judgement:
        """The judgements of a name.

        Args:
            name: a whole type (`runnable.grounded`, `annotation.helpful`, `note`, `reaction`), `*` for any, or the
                name alone, which means what the project knows under it when it is asked: the type of exactly this
                name, else `runnable.<name>` or `annotation.<name>`.

        Raises:
            QueryError: it is no name.
        """
        _check(name)
        if text_fields.is_whole_type(name):
            return Judgement(FeedbackField(name))
        return Judgement(text_fields.ShortName(name))

    def __getitem__(self, type: str) -> Judgement:
        """The judgements of exactly this type. Raises `QueryError` where it is no text."""
        _check(type)
        return Judgement(FeedbackField(type))

    def __iter__(self) -> Any:
        raise QueryError("feedback is of many calls and cannot be gone through")

    def __repr__(self) -> str:
        return "feedback"


def _check(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise QueryError(
            f"feedback of what? {shapes.short(name)} is no name; "
            'write feedback("grounded"), or feedback("*") for any'
        )


feedback = Feedback()

__all__ = ["Extreme", "Feedback", "Judgement", "Said", "feedback"]
