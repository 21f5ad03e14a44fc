"""A judge to be asked over HTTP: a real server in a thread that speaks like model services do and answers as told.

    with JudgeServer(lambda request: 3 if "Paris" in request.text else 0) as server:
        OpenAI(model="stub", base_url=server.url, api_key="none").relevance("…", "…")
    server.requests[0].messages, server.most_at_once

What an answer may be: a number (the score, as JSON where JSON is asked for and as text otherwise), a text (what the
model says), a dict or list (the same as JSON), or a `Reply` (status, headers, delay, hang, a dropped connection, any
bytes). `in_turn` gives one after the other and then the last for ever.

It runs as a program too, where its work is not to share the interpreter with what is measured:

    python judge_server.py --latency 0.2 --score 3        # prints its address
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

MODERATION_CATEGORIES = (
    "hate",
    "hate/threatening",
    "harassment",
    "harassment/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True)
class Request:
    """What was asked."""

    number: int
    """0 for the first."""
    method: str
    path: str
    headers: dict[str, str]
    """Names in small letters."""
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.content or b"{}")

    @property
    def model(self) -> str:
        return self.body.get("model", "")

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body.get("messages", [])

    @property
    def text(self) -> str:
        """Everything that was said to the model."""
        if self.messages:
            return "\n".join(str(each.get("content", "")) for each in self.messages)
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def format(self) -> str:
        """`json_schema`, `json_object` or `text`."""
        return (self.body.get("response_format") or {}).get("type", "text")


@dataclass(frozen=True)
class Reply:
    """What to answer, and how."""

    content: Any = None
    """What the model says, or the whole JSON of an answer that is no chat."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """The bytes of the answer as they are, in the place of an envelope around `content`."""
    media_type: str = "application/json"
    delay_s: float = 0.0
    until: threading.Event | None = None
    """Answer when this is set."""
    hang: bool = False
    """Never answer."""
    drop: bool = False
    """Close the connection without an answer."""
    input_tokens: int | None = None
    """Counted roughly from the text where None."""
    output_tokens: int | None = None
    message: dict[str, Any] = field(default_factory=dict)
    """Further fields of the message, such as `refusal`."""
    finish_reason: str = "stop"


Answer = Reply | str | float | dict[str, Any] | list[Any] | None
Answering = Callable[[Request], Answer]


def in_turn(*answers: Answer) -> Answering:
    """These one after the other, and then the last for ever."""
    left = list(answers)
    lock = threading.Lock()

    def answer(_request: Request) -> Answer:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answer


class JudgeServer:
    """The server, while its block runs."""

    def __init__(self, answer: Answering | Answer = 3, *, latency_s: float = 0.0) -> None:
        self.answer: Answering = answer if callable(answer) else lambda _request: answer
        """May be replaced at any time."""
        self.latency_s = latency_s
        """How long every answer takes, beside the delay of its reply."""
        self.requests: list[Request] = []
        self.failures: list[BaseException] = []
        """What the answering function raised; raised at the end of the block."""
        self.in_flight = 0
        self.most_at_once = 0
        self.host, self.port = "127.0.0.1", 0
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="judge-server", daemon=True)

    @property
    def root(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL for OpenAI's client."""
        return f"{self.root}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if self.failures and kind is None:
            raise self.failures[0]

    def close(self) -> None:
        """Stop; whoever still waits for an answer loses the connection."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._connection, self.host, 0, limit=1 << 24, backlog=512
        )
        self.port = server.sockets[0].getsockname()[1]
        self._connections: set[asyncio.Task[None]] = set()
        self._started.set()
        await self._stop.wait()
        server.close()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side went away, or the server stops
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; False where the connection is not to be used again."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(len(self.requests), method, path, headers, content)
        self.requests.append(request)
        self.in_flight += 1
        self.most_at_once = max(self.most_at_once, self.in_flight)
        try:
            reply = self._reply(request)
            await self._wait(reply)
        finally:
            self.in_flight -= 1
        if reply.drop:
            writer.transport.abort()
            return False
        writer.write(_encoded(request, reply))
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    def _reply(self, request: Request) -> Reply:
        try:
            said = self.answer(request)
        except Exception as error:  # noqa: BLE001 - a test's own function: its block raises it
            self.failures.append(error)
            return Reply(f"the answering function raised {error!r}", status=500)
        if isinstance(said, Reply):
            return said
        return Reply(said)

    async def _wait(self, reply: Reply) -> None:
        if self.latency_s + reply.delay_s > 0:
            await asyncio.sleep(self.latency_s + reply.delay_s)
        if reply.until is not None:
            await asyncio.to_thread(reply.until.wait, 30)
        if reply.hang:
            await asyncio.Event().wait()


def _encoded(request: Request, reply: Reply) -> bytes:
    body = reply.body if reply.body is not None else json.dumps(_envelope(request, reply)).encode()
    lines = [
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Status')}",
        f"Content-Type: {reply.media_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _envelope(request: Request, reply: Reply) -> Any:
    if reply.status >= 400:
        error = {"message": str(reply.content or "no"), "type": "stub", "code": reply.status}
        return {"error": error, "message": error["message"]}
    path = request.path.partition("?")[0]
    if path.endswith("/chat/completions"):
        return _completion(request, reply)
    if path.endswith("/embeddings"):
        return _embeddings(request, reply)
    if path.endswith("/moderations"):
        return _moderation(request, reply)
    if path.endswith("/v2/chat"):
        return _cohere_chat(request, reply)
    if path.endswith("/rerank"):
        return _rerank(request, reply)
    return reply.content


def _said(request: Request, reply: Reply) -> str | None:
    said = reply.content
    if isinstance(said, bool | int | float):
        if request.format == "text":
            return f"Score: {said}"
        return json.dumps({"reason": "as told", "score": said})
    if isinstance(said, dict | list):
        return json.dumps(said, ensure_ascii=False)
    return said


def _completion(request: Request, reply: Reply) -> dict[str, Any]:
    said = _said(request, reply)
    read = reply.input_tokens if reply.input_tokens is not None else len(request.content) // 4
    written = reply.output_tokens if reply.output_tokens is not None else len(said or "") // 4
    return {
        "id": f"chatcmpl-{request.number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said, **reply.message},
                "finish_reason": reply.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def _vector(text: str, size: int = 16) -> list[float]:
    """A vector of a text: the words that it shares with another bring the two nearer."""
    vector = [0.0] * size
    for word in text.lower().split():
        vector[hashlib.blake2s(word.encode()).digest()[0] % size] += 1.0
    return vector


def _embeddings(request: Request, reply: Reply) -> dict[str, Any]:
    texts = request.body["input"]
    texts = [texts] if isinstance(texts, str) else texts
    vectors = reply.content if isinstance(reply.content, list) else [_vector(x) for x in texts]
    data = [
        {"object": "embedding", "index": i, "embedding": each} for i, each in enumerate(vectors)
    ]
    used = sum(len(x) // 4 for x in texts)
    return {
        "object": "list",
        "model": request.model,
        "data": data,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _moderation(request: Request, reply: Reply) -> dict[str, Any]:
    given = reply.content if isinstance(reply.content, dict) else {}
    scores = {name: float(given.get(name, 0.0)) for name in MODERATION_CATEGORIES}
    result = {
        "flagged": any(score > 0.5 for score in scores.values()),
        "categories": {name: score > 0.5 for name, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }
    return {"id": "modr-1", "model": request.model or "omni-moderation", "results": [result]}


def _cohere_chat(request: Request, reply: Reply) -> dict[str, Any]:
    said = _said(request, reply) or ""
    tokens = {"input_tokens": len(request.content) // 4, "output_tokens": len(said) // 4}
    return {
        "id": f"c-{request.number}",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": said}]},
        "usage": {"billed_units": tokens, "tokens": tokens},
    }


def _rerank(request: Request, reply: Reply) -> dict[str, Any]:
    documents = request.body["documents"]
    scores = reply.content if isinstance(reply.content, list) else [0.5] * len(documents)
    results = [{"index": i, "relevance_score": score} for i, score in enumerate(scores)]
    return {
        "id": f"r-{request.number}",
        "results": results,
        "meta": {"billed_units": {"search_units": 1}},
    }


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="A judge that answers as told.")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--score", type=float, default=3.0)
    given = parser.parse_args()
    score = int(given.score) if given.score.is_integer() else given.score
    with JudgeServer(score, latency_s=given.latency) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
