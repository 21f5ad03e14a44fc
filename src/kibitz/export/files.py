"""Files that appear under their name when they are complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kibitz.base.errors import KibitzError, UsageError


@contextmanager
def appearing(target: Path, put: Callable[[Path, Path], None] = os.replace) -> Generator[BinaryIO]:
    """What to write into; where that fails, nothing is left and what had the name keeps it.

    Args:
        target: the name. Folders on the way to it are made.
        put: puts the complete file where it belongs.

    Raises:
        UsageError: it cannot be written.
    """
    part = target.absolute().with_name(f".{target.name}.{os.getpid()}.part")
    with _named(target):
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                yield file
            put(part, target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def standing(target: Path) -> Generator[BinaryIO]:
    """A pipe or device to write into, which nothing may take the place of; raises `UsageError`."""
    with _named(target), target.open("wb") as file:
        yield file


@contextmanager
def _named(target: Path) -> Generator[None]:
    try:
        yield
    except KibitzError:
        # Of those that are also an OSError, none is about this file.
        raise
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}") from error
