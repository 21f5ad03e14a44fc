"""Every judge that needs no service is in the reference."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kibitz import providers

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "providers.md").read_text()
PROVIDERS = [
    *("Local", "Embeddings", "Retrieval", "Classification", "Calibration", "Correlation"),
    *("GroundTruth", "GroundTruthAggregator"),
]


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_judge_is_documented_with_its_parameters(name: str) -> None:
    for judge, method in inspect.getmembers(getattr(providers, name), inspect.isfunction):
        if judge.startswith("_") or judge == "parameters":
            continue
        parameters = [*inspect.signature(method).parameters.values()][1:]
        said = ", ".join(
            ("*" if each.kind is each.VAR_POSITIONAL else "")
            + (each.name if each.default is each.empty else f"{each.name}={each.default!r}")
            for each in parameters
        )
        assert f"| `{judge}({said})` |" in PAGE, f"{name}.{judge}({said})"


@pytest.mark.processes
def test_the_code_of_the_guide_runs_from_top_to_bottom(tmp_path: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "judge-without-a-model.md"
    code = "\n".join(re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL))
    (tmp_path / "guide.py").write_text(code + "\nprint([each.name for each in judges])\n")

    run = subprocess.run(
        [sys.executable, "-W", "error", "guide.py"],
        cwd=tmp_path,
        env={**os.environ, "KIBITZ_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [
        *("['shorter_than',", "'contains',", "'no_pii',", "'refusal',", "'grounded']"),
    ]
