"""Regular expressions: what they find, and what every match of one has in it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kibitz.base.errors import QueryError
from kibitz.query import patterns


@pytest.mark.parametrize(
    ("pattern", "required"),
    [
        ("refund", "refund"),
        ("refund(ed)?", "refund"),
        ("refunds?", "refund"),
        ("ab+cdef", "cdef"),
        (r"order \d+ please", " please"),
        (r"a\.b\.c", "a.b.c"),
        ("colou?r", "colo"),
        ("(abc)+def", "def"),
        ("(a(bcd)e)fgh", "fgh"),
        ("[abc]xyz[)]", "xyz"),
        ("[]abc]xyz", "xyz"),
        ("[[:alpha:]]xyz", "xyz"),
        ("abc{0}", None),
        ("abcd{2,3}", "abc"),
        ("abc|def", None),
        ("(?i)abc", None),
        (r"\pLuvwxyz", None),
        (r"\x41bcd", None),
        (r"\Qabc\E", None),
        ("ab", None),
        ("", None),
        ("日本語", "日本語"),
    ],
)
def test_what_every_match_has(pattern: str, required: str | None) -> None:
    assert patterns.required_text(pattern) == required


PIECES = st.sampled_from(
    [
        *"abc",
        "abc",
        "bca",
        ".",
        "*",
        "+",
        "?",
        "{0}",
        "{2}",
        "{1,2}",
        "{",
        "}",
        "(",
        ")",
        "[ab]",
        "[^a]",
    ]
    + [
        "[]a]",
        "[[:alpha:]]",
        r"\.",
        r"\(",
        r"\d",
        r"\w",
        r"\b",
        r"\n",
        r"\\",
        "^",
        "$",
        "é",
        "|",
        "(?:",
        "?)",
    ]
)


@given(st.lists(PIECES, max_size=10).map("".join), st.text("abc.(é\\\n1", max_size=20))
@settings(deadline=None)
def test_it_is_in_whatever_a_pattern_is_found_in(pattern: str, text: str) -> None:
    try:
        compiled = patterns.compile(pattern)
    except QueryError:
        assume(False)
        return
    required = patterns.required_text(pattern)
    if required is not None and required not in text:
        assert not compiled.is_in(text)


@given(st.lists(PIECES, max_size=8).map("".join))
@settings(deadline=None)
def test_what_is_wrong_is_said_with_its_place(pattern: str) -> None:
    try:
        patterns.check(pattern)
    except QueryError as error:
        flaw = error
    else:
        return
    position = flaw.facts.get("position")
    assert position is None or 0 <= position < len(pattern)
    assert repr(pattern)[:70] in flaw.message


def test_text_beyond_utf_8_is_searched() -> None:
    assert patterns.compile("^.$").is_in("🙂")
    assert patterns.compile("a").is_in("\ud800a")


def test_it_is_loaded_with_the_first_pattern_only() -> None:
    program = (
        "import sys\n"
        "from kibitz.query import json_form, patterns, text_form\n"
        "text_form.parse('op = a')\n"
        "assert 're2' not in sys.modules\n"
        "text_form.parse('op matches a')\n"
        "assert 're2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
