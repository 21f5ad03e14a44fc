"""Addresses of what judging has pages for, and selectors as programs spell them. Pure."""

from __future__ import annotations

from urllib.parse import quote

from kibitz.base import api, refs
from kibitz.base.errors import RefError
from kibitz.server.pages import addresses

_SPOKEN = (
    ("__record__.app", "Select.RecordCalls"),
    ("__record__.main_input", "Select.RecordInput"),
    ("__record__.main_output", "Select.RecordOutput"),
    ("__record__", "Select.Record"),
    ("__app__", "Select.App"),
)


def functions_path(project: str) -> str:
    """The list of feedback functions."""
    return f"{addresses.project_path(project)}/functions"


def function_path(project: str, name: str, definition_ref: str = "") -> str:
    """The page of a feedback function, of one version where a reference is given."""
    path = f"{functions_path(project)}/{addresses.escape(name)}"
    digest = digest_of(definition_ref)
    return f"{path}?{addresses.format_pair('version', digest)}" if digest else path


def rules_path(project: str) -> str:
    """The list of rules."""
    return f"{addresses.project_path(project)}/rules"


def rule_path(project: str, name: str) -> str:
    """The page of a rule."""
    return f"{rules_path(project)}/named/{addresses.escape(name)}"


def record_path(project: str, call_id: str, select: str = "") -> str:
    """The record of a call, with what a selector gives."""
    path = f"{addresses.call_path(project, call_id)}/record"
    return f"{path}?{addresses.format_pair('select', select)}" if select else path


def raw_record_path(project: str, call_id: str) -> str:
    """A record as the API gives it."""
    pair = addresses.format_pair("project", project)
    return f"{api.CALLS}/{quote(call_id, safe='')}/record?{pair}"


def raw_path(project: str, evaluation_id: str) -> str:
    """An evaluation as the API gives it."""
    pair = addresses.format_pair("project", project)
    return f"{api.EVALUATIONS}/{quote(evaluation_id, safe='')}?{pair}"


def digest_of(ref: str) -> str:
    """The digest of a reference; empty where it has none."""
    try:
        return refs.parse_ref(ref).digest or ""
    except RefError:
        return ""


def spoken(path: str) -> str:
    """The text of a lens as a program spells it: `Select.RecordCalls.retriever.retrieve.rets[0]`."""
    for stored, words in _SPOKEN:
        rest = path.removeprefix(stored)
        if rest != path and rest[:1] in ("", ".", "["):
            return words + rest
    return path
