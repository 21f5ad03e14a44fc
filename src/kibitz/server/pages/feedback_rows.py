"""Feedback as lists show it: who said what, in how few words, and where it came from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kibitz.base import judgements, refs
from kibitz.base.errors import RefError
from kibitz.base.records import Feedback
from kibitz.server.pages import addresses, formats, values
from kibitz.server.pages.values import Piece

MAX_LEAVES = 6
MAX_LEAF_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An emoji, and who chose it."""

    emoji: str
    count: int
    authors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One feedback as the list shows it."""

    feedback: Feedback
    name: str
    """The judge's or specification's name."""
    kind: str
    """`program`, `annotation`, `note` or the type itself."""
    text: str
    """A payload that is one plain value or a note."""
    is_true: bool | None
    """Of a payload that is one truth value."""
    leaves: tuple[tuple[str, str, bool | None], ...]
    """(key, words, truth) of a payload of a few plain values."""
    pieces: tuple[Piece, ...]
    """Of any other payload."""
    author: str
    source_url: str
    """The call that produced it; empty where none is named."""
    maker_url: str
    """The version of the op that made it."""
    refs: tuple[tuple[str, str], ...]
    """(which, reference) of all that it names."""


def judgement(project: str, feedback: Feedback) -> Judgement:
    """A feedback in the form that lists show."""
    type_, payload = feedback.type, feedback.payload
    kind, name = type_, type_
    if type_.startswith(judgements.RUNNABLE):
        kind, name = "program", type_.removeprefix(judgements.RUNNABLE)
    elif type_.startswith(judgements.ANNOTATION):
        kind, name = "annotation", type_.removeprefix(judgements.ANNOTATION)
    value = payload
    if isinstance(payload, dict) and len(payload) == 1:  # pyright: ignore[reportUnknownArgumentType] JSON
        ((key, only),) = payload.items()  # pyright: ignore[reportUnknownVariableType] JSON
        if key in ("output", "value", "note", "emoji"):
            value = only  # pyright: ignore[reportUnknownVariableType] JSON
    if type_ == judgements.REACTION and isinstance(payload, dict):
        value = payload.get("emoji", "")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] JSON
    plain = _is_plain(value)
    leaves = _leaves(value)
    return Judgement(
        feedback=feedback,
        name=name,
        kind=kind,
        text=formats.scalar(value) if plain else "",
        is_true=value if isinstance(value, bool) else None,
        leaves=leaves,
        pieces=() if plain or leaves else values.tree(value, ""),
        author=feedback.author,
        source_url=ref_url(feedback.call_ref),
        maker_url=ref_url(feedback.runnable_ref),
        refs=tuple(
            (label, ref)
            for label, ref in (
                ("made by", feedback.runnable_ref),
                ("by call", feedback.call_ref),
                ("specification", feedback.annotation_ref),
                ("triggered by", feedback.trigger_ref),
            )
            if ref is not None
        ),
    )


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _leaves(value: Any) -> tuple[tuple[str, str, bool | None], ...]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_LEAVES:  # pyright: ignore[reportUnknownArgumentType] JSON
        return ()
    entries: dict[str, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType] JSON
    if not all(map(_is_plain, entries.values())):
        return ()
    return tuple(
        (key, formats.scalar(each)[:MAX_LEAF_CHARACTERS], each if isinstance(each, bool) else None)
        for key, each in entries.items()
    )


def ref_url(text: str | None) -> str:
    """The page of what a reference names; empty where it has none."""
    if text is None:
        return ""
    try:
        ref = refs.parse_ref(text)
    except RefError:
        return ""
    if ref.kind == "call":
        return addresses.call_path(ref.project, ref.name)
    if ref.kind == "op" and ref.digest is not None:
        return addresses.op_path(ref.project, ref.name, ref.digest)
    return ""


def reactions(feedback: Sequence[Feedback]) -> tuple[Reaction, ...]:
    by_emoji: dict[str, list[str]] = {}
    for each in feedback:
        if each.type == judgements.REACTION and isinstance(each.payload, dict):
            emoji = str(each.payload.get("emoji", ""))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] JSON
            by_emoji.setdefault(emoji, []).append(each.author or "somebody")
    return tuple(
        Reaction(emoji=emoji, count=len(authors), authors=", ".join(dict.fromkeys(authors)))
        for emoji, authors in sorted(by_emoji.items(), key=lambda item: -len(item[1]))
    )


def state_of(feedback: Feedback) -> str:
    """What became of a judgement, in a word or two; empty where it simply stands."""
    if feedback.retracts is not None:
        return "takes back"
    if not feedback.stands:
        return "history"
    return "correction" if feedback.corrects is not None else ""
