"""Every judge that needs no service is in the reference."""

from __future__ import annotations

import inspect
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
