"""Frameworks' apps under TruLens' names; each is loaded when one is made."""

from __future__ import annotations

from typing import Any

from kibitz.compat.trulens.apps import options
from kibitz.judging.lenses import Lens


class TruChain:
    """A LangChain runnable."""

    def __new__(cls, app: Any, **given: Any) -> Any:
        from kibitz.apps import langchain

        found = options(given)
        found.pop("selectors_check", None)
        return langchain.Recorder(app, **found)

    @staticmethod
    def select_context(app: Any) -> Lens:
        """Where the texts are that the one retriever of a chain gives."""
        from kibitz.apps import langchain

        return langchain.select_context(app)


Langchain = TruChain


class TruLlama:
    """A LlamaIndex engine."""

    def __new__(cls, app: Any, **given: Any) -> Any:
        from kibitz.apps import llamaindex

        del app  # what runs in its blocks is recorded, whatever it is run by
        found = options(given)
        found.pop("selectors_check", None)
        return llamaindex.Recorder(**found)

    @staticmethod
    def select_source_nodes(app: Any = None) -> Lens:
        """Where the source nodes of an answer are."""
        from kibitz.apps import llamaindex

        del app
        return llamaindex.select_source_nodes()

    @staticmethod
    def select_context(app: Any = None) -> Lens:
        """Where the texts of the source nodes of an answer are."""
        from kibitz.apps import llamaindex

        del app
        return llamaindex.select_context()


class TruRails:
    """NeMo Guardrails' rails."""

    def __new__(cls, app: Any, **given: Any) -> Any:
        from kibitz.apps import nemo

        return nemo.wrap(app, **options(given))

    @staticmethod
    def select_context(app: Any = None) -> Lens:
        """Where the texts are that the knowledge base found."""
        from kibitz.apps import nemo

        del app
        return nemo.select_context()


NeMo = TruRails
