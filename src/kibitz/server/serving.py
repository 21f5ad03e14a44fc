"""The server as a process: one port, one event loop, threads for what waits for the disk.

It is one process on purpose. Everything written goes through one writer anyway, and a process that is
killed leaves no child behind that holds the port.

    listening = serving.listen(settings)     refuses what would be unsafe, takes the port
    print(listening.url)
    listening.serve(store)                   until SIGTERM or SIGINT
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar

from kibitz.base import clock
from kibitz.base.errors import SettingsError, Unavailable
from kibitz.base.settings import ServerSettings
from kibitz.server import access, bodies
from kibitz.server.app import build_app
from kibitz.storage.protocols import Store

READER_THREADS = 16
BACKLOG = 1024
GRACE_S = 2.0
"""How long requests that are being answered may take after the server was told to stop."""
STORING_GRACE_S = 20.0
"""How long those may take from then on whose bodies were read whole: what is being stored is acknowledged."""
_LOOK_S = 0.1


def listen(settings: ServerSettings) -> Listening:
    """Check that serving is safe, and take the port.

    Port 0 takes any free one.

    Raises:
        SettingsError: the host is not this machine alone and there are no keys; or there is no such host.
        Unavailable: the port is taken or not allowed.
    """
    access.check_bind(settings.host, access.read_keys(settings))
    return Listening(settings, _bind(settings.host, settings.port))


class Listening:
    """A port that was taken. Who connects before `serve` waits."""

    def __init__(self, settings: ServerSettings, bound: socket.socket) -> None:
        self._settings = settings
        self._socket = bound
        self.port: int = bound.getsockname()[1]

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = self._settings.host
        if host in ("0.0.0.0", "::"):
            host = "localhost"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def serve(
        self,
        store: Store,
        *,
        ready: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Serve until told to stop, by SIGTERM and SIGINT, or by the event where one is given.

        Returns when requests under way are answered, or have had `GRACE_S`, and `STORING_GRACE_S` where their
        bodies were read whole. The store stays open.

        Args:
            ready: called when requests are answered.
            stop: ends serving when it is set; signals are left alone then.
        """
        try:
            app = build_app(store, self._settings)
            asyncio.run(_serve(app, self._socket, ready, stop))
        finally:
            self.close()

    def close(self) -> None:
        """Give the port back without serving."""
        self._socket.close()


class _Server(Server):
    """Granian within this process, on a socket that is bound already.

    Granian would bind with SO_REUSEPORT, with which a second server on a taken port gets no error but half
    of the requests; and it could not say which port 0 became.
    """

    def __init__(self, app: Litestar, bound: socket.socket) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            log_enabled=False,
        )
        self._bound = bound

    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(self._bound.detach(), False, BACKLOG)  # pyright: ignore[reportCallIssue] its stub lacks the constructor
        self._ssp = None


async def _serve(
    app: Litestar,
    bound: socket.socket,
    ready: Callable[[], None] | None,
    stop: threading.Event | None,
) -> None:
    loop = asyncio.get_running_loop()
    readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="kibitz-read")
    loop.set_default_executor(readers)
    stopping = asyncio.Event()
    if stop is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
    else:
        threading.Thread(
            target=_pass_on, args=(stop, loop, stopping), name="kibitz-stop", daemon=True
        ).start()
    server = _Server(app, bound)
    serving = asyncio.ensure_future(server.serve())
    stopped = asyncio.ensure_future(stopping.wait())
    if ready is not None:
        ready()
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        server.stop()
        await _finish(serving, app.state["bodies"])
    stopped.cancel()
    if serving.done():
        serving.result()
    readers.shutdown(wait=False, cancel_futures=True)


async def _finish(serving: asyncio.Future[None], held: bodies.Bodies) -> None:
    """Wait for what is being answered.

    What still runs after that is left to die with the loop: a client that has sent half of a request and keeps
    silent would otherwise keep the server up for ever.
    """
    await asyncio.wait({serving}, timeout=GRACE_S)
    end_ns = clock.monotonic_ns() + int(STORING_GRACE_S * 1e9)
    while not serving.done() and held.any and clock.monotonic_ns() < end_ns:
        await asyncio.wait({serving}, timeout=_LOOK_S)
    # The last answer has been given to the connection; it is sent now.
    await asyncio.wait({serving}, timeout=_LOOK_S)


def _pass_on(
    stop: threading.Event, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event
) -> None:
    stop.wait()
    if not loop.is_closed():
        loop.call_soon_threadsafe(stopping.set)


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, address = _resolve(host, port)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _bind_error(host, port, error) from error
    return bound


def _resolve(host: str, port: int) -> tuple[Any, Any, int, Any]:
    if not 0 <= port <= 65535:
        raise SettingsError(f"port {port} is not from 0 to 65535", setting="port", value=port)
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"host {host!r} is not known on this machine: {error}; the usual one is 127.0.0.1",
            setting="host",
            value=host,
        ) from error
    # Where a name means both kinds of address, the older kind is what other programs try as well.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, kind, protocol, _, address = found[0]
    return family, kind, protocol, address


def _bind_error(host: str, port: int, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            f"port {port} of {host} is taken, perhaps by another kibitz serve; "
            "choose another with --port, or 0 for any free one",
            port=port,
        )
    if error.errno == errno.EACCES:
        return Unavailable(
            f"port {port} of {host} may not be used by this user; choose one of 1024 or more",
            port=port,
        )
    return SettingsError(
        f"host {host!r} cannot be listened on: {error}; the usual one is 127.0.0.1",
        setting="host",
        value=host,
    )
