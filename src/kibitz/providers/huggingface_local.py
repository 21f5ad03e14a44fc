"""The door to `transformers`: the same models as `Huggingface`, on this machine.

Models are loaded when they are first asked, by default only those that are in the local cache already.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from kibitz.base import provider
from kibitz.base.errors import MissingExtra, UsageError
from kibitz.base.provider import Provider
from kibitz.providers import huggingface
from kibitz.providers.classifiers import MODELS, Classifiers, Course, Label, Question

T = TypeVar("T")


def library() -> Any:
    """The `transformers` package, loaded when it is first asked for.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers  # pyright: ignore[reportMissingImports] - it is large, and nobody's by default
    except ImportError as error:
        raise MissingExtra(
            "running models of Hugging Face on this machine needs transformers and torch, which are not installed;"
            " pip install transformers torch, or ask the API with Huggingface()"
        ) from error
    found: Any = transformers
    return found


class HuggingfaceLocal(Classifiers, Provider):
    """Models that classify texts, on this machine."""

    local: ClassVar[bool] = True

    def __init__(
        self,
        *,
        models: Mapping[str, str] | None = None,
        device: str | None = None,
        download: bool = False,
    ) -> None:
        """Load nothing yet.

        Args:
            models: Other models, by purpose; see `Huggingface`. A folder is a model too.
            device: `cpu`, `cuda:0` …; what transformers chooses where it is not given.
            download: Whether a model that is not in the local cache is fetched.

        Raises:
            MissingExtra: transformers is not installed.
            UsageError: `models` has a purpose that there is not.
        """
        library()
        self._foreign = provider.may_name(__name__) is not None
        """Whether a stored definition says which models: of those that are not the usual ones only numbers are read."""
        self.models = huggingface.chosen(models)
        self._device, self._download = device, download
        self._lock = threading.Lock()
        """Protects the pipelines, and the models behind them, one at a time."""
        self._pipelines: dict[str, Any] = {}

    def _follow(self, course: Course[T]) -> T:
        try:
            asked = next(course)
            while True:
                asked = course.send([self._answer(each) for each in asked])
        except StopIteration as end:
            return end.value

    async def _afollow(self, course: Course[T]) -> T:
        return await asyncio.to_thread(self._follow, course)

    def _answer(self, question: Question) -> list[Label]:
        with self._lock:
            pipeline = self._pipeline(question)
            if question.task == "token-classification":
                said: Any = pipeline(question.text, aggregation_strategy="simple")
            else:
                said = pipeline(question.text, top_k=None, truncation=True)
        return [
            (
                str(each.get("label") or each.get("entity_group")),
                float(each["score"]),
                str(each.get("word", "")),
            )
            for each in said
        ]

    def _is_foreign(self, question: Question) -> bool:
        return self._foreign and self.models[question.purpose] != MODELS[question.purpose]

    def _pipeline(self, question: Question) -> Any:
        if question.purpose not in self._pipelines:
            model = self.models[question.purpose]
            try:
                self._pipelines[question.purpose] = library().pipeline(
                    question.task,
                    model=model,
                    device=self._device,
                    model_kwargs={
                        "local_files_only": not self._download,
                        # The older format of weights is pickle, which runs what its author likes.
                        **({"use_safetensors": True} if self._is_foreign(question) else {}),
                    },
                )
            except OSError as error:
                raise UsageError(
                    f"model {model!r} is not on this machine; fetch it first, or make HuggingfaceLocal(download=True):"
                    f" {str(error)[:300]}",
                    field="models",
                ) from error
        return self._pipelines[question.purpose]
