"""Programs that people's answers go through, in processes of their own: nothing of them is lost to a rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import free_port, run

from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite
from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes

CODE = """
    from typing import Annotated
    import sys, msgspec

    def length(output):
        return output

    kibitz.init("team/app", batch_calls=3)
    helpful = kibitz.AnnotationSpec("helpful", Annotated[int, msgspec.Meta(ge=0, le=100)])
    kibitz.publish(helpful)
    for n in range(10):
        _, call = step.call(n)
        call.apply_scorer_sync(length)
        said = call.feedback.add_annotation(helpful, n, author="ann")
        call.feedback.correct(said, {"value": n + 1})
        call.feedback.add_reaction("👍🏽", author=sys.argv[1])
"""


def test_answers_to_a_server_that_is_away_arrive_by_another_program(tmp_path: Path):
    """Two programs leave everything on disk; a third delivers it, in whatever order the files are found."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    for name in ("one", "two"):
        assert run(CODE, tmp_path, name, url=url).status == 0

    with ServerProcess(tmp_path / "server", port=port) as server:
        back = run(CODE, tmp_path, "three", url=url)
        assert server.log == ""

    assert back.status == 0
    assert "lost" not in back.err
    assert "rejected" not in back.err
    store = sqlite.open_store(tmp_path / "server")
    rows = store.feedback.query(FeedbackQuery(project="team/app", limit=1000)).items
    store.close()
    kinds = {kind: [row for row in rows if row.type == kind] for kind in {row.type for row in rows}}
    assert {kind: len(found) for kind, found in kinds.items()} == {
        "runnable.length": 30,
        "annotation.helpful": 60,
        "reaction": 30,
    }
    standing = sorted(row.payload["value"] for row in kinds["annotation.helpful"] if row.stands)
    assert standing == sorted([*range(1, 11)] * 3)
