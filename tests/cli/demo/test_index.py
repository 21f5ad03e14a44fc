"""The demo's index: passages of the library, found by words, kept between runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kibitz.cli.demo import index, library
from kibitz.cli.demo.library import Passage

PASSAGES = [
    Passage("json.loads", "function", "Deserialize a JSON document to a Python object.", "json:1"),
    Passage("json.dumps", "function", "Serialize an object to a JSON formatted string.", "json:2"),
    Passage("shutil.copytree", "function", "Recursively copy a directory tree.", "shutil:1"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I parse it?", ["pars"]),
        ("parsing, parsed and parses", ["pars", "pars", "pars"]),
        ("JSONDecoder.raw_decode", ["jsondecod", "raw", "decod"]),
        ("getattr snake_case camelCase", ["getattr", "snak", "cas", "camel", "cas"]),
        ("What is it?", []),
    ],
)
def test_stems_are_what_a_text_is_about(text: str, expected: list[str]) -> None:
    assert index.stems(text) == expected


def test_a_search_finds_what_shares_the_rarest_words() -> None:
    built = index.build(PASSAGES)

    found = [
        built.passages[hit.number].name for hit in built.search(index.stems("copy JSON trees"), 5)
    ]

    assert found[0] == "shutil.copytree"
    assert set(found) == {"shutil.copytree", "json.loads", "json.dumps"}
    assert built.search(["banana"], 5) == []
    assert built.rarity("tre") > built.rarity("json") > 0


def test_the_index_is_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "sources", list)
    monkeypatch.setattr(library, "COMPILED", ("math",))
    steps: list[str] = []
    file = tmp_path / "demo" / "index.msgpack"

    built = index.load_or_build(file, lambda done, total, name: steps.append(name))
    again = index.load_or_build(file, lambda done, total, name: steps.append(f"again {name}"))

    assert again == built
    assert "math.gcd" in {passage.name for passage in built.passages}
    assert steps == ["math", "index"]
    assert [path.name for path in file.parent.iterdir()] == ["index.msgpack"]


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_kept_index_that_does_not_fit_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setattr(library, "sources", list)
    monkeypatch.setattr(library, "COMPILED", ("math",))
    file = tmp_path / "index.msgpack"
    index.load_or_build(file, lambda *_: None)
    if content is None:
        monkeypatch.setattr(index, "FORMAT", index.FORMAT + 1)
    else:
        file.write_bytes(content)

    built = index.load_or_build(file, lambda *_: None)

    assert built.passages
    assert built.signature.startswith(str(index.FORMAT))


def test_modules_are_read_and_not_imported() -> None:
    path = library.library_folder() / "this.py"
    assert "this" not in sys.modules

    passages = list(library.parsed(library.library_folder() / "antigravity.py"))
    passages += library.parsed(path)
    pieces = list(library.parsed(library.library_folder() / "json/__init__.py"))
    loads = [each for each in pieces if each.name == "json.loads"]

    assert "this" not in sys.modules
    assert "antigravity" not in sys.modules
    assert "Deserialize" in loads[0].text
    assert loads[0].where.startswith("json/__init__.py:")
    assert {each.kind for each in pieces if each.name == "json"} == {"module"}
    assert all(
        len(each.text) <= library.MAX_CHARACTERS + 50 or "\n\n" not in each.text for each in pieces
    )
    assert [each.name for each in passages] == ["antigravity.geohash"]


def test_private_and_foreign_sources_are_left_out() -> None:
    root = library.library_folder()
    names = {path.relative_to(root).as_posix() for path in library.sources()}

    assert {"json/__init__.py", "shutil.py", "asyncio/runners.py"} <= names
    assert not any(name.startswith(("test/", "site-packages/", "idlelib/")) for name in names)
    assert "_collections_abc.py" not in names


def test_what_is_not_python_has_no_passages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "library_folder", lambda: tmp_path)
    (tmp_path / "broken.py").write_text("def (")

    assert list(library.parsed(tmp_path / "broken.py")) == []
    assert list(library.parsed(tmp_path / "absent.py")) == []
    assert list(library.compiled("no_such_module")) == []
