"""The feedback functions that definitions stand for, each loaded once in a process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from kibitz.base import refs
from kibitz.base.errors import KibitzError, NotFound, NotImportable, RefError, UsageError
from kibitz.base.evaluations import DEFINITION, EvaluationPart
from kibitz.base.specifications import TYPE_KEY
from kibitz.storage.protocols import ObjectReader


class Result(Protocol):
    """What a feedback function said of a record."""

    @property
    def retriable(self) -> bool: ...
    def part(self, *, run_id: str, definition_ref: str, call_id: str) -> EvaluationPart: ...


class Judge(Protocol):
    """A feedback function, as far as a worker knows it."""

    @property
    def is_async(self) -> bool: ...
    @property
    def is_local(self) -> bool: ...
    def run(self, app: Any = None, record: Any = None) -> Result: ...
    async def arun(self, app: Any = None, record: Any = None) -> Result: ...


Load = Callable[[dict[str, Any]], Judge]
"""Makes a feedback function of the value of a definition."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A feedback function, or why there is none."""

    ref: str
    name: str
    judge: Judge
    reason: str = ""
    """Why there is none, in a sentence."""
    error: str | None = None
    """The traceback, where something was raised that is none of ours."""
    elsewhere: bool = False
    """Whether another process may have what is missing here: a module, or the leave to import it."""


class _Nobody:
    """Stands where there is no feedback function. It is not asked; whoever does gets an error."""

    is_async = False
    is_local = False

    def run(self, app: Any = None, record: Any = None) -> Result:
        raise UsageError("there is no such feedback function")

    async def arun(self, app: Any = None, record: Any = None) -> Result:
        return self.run(app, record)


_NOBODY = _Nobody()


class Definitions:
    """Feedback functions by the references of their definitions."""

    def __init__(self, objects: ObjectReader, load: Load) -> None:
        self._objects = objects
        self._load = load
        self._known: dict[str, Loaded] = {}

    def get(self, ref: str) -> Loaded:
        """The feedback function; what cannot be loaded stays so until the process ends.

        Raises:
            KibitzError: the store cannot be asked now.
        """
        known = self._known.get(ref)
        if known is None:
            known = self._known[ref] = self._loaded(ref)
        return known

    def _loaded(self, ref: str) -> Loaded:
        name = ref
        try:
            parsed = refs.parse_ref(ref)
            name = parsed.name
            version = self._objects.get(parsed.project, parsed.kind, name, parsed.digest or "")
        except (RefError, NotFound) as error:
            return Loaded(ref, name, _NOBODY, f"the definition is not there: {error.message}")
        value = version.value
        if not isinstance(value, dict) or cast("dict[str, Any]", value).get(TYPE_KEY) != DEFINITION:
            return Loaded(ref, name, _NOBODY, f"{ref} is no feedback definition")
        try:
            return Loaded(ref, name, self._load(cast("dict[str, Any]", value)))
        except NotImportable as error:
            return Loaded(ref, name, _NOBODY, error.message, elsewhere="module" in error.facts)
        except KibitzError as error:
            return Loaded(ref, name, _NOBODY, error.message)
        except Exception as error:  # noqa: BLE001  around a user's module, which may raise anything when imported
            said = f"{type(error).__name__}: {error}"[:500]
            return Loaded(
                ref, name, _NOBODY, f"{name!r} cannot be loaded: {said}", traceback.format_exc()
            )


def loading(allow: Sequence[str]) -> Load:
    """Loads definitions whose implementations are in these modules, or in those that are always allowed."""
    from kibitz.workers.judging import Judging

    def load(value: dict[str, Any]) -> Judge:
        return Judging.load(value, allow=allow)

    return load
