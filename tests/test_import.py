"""`import kibitz` stays light, and the facade is entered from outside only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "kibitz"
SERVER_SIDE = (
    "kibitz.server",
    "kibitz.storage",
    "kibitz.client",
    "kibitz.cli",
    "litestar",
    "granian",
    "jinja2",
)
LATE = (
    "msgspec",
    "sqlite3",
    "urllib3",
    "zstandard",
    "asyncio",
    "logging",
    "inspect",
    "opentelemetry",
)
"""What only `kibitz.init()` or its use loads."""


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_kibitz_loads_nothing_of_the_server_and_nothing_slow():
    found = loaded("import kibitz\n@kibitz.op\ndef f(): pass\nf()\nf.call()")

    assert [name for name in found if name.startswith(SERVER_SIDE)] == []
    assert sorted(found & set(LATE) - loaded("pass")) in ([], ["logging"])


def test_recording_over_http_loads_no_store_and_no_server():
    found = loaded(
        "import kibitz\nkibitz.init('a', 'http://127.0.0.1:9', print_summary=False, enabled=True)"
    )

    assert [
        name
        for name in found
        if name.startswith(
            ("kibitz.server", "kibitz.storage", "kibitz.cli.", "litestar", "sqlite3")
        )
    ] == []


def test_recording_with_attributes_loads_nothing_that_asks():
    found = loaded(
        "import kibitz\nwith kibitz.attributes(env='prod'):\n    pass\nhasattr(kibitz.attributes, '__wrapped__')"
    )

    assert [name for name in found if name.startswith(("kibitz.query", "kibitz.asking"))] == []


# The demo stands for a user's program, and uses what one would.
MODULES = sorted(path for path in SRC.rglob("*.py") if "demo" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_module_imports_the_facade(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert all(alias.name != "kibitz" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "kibitz":
            names = {alias.name for alias in node.names}
            assert all((SRC / name).is_dir() or (SRC / f"{name}.py").exists() for name in names)
