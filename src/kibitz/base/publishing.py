"""Publishing a specification: its version goes into a project through whatever takes batches."""

from __future__ import annotations

from collections.abc import Callable

from kibitz.base import refs, wire
from kibitz.base.records import Batch, Receipt
from kibitz.base.specifications import AnnotationSpec


def publish(write: Callable[[Batch], Receipt], project: str, spec: AnnotationSpec) -> str:
    """Store a version of a specification and give its reference; the same again changes nothing.

    Raises:
        UsageError: the project's name is no name.
        KibitzError: what `write` raises, or why it refused.
    """
    batch = Batch(project=refs.check_project(project), objects=[spec.part()])
    for rejection in write(batch).rejected:
        raise wire.error_of(rejection)
    return spec.ref(project)
