"""Where values of records and apps are: the beginnings of selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from kibitz.base.errors import UsageError
from kibitz.judging import lenses
from kibitz.judging.lenses import Lens
from kibitz.judging.steps import Member

_RECORD, _APP = Lens().__record__, Lens().__app__


class Select:
    """The beginnings of selectors: `Select.RecordCalls.retriever.retrieve.rets[:].text`."""

    Lens: ClassVar = Lens
    Query: ClassVar = Lens
    Tru: ClassVar = Lens()
    """What a feedback function is run on: record and app beside one another."""

    Record: ClassVar = _RECORD
    """The record."""
    App: ClassVar = _APP
    """What is known of the app, as JSON."""
    RecordInput: ClassVar = _RECORD.main_input
    """What the app was asked: the first argument of the root call, see `main_values`."""
    RecordOutput: ClassVar = _RECORD.main_output
    """What the app answered."""
    RecordCalls: ClassVar = _RECORD.app
    """The calls, laid out as the app is."""
    RecordCall: ClassVar = _RECORD.calls[-1]
    """The root call, which ends last."""
    RecordArgs: ClassVar = _RECORD.calls[-1].args
    """The arguments of the root call by name."""
    RecordRets: ClassVar = _RECORD.calls[-1].rets
    """What the root call returned."""
    RecordSpans: ClassVar = _RECORD.calls
    """The calls as a list, in the order in which they ended."""

    @staticmethod
    def spans(
        *,
        op: str | None = None,
        kind: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Lens:
        """Calls by what they are, wherever they were made: `Select.spans(kind="retriever").rets[:].text`.

        Args:
            op: the name; `*` stands for any characters.
            kind: `llm`, `retriever`, `tool` …
            attributes: values by key, with dots between keys that lie inside one another.
        """
        return _RECORD.calls.where(op=op, kind=kind, attributes=attributes)

    @staticmethod
    def path_and_method(select: Lens) -> tuple[Lens, str]:
        """A selector of calls as the place of the component and the name of its method.

        Raises:
            UsageError: it is empty or does not end in a name.
        """
        path = lenses.steps_of(select)
        if not path or not isinstance(path[-1], Member):
            raise UsageError(
                f"{str(select)!r} does not end in the name of a method", field="selector"
            )
        return Lens(*path[:-1]), path[-1].name

    @staticmethod
    def dequalify(select: Lens) -> Lens:
        """A selector without `__record__` or `__app__` at its beginning."""
        path = lenses.steps_of(select)
        if path and path[0] in (Member("__record__"), Member("__app__")):
            return Lens(*path[1:])
        return select

    @staticmethod
    def for_record(select: Lens) -> Lens:
        """A selector inside a record, to be used on what a feedback function is run on."""
        return _RECORD + select

    @staticmethod
    def for_app(select: Lens) -> Lens:
        """A selector inside an app, to be used on what a feedback function is run on."""
        return _APP + select

    @staticmethod
    def render(select: Lens) -> str:
        """A selector as one writes it in a program: `Select.RecordCalls.retrieve.rets[:]`."""
        for name in ("RecordCalls", "RecordInput", "RecordOutput", "Record", "App"):
            begin: Lens = getattr(Select, name)
            if begin.is_prefix_of(select):
                rest = repr(Lens(*lenses.steps_of(select)[len(begin) :]))
                return f"Select.{name}{rest.removeprefix('Lens()')}"
        return f"Select.{select!r}"
