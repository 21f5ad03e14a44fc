"""Versions of ops, objects and specifications for tests: what the references of feedback name must be there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kibitz.base import refs, wire
from kibitz.base.records import FeedbackPart, ObjectPart
from kibitz.base.specifications import AnnotationSpec

ANYTHING = {"format": "correction"}
"""A schema that any JSON value answers."""


def version(kind: Any, name: str, release: Any = 0) -> ObjectPart:
    """A version of an op or object; another release is another version."""
    value = {"name": name, "release": release}
    return ObjectPart(
        kind=kind, name=name, digest=refs.digest(wire.encode_record(value)), value=value
    )


def spec(name: str, release: Any = 0, schema: Any = None) -> AnnotationSpec:
    """A specification that takes any answer, or those of a schema."""
    return AnnotationSpec(name, ANYTHING if schema is None else schema, description=f"{release}")


def ref(project: str, part: ObjectPart) -> str:
    """The reference of a version."""
    return refs.format_ref(
        refs.Ref(project=project, kind=part.kind, name=part.name, digest=part.digest)
    )


def made_by(project: str, type_: str, release: Any = 0, kind: str = "object") -> dict[str, str]:
    """The reference that feedback of a type needs: `runnable_ref` or `annotation_ref`; nothing for free types."""
    family, _, name = type_.partition(".")
    if family == "runnable":
        return {"runnable_ref": ref(project, version(kind, name, release))}
    if family == "annotation":
        return {"annotation_ref": ref(project, spec(name, release).part())}
    return {}


def named_by(feedback: Iterable[FeedbackPart], releases: Iterable[Any] = (0,)) -> list[ObjectPart]:
    """The versions that references from `made_by` name, to send along."""
    found: dict[tuple[str, str], ObjectPart] = {}
    releases = list(releases)
    for each in feedback:
        family, _, name = each.type.partition(".")
        for release in releases:
            if each.retracts is not None:
                continue
            if family == "runnable" and each.runnable_ref is not None:
                kind = refs.parse_ref(each.runnable_ref).kind
                part = version(kind, name, release)
            elif family == "annotation":
                part = spec(name, release).part()
            else:
                continue
            found[part.name, part.digest] = part
    return list(found.values())
