"""Reading the text of a lens: a small parser, bounded, that never evaluates anything.

text   := [name] step*
step   := "." name | "." name "(" arguments ")" | "[" inside "]"
inside := item ("," item)* | [number] ":" [number] [":" [number]]
item   := number | key in quotes
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from kibitz.base.errors import UsageError
from kibitz.judging import steps
from kibitz.judging.steps import Index, Member, Several, Slice, Step

MAX_TEXT: Final = 20_000
METHODS: dict[str, Callable[..., Step]] = {}
"""What may be called, by name. `lenses` fills it."""

_INTEGER = re.compile(r"-?[0-9]{1,18}(?![0-9])")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_SLICE = re.compile(
    r"\s*(-?[0-9]{1,18})?\s*:\s*(-?[0-9]{1,18})?\s*(?::\s*(-?[0-9]{1,18})?\s*)?(?=\])"
)
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}
_decode = json.JSONDecoder().raw_decode


def parse(text: str, max_steps: int) -> list[Step]:
    """The steps of a text.

    Raises:
        UsageError: it is none; the message has the place. Facts: `at`, counted from 0.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
        raise UsageError(f"a selector as text is a text, not {text!r}", field="selector")
    if len(text) > MAX_TEXT:
        raise UsageError(
            f"a selector of {len(text):,} characters is longer than {MAX_TEXT:,}", field="selector"
        )
    reader = _Reader(text)
    found: list[Step] = []
    while reader.at < len(text):
        found.append(reader.step())
        if len(found) > max_steps:
            raise UsageError(f"a selector has more than {max_steps} steps", field="selector")
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def step(self) -> Step:
        if self.text[self.at] == "[":
            self.at += 1
            return self._brackets()
        if self.text[self.at] == ".":
            self.at += 1
        elif self.at:
            self._fail("a dot or a bracket")
        name = steps.NAME.match(self.text, self.at)
        if name is None:
            self._fail('a name; other keys are written ["like this"]')
        begin, self.at = self.at, name.end()
        if not self._takes("("):
            return Member(name[0])
        make = METHODS.get(name[0])
        if make is None:
            self.at = begin
            self._fail(
                f"{' or '.join(f'{each}()' for each in METHODS)}, the functions of a selector"
            )
        given = self._arguments()
        try:
            return make(**given)
        except TypeError:
            self.at = begin
            self._fail(
                f"what {name[0]}() takes: where() takes op, kind and attributes, collect() nothing"
            )

    def _brackets(self) -> Step:
        sliced = _SLICE.match(self.text, self.at)
        if sliced is not None:
            start, stop, step = (None if each is None else int(each) for each in sliced.groups())
            if step == 0:
                self._fail("a step other than 0")
            self.at = sliced.end() + 1
            return Slice(start, stop, step)
        begin = self.at
        items = [self._item()]
        while self._takes(","):
            items.append(self._item())
        if not self._takes("]"):
            self._fail("] or a comma")
        numbers = [each for each in items if isinstance(each, int)]
        if numbers and len(numbers) < len(items):
            self.at = begin
            self._fail("either keys or numbers, not both")
        if len(items) == 1:
            return Index(numbers[0]) if numbers else Member(str(items[0]))
        if numbers:
            return Several(tuple(Index(each) for each in numbers))
        return Several(tuple(Member(str(each)) for each in items))

    def _item(self) -> str | int:
        self._skip()
        number = _INTEGER.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            return int(number[0])
        return self._quoted('a number, a slice or a key in quotes, ["like this"]')

    def _quoted(self, wanted: str) -> str:
        self._skip()
        quoted = _STRING.match(self.text, self.at)
        if quoted is None:
            self._fail(wanted)
        self.at = quoted.end()
        return _ESCAPE.sub(_unescaped, quoted[0][1:-1])

    def _arguments(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self._takes(")"):
            return given
        while True:
            self._skip()
            name = steps.NAME.match(self.text, self.at)
            if name is None or name[0] in given:
                self._fail("the name of an argument, once")
            self.at = name.end()
            if not self._takes("="):
                self._fail("=")
            given[name[0]] = (
                self._object() if name[0] == "attributes" else self._quoted("a text in quotes")
            )
            if self._takes(")"):
                return given
            if not self._takes(","):
                self._fail(") or a comma")

    def _object(self) -> dict[str, Any]:
        """Attributes: keys as they are in brackets, values as JSON."""
        if not self._takes("{"):
            self._fail('attributes as {"key": value}')
        found: dict[str, Any] = {}
        if self._takes("}"):
            return found
        while True:
            key = self._quoted("a key in quotes")
            if not self._takes(":"):
                self._fail(":")
            self._skip()
            try:
                found[key], self.at = _decode(self.text, self.at)
            except (ValueError, RecursionError):
                self._fail("a value as JSON writes it")
            if self._takes("}"):
                return found
            if not self._takes(","):
                self._fail("} or a comma")

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space is not None else self.at

    def _takes(self, sign: str) -> bool:
        begin = self.at
        self._skip()
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        self.at = begin
        return False

    def _fail(self, wanted: str) -> NoReturn:
        begin = max(0, self.at - 60)
        around = self.text[begin : self.at + 40]
        shown = ("…" if begin else "") + around + ("…" if self.at + 40 < len(self.text) else "")
        raise UsageError(
            f"the selector {shown!r} cannot be read at character {self.at + 1}, which is to be {wanted}",
            field="selector",
            at=self.at,
        )


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    if code is not None:
        return chr(int(code, 16))
    return _LETTERS.get(found[3], found[3])
