"""What a worker may not or cannot run, and leaves to others: it waits until nobody else does it either.

Workers may be allowed different modules. So what one cannot import it gives back, and claims no more of it as long as
another worker may take it. Where none does, it is claimed after all, to fail with the reason: nothing waits for ever
for somebody who never comes.
"""

from __future__ import annotations

from dataclasses import dataclass

from kibitz.base import clock
from kibitz.base.errors import NotFound
from kibitz.base.evaluations import EvaluationProgress
from kibitz.storage.protocols import Evaluations
from kibitz.workers.held import Held

_LOOKS_PER_PATIENCE = 5
_LONGEST = 60
"""Where other workers are busy, they have so many times as long."""


@dataclass(slots=True)
class _Left:
    """One definition that is left to others."""

    project: str
    still_since: int
    """Since when nobody has begun any of it; nanoseconds of a clock that only goes forward."""
    quiet_since: int
    """Since when, besides, no other worker has had anything to do."""
    begun: int = -1
    """How many of its evaluations others have begun or ended, as of the last look."""


class Leavings:
    """The definitions that a worker leaves to others, by reference. For one thread."""

    def __init__(self, evaluations: Evaluations, held: Held, *, patience_s: float) -> None:
        """Nothing is left to others yet.

        Args:
            evaluations: of the store.
            held: what this worker has itself.
            patience_s: for how long nobody else has begun any, until nobody is expected to; 0 to expect nobody.
        """
        self._evaluations = evaluations
        self._held = held
        self._patience_ns = int(patience_s * 1e9)
        self._left: dict[str, _Left] = {}
        self._nobodys: set[str] = set()
        self._next_look = 0

    @property
    def refs(self) -> list[str]:
        """What is not to be claimed."""
        return [ref for ref in self._left if ref not in self._nobodys]

    def leave(self, ref: str, project: str) -> bool:
        """Whether a definition that cannot be run here is left to others; nobody does it where not."""
        if not self._patience_ns or ref in self._nobodys:
            return False
        now = clock.monotonic_ns()
        if ref not in self._left:
            self._left[ref] = _Left(project, now, now)
            self._next_look = min(self._next_look, now)
        return True

    def claimed(self, refs: set[str]) -> None:
        """Something was claimed, of these definitions: of what nobody did there is none left where it is not among them."""
        for ref in self._nobodys - refs:
            # What comes later is left to others first: one may have been started since.
            self._nobodys.discard(ref)
            del self._left[ref]

    def look(self) -> None:
        """See whether others do what is left to them; at most a few times while one waits.

        Raises:
            KibitzError: the store cannot be asked now.
        """
        now = clock.monotonic_ns()
        if not self._left or now < self._next_look:
            return
        self._next_look = now + self._patience_ns // _LOOKS_PER_PATIENCE
        for project in {left.project for left in self._left.values()}:
            # Counted first: what ends meanwhile is then no other worker's.
            own = self._held.of_project(project)
            try:
                found = {each.definition_ref: each for each in self._evaluations.progress(project)}
            except NotFound:
                found = {}
            others = sum(each.running for each in found.values()) > own
            for ref in [ref for ref, left in self._left.items() if left.project == project]:
                self._judge(ref, found.get(ref), now, others=others)

    def _judge(self, ref: str, found: EvaluationProgress | None, now: int, *, others: bool) -> None:
        if ref in self._nobodys:
            return
        if found is None or not found.wanted + found.running:
            del self._left[ref]
            return
        left = self._left[ref]
        begun = found.running + found.done + found.failed + found.skipped
        moved = begun != left.begun
        left.begun = begun
        if moved:
            left.still_since = now
        if moved or others:
            left.quiet_since = now
        if (
            now - left.quiet_since >= self._patience_ns
            or now - left.still_since >= _LONGEST * self._patience_ns
        ):
            self._nobodys.add(ref)
