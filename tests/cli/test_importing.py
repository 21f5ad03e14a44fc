"""`kibitz import`: everything that is taken is stored once, everything else is named by its line."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import carried
import pytest
from click.testing import Result

from kibitz.base.errors import TooLarge, Unavailable
from kibitz.base.records import Batch, Receipt
from kibitz.cli import importing, lines
from kibitz.storage import sqlite

Run = Callable[..., Result]
TIME = "2026-05-01T10:00:00Z"


def call(number: int, **more: object) -> dict[str, object]:
    return {"id": f"c{number}", "op": "answer", "started_at": TIME, "ended_at": TIME, **more}


def note(number: int, text: str = "fine") -> dict[str, object]:
    return {
        "type": "note",
        "target_ref": f"kibitz:///acme/call/c{number}",
        "payload": {"note": text},
    }


def jsonl(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def stored(run: Run, folder: Path) -> list[dict[str, object]]:
    result = run("calls", "acme", "--data", str(folder), "--json", "--all", "--sort", "id")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_calls_and_feedback_of_several_files_are_stored(run: Run, tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_text(jsonl(call(1, inputs={"q": "?"}), {"call": call(2)}))
    packed.write_bytes(gzip.compress(jsonl(note(1), {"feedback": note(2)}).encode()))

    result = run(
        "import", str(plain), str(packed), "--project", "acme", "--data", str(tmp_path / "d")
    )

    assert result.exit_code == 0
    assert "2 calls and 2 feedback into acme" in result.stdout
    first, second = stored(run, tmp_path / "d")
    assert first["inputs"] == {"q": "?"}
    assert [each["payload"] for each in second["feedback"]] == [{"note": "fine"}]  # type: ignore[attr-defined]


def test_standard_input_is_read_as_a_file(run: Run, tmp_path: Path) -> None:
    result = run(
        "import", "-", "--project", "acme", "--data", str(tmp_path / "d"), input=jsonl(call(1))
    )

    assert result.exit_code == 0
    assert [each["id"] for each in stored(run, tmp_path / "d")] == ["c1"]


def test_importing_again_adds_nothing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(jsonl(call(1), note(1), note(1, "other")))

    for _ in range(2):
        result = run("import", str(path), "--project", "acme", "--data", str(tmp_path / "d"))
        assert result.exit_code == 0

    (only,) = stored(run, tmp_path / "d")
    counted = run("doctor", "--data", str(tmp_path / "d"))
    assert only["id"] == "c1"
    assert "1 calls and 2 feedback" in counted.stdout


def test_each_line_that_is_not_taken_is_named_and_the_others_are_stored(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        jsonl(call(1)) + "nonsense\n\n" + jsonl({"id": "c2"}, {"type": "reaction",
        "target_ref": "kibitz:///acme/call/c1", "payload": {"emoji": "good"}}, call(3))
    )  # fmt: skip

    result = run(
        "import", str(path), "--project", "acme", "--data", str(tmp_path / "d"),
        "--rejects", str(tmp_path / "rejects.jsonl"), "--json",
    )  # fmt: skip

    assert result.exit_code == 1
    assert [each["id"] for each in stored(run, tmp_path / "d")] == ["c1", "c3"]
    reported = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert sorted(each["line"] for each in reported) == [2, 4, 5]
    for number in (2, 4, 5):
        assert f"a.jsonl, line {number}: " in result.stderr
    summary = json.loads(result.stdout)
    assert (summary["calls"], summary["feedback"], summary["rejected"]) == (2, 0, 3)


def test_many_rejects_are_counted_and_a_few_shown(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("nonsense\n" * 50)

    result = run("import", str(path), "--project", "acme", "--data", str(tmp_path / "d"))

    assert result.exit_code == 1
    assert result.stderr.count("not JSON") == importing.MOST_SHOWN
    assert "30 more" in result.stderr


def test_more_than_one_batch_arrives_whole(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(jsonl(*(call(n) for n in range(2500))))

    result = run("import", str(path), "--project", "acme", "--data", str(tmp_path / "d"), "--json")

    assert json.loads(result.stdout)["calls"] == 2500
    assert len(stored(run, tmp_path / "d")) == 2500


@pytest.mark.parametrize("project", ["", "a/b/c", "a b"])
def test_a_name_that_is_no_project_is_refused_before_anything_is_made(
    run: Run, tmp_path: Path, project: str
) -> None:
    (tmp_path / "a.jsonl").write_text(jsonl(call(1)))

    result = run(
        "import", str(tmp_path / "a.jsonl"), "--project", project, "--data", str(tmp_path / "d")
    )

    assert result.exit_code == 2
    assert not (tmp_path / "d").exists()


def test_a_damaged_file_keeps_what_came_before_it(run: Run, tmp_path: Path) -> None:
    whole = gzip.compress(jsonl(*(call(n, inputs={"n": n * 7919}) for n in range(5000))).encode())
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])

    result = run("import", str(path), "--project", "acme", "--data", str(tmp_path / "d"))

    assert result.exit_code == 2
    assert "damaged after line" in result.stderr
    assert 0 < len(stored(run, tmp_path / "d")) < 5000


class Limited:
    """A writer as a server with small limits is one: it is away at first, and takes two records at a time."""

    def __init__(self) -> None:
        self.away = 2
        self.taken: list[str] = []

    def write(self, batch: Batch) -> Receipt:
        if self.away:
            self.away -= 1
            raise Unavailable("starting", retry_after_s=0.001)
        if len(batch.calls) > 2:
            raise TooLarge("two at a time", size=len(batch.calls), limit=2)
        if any(each.id == "c3" for each in batch.calls):
            raise TooLarge("c3 is too large", size=9, limit=2)
        self.taken += [each.id for each in batch.calls]
        return Receipt(calls=len(batch.calls))


def test_batches_over_a_limit_are_split_and_one_record_over_it_is_named() -> None:
    writer, summary = Limited(), importing.Summary()
    importer = importing.Importer(writer, "acme", "a.jsonl", summary)

    for number in range(5):
        record = lines.parse(json.dumps(call(number)).encode())
        importer.add(lines.Line(number + 1, 100, record=record))
    importer.flush()

    assert writer.taken == ["c0", "c1", "c2", "c4"]
    assert summary.calls == 4
    assert [(each.line, each.code) for each in summary.rejects] == [(4, "too_large")]


@pytest.mark.parametrize("name", ["calls.jsonl.gz", "calls.jsonl.zst", "all.zip"])
def test_what_a_failed_copy_left_is_told(run: Run, tmp_path: Path, name: str):
    (tmp_path / name).touch()

    result = run("import", str(tmp_path / name), "--project", "acme", "--data", str(tmp_path / "d"))

    assert result.exit_code != 0
    assert f"{name} is empty" in result.stderr


def test_a_file_that_is_not_there_is_said_before_a_store_is_made(run: Run, tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "cals.jsonl"), "--data", str(tmp_path / "d"))

    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no file" in result.stderr
    assert not (tmp_path / "d").exists()


def test_a_rule_holds_when_it_is_resumed_and_is_never_replaced(run: Run, tmp_path: Path) -> None:
    there, here = str(tmp_path / "there"), str(tmp_path / "here")
    archive, rules = str(tmp_path / "all.jsonl"), ("--project", carried.PROJECT, "--data", here)
    with contextlib.closing(sqlite.open_store(tmp_path / "there")) as store:
        carried.judged(store)
    run("export", carried.PROJECT, "--data", there, "-o", archive)

    first = run("import", archive, "--json", "--data", here)
    resumed = run("rules", "resume", "nightly", *rules)
    again = run("import", archive, "--json", "--data", here)
    run("rules", "set", "nightly", "--per-day", "9", *rules)
    changed = run("import", archive, "--data", here)

    assert json.loads(first.stdout)["resting"] == [{"project": carried.PROJECT, "name": "nightly"}]
    assert resumed.exit_code == 0
    assert (json.loads(again.stdout)["rules"], json.loads(again.stdout)["resting"]) == (2, [])
    assert changed.exit_code == 1
    assert "has another rule 'nightly', which stays" in changed.stderr
    said = json.loads(run("rules", "show", "nightly", "--json", *rules).stdout)
    assert (said["active"], said["per_day"]) == (True, 9)


def test_rules_that_were_active_are_where_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    with contextlib.closing(sqlite.open_store(tmp_path / "there")) as store:
        carried.judged(store)
    archive = str(tmp_path / "all.jsonl")
    run("export", carried.PROJECT, "--data", str(tmp_path / "there"), "-o", archive)

    done = run("import", archive, "--active-rules", "--data", str(tmp_path / "here"))

    assert "rest" not in done.stdout
    listed = run("rules", "list", "--json", "--data", str(tmp_path / "here")).stdout.splitlines()
    assert [json.loads(each)["active"] for each in listed] == [True, False]


def test_a_wanted_evaluation_that_is_refused_is_not_said_to_be_done(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "wanted.jsonl"
    ref = f"kibitz:///acme/object/never_published:{'0' * 40}"
    evaluation = {"id": "e1", "definition_ref": ref, "call_id": "c1", "status": "none"}
    file.write_text(jsonl({"evaluation": evaluation}))

    refused = run("import", str(file), "--project", "acme", "--data", str(tmp_path / "d"), "--json")

    said = json.loads(refused.stdout)
    assert (said["rejected"], said["evaluations"], said["wanted"]) == (1, 0, 0)
