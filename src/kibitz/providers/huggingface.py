"""The door to `huggingface_hub`: models that classify texts, behind the inference API or an address of your own.

Huggingface().language_match("Guten Tag", "Good day")
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from kibitz.base.errors import JudgeAnswerError, KibitzError, MissingExtra, Unavailable, UsageError
from kibitz.base.provider import Provider
from kibitz.providers import classifiers, endpoint, keys, retrying
from kibitz.providers.classifiers import MODELS, Classifiers, Course, Label, Question
from kibitz.providers.endpoint import Answered, Limits, Patience

DEFAULT_URL = "https://router.huggingface.co"
_VARIABLES = ("HF_TOKEN", "HUGGINGFACE_API_KEY", "HUGGING_FACE_HUB_TOKEN")
_THREADS = 8

T = TypeVar("T")


def library() -> Any:
    """The `huggingface_hub` package, loaded when it is first asked for.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra(
            "asking Hugging Face needs its client, which is not installed; pip install 'kibitz[huggingface]'"
        ) from error
    return huggingface_hub


def chosen(models: Mapping[str, str] | None) -> dict[str, str]:
    """The model for each purpose, some of them other ones. Raises `UsageError` for a purpose that there is not."""
    unknown = {*(models or {})} - {*MODELS}
    if unknown:
        raise UsageError(
            f"models has {min(unknown)!r}; there are {', '.join(MODELS)}", field="models"
        )
    return {**MODELS, **(models or {})}


class Huggingface(Classifiers, Provider):
    """Models that classify texts, behind an API."""

    def __init__(
        self,
        *,
        token: str | None = None,
        base_url: str | None = None,
        models: Mapping[str, str] | None = None,
        rpm: float | None = None,
        concurrency: int | None = None,
        timeout_s: float = 60.0,
        total_timeout_s: float = 300.0,
        retries: int = 5,
    ) -> None:
        """Connect to nothing yet.

        Args:
            token: The token; without it `HF_TOKEN`, which goes to Hugging Face only, or `KIBITZ_KEY_<HOST>`.
            base_url: Where models are asked, as `<base_url>/models/<model>`; the inference API where it is not given.
            models: Other models, by purpose: `language`, `sentiment`, `toxic`, `pii`, `relevance`, `nli`,
                `hallucination`. Their labels are read by name.
            rpm: Requests per minute.
            concurrency: Requests at the same time.
            timeout_s: For one request.
            total_timeout_s: For one question with its retries.
            retries: Requests after the first one that failed.

        Raises:
            MissingExtra: the client is not installed.
            UsageError: an argument cannot be used.
        """
        hub = library()
        from kibitz.providers import bounded

        self.models = chosen(models)
        self._base_url = base_url
        url = base_url or DEFAULT_URL
        self._secret = keys.key(token, url, _VARIABLES, [DEFAULT_URL, ".huggingface.co"])
        self.patience = Patience(
            timeout_s=timeout_s, total_timeout_s=total_timeout_s, retries=retries
        )
        self.endpoint = endpoint.shared(
            "huggingface",
            url,
            str(hash(self._secret)),
            name=f"Hugging Face at {url}",
            model="",
            limits=Limits(rpm=rpm, concurrency=concurrency),
        )
        # Without a token of ours the client would take the one of the environment, wherever it asks.
        given = {
            "token": self._secret or False,
            "provider": "hf-inference",
            "timeout": timeout_s,
        }
        self._clients = bounded.shared(
            "Huggingface",
            *map(str, given.values()),
            make=lambda: _Client(hub.InferenceClient(**given)),
            amake=lambda: hub.AsyncInferenceClient(**given),
        )

    def __repr__(self) -> str:
        return f"Huggingface({', '.join(f'{k}={v!r}' for k, v in self.parameters().items())})"

    def _follow(self, course: Course[T]) -> T:
        try:
            asked = next(course)
            while True:
                asked = course.send(self._answers(asked))
        except StopIteration as end:
            return end.value

    async def _afollow(self, course: Course[T]) -> T:
        try:
            asked = next(course)
            while True:
                asked = course.send(list(await asyncio.gather(*map(self._aanswer, asked))))
        except StopIteration as end:
            return end.value

    def _answers(self, asked: list[Question]) -> list[list[Label]]:
        if len(asked) == 1:
            return [self._answer(asked[0])]
        with ThreadPoolExecutor(min(_THREADS, len(asked)), "kibitz-judge") as threads:
            waiting = [
                threads.submit(contextvars.copy_context().run, self._answer, each) for each in asked
            ]
            return [each.result() for each in waiting]

    def _answer(self, question: Question) -> list[Label]:
        def send(timeout_s: float) -> Answered[Any]:
            with translated(self.endpoint.name, timeout_s, self._secret):
                client = self._clients.get().client
                return Answered(
                    self._method(client, question)(_text(question), **self._of(question))
                )

        return _labels(self.endpoint.call(send, patience=self.patience))

    async def _aanswer(self, question: Question) -> list[Label]:
        async def send(timeout_s: float) -> Answered[Any]:
            client = await self._clients.aget(self.endpoint.gate.inside)
            with translated(self.endpoint.name, timeout_s, self._secret):
                asking = self._method(client, question)(_text(question), **self._of(question))
                return Answered(await asking)

        return _labels(await self.endpoint.acall(send, patience=self.patience))

    def _method(self, client: Any, question: Question) -> Any:
        return getattr(client, question.task.replace("-", "_"))

    def _of(self, question: Question) -> dict[str, Any]:
        model = self.models[question.purpose]
        if self._base_url is not None:
            model = f"{self._base_url.rstrip('/')}/models/{model}"
        if question.task == "token-classification":
            return {"model": model, "aggregation_strategy": "simple"}
        return {"model": model, "top_k": 100}


def _text(question: Question) -> str:
    """As one text, which is all that the API takes, with what stands between two for most models."""
    if question.beside is None:
        return question.text
    return f"{question.text} [SEP] {question.beside}"


class _Client:
    """A client for threads. Its connections are the library's own, for the whole process."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def close(self) -> None:
        """There is nothing of its own to close."""


def _labels(said: Any) -> list[Label]:
    labels: list[Label] = []
    for each in said:
        name = getattr(each, "label", None) or getattr(each, "entity_group", None) or ""
        share = classifiers.checked(str(name), getattr(each, "score", None), each)
        labels.append((str(name), share, str(getattr(each, "word", "") or "")))
    return labels


@contextmanager
def translated(name: str, timeout_s: float, secret: str | None) -> Generator[None]:
    """Raise what the client raises as errors of our own tree, without the token in them."""
    hub = library()
    from kibitz.providers import bounded

    try:
        yield
    except KibitzError:
        raise
    except (hub.errors.InferenceTimeoutError, bounded.TIMEOUT) as error:
        raise Unavailable(f"{name} did not answer within {timeout_s:g} s", status=0) from error
    except hub.errors.HfHubHTTPError as error:
        response = error.response
        raise retrying.refusal(
            name, response.status_code, str(error), dict(response.headers), secret=secret
        ) from None
    except (*bounded.UNREACHED, OSError) as error:
        raise retrying.unreachable(
            name, f"{type(error).__name__}: {error}", secret=secret
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        # The client reads the answer itself, and this is what it raises for one that is of another form.
        raise JudgeAnswerError(
            f"{name} answered with what is no list of labels: {type(error).__name__}: {error}"[
                :500
            ],
            text=str(error)[:500],
        ) from None
