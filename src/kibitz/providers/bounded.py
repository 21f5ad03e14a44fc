"""The door to httpx: clients whose answers are bounded, in size and in time as a whole, and that are closed.

httpx bounds the time between two pieces of an answer, not the time of all of them, and reads as much as is sent. A
service that drips, or sends without end, is cut off here. No redirect is followed: a key and what is judged go to
nobody but whom they are for. Proxies and certificates of the environment are used as httpx does.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import httpx

from kibitz.base import clock
from kibitz.base.locks import ForkLock

MAX_ANSWER_BYTES = 32 << 20
MAX_POOLS = 16
POOL_REQUESTS = 8
"""About so many requests under way share a pool."""
_UNTIL = "kibitz.until_ns"
_CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)


TIMEOUT = httpx.TimeoutException
UNREACHED = (httpx.TransportError, httpx.InvalidURL)
"""What clients raise that leave httpx's errors as they are."""


class TooLong(httpx.ReadError):
    """An answer is larger than what is read."""


class _Bounds:
    """How much of one answer may still come, and until when."""

    def __init__(self, request: httpx.Request) -> None:
        self._until_ns: int | None = request.extensions.get(_UNTIL)
        self._left = MAX_ANSWER_BYTES

    def check(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise TooLong(f"the answer has more than {MAX_ANSWER_BYTES:,} bytes")
        if self._until_ns is not None and clock.monotonic_ns() > self._until_ns:
            raise httpx.ReadTimeout("the whole answer did not come in time")
        return piece


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: Any, bounds: _Bounds) -> None:
        self._stream, self._bounds = stream, bounds

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield self._bounds.check(piece)

    def close(self) -> None:
        self._stream.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, stream: Any, bounds: _Bounds) -> None:
        self._stream, self._bounds = stream, bounds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield self._bounds.check(piece)

    async def aclose(self) -> None:
        await self._stream.aclose()


def _begin(request: httpx.Request) -> None:
    read_s: float | None = request.extensions.get("timeout", {}).get("read")
    if read_s is not None:
        until = clock.monotonic_ns() + int(read_s * 1e9)
        request.extensions = {**request.extensions, _UNTIL: until}


async def _abegin(request: httpx.Request) -> None:
    _begin(request)


def _bound(response: httpx.Response) -> None:
    response.stream = _Stream(response.stream, _Bounds(response.request))


async def _abound(response: httpx.Response) -> None:
    response.stream = _AsyncStream(response.stream, _Bounds(response.request))


@functools.cache
def _certificates(owner: int) -> ssl.SSLContext:
    """Read once for a process: it takes longer than a request."""
    return httpx.create_ssl_context()


def client() -> httpx.Client:
    """A client for any number of threads."""
    return httpx.Client(
        verify=_certificates(os.getpid()),
        limits=_CONNECTIONS,
        event_hooks={"request": [_begin], "response": [_bound]},
    )


def aclient() -> httpx.AsyncClient:
    """A client for the tasks of one event loop."""
    return httpx.AsyncClient(
        verify=_certificates(os.getpid()),
        limits=_CONNECTIONS,
        event_hooks={"request": [_abegin], "response": [_abound]},
    )


class _Closes(Protocol):
    def close(self) -> object: ...


S = TypeVar("S", bound=_Closes)
A = TypeVar("A")


class Clients(Generic[S, A]):
    """The clients for one service, address and key: one for threads, made anew after a fork, and one for each loop.

    They are made when they are first needed, shared by all who ask there, and closed by themselves: that of threads at
    the end of the program, that of a loop when the loop ends.
    """

    def __init__(self, make: Callable[[], S], amake: Callable[[], A]) -> None:
        self._make, self._amake = make, amake
        self._lock = threading.Lock()
        """Protects the two that follow."""
        self._made: S | None = None
        self._owner = os.getpid()
        self._by_loop: dict[asyncio.AbstractEventLoop, list[tuple[A, AsyncGenerator[None]]]] = {}
        self._turn = 0

    def get(self) -> S:
        """The client of threads."""
        if self._owner != os.getpid():
            # The lock may be held by a thread that this process does not have.
            self._lock, self._made, self._owner = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._made is None:
                self._made = self._make()
                weakref.finalize(self, self._made.close)
            return self._made

    async def aget(self, under_way: int = 1) -> A:
        """A client of the running loop, one of more where more requests are under way.

        What a pool of httpx does for each request grows with the square of its connections: fifty in one pool take most
        of a processor at 100 requests a second, fifty in seven take little.
        """
        loop = asyncio.get_running_loop()
        pools = self._by_loop.get(loop)
        if pools is None:
            for each in list(self._by_loop):
                if each.is_closed():
                    self._by_loop.pop(each, None)
            pools = self._by_loop[loop] = []
        wanted = min(MAX_POOLS, 1 + (under_way - 1) // POOL_REQUESTS)
        self._turn += 1
        at = self._turn % wanted
        if at < len(pools):
            return pools[at][0]
        made = self._amake()
        held = _held(made)
        pools.append((made, held))
        # A loop that ends closes its asynchronous generators (`shutdown_asyncgens`), and with this one the client:
        # nothing else tells a library that a loop ends. It is kept here, because one that nobody keeps is closed in a
        # task that the end of the loop does not wait for.
        await anext(held)
        return made


_lock = ForkLock()
_shared: dict[tuple[str, ...], Clients[Any, Any]] = {}
"""Every pair of clients of this process, under `_lock`; they are as few as the services that are asked."""


def shared(*place: str, make: Callable[[], Any], amake: Callable[[], Any]) -> Clients[Any, Any]:
    """The clients for a service, address and key; made by these where nobody has asked there yet."""
    with _lock:
        if place not in _shared:
            _shared[place] = Clients(make, amake)
        return _shared[place]


async def _held(client: Any) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        close = getattr(client, "close", None) or client.aclose
        await close()
