"""What waits on disk for a server: a disk that is full, a program that is killed, a file that is cut."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from programs import Program, once, run, spooled, steps

from kibitz.testing.serving import ServerProcess
from kibitz.tracing.spool import folder_name

pytestmark = pytest.mark.processes

AWAY = "http://127.0.0.1:9"
WRITE = """
    import random
    first, count = int(sys.argv[1]), int(sys.argv[2])
    kibitz.init("team/app", batch_calls=10, flush_interval_s=0.02, exit_timeout_s=20)
    noise = random.Random(1)
    @kibitz.op
    def noisy(n, text): return n
    for n in range(first, first + count):
        assert noisy(n, noise.randbytes(1000).hex()) == n
    report = kibitz.finish()
    assert not report.pending and not report.timed_out, report
    lost = report.dropped.get("spool_full", 0)
    assert report.calls_sent == 0 and report.calls_spooled + lost == count, report
    assert str(report).endswith(f"; {lost:,} lost (spool_full)" if lost else "delivered later"), report
    print(report.calls_spooled, lost)
"""


def _spooled_and_lost(folder: Path, first: int, count: int, **settings: object) -> tuple[int, int]:
    ended = run(WRITE, folder, first, count, url=AWAY, **settings)
    assert ended.status == 0, ended.err
    spooled, lost = ended.out.split()
    return int(spooled), int(lost)


def test_a_spool_at_its_limit_loses_what_it_says_and_nothing_that_it_had(tmp_path: Path):
    # Little memory too, so that what finds no room on disk cannot wait there either.
    limits = {"spool_bytes": 60_000, "queue_bytes": 10_000_000}
    before = _spooled_and_lost(tmp_path, 0, 20, **limits)
    after = _spooled_and_lost(tmp_path, 20, 200, **limits)

    assert before == (20, 0)
    assert after[0] < 200
    assert after[1] > 0
    found = sorted(spooled(tmp_path / ".kibitz", AWAY))
    assert found[:20] == list(range(20))
    assert once(found[20:], dict.fromkeys(found[20:], 1))
    assert len(found) == 20 + after[0]


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Path]:
    """A folder on a disk of 800 kB, or as many bytes as the test says."""
    size = getattr(request, "param", 800 << 10)
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % size) != 0:
        pytest.skip(f"a small disk cannot be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        libc.umount2(os.fsencode(folder), 2)


def test_a_full_disk_under_the_spool_is_survived_and_said(tmp_path: Path, small_disk: Path):
    data = small_disk / "data"
    before = _spooled_and_lost(tmp_path, 0, 20, data=data)
    after = _spooled_and_lost(tmp_path, 20, 1000, data=data)

    assert before == (20, 0)
    assert after[1] > 0
    found = sorted(spooled(data, AWAY))
    assert found[:20] == list(range(20))
    assert len(found) == 20 + after[0] == len(set(found))


@pytest.mark.parametrize("small_disk", [3 << 20], indirect=True)
def test_a_full_disk_under_the_store_keeps_nothing_back_from_the_program(
    tmp_path: Path, small_disk: Path
):
    ended = run(
        """
        import random
        kibitz.init("team/app", batch_calls=10, flush_interval_s=0.02)
        noise = random.Random(1)
        @kibitz.op
        def noisy(n, text): return n
        for n in range(1000):
            assert noisy(n, noise.randbytes(5000).hex()) == n
        report = kibitz.finish()
        kept = report.calls_sent + report.calls_spooled
        assert kept + report.pending + sum(report.dropped.values()) == 1000, report
        assert kept < 1000 and report.calls_sent > 0, report
        print(report.calls_sent)
        """,
        tmp_path,
        data=small_disk / "data",
    )

    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err


def test_a_killed_program_leaves_what_it_had_flushed(tmp_path: Path):
    program = Program(
        """
        kibitz.init("team/app")
        for n in range(30): step(n)
        assert kibitz.flush().calls_sent == 30
        print("flushed", flush=True)
        step(30)
        input()
        """,
        tmp_path,
    )
    program.wait_for("flushed")
    program.process.kill()
    assert program.end().status == -9

    found = steps(tmp_path / ".kibitz")
    assert once(found[:30], range(30))
    assert found[30:] in ([], [30])


def test_the_spool_of_a_killed_program_is_delivered_also_when_its_last_words_are_cut(
    tmp_path: Path,
):
    program = Program(
        """
        kibitz.init("team/app", batch_calls=10)
        for n in range(30): step(n)
        assert kibitz.flush().calls_spooled == 30
        print("spooled", flush=True)
        input()
        """,
        tmp_path,
        url=AWAY,
    )
    program.wait_for("spooled")
    program.process.kill()
    program.end()
    [file] = (tmp_path / ".kibitz" / "spool").rglob("*.spool")
    os.truncate(file, file.stat().st_size - 5)

    # To the same address as before, where a server is now: as a folder of the spool, that is all it is.
    with ServerProcess(tmp_path / "server") as server:
        file.parent.rename(file.parent.with_name(folder_name(server.url)))
        next_one = run('kibitz.init("team/app"); step(100)', tmp_path, url=server.url)

    assert next_one.status == 0
    assert f"1 call sent to {server.url}; 20 more from an earlier run" in next_one.err
    assert once(steps(tmp_path / "server"), dict.fromkeys([*range(20), 100], 1))
    # The half batch is gone from the spool, or kept aside; it does not come back for ever.
    assert not list((tmp_path / ".kibitz" / "spool").rglob("*.spool"))


def test_programs_that_end_together_deliver_the_spool_once(tmp_path: Path):
    run('kibitz.init("team/app")\nfor n in range(100): step(n)', tmp_path, url=AWAY)
    with ServerProcess(tmp_path / "server") as server:
        spool = tmp_path / ".kibitz" / "spool"
        (spool / folder_name(AWAY)).rename(spool / folder_name(server.url))
        together = [
            Program(
                'kibitz.init("team/app"); step(100 + int(sys.argv[1]))', tmp_path, n, url=server.url
            )
            for n in range(4)
        ]
        ended = [each.end() for each in together]

    assert [each.status for each in ended] == [0] * 4
    assert all("1 call sent to" in each.line for each in ended)
    assert sum("100 more from an earlier run" in each.err for each in ended) == 1
    assert once(steps(tmp_path / "server"), range(104))
