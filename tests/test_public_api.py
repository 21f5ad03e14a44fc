"""The names and signatures that users build on. A change here is a change for them: say so in the changelog."""

from __future__ import annotations

import inspect

import kibitz
import kibitz.testing

SIGNATURES = {
    "add_feedback": (
        "(project: 'str', judgements: 'Iterable[FeedbackPart | Mapping[str, Any]]', source: 'Named' = None) "
        "-> 'list[FeedbackOutcome]'"
    ),
    "attributes": (
        "(values: 'Mapping[str, Any] | None' = None, /, **named: 'Any') -> 'AbstractContextManager[None]'"
    ),
    "calls": "(project: 'str', source: 'Named' = None) -> 'CallSet'",
    "copy_context": "(func: 'Callable[P, R]') -> 'Callable[P, R]'",
    "feedback": "(name: 'str') -> 'Judgement'",
    "finish": "(timeout_s: 'float | None' = None) -> 'FlushReport | None'",
    "flush": "(timeout_s: 'float | None' = None) -> 'FlushReport | None'",
    "get_current_call": "() -> 'Call | None'",
    "init": (
        "(project: 'str', url: 'str | None' = None, "
        "settings: 'Settings | Mapping[str, Any] | None' = None, **overrides: 'Any') -> 'Session'"
    ),
    "op": "(func: 'Any' = None, /, **options: 'Any') -> 'Any'",
    "publish": (
        "(spec: 'AnnotationSpec', project: 'str | None' = None, source: 'Named' = None) -> 'str'"
    ),
    "thread": "(thread_id: 'str | None' = None) -> 'Generator[str]'",
    "views": "(project: 'str', source: 'Named' = None) -> 'None'",
    "watch": (
        "(op_or_query: 'Any', feedbacks: 'Sequence[Feedback] | Feedback', *, sample: 'float' = 1.0, "
        "backfill: 'Progress' = False, name: 'str | None' = None, per_day: 'int | None' = None, "
        "usd_per_day: 'float | None' = None, project: 'str | None' = None, data: 'str | None' = None, "
        "url: 'str | None' = None) -> 'Watch'"
    ),
}
CLASSES = {
    "Call": [
        "annotate",
        "apply_scorer",
        "apply_scorer_sync",
        "feedback",
        "id",
        "inputs",
        "judge",
        "op",
        "op_ref",
        "output",
        "recorded",
        "ref",
        "revise",
        "set_attributes",
        "set_display_name",
        "set_summary",
        "settle",
        "trace_id",
        "url",
    ],
    "CallSet": [
        "add_feedback",
        "aggregate",
        "columns",
        "count",
        "delete",
        "export",
        "first",
        "get",
        "group_by",
        "judgements",
        "limit",
        "one",
        "project",
        "query",
        "sort",
        "to_arrow",
        "to_json",
        "to_pandas",
        "to_polars",
        "to_python",
        "to_text",
        "where",
        "words",
    ],
    "Condition": ["node", "resolved", "to_json", "to_text"],
    "File": ["content", "media_type", "name"],
    "FlushReport": [
        "calls_sent",
        "calls_spooled",
        "complete",
        "dropped",
        "evaluations_sent",
        "evaluations_spooled",
        "feedback_sent",
        "feedback_spooled",
        "pending",
        "recovered",
        "running",
        "target",
        "timed_out",
    ],
    "Scored": ["call", "count", "feedback_id", "index", "output"],
}
OTHERS = {
    "AnnotationSpec",
    "App",
    "Feedback",
    "block_input",
    "block_output",
    "context_filter",
    "FeedbackCombinations",
    "FeedbackMode",
    "FeedbackOnMissingParameters",
    "FeedbackResult",
    "FeedbackResultStatus",
    "KibitzError",
    "Lens",
    "Markdown",
    "Op",
    "Record",
    "Select",
    "Session",
    "Settings",
    "SettingsError",
    "SkipEval",
    "ThreadPoolExecutor",
    "UsageError",
    "__version__",
    "inputs",
    "instrument",
    "measures",
    "output",
    "summary",
}


def test_the_names_are_these_sorted_and_there():
    assert kibitz.__all__ == sorted(kibitz.__all__)
    assert set(kibitz.__all__) == SIGNATURES.keys() | CLASSES.keys() | OTHERS
    assert all(hasattr(kibitz, name) for name in kibitz.__all__)
    assert dir(kibitz) == kibitz.__all__


def test_the_signatures_are_these():
    assert {
        name: str(inspect.signature(getattr(kibitz, name))) for name in SIGNATURES
    } == SIGNATURES


def test_the_classes_have_these_public_names():
    assert {
        name: [each for each in dir(getattr(kibitz, name)) if not each.startswith("_")]
        for name in CLASSES
    } == CLASSES


def test_what_is_for_tests_is_there():
    assert {"Captured", "CapturingTransport", "capture"} <= set(kibitz.testing.__all__)
    assert str(inspect.signature(kibitz.testing.capture)) == (
        "(project: 'str' = 'testing/capture', *, frozen: 'bool' = False, "
        "transport: 'CapturingTransport | None' = None, settings: 'Mapping[str, Any] | None' = None) "
        "-> 'Generator[Captured]'"
    )
