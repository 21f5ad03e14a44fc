"""A file has its name when it is complete, and an error is said for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kibitz.base.errors import QueryTimeout, UsageError
from kibitz.export import files


def test_a_file_appears_complete_with_the_folders_on_the_way(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"

    with files.appearing(target) as file:
        file.write(b"all")
        assert not target.exists()

    assert target.read_bytes() == b"all"
    assert list(target.parent.iterdir()) == [target]


def test_where_writing_fails_what_had_the_name_keeps_it(tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    target.write_bytes(b"before")

    def writing(error: Exception) -> None:
        with files.appearing(target) as file:
            file.write(b"half")
            raise error

    # A timeout is an OSError too, and says nothing about the file.
    with pytest.raises(QueryTimeout, match="too slow"):
        writing(QueryTimeout("too slow"))
    with pytest.raises(UsageError, match=r"kept\.txt cannot be written: No space"):
        writing(OSError(28, "No space left on device"))

    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_where_no_file_can_be_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    below = tmp_path / "file" / "below.txt"
    with pytest.raises(UsageError, match="cannot be written"), files.appearing(below):
        pass
    with pytest.raises(UsageError, match="cannot be written"), files.standing(tmp_path):
        pass
