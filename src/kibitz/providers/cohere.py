"""The door to Cohere's client: its models as judges, and its ranking of passages.

Cohere("command-a-03-2025")
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Unpack, cast

from kibitz.base.errors import (
    JudgeAnswerError,
    KibitzError,
    MissingExtra,
    Unavailable,
    UsageError,
)
from kibitz.providers import chat, endpoint, keys, openai, prompts, retrying
from kibitz.providers.chat import ChatJudge, Form, Manner, Said
from kibitz.providers.endpoint import Answered, Endpoint
from kibitz.providers.judge import JudgeOptions
from kibitz.providers.prompts import Prompt

DEFAULT_MODEL = "command-a-03-2025"
DEFAULT_URL = "https://api.cohere.com"
RERANK_MODEL = "rerank-v3.5"


def library() -> Any:
    """The `cohere` package, loaded when it is first asked for.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import cohere
    except ImportError as error:
        raise MissingExtra(
            "judging with Cohere needs its client, which is not installed; pip install 'kibitz[cohere]'"
        ) from error
    return cohere


class Cohere(ChatJudge):
    """Judges with a model of Cohere's."""

    first_form: Form = "json_object"
    """Its JSON mode takes the schema along."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        rerank_model: str = RERANK_MODEL,
        **options: Unpack[JudgeOptions],
    ) -> None:
        """Connect to nothing yet.

        Args:
            model: The model that judges.
            base_url: Where the service is; Cohere itself where it is not given.
            api_key: The key; without it `CO_API_KEY`, which goes to Cohere only.
            rerank_model: The model of `rerank_relevance`.
            options: `JudgeOptions`.

        Raises:
            MissingExtra: the client is not installed.
            UsageError: an argument cannot be used.
        """
        cohere = library()
        from kibitz.providers import bounded

        url = base_url or os.environ.get("CO_API_URL") or DEFAULT_URL
        key = keys.key(
            api_key,
            url,
            ["CO_API_KEY", "COHERE_API_KEY"],
            [os.environ.get("CO_API_URL"), DEFAULT_URL],
        )
        super().__init__(model, service="cohere", url=url, key=key, **options)
        self.rerank_model = rerank_model
        given = {"api_key": key or openai.NO_KEY, "base_url": url}
        self._clients = bounded.shared(
            "Cohere",
            *given.values(),
            make=lambda: _Client(cohere.ClientV2, bounded.client(), given),
            amake=lambda: _Client(cohere.AsyncClientV2, bounded.aclient(), given),
        )
        self._ranking: Endpoint | None = None

    def rerank_relevance(self, question: str, context: str) -> float:
        """How relevant a passage is to a question, 0 to 1, as the ranking model says: no prompt, no reasons."""
        query, passage = self._asked(question, context)
        at = self._ranking_endpoint()

        def send(timeout_s: float) -> Answered[Any]:
            with translated(at.name, timeout_s, self._secret):
                return Answered(
                    self._clients.get().client.rerank(
                        model=self.rerank_model,
                        query=query,
                        documents=[passage],
                        request_options=_options(timeout_s),
                    )
                )

        return _relevance(at.call(send, patience=self.patience))

    async def arerank_relevance(self, question: str, context: str) -> float:
        """`rerank_relevance` as a coroutine."""
        query, passage = self._asked(question, context)
        at = self._ranking_endpoint()

        async def send(timeout_s: float) -> Answered[Any]:
            client = await self._clients.aget(at.gate.inside)
            with translated(at.name, timeout_s, self._secret):
                return Answered(
                    await client.client.rerank(
                        model=self.rerank_model,
                        query=query,
                        documents=[passage],
                        request_options=_options(timeout_s),
                    )
                )

        return _relevance(await at.acall(send, patience=self.patience))

    def _asked(self, question: str, context: str) -> tuple[str, str]:
        most = self.max_text_chars
        return prompts.shown(question, "question", most), prompts.shown(context, "context", most)

    def _ranking_endpoint(self) -> Endpoint:
        if self._ranking is None:
            self._ranking = endpoint.shared(
                *self._place,
                self.rerank_model,
                name=f"{self.rerank_model} at {self._place[1]}",
                model=self.rerank_model,
                limits=endpoint.Limits(rpm=self.limits.rpm, concurrency=self.limits.concurrency),
            )
        return self._ranking

    def _send(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        with translated(self.endpoint.name, timeout_s, self._secret):
            said = self._clients.get().client.chat(**self._request(prompt, manner, timeout_s))
        return _read(said, prompt)

    async def _asend(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        client = await self._clients.aget(self.endpoint.gate.inside)
        with translated(self.endpoint.name, timeout_s, self._secret):
            said = await client.client.chat(**self._request(prompt, manner, timeout_s))
        return _read(said, prompt)

    def _request(self, prompt: Prompt, manner: Manner, timeout_s: float) -> dict[str, Any]:
        sent: dict[str, Any] = {
            "model": self.model,
            "messages": manner.messages(prompt),
            "request_options": _options(timeout_s),
        }
        warmth = manner.warmth(prompt)
        if warmth is not None:
            sent["temperature"] = warmth
        if manner.form != "text":
            sent["response_format"] = {"type": "json_object", "schema": prompt.schema}
        return sent


class _Client:
    """A client of the library with the connections that it was given, to be closed together."""

    def __init__(self, kind: Any, connections: Any, given: dict[str, Any]) -> None:
        self.client = kind(httpx_client=connections, **given)
        self._connections = connections
        self.close = connections.close if hasattr(connections, "close") else connections.aclose


def _options(timeout_s: float) -> dict[str, Any]:
    return {"max_retries": 0, "timeout_in_seconds": max(1, round(timeout_s))}


def _read(said: Any, prompt: Prompt) -> Answered[Said]:
    message = getattr(said, "message", None)
    if message is None:
        raise UsageError("Cohere answered with what is no chat message; check base_url")
    used = getattr(getattr(said, "usage", None), "tokens", None)
    return chat.answered(
        Said(
            text=openai.text_of(getattr(message, "content", None)),
            finish=str(getattr(said, "finish_reason", "") or "").replace("COMPLETE", "stop"),
        ),
        prompt,
        _tokens(used, "input_tokens"),
        _tokens(used, "output_tokens"),
    )


def _relevance(said: Any) -> float:
    """How relevant the one passage is that was ranked."""
    results: Any = getattr(said, "results", None)
    found = getattr(results[0], "relevance_score", None) if results else None
    if not isinstance(found, int | float) or not 0 <= found <= 1:
        raise JudgeAnswerError(
            f"the ranking has no relevance from 0 to 1, but {found!r}", text=repr(said)[:500]
        )
    return float(found)


def _tokens(used: Any, name: str) -> int | None:
    found = getattr(used, name, None)
    return None if found is None else int(found)


@contextmanager
def translated(name: str, timeout_s: float, secret: str | None) -> Generator[None]:
    """Raise what the client raises as errors of our own tree, without the key in them."""
    from cohere.core.api_error import ApiError

    from kibitz.providers import bounded

    try:
        yield
    except KibitzError:
        raise
    except ApiError as error:
        body: Any = error.body
        said: Any = cast("dict[str, Any]", body).get("message") if isinstance(body, dict) else body
        status = error.status_code or 502
        headers = {str(key): str(value) for key, value in (error.headers or {}).items()}
        if status == 200:
            raise UsageError(
                f"{name} answered with what is no JSON: {retrying.shorten(str(said))}; check base_url"
            ) from None
        raise retrying.refusal(name, status, str(said), headers, secret=secret) from None
    except bounded.TIMEOUT as error:
        raise Unavailable(f"{name} did not answer within {timeout_s:g} s", status=0) from error
    except (*bounded.UNREACHED, ValueError) as error:
        raise retrying.unreachable(
            name, f"{type(error).__name__}: {error}", secret=secret
        ) from None
