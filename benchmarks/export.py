"""How many rows a second an export writes and an import takes, by format.

Calls of about 2 kB, every second judged, in a folder; each format is written through to nowhere, and the lines
are imported into an empty folder. The baseline is what a script would do, in the same run: the same calls, read
in pages with all their columns from the same store and written by `json.dump`.

    python -m benchmarks.export --json [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from benchmarks import ingest
from kibitz.base import refs
from kibitz.base.records import Batch, FeedbackPart
from kibitz.cli import importing, lines
from kibitz.export import streams
from kibitz.query.nodes import ALL_COLUMNS, CallQuery
from kibitz.storage import sqlite
from kibitz.storage.sqlite import SqliteStore

PROJECT = ingest.PROJECT
PAGE = 500


def fill(store: SqliteStore, calls: int) -> None:
    """Calls, and feedback on every second."""
    random_ = random.Random(7)
    words = ingest.vocabulary(random_)
    for start in range(0, calls, ingest.BATCH_CALLS):
        numbers = range(start, min(start + ingest.BATCH_CALLS, calls))
        made = [ingest.make_call(random_, words, number) for number in numbers]
        said = [
            FeedbackPart(
                id=f"f{number}",
                type="rating",
                target_ref=refs.call_ref(PROJECT, call.id),
                payload={"score": random_.random(), "label": random_.choice("abc")},
                author="judge",
                created_at=call.started_at,
            )
            for number, call in zip(numbers, made, strict=True)
            if number % 2
        ]
        receipt = store.ingest.write(Batch(project=PROJECT, calls=made, feedback=said))
        assert receipt.rejected == []


def baseline(store: SqliteStore) -> Iterator[bytes]:
    """The calls as a script would write them."""
    query = CallQuery(project=PROJECT, columns=ALL_COLUMNS, limit=PAGE)
    while True:
        page = store.calls.query(query)
        out = io.StringIO()
        for call in page.items:
            json.dump(msgspec.to_builtins(call), out)
            out.write("\n")
        yield out.getvalue().encode()
        if page.next_cursor is None:
            return
        query = dataclasses.replace(query, cursor=page.next_cursor)


def measure(rows: int, chunks: Callable[[], Iterator[bytes]]) -> dict[str, float]:
    """Rows a second, and what they came to."""
    began = time.perf_counter()
    size = sum(map(len, chunks()))
    took_s = time.perf_counter() - began
    return {"rows_per_s": round(rows / took_s), "bytes": size, "seconds": round(took_s, 3)}


def imported(content: bytes, folder: Path) -> dict[str, float]:
    """Rows a second into an empty store."""
    store = sqlite.open_store(folder)
    try:
        summary = importing.Summary()
        importer = importing.Importer(store.ingest, None, "export", summary)
        began = time.perf_counter()
        source = io.BufferedReader(cast("Any", io.BytesIO(content)))
        for line in lines.read_any("export", source):
            importer.add(line)
        importer.flush()
        took_s = time.perf_counter() - began
        assert summary.rejected == 0
        assert b"".join(streams.stream(store, PROJECT, "jsonl")) == content
    finally:
        store.close()
    rows = summary.calls + summary.feedback
    return {"rows_per_s": round(rows / took_s), "seconds": round(took_s, 3)}


def run(calls: int) -> dict[str, Any]:
    """All measurements; rows are calls and feedback."""
    rows = calls + calls // 2
    with tempfile.TemporaryDirectory() as folder:
        store = sqlite.open_store(Path(folder) / "data")
        try:
            fill(store, calls)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            formats = {
                format: measure(rows, lambda format=format: streams.stream(store, PROJECT, format))
                for format in streams.FORMATS
            }
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            dumped = measure(rows, lambda: baseline(store))
            content = b"".join(streams.stream(store, PROJECT, "jsonl"))
        finally:
            store.close()
        taken = imported(content, Path(folder) / "copy")
    return {
        "calls": calls,
        "rows": rows,
        "export": formats,
        "import": {"jsonl": taken},
        "baseline": {"json_dump": dumped},
        "memory_grown_kb": grown,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    options = parser.parse_args()
    result = run(10_000 if options.quick else 100_000)
    if options.json:
        print(json.dumps(result))
        return
    for name, found in {**result["export"], "json.dump": result["baseline"]["json_dump"]}.items():
        print(f"{name:>10}  {found['rows_per_s']:>9,} rows/s  {found['bytes']:>13,} bytes")
    print(f"{'import':>10}  {result['import']['jsonl']['rows_per_s']:>9,} rows/s")
    print(f"exports took {result['memory_grown_kb']:,} kB of memory more")


if __name__ == "__main__":
    main()
