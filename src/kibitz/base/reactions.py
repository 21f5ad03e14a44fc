"""Reactions: one emoji, with its name and the form without a skin tone, so that all thumbs count together.

The tables of emoji load when the first reaction is looked at; a recording program needs them only for names.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from kibitz.base.errors import InvalidRecord

MAX_CHARACTERS = 16
_NAME = re.compile(r":[^\s:]{1,80}:")
_TONES = dict.fromkeys(range(0x1F3FB, 0x1F400))
_AS_PICTURE = {0xFE0F: None}
_JOINERS = {0x200D, 0xFE0F, 0xFE0E, 0x20E3}


@dataclass(frozen=True, slots=True)
class Reaction:
    """One emoji as it is stored."""

    emoji: str
    """Fully qualified, as Unicode recommends it."""
    alias: str
    """Its name, `thumbs_up_medium_skin_tone`; empty for one newer than the tables."""
    neutral: str
    """The emoji without a skin tone."""

    @property
    def payload(self) -> dict[str, Any]:
        """What feedback says of it; each is a score to filter by."""
        said = {"emoji": self.emoji, "alias": self.alias, "neutral": self.neutral}
        return {key: each for key, each in said.items() if each}


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Reaction:
    """The reaction that an emoji or a name between colons is; raises `InvalidRecord`."""
    if is_name(text):
        text = _of_name(text)
    if not is_emoji(text):
        raise InvalidRecord(
            f"reaction {text[:40]!r} is not one emoji, nor the name of one as in ':thumbs_up:'",
            field="payload.emoji",
        )
    whole = _whole()
    emoji = whole.get(text.translate(_AS_PICTURE), text)
    bare = emoji.translate(_TONES)
    # A modifier stands in the place of the selector, so taking it out may leave the sequence short of one.
    neutral = whole.get(bare.translate(_AS_PICTURE), bare) or emoji
    return Reaction(emoji, _names().get(emoji, ""), neutral)


def is_name(text: str) -> bool:
    """Whether a text is a name between colons."""
    return _NAME.fullmatch(text) is not None


def _of_name(text: str) -> str:
    import emoji as tables

    found = tables.emojize(text, language="alias", variant="emoji_type")
    if found == text:
        near = difflib.get_close_matches(text.strip(":"), _names().values(), 1)
        meant = f"; did you mean ':{near[0]}:'?" if near else ""
        raise InvalidRecord(f"reaction {text[:90]!r} is no emoji{meant}", field="payload.emoji")
    return found


@functools.cache
def _names() -> dict[str, str]:
    """The name of each emoji that Unicode recommends."""
    import emoji as tables

    return {
        emoji: str(about["en"]).strip(":")
        for emoji, about in tables.EMOJI_DATA.items()
        if about["status"] <= tables.STATUS["fully_qualified"]
    }


@functools.cache
def _whole() -> dict[str, str]:
    """The recommended form of each emoji by the form without selectors."""
    return {emoji.translate(_AS_PICTURE): emoji for emoji in _names()}


def is_emoji(text: str) -> bool:
    """Whether the text is one emoji: a pictograph with its modifiers, a joined sequence, a flag or a keycap.

    Follows the shape of emoji sequences in Unicode TS #51 §1.4.9 without its tables: symbols joined by
    U+200D, skin tones, variation selectors, tag sequences, pairs of regional indicators, keycaps.
    """
    if not 1 <= len(text) <= MAX_CHARACTERS:
        return False
    points = [ord(character) for character in text]
    if points[-1] == 0x20E3:
        return text[0] in "0123456789#*" and points[1:-1] in ([], [0xFE0F])
    if all(0x1F1E6 <= point <= 0x1F1FF for point in points):
        return len(points) == 2
    symbols = 0
    joined = True
    for point in points:
        if point == 0x200D:
            if joined:
                return False
            joined = True
        elif point in _JOINERS or 0x1F3FB <= point <= 0x1F3FF or 0xE0020 <= point <= 0xE007F:
            if symbols == 0:
                return False
        elif unicodedata.category(chr(point)) in {"So", "Sm"} or point in {0x203C, 0x2049, 0x3030}:
            if not joined:
                return False
            symbols += 1
            joined = False
        else:
            return False
    return symbols > 0 and not joined
