"""The door to `transformers`: the same models as `Huggingface`, on this machine.

Models are loaded when they are first asked, by default only those that are in the local cache already.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from kibitz.base import provider
from kibitz.base.errors import JudgeAnswerError, MissingExtra, UsageError
from kibitz.base.locks import ForkLock
from kibitz.base.provider import Provider
from kibitz.providers import classifiers, huggingface, retrying
from kibitz.providers.classifiers import MODELS, Classifiers, Course, Label, Question, Task

T = TypeVar("T")

_KINDS: dict[Task, str] = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
}
_USUAL_TOKENS = 512


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
        self._lock = ForkLock()
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
            try:
                said = _ask(pipeline, question)
            except Exception as error:
                # What a model raises has no tree: it is of torch, of the tokenizer, of its own code.
                raise JudgeAnswerError(
                    f"model {self.models[question.purpose]!r} failed: {type(error).__name__}: {retrying.shorten(str(error))}",
                    text="",
                ) from error
        return [_label(each) for each in said]

    def _pipeline(self, question: Question) -> Any:
        if question.purpose not in self._pipelines:
            model = self.models[question.purpose]
            try:
                self._pipelines[question.purpose] = self._loaded(question.task, model, question)
            except Exception as error:
                raise UsageError(
                    f"model {model!r} cannot be used on this machine: {type(error).__name__}: {retrying.shorten(str(error))};"
                    f" {self._way_out(error)}",
                    field="models",
                ) from error
        return self._pipelines[question.purpose]

    def _loaded(self, task: Task, model: str, question: Question) -> Any:
        transformers = library()
        # Code that comes with a model is never run, and nobody is asked at the terminal whether it may.
        options = {"local_files_only": not self._download, "trust_remote_code": False}
        model = model if self._download else _folder(model)
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, **options)
        if self._is_foreign(question):
            # The older format of weights is pickle, which runs what its author likes.
            options["use_safetensors"] = True
        kind = getattr(transformers, _KINDS[task])
        weights, loading = kind.from_pretrained(model, output_loading_info=True, **options)
        missing = sorted(loading["missing_keys"])
        if missing:
            # transformers draws what is missing at random, and would judge by that.
            raise UsageError(f"it is no model for {task}: it has no {missing[0]}", field="models")
        tokenizer.model_max_length = _longest(tokenizer, weights.config)
        return transformers.pipeline(task, model=weights, tokenizer=tokenizer, device=self._device)

    def _is_foreign(self, question: Question) -> bool:
        return self._foreign and self.models[question.purpose] != MODELS[question.purpose]

    def _way_out(self, error: Exception) -> str:
        if "trust_remote_code" in str(error):
            return "it needs code of its own, which is not run; name another in models"
        if isinstance(error, OSError) and not self._download:
            return (
                "fetch it first, make HuggingfaceLocal(download=True), or name a folder in models"
            )
        return "name another in models, or another device"


def _folder(model: str) -> str:
    """Where a model is on this machine. Asked for by its name, with whatever options, it is looked for in the network."""
    if os.path.isdir(model):
        return model
    try:
        found = huggingface.library().try_to_load_from_cache(model, "config.json")
    except ValueError:
        # It can be no name of a model: a path, with nothing at it.
        found = None
    if not isinstance(found, str):
        raise FileNotFoundError("it is no folder, and not in the cache of Hugging Face")
    return os.path.dirname(found)


def _longest(tokenizer: Any, config: Any) -> int:
    """How many tokens a model reads. Tokenizers of some, also of well-known ones, do not know it: all else is cut off
    by that number, and without it a long text is an error deep in the model."""
    positions = getattr(config, "max_position_embeddings", None)
    # RoBERTa and its kin count positions from behind the padding token.
    by_model = positions - 2 if isinstance(positions, int) and positions > 2 else _USUAL_TOKENS
    return min(int(tokenizer.model_max_length), by_model)


def _ask(pipeline: Any, question: Question) -> Any:
    if question.task == "token-classification":
        # What is longer than the model reads is read in pieces that overlap.
        overlap = pipeline.tokenizer.model_max_length // 8 if pipeline.tokenizer.is_fast else None
        return pipeline(question.text, aggregation_strategy="simple", stride=overlap)
    asked: Any = question.text
    if question.beside is not None:
        asked = {"text": question.text, "text_pair": question.beside}
    return pipeline(asked, top_k=None, truncation=True)


def _label(said: Any) -> Label:
    name = str(said.get("label") or said.get("entity_group"))
    return name, classifiers.checked(name, float(said["score"]), said), str(said.get("word", ""))
