"""From `init` to the end of the program: where it goes, once per project, forks, and the line at the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import kibitz
from kibitz.base.errors import KibitzError, SettingsError, UsageError
from kibitz.base.settings import TracingSettings
from kibitz.query.nodes import CallQuery
from kibitz.storage import sqlite
from kibitz.tracing import session as sessions


@kibitz.op
def echo(value=None):
    return value


def stored(folder: Path, project: str = "t/app") -> list[str]:
    store = sqlite.open_store(folder)
    try:
        page = store.calls.query(
            CallQuery(project=project, limit=1000, columns=frozenset(["output"]))
        )
        return sorted(str(call.output) for call in page.items)
    finally:
        store.close()


def run(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("KIBITZ")},
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_init_writes_into_the_data_folder(tmp_path: Path):
    session = kibitz.init("t/app", data=str(tmp_path / "data"))
    _, call = echo.call("hello")
    report = kibitz.flush()

    assert report is not None
    assert report.calls_sent == 1
    assert call.url is None
    assert stored(tmp_path / "data") == ["hello"]
    assert kibitz.finish() is session.finish()


def test_the_same_project_and_place_is_the_same_session(tmp_path: Path):
    first = kibitz.init("t/app", data=str(tmp_path))
    assert kibitz.init("t/app", data=str(tmp_path)) is first
    echo(1)

    second = kibitz.init("t/other", data=str(tmp_path))

    assert second is not first
    assert first.finished
    assert first.finish().calls_sent == 1
    echo(2)
    second.flush()
    assert (stored(tmp_path), stored(tmp_path, "t/other")) == (["1"], ["2"])


def test_other_settings_make_another_session(tmp_path: Path):
    first = kibitz.init("t/app", data=str(tmp_path))

    assert kibitz.init("t/app", data=str(tmp_path), sample_rate=0.5) is not first


def test_settings_come_from_arguments_then_environment(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("KIBITZ_DATA", str(tmp_path / "environment"))
    monkeypatch.setenv("KIBITZ_SAMPLE_RATE", "0.25")

    session = kibitz.init("t/app", settings={"sample_rate": 0.5}, flush_interval_s=2)

    assert session.settings.data == str(tmp_path / "environment")
    assert (session.settings.sample_rate, session.settings.flush_interval_s) == (0.5, 2.0)
    whole = TracingSettings(data=str(tmp_path / "whole"))
    assert kibitz.init("t/app", settings=whole).settings == whole


def test_a_url_goes_before_the_environment_and_the_environment_before_the_folder(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("KIBITZ_DATA", str(tmp_path))
    monkeypatch.setenv("KIBITZ_URL", "http://127.0.0.1:9/environment")

    assert kibitz.init("t/app").target == "http://127.0.0.1:9/environment"
    session = kibitz.init("t/app", "http://127.0.0.1:9/")
    _, call = echo.call(1)

    assert session.target == "http://127.0.0.1:9"
    assert call.url == f"http://127.0.0.1:9/p/t~app/calls/{call.id}"
    assert session.finish(5).calls_spooled == 1


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"project": "no spaces please"}, UsageError),
        ({"project": ""}, UsageError),
        ({"project": "a", "unknown": 1}, SettingsError),
        ({"project": "a", "sample_rate": 7}, SettingsError),
        ({"project": "a", "sample_rate": "much"}, SettingsError),
        ({"project": "a", "url": "not a url"}, UsageError),
        ({"project": "a", "url": "ftp://x"}, UsageError),
    ],
)
def test_wrong_configuration_raises_at_once(tmp_path: Path, monkeypatch, arguments, kind):
    monkeypatch.setenv("KIBITZ_DATA", str(tmp_path))

    with pytest.raises(kind):
        kibitz.init(**arguments)

    assert sessions.current() is None


def test_a_data_folder_that_cannot_be_one_raises_at_once(tmp_path: Path):
    (tmp_path / "file").write_text("x")

    with pytest.raises(KibitzError):
        kibitz.init("a", data=str(tmp_path / "file"))


def test_switched_off_nothing_is_recorded_and_no_folder_made(tmp_path: Path):
    kibitz.init("t/app", data=str(tmp_path / "data"), enabled=False)

    assert echo(1) == 1
    result, call = echo.call(2)
    assert (result, call.recorded) == (2, False)
    assert call.apply_scorer_sync(lambda output: output + 1).output == 3
    assert kibitz.flush() is not None
    kibitz.finish()

    assert not (tmp_path / "data").exists()


def test_without_a_session_flush_and_finish_give_nothing():
    assert kibitz.flush() is None
    assert kibitz.finish() is None


@pytest.mark.processes
def test_the_end_of_a_program_sends_what_is_left_and_says_so(tmp_path: Path):
    done = run(
        """
        import kibitz
        kibitz.init("t/app")
        @kibitz.op
        def echo(value): return value
        for n in range(120): echo(n)
        _, call = echo.call("judged")
        call.feedback.add_note("n")
        """,
        tmp_path,
    )

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "kibitz: 121 calls, 1 feedback sent to ./.kibitz\n"
    assert len(stored(tmp_path / ".kibitz")) == 121


@pytest.mark.processes
def test_a_program_that_fails_is_recorded_up_to_its_failure(tmp_path: Path):
    done = run(
        """
        import kibitz
        kibitz.init("t/app", print_summary=False)
        @kibitz.op
        def echo(value): return 1 / value
        echo(1)
        echo(0)
        """,
        tmp_path,
    )

    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert len(stored(tmp_path / ".kibitz")) == 2


@pytest.mark.processes
def test_a_program_without_calls_ends_silently(tmp_path: Path):
    assert run("import kibitz; kibitz.init('t/app')", tmp_path).stderr == ""


@pytest.mark.processes
def test_what_one_process_could_not_send_the_next_one_delivers(tmp_path: Path):
    program = """
        import kibitz, sys
        kibitz.init("t/app", sys.argv[1] if len(sys.argv) > 1 else None, timeout_s=2)
        @kibitz.op
        def echo(value): return value
        for n in range(10): echo(n)
        """
    first = run(program, tmp_path, KIBITZ_URL="http://127.0.0.1:9")
    assert "0 calls sent" in first.stderr
    assert "10 calls kept on disk, delivered later" in first.stderr
    assert len(list((tmp_path / ".kibitz" / "spool").rglob("*.spool"))) == 1

    second = run(
        """
        import kibitz
        from kibitz.testing import CapturingTransport
        from kibitz.base.settings import TracingSettings
        from kibitz.tracing import session as sessions
        transport = CapturingTransport()
        session = sessions.Session(
            "t/app", TracingSettings(), target="http://127.0.0.1:9",
            factory=lambda: transport, transport=transport,
        )
        sessions.use(session)
        session.start()
        report = session.finish()
        print(report.recovered, sorted(part.output for batch in transport.batches for part in batch.calls))
        """,
        tmp_path,
    )

    assert second.stdout == f"10 {list(range(10))}\n"
    assert list((tmp_path / ".kibitz" / "spool").rglob("*.spool")) == []


@pytest.mark.processes
def test_a_hanging_server_does_not_hold_up_the_end(tmp_path: Path):
    done = run(
        """
        import socket, threading
        import kibitz
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        kibitz.init("t/app", f"http://127.0.0.1:{port}", exit_timeout_s=1.5, timeout_s=60)
        @kibitz.op
        def echo(value): return value
        for n in range(10): echo(n)
        """,
        tmp_path,
    )

    assert done.returncode == 0
    assert "10 calls kept on disk" in done.stderr


@pytest.mark.processes
def test_a_forked_child_records_on_its_own_and_the_parents_calls_are_sent_once(tmp_path: Path):
    done = run(
        """
        import os, sys
        import kibitz
        session = kibitz.init("t/app", print_summary=False)
        @kibitz.op
        def echo(value): return value
        @kibitz.op
        def parent():
            echo("before")
            child = os.fork()
            if child == 0:
                echo("child")
                kibitz.finish()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            echo("after")
            return "parent"
        parent()
        assert kibitz.finish().calls_sent == 3
        """,
        tmp_path,
    )

    assert done.stderr == ""
    store = sqlite.open_store(tmp_path / ".kibitz")
    page = store.calls.query(CallQuery(project="t/app", columns=frozenset(["output"])))
    store.close()
    by_output = {call.output: call for call in page.items}
    assert sorted(by_output) == ["after", "before", "child", "parent"]
    assert len(page.items) == 4
    parent = by_output["parent"]
    assert {by_output[name].parent_id for name in ("after", "before", "child")} == {parent.id}


@pytest.mark.processes
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_deliver_when_they_end(tmp_path: Path, method: str):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            import kibitz

            @kibitz.op
            def work(n):
                return n

            def start():
                kibitz.init("t/app", print_summary=False)

            if __name__ == "__main__":
                start()
                context = multiprocessing.get_context({method!r})
                with context.Pool(2, initializer=start) as pool:
                    assert pool.map(work, range(20), chunksize=1) == list(range(20))
                    pool.close()
                    pool.join()
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(tmp_path / ".kibitz") == sorted(str(n) for n in range(20))


@pytest.mark.processes
def test_several_processes_share_one_data_folder(tmp_path: Path):
    program = textwrap.dedent(
        """
        import sys
        import kibitz
        kibitz.init("t/app")
        @kibitz.op
        def echo(value): return value
        for n in range(200): echo(f"{sys.argv[1]}-{n}")
        """
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(number)],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    lines = [process.communicate(timeout=60)[1] for process in running]

    assert lines == ["kibitz: 200 calls sent to ./.kibitz\n"] * 4
    assert len(set(stored(tmp_path / ".kibitz"))) == 800


@pytest.mark.processes
def test_an_interrupted_program_sends_what_it_has(tmp_path: Path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import threading
                import kibitz
                kibitz.init("t/app")
                @kibitz.op
                def wait():
                    print("ready", flush=True)
                    threading.Event().wait()
                wait()
                """
            ),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert "KeyboardInterrupt" in errors
    assert "kibitz: 1 call sent to ./.kibitz" in errors
    assert len(stored(tmp_path / ".kibitz")) == 1


def test_a_fork_in_the_middle_of_an_op_keeps_the_ids_of_the_parent(tmp_path: Path):
    kibitz.init("t/app", data=str(tmp_path), print_summary=False)
    reader, writer = multiprocessing.Pipe(duplex=False)

    @kibitz.op
    def parent():
        call = kibitz.get_current_call()
        assert call is not None
        child = os.fork()
        if child == 0:
            writer.send(call.id)
            os._exit(0)
        os.waitpid(child, 0)
        return call.id

    assert parent() == reader.recv()
