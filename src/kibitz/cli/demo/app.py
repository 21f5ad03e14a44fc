"""The demo's application: answers questions about Python's standard library with quotes from its docstrings.

answer ─┬─ retrieve ─┬─ search     words of the question → passages that share them
        │            └─ rank       the passages that cover most of the question first
        └─ write ────┬─ quote      the sentences that fit best
                     └─ introduce  what the module is for
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import kibitz
from kibitz.cli.demo import index
from kibitz.cli.demo.index import Index
from kibitz.cli.demo.library import Passage

CANDIDATES = 30
PASSAGES = 5
QUOTES = 3
MAX_SENTENCE_CHARACTERS = 300


class Librarian:
    """The application around one index. Its methods are the ops."""

    def __init__(self, library: Index) -> None:
        self._library = library

    @kibitz.op(name="answer", kind="agent")
    def answer(self, question: str) -> dict[str, Any]:
        """An answer in sentences, the quotes in it with their source, and the passages it rests on."""
        passages = self.retrieve(question)
        sentences: list[str] = []
        quotes: list[dict[str, str]] = []
        for sentence in self.write(question, passages):
            sentences.append(sentence["text"])
            if "where" in sentence:
                quotes.append(sentence)
        return {
            "text": kibitz.Markdown(_laid_out(sentences, quotes)),
            "sentences": sentences,
            "quotes": quotes,
            "passages": passages,
        }

    @kibitz.op(name="retrieve", kind="retriever")
    def retrieve(self, question: str, limit: int = PASSAGES) -> list[dict[str, Any]]:
        """The passages that speak about a question, best first."""
        found = self.rank(question, self.search(question), limit)
        passages: list[Passage] = [self._library.passages[number] for number in found]
        return [
            {"name": each.name, "kind": each.kind, "text": each.text, "where": each.where}
            for each in passages
        ]

    @kibitz.op(name="search", kind="tool")
    def search(self, question: str, limit: int = CANDIDATES) -> list[dict[str, Any]]:
        """The passages that share words with a question, by BM25.

        Raises:
            ValueError: the question has no word that says what it is about.
        """
        stems = index.stems(question)
        if not stems:
            raise ValueError(f"{question!r} has no word to search for; ask about something")
        hits = self._library.search(stems, limit)
        return [
            {
                "passage": hit.number,
                "score": hit.score,
                "name": self._library.passages[hit.number].name,
            }
            for hit in hits
        ]

    @kibitz.op(name="rank", kind="tool")
    def rank(self, question: str, hits: list[dict[str, Any]], limit: int) -> list[int]:
        """The hits that cover most of a question first; of what is documented, each thing once.

        A hit's score is held against the share of the question's rare words that it has: many repeats of
        one word make a high score, but no answer.
        """
        fits = {hit["passage"]: self._fit(question, hit) for hit in hits}
        best: dict[str, int] = {}
        for hit in sorted(hits, key=lambda each: fits[each["passage"]], reverse=True):
            best.setdefault(hit["name"], hit["passage"])
        return list(best.values())[:limit]

    def _fit(self, question: str, hit: dict[str, Any]) -> float:
        stems = set(index.stems(question))
        number: int = hit["passage"]
        passage = self._library.passages[number]
        having = stems & set(index.stems(f"{passage.name} {passage.text}"))
        covered = sum(map(self._library.rarity, having)) / sum(map(self._library.rarity, stems))
        return hit["score"] * covered * _worth(passage)

    @kibitz.op(name="write", kind="writer")
    def write(self, question: str, passages: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
        """The sentences of an answer, one by one: what to use, quotes about it, what it is part of."""
        name = passages[0]["name"]
        yield {"text": _opening(question, name)}
        quotes = self.quote(question, passages)
        yield from quotes
        module = name.partition(".")[0]
        if all(module != passage["name"] for passage in passages):
            introduced = self.introduce(module)
            if introduced is not None:
                yield {"text": f"`{module}` in its own words: {introduced}"}

    @kibitz.op(name="quote", kind="tool")
    def quote(self, question: str, passages: list[dict[str, Any]]) -> list[dict[str, str]]:
        """The sentences of passages that share most with a question, in the order of the passages.

        Later passages and sentences must fit better to be chosen: what comes first tends to say the most.
        """
        stems = set(index.stems(question))
        scored: list[tuple[float, int, dict[str, str]]] = []
        for position, passage in enumerate(passages):
            in_name = set(index.stems(passage["name"]))
            for place, text in enumerate(sentences_of(passage["text"])):
                shared = stems & (set(index.stems(text)) | in_name)
                fit = sum(self._library.rarity(each) for each in shared)
                fit /= 1 + 0.5 * position + 0.2 * place
                quote = {"text": text, "name": passage["name"], "where": passage["where"]}
                scored.append((fit, len(scored), quote))
        scored.sort(key=lambda each: (-each[0], each[1]))
        chosen = sorted(scored[:QUOTES], key=lambda each: each[1])
        return [quote for _, _, quote in chosen]

    @kibitz.op(name="introduce", kind="tool")
    def introduce(self, module: str) -> str | None:
        """The first sentence of a module's own docstring; None where it has none."""
        for passage in self._library.passages:
            if passage.name == module and passage.kind == "module":
                return next(iter(sentences_of(passage.text)), None)
        return None


def sentences_of(text: str) -> list[str]:
    """The sentences of a docstring's prose: examples, tables and headings are left out."""
    prose: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in paragraph.splitlines()]
        if lines and not any(
            line.startswith((">>>", "...", "==", "--", "|", "+-")) for line in lines
        ):
            prose.extend(re.split(r"(?<=[.!?])\s+(?=[A-Z\"'`*])", " ".join(lines)))
    return [each for each in prose if 20 <= len(each) <= MAX_SENTENCE_CHARACTERS]


def _opening(question: str, name: str) -> str:
    wanted = re.fullmatch(r"How (?:do|can) I (.+?)\?*", question)
    if wanted:
        return f"To {wanted[1].replace(' my ', ' your ')}, look at `{name}`."
    return f"The nearest thing in the standard library is `{name}`."


def _worth(passage: Passage) -> float:
    """Functions and modules answer "how do I" better than single classes and what modules only use inside."""
    weight = {"module": 1.0, "function": 1.1, "class": 0.95}[passage.kind]
    return weight / (1 + 0.15 * passage.name.count("."))


def _laid_out(sentences: list[str], quotes: list[dict[str, str]]) -> str:
    quoted = {quote["text"]: quote for quote in quotes}
    parts: list[str] = []
    for sentence in sentences:
        quote = quoted.get(sentence)
        parts.append(
            f"> {sentence}\n>\n> — `{quote['name']}`, {quote['where']}" if quote else sentence
        )
    return "\n\n".join(parts)
