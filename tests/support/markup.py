"""HTML as a test reads it: elements by what they are and what they say, never by how they are spelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr rect path circle use".split()  # noqa: SIM905 read as a line
)


@dataclass
class Element:
    """One element; its children are elements and texts."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text below, with white space as a reader sees it."""
        return " ".join(self.raw_text.split())

    @property
    def raw_text(self) -> str:
        return "".join(each if isinstance(each, str) else each.raw_text for each in self.children)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def has_class(self, name: str) -> bool:
        return name in self.attributes.get("class", "").split()

    def walk(self) -> Iterator[Element]:
        for each in self.children:
            if isinstance(each, Element):
                yield each
                yield from each.walk()

    def all(self, tag: str = "", class_: str = "", **attributes: str | None) -> list[Element]:
        """Elements below with this tag, class and attributes; None means that the attribute is there."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            each
            for each in self.walk()
            if (not tag or each.tag == tag)
            and (not class_ or each.has_class(class_))
            and all(
                name in each.attributes and (value is None or each.attributes[name] == value)
                for name, value in wanted.items()
            )
        ]

    def one(self, tag: str = "", class_: str = "", **attributes: str | None) -> Element:
        found = self.all(tag, class_, **attributes)
        assert len(found) == 1, f"{len(found)} elements <{tag} class={class_!r} {attributes}>"
        return found[0]

    def link(self, text: str) -> Element:
        """The link that says this."""
        found = [each for each in self.all("a") if each.text == text]
        assert found, f"no link says {text!r}; links are {[each.text for each in self.all('a')]}"
        return found[0]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("document")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read(html: str | bytes) -> Element:
    """The document of a text."""
    reader = _Reader()
    reader.feed(html.decode() if isinstance(html, bytes) else html)
    reader.close()
    return reader.root


def forms(form: Element) -> list[tuple[str, str]]:
    """What a browser sends for a form as it stands, its buttons left out."""
    pairs: list[tuple[str, str]] = []
    for each in form.walk():
        name = each.attributes.get("name")
        if not name:
            continue
        if each.tag == "textarea":
            pairs.append((name, each.raw_text))
        elif each.tag == "select":
            chosen = each.all("option", selected=None) or each.all("option")
            pairs.append((name, chosen[0]["value"]))
        elif each.tag == "input":
            kind = each.attributes.get("type", "text")
            if kind != "checkbox" or "checked" in each.attributes:
                pairs.append((name, each.attributes.get("value", "")))
    return pairs
