"""What type checkers see of ops: the function's own types, and `.call` with the handle beside. Only checked, not run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import assert_type

import kibitz


@kibitz.op
def plain(question: str, limit: int = 3) -> list[str]:
    return [question] * limit


@kibitz.op(name="other", kind="llm")
def named(question: str) -> int:
    return len(question)


@kibitz.op
async def later(question: str) -> bytes:
    return question.encode()


@kibitz.op(kind="llm")
async def named_later(question: str) -> bytes:
    return question.encode()


@kibitz.op
def stream(count: int) -> Generator[int, str, bool]:
    yield count
    return True


@kibitz.op
async def stream_later(count: int) -> AsyncGenerator[int, None]:
    yield count


class Bot:
    @kibitz.op
    def answer(self, question: str) -> str:
        return question

    @kibitz.op
    async def answer_later(self, question: str) -> str:
        return question

    @staticmethod
    @kibitz.op
    def length(text: str) -> int:
        return len(text)


async def check(bot: Bot) -> None:
    assert_type(plain("a", limit=2), list[str])
    assert_type(plain.call("a"), tuple[list[str], kibitz.Call])
    assert_type(named("a"), int)
    assert_type(named.call("a"), tuple[int, kibitz.Call])
    assert_type(await later("a"), bytes)
    assert_type(await later.call("a"), tuple[bytes, kibitz.Call])
    assert_type(await named_later("a"), bytes)
    assert_type(stream(1), Generator[int, str, bool])
    assert_type(stream.call(1), tuple[Generator[int, str, bool], kibitz.Call])
    assert_type(stream_later(1), AsyncGenerator[int, None])
    assert_type(bot.answer("a"), str)
    assert_type(bot.answer.call("a"), tuple[str, kibitz.Call])
    assert_type(Bot.answer(bot, "a"), str)
    assert_type(await bot.answer_later("a"), str)
    assert_type(await bot.answer_later.call("a"), tuple[str, kibitz.Call])
    assert_type(Bot.length("a"), int)
    assert_type(await plain.call("a")[1].apply_scorer(named), kibitz.Scored)
    assert_type(kibitz.get_current_call(), kibitz.Call | None)
    with kibitz.thread() as thread_id, kibitz.attributes({"a": 1}):
        assert_type(thread_id, str)


def wrong(bot: Bot) -> None:
    plain(3)  # pyright: ignore[reportArgumentType] the types of arguments are kept
    plain("a", count=2)  # pyright: ignore[reportCallIssue] so are their names
    bot.answer()  # pyright: ignore[reportCallIssue]
    bot.answer.call(3)  # pyright: ignore[reportArgumentType]
