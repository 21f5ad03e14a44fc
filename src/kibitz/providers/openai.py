"""The door to OpenAI's client: judges at OpenAI, at Azure, and at whatever speaks like OpenAI.

    OpenAI(model="gpt-4.1-mini")
    OpenAI(model="llama3.1", base_url="http://localhost:11434/v1")

The client's own retries are switched off: pace, retries and time-outs are the endpoint's.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Unpack, cast

from kibitz.base.errors import (
    BudgetSpent,
    JudgeAnswerError,
    KibitzError,
    MissingExtra,
    Unavailable,
    UsageError,
)
from kibitz.providers import chat, endpoint, keys, prompts, retrying
from kibitz.providers.chat import ChatJudge, Manner, Said
from kibitz.providers.endpoint import Answered, Endpoint
from kibitz.providers.judge import JudgeOptions
from kibitz.providers.moderations import Moderations
from kibitz.providers.prompts import Prompt

DEFAULT_MODEL = "gpt-4.1-mini"
DEFAULT_URL = "https://api.openai.com/v1"
MODERATION_MODEL = "omni-moderation-latest"
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
NO_KEY = "none"
"""What the client is given where there is no key: it refuses to be made without."""
_QUOTA = "insufficient_quota"


def library() -> Any:
    """The `openai` package, loaded when it is first asked for.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise MissingExtra(
            "judging with OpenAI needs its client, which is not installed; pip install 'kibitz[judges]'"
        ) from error
    return openai


class OpenAI(Moderations, ChatJudge):
    """Judges with a model behind OpenAI's API, or behind any service that speaks like it."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        **options: Unpack[JudgeOptions],
    ) -> None:
        """Connect to nothing yet.

        Args:
            model: The model's name, as the service has it.
            base_url: Where the service is; `OPENAI_BASE_URL` or OpenAI itself where it is not given.
            api_key: The key; without it `OPENAI_API_KEY`, which goes to OpenAI, to `OPENAI_BASE_URL` and to this
                machine, or for another host `KIBITZ_KEY_<HOST>`. It is never stored.
            options: `JudgeOptions`: pace, patience, budget, scale, criteria, examples.

        Raises:
            MissingExtra: the client is not installed.
            UsageError: an argument cannot be used.
        """
        own = os.environ.get("OPENAI_BASE_URL")
        url = base_url or own or DEFAULT_URL
        key = keys.key(api_key, url, ["OPENAI_API_KEY"], [own, DEFAULT_URL])
        super().__init__(model, service="openai", url=url, key=key, **options)
        self._connect("OpenAI", base_url=url, api_key=key or NO_KEY)

    def _connect(self, client: str, **arguments: Any) -> None:
        """Have clients of this class of the library's made when they are needed."""
        openai = library()
        from kibitz.providers import bounded

        self._clients = bounded.shared(
            client,
            *map(str, arguments.values()),
            make=lambda: getattr(openai, client)(
                max_retries=0, http_client=bounded.client(), **arguments
            ),
            amake=lambda: getattr(openai, f"Async{client}")(
                max_retries=0, http_client=bounded.aclient(), **arguments
            ),
        )
        self._moderating: Endpoint | None = None

    def _send(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        with translated(self.endpoint.name, timeout_s, self._secret):
            said = self._clients.get().chat.completions.create(
                timeout=timeout_s, **_as_body(request(self.model, prompt, manner))
            )
        return read(said, prompt, self.endpoint.name)

    async def _asend(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        client = await self._clients.aget(self.endpoint.gate.inside)
        with translated(self.endpoint.name, timeout_s, self._secret):
            said = await client.chat.completions.create(
                timeout=timeout_s, **_as_body(request(self.model, prompt, manner))
            )
        return read(said, prompt, self.endpoint.name)

    def _moderation(self, category: str, text: str) -> float:
        asked = prompts.shown(text, "text", self.max_text_chars)
        at = self._moderation_endpoint()

        def send(timeout_s: float) -> Answered[Any]:
            with translated(at.name, timeout_s, self._secret):
                moderations = self._clients.get().moderations
                return Answered(
                    moderations.create(model=MODERATION_MODEL, input=asked, timeout=timeout_s)
                )

        return _category(at.call(send, patience=self.patience), category)

    async def _amoderation(self, category: str, text: str) -> float:
        asked = prompts.shown(text, "text", self.max_text_chars)
        at = self._moderation_endpoint()

        async def send(timeout_s: float) -> Answered[Any]:
            client = await self._clients.aget(at.gate.inside)
            with translated(at.name, timeout_s, self._secret):
                return Answered(
                    await client.moderations.create(
                        model=MODERATION_MODEL, input=asked, timeout=timeout_s
                    )
                )

        return _category(await at.acall(send, patience=self.patience), category)

    def _moderation_endpoint(self) -> Endpoint:
        """Moderation has limits of its own, beside those of the model."""
        if self._moderating is None:
            self._moderating = endpoint.shared(
                *self._place,
                "moderations",
                name=f"{MODERATION_MODEL} for {self.endpoint.name}",
                model=MODERATION_MODEL,
                limits=endpoint.Limits(rpm=self.limits.rpm, concurrency=self.limits.concurrency),
            )
        return self._moderating


class AzureOpenAI(OpenAI):
    """Judges with a model that is deployed at Azure."""

    def __init__(
        self,
        model: str,
        *,
        azure_endpoint: str | None = None,
        api_version: str | None = None,
        api_key: str | None = None,
        **options: Unpack[JudgeOptions],
    ) -> None:
        """Connect to nothing yet.

        Args:
            model: The name of the deployment. It is priced by this name; name it in the table of prices where it differs
                from the model's.
            azure_endpoint: `https://<resource>.openai.azure.com`; `AZURE_OPENAI_ENDPOINT` where it is not given.
            api_version: Of the API; `OPENAI_API_VERSION` where it is not given.
            api_key: The key; without it `AZURE_OPENAI_API_KEY`, which goes to hosts of Azure and to
                `AZURE_OPENAI_ENDPOINT`.
            options: `JudgeOptions`.

        Raises:
            MissingExtra: the client is not installed.
            UsageError: an argument cannot be used, or is missing here and in the environment.
        """
        own = os.environ.get("AZURE_OPENAI_ENDPOINT")
        url = azure_endpoint or own
        version = api_version or os.environ.get("OPENAI_API_VERSION")
        if not url or not version:
            name, variable = (
                ("api_version", "OPENAI_API_VERSION")
                if url
                else ("azure_endpoint", "AZURE_OPENAI_ENDPOINT")
            )
            raise UsageError(f"AzureOpenAI needs {name}: give it or set {variable}", field=name)
        key = keys.key(api_key, url, ["AZURE_OPENAI_API_KEY"], [own, *AZURE_HOSTS])
        ChatJudge.__init__(self, model, service="azure", url=url, key=key, **options)
        self._connect("AzureOpenAI", azure_endpoint=url, api_version=version, api_key=key or NO_KEY)


def request(model: str, prompt: Prompt, manner: Manner) -> dict[str, Any]:
    """What is sent, in OpenAI's form."""
    sent: dict[str, Any] = {"model": model, "messages": manner.messages(prompt)}
    warmth = manner.warmth(prompt)
    if warmth is not None:
        sent["temperature"] = warmth
    if manner.form == "json_schema":
        schema = {"name": "judgement", "strict": True, "schema": prompt.schema}
        sent["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif manner.form == "json_object":
        sent["response_format"] = {"type": "json_object"}
    return sent


def _as_body(sent: dict[str, Any]) -> dict[str, Any]:
    """The same for the client, past its going through every message and schema by type, which takes longer than all
    else that a request takes of the processor."""
    return {"model": sent["model"], "messages": [], "extra_body": sent}


def read(completion: Any, prompt: Prompt, name: str) -> Answered[Said]:
    """What came back in OpenAI's form.

    Raises:
        KibitzError: it is no chat completion.
    """
    choices: Any = getattr(completion, "choices", None)
    message: Any = getattr(choices[0], "message", None) if choices else None
    if message is None:
        trouble = getattr(completion, "error", None)
        if isinstance(trouble, dict):
            # Some services between us and the model say with 200 that it failed.
            told = cast("dict[str, Any]", trouble)
            code = told.get("code")
            status = code if isinstance(code, int) and code >= 400 else 502
            raise retrying.refusal(name, status, str(told.get("message")), {})
        raise UsageError(
            f"{name} answered with what is no chat completion: {retrying.shorten(repr(completion))}; check base_url"
        )
    usage: Any = getattr(completion, "usage", None)
    said = Said(
        text=text_of(message.content),
        refusal=str(getattr(message, "refusal", None) or ""),
        finish=str(choices[0].finish_reason or ""),
    )
    return chat.answered(
        said,
        prompt,
        getattr(usage, "prompt_tokens", None),
        getattr(usage, "completion_tokens", None),
    )


def text_of(content: Any) -> str:
    """The text of a message, whose content may be a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text_of_part(each) for each in cast("list[Any]", content))
    return ""


def _text_of_part(part: Any) -> str:
    if isinstance(part, dict):
        return str(cast("dict[str, Any]", part).get("text") or "")
    return str(getattr(part, "text", "") or "")


@contextmanager
def translated(name: str, timeout_s: float, secret: str | None) -> Generator[None]:
    """Raise what the client raises as errors of our own tree, without the key in them."""
    openai = library()
    try:
        yield
    except KibitzError:
        raise
    except openai.APITimeoutError as error:
        raise Unavailable(f"{name} did not answer within {timeout_s:g} s", status=0) from error
    except openai.APIStatusError as error:
        raise _refusal(name, error, secret) from None  # what it was made from may name the key
    except openai.APIConnectionError as error:
        raise _unreached(name, error, secret) from None
    except openai.OpenAIError as error:
        raise UsageError(
            f"{name}: {retrying.shorten(retrying.hide(str(error), secret))}", status=0
        ) from None
    except ValueError as error:
        raise retrying.unreachable(name, f"its answer is no JSON: {error}", secret=secret) from None


def _refusal(name: str, error: Any, secret: str | None) -> KibitzError:
    body: Any = error.body
    said = getattr(error, "message", None)
    if isinstance(body, dict):
        said = cast("dict[str, Any]", body).get("message")
    code = getattr(error, "code", None)
    text = str(said or error.message)
    if code == _QUOTA:
        return BudgetSpent(f"{name}: {retrying.shorten(retrying.hide(text, secret))}")
    headers = dict(error.response.headers) if getattr(error, "response", None) is not None else {}
    return retrying.refusal(name, error.status_code, text, headers, secret=secret)


def _unreached(name: str, error: Any, secret: str | None) -> KibitzError:
    from kibitz.providers import bounded

    cause = error.__cause__ or error
    if isinstance(cause, bounded.TooLong):
        return JudgeAnswerError(f"{name}: {cause}", text="")
    return retrying.unreachable(name, f"{type(cause).__name__}: {cause}", secret=secret)


def _category(moderation: Any, category: str) -> float:
    results = getattr(moderation, "results", None)
    scores_: dict[str, Any] = (
        results[0].category_scores.model_dump(by_alias=True) if results else {}
    )
    found = scores_.get(category)
    if not isinstance(found, int | float):
        raise JudgeAnswerError(
            f"the moderation has no score for {category!r}", text=str(scores_)[:500]
        )
    return float(found)
