"""What the demo asks its reader about each answer."""

from __future__ import annotations

from typing import Literal

from kibitz.base.specifications import AnnotationSpec

USEFUL = AnnotationSpec(
    "useful",
    Literal["solves it", "helps", "does not help"],
    description="Would you have got on with this answer?",
    guidelines=(
        "**solves it**: the function or class that is quoted does what was asked.\n\n"
        "**helps**: the right module, but you would still have to look for the function.\n\n"
        "**does not help**: about something else. Questions that the standard library has no answer to are among "
        "them on purpose."
    ),
    ops=["answer"],
    answer=["kind:person"],
)
