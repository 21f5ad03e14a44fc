"""What the workers of `benchmarks.deferred` judge with, and the service that one of the judges waits for."""

from __future__ import annotations

import asyncio
import os
import sys

from kibitz.base.provider import Provider

LATENCY_S = 0.2
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n0.5"


def length(text: str) -> float:
    """As little as a function can do."""
    return min(len(text) / 100, 1.0)


def noted(text: str) -> float:
    """Notes that it was called: appended lines of this size are not torn."""
    file = os.open(os.environ["BENCHMARK_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{text}\n".encode())
    os.close(file)
    return 1.0


class Remote(Provider):
    """Asks a service, over a connection of its own each time."""

    def __init__(self, port: int) -> None:
        self.port = port

    def score(self, text: str) -> float:
        return asyncio.run(self.ascore(text))

    async def ascore(self, text: str) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = text.encode()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        answer = await reader.read()
        writer.close()
        return float(answer.rpartition(b"\r\n")[2])


async def serve() -> None:
    """Answer every request after `LATENCY_S`; the port is printed first."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length_ = int(head.lower().partition(b"content-length:")[2].split()[0])
        await reader.readexactly(length_)
        await asyncio.sleep(LATENCY_S)
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
