"""Frameworks' apps under TruLens' names; each is loaded when one is made."""

from __future__ import annotations

import functools
from typing import Any, NoReturn, cast

from kibitz.base.errors import UsageError
from kibitz.compat.trulens.apps import Wrapper, options
from kibitz.judging.lenses import Lens


@functools.cache
def _wrapping(named: type[Any], recorder: type[Any]) -> Any:
    """A recorder with what TruLens' wrappers can do, of their name."""
    body = {
        "__doc__": named.__doc__,
        "__getattr__": _refuse,
        "_asking": _asking,
        "select_context": staticmethod(named.select_context),
    }
    return cast("Any", type(recorder))(named.__name__, (Wrapper, recorder), body)


def _asking(recorder: Any) -> Any:
    """What answers a text: of a framework's app the method that it is asked by."""
    for name in ("invoke", "query", "chat"):
        asked = getattr(recorder.app, name, None)
        if asked is not None:
            return asked
    raise UsageError(f"{type(recorder.app).__name__} has none of invoke, query and chat")


def _refuse(recorder: Any, name: str) -> NoReturn:
    app = recorder.__dict__.get("app")
    there = f"; the app has: call `.{name}` there" if hasattr(app, name) else ""
    raise AttributeError(
        f"{type(recorder).__name__} has no {name!r} in Kibitz{there}. It records what runs in its blocks; what of it is "
        "in `recording.records`"
    )


class TruChain:
    """A LangChain runnable."""

    def __new__(cls, app: Any, **given: Any) -> Any:
        from kibitz.apps import langchain

        found = options(given)
        found.pop("selectors_check", None)
        return _wrapping(cls, langchain.Recorder)(app, **found)

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

        found = options(given)
        found.pop("selectors_check", None)
        made = _wrapping(cls, llamaindex.Recorder)(**found)
        # What runs in its blocks is recorded, whatever it is run by.
        made.app = app
        return made

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
