"""The door to LiteLLM: judges at any service that it speaks to.

    LiteLLM("anthropic/claude-haiku-4-5")

Its own retries are switched off: pace, retries and time-outs are the endpoint's. Keys are those that LiteLLM finds in
the environment for the service that the model's name begins with, or the argument.
"""

from __future__ import annotations

import os
from typing import Any, Unpack

import msgspec

from kibitz.base.errors import MissingExtra
from kibitz.providers import keys, openai, prices
from kibitz.providers.chat import ChatJudge, Manner, Said
from kibitz.providers.endpoint import Answered
from kibitz.providers.judge import JudgeOptions
from kibitz.providers.prompts import Prompt

_LOCAL_COSTS = "LITELLM_LOCAL_MODEL_COST_MAP"


def library() -> Any:
    """The `litellm` package, loaded when it is first asked for.

    Raises:
        MissingExtra: it is not installed.
    """
    # Else it asks the network for a table of prices while it is imported, and waits where there is none.
    told = _LOCAL_COSTS in os.environ
    os.environ.setdefault(_LOCAL_COSTS, "True")
    try:
        import litellm
    except ImportError as error:
        raise MissingExtra(
            "judging with LiteLLM needs it, and it is not installed; pip install 'kibitz[litellm]'"
        ) from error
    finally:
        if not told:
            os.environ.pop(_LOCAL_COSTS, None)
    return litellm


class LiteLLM(ChatJudge):
    """Judges with a model that LiteLLM knows how to ask."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        **options: Unpack[JudgeOptions],
    ) -> None:
        """Connect to nothing yet.

        Args:
            model: The model as LiteLLM names it: `service/model`.
            base_url: Where the service is, where it is not the usual place. No key of the environment goes there but
                `KIBITZ_KEY_<HOST>`.
            api_key: The key; without it LiteLLM takes the one of the environment that belongs to the service.
            options: `JudgeOptions`.

        Raises:
            MissingExtra: LiteLLM is not installed.
            UsageError: an argument cannot be used.
        """
        library()
        key = api_key if base_url is None else keys.key(api_key, base_url, [], []) or openai.NO_KEY
        super().__init__(model, service="litellm", url=base_url or "", key=key, **options)
        self._url = base_url

    def _send(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        litellm = library()
        with openai.translated(self.endpoint.name, timeout_s, self._secret):
            said = litellm.completion(**self._request(prompt, manner, timeout_s))
        return self._read(litellm, said, prompt)

    async def _asend(self, prompt: Prompt, manner: Manner, timeout_s: float) -> Answered[Said]:
        litellm = library()
        with openai.translated(self.endpoint.name, timeout_s, self._secret):
            said = await litellm.acompletion(**self._request(prompt, manner, timeout_s))
        return self._read(litellm, said, prompt)

    def _request(self, prompt: Prompt, manner: Manner, timeout_s: float) -> dict[str, Any]:
        sent = openai.request(self.model, prompt, manner)
        sent |= {"timeout": timeout_s, "num_retries": 0, "max_retries": 0}
        if self._url is not None:
            sent["api_base"] = self._url
        if self._secret is not None:
            sent["api_key"] = self._secret
        return sent

    def _read(self, litellm: Any, said: Any, prompt: Prompt) -> Answered[Said]:
        read = openai.read(said, prompt, self.endpoint.name)
        if prices.price(self.model) is not None:
            return read
        try:
            cost = float(litellm.completion_cost(completion_response=said, model=self.model))
        except Exception:  # noqa: BLE001 - it raises whatever it likes for a model that it does not know
            return read
        return msgspec.structs.replace(read, usd=cost)
