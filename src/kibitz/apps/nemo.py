"""NeMo Guardrails: rails as an app, and feedback functions as actions of rails.

    from kibitz.apps import nemo

    rails.register_action(nemo.feedback_action(toxicity), name="feedback")
    app = nemo.wrap(rails, app_name="rails", feedbacks=[relevance.on(nemo.select_context())])

    with app as recording:
        rails.generate(messages=[{"role": "user", "content": "How?"}])

In Colang: `$score = execute feedback(function="toxicity", text=$bot_message)`. Nothing of NeMo Guardrails is imported
here: it is given.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kibitz.apps.app import App
from kibitz.base.errors import UsageError
from kibitz.judging.lenses import Lens
from kibitz.judging.select import Select
from kibitz.tracing import guard

if TYPE_CHECKING:
    from kibitz.judging.functions import Feedback

_GENERATE = ("generate", "generate_async")
_SEARCH = "kb.search_relevant_chunks"


def wrap(rails: Any, **options: Any) -> App:
    """The app of an `LLMRails`: its calls of `generate`, and what its knowledge base found.

    Args:
        rails: the rails; their knowledge base is recorded where they have one.
        options: as of `kibitz.App`.

    Raises:
        UsageError: these are no rails.
    """
    methods = [name for name in _GENERATE if callable(getattr(rails, name, None))]
    if not methods:
        raise UsageError(
            f"{type(rails).__name__} has no generate(); give an LLMRails", field="rails"
        )
    with warnings.catch_warnings():
        # Later versions warn of their own `kb`, and have no other name for it.
        warnings.simplefilter("ignore", DeprecationWarning)
        if getattr(rails, "kb", None) is not None:
            methods.append(_SEARCH)
        return App(rails, methods=methods, **options)


def select_context() -> Lens:
    """The texts that the knowledge base found."""
    return Select.RecordCalls.kb.search_relevant_chunks.rets[:].body


def feedback_action(*feedbacks: Feedback) -> Callable[..., Coroutine[Any, Any, float | None]]:
    """An action that runs one of these feedback functions on what a flow gives it.

    The action takes `function`, the name of a feedback function, and the arguments of its implementation by name. It
    gives the result, or None where there is none: that is logged, and the flow goes on.
    """
    known = {feedback.name: feedback for feedback in feedbacks}

    async def feedback(function: str, **arguments: Any) -> float | None:
        chosen = known.get(function)
        if chosen is None:
            guard.warn(
                "a flow asks for feedback function %r; there are %s", function, ", ".join(known)
            )
            return None
        try:
            result = await chosen.arun(**arguments)
        except UsageError as error:
            guard.warn("a flow asks feedback function %r wrongly: %s", function, error)
            return None
        if result.result is None:
            guard.warn("feedback function %r has no result: %s", function, result.reason)
        return result.result

    return feedback
