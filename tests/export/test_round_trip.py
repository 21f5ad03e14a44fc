"""An export is the project: importing it into an empty store gives it back, byte for byte, whatever is in it."""

from __future__ import annotations

import io
import math
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, cast

import drawing
import msgspec
import parts as small
import pyarrow.parquet  # noqa: F401 loaded before memory is looked at
import pytest
from carried import PROJECT, exported, imported, judged, opened, rich
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kibitz.base import clock, refs
from kibitz.base.errors import UsageError
from kibitz.base.evaluations import EvaluationQuery
from kibitz.base.records import (
    Batch,
    CallPart,
    ExceptionInfo,
    FeedbackPart,
    FilePart,
    Frame,
    ObjectPart,
)
from kibitz.cli import importing, lines
from kibitz.export import streams
from kibitz.export.streams import FORMATS
from kibitz.query.nodes import ALL_COLUMNS, CallQuery, ColumnField, Compare, FeedbackQuery
from kibitz.storage.sqlite import SqliteStore

WAYS = [(format, "all") for format in FORMATS]

texts = st.text(
    st.one_of(
        st.sampled_from("ab\"',\n\r\t;\\\0é日😀\u2028 =+@{}[]"), st.characters(codec="utf-8")
    ),
    max_size=12,
)
labels = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), max_size=8
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    texts,
    st.sampled_from(
        [
            {"$type": "float", "value": "nan"},
            {"$type": "datetime", "value": "2026-01-01T00:00:00+01:00"},
            {"$type": "bytes", "value": "AAEC"},
        ]
    ),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)
moments = st.integers(clock.FIRST_US, clock.LAST_US).map(clock.from_us)
ids = st.sampled_from(["c1", "c2", "c3", "c4"])
exceptions = st.builds(
    ExceptionInfo,
    type=texts,
    message=texts,
    traceback=st.lists(
        st.builds(Frame, file=texts, line=st.integers(0, 9), function=texts, text=texts), max_size=2
    ),
)
maybe = st.one_of(st.none(), labels)
named = st.one_of(st.none(), labels.filter(bool))


@st.composite
def calls(draw: st.DrawFn) -> CallPart:
    started, ended = draw(moments), draw(st.one_of(st.none(), moments))
    further: dict[str, Any] = {}
    if draw(st.booleans()):
        further["inputs"] = draw(objects)
    if draw(st.booleans()):
        further["output"] = draw(values)
    return CallPart(
        id=draw(ids),
        trace_id=draw(st.one_of(st.none(), st.just("t1"))),
        parent_id=draw(st.one_of(st.none(), ids)),
        op=draw(named),
        op_ref=draw(st.one_of(st.none(), st.just(f"kibitz:///{PROJECT}/op/a:{'0' * 40}"))),
        kind=draw(named),
        display_name=draw(maybe),
        thread_id=draw(maybe),
        author=draw(maybe),
        started_at=started,
        ended_at=ended,
        attributes=draw(st.one_of(st.none(), objects)),
        summary=draw(st.one_of(st.none(), objects)),
        exception=draw(st.one_of(st.none(), exceptions)),
        **further,
    )


@st.composite
def judgements(draw: st.DrawFn) -> FeedbackPart:
    target = draw(
        st.one_of(
            st.builds(lambda name: refs.call_ref(PROJECT, name), ids),
            st.sampled_from(
                [f"kibitz:///{PROJECT}/trace/t1", f"kibitz:///{PROJECT}/thread/%C3%A9"]
            ),
        )
    )
    kind = draw(st.sampled_from(["free", "note", "reaction", "retraction"]))
    said: dict[str, Any] = {
        "free": {"type": "Free.type-1", "payload": draw(objects)},
        "note": {"type": "note", "payload": {"note": "x" + draw(texts)}},
        "reaction": {"type": "reaction", "payload": {"emoji": "👍🏽"}},
        "retraction": {"type": "note", "payload": {}, "retracts": "f1"},
    }[kind]
    return FeedbackPart(
        id=draw(st.sampled_from(["f1", "f2", "f3", "f4", "f5"])),
        target_ref=target,
        author=draw(labels),
        author_kind=draw(st.sampled_from(["person", "model", "program", "import"])),
        created_at=draw(moments),
        **said,
    )


@st.composite
def versions(draw: st.DrawFn) -> ObjectPart:
    value = draw(objects)
    # As it is stored, since the digest is of that.
    value = msgspec.json.decode(msgspec.json.encode(_plain(value)))
    return ObjectPart(
        kind=draw(st.sampled_from(["op", "object"])),
        name=draw(labels.filter(bool)),
        digest=refs.digest(msgspec.json.encode(value, order="sorted")),
        value=value,
        created_at=draw(moments),
    )


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case str():
            return value.replace("\0", "\u2400")
        case dict():
            return {
                _plain(key): _plain(each) for key, each in cast("dict[str, Any]", value).items()
            }
        case list():
            return [_plain(each) for each in cast("list[Any]", value)]
        case _:
            return value


@st.composite
def files(draw: st.DrawFn) -> FilePart:
    content = draw(st.binary(max_size=20))
    return FilePart(
        digest=refs.digest(content), media_type=draw(labels.filter(bool)), content=content
    )


batches = st.builds(
    Batch,
    project=st.just(PROJECT),
    calls=st.lists(calls(), max_size=4),
    feedback=st.lists(judgements(), max_size=4),
    objects=st.lists(versions(), max_size=2),
    files=st.lists(files(), max_size=2),
)


@settings(max_examples=drawing.examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(batches, min_size=1, max_size=3))
def test_every_format_gives_the_same_project_back(written: list[Batch]) -> None:
    with opened() as store:
        for batch in written:
            # What breaks a rule is refused, and so is in no export.
            store.ingest.write(batch)
        whole = exported(store)
        for format in FORMATS:
            content = exported(store, format)
            with opened() as other:
                summary = imported(other, content)

                assert summary.rejects == []
                assert exported(other) == whole
                assert exported(other, format) == content


def history(store: SqliteStore) -> list[Any]:
    found = store.feedback.query(FeedbackQuery(project=PROJECT, limit=1000)).items
    return sorted(found, key=lambda each: each.id)


def everything(store: SqliteStore) -> list[Any]:
    query = CallQuery(project=PROJECT, columns=ALL_COLUMNS, limit=1000)
    return store.calls.query(query).items


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_imported_answers_as_what_was_exported(format: str) -> None:
    with opened() as store, opened() as other:
        rich(store)

        summary = imported(other, exported(store, format))

        assert (summary.calls, summary.feedback, summary.objects, summary.files) == (3, 7, 1, 2)
        assert everything(other) == everything(store)
        assert history(other) == history(store)
        assert other.files.get(PROJECT, refs.digest(b"\0png")) == (b"\0png", "image/png")
        assert other.objects.versions(PROJECT, "op", "answer") == store.objects.versions(
            PROJECT, "op", "answer"
        )
        assert other.feedback.columns(PROJECT) == store.feedback.columns(PROJECT)


@pytest.mark.parametrize("format", FORMATS)
def test_importing_again_changes_nothing(format: str) -> None:
    with opened() as store:
        rich(store)
        content = exported(store, format)
        before = exported(store)

        summary = imported(store, content)

        assert summary.rejects == []
        assert exported(store) == before


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow"])
def test_one_table_of_calls_carries_all_feedback_on_them(format: str) -> None:
    with opened() as store, opened() as other:
        rich(store)

        summary = imported(other, exported(store, format, tables="calls"))

        assert (summary.calls, summary.feedback, summary.rejects) == (3, 5, [])
        assert everything(other) == everything(store)


@pytest.mark.parametrize("format", FORMATS)
def test_under_another_name_references_follow(format: str) -> None:
    with opened() as store:
        rich(store)

        summary = imported(store, exported(store, format), "copy")

        assert summary.rejects == []
        moved = exported(store, project="copy")
        assert PROJECT.encode() not in moved
        assert moved.replace(b"kibitz:///copy/", b"kibitz:///team/app/").replace(
            b'"project":"copy"', b'"project":"team/app"'
        ) == exported(store)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_that_was_cut_off_is_an_error_and_loses_nothing_of_what_is_there(
    format: str,
) -> None:
    with opened() as store:
        rich(store)
        content, before = exported(store, format), exported(store)

        for kept in (len(content) * 9 // 10, len(content) * 2 // 3, len(content) // 3):
            try:
                is_told = imported(store, content[:kept], PROJECT).rejected > 0
            except UsageError:
                is_told = True

            assert is_told, kept
            assert exported(store) == before


def test_a_query_exports_what_matches_with_what_belongs_to_it() -> None:
    with opened() as store, opened() as other:
        rich(store)
        first = Compare(ColumnField("id"), "eq", "c1")
        query = CallQuery(project=PROJECT, where=first)

        summary = imported(other, exported(store, query=query))

        assert (summary.calls, summary.feedback, summary.objects, summary.files) == (1, 4, 1, 1)
        assert [call.id for call in everything(other)] == ["c1"]
        assert everything(other)[0] == next(each for each in everything(store) if each.id == "c1")
        assert exported(other, query=query) == exported(store, query=query)


def test_what_arrives_while_an_export_runs_is_not_in_it() -> None:
    with opened() as store:
        store.ingest.write(small.batch(calls=[small.call(f"c{n}") for n in range(1200)]))
        running = streams.stream(store, PROJECT, "jsonl")
        begun = next(running) + next(running)
        store.ingest.write(
            small.batch(calls=[small.call("late")], feedback=[small.judgement("c1", 1)])
        )

        rest = b"".join(running)

        assert b"late" not in begun + rest
        assert msgspec.json.decode(rest.splitlines()[-1])["end"] == {
            "objects": 0,
            "files": 0,
            "calls": 1200,
            "feedback": 0,
            "evaluations": 0,
            "rules": 0,
        }


@pytest.mark.parametrize("format", FORMATS)
def test_evaluations_and_rules_are_carried_along(format: str) -> None:
    with opened() as store, opened() as other:
        judged(store)
        content = exported(store, format)

        summary = imported(other, content)

        assert summary.rejects == []
        assert (summary.evaluations, summary.rules) == (6, 2)
        assert exported(other) == exported(store)
        assert exported(other, format) == content
        assert history(other) == history(store)
        asked = EvaluationQuery(project=PROJECT)
        for mine, its in zip(
            store.evaluations.query(asked).items,
            other.evaluations.query(asked).items,
            strict=True,
        ):
            for name in ("definition_ref", "call_id", "output", "reason", "spent", "ended_at"):
                assert getattr(its, name) == getattr(mine, name)
        assert [each.query for each in other.rules.list(PROJECT)] == ['op = "answer"', ""]
        # What comes with a rule is of the past to it.
        assert other.evaluations.want_by_rules() == 0
        again = imported(other, content)
        assert (again.rejects, exported(other, format)) == ([], content)


@pytest.mark.parametrize("format", FORMATS)
def test_under_another_name_evaluations_and_rules_name_its_definitions(format: str) -> None:
    with opened() as store:
        judged(store)

        summary = imported(store, exported(store, format), "copy")

        assert summary.rejects == []
        (progress,) = store.evaluations.progress("copy")
        assert progress.definition_ref.startswith("kibitz:///copy/object/grounded:")
        assert (progress.wanted, progress.done, progress.failed, progress.skipped) == (3, 1, 1, 1)
        assert store.rules.get("copy", "nightly").definitions == [progress.definition_ref]


@pytest.mark.parametrize("format", FORMATS)
def test_a_query_exports_the_evaluations_of_what_matches(format: str) -> None:
    with opened() as store, opened() as other:
        judged(store)
        query = CallQuery(project=PROJECT, where=Compare(ColumnField("id"), "eq", "c2"))

        summary = imported(other, exported(store, format, query=query))

        assert (summary.calls, summary.evaluations, summary.objects) == (1, 1, 1)
        assert other.evaluations.of_call(PROJECT, "c2")[0].output == {"a": 1, "b": 0.1}


def test_a_project_that_was_never_judged_has_the_tables_that_it_always_had() -> None:
    with opened() as store:
        rich(store)
        archive = zipfile.ZipFile(io.BytesIO(exported(store, "csv")))

        assert archive.namelist() == [
            "calls.csv",
            "feedback.csv",
            "objects.csv",
            "files.csv",
            "export.json",
        ]


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_and_its_import_hold_a_small_part_in_memory(format: str, tmp_path: Path) -> None:
    many, characters = 1500, 40_000
    with opened() as store, opened() as other:
        for start in range(0, many, 500):
            store.ingest.write(
                small.batch(
                    calls=[
                        small.call(f"c{n}", inputs={"n": n}, output=f"{n}" + "x" * characters)
                        for n in range(start, start + 500)
                    ]
                )
            )
        tracemalloc.start()
        try:
            with (tmp_path / "export").open("wb") as file:
                for chunk in streams.stream(store, PROJECT, format):
                    file.write(chunk)
            _, writing = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            summary = importing.Summary()
            importer = importing.Importer(other.ingest, PROJECT, "file", summary)
            with lines.opened(str(tmp_path / "export")) as (_, stream, _):
                for line in lines.read_any("file", stream):
                    importer.add(line)
            importer.flush()
            _, reading = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert summary.calls == many
    # A portion is bounded in bytes too, and held in a few forms at once.
    assert max(writing, reading) < many * characters / 3
