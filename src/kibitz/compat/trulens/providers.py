"""Ground truth under TruLens' names."""

from __future__ import annotations

from typing import Any

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import ground_truth

GroundTruthAggregator = ground_truth.GroundTruthAggregator


class GroundTruthAgreement(ground_truth.GroundTruth):
    """How far responses agree with golden ones: by numbers, or by a model's judgement.

    Args:
        ground_truth: golden responses, as `kibitz.providers.GroundTruth` takes them.
        provider: the model that `agreement_measure` asks.
        bert_scorer: of TruLens; there is none here.

    Raises:
        UsageError: a BERT scorer is named, or the golden responses are none.
    """

    def __init__(self, ground_truth: Any, provider: Any = None, bert_scorer: Any = None) -> None:
        if bert_scorer is not None:
            raise UsageError(
                "there is no BERT score here; similarity, chrf and rouge_l compare without a model of one's own",
                field="bert_scorer",
            )
        super().__init__(ground_truth)
        self._provider = provider

    def parameters(self) -> dict[str, Any]:
        given = {"ground_truth": super().parameters()["golden"]}
        return given if self._provider is None else {**given, "provider": self._provider}

    def agreement_measure(self, prompt: str, response: str) -> tuple[float, dict[str, Any]]:
        """0 to 1: how far a model finds that the response says what the golden one says; with its reason.

        Raises:
            UsageError: no provider was given.
            SkipEval: there is no golden response to this prompt.
        """
        golden = self._expected(prompt)[0]
        score, said = self._judge().rating_with_reasons(
            response,
            criteria=(
                "Judge whether the text says what the expected answer says; other words and further details that do "
                f"not contradict it are no fault.\nThe question: {prompt}\nThe expected answer: {golden}"
            ),
        )
        return score, {**said, "ground_truth_response": golden}

    def _judge(self) -> Any:
        if not isinstance(self._provider, Provider):
            raise UsageError(
                "agreement_measure asks a model: GroundTruthAgreement(golden, provider=OpenAI()); "
                "exact_match, token_f1, bleu and rouge need none"
            )
        return self._provider
