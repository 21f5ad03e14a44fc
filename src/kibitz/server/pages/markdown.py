"""Logged text as Markdown: rendered without raw HTML, then cleaned as if that had failed.

Images become links: a page never loads from a host that a logged text names.
"""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MAX_CHARACTERS = 60_000
"""Longer text is shown as it is; a parser's time is not the writer's to spend."""

ALLOWED_TAGS = frozenset(
    (
        *(
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "hr",
            "li",
            "ol",
            "p",
            "pre",
            "s",
            "strong",
        ),
        *("h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    )
)
_SCHEMES = frozenset(("http", "https", "mailto"))

_parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(
    ["table", "strikethrough"]
)
_cleaner = nh3.Cleaner(
    tags=set(ALLOWED_TAGS),
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    url_schemes=set(_SCHEMES),
    link_rel="noopener noreferrer nofollow",
)


def render(text: str) -> Markup | None:
    """Safe HTML of a text; None where it is too long to be parsed."""
    if len(text) > MAX_CHARACTERS:
        return None
    tokens = _parser.parse(text)
    for token in tokens:
        _adapt(token)
        for child in token.children or ():
            _adapt(child)
    return Markup(_cleaner.clean(_parser.renderer.render(tokens, _parser.options, {})))


def _adapt(token: Token) -> None:
    if token.type in ("heading_open", "heading_close"):
        # The page has its own first and second level; what was logged stands below them.
        token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
    elif token.type == "image":
        address = str(token.attrs.get("src", ""))
        token.type, token.tag, token.children = "text", "", None
        token.content = f"[image: {token.content or address}]"
