"""Saved views from Python: the questions that a project keeps under names, for programs, pages and people alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kibitz.asking.calls import CallSet
from kibitz.asking.places import Named, Place
from kibitz.asking.questions import Question
from kibitz.base import refs
from kibitz.base.api import NewView
from kibitz.base.errors import UsageError
from kibitz.base.records import View
from kibitz.query import expressions, fields, shapes
from kibitz.query.expressions import Field


class Views:
    """The views of one project. Going through them gives each, by name."""

    __slots__ = ("_place",)

    def __init__(self, project: str, source: Named = None) -> None:
        """The views of a project.

        Args:
            project: `app` or `team/app`.
            source: where they are, as for `kibitz.calls`.

        Raises:
            UsageError: the project's name or the source cannot be used.
        """
        self._place = Place(refs.check_project(project), source)

    def __iter__(self) -> Iterator[View]:
        with self._place.opened() as store:
            return iter(store.views.list(self._place.project))

    def get(self, name: str) -> View:
        """One view; raises `NotFound`."""
        with self._place.opened() as store:
            return store.views.get(self._place.project, name)

    def calls(self, name: str) -> CallSet:
        """The calls that a view asks for now, in its order; raises `NotFound`."""
        view = self.get(name)
        asked = Question(self._place).where([view.query])
        found = CallSet(asked)
        return found.sort(view.sort) if view.sort.strip() else found

    def save(
        self,
        name: str,
        calls: CallSet | str,
        *,
        columns: Iterable[Field[Any] | str] = (),
        author: str = "",
    ) -> View:
        """Keep a question under a name, in the place of what the name had.

        Args:
            name: up to 100 printable characters.
            calls: a set of calls of this project, of which its question is kept, or a query in words.
            columns: the fields to show, `calls.op` or `"output.text"`; the usual ones without any.
            author: who saves it.

        Raises:
            QueryError: the words cannot be understood.
            UsageError: the name, a column or the set cannot be used.
            NotFound: there is no such project.
        """
        if isinstance(calls, CallSet):
            if calls.project != self._place.project:
                raise UsageError(
                    f"the set is of {calls.project!r}, and the view of {self._place.project!r}"
                )
            words = calls.words()
        else:
            words = calls
        view = NewView(query=words, columns=[_column(each) for each in columns], author=author)
        with self._place.opened() as store:
            return store.views.save(self._place.project, name, view)

    def delete(self, name: str) -> View:
        """Forget a view and give what it was; raises `NotFound`."""
        with self._place.opened() as store:
            return store.views.delete(self._place.project, name)

    def __repr__(self) -> str:
        return f"<views of {self._place.project}>"


def _column(given: object) -> str:
    if isinstance(given, str):
        return given
    operand = expressions.field_of(given)
    if operand is None:
        raise UsageError(f"{shapes.short(given)} is no column; write a field, or its words")
    return fields.format(operand)
