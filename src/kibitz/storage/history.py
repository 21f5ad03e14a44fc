"""What was said before and after a judgement, worked out from all of its type on its target. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from kibitz.base import judgements
from kibitz.base.records import Feedback


def history(rows: Sequence[Feedback], feedback_id: str) -> list[Feedback]:
    """What belongs to a judgement, in the order of `rows`.

    Args:
        rows: all feedback of its type on its target, oldest first.
        feedback_id: the judgement, or a retraction of it.
    """
    by_id = {row.id: row for row in rows}
    about = by_id[feedback_id]
    if about.retracts is not None:
        about = by_id.get(about.retracts, about)
    if about.type in judgements.COLLECTED:
        said = _corrected(by_id, about)
    else:
        said = {
            row.id
            for row in rows
            if row.retracts is None
            and (row.author, row.author_kind) == (about.author, about.author_kind)
        }
    said |= {about.id, feedback_id}
    return [row for row in rows if row.id in said or row.retracts in said]


def _corrected(by_id: dict[str, Feedback], about: Feedback) -> set[str]:
    """The ids of a chain of corrections, from any of them."""
    said = {about.id}
    while about.corrects in by_id and about.corrects not in said:
        about = by_id[about.corrects]
        said.add(about.id)
    corrections: defaultdict[str, list[str]] = defaultdict(list)
    for row in by_id.values():
        if row.corrects is not None:
            corrections[row.corrects].append(row.id)
    reached = list(said)
    while reached:
        found = [each for each in corrections[reached.pop()] if each not in said]
        said.update(found)
        reached += found
    return said
