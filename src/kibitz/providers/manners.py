"""How a text is said: whether it refuses, apologises or hedges, repeats itself, and how rich its words are."""

from __future__ import annotations

import re
import zlib
from typing import ClassVar

from kibitz.base.provider import Provider
from kibitz.providers import words

_SEEN_FIRST = 300
"""A refusal is said at the beginning."""
_NOT = r"(?:can(?:no|')?t|can not|am (?:not able|unable)|(?:'m|m) (?:not able|unable)|won't|will not|must decline)"
_REFUSALS = re.compile(
    rf"\bI {_NOT} (?:to )?(?:help|assist|provide|fulfil|fulfill|comply|do that|answer|create|generate|write|engage"
    r"|support|discuss|give|offer|share|access|browse|participate|continue|process|complete)"
    r"|\bI(?:'m| am) (?:sorry|afraid),? (?:but )?(?:I|that|this|as an)\b(?:(?!\.\s).){0,80}?"
    r"\b(?:can't|cannot|can not|unable|not able|won't|don't have|not possible)"
    r"|\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b(?:(?!\.\s).){0,80}?"
    r"\b(?:can't|cannot|can not|unable|not able|don't|do not|am not)"
    r"|\b(?:it is|it's|it would be|would be) (?:not appropriate|inappropriate|against my|not ethical|unethical)"
    r"|\bI (?:must|have to) (?:decline|refuse)|\bI(?:'d| would) (?:prefer|rather) not\b|\bI don't feel comfortable"
    r"|\bmy (?:programming|guidelines) (?:prohibit|prevent|do not allow|don't allow)",
    re.IGNORECASE,
)
_APOLOGIES = re.compile(
    r"\b(?:I(?:'m| am)? (?:\w+ )?(?:sorry|apologi[sz]e)|(?:my|our) (?:\w+ )?apologies|apologies for|sorry (?:for|about|,|but|to)"
    r"|we (?:are |'re )?(?:\w+ )?(?:sorry|apologi[sz]e)|please (?:excuse|forgive))",
    re.IGNORECASE,
)
_HEDGES = re.compile(
    r"\b(?:may|might|could|perhaps|maybe|possibly|probably|likely|seems?|appears?|suggests?|generally|usually"
    r"|typically|somewhat|sometimes|often|in general|I think|I believe|I guess|I'm not sure|not certain|it depends)\b",
    re.IGNORECASE,
)


class Manners(Provider):
    """How a text is said. Refusals, apologies and hedges are known in English only."""

    local: ClassVar[bool] = True

    def refusal(self, response: str) -> float:
        """1 where the first 300 characters refuse to answer, in the phrases that assistants use in English.

        A list of phrases finds the common ones and no irony; what refuses in other words is missed.
        """
        return float(bool(_REFUSALS.search(_straight(response)[:_SEEN_FIRST])))

    def no_refusal(self, response: str) -> float:
        """1 where `refusal` finds nothing."""
        return 1.0 - self.refusal(response)

    def apology(self, response: str) -> float:
        """1 where it apologises in English anywhere."""
        return float(bool(_APOLOGIES.search(_straight(response))))

    def hedging(self, response: str) -> float:
        """Which share of its sentences has an English word of doubt (may, perhaps, it depends …)."""
        every = words.sentences(_straight(response))
        return sum(bool(_HEDGES.search(each)) for each in every) / len(every) if every else 0.0

    def lexical_diversity(self, response: str, window: int = 50) -> float:
        """How many different words there are by all words, as the mean over every run of `window` words.

        The moving average does not fall with length as the plain ratio does; a text shorter than the window has the
        plain one, an empty one 0. Source: Covington and McFall (2010), moving-average type-token ratio.
        """
        every = words.tokens(words.text(response))
        if not every:
            return 0.0
        size = min(max(1, window), len(every))
        inside: dict[str, int] = {}
        different = 0
        for at, word in enumerate(every):
            inside[word] = inside.get(word, 0) + 1
            if at >= size:
                gone = every[at - size]
                inside[gone] -= 1
                if not inside[gone]:
                    del inside[gone]
            if at >= size - 1:
                different += len(inside)
        return different / (len(every) - size + 1) / size

    def repetition(self, response: str, size: int = 4) -> float:
        """Which share of the runs of `size` words was there before in the text; 0 where there are none.

        1 - different n-grams by all n-grams, as Welleck et al. (2020) count repetition (rep-n is the mean of it).
        """
        runs = words.grams(words.tokens(words.text(response)), max(1, size))
        every = sum(runs.values())
        return 1.0 - len(runs) / every if every else 0.0

    def repeated_sentences(self, response: str) -> float:
        """Which share of the sentences was there before, without regard to case and signs."""
        every = [" ".join(words.tokens(each)) for each in words.sentences(words.text(response))]
        return 1.0 - len(set(every)) / len(every) if every else 0.0

    def compressed_share(self, response: str) -> float:
        """How small deflate makes it: bytes after by bytes before, at most 1. Below 0.2 a long text says little.

        Short texts hardly get smaller; compare texts of a like length. An empty one has 1.
        """
        raw = words.text(response).encode("utf-8", "replace")
        return min(1.0, len(zlib.compress(raw, 6)) / len(raw)) if raw else 1.0


def _straight(response: object) -> str:
    return words.text(response).replace("’", "'")
