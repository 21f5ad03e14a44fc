"""Programs of every kind end as they would without Kibitz, and what they did is recorded.

Also: what several processes write into one data folder is all there, while a server shows it and people judge it.
"""

from __future__ import annotations

import json
import signal
import textwrap
from pathlib import Path

import asking
import pytest
from programs import PROJECT, Program, calls, once, run, spooled, steps

from kibitz.base import refs
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite
from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes

TARGET = "sent to ./.kibitz"


def test_two_programs_and_a_server_in_one_folder_while_people_judge(tmp_path: Path):
    with ServerProcess(tmp_path / ".kibitz") as server:
        programs = [
            Program(
                """
                kibitz.init("team/app", flush_interval_s=0.01, batch_calls=20)
                offset = int(sys.argv[1])
                for n in range(offset, offset + 400):
                    result, call = step.call(n)
                    call.feedback.add("correct", {"value": n % 2 == 0})
                    if n % 20 == 0: time.sleep(0.01)
                """,
                tmp_path,
                offset,
            )
            for offset in (0, 1000)
        ]
        seen: list[int] = []
        notes: list[str] = []
        while any(program.process.poll() is None for program in programs):
            answer = asking.send(
                server.url, "/api/v1/calls/query", {"project": PROJECT, "limit": 5}
            )
            if answer.status == 404:
                continue
            assert answer.status == 200, answer.body
            count = asking.send(server.url, "/api/v1/calls/count", {"project": PROJECT}).json
            seen.append(count["count"])
            for call in answer.json["items"]:
                note = {
                    "project": PROJECT,
                    "type": "note",
                    "target_ref": refs.call_ref(PROJECT, call["id"]),
                    "payload": {"note": f"seen as number {len(notes)}"},
                }
                added = asking.send(server.url, "/api/v1/feedback", note)
                assert added.status == 201, added.body
                notes.append(added.json["id"])
            page = asking.get(
                server.url, f"/p/{PROJECT.replace('/', '~')}/calls", Accept="text/html"
            )
            assert page.status == 200
        ended = [program.end() for program in programs]
        assert server.log == ""

    assert [(each.status, each.line) for each in ended] == [
        (0, f"kibitz: 400 calls, 400 feedback {TARGET}")
    ] * 2
    assert seen == sorted(seen)
    assert once(steps(tmp_path / ".kibitz"), dict.fromkeys([*range(400), *range(1000, 1400)], 1))
    store = sqlite.open_store(tmp_path / ".kibitz")
    found: list[str] = []
    cursor = None
    while True:
        page = store.feedback.query(FeedbackQuery(project=PROJECT, limit=1000, cursor=cursor))
        found += [each.id for each in page.items if each.type == "note"]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(notes)
    assert store.projects.get(PROJECT).feedback == 800 + len(notes)
    store.close()


ENDINGS: dict[str, tuple[str, int, list[int]]] = {
    "main returns": ("step(1)", 0, [1]),
    "exception": ("step(1); raise ValueError('mine')", 1, [1]),
    "sys.exit": ("step(1); sys.exit(7)", 7, [1]),
    "sys.exit with a text": ("step(1); sys.exit('over')", 1, [1]),
    "sys.exit inside an op": (
        """
        @kibitz.op
        def leave(n): sys.exit(n)
        step(1)
        leave(4)
        """,
        4,
        [1],
    ),
    "SIGTERM that raises": (
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        step(1)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
        143,
        [1],
    ),
    "SIGTERM, a moment after": (
        "step(1); time.sleep(1.5); os.kill(os.getpid(), signal.SIGTERM)",
        -signal.SIGTERM,
        [1],
    ),
    "SIGINT": ("step(1); os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", -signal.SIGINT, [1]),
    "os._exit after finish": ("step(1); kibitz.finish(); os._exit(5)", 5, [1]),
    "asyncio that raises": (
        """
        @kibitz.op
        async def wait(n):
            await asyncio.sleep(60)
        async def main():
            step(1)
            task = asyncio.ensure_future(wait(2))
            await asyncio.sleep(0.01)
            raise ValueError("mine")
        asyncio.run(main())
        """,
        1,
        [1],
    ),
    "asyncio that exits": (
        """
        async def main():
            step(1)
            sys.exit(9)
        asyncio.run(main())
        """,
        9,
        [1],
    ),
    "a thread that outlives main": (
        """
        def late():
            time.sleep(0.5)
            step(2)
        threading.Thread(target=late).start()
        step(1)
        """,
        0,
        [1, 2],
    ),
    "a daemon thread that never stops": (
        """
        def busy():
            while True: step("busy")
        threading.Thread(target=busy, daemon=True).start()
        time.sleep(0.3)
        step(1)
        """,
        0,
        [1],
    ),
    "a thread that raises": (
        """
        @kibitz.op
        def fails(n): raise ValueError("mine")
        threading.Thread(target=fails, args=(3,)).start()
        step(1)
        """,
        0,
        [1],
    ),
    "a handler registered after init": ("atexit.register(step, 2); step(1)", 0, [1, 2]),
    "an exit in the middle of a generator": (
        """
        @kibitz.op
        def numbers():
            yield from range(10)
        stream = numbers()
        next(stream)
        step(1)
        """,
        0,
        [1],
    ),
    "an object that calls an op when it goes": (
        """
        class Last:
            def __del__(self): step("last")
        keep = Last()
        keep.me = keep
        step(1)
        """,
        0,
        [1],
    ),
    "executors of both kinds": (
        """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool: assert sum(pool.map(step, range(2, 50))) == sum(range(2, 50))
        with kibitz.ThreadPoolExecutor(4) as pool: list(pool.map(step, range(50, 60)))
        step(1)
        """,
        0,
        list(range(1, 60)),
    ),
}
NO_DAEMON_STEPS = {"busy", "last"}


def test_however_a_program_ends_its_status_is_its_own_and_its_calls_are_there(tmp_path: Path):
    with_kibitz = {
        name: Program('kibitz.init("team/app")\n' + _plain(code), tmp_path / str(number))
        for number, (name, (code, _, _)) in enumerate(ENDINGS.items())
    }
    all_ended = {name: program.end() for name, program in with_kibitz.items()}
    for number, (name, (_, status, expected)) in enumerate(ENDINGS.items()):
        ended = all_ended[name]
        assert ended.status == status, (name, ended.err)
        assert "kibitz failed" not in ended.err, (name, ended.err)
        data = tmp_path / str(number) / ".kibitz"
        # On a busy machine the thread that never stops makes more than can be stored in time: the rest is on disk.
        found = [n for n in steps(data) + spooled(data, "local") if n not in NO_DAEMON_STEPS]
        assert sorted(n for n in found if type(n) is int) == expected, (name, ended.err)


def _plain(code: str) -> str:
    return textwrap.dedent(code)


def test_an_op_called_after_the_end_runs_and_is_not_recorded(tmp_path: Path):
    ended = run(
        """
        def late():
            print(step("late"), kibitz.flush(), kibitz.finish(), kibitz.get_current_call())
        atexit.register(late)  # before init, so that it runs after Kibitz's own
        kibitz.init("team/app")
        step(1)
        """,
        tmp_path,
    )

    assert (ended.status, ended.out) == (0, "late None None None\n")
    assert ended.line == f"kibitz: 1 call {TARGET}"
    assert steps(tmp_path / ".kibitz") == [1]


WORKERS = {
    "fork, before init": (
        "fork",
        """
        def work(n):
            kibitz.init("team/app")
            step(n)
        """,
        "",
    ),
    "fork, after init": ("fork", "def work(n): step(n)", 'kibitz.init("team/app")'),
    "spawn": (
        "spawn",
        """
        def work(n):
            kibitz.init("team/app")
            step(n)
        """,
        'kibitz.init("team/app")',
    ),
    "forkserver": (
        "forkserver",
        """
        def work(n):
            kibitz.init("team/app")
            step(n)
        """,
        'kibitz.init("team/app")',
    ),
}


@pytest.mark.parametrize("name", WORKERS)
def test_processes_of_multiprocessing_deliver_when_they_end(tmp_path: Path, name: str):
    method, work, begin = WORKERS[name]
    ended = run(
        f"{_plain(work)}\nif __name__ == '__main__':\n"
        f"    import multiprocessing; multiprocessing.set_start_method({method!r}); {begin or 'pass'}\n"
        "    running = [multiprocessing.Process(target=work, args=(n,)) for n in range(4)]\n"
        "    for each in running: each.start()\n"
        "    for each in running: each.join(); assert each.exitcode == 0\n",
        tmp_path,
        print_summary=False,
    )

    assert (ended.status, ended.err) == (0, "")
    assert once(steps(tmp_path / ".kibitz"), range(4))


def test_forks_in_the_middle_of_everything_record_each_call_once(tmp_path: Path):
    ended = run(
        """
        kibitz.init("team/app", flush_interval_s=0.01)
        stop = threading.Event()
        def busy():
            n = 10_000
            while not stop.is_set():
                step(n)
                n += 1
        thread = threading.Thread(target=busy)
        thread.start()
        children = []
        for n in range(8):
            step(n)
            child = os.fork()
            if child == 0:
                step(100 + n)
                sys.exit(0)  # unlike os._exit, it runs what is to run at the end
            children.append(child)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
        stop.set()
        thread.join()
        """,
        tmp_path,
    )

    assert ended.status == 0, ended.err
    found = steps(tmp_path / ".kibitz")
    busy = [n for n in found if n >= 10_000]
    assert once([n for n in found if n < 10_000], dict.fromkeys([*range(8), *range(100, 108)], 1))
    assert once(busy, range(10_000, 10_000 + len(busy)))


def test_threads_that_fork_at_once_record_each_call_once(tmp_path: Path):
    ended = run(
        """
        kibitz.init("team/app", flush_interval_s=0.01)
        children = []
        def fork_some(who):
            for n in range(who, who + 5):
                step(n)
                child = os.fork()
                if child == 0:
                    step(n + 100)
                    os._exit(0 if kibitz.flush().complete else 1)
                children.append(child)
        threads = [threading.Thread(target=fork_some, args=(who,)) for who in (0, 10, 20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 15
        """,
        tmp_path,
    )

    assert ended.status == 0, ended.err
    parents = [*range(5), *range(10, 15), *range(20, 25)]
    expected = dict.fromkeys([*parents, *(n + 100 for n in parents)], 1)
    assert once(steps(tmp_path / ".kibitz"), expected)


def test_a_child_goes_on_recording_when_its_parent_has_ended(tmp_path: Path):
    ended = run(
        """
        kibitz.init("team/app", flush_interval_s=0.01)
        for n in range(10): step(n)
        kibitz.flush()
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(write)
            step(10)
            kibitz.flush()
            print("ready", flush=True)
            os.read(read, 1)  # until the parent is gone
            for n in range(11, 20): step(n)
            kibitz.flush()
            step(20)
            sys.exit(0)
        time.sleep(0.3)
        """,
        tmp_path,
    )

    # `run` ends when nobody holds the output any more, so the child has ended, too.
    assert (ended.status, ended.out) == (0, "ready\n"), ended.err
    assert once(steps(tmp_path / ".kibitz"), range(21))


def test_a_child_of_a_fork_over_http_speaks_for_itself(tmp_path: Path):
    with ServerProcess(tmp_path / "server") as server:
        ended = run(
            """
            kibitz.init("team/app")
            step(0)
            kibitz.flush()
            children = []
            for n in (1, 2, 3):
                child = os.fork()
                if child == 0:
                    step(n)
                    sys.exit(0)
                children.append(child)
            for child in children: assert os.waitpid(child, 0)[1] == 0
            step(4)
            """,
            tmp_path,
            url=server.url,
        )
        assert server.log == ""

    assert ended.status == 0, ended.err
    assert once(steps(tmp_path / "server"), range(5))


STUCK = {
    "a repr that never returns": """
        class Stuck:
            def __repr__(self): threading.Event().wait()
        step(Stuck())
        """,
    "a display name that never returns": """
        @kibitz.op(display_name=lambda inputs: threading.Event().wait())
        def named(n): return n
        named(1)
        """,
    "a lock that the exporter waits for": """
        lock = threading.Lock()
        lock.acquire()
        class Locked:
            def __repr__(self):
                with lock: return "never"
        step(Locked())
        """,
}


@pytest.mark.parametrize("name", STUCK)
def test_a_callback_that_never_returns_does_not_hold_up_the_end(tmp_path: Path, name: str):
    ended = run(
        'kibitz.init("team/app", exit_timeout_s=1)\n'
        + _plain(STUCK[name])
        + "time.sleep(0.7)\nstep(2)\nbegun = time.monotonic()\nreport = kibitz.finish()\n"
        "assert time.monotonic() - begun < 10\n"
        "assert report.timed_out and report.pending == 2, report\n",
        tmp_path,
    )

    assert ended.status == 0, ended.err


def test_calls_made_while_kibitz_looks_at_values_do_no_harm(tmp_path: Path):
    """Ops inside of a repr, a display name, a log handler, a post-processing; flush and finish from there."""
    ended = run(
        """
        import logging
        class Calls:
            def __repr__(self):
                step("in repr")
                return "calls"
        class Flushes:
            def __repr__(self): return str(kibitz.flush(1).timed_out)
        class Handler(logging.Handler):
            def emit(self, record): step("in log")
        logging.getLogger().addHandler(Handler())
        logging.getLogger("kibitz").setLevel(1)
        kibitz.init("team/app", flush_interval_s=0.05)
        @kibitz.op(
            display_name=lambda inputs: str(step("in name")),
            postprocess_inputs=lambda inputs: {"n": step("in inputs")},
            postprocess_output=lambda output: step("in output"),
        )
        def all_of_it(n): return n
        assert all_of_it(1) == 1
        @kibitz.op(display_name=lambda inputs: 1 / 0)
        def loud(n): return n
        loud(1)
        step(Calls())
        step(Flushes())
        kibitz.flush()
        report = kibitz.finish()
        assert not report.dropped and not report.timed_out, report
        """,
        tmp_path,
    )

    assert ended.status == 0, ended.err
    found = [json.dumps(n) for n in steps(tmp_path / ".kibitz")]
    for place in ("in repr", "in name", "in inputs", "in output", "in log"):
        assert f'"{place}"' in found, (place, found)
    assert {each.status for each in calls(tmp_path / ".kibitz")} == {"success"}


@pytest.mark.parametrize("after", ["is gone", "is another"])
def test_a_data_folder_deleted_under_a_program_keeps_what_comes_after(tmp_path: Path, after: str):
    ended = run(
        """
        import shutil
        from pathlib import Path
        kibitz.init("team/app")
        step(1)
        assert kibitz.flush().calls_sent == 1
        shutil.rmtree(".kibitz")
        if sys.argv[1] == "is another":
            from kibitz.storage import sqlite
            sqlite.open_store(Path(".kibitz")).close()
        step(2)
        report = kibitz.finish()
        assert (report.calls_sent, report.calls_spooled) == (1, 1), report
        """,
        tmp_path,
        after,
    )
    assert ended.status == 0, ended.err
    next_one = run('kibitz.init("team/app"); step(3)', tmp_path)

    assert next_one.line == f"kibitz: 1 call {TARGET}; 1 more from an earlier run"
    assert steps(tmp_path / ".kibitz") == [2, 3]


def test_a_program_that_changes_its_directory_leaves_its_data_in_one_place(tmp_path: Path):
    for settings in ({}, {"url": "http://127.0.0.1:9"}):
        ended = run(
            """
            kibitz.init("team/app")
            step(1)
            os.makedirs("sub", exist_ok=True)
            os.chdir("sub")
            step(2)
            kibitz.finish()
            assert os.listdir() == []
            """,
            tmp_path,
            **settings,
        )
        assert ended.status == 0, ended.err
    assert steps(tmp_path / ".kibitz") == [1, 2]


def test_threads_that_call_init_together_lose_no_call(tmp_path: Path):
    ended = run(
        """
        begin = threading.Barrier(9)
        sessions = set()
        def work(n):
            begin.wait()
            sessions.add(kibitz.init(f"team/app{n % 3}"))
            for k in range(50): step(100 * n + k)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(9)]
        for each in threads: each.start()
        for each in threads: each.join()
        kibitz.finish()
        assert all(each.finished for each in sessions)
        reports = [each.finish() for each in sessions]
        assert all(each.complete and not each.running for each in reports), reports
        print(sum(each.calls_sent for each in reports))
        """,
        tmp_path,
    )

    assert ended.status == 0, ended.err
    store = sqlite.open_store(tmp_path / ".kibitz")
    names = [each.name for each in store.projects.list()]
    store.close()
    found = [each.inputs["n"] for name in names for each in calls(tmp_path / ".kibitz", name)]
    # What runs while one session takes the place of another is recorded by neither, so not all is there;
    # but no session is left behind with what it had taken.
    assert len(found) == len(set(found)) == int(ended.out) >= 50


def test_streams_left_to_the_loop_are_closed_without_a_word(tmp_path: Path):
    ended = run(
        """
        kibitz.init("team/app")
        closed = []
        @kibitz.op
        async def stream(n):
            try:
                for k in range(n):
                    await asyncio.sleep(0)
                    yield k
            finally:
                await asyncio.sleep(0)
                closed.append(n)
        async def main():
            global kept
            kept = stream(5)
            await anext(kept)
            async for _ in stream(6): break
            task = asyncio.ensure_future(anext(stream(7)))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        asyncio.run(main())
        assert sorted(closed) == [5, 6, 7], closed
        report = kibitz.finish()
        assert not report.running and report.calls_sent == 3, report
        """,
        tmp_path,
    )

    assert (ended.status, ended.err) == (0, "")


SETTINGS = {
    "batch_calls": "0",
    "batch_bytes": "0",
    "max_value_bytes": "0",
    "timeout_s": "100000000",
    "exit_timeout_s": "100000000",
    "flush_interval_s": "0",
    "running_after_s": "0",
    "url": "",
    "data": " ",
    "enabled": "",
    "sample_rate": "",
    "redact_keys": ",,*,",
    "spool_bytes": "0",
    "unknown": "x",
}


def test_settings_at_their_edges_lose_nothing(tmp_path: Path):
    ended = run('kibitz.init("team/app")\nfor n in range(9): step(n)', tmp_path, **SETTINGS)

    assert ended.status == 0, ended.err
    assert ended.line == f"kibitz: 9 calls {TARGET}"
    assert [each.status for each in calls(tmp_path / ".kibitz")] == ["success"] * 9


def test_a_signal_handler_may_call_ops_and_flush_wherever_it_interrupts(tmp_path: Path):
    """Ten thousand places to be interrupted at; a lock that is taken twice would hang the program."""
    ended = run(
        """
        def tick(*_):
            step("tick")
            kibitz.flush(0.02)
            signal.setitimer(signal.ITIMER_REAL, 0.0003)
        kibitz.init("team/app", batch_calls=1)
        signal.signal(signal.SIGALRM, tick)
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        for n in range(2000):
            step(n)
            if n % 100 == 0:
                kibitz.flush(0.02)
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        tmp_path,
    )

    assert ended.status == 0, ended.err
    found = steps(tmp_path / ".kibitz") + spooled(tmp_path / ".kibitz", "local")
    assert once([n for n in found if n != "tick"], range(2000))
    assert "tick" in found
