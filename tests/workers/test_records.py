"""Records as workers make them: with the app that the root call names, of the same project."""

from __future__ import annotations

import msgspec
import parts
import pytest

from kibitz.base import refs
from kibitz.base.records import Batch, ObjectPart
from kibitz.storage import sqlite
from kibitz.workers import records

APP = {"$type": "app", "app_name": "bot", "app": {"llm": {"temperature": 0.5}}}


@pytest.mark.parametrize(("project", "found"), [(parts.PROJECT, APP), ("other/app", None)])
def test_the_app_of_a_record_is_looked_for_in_its_own_project(tmp_path, project, found) -> None:
    digest = refs.digest(msgspec.json.encode(APP, order="sorted"))
    ref = refs.format_ref(refs.Ref(project=project, kind="object", name="bot", digest=digest))
    store = sqlite.open_store(tmp_path)
    try:
        version = ObjectPart(kind="object", name="bot", digest=digest, value=APP)
        assert store.ingest.write(Batch(project=project, objects=[version])).objects == 1
        store.ingest.write(parts.batch(calls=[parts.call("c1", attributes={"app_ref": ref})]))
        make = records.maker(store.objects)
        record = make(store.evaluations.records(parts.PROJECT, ["c1"])["c1"], "c1")

        assert record.find_app() == found
    finally:
        store.close()
