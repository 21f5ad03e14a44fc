"""A judge that is asked by chat messages, and what its service turned out to take.

Not every service and model takes a JSON schema, JSON at all, a temperature, or a system message. What is refused with
a 400 that says so is left out of the same question and of all that follow in this process: first a schema, then
`json_object`, then plain text, which is read as tolerantly as anything (`scores.py`).
"""

from __future__ import annotations

from typing import Literal, Unpack

import msgspec
from msgspec import Struct

from kibitz.base.errors import JudgeAnswerError, SettingsError, UsageError
from kibitz.base.locks import ForkLock
from kibitz.providers import endpoint, prices, scores
from kibitz.providers.endpoint import Answered, Endpoint
from kibitz.providers.judge import Judge, JudgeOptions
from kibitz.providers.prompts import Prompt

Form = Literal["json_schema", "json_object", "text"]
_NEXT: dict[Form, Form] = {"json_schema": "json_object", "json_object": "text"}
_OF_FORM = (
    "response_format",
    "response format",
    "json_schema",
    "json_object",
    "schema",
    "structured",
    "json",
)
_FILTERED = frozenset({"content_filter", "ERROR_TOXIC", "refusal"})


class Manner(Struct, frozen=True, kw_only=True):
    """How a question is put to a service."""

    form: Form = "json_schema"
    temperature: bool = True
    system: bool = True
    """Whether it takes a system message; else that is said before the user's."""

    def messages(self, prompt: Prompt) -> list[dict[str, str]]:
        if self.system:
            return prompt.messages
        content = f"{prompt.system}\n\n{prompt.user}".strip()
        return [{"role": "user", "content": content}]

    def warmth(self, prompt: Prompt) -> float | None:
        return prompt.temperature if self.temperature else None

    def without(self, refusal: UsageError) -> Manner | None:
        """The manner without what was refused; None where that is something else."""
        if refusal.facts.get("status") not in (400, 415, 422):
            return None
        said = refusal.message.lower()
        if self.temperature and "temperature" in said:
            return msgspec.structs.replace(self, temperature=False)
        if self.system and "system" in said and "role" in said:
            return msgspec.structs.replace(self, system=False)
        if self.form in _NEXT and any(word in said for word in _OF_FORM):
            return msgspec.structs.replace(self, form=_NEXT[self.form])
        return None


_lock = ForkLock()
_manners: dict[tuple[str, ...], Manner] = {}
"""What is known of each service and model in this process; under `_lock`."""


class Said(Struct, frozen=True, kw_only=True):
    """What a model said."""

    text: str = ""
    refusal: str = ""
    """Why it refused, where the service tells that apart."""
    finish: str = ""
    """Why it stopped."""

    def checked(self) -> str:
        """The text; raises `JudgeAnswerError` where there is none."""
        if self.text.strip():
            return self.text
        if self.refusal or self.finish in _FILTERED:
            scores.refused(self.refusal or f"stopped by the service: {self.finish}")
        stopped = f"; it stopped with {self.finish!r}" if self.finish not in ("", "stop") else ""
        raise JudgeAnswerError(f"the judge said nothing{stopped}", text="")


def answered(said: Said, prompt: Prompt, read: int | None, written: int | None) -> Answered[Said]:
    """What was said with what it took; roughly, where the service counted nothing."""
    return Answered(
        said,
        prompt.input_tokens if read is None else read,
        len(said.text) // 4 if written is None else written,
    )


class ChatJudge(Judge):
    """A judge behind an endpoint. A subclass sends one request: `_send` and `_asend`."""

    extra: str
    """What its client is installed with."""
    first_form: Form = "json_schema"

    def __init__(
        self,
        model: str,
        *,
        service: str,
        url: str,
        key: str | None,
        **options: Unpack[JudgeOptions],
    ) -> None:
        super().__init__(**options)
        self.model = model
        self._secret = key
        # A key is in here only as far as it tells two of them apart: limits are those of a key.
        self._place = (service, url, model, str(hash(key)))
        self.endpoint: Endpoint = endpoint.shared(
            *self._place,
            name=f"{model} at {url or service}",
            model=model,
            limits=self.limits,
        )
        if self.limits.budget_usd is not None and prices.price(model) is None:
            raise SettingsError(
                f"budget_usd needs to know what {model!r} costs; name it in the file of {prices.VARIABLE}",
                setting=prices.VARIABLE,
                value=model,
            )

    def ask(self, prompt: Prompt) -> str:
        while True:
            manner = self._manner()
            try:
                said = self.endpoint.call(
                    lambda timeout_s: self._send(prompt, manner, timeout_s),  # noqa: B023 - called at once
                    tokens=prompt.tokens,
                    patience=self.patience,
                )
            except UsageError as error:
                self._learn(manner, error)
            else:
                return said.checked()

    async def aask(self, prompt: Prompt) -> str:
        while True:
            manner = self._manner()
            try:
                said = await self.endpoint.acall(
                    lambda timeout_s: self._asend(prompt, manner, timeout_s),  # noqa: B023 - called at once
                    tokens=prompt.tokens,
                    patience=self.patience,
                )
            except UsageError as error:
                self._learn(manner, error)
            else:
                return said.checked()

    def _send(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        """Send one request.

        Raises:
            Unavailable: it may go well the next time.
            KibitzError: it will not.
        """
        raise NotImplementedError

    async def _asend(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        """The same as a coroutine."""
        raise NotImplementedError

    def _manner(self) -> Manner:
        with _lock:
            return _manners.get(self._place) or Manner(form=self.first_form)

    def _learn(self, manner: Manner, refusal: UsageError) -> None:
        """Keep what the refusal says, or raise it where it says nothing of the manner."""
        found = manner.without(refusal)
        if found is None:
            raise refusal
        with _lock:
            # Another question may have learned in the meantime: then this one is put in its manner.
            if (_manners.get(self._place) or Manner(form=self.first_form)) == manner:
                _manners[self._place] = found
