"""`with app as recording:` the records of what ran inside."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from kibitz.base.errors import UsageError

if TYPE_CHECKING:
    from kibitz.apps.evaluating import Judged
    from kibitz.apps.records import AppRecord


class Recordings:
    """The records of one block, in the order that their calls ended. Other blocks, threads and tasks have their own."""

    def __init__(self, app: Any, metadata: dict[str, Any] | None = None) -> None:
        self.app = app
        self.metadata: dict[str, Any] | None = metadata
        """Of each record that begins in this block from now on."""
        self.gathered: list[Judged] = []

    @property
    def record_metadata(self) -> Any:
        """`metadata` under TruLens' name; what is no mapping is kept as `{"metadata": …}`."""
        return self.metadata

    @record_metadata.setter
    def record_metadata(self, given: Any) -> None:
        if isinstance(given, Mapping):
            self.metadata = dict(cast("Mapping[str, Any]", given))
        else:
            self.metadata = None if given is None else {"metadata": given}

    @property
    def records(self) -> list[AppRecord]:
        """The records so far."""
        return [each.record for each in self.gathered]

    def add(self, gathered: Judged) -> None:
        """Take a record; the app does this."""
        self.gathered.append(gathered)

    def get(self) -> AppRecord:
        """The one record of the block.

        Raises:
            UsageError: nothing of the app has run here, or more than one call of it.
        """
        if len(self.gathered) == 1:
            return self.gathered[0].record
        if self.gathered:
            raise UsageError(
                f"{len(self.gathered)} calls of the app ran in this block; `recording.records` has their records"
            )
        raise UsageError(
            "no call of the app has ended in this block. Its methods are recorded where the wrapped object is called, "
            "see `app.print_instrumented()`; a stream is to be read to its end inside, and with KIBITZ_ENABLED=false, "
            "after `kibitz.finish()` or where sampling leaves a call out nothing is recorded"
        )

    def __iter__(self) -> Any:
        return iter(self.records)

    def __getitem__(self, index: int) -> AppRecord:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.gathered)

    def __bool__(self) -> bool:
        return True


_open: ContextVar[tuple[Recordings, ...]] = ContextVar("kibitz_app_recordings", default=())


def opened(app: Any) -> list[Recordings]:
    """The blocks of an app that are open here."""
    return [each for each in _open.get() if each.app is app]


def apps_here() -> list[Any]:
    """The apps of the blocks that are open here, outermost first."""
    return [each.app for each in _open.get()]


def begin(app: Any, metadata: dict[str, Any] | None = None) -> Recordings:
    """Open a block."""
    block = Recordings(app, metadata)
    _open.set((*_open.get(), block))
    return block


def end(app: Any) -> Recordings | None:
    """Close the innermost block of an app, and give it; None where there is none here."""
    here = _open.get()
    for block in reversed(here):
        if block.app is app:
            _open.set(tuple(each for each in here if each is not block))
            return block
    return None
