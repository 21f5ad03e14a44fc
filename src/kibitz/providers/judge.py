"""A judge that is a language model: families of questions, asked of whatever service a subclass speaks to.

A judgement is a course of prompts that knows no service: it yields the prompts that can be asked at the same time and
is sent what was said to them. `_judged` asks from threads, `_ajudged` from the event loop; both follow one course.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict, Unpack, cast

import msgspec

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import examples as examples_module
from kibitz.providers import prompts, scores, words
from kibitz.providers.endpoint import Limits, Patience
from kibitz.providers.examples import Example
from kibitz.providers.families import FAMILIES, Family
from kibitz.providers.judgements import Judgements
from kibitz.providers.prompts import Prompt, Wishes
from kibitz.providers.scores import Reading, Scale

MAX_SENTENCES = 100
"""Of a statement; where it has more, neighbours are judged together."""
_BINARY = Scale(0, 1)
_THREADS = 16

Examples = Sequence[Example | Mapping[str, Any]]
Course = Generator[list[Prompt], list[Reading], tuple[float, dict[str, Any]]]


class JudgeOptions(TypedDict, total=False):
    """How every judge may be made, beside its model and service."""

    rpm: float | None
    """Requests per minute; for all judges of this model and service in this process, like the next three."""
    tpm: float | None
    """Tokens per minute."""
    concurrency: int | None
    """Requests at the same time."""
    budget_usd: float | None
    """No request is sent any more when so much is spent."""
    timeout_s: float
    """For one request; 60."""
    total_timeout_s: float
    """For one question with all its retries; 300."""
    retries: int
    """5."""
    temperature: float | None
    """0; None leaves it to the service."""
    min_score: float
    """The scale that the model is asked to use: 0 …"""
    max_score: float
    """… to 3."""
    criteria: str | Mapping[str, str] | None
    """In the place of a family's own criteria: for all families, or by family."""
    additional_instructions: str | None
    """Said to the model beside the criteria."""
    examples: Examples | Mapping[str, Examples] | None
    """Judgements to follow: for all families, or by family."""
    max_text_chars: int
    """Longer material is cut in its middle; 100,000."""


_PATIENCE = {"timeout_s", "total_timeout_s", "retries"}
_LIMITS = {"rpm", "tpm", "concurrency", "budget_usd"}


class Judge(Judgements[float], Provider):
    """Base of judges that are models. A subclass says how one prompt is asked: `ask` and `aask`."""

    def __init__(self, **options: Unpack[JudgeOptions]) -> None:
        unknown = set(options) - set(JudgeOptions.__annotations__)
        if unknown:
            raise UsageError(
                f"{type(self).__name__} has no argument {min(unknown)!r}; there are"
                f" {', '.join(JudgeOptions.__annotations__)}",
                field=min(unknown),
            )
        given: dict[str, Any] = dict(options)
        self.limits = Limits(**{name: given[name] for name in _LIMITS & given.keys()})
        self.patience = Patience(**{name: given[name] for name in _PATIENCE & given.keys()})
        _check_limits(self.limits, self.patience)
        self.scale = Scale(given.get("min_score", 0), given.get("max_score", 3))
        self.temperature: float | None = given.get("temperature", 0.0)
        self.max_text_chars: int = given.get("max_text_chars", 100_000)
        self.additional_instructions: str | None = given.get("additional_instructions")
        self._criteria = _by_family(given.get("criteria"))
        self._examples = {
            name: examples_module.read(several)
            for name, several in _by_family(given.get("examples")).items()
        }

    def ask(self, prompt: Prompt) -> str:
        """What the model says to a prompt.

        Raises:
            JudgeAnswerError: it refused, or said nothing.
            KibitzError: the service did not answer.
        """
        raise NotImplementedError

    async def aask(self, prompt: Prompt) -> str:
        """The same as a coroutine."""
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """The arguments to make an equal one with; examples and all, no secrets."""
        made = super().parameters()
        if made.get("examples") is not None:
            made["examples"] = examples_module.plain(made["examples"])
        if isinstance(made.get("criteria"), Mapping):
            made["criteria"] = dict(made["criteria"])
        return made

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.parameters().items())
        return f"{type(self).__name__}({prompts.cut(said, 200)})"

    def generate_score(
        self,
        system_prompt: str,
        user_prompt: str | None = None,
        *,
        min_score: float | None = None,
        max_score: float | None = None,
        temperature: float | None = None,
    ) -> float:
        """A score from 0 to 1 for a prompt in your own words; only the form of the answer is added to it.

        Material from others belongs into a family such as `rating`, which keeps it apart from instructions.
        """
        prompt = self._free(system_prompt, user_prompt, min_score, max_score, temperature, False)
        return scores.read(self.ask(prompt), prompt.scale).score

    async def agenerate_score(
        self,
        system_prompt: str,
        user_prompt: str | None = None,
        *,
        min_score: float | None = None,
        max_score: float | None = None,
        temperature: float | None = None,
    ) -> float:
        """`generate_score` as a coroutine."""
        prompt = self._free(system_prompt, user_prompt, min_score, max_score, temperature, False)
        return scores.read(await self.aask(prompt), prompt.scale).score

    def generate_score_and_reasons(
        self,
        system_prompt: str,
        user_prompt: str | None = None,
        *,
        min_score: float | None = None,
        max_score: float | None = None,
        temperature: float | None = None,
    ) -> tuple[float, dict[str, Any]]:
        """`generate_score` with `{"reason": …}`."""
        prompt = self._free(system_prompt, user_prompt, min_score, max_score, temperature, True)
        reading = scores.read(self.ask(prompt), prompt.scale)
        return reading.score, _metadata(reading)

    async def agenerate_score_and_reasons(
        self,
        system_prompt: str,
        user_prompt: str | None = None,
        *,
        min_score: float | None = None,
        max_score: float | None = None,
        temperature: float | None = None,
    ) -> tuple[float, dict[str, Any]]:
        """`generate_score_and_reasons` as a coroutine."""
        prompt = self._free(system_prompt, user_prompt, min_score, max_score, temperature, True)
        reading = scores.read(await self.aask(prompt), prompt.scale)
        return reading.score, _metadata(reading)

    def _free(
        self,
        system: str,
        user: str | None,
        low: float | None,
        high: float | None,
        temperature: float | None,
        reasons: bool,
    ) -> Prompt:
        warmth = self.temperature if temperature is None else temperature
        return prompts.free(system, user, self._scale(low, high), warmth, reasons=reasons)

    def _judged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        course = self._course(family, given, self._wishes(family, options), reasons)
        try:
            asked = next(course)
            while True:
                asked = course.send(self._answers(asked))
        except StopIteration as end:
            return end.value if reasons else end.value[0]

    async def _ajudged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        course = self._course(family, given, self._wishes(family, options), reasons)
        try:
            asked = next(course)
            while True:
                asked = course.send(await self._aanswers(asked))
        except StopIteration as end:
            return end.value if reasons else end.value[0]

    def _answers(self, asked: list[Prompt]) -> list[Reading]:
        if len(asked) <= 1:
            return [self._reading(each) for each in asked]
        most = min(len(asked), self.limits.concurrency or _THREADS, _THREADS)
        with ThreadPoolExecutor(most, thread_name_prefix="kibitz-judge") as threads:
            # What is spent in a thread counts for whoever asked, so each has a copy of this context.
            waiting = [
                threads.submit(contextvars.copy_context().run, self._reading, each)
                for each in asked
            ]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                for each in waiting:
                    each.cancel()
                raise

    async def _aanswers(self, asked: list[Prompt]) -> list[Reading]:
        if len(asked) == 1:
            return [await self._areading(asked[0])]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._areading(each)) for each in asked]
        except BaseExceptionGroup as several:
            # The first says what is wrong; the others were cancelled, or say the same.
            raise several.exceptions[0] from None
        return [each.result() for each in tasks]

    def _reading(self, prompt: Prompt) -> Reading:
        return scores.read(self.ask(prompt), prompt.scale)

    async def _areading(self, prompt: Prompt) -> Reading:
        return scores.read(await self.aask(prompt), prompt.scale)

    def _scale(self, low: float | None, high: float | None) -> Scale:
        if low is None and high is None:
            return self.scale
        return Scale(
            self.scale.low if low is None else low, self.scale.high if high is None else high
        )

    def _wishes(self, family: Family, options: Mapping[str, Any]) -> Wishes:
        said = options.get("examples")
        return Wishes(
            scale=self._scale(options.get("min_score"), options.get("max_score")),
            criteria=options.get("criteria")
            or self._criteria.get(family.name)
            or self._criteria.get(""),
            additional_instructions=options.get("additional_instructions")
            or self.additional_instructions,
            examples=examples_module.read(said)
            if said is not None
            else self._examples.get(family.name, self._examples.get("", ())),
            temperature=options.get("temperature", self.temperature),
            max_text_chars=self.max_text_chars,
        )

    def _course(
        self, family: Family, given: dict[str, Any], wishes: Wishes, reasons: bool
    ) -> Course:
        match family.way:
            case "whole":
                return _whole(family, given, wishes, reasons)
            case "sentences":
                return _sentences(family, given, wishes, reasons)
            case "sentences_or_abstention":
                return _sentences_or_abstention(family, given, wishes, reasons)


def _whole(family: Family, given: dict[str, Any], wishes: Wishes, reasons: bool) -> Course:
    (reading,) = yield [prompts.of_family(family, given, wishes, reasons=reasons)]
    return reading.score, _metadata(reading)


def _sentences(family: Family, given: dict[str, Any], wishes: Wishes, reasons: bool) -> Course:
    stated = _portions(given["statement"])
    answers = yield [
        prompts.of_family(family, {**given, "statement": each}, wishes, reasons=reasons)
        for each in stated
    ]
    return _of_sentences(stated, answers)


def _sentences_or_abstention(
    family: Family, given: dict[str, Any], wishes: Wishes, reasons: bool
) -> Course:
    """First which sentences decline to answer; then of those whether that was right, and of the others whether the
    source says it."""
    stated = _portions(given["statement"])
    binary = msgspec.structs.replace(wishes, scale=_BINARY, criteria=None, examples=())
    declining = yield [
        prompts.of_family(FAMILIES["abstention"], {"response": each}, binary, reasons=False)
        for each in stated
    ]
    declined = [reading.score > 0.5 for reading in declining]
    grounding = {name: value for name, value in given.items() if name != "question"}
    asked = [
        prompts.of_family(family, {**grounding, "statement": each}, wishes, reasons=reasons)
        for each, no in zip(stated, declined, strict=True)
        if not no
    ]
    if any(declined):
        answerable = {"question": given["question"], "source": given["source"]}
        asked.append(
            prompts.of_family(FAMILIES["answerability"], answerable, binary, reasons=reasons)
        )
    answers = yield asked
    if any(declined):
        *answers, source = answers
        right = Reading(1 - source.score, {**source.said, "abstains": True})
    else:
        right = Reading(0.0, {})
    left = iter(answers)
    return _of_sentences(stated, [right if no else next(left) for no in declined])


def _of_sentences(
    stated: Sequence[str], answers: Sequence[Reading]
) -> tuple[float, dict[str, Any]]:
    """The mean, with what was said of each sentence."""
    reason = "\n".join(
        f"{number}. {reading.score:.2f} {prompts.cut(sentence, 200)} – {reading.said.get('reason', '')}"
        for number, (sentence, reading) in enumerate(zip(stated, answers, strict=True), 1)
    )
    return sum(reading.score for reading in answers) / len(answers), {
        "reason": reason,
        "sentences": [
            {"sentence": sentence, "score": reading.score, **_metadata(reading)}
            for sentence, reading in zip(stated, answers, strict=True)
        ],
    }


def _portions(statement: Any) -> list[str]:
    """The sentences of a statement, or a hundred portions of neighbouring ones where there are more."""
    found = words.sentences(prompts.shown(statement, "statement", 10_000_000))
    if not found:
        raise UsageError("statement has no sentence: there is nothing to judge", field="statement")
    most = min(len(found), MAX_SENTENCES)
    ends = [round(len(found) * n / most) for n in range(most + 1)]
    return [" ".join(found[begin:end]) for begin, end in zip(ends, ends[1:], strict=False)]


def _metadata(reading: Reading) -> dict[str, Any]:
    return {name: value for name, value in reading.said.items() if value not in (None, "")}


def _by_family(said: Any) -> dict[str, Any]:
    """What was said for all families under "", or by family."""
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        return {"": said}
    by_name = cast("Mapping[str, Any]", said)
    unknown = set(by_name) - set(FAMILIES)
    if unknown:
        raise UsageError(
            f"there is no family {min(unknown)!r}; there are {', '.join(FAMILIES)}",
            field=min(unknown),
        )
    return dict(by_name)


def _check_limits(limits: Limits, patience: Patience) -> None:
    said = {**msgspec.structs.asdict(limits), **msgspec.structs.asdict(patience)}
    for name, value in said.items():
        least = 0 if name in ("retries", "budget_usd") else 1e-9
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not value >= least
        ):
            raise UsageError(f"{name} is {value!r}, not a number above 0", field=name)
