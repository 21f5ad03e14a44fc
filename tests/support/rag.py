"""A small app with components, and feedback functions that can be imported."""

from __future__ import annotations

import asyncio
from typing import Any


class Retriever:
    def __init__(self, docs: list[str] | None = None) -> None:
        self.docs = docs or ["Write to us.", "Call us."]
        self.api_key = "secret-of-the-retriever"

    def retrieve(self, question: str, k: int = 2) -> list[dict[str, Any]]:
        return [{"text": text, "rank": rank} for rank, text in enumerate(self.docs[:k])]


class Writer:
    def write(self, question: str, passages: list[dict[str, Any]]) -> str:
        if question == "fail":
            raise ValueError("nothing to say")
        return " ".join(passage["text"] for passage in passages)

    async def awrite(self, question: str, passages: list[dict[str, Any]]) -> str:
        await asyncio.sleep(0)
        return self.write(question, passages)

    def stream(self, question: str):
        yield from ("Write", "to", "us.")


class Rag:
    def __init__(self) -> None:
        self.retriever = Retriever()
        self.writer = Writer()
        self.asked: list[str] = []

    @property
    def dangerous(self) -> str:
        raise AssertionError("a property was run")

    def query(self, question: str) -> str:
        return self.writer.write(question, self.retriever.retrieve(question))

    async def aquery(self, question: str) -> str:
        return await self.writer.awrite(question, self.retriever.retrieve(question))

    def stream(self, question: str):
        self.retriever.retrieve(question)
        yield from self.writer.stream(question)

    async def astream(self, question: str):
        for word in ("Call", "us."):
            await asyncio.sleep(0)
            yield word

    def _hidden(self) -> str:
        return "not recorded"


def brief(text: str) -> float:
    """1 for short texts."""
    return float(len(text) < 40)


def mentions(text: str, passage: str) -> float:
    return float(passage in text)


def broken(text: str) -> float:
    raise RuntimeError(f"cannot judge {text}")


async def abrief(text: str) -> float:
    await asyncio.sleep(0)
    return brief(text)
