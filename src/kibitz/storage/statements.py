"""The statements of a store by name, from `.sql` files: each stands under a line `-- name: …`, with a sentence."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def load(file: str) -> dict[str, str]:
    """The statements of one file in `storage/sql`, by name."""
    text = (resources.files("kibitz.storage") / "sql" / file).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, statement = part.partition("\n")
        found[name.strip()] = statement.strip()
    return found
