"""A served store, asked as a browser without scripts asks, and what is written to it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin

import versions
from asking import Answer, ask
from markup import Element, read

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, FeedbackPart, FilePart, ObjectPart
from kibitz.base.settings import ServerSettings
from kibitz.server import serving
from kibitz.storage.protocols import Store

HTML = {"Accept": "text/html,*/*"}
PROJECT = "acme/bot"
PATH = "/p/acme~bot"
DIGEST = "a" * 40
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVIL = """<script>hacked()</script><img src=x onerror="hacked()">"'&{{7*7}}{%x%}"""


@dataclass
class Site:
    """A served store, asked as a browser without scripts asks."""

    url: str
    store: Store
    asked: Counter[str]
    """How often each method of the store was called."""

    def answer(self, path: str, headers: dict[str, str] | None = None, form: Any = None) -> Answer:
        body = None if form is None else urlencode(form).encode()
        sent = {**HTML, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        return ask(self.url, "GET" if form is None else "POST", path, body, sent)

    def page(self, path: str, status: int = 200, **headers: str) -> Element:
        answer = self.answer(path, {name.replace("_", "-"): text for name, text in headers.items()})
        assert answer.status == status, answer.body[:600]
        return read(answer.body)

    def follow(self, path: str, link: Element) -> Element:
        return self.page(urljoin(path, link["href"]))


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, inner: Any, asked: Counter[str], prefix: str = "") -> None:
        self._inner, self._asked, self._prefix = inner, asked, prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        place = f"{self._prefix}{name}"
        if not callable(found):
            return Counting(found, self._asked, f"{place}.")

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._asked[place] += 1
            return found(*args, **kwargs)

        return counted


@contextmanager
def served(store: Any, **options: Any) -> Iterator[str]:
    listening = serving.listen(ServerSettings(port=0, **options))
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=listening.serve, args=(store,), kwargs={"stop": stop, "ready": ready.set}
    )
    thread.start()
    assert ready.wait(20)
    try:
        yield listening.url
    finally:
        stop.set()
        thread.join(20)


def part(id_: str, at_s: float = 0, **more: Any) -> CallPart:
    started_at = START + timedelta(seconds=at_s)
    given: dict[str, Any] = {
        "op": "answer",
        "trace_id": id_,
        "started_at": started_at,
        "ended_at": started_at + timedelta(seconds=1),
        "inputs": {"question": f"question {id_}"},
        "output": f"output {id_}",
    }
    return CallPart(id=id_, **{**given, **more})


def judged(id_: str, type_: str, payload: Any, **more: Any) -> FeedbackPart:
    given: dict[str, Any] = {"created_at": START}
    if type_.startswith("runnable."):
        given |= versions.made_by(PROJECT, type_, kind="op")
        given["call_ref"] = refs.call_ref(PROJECT, "scoring")
    return FeedbackPart(
        type=type_, target_ref=refs.call_ref(PROJECT, id_), payload=payload, **{**given, **more}
    )


def write(site: Site, *items: CallPart | FeedbackPart | ObjectPart | FilePart) -> None:
    judgements = [each for each in items if isinstance(each, FeedbackPart)]
    receipt = site.store.ingest.write(
        Batch(
            project=PROJECT,
            calls=[each for each in items if isinstance(each, CallPart)],
            feedback=judgements,
            objects=[
                *(each for each in items if isinstance(each, ObjectPart)),
                *versions.named_by(judgements),
            ],
            files=[each for each in items if isinstance(each, FilePart)],
        )
    )
    assert not receipt.rejected
