"""Records on their way to a worker: as many at once as are some megabytes, however large each is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from kibitz.base.errors import KibitzError, QueryTimeout
from kibitz.base.records import Call
from kibitz.storage.protocols import Evaluations

MOST = 100
"""Records that are asked for at once."""
_FIRST = 2
"""As long as nothing is known about their size."""
PORTION_BYTES = 8 << 20
"""What is asked for at once is to be about so large, as JSON."""
_CALL_BYTES = 1000
"""What a call takes besides what was recorded of it."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Some records, or why they cannot be read."""

    asked: Sequence[str]
    """The ids of their root calls."""
    found: dict[str, list[Call]] = field(default_factory=dict[str, list[Call]])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    """How large each is, bytes of JSON, about."""
    error: QueryTimeout | None = None
    """That it took too long to read this one, alone."""


class Portions:
    """Reads records, and learns how many may be asked for at once. For one thread."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations
        self._count = _FIRST

    def read(self, project: str, call_ids: Sequence[str]) -> Iterator[Portion]:
        """Records by the ids of their root calls, in order, portion by portion.

        Raises:
            KibitzError: the store cannot be asked now.
        """
        first = 0
        while first < len(call_ids):
            asked = call_ids[first : first + self._count]
            try:
                found = self._evaluations.records(project, asked)
            except QueryTimeout as error:
                self._count = max(1, len(asked) // 2)
                if len(asked) > 1:
                    continue
                first += 1
                yield Portion(asked, error=error)
                continue
            except KibitzError:
                # It may be too much for the way here.
                self._count = max(1, len(asked) // 2)
                raise
            first += len(asked)
            sizes = {call_id: sum(map(_size, calls)) for call_id, calls in found.items()}
            mean = sum(sizes.values()) // len(asked) + 1
            # Not all at once more: what follows may be larger.
            self._count = max(1, min(4 * self._count, PORTION_BYTES // mean, MOST))
            yield Portion(asked, found, sizes)


def _size(call: Call) -> int:
    try:
        return _CALL_BYTES + len(msgspec.json.encode(call))
    except (TypeError, ValueError):
        # Such as half a pair of surrogates, which is no text: it is read all the same.
        return _CALL_BYTES
