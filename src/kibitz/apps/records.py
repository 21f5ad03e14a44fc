"""The record of an app's call in the process that made it, with what its feedback functions say as they say it."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from kibitz.judging.records import Record
from kibitz.judging.results import FeedbackResult


class Named(str):
    """The name of a feedback function, that knows the function: what it has is here too."""

    __slots__ = ("feedback",)

    def __new__(cls, name: str, feedback: Any) -> Named:
        made = super().__new__(cls, name)
        made.feedback = feedback
        return made

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "feedback":
            # Asked before it is set, by what copies or unpickles.
            raise AttributeError(attribute)
        return getattr(self.feedback, attribute)

    def __reduce__(self) -> Any:
        # A feedback function may hold what cannot be pickled; its name can.
        return str, (str(self),)


class Results(dict[str, FeedbackResult]):
    """Results by the name of the feedback function, or by the function itself."""

    def __missing__(self, key: Any) -> FeedbackResult:
        for name, result in self.items():
            if isinstance(name, Named) and name.feedback is key:
                return result
        raise KeyError(f"no result of {str(key)!r}; there are those of {', '.join(self) or 'none'}")


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

    def wait_for_feedback_results(
        self, timeout: float | None = None, *, feedback_timeout: float | None = None
    ) -> Results:
        """The results by the name of the feedback function, when all are there.

        Args:
            timeout: seconds; what is not there then is left out. None: as long as it takes.
            feedback_timeout: the same under TruLens' name.
        """
        concurrent.futures.wait(
            self.feedback_results, feedback_timeout if timeout is None else timeout
        )
        found = Results()
        for feedback, future in self.judged:
            if future.done() and not future.cancelled():
                result = future.result()
                # Two functions of one name are told apart by their definitions.
                name = result.name
                key = name if name not in found else f"{name} {result.feedback_definition_id}"
                found[Named(key, feedback)] = result
        return found

    def model_dump(self) -> dict[str, Any]:
        """`to_json` under pydantic's name."""
        return self.to_json()

    def model_dump_json(self) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), ensure_ascii=False)

    json = model_dump_json

    def feedback_results_as_completed(self) -> Iterator[FeedbackResult]:
        """The results, each as soon as it is there."""
        for future in concurrent.futures.as_completed(self.feedback_results):
            yield future.result()
