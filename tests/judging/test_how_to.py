"""The page on judging by program runs from top to bottom and prints what it says."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kibitz.judging.functions import Feedback
from kibitz.judging.records import Record, RecordCall
from kibitz.judging.results import FeedbackCall, FeedbackResult
from kibitz.judging.select import Select

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs/how-to/judge-by-program.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference/feedback-functions.md").read_text(encoding="utf-8")


@pytest.mark.processes
def test_the_page_prints_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text(
        "\n".join(re.findall(r"^```python\n(.*?)^```", HOW_TO, re.M | re.S)), encoding="utf-8"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "KIBITZ_DATA": str(tmp_path / "data")},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    printed = [
        line.removeprefix("    ")
        for line in re.findall(r"^    .+$", re.sub(r"```.*?```", "", HOW_TO, flags=re.S), re.M)
    ]
    assert done.stdout.splitlines() == printed


@pytest.mark.parametrize(
    "kind", [Feedback, Record, RecordCall, FeedbackResult, FeedbackCall, Select]
)
def test_everything_public_is_in_the_reference(kind: type) -> None:
    names = {name for name in dir(kind) if not name.startswith("_")}
    said = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", REFERENCE))))
    inner = {
        # Of no use but to those who build on it, or another spelling of what is there.
        "KEYS", "to_json", "layout_calls_as_app", "get", "root", "invocation", "part", "output", "supplied_name",
        "feedback_definition_id", "Lens", "Query", "Tru", "path_and_method", "dequalify", "for_record", "for_app", "render",
        "of_calls", "find_app",
    }  # fmt: skip

    assert names - inner <= said


def test_the_reference_shows_the_signature_as_it_is() -> None:
    shown = re.search(r"`kibitz\.Feedback\((.*?)\)`", REFERENCE, re.S)
    assert shown is not None

    names = [each.partition("=")[0].strip() for each in shown[1].replace("\n", " ").split(",")]

    assert [name for name in names if name != "*"] == list(inspect.signature(Feedback).parameters)
