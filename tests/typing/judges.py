"""What type checkers see of judges: what each judgement takes, by name, and what it gives. Only checked, not run."""

from __future__ import annotations

from typing import Any, assert_type

from kibitz.providers.jury import Jury
from kibitz.providers.openai import OpenAI

Reasoned = tuple[float, dict[str, Any]]


async def check(judge: OpenAI, jury: Jury) -> None:
    assert_type(judge.relevance("a", "b"), float)
    assert_type(judge.relevance(prompt="a", response="b", criteria="c", min_score=0), float)
    assert_type(judge.relevance_with_reasons("a", "b", temperature=0.5), Reasoned)
    assert_type(judge.relevance_with_cot_reasons("a", response="b"), Reasoned)
    assert_type(await judge.arelevance("a", "b", criteria="c"), float)
    assert_type(await judge.arelevance_with_cot_reasons("a", "b"), Reasoned)
    assert_type(judge.qs_relevance(question="a", context="b"), float)
    assert_type(await judge.agroundedness_measure_with_reasons("a", statement="b"), Reasoned)
    assert_type(OpenAI.conciseness(judge, text="a"), float)
    assert_type(jury.relevance("a", "b"), Reasoned)
    assert_type(await jury.acoherence("a", criteria="b"), Reasoned)


async def wrong(judge: OpenAI) -> None:
    judge.relevance("a", answer="b")  # pyright: ignore[reportCallIssue] names of arguments are kept
    judge.relevance("a")  # pyright: ignore[reportCallIssue]
    judge.relevance("a", "b", "c")  # pyright: ignore[reportCallIssue] options are named
    judge.relevance("a", "b", criterion="c")  # pyright: ignore[reportCallIssue]
    judge.relevance("a", "b", temperature="c")  # pyright: ignore[reportArgumentType]
    judge.qs_relevance_with_reasons(prompt="a", context="b")  # pyright: ignore[reportCallIssue]
    await judge.agroundedness(source="a", output="b")  # pyright: ignore[reportCallIssue]
    await judge.relevance("a", "b")  # pyright: ignore[reportGeneralTypeIssues] it is no coroutine
    judge.relevancy("a", "b")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    len(judge.relevance("a", "b"))  # pyright: ignore[reportArgumentType]
