"""A rule as the form holds it, and back: texts that may be wrong, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kibitz.base.evaluations import NewRule, Rule
from kibitz.server.pages.answer_forms import Sent
from kibitz.server.pages.forms import first

PLACES = ("name", "definitions", "query", "sample", "per_day", "usd_per_day")
"""The fields that a mistake is said at."""
MAX_NAME = 200
MAX_PER_DAY = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDraft:
    """What the form holds."""

    name: str = ""
    definitions: tuple[str, ...] = ()
    """References."""
    query: str = ""
    sample: str = "100"
    """In percent."""
    per_day: str = ""
    usd_per_day: str = ""
    active: bool = True
    is_new: bool = True
    """Whether the name is still to be chosen."""

    def __getitem__(self, name: str) -> str:
        return str(getattr(self, name))


def from_form(sent: Sent) -> RuleDraft:
    """What a form sends."""
    return RuleDraft(
        name=" ".join(first(sent, "name").split()),
        definitions=tuple(dict.fromkeys(sent.get("definition", ()))),
        query=" ".join(first(sent, "query").split()),
        sample=first(sent, "sample").strip(),
        per_day=first(sent, "per_day").strip(),
        usd_per_day=first(sent, "usd_per_day").strip(),
        active=first(sent, "active") == "1",
        is_new=first(sent, "is_new") == "1",
    )


def from_rule(rule: Rule) -> RuleDraft:
    """A rule that is there."""
    return RuleDraft(
        name=rule.name,
        definitions=tuple(rule.definitions),
        query=rule.query,
        sample=number_text(rule.sample * 100),
        per_day="" if rule.per_day is None else str(rule.per_day),
        usd_per_day="" if rule.usd_per_day is None else number_text(rule.usd_per_day),
        active=rule.active,
        is_new=False,
    )


def to_rule(draft: RuleDraft, author: str) -> tuple[NewRule, Mapping[str, str]]:
    """The rule, and what is wrong by field; where something is, the rule has what can be read."""
    errors: dict[str, str] = {}
    if not draft.name:
        errors["name"] = "a rule needs a name"
    elif len(draft.name) > MAX_NAME:
        errors["name"] = f"a name has at most {MAX_NAME} characters"
    if not draft.definitions:
        errors["definitions"] = "choose at least one function"
    sample = _number(draft.sample or "100", "sample", 100.0, errors)
    per_day = _number(draft.per_day, "per_day", float(MAX_PER_DAY), errors)
    if per_day is not None and per_day != int(per_day):
        errors["per_day"] = f"{draft.per_day[:40]!r} is no whole number"
        per_day = None
    usd = _number(draft.usd_per_day, "usd_per_day", 1e9, errors)
    rule = NewRule(
        definitions=list(draft.definitions),
        query=draft.query,
        sample=round((100.0 if sample is None else sample) / 100, 8),
        per_day=None if per_day is None else int(per_day),
        usd_per_day=usd,
        active=draft.active,
        author=author,
    )
    return rule, errors


def number_text(value: float) -> str:
    """A number without what rounding left of it: `20`, `0.5`."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _number(text: str, place: str, most: float, errors: dict[str, str]) -> float | None:
    """A number from 0 on; None where there is none, or none that can be used."""
    text = text.replace(",", "").removesuffix("%").removeprefix("$").strip()
    if not text:
        return None
    try:
        value = float(text) if len(text) <= 20 else float("nan")
    except ValueError:
        value = float("nan")
    if 0 <= value <= most:
        return value
    errors[place] = f"{text[:40]!r} is no number from 0 to {most:,.0f}"
    return None
