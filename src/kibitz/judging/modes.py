"""The words of judging by program: when it happens, how values are combined, and what became of it.

Each is also a text, so `mode == "deferred"` holds and JSON writes it plainly.
"""

from __future__ import annotations

from enum import StrEnum

from kibitz.base.errors import MissingPlace
from kibitz.base.provider import SkipEval as SkipEval


class FeedbackMode(StrEnum):
    """When an app evaluates its feedback functions."""

    NONE = "none"
    """Not at all, though calls are recorded."""
    WITH_APP = "with_app"
    """In the program, before the app's call gives its record."""
    WITH_APP_THREAD = "with_app_thread"
    """In the program, on a thread, after the app's call has returned."""
    DEFERRED = "deferred"
    """Later, by `kibitz worker`."""


class FeedbackRunLocation(StrEnum):
    """Where feedback functions run."""

    IN_APP = "in_app"
    """In a program or worker that has the implementation."""


class FeedbackResultStatus(StrEnum):
    """What became of applying a feedback function to a record."""

    NONE = "none"
    """It is wanted; nobody has begun."""
    RUNNING = "running"
    FAILED = "failed"
    """There is no result, and the reason is a fault: of the data, a selector or the implementation."""
    DONE = "done"
    SKIPPED = "skipped"
    """There was nothing to judge, or what was to be there is not."""


class FeedbackOnMissingParameters(StrEnum):
    """What becomes of a run whose selector finds nothing in the record."""

    ERROR = "error"
    """It has failed."""
    WARN = "warn"
    """It is skipped, and the log says so."""
    IGNORE = "ignore"
    """It is skipped."""


class FeedbackCombinations(StrEnum):
    """How the values of several arguments become calls of the implementation."""

    ZIP = "zip"
    """Position by position, as many as the argument with the fewest values has."""
    PRODUCT = "product"
    """Every value of one with every value of the others."""


InvalidSelector = MissingPlace
"""What `check_selectors` raises: a selector of what is not there."""
