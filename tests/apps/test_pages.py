"""The programs of the how-to pages about apps run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parent.parent.parent / "docs" / "how-to"
NEEDS = {"langchain": "langchain_core", "llamaindex": "llama_index.core"}
PRINTS = {
    "wrap-an-app": ["Write to us. Call us. ['Write to us.', 'Call us.']", "1.0", "0"],
    "existing-logs": ["2 of 2 rows recorded", "3 hits"],
    "langchain": ["1.0"],
    "llamaindex": ["1.0"],
}


@pytest.mark.processes
@pytest.mark.parametrize("page", sorted(PRINTS))
def test_the_program_of_a_page_runs(tmp_path: Path, page: str) -> None:
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    (tmp_path / "page.py").write_text(code, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env={**os.environ, "KIBITZ_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == PRINTS[page]
    assert "evaluation" in done.stderr
    assert "lost" not in done.stderr
