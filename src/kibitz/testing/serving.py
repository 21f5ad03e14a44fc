"""A real server over a folder, for as long as a test wants it: in a thread, or in a process that can be killed.

with kibitz.testing.server(tmp_path) as url:
    kibitz.init("app", url=url)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from kibitz.base import settings
from kibitz.base.errors import Unavailable
from kibitz.base.settings import ServerSettings
from kibitz.server import serving
from kibitz.storage import sqlite

STOP_TIMEOUT_S = 30.0


@contextmanager
def server(folder: Path | str, **options: Any) -> Generator[str]:
    """A server over a data folder, in this process, on a free port; gives its address.

    Args:
        folder: the data folder; it is made where it is missing.
        options: settings of the server by name (`ServerSettings`): `api_keys=("key",)`, `max_body_bytes=1000`.
    """
    chosen = settings.load(ServerSettings, {}, {"data": str(folder), "port": 0, **options})
    listening = serving.listen(chosen)
    store = _open(chosen)
    stop = threading.Event()
    ready = threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            listening.serve(store, stop=stop, ready=ready.set)
        except BaseException as error:  # noqa: BLE001  the top of a thread: handed to who waits for it
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="kibitz-server", daemon=True)
    thread.start()
    try:
        ready.wait(STOP_TIMEOUT_S)
        if failures:
            raise failures[0]
        yield listening.url
    finally:
        stop.set()
        thread.join(STOP_TIMEOUT_S)
        store.close()


class ServerProcess:
    """A server over a data folder in a process of its own, which can be killed and started again.

    Settings come from `environment`, as for `kibitz serve`. Use it in a `with` block.
    """

    def __init__(
        self, folder: Path | str, *, port: int = 0, environment: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Start it and wait until it answers.

        Raises:
            Unavailable: it ended instead; the message is what it said.
        """
        # A file and no pipe, which would be full one day and stop the server in the middle of a word.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the process
        self._said = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kibitz.testing.serving", str(folder), str(port)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **dict(environment)},
            text=True,
        )
        assert self._process.stdout is not None
        self.url: str = self._process.stdout.readline().strip()
        """Where it answers."""
        if not self.url:
            self._wait()
            raise Unavailable(f"the server did not start: {self.log.strip()[-2000:]}")

    @property
    def log(self) -> str:
        """What it has said on standard error so far."""
        if not self._log.closed:
            file = self._log.fileno()
            self._said = os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", "replace")
        return self._said

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        self._process.kill()
        self._wait()

    def stop(self) -> int:
        """Tell it to stop and give its exit status."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._wait()
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.returncode

    def _wait(self) -> None:
        self._process.communicate(timeout=STOP_TIMEOUT_S)
        self._said = self.log
        self._log.close()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _open(chosen: ServerSettings) -> sqlite.SqliteStore:
    return sqlite.open_store(
        Path(chosen.data),
        synchronous=chosen.synchronous,
        query_timeout_s=chosen.query_timeout_s,
        max_call_bytes=chosen.max_call_bytes,
        upkeep=True,
    )


def _main(folder: str, port: str) -> None:
    chosen = settings.load(ServerSettings, os.environ, {"data": folder, "port": int(port)})
    listening = serving.listen(chosen)
    store = _open(chosen)

    def say() -> None:
        sys.stdout.write(f"{listening.url}\n")
        sys.stdout.flush()

    try:
        listening.serve(store, ready=say)
    finally:
        store.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
