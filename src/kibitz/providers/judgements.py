"""The methods of every judge: what each is called and takes, for people, editors and type checkers.

What a model is told of a family is in `families.py`, under the name of its method. A family is one function without
a body; its other names are made from that: with reasons, as a coroutine, as TruLens calls it.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypedDict, TypeVar, Unpack, cast

from kibitz.providers.examples import Example
from kibitz.providers.families import FAMILIES, Family

S = TypeVar("S")
"""What a judgement without reasons gives: a judge a float, a jury its votes with it."""
P = ParamSpec("P")
R = TypeVar("R")
Reasoned = tuple[float, dict[str, Any]]
"""A score with `{"reason": …}` and whatever else was said."""


class Options(TypedDict, total=False):
    """What may be said with each question; what is not said is as the judge was made."""

    criteria: str | None
    """What to look at, in the place of the family's own."""
    additional_instructions: str | None
    examples: Sequence[Example | Mapping[str, Any]] | None
    """Judgements to follow."""
    min_score: float | None
    """The scale that the model is asked to use …"""
    max_score: float | None
    """… and where it ends."""
    temperature: float | None


_OPTIONS = inspect.get_annotations(Options)


class _Method:
    """A method in the making. The class gives it its names, each a function of its own, which definitions can name."""

    def __init__(
        self, asked: Callable[..., Any], *, reasons: bool = False, coroutine: bool = False
    ) -> None:
        self.asked, self.reasons, self.coroutine = asked, reasons, coroutine

    def __set_name__(self, owner: type, name: str) -> None:
        setattr(owner, name, _function(self, name))


def judgement(
    asked: Callable[Concatenate[Any, P], None],
) -> Callable[Concatenate[Judgements[S], P], S]:
    """The judgement of a family, which has the name of a function that says what is judged and does nothing."""
    return cast("Callable[Concatenate[Judgements[S], P], S]", _Method(asked))


def reasoned(judged: Callable[P, object]) -> Callable[P, Reasoned]:
    """The same with the reasons of the model: `(score, {"reason": …})`."""
    method = cast("_Method", judged)
    return cast("Callable[P, Reasoned]", _Method(method.asked, reasons=True))


def later(judged: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The same as a coroutine function."""
    method = cast("_Method", judged)
    made = _Method(method.asked, reasons=method.reasons, coroutine=True)
    return cast("Callable[P, Coroutine[Any, Any, R]]", made)


def _function(method: _Method, name: str) -> Callable[..., Any]:
    family = FAMILIES[method.asked.__name__]
    signature = _signature(method)
    stem = name.removeprefix("a") if method.coroutine else name

    def bound(args: Any, kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        found = signature.bind(*args, **kwargs).arguments
        given = {each: found[each] for each in family.arguments}
        return given, {each: found[each] for each in _OPTIONS if found.get(each) is not None}

    def judge(self: Judgements[Any], *args: Any, **kwargs: Any) -> Any:
        given, options = bound((self, *args), kwargs)
        return self._judged(stem, family, given, options, method.reasons)  # pyright: ignore[reportPrivateUsage]

    async def ajudge(self: Judgements[Any], *args: Any, **kwargs: Any) -> Any:
        given, options = bound((self, *args), kwargs)
        return await self._ajudged(stem, family, given, options, method.reasons)  # pyright: ignore[reportPrivateUsage]

    made: Any = ajudge if method.coroutine else judge
    made.__name__ = name
    made.__qualname__ = f"Judgements.{name}"
    made.__doc__ = _document(method, family)
    made.__signature__ = signature
    made.higher_is_better = family.higher_is_better
    return made


def _signature(method: _Method) -> inspect.Signature:
    """What is judged, and each option by its name."""
    kinds = inspect.Parameter
    *judged, _ = inspect.signature(method.asked).parameters.values()
    options = [
        kinds(name, kinds.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
        for name, kind in _OPTIONS.items()
    ]
    gives = "tuple[float, dict[str, Any]]" if method.reasons else "float"
    return inspect.Signature([*judged, *options], return_annotation=gives)


def _document(method: _Method, family: Family) -> str:
    # Python has no docstrings with -OO.
    asks = " ".join((method.asked.__doc__ or family.asks).split())
    ends = f"0: {family.low}. 1: {family.high}."
    better = "" if family.higher_is_better else " Lower is better."
    also = '\n\nGives `(score, {"reason": …})`.' if method.reasons else ""
    return f"{asks} {ends}{better}{also}"


class Judgements(Generic[S]):
    """Has the methods of all families; those who inherit say how a question is answered."""

    @abstractmethod
    def _judged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        """Answer a question: `S`, or with its reasons `(float, metadata)`."""

    @abstractmethod
    async def _ajudged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        """The same as a coroutine."""

    @judgement
    def context_relevance(self, question: Any, context: Any, **options: Unpack[Options]) -> None:
        """How much the passage helps to answer the question."""

    context_relevance_with_reasons = context_relevance_with_cot_reasons = reasoned(
        context_relevance
    )
    acontext_relevance = later(context_relevance)
    acontext_relevance_with_reasons = acontext_relevance_with_cot_reasons = later(
        context_relevance_with_reasons
    )

    qs_relevance = context_relevance
    qs_relevance_with_reasons = qs_relevance_with_cot_reasons = context_relevance_with_reasons
    aqs_relevance = acontext_relevance
    aqs_relevance_with_reasons = aqs_relevance_with_cot_reasons = acontext_relevance_with_reasons

    @judgement
    def relevance(self, prompt: Any, response: Any, **options: Unpack[Options]) -> None:
        """How much the response answers what was asked."""

    relevance_with_reasons = relevance_with_cot_reasons = reasoned(relevance)
    arelevance = later(relevance)
    arelevance_with_reasons = arelevance_with_cot_reasons = later(relevance_with_reasons)

    @judgement
    def groundedness(self, source: Any, statement: Any, **options: Unpack[Options]) -> None:
        """How much of what is stated follows from the source, as the mean over its sentences."""

    groundedness_with_reasons = groundedness_with_cot_reasons = reasoned(groundedness)
    agroundedness = later(groundedness)
    agroundedness_with_reasons = agroundedness_with_cot_reasons = later(groundedness_with_reasons)

    groundedness_measure = groundedness
    groundedness_measure_with_reasons = groundedness_measure_with_cot_reasons = (
        groundedness_with_reasons
    )
    agroundedness_measure = agroundedness
    agroundedness_measure_with_reasons = agroundedness_measure_with_cot_reasons = (
        agroundedness_with_reasons
    )

    @judgement
    def groundedness_consider_answerability(
        self, source: Any, statement: Any, question: Any, **options: Unpack[Options]
    ) -> None:
        """How much of what is stated follows from the source, as the mean over its sentences; a sentence that declines
        to answer is right where the source does not hold the answer, and wrong where it does.
        """

    groundedness_consider_answerability_with_reasons = (
        groundedness_consider_answerability_with_cot_reasons
    ) = reasoned(groundedness_consider_answerability)
    agroundedness_consider_answerability = later(groundedness_consider_answerability)
    agroundedness_consider_answerability_with_reasons = (
        agroundedness_consider_answerability_with_cot_reasons
    ) = later(groundedness_consider_answerability_with_reasons)

    groundedness_measure_consider_answerability = groundedness_consider_answerability
    groundedness_measure_consider_answerability_with_reasons = (
        groundedness_measure_consider_answerability_with_cot_reasons
    ) = groundedness_consider_answerability_with_reasons
    agroundedness_measure_consider_answerability = agroundedness_consider_answerability
    agroundedness_measure_consider_answerability_with_reasons = (
        agroundedness_measure_consider_answerability_with_cot_reasons
    ) = agroundedness_consider_answerability_with_reasons

    groundedness_measure_with_cot_reasons_consider_answerability = (
        groundedness_consider_answerability_with_reasons
    )
    agroundedness_measure_with_cot_reasons_consider_answerability = (
        agroundedness_consider_answerability_with_reasons
    )

    @judgement
    def answerability(self, question: Any, source: Any, **options: Unpack[Options]) -> None:
        """Whether the source holds the answer to the question."""

    answerability_with_reasons = answerability_with_cot_reasons = reasoned(answerability)
    aanswerability = later(answerability)
    aanswerability_with_reasons = aanswerability_with_cot_reasons = later(
        answerability_with_reasons
    )

    @judgement
    def abstention(self, response: Any, **options: Unpack[Options]) -> None:
        """Whether the response declines to answer."""

    abstention_with_reasons = abstention_with_cot_reasons = reasoned(abstention)
    aabstention = later(abstention)
    aabstention_with_reasons = aabstention_with_cot_reasons = later(abstention_with_reasons)

    @judgement
    def citation_accuracy(self, source: Any, response: Any, **options: Unpack[Options]) -> None:
        """Whether the passages that the response cites say what they are cited for."""

    citation_accuracy_with_reasons = citation_accuracy_with_cot_reasons = reasoned(
        citation_accuracy
    )
    acitation_accuracy = later(citation_accuracy)
    acitation_accuracy_with_reasons = acitation_accuracy_with_cot_reasons = later(
        citation_accuracy_with_reasons
    )

    @judgement
    def citation_attribution(self, source: Any, response: Any, **options: Unpack[Options]) -> None:
        """Whether every claim of the response that comes from the sources is cited."""

    citation_attribution_with_reasons = citation_attribution_with_cot_reasons = reasoned(
        citation_attribution
    )
    acitation_attribution = later(citation_attribution)
    acitation_attribution_with_reasons = acitation_attribution_with_cot_reasons = later(
        citation_attribution_with_reasons
    )

    @judgement
    def sentiment(self, text: Any, **options: Unpack[Options]) -> None:
        """How positive the text is."""

    sentiment_with_reasons = sentiment_with_cot_reasons = reasoned(sentiment)
    asentiment = later(sentiment)
    asentiment_with_reasons = asentiment_with_cot_reasons = later(sentiment_with_reasons)

    @judgement
    def conciseness(self, text: Any, **options: Unpack[Options]) -> None:
        """How concise the text is."""

    conciseness_with_reasons = conciseness_with_cot_reasons = reasoned(conciseness)
    aconciseness = later(conciseness)
    aconciseness_with_reasons = aconciseness_with_cot_reasons = later(conciseness_with_reasons)

    @judgement
    def correctness(self, text: Any, **options: Unpack[Options]) -> None:
        """How correct the text is."""

    correctness_with_reasons = correctness_with_cot_reasons = reasoned(correctness)
    acorrectness = later(correctness)
    acorrectness_with_reasons = acorrectness_with_cot_reasons = later(correctness_with_reasons)

    @judgement
    def coherence(self, text: Any, **options: Unpack[Options]) -> None:
        """How coherent the text is."""

    coherence_with_reasons = coherence_with_cot_reasons = reasoned(coherence)
    acoherence = later(coherence)
    acoherence_with_reasons = acoherence_with_cot_reasons = later(coherence_with_reasons)

    @judgement
    def helpfulness(self, text: Any, **options: Unpack[Options]) -> None:
        """How helpful the text is."""

    helpfulness_with_reasons = helpfulness_with_cot_reasons = reasoned(helpfulness)
    ahelpfulness = later(helpfulness)
    ahelpfulness_with_reasons = ahelpfulness_with_cot_reasons = later(helpfulness_with_reasons)

    @judgement
    def controversiality(self, text: Any, **options: Unpack[Options]) -> None:
        """How controversial the text is."""

    controversiality_with_reasons = controversiality_with_cot_reasons = reasoned(controversiality)
    acontroversiality = later(controversiality)
    acontroversiality_with_reasons = acontroversiality_with_cot_reasons = later(
        controversiality_with_reasons
    )

    @judgement
    def comprehensiveness(self, source: Any, summary: Any, **options: Unpack[Options]) -> None:
        """How much of what matters in the source is in the summary."""

    comprehensiveness_with_reasons = comprehensiveness_with_cot_reasons = reasoned(
        comprehensiveness
    )
    acomprehensiveness = later(comprehensiveness)
    acomprehensiveness_with_reasons = acomprehensiveness_with_cot_reasons = later(
        comprehensiveness_with_reasons
    )

    @judgement
    def summarization(self, source: Any, summary: Any, **options: Unpack[Options]) -> None:
        """How good a summary it is."""

    summarization_with_reasons = summarization_with_cot_reasons = reasoned(summarization)
    asummarization = later(summarization)
    asummarization_with_reasons = asummarization_with_cot_reasons = later(
        summarization_with_reasons
    )

    @judgement
    def rating(self, text: Any, **options: Unpack[Options]) -> None:
        """How well the text meets the criteria given."""

    rating_with_reasons = rating_with_cot_reasons = reasoned(rating)
    arating = later(rating)
    arating_with_reasons = arating_with_cot_reasons = later(rating_with_reasons)

    @judgement
    def harmfulness(self, text: Any, **options: Unpack[Options]) -> None:
        """How harmful the text is."""

    harmfulness_with_reasons = harmfulness_with_cot_reasons = reasoned(harmfulness)
    aharmfulness = later(harmfulness)
    aharmfulness_with_reasons = aharmfulness_with_cot_reasons = later(harmfulness_with_reasons)

    @judgement
    def maliciousness(self, text: Any, **options: Unpack[Options]) -> None:
        """How malicious the text is."""

    maliciousness_with_reasons = maliciousness_with_cot_reasons = reasoned(maliciousness)
    amaliciousness = later(maliciousness)
    amaliciousness_with_reasons = amaliciousness_with_cot_reasons = later(
        maliciousness_with_reasons
    )

    @judgement
    def misogyny(self, text: Any, **options: Unpack[Options]) -> None:
        """How misogynous the text is."""

    misogyny_with_reasons = misogyny_with_cot_reasons = reasoned(misogyny)
    amisogyny = later(misogyny)
    amisogyny_with_reasons = amisogyny_with_cot_reasons = later(misogyny_with_reasons)

    @judgement
    def criminality(self, text: Any, **options: Unpack[Options]) -> None:
        """How much the text serves a crime."""

    criminality_with_reasons = criminality_with_cot_reasons = reasoned(criminality)
    acriminality = later(criminality)
    acriminality_with_reasons = acriminality_with_cot_reasons = later(criminality_with_reasons)

    @judgement
    def insensitivity(self, text: Any, **options: Unpack[Options]) -> None:
        """How insensitive the text is."""

    insensitivity_with_reasons = insensitivity_with_cot_reasons = reasoned(insensitivity)
    ainsensitivity = later(insensitivity)
    ainsensitivity_with_reasons = ainsensitivity_with_cot_reasons = later(
        insensitivity_with_reasons
    )

    @judgement
    def stereotypes(self, prompt: Any, response: Any, **options: Unpack[Options]) -> None:
        """How much the response stereotypes people."""

    stereotypes_with_reasons = stereotypes_with_cot_reasons = reasoned(stereotypes)
    astereotypes = later(stereotypes)
    astereotypes_with_reasons = astereotypes_with_cot_reasons = later(stereotypes_with_reasons)

    @judgement
    def logical_consistency(self, trace: Any, **options: Unpack[Options]) -> None:
        """How well the steps of the agent follow from one another."""

    logical_consistency_with_reasons = logical_consistency_with_cot_reasons = reasoned(
        logical_consistency
    )
    alogical_consistency = later(logical_consistency)
    alogical_consistency_with_reasons = alogical_consistency_with_cot_reasons = later(
        logical_consistency_with_reasons
    )

    @judgement
    def execution_efficiency(self, trace: Any, **options: Unpack[Options]) -> None:
        """How directly the agent went to its goal."""

    execution_efficiency_with_reasons = execution_efficiency_with_cot_reasons = reasoned(
        execution_efficiency
    )
    aexecution_efficiency = later(execution_efficiency)
    aexecution_efficiency_with_reasons = aexecution_efficiency_with_cot_reasons = later(
        execution_efficiency_with_reasons
    )

    @judgement
    def plan_adherence(self, trace: Any, **options: Unpack[Options]) -> None:
        """How well the agent kept to its plan."""

    plan_adherence_with_reasons = plan_adherence_with_cot_reasons = reasoned(plan_adherence)
    aplan_adherence = later(plan_adherence)
    aplan_adherence_with_reasons = aplan_adherence_with_cot_reasons = later(
        plan_adherence_with_reasons
    )

    @judgement
    def plan_quality(self, trace: Any, **options: Unpack[Options]) -> None:
        """How good the plan of the agent is."""

    plan_quality_with_reasons = plan_quality_with_cot_reasons = reasoned(plan_quality)
    aplan_quality = later(plan_quality)
    aplan_quality_with_reasons = aplan_quality_with_cot_reasons = later(plan_quality_with_reasons)

    @judgement
    def tool_selection(self, trace: Any, **options: Unpack[Options]) -> None:
        """How well the agent chose its tools."""

    tool_selection_with_reasons = tool_selection_with_cot_reasons = reasoned(tool_selection)
    atool_selection = later(tool_selection)
    atool_selection_with_reasons = atool_selection_with_cot_reasons = later(
        tool_selection_with_reasons
    )

    @judgement
    def tool_calling(self, trace: Any, **options: Unpack[Options]) -> None:
        """How well the agent called its tools."""

    tool_calling_with_reasons = tool_calling_with_cot_reasons = reasoned(tool_calling)
    atool_calling = later(tool_calling)
    atool_calling_with_reasons = atool_calling_with_cot_reasons = later(tool_calling_with_reasons)

    @judgement
    def tool_quality(self, trace: Any, **options: Unpack[Options]) -> None:
        """How well the tools did what they are for."""

    tool_quality_with_reasons = tool_quality_with_cot_reasons = reasoned(tool_quality)
    atool_quality = later(tool_quality)
    atool_quality_with_reasons = atool_quality_with_cot_reasons = later(tool_quality_with_reasons)

    @judgement
    def requirement_satisfaction(self, trace: Any, **options: Unpack[Options]) -> None:
        """How well what came out meets what was asked for."""

    requirement_satisfaction_with_reasons = requirement_satisfaction_with_cot_reasons = reasoned(
        requirement_satisfaction
    )
    arequirement_satisfaction = later(requirement_satisfaction)
    arequirement_satisfaction_with_reasons = arequirement_satisfaction_with_cot_reasons = later(
        requirement_satisfaction_with_reasons
    )

    @judgement
    def conversation_helpfulness(self, conversation: Any, **options: Unpack[Options]) -> None:
        """How much the assistant helped over the whole conversation."""

    conversation_helpfulness_with_reasons = conversation_helpfulness_with_cot_reasons = reasoned(
        conversation_helpfulness
    )
    aconversation_helpfulness = later(conversation_helpfulness)
    aconversation_helpfulness_with_reasons = aconversation_helpfulness_with_cot_reasons = later(
        conversation_helpfulness_with_reasons
    )

    @judgement
    def topic_adherence(self, conversation: Any, **options: Unpack[Options]) -> None:
        """How well the assistant kept to the subject."""

    topic_adherence_with_reasons = topic_adherence_with_cot_reasons = reasoned(topic_adherence)
    atopic_adherence = later(topic_adherence)
    atopic_adherence_with_reasons = atopic_adherence_with_cot_reasons = later(
        topic_adherence_with_reasons
    )

    @judgement
    def agent_goal_accuracy(self, conversation: Any, **options: Unpack[Options]) -> None:
        """Whether the user's goal was reached."""

    agent_goal_accuracy_with_reasons = agent_goal_accuracy_with_cot_reasons = reasoned(
        agent_goal_accuracy
    )
    aagent_goal_accuracy = later(agent_goal_accuracy)
    aagent_goal_accuracy_with_reasons = aagent_goal_accuracy_with_cot_reasons = later(
        agent_goal_accuracy_with_reasons
    )

    @judgement
    def coherence_across_turns(self, conversation: Any, **options: Unpack[Options]) -> None:
        """How well the assistant's turns fit together."""

    coherence_across_turns_with_reasons = coherence_across_turns_with_cot_reasons = reasoned(
        coherence_across_turns
    )
    acoherence_across_turns = later(coherence_across_turns)
    acoherence_across_turns_with_reasons = acoherence_across_turns_with_cot_reasons = later(
        coherence_across_turns_with_reasons
    )
