"""Kibitz: record what an LLM application does, collect every judgement on it, and ask.

    import kibitz

    kibitz.init("acme/support-bot")

    @kibitz.op
    def answer(question: str) -> str: ...

    text, call = answer.call("How do I cancel?")
    call.feedback.add_reaction("👍")

Importing this loads what ops need and nothing more; `init()` loads the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from kibitz.base.errors import KibitzError, SettingsError, UsageError
from kibitz.base.values import File, Markdown
from kibitz.base.version import __version__
from kibitz.tracing import context as _context
from kibitz.tracing.calls import Call, Scored
from kibitz.tracing.calls import use_scoring as _use_scoring
from kibitz.tracing.context import copy_context, get_current_call, thread
from kibitz.tracing.op import Op, op
from kibitz.tracing.scoring import Programs as _Programs

if TYPE_CHECKING:
    from kibitz.apps.app import App
    from kibitz.apps.wrapping import instrument
    from kibitz.asking import measures
    from kibitz.asking.calls import CallSet, calls
    from kibitz.asking.judging import add_feedback
    from kibitz.asking.publishing import publish
    from kibitz.asking.views import Views as views
    from kibitz.asking.watching import watch
    from kibitz.base.settings import TracingSettings as Settings
    from kibitz.base.specifications import AnnotationSpec
    from kibitz.judging.functions import Feedback
    from kibitz.judging.guardrails import block_input, block_output, context_filter
    from kibitz.judging.lenses import Lens
    from kibitz.judging.modes import (
        FeedbackCombinations,
        FeedbackMode,
        FeedbackOnMissingParameters,
        FeedbackResultStatus,
        SkipEval,
    )
    from kibitz.judging.records import Record
    from kibitz.judging.results import FeedbackResult
    from kibitz.judging.select import Select
    from kibitz.query.expressions import Place, Scalar, inputs, output, summary
    from kibitz.query.expressions_conditions import Condition
    from kibitz.query.expressions_feedback import feedback
    from kibitz.tracing.pool import ThreadPoolExecutor
    from kibitz.tracing.report import FlushReport
    from kibitz.tracing.session import Session

__all__ = [
    "AnnotationSpec",
    "App",
    "Call",
    "CallSet",
    "Condition",
    "Feedback",
    "FeedbackCombinations",
    "FeedbackMode",
    "FeedbackOnMissingParameters",
    "FeedbackResult",
    "FeedbackResultStatus",
    "File",
    "FlushReport",
    "KibitzError",
    "Lens",
    "Markdown",
    "Op",
    "Record",
    "Scored",
    "Select",
    "Session",
    "Settings",
    "SettingsError",
    "SkipEval",
    "ThreadPoolExecutor",
    "UsageError",
    "__version__",
    "add_feedback",
    "attributes",
    "block_input",
    "block_output",
    "calls",
    "context_filter",
    "copy_context",
    "feedback",
    "finish",
    "flush",
    "get_current_call",
    "init",
    "inputs",
    "instrument",
    "measures",
    "op",
    "output",
    "publish",
    "summary",
    "thread",
    "views",
    "watch",
]


_use_scoring(_Programs())

_LATER = {
    "App": ("kibitz.apps.app", "App"),
    "instrument": ("kibitz.apps.wrapping", "instrument"),
    "Feedback": ("kibitz.judging.functions", "Feedback"),
    "FeedbackCombinations": ("kibitz.judging.modes", "FeedbackCombinations"),
    "FeedbackMode": ("kibitz.judging.modes", "FeedbackMode"),
    "FeedbackOnMissingParameters": ("kibitz.judging.modes", "FeedbackOnMissingParameters"),
    "FeedbackResult": ("kibitz.judging.results", "FeedbackResult"),
    "FeedbackResultStatus": ("kibitz.judging.modes", "FeedbackResultStatus"),
    "Lens": ("kibitz.judging.lenses", "Lens"),
    "Record": ("kibitz.judging.records", "Record"),
    "Select": ("kibitz.judging.select", "Select"),
    "SkipEval": ("kibitz.judging.modes", "SkipEval"),
    "block_input": ("kibitz.judging.guardrails", "block_input"),
    "block_output": ("kibitz.judging.guardrails", "block_output"),
    "context_filter": ("kibitz.judging.guardrails", "context_filter"),
    "AnnotationSpec": ("kibitz.base.specifications", "AnnotationSpec"),
    "CallSet": ("kibitz.asking.calls", "CallSet"),
    "Condition": ("kibitz.query.expressions_conditions", "Condition"),
    "FlushReport": ("kibitz.tracing.report", "FlushReport"),
    "Session": ("kibitz.tracing.session", "Session"),
    "Settings": ("kibitz.base.settings", "TracingSettings"),
    "ThreadPoolExecutor": ("kibitz.tracing.pool", "ThreadPoolExecutor"),
    "calls": ("kibitz.asking.calls", "calls"),
    "feedback": ("kibitz.query.expressions_feedback", "feedback"),
    "inputs": ("kibitz.query.expressions", "inputs"),
    "measures": ("kibitz.asking.groups", "measures"),
    "output": ("kibitz.query.expressions", "output"),
    "add_feedback": ("kibitz.asking.judging", "add_feedback"),
    "publish": ("kibitz.asking.publishing", "publish"),
    "summary": ("kibitz.query.expressions", "summary"),
    "views": ("kibitz.asking.views", "Views"),
    "watch": ("kibitz.asking.watching", "watch"),
}
"""Names whose modules load slowly, by where they are."""


if TYPE_CHECKING:
    _Place = Place[Scalar]
else:
    _Place = object


class _Attributes(_Place):
    """The attributes of calls: a block that gives them, and the field that asks for them.

        with kibitz.attributes(env="prod"):
            answer("How do I cancel?")

        kibitz.calls("acme/app").where(kibitz.attributes.env == "prod")

    As a block: all calls that start inside get these, inner ones before outer ones. What is asked with is loaded
    when it is first asked with.
    """

    if TYPE_CHECKING:

        def __init__(self) -> None: ...

    def __call__(
        self, values: Mapping[str, Any] | None = None, /, **named: Any
    ) -> AbstractContextManager[None]:
        """A block in which calls get attributes; raises `TypeError` where `values` is not a mapping."""
        return _context.attributes(named if values is None else {**values, **named})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"attributes has no {name!r}; write [{name!r}] for the key")
            return getattr(_asked_for(), name)

        def __getitem__(self, key: str | int) -> Any:
            return _asked_for()[key]

        def __kibitz_field__(self) -> Any:
            return _asked_for()

        def __repr__(self) -> str:
            return "attributes"


def _asked_for() -> Any:
    from kibitz.query import expressions

    return expressions.attributes


attributes = _Attributes()


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import importlib

        module, attribute = _LATER[name]
        found = getattr(importlib.import_module(module), attribute)
        # From now on it is found without coming here.
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def init(
    project: str,
    url: str | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Session:
    """Record the calls of ops to a project, from now on.

    Without a server, calls go straight into a data folder that `kibitz serve` shows, also meanwhile. Called
    again for the same project and place, it gives the same session; for another, the first one is finished.

    Args:
        project: `app` or `team/app`.
        url: the server; without it `KIBITZ_URL`, and without that the data folder `KIBITZ_DATA` (`./.kibitz`).
        settings: a whole `kibitz.Settings`, which the environment then does not change, or some of its fields
            by name, which go before the environment.
        overrides: the same as keywords: `init("app", sample_rate=0.1)`.

    Raises:
        UsageError: the project's name, the URL or a setting cannot be used.
        KibitzError: the data folder cannot be used.
    """
    from kibitz.asking import beginning

    return beginning.begin(project, url, settings, overrides)


def flush(timeout_s: float | None = None) -> FlushReport | None:
    """Deliver what has ended so far, or put it on disk where the server is away.

    Args:
        timeout_s: how long to wait at most; `settings.exit_timeout_s` without.

    Returns:
        What became of everything recorded in this session; None where there is no session.
    """
    from kibitz.tracing import session as sessions

    session = sessions.current()
    return None if session is None else session.flush(timeout_s)


def finish(timeout_s: float | None = None) -> FlushReport | None:
    """`flush`, and stop recording. The end of the program does this too."""
    from kibitz.tracing import session as sessions

    session = sessions.current()
    return None if session is None else session.finish(timeout_s)
