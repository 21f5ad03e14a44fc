"""The record of an app's call in the process that made it, with what its feedback functions say as they say it."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from kibitz.judging.records import Record
from kibitz.judging.results import FeedbackResult


class AppRecord(Record):
    """A record, and the futures of its evaluations."""

    judged: list[tuple[Any, Future[FeedbackResult]]] = []

    @property
    def feedback_and_future_results(self) -> list[tuple[Any, Future[FeedbackResult]]]:
        """Each feedback function that is evaluated in this process, with the future of its result."""
        return list(self.judged)

    @property
    def feedback_results(self) -> list[Future[FeedbackResult]]:
        """The futures of the results; none where nothing is evaluated in this process."""
        return [future for _, future in self.judged]

    def wait_for_feedback_results(self, timeout: float | None = None) -> dict[str, FeedbackResult]:
        """The results by the name of the feedback function, when all are there.

        Args:
            timeout: seconds; what is not there then is left out. None: as long as it takes.
        """
        concurrent.futures.wait(self.feedback_results, timeout)
        found: dict[str, FeedbackResult] = {}
        for _, future in self.judged:
            if future.done() and not future.cancelled():
                result = future.result()
                # Two functions of one name are told apart by their definitions.
                name = result.name
                key = name if name not in found else f"{name} {result.feedback_definition_id}"
                found[key] = result
        return found

    def feedback_results_as_completed(self) -> Iterator[FeedbackResult]:
        """The results, each as soon as it is there."""
        for future in concurrent.futures.as_completed(self.feedback_results):
            yield future.result()
