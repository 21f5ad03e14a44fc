"""Files that are no exports any more: an import says so, and never fails in another way."""

from __future__ import annotations

import contextlib
import functools
import io
import tracemalloc
import zipfile
from typing import Any

import drawing
import parts
import pyarrow
import pytest
from carried import PROJECT, exported, imported, opened, rich
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from kibitz.base.errors import UsageError
from kibitz.base.records import Batch, CallPart
from kibitz.export import comma
from kibitz.export.streams import FORMATS

FORMS = [
    (format, tables)
    for format in FORMATS
    for tables in ("all", "calls")
    if (format, tables) != ("jsonl", "calls")
]


@functools.cache
def content(form: tuple[str, str]) -> bytes:
    with opened() as store:
        rich(store)
        return exported(store, form[0], tables=form[1])


changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 40), st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)


@settings(
    max_examples=drawing.examples(120), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.sampled_from(FORMS), changes)
def test_bytes_that_were_changed_are_told_or_harmless(form: Any, changed: Any) -> None:
    damaged = bytearray(content(form))
    for where, removed, put in changed:
        at = int(where * len(damaged))
        damaged[at : at + removed] = put
    with opened() as store:
        store.ingest.write(_other())
        before = exported(store, project="other")
        with contextlib.suppress(UsageError):
            imported(store, bytes(damaged), PROJECT)
        assert exported(store, project="other") == before


def _other() -> Any:
    return Batch(project="other", calls=[CallPart(id="c1", started_at=parts.at(0))])


@settings(max_examples=drawing.examples(60), deadline=None)
@given(st.binary(max_size=200))
@example(b"PK\x03\x04")
@example(b"PAR1")
@example(b"\xff\xff\xff\xff\x10\x00\x00\x00")
@example(b"")
@example(b"\x1f\x8b")
@example(b'{"export":')
@example(b'id,op\n"')
def test_anything_else_is_told_too(given_: bytes) -> None:
    with opened() as store, contextlib.suppress(UsageError):
        imported(store, given_, PROJECT)


def archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, said in members.items():
            file.writestr(name.replace("_", "."), said)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"thesis_txt": b"years"}, "is it an export"),
        ({"calls_csv": b"id,started_at\r\n", "export_json": b"[]"}, "export.json"),
        ({"calls_csv": b"id,started_at\r\n", "export_json": b'{"export":{"version":9}}'}, "form 9"),
        (
            {
                "calls_csv": b"id,started_at\r\n",
                "export_json": b'{"export":{},"x":"%s"}' % (b"x" * (1 << 20)),
            },
            "export.json",
        ),
        ({"calls_csv": b"name,colour\r\n"}, "name, colour"),
        ({"calls_parquet": b"PAR1 no more"}, "damaged"),
    ],
)
def test_an_archive_of_something_else_is_named(members: Any, says: str) -> None:
    with opened() as store, pytest.raises(UsageError, match=says):
        imported(store, archive(**members), PROJECT)


def test_a_long_cell_takes_little_more_than_itself() -> None:
    text = 'a""' * 300_000
    tracemalloc.start()
    [_, (_, cells)] = comma.read(io.BytesIO(f'id,inputs\r\nx,"{text}"\r\n'.encode()))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert cells == ["x", 'a"' * 300_000]
    assert most < 10 * len(text)


@pytest.mark.parametrize("version", ["2", "²", "9" * 5_000, "-1", ""])
def test_a_table_of_a_form_that_is_not_known_is_told(version: str) -> None:
    table = pyarrow.table({"id": ["c"]}).replace_schema_metadata({"kibitz.version": version})
    packed = io.BytesIO()
    parquet.write_table(table, packed)

    with opened() as store, pytest.raises(UsageError, match="update Kibitz"):
        imported(store, packed.getvalue(), PROJECT)
