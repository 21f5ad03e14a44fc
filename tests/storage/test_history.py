"""What belongs to a judgement, found among all of its type on its target."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kibitz.base.records import Feedback
from kibitz.storage import history


def said(feedback_id: str, *, corrects: str | None = None, retracts: str | None = None) -> Feedback:
    return Feedback(
        project="app",
        id=feedback_id,
        type="note",
        target_ref="kibitz:///app/call/c1",
        payload={},
        author="ann",
        author_kind="person",
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        corrects=corrects,
        retracts=retracts,
    )


ROWS = [
    said("a"),
    said("other"),
    said("b", corrects="a"),
    said("b2", corrects="a"),
    said("c", corrects="b"),
    said("gone", retracts="c"),
    said("other gone", retracts="other"),
]


@pytest.mark.parametrize("about", ["a", "b", "b2", "c", "gone"])
def test_corrections_belong_together_from_any_of_them(about: str) -> None:
    found = history.history(ROWS, about)

    assert [each.id for each in found] == ["a", "b", "b2", "c", "gone"]


@pytest.mark.parametrize("about", ["a", "b"])
def test_corrections_in_a_circle_come_to_an_end(about: str) -> None:
    rows = [said("a", corrects="b"), said("b", corrects="a"), said("c")]

    assert [each.id for each in history.history(rows, about)] == ["a", "b"]
