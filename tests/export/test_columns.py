"""Tables have a column for everything that a record says, also for what records will learn to say."""

from __future__ import annotations

from kibitz.base.records import (
    Call,
    CallPart,
    Feedback,
    FeedbackPart,
    FilePart,
    ObjectPart,
    ObjectVersion,
    ScoreColumn,
)
from kibitz.export import columns


def names(table: columns.Table) -> list[str]:
    return [column.name for column in table.columns]


def test_every_field_of_a_call_is_a_column() -> None:
    found = names(columns.calls())

    assert len(found) == len(set(found))
    assert set(found) == set(Call.__struct_fields__) - {"scores"}
    assert set(CallPart.__struct_fields__) <= set(found)


def test_every_field_of_feedback_objects_and_files_is_a_column() -> None:
    assert set(names(columns.FEEDBACK)) == set(Feedback.__struct_fields__)
    assert set(FeedbackPart.__struct_fields__) <= set(names(columns.FEEDBACK))
    assert set(names(columns.OBJECTS)) == set(ObjectVersion.__struct_fields__)
    assert set(ObjectPart.__struct_fields__) <= set(names(columns.OBJECTS))
    assert set(names(columns.FILES)) == set(FilePart.__struct_fields__)


def test_scores_are_named_as_queries_spell_them() -> None:
    odd = ScoreColumn(type="runnable.a]b", path=r"output.x\.y", count=1, kinds=["bool", "text"])

    [column] = [each for each in columns.calls([odd]).columns if each.name.startswith("feedback.")]

    assert column.name == r"feedback.[runnable.a\]b].payload.output.x\.y"
    assert column.kind == "json"
