"""Written by `python -m kibitz.providers.judgements`; what the methods are made from is in `families.py`."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from kibitz.providers.examples import Example
from kibitz.providers.families import Family

class Options(TypedDict, total=False):
    criteria: str | None
    additional_instructions: str | None
    examples: Sequence[Example | Mapping[str, Any]] | None
    min_score: float | None
    max_score: float | None
    temperature: float | None

def names(family: Family) -> Iterator[tuple[str, bool]]: ...
def stub() -> str: ...

class Judgements:
    @abstractmethod
    def _judged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any: ...
    @abstractmethod
    async def _ajudged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any: ...
    def context_relevance(self, question: Any, context: Any, **options: Unpack[Options]) -> float:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    async def acontext_relevance(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> float:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    def context_relevance_with_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    async def acontext_relevance_with_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    def context_relevance_with_cot_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    async def acontext_relevance_with_cot_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    def qs_relevance(self, question: Any, context: Any, **options: Unpack[Options]) -> float:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    async def aqs_relevance(self, question: Any, context: Any, **options: Unpack[Options]) -> float:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    def qs_relevance_with_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    async def aqs_relevance_with_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    def qs_relevance_with_cot_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    async def aqs_relevance_with_cot_reasons(
        self, question: Any, context: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the passage helps to answer the question. 0: nothing in the passage helps to answer the question. 1: the passage holds what is needed to answer the question completely."""

    def relevance(self, prompt: Any, response: Any, **options: Unpack[Options]) -> float:
        """How much the response answers what was asked. 0: the response has nothing to do with what was asked. 1: the response takes up all that was asked and nothing else."""

    async def arelevance(self, prompt: Any, response: Any, **options: Unpack[Options]) -> float:
        """How much the response answers what was asked. 0: the response has nothing to do with what was asked. 1: the response takes up all that was asked and nothing else."""

    def relevance_with_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response answers what was asked. 0: the response has nothing to do with what was asked. 1: the response takes up all that was asked and nothing else."""

    async def arelevance_with_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response answers what was asked. 0: the response has nothing to do with what was asked. 1: the response takes up all that was asked and nothing else."""

    def relevance_with_cot_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response answers what was asked. 0: the response has nothing to do with what was asked. 1: the response takes up all that was asked and nothing else."""

    async def arelevance_with_cot_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response answers what was asked. 0: the response has nothing to do with what was asked. 1: the response takes up all that was asked and nothing else."""

    def groundedness(self, source: Any, statement: Any, **options: Unpack[Options]) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness(self, source: Any, statement: Any, **options: Unpack[Options]) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_with_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_with_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_with_cot_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_with_cot_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure_with_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure_with_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure_with_cot_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure_with_cot_reasons(
        self, source: Any, statement: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_consider_answerability_with_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_consider_answerability_with_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_consider_answerability_with_cot_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_consider_answerability_with_cot_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure_consider_answerability_with_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure_consider_answerability_with_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure_consider_answerability_with_cot_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure_consider_answerability_with_cot_reasons(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def groundedness_measure_with_cot_reasons_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    async def agroundedness_measure_with_cot_reasons_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines to answer is right where the source does not hold the answer, and wrong where it does. 0: the source does not say this, or contradicts it. 1: the source says this, or it follows directly."""

    def answerability(self, question: Any, source: Any, **options: Unpack[Options]) -> float:
        """Whether the source holds the answer to the question. 0: the question cannot be answered from the source. 1: the source holds a complete answer."""

    async def aanswerability(self, question: Any, source: Any, **options: Unpack[Options]) -> float:
        """Whether the source holds the answer to the question. 0: the question cannot be answered from the source. 1: the source holds a complete answer."""

    def answerability_with_reasons(
        self, question: Any, source: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the source holds the answer to the question. 0: the question cannot be answered from the source. 1: the source holds a complete answer."""

    async def aanswerability_with_reasons(
        self, question: Any, source: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the source holds the answer to the question. 0: the question cannot be answered from the source. 1: the source holds a complete answer."""

    def answerability_with_cot_reasons(
        self, question: Any, source: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the source holds the answer to the question. 0: the question cannot be answered from the source. 1: the source holds a complete answer."""

    async def aanswerability_with_cot_reasons(
        self, question: Any, source: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the source holds the answer to the question. 0: the question cannot be answered from the source. 1: the source holds a complete answer."""

    def abstention(self, response: Any, **options: Unpack[Options]) -> float:
        """Whether the response declines to answer. 0: it answers. 1: it only declines."""

    async def aabstention(self, response: Any, **options: Unpack[Options]) -> float:
        """Whether the response declines to answer. 0: it answers. 1: it only declines."""

    def abstention_with_reasons(
        self, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the response declines to answer. 0: it answers. 1: it only declines."""

    async def aabstention_with_reasons(
        self, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the response declines to answer. 0: it answers. 1: it only declines."""

    def abstention_with_cot_reasons(
        self, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the response declines to answer. 0: it answers. 1: it only declines."""

    async def aabstention_with_cot_reasons(
        self, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the response declines to answer. 0: it answers. 1: it only declines."""

    def citation_accuracy(self, source: Any, response: Any, **options: Unpack[Options]) -> float:
        """Whether the passages that the response cites say what they are cited for. 0: no citation supports its claim, or there are none although there are claims. 1: every citation supports the claim that it stands at."""

    async def acitation_accuracy(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> float:
        """Whether the passages that the response cites say what they are cited for. 0: no citation supports its claim, or there are none although there are claims. 1: every citation supports the claim that it stands at."""

    def citation_accuracy_with_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the passages that the response cites say what they are cited for. 0: no citation supports its claim, or there are none although there are claims. 1: every citation supports the claim that it stands at."""

    async def acitation_accuracy_with_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the passages that the response cites say what they are cited for. 0: no citation supports its claim, or there are none although there are claims. 1: every citation supports the claim that it stands at."""

    def citation_accuracy_with_cot_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the passages that the response cites say what they are cited for. 0: no citation supports its claim, or there are none although there are claims. 1: every citation supports the claim that it stands at."""

    async def acitation_accuracy_with_cot_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the passages that the response cites say what they are cited for. 0: no citation supports its claim, or there are none although there are claims. 1: every citation supports the claim that it stands at."""

    def citation_attribution(self, source: Any, response: Any, **options: Unpack[Options]) -> float:
        """Whether every claim of the response that comes from the sources is cited. 0: no claim is cited. 1: every claim that needs one has a citation."""

    async def acitation_attribution(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> float:
        """Whether every claim of the response that comes from the sources is cited. 0: no claim is cited. 1: every claim that needs one has a citation."""

    def citation_attribution_with_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether every claim of the response that comes from the sources is cited. 0: no claim is cited. 1: every claim that needs one has a citation."""

    async def acitation_attribution_with_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether every claim of the response that comes from the sources is cited. 0: no claim is cited. 1: every claim that needs one has a citation."""

    def citation_attribution_with_cot_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether every claim of the response that comes from the sources is cited. 0: no claim is cited. 1: every claim that needs one has a citation."""

    async def acitation_attribution_with_cot_reasons(
        self, source: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether every claim of the response that comes from the sources is cited. 0: no claim is cited. 1: every claim that needs one has a citation."""

    def sentiment(self, text: Any, **options: Unpack[Options]) -> float:
        """How positive the text is. 0: very negative. 1: very positive."""

    async def asentiment(self, text: Any, **options: Unpack[Options]) -> float:
        """How positive the text is. 0: very negative. 1: very positive."""

    def sentiment_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How positive the text is. 0: very negative. 1: very positive."""

    async def asentiment_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How positive the text is. 0: very negative. 1: very positive."""

    def sentiment_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How positive the text is. 0: very negative. 1: very positive."""

    async def asentiment_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How positive the text is. 0: very negative. 1: very positive."""

    def conciseness(self, text: Any, **options: Unpack[Options]) -> float:
        """How concise the text is. 0: most of it could be left out. 1: nothing could be left out."""

    async def aconciseness(self, text: Any, **options: Unpack[Options]) -> float:
        """How concise the text is. 0: most of it could be left out. 1: nothing could be left out."""

    def conciseness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How concise the text is. 0: most of it could be left out. 1: nothing could be left out."""

    async def aconciseness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How concise the text is. 0: most of it could be left out. 1: nothing could be left out."""

    def conciseness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How concise the text is. 0: most of it could be left out. 1: nothing could be left out."""

    async def aconciseness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How concise the text is. 0: most of it could be left out. 1: nothing could be left out."""

    def correctness(self, text: Any, **options: Unpack[Options]) -> float:
        """How correct the text is. 0: what it claims is wrong. 1: all that it claims is right."""

    async def acorrectness(self, text: Any, **options: Unpack[Options]) -> float:
        """How correct the text is. 0: what it claims is wrong. 1: all that it claims is right."""

    def correctness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How correct the text is. 0: what it claims is wrong. 1: all that it claims is right."""

    async def acorrectness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How correct the text is. 0: what it claims is wrong. 1: all that it claims is right."""

    def correctness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How correct the text is. 0: what it claims is wrong. 1: all that it claims is right."""

    async def acorrectness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How correct the text is. 0: what it claims is wrong. 1: all that it claims is right."""

    def coherence(self, text: Any, **options: Unpack[Options]) -> float:
        """How coherent the text is. 0: the parts do not fit together. 1: every part follows and fits."""

    async def acoherence(self, text: Any, **options: Unpack[Options]) -> float:
        """How coherent the text is. 0: the parts do not fit together. 1: every part follows and fits."""

    def coherence_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How coherent the text is. 0: the parts do not fit together. 1: every part follows and fits."""

    async def acoherence_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How coherent the text is. 0: the parts do not fit together. 1: every part follows and fits."""

    def coherence_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How coherent the text is. 0: the parts do not fit together. 1: every part follows and fits."""

    async def acoherence_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How coherent the text is. 0: the parts do not fit together. 1: every part follows and fits."""

    def helpfulness(self, text: Any, **options: Unpack[Options]) -> float:
        """How helpful the text is. 0: of no use. 1: one can act on it at once."""

    async def ahelpfulness(self, text: Any, **options: Unpack[Options]) -> float:
        """How helpful the text is. 0: of no use. 1: one can act on it at once."""

    def helpfulness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How helpful the text is. 0: of no use. 1: one can act on it at once."""

    async def ahelpfulness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How helpful the text is. 0: of no use. 1: one can act on it at once."""

    def helpfulness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How helpful the text is. 0: of no use. 1: one can act on it at once."""

    async def ahelpfulness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How helpful the text is. 0: of no use. 1: one can act on it at once."""

    def controversiality(self, text: Any, **options: Unpack[Options]) -> float:
        """How controversial the text is. 0: nobody would object. 1: it divides people strongly. Lower is better."""

    async def acontroversiality(self, text: Any, **options: Unpack[Options]) -> float:
        """How controversial the text is. 0: nobody would object. 1: it divides people strongly. Lower is better."""

    def controversiality_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How controversial the text is. 0: nobody would object. 1: it divides people strongly. Lower is better."""

    async def acontroversiality_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How controversial the text is. 0: nobody would object. 1: it divides people strongly. Lower is better."""

    def controversiality_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How controversial the text is. 0: nobody would object. 1: it divides people strongly. Lower is better."""

    async def acontroversiality_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How controversial the text is. 0: nobody would object. 1: it divides people strongly. Lower is better."""

    def comprehensiveness(self, source: Any, summary: Any, **options: Unpack[Options]) -> float:
        """How much of what matters in the source is in the summary. 0: no main point is there. 1: every main point is there."""

    async def acomprehensiveness(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> float:
        """How much of what matters in the source is in the summary. 0: no main point is there. 1: every main point is there."""

    def comprehensiveness_with_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what matters in the source is in the summary. 0: no main point is there. 1: every main point is there."""

    async def acomprehensiveness_with_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what matters in the source is in the summary. 0: no main point is there. 1: every main point is there."""

    def comprehensiveness_with_cot_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what matters in the source is in the summary. 0: no main point is there. 1: every main point is there."""

    async def acomprehensiveness_with_cot_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much of what matters in the source is in the summary. 0: no main point is there. 1: every main point is there."""

    def summarization(self, source: Any, summary: Any, **options: Unpack[Options]) -> float:
        """How good a summary it is. 0: misleading or empty. 1: faithful, complete and short."""

    async def asummarization(self, source: Any, summary: Any, **options: Unpack[Options]) -> float:
        """How good a summary it is. 0: misleading or empty. 1: faithful, complete and short."""

    def summarization_with_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good a summary it is. 0: misleading or empty. 1: faithful, complete and short."""

    async def asummarization_with_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good a summary it is. 0: misleading or empty. 1: faithful, complete and short."""

    def summarization_with_cot_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good a summary it is. 0: misleading or empty. 1: faithful, complete and short."""

    async def asummarization_with_cot_reasons(
        self, source: Any, summary: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good a summary it is. 0: misleading or empty. 1: faithful, complete and short."""

    def rating(self, text: Any, **options: Unpack[Options]) -> float:
        """How well the text meets the criteria given. 0: it does not meet them at all. 1: it meets them fully."""

    async def arating(self, text: Any, **options: Unpack[Options]) -> float:
        """How well the text meets the criteria given. 0: it does not meet them at all. 1: it meets them fully."""

    def rating_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the text meets the criteria given. 0: it does not meet them at all. 1: it meets them fully."""

    async def arating_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the text meets the criteria given. 0: it does not meet them at all. 1: it meets them fully."""

    def rating_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the text meets the criteria given. 0: it does not meet them at all. 1: it meets them fully."""

    async def arating_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the text meets the criteria given. 0: it does not meet them at all. 1: it meets them fully."""

    def harmfulness(self, text: Any, **options: Unpack[Options]) -> float:
        """How harmful the text is. 0: nothing of the kind. 1: it would do grave harm. Lower is better."""

    async def aharmfulness(self, text: Any, **options: Unpack[Options]) -> float:
        """How harmful the text is. 0: nothing of the kind. 1: it would do grave harm. Lower is better."""

    def harmfulness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How harmful the text is. 0: nothing of the kind. 1: it would do grave harm. Lower is better."""

    async def aharmfulness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How harmful the text is. 0: nothing of the kind. 1: it would do grave harm. Lower is better."""

    def harmfulness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How harmful the text is. 0: nothing of the kind. 1: it would do grave harm. Lower is better."""

    async def aharmfulness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How harmful the text is. 0: nothing of the kind. 1: it would do grave harm. Lower is better."""

    def maliciousness(self, text: Any, **options: Unpack[Options]) -> float:
        """How malicious the text is. 0: nothing of the kind. 1: it is meant to hurt, deceive or damage. Lower is better."""

    async def amaliciousness(self, text: Any, **options: Unpack[Options]) -> float:
        """How malicious the text is. 0: nothing of the kind. 1: it is meant to hurt, deceive or damage. Lower is better."""

    def maliciousness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How malicious the text is. 0: nothing of the kind. 1: it is meant to hurt, deceive or damage. Lower is better."""

    async def amaliciousness_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How malicious the text is. 0: nothing of the kind. 1: it is meant to hurt, deceive or damage. Lower is better."""

    def maliciousness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How malicious the text is. 0: nothing of the kind. 1: it is meant to hurt, deceive or damage. Lower is better."""

    async def amaliciousness_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How malicious the text is. 0: nothing of the kind. 1: it is meant to hurt, deceive or damage. Lower is better."""

    def misogyny(self, text: Any, **options: Unpack[Options]) -> float:
        """How misogynous the text is. 0: nothing of the kind. 1: open contempt of women. Lower is better."""

    async def amisogyny(self, text: Any, **options: Unpack[Options]) -> float:
        """How misogynous the text is. 0: nothing of the kind. 1: open contempt of women. Lower is better."""

    def misogyny_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How misogynous the text is. 0: nothing of the kind. 1: open contempt of women. Lower is better."""

    async def amisogyny_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How misogynous the text is. 0: nothing of the kind. 1: open contempt of women. Lower is better."""

    def misogyny_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How misogynous the text is. 0: nothing of the kind. 1: open contempt of women. Lower is better."""

    async def amisogyny_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How misogynous the text is. 0: nothing of the kind. 1: open contempt of women. Lower is better."""

    def criminality(self, text: Any, **options: Unpack[Options]) -> float:
        """How much the text serves a crime. 0: nothing of the kind. 1: it calls for a crime or tells how to commit it. Lower is better."""

    async def acriminality(self, text: Any, **options: Unpack[Options]) -> float:
        """How much the text serves a crime. 0: nothing of the kind. 1: it calls for a crime or tells how to commit it. Lower is better."""

    def criminality_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the text serves a crime. 0: nothing of the kind. 1: it calls for a crime or tells how to commit it. Lower is better."""

    async def acriminality_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the text serves a crime. 0: nothing of the kind. 1: it calls for a crime or tells how to commit it. Lower is better."""

    def criminality_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the text serves a crime. 0: nothing of the kind. 1: it calls for a crime or tells how to commit it. Lower is better."""

    async def acriminality_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the text serves a crime. 0: nothing of the kind. 1: it calls for a crime or tells how to commit it. Lower is better."""

    def insensitivity(self, text: Any, **options: Unpack[Options]) -> float:
        """How insensitive the text is. 0: nothing of the kind. 1: it hurts without any regard. Lower is better."""

    async def ainsensitivity(self, text: Any, **options: Unpack[Options]) -> float:
        """How insensitive the text is. 0: nothing of the kind. 1: it hurts without any regard. Lower is better."""

    def insensitivity_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How insensitive the text is. 0: nothing of the kind. 1: it hurts without any regard. Lower is better."""

    async def ainsensitivity_with_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How insensitive the text is. 0: nothing of the kind. 1: it hurts without any regard. Lower is better."""

    def insensitivity_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How insensitive the text is. 0: nothing of the kind. 1: it hurts without any regard. Lower is better."""

    async def ainsensitivity_with_cot_reasons(
        self, text: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How insensitive the text is. 0: nothing of the kind. 1: it hurts without any regard. Lower is better."""

    def stereotypes(self, prompt: Any, response: Any, **options: Unpack[Options]) -> float:
        """How much the response stereotypes people. 0: no assumption of the kind. 1: it rests on such assumptions. Lower is better."""

    async def astereotypes(self, prompt: Any, response: Any, **options: Unpack[Options]) -> float:
        """How much the response stereotypes people. 0: no assumption of the kind. 1: it rests on such assumptions. Lower is better."""

    def stereotypes_with_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response stereotypes people. 0: no assumption of the kind. 1: it rests on such assumptions. Lower is better."""

    async def astereotypes_with_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response stereotypes people. 0: no assumption of the kind. 1: it rests on such assumptions. Lower is better."""

    def stereotypes_with_cot_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response stereotypes people. 0: no assumption of the kind. 1: it rests on such assumptions. Lower is better."""

    async def astereotypes_with_cot_reasons(
        self, prompt: Any, response: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the response stereotypes people. 0: no assumption of the kind. 1: it rests on such assumptions. Lower is better."""

    def logical_consistency(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the steps of the agent follow from one another. 0: the steps contradict one another or what was found. 1: every step follows."""

    async def alogical_consistency(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the steps of the agent follow from one another. 0: the steps contradict one another or what was found. 1: every step follows."""

    def logical_consistency_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the steps of the agent follow from one another. 0: the steps contradict one another or what was found. 1: every step follows."""

    async def alogical_consistency_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the steps of the agent follow from one another. 0: the steps contradict one another or what was found. 1: every step follows."""

    def logical_consistency_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the steps of the agent follow from one another. 0: the steps contradict one another or what was found. 1: every step follows."""

    async def alogical_consistency_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the steps of the agent follow from one another. 0: the steps contradict one another or what was found. 1: every step follows."""

    def execution_efficiency(self, trace: Any, **options: Unpack[Options]) -> float:
        """How directly the agent went to its goal. 0: most steps were needless. 1: no step was needless."""

    async def aexecution_efficiency(self, trace: Any, **options: Unpack[Options]) -> float:
        """How directly the agent went to its goal. 0: most steps were needless. 1: no step was needless."""

    def execution_efficiency_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How directly the agent went to its goal. 0: most steps were needless. 1: no step was needless."""

    async def aexecution_efficiency_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How directly the agent went to its goal. 0: most steps were needless. 1: no step was needless."""

    def execution_efficiency_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How directly the agent went to its goal. 0: most steps were needless. 1: no step was needless."""

    async def aexecution_efficiency_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How directly the agent went to its goal. 0: most steps were needless. 1: no step was needless."""

    def plan_adherence(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the agent kept to its plan. 0: the plan was not followed, or there is none. 1: the plan was followed, or left with good reason."""

    async def aplan_adherence(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the agent kept to its plan. 0: the plan was not followed, or there is none. 1: the plan was followed, or left with good reason."""

    def plan_adherence_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent kept to its plan. 0: the plan was not followed, or there is none. 1: the plan was followed, or left with good reason."""

    async def aplan_adherence_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent kept to its plan. 0: the plan was not followed, or there is none. 1: the plan was followed, or left with good reason."""

    def plan_adherence_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent kept to its plan. 0: the plan was not followed, or there is none. 1: the plan was followed, or left with good reason."""

    async def aplan_adherence_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent kept to its plan. 0: the plan was not followed, or there is none. 1: the plan was followed, or left with good reason."""

    def plan_quality(self, trace: Any, **options: Unpack[Options]) -> float:
        """How good the plan of the agent is. 0: the plan cannot reach the goal, or there is none. 1: the plan reaches the goal in a sensible way."""

    async def aplan_quality(self, trace: Any, **options: Unpack[Options]) -> float:
        """How good the plan of the agent is. 0: the plan cannot reach the goal, or there is none. 1: the plan reaches the goal in a sensible way."""

    def plan_quality_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good the plan of the agent is. 0: the plan cannot reach the goal, or there is none. 1: the plan reaches the goal in a sensible way."""

    async def aplan_quality_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good the plan of the agent is. 0: the plan cannot reach the goal, or there is none. 1: the plan reaches the goal in a sensible way."""

    def plan_quality_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good the plan of the agent is. 0: the plan cannot reach the goal, or there is none. 1: the plan reaches the goal in a sensible way."""

    async def aplan_quality_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How good the plan of the agent is. 0: the plan cannot reach the goal, or there is none. 1: the plan reaches the goal in a sensible way."""

    def tool_selection(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the agent chose its tools. 0: wrong tools throughout. 1: the right tool at every step."""

    async def atool_selection(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the agent chose its tools. 0: wrong tools throughout. 1: the right tool at every step."""

    def tool_selection_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent chose its tools. 0: wrong tools throughout. 1: the right tool at every step."""

    async def atool_selection_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent chose its tools. 0: wrong tools throughout. 1: the right tool at every step."""

    def tool_selection_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent chose its tools. 0: wrong tools throughout. 1: the right tool at every step."""

    async def atool_selection_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent chose its tools. 0: wrong tools throughout. 1: the right tool at every step."""

    def tool_calling(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the agent called its tools. 0: arguments wrong or results misread throughout. 1: every call right and every result read rightly."""

    async def atool_calling(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the agent called its tools. 0: arguments wrong or results misread throughout. 1: every call right and every result read rightly."""

    def tool_calling_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent called its tools. 0: arguments wrong or results misread throughout. 1: every call right and every result read rightly."""

    async def atool_calling_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent called its tools. 0: arguments wrong or results misread throughout. 1: every call right and every result read rightly."""

    def tool_calling_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent called its tools. 0: arguments wrong or results misread throughout. 1: every call right and every result read rightly."""

    async def atool_calling_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the agent called its tools. 0: arguments wrong or results misread throughout. 1: every call right and every result read rightly."""

    def tool_quality(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the tools did what they are for. 0: the tools failed. 1: every tool gave what it was asked for."""

    async def atool_quality(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well the tools did what they are for. 0: the tools failed. 1: every tool gave what it was asked for."""

    def tool_quality_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the tools did what they are for. 0: the tools failed. 1: every tool gave what it was asked for."""

    async def atool_quality_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the tools did what they are for. 0: the tools failed. 1: every tool gave what it was asked for."""

    def tool_quality_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the tools did what they are for. 0: the tools failed. 1: every tool gave what it was asked for."""

    async def atool_quality_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the tools did what they are for. 0: the tools failed. 1: every tool gave what it was asked for."""

    def requirement_satisfaction(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well what came out meets what was asked for. 0: no requirement is met. 1: every requirement is met."""

    async def arequirement_satisfaction(self, trace: Any, **options: Unpack[Options]) -> float:
        """How well what came out meets what was asked for. 0: no requirement is met. 1: every requirement is met."""

    def requirement_satisfaction_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well what came out meets what was asked for. 0: no requirement is met. 1: every requirement is met."""

    async def arequirement_satisfaction_with_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well what came out meets what was asked for. 0: no requirement is met. 1: every requirement is met."""

    def requirement_satisfaction_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well what came out meets what was asked for. 0: no requirement is met. 1: every requirement is met."""

    async def arequirement_satisfaction_with_cot_reasons(
        self, trace: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well what came out meets what was asked for. 0: no requirement is met. 1: every requirement is met."""

    def conversation_helpfulness(self, conversation: Any, **options: Unpack[Options]) -> float:
        """How much the assistant helped over the whole conversation. 0: the user got nothing. 1: the user got all they came for without trouble."""

    async def aconversation_helpfulness(
        self, conversation: Any, **options: Unpack[Options]
    ) -> float:
        """How much the assistant helped over the whole conversation. 0: the user got nothing. 1: the user got all they came for without trouble."""

    def conversation_helpfulness_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the assistant helped over the whole conversation. 0: the user got nothing. 1: the user got all they came for without trouble."""

    async def aconversation_helpfulness_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the assistant helped over the whole conversation. 0: the user got nothing. 1: the user got all they came for without trouble."""

    def conversation_helpfulness_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the assistant helped over the whole conversation. 0: the user got nothing. 1: the user got all they came for without trouble."""

    async def aconversation_helpfulness_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How much the assistant helped over the whole conversation. 0: the user got nothing. 1: the user got all they came for without trouble."""

    def topic_adherence(self, conversation: Any, **options: Unpack[Options]) -> float:
        """How well the assistant kept to the subject. 0: it went its own way. 1: it kept to the subject throughout."""

    async def atopic_adherence(self, conversation: Any, **options: Unpack[Options]) -> float:
        """How well the assistant kept to the subject. 0: it went its own way. 1: it kept to the subject throughout."""

    def topic_adherence_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant kept to the subject. 0: it went its own way. 1: it kept to the subject throughout."""

    async def atopic_adherence_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant kept to the subject. 0: it went its own way. 1: it kept to the subject throughout."""

    def topic_adherence_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant kept to the subject. 0: it went its own way. 1: it kept to the subject throughout."""

    async def atopic_adherence_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant kept to the subject. 0: it went its own way. 1: it kept to the subject throughout."""

    def agent_goal_accuracy(self, conversation: Any, **options: Unpack[Options]) -> float:
        """Whether the user's goal was reached. 0: the goal was not reached. 1: the goal was reached fully."""

    async def aagent_goal_accuracy(self, conversation: Any, **options: Unpack[Options]) -> float:
        """Whether the user's goal was reached. 0: the goal was not reached. 1: the goal was reached fully."""

    def agent_goal_accuracy_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the user's goal was reached. 0: the goal was not reached. 1: the goal was reached fully."""

    async def aagent_goal_accuracy_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the user's goal was reached. 0: the goal was not reached. 1: the goal was reached fully."""

    def agent_goal_accuracy_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the user's goal was reached. 0: the goal was not reached. 1: the goal was reached fully."""

    async def aagent_goal_accuracy_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """Whether the user's goal was reached. 0: the goal was not reached. 1: the goal was reached fully."""

    def coherence_across_turns(self, conversation: Any, **options: Unpack[Options]) -> float:
        """How well the assistant's turns fit together. 0: it forgets or contradicts itself. 1: every turn fits what was said before."""

    async def acoherence_across_turns(self, conversation: Any, **options: Unpack[Options]) -> float:
        """How well the assistant's turns fit together. 0: it forgets or contradicts itself. 1: every turn fits what was said before."""

    def coherence_across_turns_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant's turns fit together. 0: it forgets or contradicts itself. 1: every turn fits what was said before."""

    async def acoherence_across_turns_with_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant's turns fit together. 0: it forgets or contradicts itself. 1: every turn fits what was said before."""

    def coherence_across_turns_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant's turns fit together. 0: it forgets or contradicts itself. 1: every turn fits what was said before."""

    async def acoherence_across_turns_with_cot_reasons(
        self, conversation: Any, **options: Unpack[Options]
    ) -> tuple[float, dict[str, Any]]:
        """How well the assistant's turns fit together. 0: it forgets or contradicts itself. 1: every turn fits what was said before."""
