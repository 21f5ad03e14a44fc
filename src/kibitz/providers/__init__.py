"""Providers of feedback implementations: models behind an endpoint, and what needs no model service."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kibitz.base.provider import Provider as Provider
    from kibitz.providers.calibration import Calibration as Calibration
    from kibitz.providers.classification import Classification as Classification
    from kibitz.providers.correlation import Correlation as Correlation
    from kibitz.providers.embeddings import Embeddings as Embeddings
    from kibitz.providers.ground_truth import GroundTruth as GroundTruth
    from kibitz.providers.ground_truth import GroundTruthAggregator as GroundTruthAggregator
    from kibitz.providers.local import Local as Local
    from kibitz.providers.retrieval import Retrieval as Retrieval

_LATER = {
    "Provider": "kibitz.base.provider",
    "Local": "kibitz.providers.local",
    "Embeddings": "kibitz.providers.embeddings",
    "GroundTruth": "kibitz.providers.ground_truth",
    "GroundTruthAggregator": "kibitz.providers.ground_truth",
    "Retrieval": "kibitz.providers.retrieval",
    "Classification": "kibitz.providers.classification",
    "Calibration": "kibitz.providers.calibration",
    "Correlation": "kibitz.providers.correlation",
    "OpenAI": "kibitz.providers.openai",
    "AzureOpenAI": "kibitz.providers.openai",
    "LiteLLM": "kibitz.providers.litellm",
    "Cohere": "kibitz.providers.cohere",
    "Huggingface": "kibitz.providers.huggingface",
    "HuggingfaceLocal": "kibitz.providers.huggingface_local",
    "Jury": "kibitz.providers.jury",
    "Judge": "kibitz.providers.judge",
    "Example": "kibitz.providers.examples",
    "examples_from": "kibitz.providers.examples",
}
"""Names by the module that has them; each is loaded when it is first asked for."""

__all__ = [*_LATER]  # pyright: ignore[reportUnsupportedDunderAll] loaded by __getattr__


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"kibitz.providers has no {name!r}")
    found = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
