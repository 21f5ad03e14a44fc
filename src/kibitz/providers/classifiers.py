"""Feedback from small models that classify texts: what is asked of which model, and what its answer means.

Every value means what its method's name says. Models read a few hundred words: longer texts are judged in portions.
A judgement is a course that yields what can be asked at the same time and knows no service; see `huggingface.py` for
models behind an API and `huggingface_local.py` for models on this machine.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct

from kibitz.base.errors import JudgeAnswerError, UsageError
from kibitz.providers import prompts, words

Task = Literal["text-classification", "token-classification"]
MODELS: Final[Mapping[str, str]] = {
    "language": "papluca/xlm-roberta-base-language-detection",
    "sentiment": "cardiffnlp/twitter-roberta-base-sentiment-latest",
    "toxic": "martin-ha/toxic-comment-model",
    "pii": "bigcode/starpii",
    "relevance": "truera/context_relevance",
    "nli": "MoritzLaurer/DeBERTa-v3-base-mnli-fever-docnli-ling-2c",
    "hallucination": "vectara/hallucination_evaluation_model",
}
PORTION_CHARS = 1_500
MAX_PORTIONS = 20
"""Of one text; what is beyond them is not judged."""
_MAX_SENTENCES = 50
_MAX_SPANS = 20

T = TypeVar("T")


class Question(Struct, frozen=True):
    """One text for one model, or two that it reads beside each other."""

    task: Task
    purpose: str
    """A key of `MODELS`."""
    text: str
    beside: str | None = None
    """The second text, for models that read two."""


Label = tuple[str, float, str]
"""A label, how sure the model is of it, and the words that it is about, where it is not about all of them."""
Course = Generator[list[Question], list[list[Label]], T]


class Classifiers:
    """Has the methods; those who inherit say how courses are followed."""

    @abstractmethod
    def _follow(self, course: Course[T]) -> T:
        """Ask what the course asks."""

    @abstractmethod
    async def _afollow(self, course: Course[T]) -> T:
        """The same as a coroutine."""

    def language_match(self, text1: str, text2: str) -> tuple[float, dict[str, Any]]:
        """How far two texts are in the same language, 0 to 1, with how likely each language is for each.

        One less half the distance (L1) of both distributions over languages.
        """
        return self._follow(_languages(text1, text2))

    async def alanguage_match(self, text1: str, text2: str) -> tuple[float, dict[str, Any]]:
        """`language_match` as a coroutine."""
        return await self._afollow(_languages(text1, text2))

    def positive_sentiment(self, text: str) -> float:
        """How likely the text is positive, 0 to 1; of a long text the mean of its portions."""
        return self._follow(_share("sentiment", text, "positive", _mean))

    async def apositive_sentiment(self, text: str) -> float:
        """`positive_sentiment` as a coroutine."""
        return await self._afollow(_share("sentiment", text, "positive", _mean))

    def toxic(self, text: str) -> float:
        """How likely the text is toxic, 0 to 1; of a long text its most toxic portion. Lower is better."""
        return self._follow(_share("toxic", text, "toxic", max))

    async def atoxic(self, text: str) -> float:
        """`toxic` as a coroutine."""
        return await self._afollow(_share("toxic", text, "toxic", max))

    def pii_detection(self, text: str) -> float:
        """How likely the text holds what identifies a person, 0 to 1. Lower is better.

        One less the probability that none of the places that were found is one: 1 - prod(1 - p).
        """
        return self._follow(_pii(text))[0]

    async def apii_detection(self, text: str) -> float:
        """`pii_detection` as a coroutine."""
        return (await self._afollow(_pii(text)))[0]

    def pii_detection_with_reasons(self, text: str) -> tuple[float, dict[str, Any]]:
        """`pii_detection`, with the kinds that were found and how sure the model is of each; not the words themselves."""
        return self._follow(_pii(text))

    async def apii_detection_with_reasons(self, text: str) -> tuple[float, dict[str, Any]]:
        """`pii_detection_with_reasons` as a coroutine."""
        return await self._afollow(_pii(text))

    pii_detection_with_cot_reasons = pii_detection_with_reasons
    apii_detection_with_cot_reasons = apii_detection_with_reasons

    def context_relevance(self, prompt: str, context: str) -> float:
        """How likely the context is relevant to the prompt, 0 to 1; of a long context its best portion."""
        return self._follow(_relevant(prompt, context))

    async def acontext_relevance(self, prompt: str, context: str) -> float:
        """`context_relevance` as a coroutine."""
        return await self._afollow(_relevant(prompt, context))

    def groundedness_measure_with_nli(
        self, source: str, statement: str
    ) -> tuple[float, dict[str, Any]]:
        """How far the sentences of the statement follow from the source, 0 to 1: the mean of their entailment.

        Of a long source that portion counts for a sentence that entails it most.
        """
        return self._follow(_entailed(source, statement))

    async def agroundedness_measure_with_nli(
        self, source: str, statement: str
    ) -> tuple[float, dict[str, Any]]:
        """`groundedness_measure_with_nli` as a coroutine."""
        return await self._afollow(_entailed(source, statement))

    def hallucination_evaluator(self, model_output: str, retrieved_text_chunks: str) -> float:
        """How consistent the output is with what was retrieved: 1 where all of it is supported, 0 where it is made up.

        Of a long output its worst portion; of what was retrieved the beginning.
        """
        return self._follow(_consistent(model_output, retrieved_text_chunks))

    async def ahallucination_evaluator(
        self, model_output: str, retrieved_text_chunks: str
    ) -> float:
        """`hallucination_evaluator` as a coroutine."""
        return await self._afollow(_consistent(model_output, retrieved_text_chunks))


def _mean(shares: Sequence[float]) -> float:
    return math.fsum(shares) / len(shares)


def portions(value: Any, name: str) -> list[str]:
    """A text in pieces that a model can read, cut between words.

    Raises:
        UsageError: it is no text, or an empty one.
    """
    text = prompts.shown(value, name, PORTION_CHARS * MAX_PORTIONS).strip()
    if not text:
        raise UsageError(f"{name} is empty: there is nothing to judge", field=name)
    found: list[str] = []
    while text and len(found) < MAX_PORTIONS:
        end = len(text)
        if end > PORTION_CHARS:
            space = text.rfind(" ", PORTION_CHARS // 2, PORTION_CHARS)
            end = space if space > 0 else PORTION_CHARS
        found.append(text[:end])
        text = text[end:].strip()
    return found


def _likely(labels: Sequence[Label], *wanted: str) -> float:
    """How sure the model is of a label."""
    by_name = {name.lower().replace("-", "_"): share for name, share, _ in labels}
    for name in wanted:
        if name in by_name:
            return by_name[name]
    if len(wanted) == 1 and len(labels) == 2 and f"non_{wanted[0]}" in by_name:
        return 1 - by_name[f"non_{wanted[0]}"]
    if [*by_name] == ["label_0"]:
        # A model with one output, which nobody named: it says how likely the one thing is that it is for.
        return by_name["label_0"]
    said = ", ".join(by_name) or "nothing"
    raise JudgeAnswerError(
        f"the model has no label {wanted[0]!r}; it said {said[:200]}", text=said[:500]
    )


def checked(name: str, share: object, whole: object) -> float:
    """A model's share of a label, 0 to 1; raises `JudgeAnswerError` for what is none."""
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise JudgeAnswerError(
            f"the model's share of {name!r} is {share!r}, which is none from 0 to 1",
            text=repr(whole)[:500],
        )
    return float(share)


def _languages(text1: str, text2: str) -> Course[tuple[float, dict[str, Any]]]:
    texts = [portions(text1, "text1")[0], portions(text2, "text2")[0]]
    said = yield [Question("text-classification", "language", each) for each in texts]
    one, other = ({name: share for name, share, _ in labels} for labels in said)
    every = {*one, *other}
    distance = math.fsum(abs(one.get(each, 0.0) - other.get(each, 0.0)) for each in every)
    likely = [max(each, key=lambda name: each[name], default="?") for each in (one, other)]
    return max(0.0, 1 - distance / 2), {
        "reason": f"the first text is most likely {likely[0]}, the second {likely[1]}",
        "text1": one,
        "text2": other,
    }


def _share(
    purpose: str, text: str, label: str, combine: Callable[[Sequence[float]], float]
) -> Course[float]:
    said = yield [Question("text-classification", purpose, each) for each in portions(text, "text")]
    return combine([_likely(labels, label) for labels in said])


def _pii(text: str) -> Course[tuple[float, dict[str, Any]]]:
    said = yield [Question("token-classification", "pii", each) for each in portions(text, "text")]
    found = [(kind, share) for labels in said for kind, share, _ in labels]
    kinds: dict[str, float] = {}
    for kind, share in found:
        kinds[kind] = max(share, kinds.get(kind, 0.0))
    shown = ", ".join(f"{kind} ({share:.2f})" for kind, share in [*kinds.items()][:_MAX_SPANS])
    likely = 1 - math.prod(1 - min(1.0, share) for _, share in found)
    return likely, {"reason": shown or "nothing was found", "places": len(found)}


def _pairs(
    purpose: str,
    first: tuple[str, str],
    second: tuple[str, str],
    labels: tuple[str, ...],
    combine: Callable[[Sequence[float]], float] = max,
) -> Course[float]:
    """The best of the portions of the second text beside the beginning of the first, or what else is combined; texts
    with their names."""
    head = portions(*first)[0]
    said = yield [
        Question("text-classification", purpose, head, each) for each in portions(*second)
    ]
    return combine([_likely(each, *labels) for each in said])


def _relevant(prompt: str, context: str) -> Course[float]:
    labels = ("context_relevance", "relevant")
    return _pairs("relevance", (prompt, "prompt"), (context, "context"), labels)


def _consistent(output: str, chunks: str) -> Course[float]:
    first, second = (chunks, "retrieved_text_chunks"), (output, "model_output")
    return _pairs("hallucination", first, second, ("consistent", "label_1"), min)


def _entailed(source: str, statement: str) -> Course[tuple[float, dict[str, Any]]]:
    sources = portions(source, "source")
    stated = words.sentences(prompts.shown(statement, "statement", 1_000_000))[:_MAX_SENTENCES]
    if not stated:
        raise UsageError("statement has no sentence: there is nothing to judge", field="statement")
    said = yield [
        Question("text-classification", "nli", each, sentence)
        for sentence in stated
        for each in sources
    ]
    shares = [_likely(each, "entailment") for each in said]
    best = [max(shares[at : at + len(sources)]) for at in range(0, len(shares), len(sources))]
    lines = [
        f"{n}. {share:.2f} {text}"
        for n, (text, share) in enumerate(zip(stated, best, strict=True), 1)
    ]
    return _mean(best), {
        "reason": "\n".join(lines),
        "sentences": [
            {"sentence": text, "score": share} for text, share in zip(stated, best, strict=True)
        ],
    }
