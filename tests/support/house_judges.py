"""Implementations of feedback functions in a module that can be imported, as a user would write them."""

from __future__ import annotations

import os
import statistics
from typing import Any

from kibitz.base import spending
from kibitz.base.provider import Provider, SkipEval

__all__ = ["os"]

constant = 5


def length(text: str) -> float:
    return float(len(text))


def overlap(prompt: str, response: str) -> float:
    asked, said = set(prompt.split()), set(response.split())
    return len(asked & said) / max(1, len(asked | said))


def times_ten(text: str, factor: float = 10) -> float:
    return float(text) * factor


def even(number: int) -> float:
    if number < 0:
        raise SkipEval("negative numbers are neither")
    if number == 13:
        raise ConnectionError("13 cannot be reached")
    return float(number % 2 == 0)


async def later(text: str) -> float:
    return float(len(text))


def spread(values: list[float]) -> float:
    return max(values) - min(values)


def extremes(values: list[float]) -> dict[str, float]:
    return {"low": min(values), "high": max(values)}


middle = statistics.median


class House(Provider):
    local = True

    def __init__(
        self, words: int = 120, *, tone: str | None = None, marks: tuple[str, ...] = ()
    ) -> None:
        self.words = words
        self.tone = tone
        self.marks = marks

    def brief(self, text: str) -> float:
        return float(len(text.split()) <= self.words)

    @property
    def danger(self) -> float:
        raise AssertionError("nobody may look at this")


class Model(Provider):
    """Has a twin that is awaited, and costs."""

    def __init__(
        self, model: str = "small", api_key: str | None = None, options: Any = None
    ) -> None:
        self.model = model
        self.api_key = api_key
        self.options = options

    def rate(
        self, text: str, temperature: float = 0.0, criteria: str = ""
    ) -> tuple[float, dict[str, str]]:
        spending.spend(spending.Spend(requests=1, usd=0.5))
        return float(len(text)), {"reason": f"{temperature} {criteria}"}

    async def arate(
        self, text: str, temperature: float = 0.0, criteria: str = ""
    ) -> tuple[float, dict[str, str]]:
        return self.rate(text, temperature, criteria)


class Plain:
    """A class without a Provider, made without arguments."""

    def rate(self, text: str) -> float:
        return 1.0

    @staticmethod
    def steady(text: str) -> float:
        return 1.0

    @classmethod
    def classy(cls, text: str) -> float:
        return 1.0

    class Inner:
        def rate(self, text: str) -> float:
            return 1.0


class Made:
    """A class whose arguments nobody remembers."""

    def __init__(self, words: int) -> None:
        self.words = words

    def rate(self, text: str) -> float:
        return 1.0


class Judge:
    def __call__(self, text: str) -> float:
        return 2.0
