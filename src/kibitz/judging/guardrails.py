"""Guardrails: feedback functions that decide while the program runs.

    @context_filter(relevance, 0.5)
    def retrieve(question: str) -> list[str]: ...

    @block_input(harmless, 0.9, return_value="I cannot help with that.")
    @block_output(polite, 0.7, return_value="Let me put that differently.")
    async def answer(question: str) -> str: ...

They stand on functions, methods and coroutine functions. The feedback function's implementation is called with what the
function was given or gave, whatever its selectors say, and its number is held to the threshold: where higher is better,
contexts are kept above it and a call is blocked below it; otherwise the other way round.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar, cast

from kibitz.base.errors import JudgeFailed, UsageError
from kibitz.judging.functions import Feedback

OnError = Literal["raise", "block", "pass"]
"""What a judge that fails does: its error is raised, or it counts as a bad answer or as a good one."""
CONCURRENCY = 8
"""How many contexts are judged at a time."""

F = TypeVar("F", bound=Callable[..., Any])


class _Guard:
    """A feedback function held to a threshold, and how it is put on a function."""

    def __init__(
        self,
        feedback: Feedback,
        threshold: float,
        *,
        values: int,
        keyword_for_prompt: str | None,
        on_error: OnError,
    ) -> None:
        if on_error not in ("raise", "block", "pass"):
            raise UsageError(
                f"on_error={on_error!r} is not one of raise, block, pass", field="on_error"
            )
        self._feedback = feedback
        self._threshold = float(threshold)
        self._keyword = keyword_for_prompt
        self._on_error: OnError = on_error
        self._names = _first_arguments(feedback, values)

    def prompt_of(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """What reads the prompt out of the arguments of a call; its name is checked now."""
        signature = inspect.signature(func)
        names = [name for name in signature.parameters if name not in ("self", "cls")]
        keyword = self._keyword if self._keyword is not None else next(iter(names), None)
        if keyword is None or keyword not in names:
            raise UsageError(
                f"{func.__qualname__}{signature} has no argument {keyword!r} to judge"
                f"{'; name one with keyword_for_prompt' if names else ''}",
                field="keyword_for_prompt",
            )

        def prompt(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return bound.arguments[keyword]

        return prompt

    def is_good(self, *values: Any, strictly: bool = False) -> bool:
        """Whether the judge's number is on the good side; at the threshold itself unless `strictly`."""
        return self._decided(self._feedback.run(**self._named(values)), strictly)

    async def is_good_async(self, *values: Any, strictly: bool = False) -> bool:
        """`is_good` without holding up an event loop."""
        return self._decided(await self._feedback.arun(**self._named(values)), strictly)

    @property
    def computes(self) -> bool:
        """Whether judging is so quick that threads do not pay."""
        return self._feedback.is_local

    def _named(self, values: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self._names, values, strict=False))

    def _decided(self, result: Any, strictly: bool) -> bool:
        name = self._feedback.name
        if result.status != "done":
            if self._on_error == "raise":
                raise JudgeFailed(
                    f"guardrail {name!r} could not judge: {result.reason}; "
                    "on_error='block' or 'pass' decides without it",
                    feedback=name,
                )
            return self._on_error == "pass"
        score = result.result
        if score is None:
            raise UsageError(
                f"feedback function {name!r} gives several numbers ({', '.join(result.multi_result or ())}); "
                "a guardrail needs one: choose it with aggregate()"
            )
        if strictly and score == self._threshold:
            return False
        if self._feedback.higher_is_better:
            return score >= self._threshold
        return score <= self._threshold


class context_filter:
    """Keep only the contexts that a function returns whose number is better than the threshold, in their order.

    Args:
        feedback: takes the prompt and one context, in this order.
        threshold: contexts at the threshold itself are left out.
        keyword_for_prompt: the argument of the function that is the prompt; its first one without.
        on_error: what becomes of a context that cannot be judged.
        text: what of a context is judged; the context itself without.

    Raises:
        UsageError: the feedback function does not take two values, or the function has no such argument; when the
            function is called, that it returned no list.
        JudgeFailed: a context could not be judged, where `on_error` is `raise`.
    """

    def __init__(
        self,
        feedback: Feedback,
        threshold: float,
        keyword_for_prompt: str | None = None,
        *,
        on_error: OnError = "raise",
        text: Callable[[Any], Any] | None = None,
    ) -> None:
        self._guard = _Guard(
            feedback, threshold, values=2, keyword_for_prompt=keyword_for_prompt, on_error=on_error
        )
        self._text = text

    def __call__(self, func: F) -> F:
        guard, prompt_of = self._guard, self._guard.prompt_of(func)

        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def filtering_async(*args: Any, **kwargs: Any) -> Any:
                prompt = prompt_of(*args, **kwargs)
                contexts = _contexts(func, await func(*args, **kwargs))
                room = asyncio.Semaphore(CONCURRENCY)

                async def judge(context: Any) -> bool:
                    async with room:
                        return await guard.is_good_async(
                            prompt, self._judged(context), strictly=True
                        )

                return _kept(contexts, await asyncio.gather(*map(judge, contexts)))

            return cast("F", filtering_async)
        _check_plain(func)

        @functools.wraps(func)
        def filtering(*args: Any, **kwargs: Any) -> Any:
            prompt = prompt_of(*args, **kwargs)
            contexts = _contexts(func, func(*args, **kwargs))

            def judge(context: Any) -> bool:
                return guard.is_good(prompt, self._judged(context), strictly=True)

            if guard.computes or len(contexts) < 2:
                return _kept(contexts, [judge(each) for each in contexts])
            with ThreadPoolExecutor(min(CONCURRENCY, len(contexts))) as pool:
                # Each in the context of the caller, so that what judging costs is counted where it was caused.
                waiting = [
                    pool.submit(contextvars.copy_context().run, judge, each) for each in contexts
                ]
                return _kept(contexts, [each.result() for each in waiting])

        return cast("F", filtering)

    def _judged(self, context: Any) -> Any:
        return context if self._text is None else self._text(context)


class block_input:
    """Do not call a function whose prompt is judged worse than the threshold.

    Args:
        feedback: takes the prompt.
        threshold: a prompt at the threshold itself goes through.
        keyword_for_prompt: the argument that is the prompt; the first one without.
        return_value: what a blocked call returns.
        on_error: what becomes of a prompt that cannot be judged.

    Raises:
        UsageError: the function has no such argument.
        JudgeFailed: the prompt could not be judged, where `on_error` is `raise`.
    """

    def __init__(
        self,
        feedback: Feedback,
        threshold: float,
        keyword_for_prompt: str | None = None,
        return_value: Any = None,
        *,
        on_error: OnError = "raise",
    ) -> None:
        self._guard = _Guard(
            feedback, threshold, values=1, keyword_for_prompt=keyword_for_prompt, on_error=on_error
        )
        self._return_value = return_value

    def __call__(self, func: F) -> F:
        guard, prompt_of = self._guard, self._guard.prompt_of(func)

        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def blocking_async(*args: Any, **kwargs: Any) -> Any:
                if not await guard.is_good_async(prompt_of(*args, **kwargs)):
                    return self._return_value
                return await func(*args, **kwargs)

            return cast("F", blocking_async)
        _check_plain(func)

        @functools.wraps(func)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            if not guard.is_good(prompt_of(*args, **kwargs)):
                return self._return_value
            return func(*args, **kwargs)

        return cast("F", blocking)


class block_output:
    """Return something else than an output that is judged worse than the threshold.

    Args:
        feedback: takes the output; or the prompt and the output, where it needs two values.
        threshold: an output at the threshold itself goes through.
        return_value: what is returned in the place of a blocked output.
        keyword_for_prompt: the argument that is the prompt, where one is needed; the first one without.
        on_error: what becomes of an output that cannot be judged.

    Raises:
        UsageError: the feedback function needs more than two values.
        JudgeFailed: the output could not be judged, where `on_error` is `raise`.
    """

    def __init__(
        self,
        feedback: Feedback,
        threshold: float,
        return_value: Any = None,
        *,
        keyword_for_prompt: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        self._needs_prompt = _needed(feedback) > 1
        self._guard = _Guard(
            feedback,
            threshold,
            values=2 if self._needs_prompt else 1,
            keyword_for_prompt=keyword_for_prompt,
            on_error=on_error,
        )
        self._return_value = return_value

    def __call__(self, func: F) -> F:
        guard = self._guard
        prompt_of = guard.prompt_of(func) if self._needs_prompt else None

        def judged(output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
            return (output,) if prompt_of is None else (prompt_of(*args, **kwargs), output)

        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def blocking_async(*args: Any, **kwargs: Any) -> Any:
                output = await func(*args, **kwargs)
                good = await guard.is_good_async(*judged(output, args, kwargs))
                return output if good else self._return_value

            return cast("F", blocking_async)
        _check_plain(func)

        @functools.wraps(func)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            output = func(*args, **kwargs)
            return output if guard.is_good(*judged(output, args, kwargs)) else self._return_value

        return cast("F", blocking)


def _free_arguments(feedback: Feedback) -> list[inspect.Parameter]:
    """The implementation's arguments that have no fixed value, in order."""
    fixed = feedback.arguments
    return [
        each
        for name, each in feedback.sig.parameters.items()
        if name not in fixed and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]


def _needed(feedback: Feedback) -> int:
    return sum(each.default is each.empty for each in _free_arguments(feedback))


def _first_arguments(feedback: Feedback, count: int) -> list[str]:
    free = _free_arguments(feedback)
    if len(free) < count or _needed(feedback) > count:
        raise UsageError(
            f"guardrail {feedback.name!r} is called with {'one value' if count == 1 else f'{count} values'}, "
            f"and {feedback.name}{feedback.sig} does not take that; fix other arguments with with_arguments()",
            field="feedback",
        )
    return [each.name for each in free[:count]]


def _check_plain(func: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise UsageError(
            f"{func.__qualname__} yields its output bit by bit; a guardrail judges it whole, "
            "so put it on a function that collects it"
        )


def _contexts(func: Callable[..., Any], returned: Any) -> Sequence[Any]:
    if isinstance(returned, Sequence) and not isinstance(returned, str | bytes):
        return cast("Sequence[Any]", returned)
    raise UsageError(
        f"{func.__qualname__} returned {type(returned).__name__}; context_filter needs a list of contexts"
    )


def _kept(contexts: Sequence[Any], good: Sequence[bool]) -> Any:
    kept = [context for context, is_good in zip(contexts, good, strict=True) if is_good]
    return tuple(kept) if isinstance(contexts, tuple) else kept
