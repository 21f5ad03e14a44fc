"""What judges the demo's answers: three plain functions of a question and what the application gave back.

They compare word stems, so they are quick and always agree with themselves; they know nothing of meaning.
Each says what its numbers stand for, and a judgement names what it rests on.
"""

from __future__ import annotations

from typing import Any

from kibitz.cli.demo import index

FEWEST_WORDS = 15
MOST_WORDS = 80
"""Fewer words rarely answer; more are not read."""


def relevance(question: str, output: dict[str, Any]) -> dict[str, Any]:
    """How much of the question the quotes speak about.

    `score` is the share of the question's stems that occur in the quotes or in the names they document,
    0 to 1; `missing` are the stems that do not. What the answer says in its own words does not count: it
    repeats the question.
    """
    asked = list(dict.fromkeys(index.stems(question)))
    quoted = {
        each
        for quote in output["quotes"]
        for each in index.stems(f"{quote['name']} {quote['text']}")
    }
    missing = [each for each in asked if each not in quoted]
    return {"score": _share(len(asked) - len(missing), len(asked)), "missing": missing}


def groundedness(output: dict[str, Any]) -> dict[str, Any]:
    """How much of the answer is in the passages that were retrieved for it.

    A sentence's support is the largest share of its stems that one passage has, 0 to 1. `score` is the mean
    over the sentences; `weakest` is the sentence with the least support, `support` how much it has.
    """
    passages = [
        set(index.stems(f"{passage['name']} {passage['text']}")) for passage in output["passages"]
    ]
    supports = [
        (_support(set(index.stems(sentence)), passages), sentence)
        for sentence in output["sentences"]
    ]
    if not supports:
        return {"score": 0.0, "weakest": "", "support": 0.0}
    support, weakest = min(supports)
    return {
        "score": round(sum(each for each, _ in supports) / len(supports), 3),
        "weakest": weakest,
        "support": support,
    }


def length(output: dict[str, Any]) -> dict[str, Any]:
    """Whether the answer has a length that is read: `words` in it, and `fits` where they are 15 to 80."""
    count = len(" ".join(output["sentences"]).split())
    return {"words": count, "fits": FEWEST_WORDS <= count <= MOST_WORDS}


JUDGES = (relevance, groundedness, length)


def _support(sentence: set[str], passages: list[set[str]]) -> float:
    return max(
        (_share(len(sentence & passage), len(sentence)) for passage in passages), default=0.0
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0
