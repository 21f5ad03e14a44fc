"""The text of an exception, bounded before it is made.

`str(error)` of an exception that holds a value writes out the whole value, which can take for ever: a list that
shares its parts fifty times over is small in memory and without end in text.
"""

from __future__ import annotations

import reprlib
from typing import cast

MAX_CHARACTERS = 10_000
_SHORT = (str, int, float, bool, bytes, type(None))

_brief = reprlib.Repr()
_brief.maxlevel = 4
_brief.maxdict = _brief.maxlist = _brief.maxtuple = _brief.maxset = _brief.maxdeque = 20
_brief.maxstring = _brief.maxother = 1000
_brief.maxlong = 100


def message_of(error: BaseException) -> str:
    """What the exception says. It never raises, but for `KeyboardInterrupt`."""
    try:
        text = _text(error)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 an exception's text is a user's code
        text = f"<no message: str() raised {type(problem).__name__}>"
    if len(text) > MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]}… ({len(text):,} characters)"
    return text


def _text(error: BaseException) -> str:
    args = cast("tuple[object, ...]", error.args)
    # Integers of thousands of digits cannot be written at all.
    plain = all(type(each) in _SHORT and not _is_huge(each) for each in args)
    if plain or type(error).__str__ not in (BaseException.__str__, KeyError.__str__):
        return str(error)
    shown = [each if type(each) is str else _brief.repr(each) for each in args]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"


def _is_huge(value: object) -> bool:
    return type(value) is int and value.bit_length() > 10_000
