"""How much two texts have in common, word by word: what references, sources and answers share literally.

A good answer in other words scores low here; use these where the wording is nearly given (extraction, short answers,
translation, quotations), or beside a judge that understands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from kibitz.base.provider import Provider
from kibitz.providers import texts, words

_QUOTED_CHARACTERS = 120


class Overlap(Provider):
    """Words in common. Where there are several references the best one counts."""

    local: ClassVar[bool] = True

    def jaccard(self, response: str, reference: str | Sequence[str]) -> float:
        """Different words in both by different words in either; 1 where both are empty. Source: Jaccard (1912)."""
        said = set(words.tokens(words.text(response)))
        return max(
            _by(len(said & wanted), len(said | wanted))
            for each in words.texts(reference, "reference")
            for wanted in [set(words.tokens(each))]
        )

    def containment(self, response: str, source: str | Sequence[str], size: int = 1) -> float:
        """Which share of the different runs of `size` words is in the source too; 1 where there are none.

        Source: Broder (1997), containment of shingles.
        """
        said = set(words.grams(words.tokens(words.text(response)), max(1, size)))
        there: set[tuple[str, ...]] = set()
        for each in words.texts(source, "source"):
            there.update(words.grams(words.tokens(each), max(1, size)))
        return _by(len(said & there), len(said))

    def token_f1(self, response: str, reference: str | Sequence[str]) -> float:
        """F1 of the words, counted, without signs and English articles.

        Source: the evaluation script of SQuAD 2.0 (Rajpurkar et al. 2018).
        """
        said = texts.plain(words.text(response)).split()
        return max(
            _f1(said, texts.plain(each).split()) for each in words.texts(reference, "reference")
        )

    def rouge_1(self, response: str, reference: str | Sequence[str]) -> float:
        """F1 of the single words. Source: Lin (2004), ROUGE-N; without stemming."""
        return self.rouge_n(response, reference, 1)

    def rouge_2(self, response: str, reference: str | Sequence[str]) -> float:
        """F1 of the pairs of words. Source: Lin (2004), ROUGE-N; without stemming."""
        return self.rouge_n(response, reference, 2)

    def rouge_n(self, response: str, reference: str | Sequence[str], size: int = 1) -> float:
        """F1 of the runs of `size` words; 0 where one side has none. Source: Lin (2004)."""
        said = words.grams(words.tokens(words.text(response)), max(1, size))
        best = 0.0
        for each in words.texts(reference, "reference"):
            wanted = words.grams(words.tokens(each), max(1, size))
            if said and wanted:
                common = words.shared(said, wanted)
                best = max(best, words.f_score(common / said.total(), common / wanted.total()))
        return best

    def rouge_l(self, response: str, reference: str | Sequence[str]) -> float:
        """F1 of the longest common subsequence of words. Source: Lin (2004), ROUGE-L of whole texts."""
        said = words.tokens(words.text(response))
        best = 0.0
        for each in words.texts(reference, "reference"):
            wanted = words.tokens(each)
            if said and wanted:
                common = longest_common(said, wanted)
                best = max(best, words.f_score(common / len(said), common / len(wanted)))
        return best

    def groundedness(
        self, source: str | Sequence[str], statement: str, share: float = 0.6
    ) -> float:
        """Which share of the sentences of a statement has its content words in the source.

        A sentence counts where at least `share` of its words that say something (no stop words) are in the source,
        as they are or with another ending. It sees words and no sense: "not" changes nothing. A statement without a
        sentence has 1, as it claims nothing.
        """
        return self.groundedness_with_reasons(source, statement, share)[0]

    def groundedness_with_reasons(
        self, source: str | Sequence[str], statement: str, share: float = 0.6
    ) -> tuple[float, dict[str, Any]]:
        """`groundedness`, and for each sentence which of its words the source does not have."""
        # Nothing was retrieved: that is a source too, and supports nothing.
        texts = [] if isinstance(source, list) and not source else words.texts(source, "source")
        there = {_stem(each) for text in texts for each in words.content(text)}
        found: list[dict[str, Any]] = []
        for sentence in words.sentences(words.text(statement, "statement")):
            said = words.content(sentence)
            missing = [each for each in said if _stem(each) not in there]
            covered = _by(len(said) - len(missing), len(said))
            found.append(
                {
                    "sentence": sentence,
                    "covered": round(covered, 4),
                    "grounded": covered >= share,
                    "missing": list(dict.fromkeys(missing))[:20],
                }
            )
        score = _by(sum(each["grounded"] for each in found), len(found))
        return score, {"reason": _reason(found), "sentences": found}


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How long the longest common subsequence is.

    One row of the table at a time as the bits of one whole number: a machine word does 64 cells. Source: Hyyrö (2004),
    "Bit-parallel LCS-length computation revisited".
    """
    places: dict[str, int] = {}
    for at, each in enumerate(one):
        places[each] = places.get(each, 0) | 1 << at
    full = (1 << len(one)) - 1
    row = full
    for each in other:
        if matches := places.get(each):
            common = row & matches
            row = ((row + common) | (row - common)) & full
    return len(one) - row.bit_count()


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    common = words.shared(words.grams(said, 1), words.grams(wanted, 1))
    return words.f_score(common / len(said), common / len(wanted))


def _by(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _stem(word: str) -> str:
    """A word without its commonest English endings, so that `cancel` and `cancels` are one."""
    word = word.split("'")[0]
    for ending in (
        "ations",
        "ation",
        "ings",
        "ing",
        "edly",
        "ies",
        "ied",
        "ed",
        "es",
        "ly",
        "s",
        "y",
        "e",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    # A doubled letter before an ending: cancelled, running.
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _reason(found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return "there is no sentence"
    lines: list[str] = []
    for each in found:
        quoted = each["sentence"]
        if len(quoted) > _QUOTED_CHARACTERS:
            quoted = quoted[: _QUOTED_CHARACTERS - 1] + "…"
        verdict = "in the source" if each["grounded"] else "not in the source"
        lacking = f"; lacks {', '.join(each['missing'][:5])}" if each["missing"] else ""
        lines.append(f"{each['covered']:.0%} {verdict}: {quoted}{lacking}")
    return "\n".join(lines)
