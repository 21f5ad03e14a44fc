"""Two kinds of values that are more than JSON can say: text to be shown as Markdown, and files.

They are apart from `jsonable`, which writes them, because a traced program imports them with `kibitz`.
"""

from __future__ import annotations


class Markdown(str):
    """Text that the pages show as Markdown. It is a `str` in every other way."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Markdown({str.__repr__(self)})"


class File:
    """Bytes with a media type, stored once by content and shown by the pages: `File(png, "image/png")`.

    Raises:
        TypeError: the content is not bytes.
    """

    __slots__ = ("content", "media_type", "name")

    def __init__(
        self,
        content: bytes,
        media_type: str = "application/octet-stream",
        *,
        name: str | None = None,
    ) -> None:
        if not isinstance(content, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise TypeError(f"a File holds bytes, not {type(content).__name__}")
        self.content = content
        self.media_type = media_type
        self.name = name

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, File)
            and self.content == other.content
            and self.media_type == other.media_type
            and self.name == other.name
        )

    def __hash__(self) -> int:
        return hash((self.content, self.media_type, self.name))

    def __repr__(self) -> str:
        return f"File({len(self.content)} bytes, {self.media_type!r}, name={self.name!r})"
