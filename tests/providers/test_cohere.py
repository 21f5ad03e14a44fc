"""Judges at Cohere: the real client against a real server."""

from __future__ import annotations

import asyncio

import pytest
from judge_server import JudgeServer, Reply, in_turn

from kibitz.base import spending
from kibitz.base.errors import JudgeAnswerError, Unauthorized, Unavailable, UsageError
from kibitz.providers import Cohere


def judge(server: JudgeServer, **options) -> Cohere:
    return Cohere(base_url=server.root, api_key="co-secret-one", **options)


def test_it_judges_with_reasons_and_counts() -> None:
    with JudgeServer({"reason": "so", "score": 3}) as server:
        with spending.tally() as spent:
            assert judge(server).relevance_with_reasons("a", "b") == (1.0, {"reason": "so"})
        assert asyncio.run(judge(server).arelevance("a", "b")) == 1.0
    assert spent.total.input_tokens > 0
    assert spent.total.usd > 0
    assert server.requests[0].body["response_format"]["schema"]["required"] == ["reason", "score"]


def test_passages_are_ranked() -> None:
    with JudgeServer([0.25]) as server:
        assert judge(server).rerank_relevance("q", "passage") == 0.25
        assert asyncio.run(judge(server).arerank_relevance("q", "passage")) == 0.25
        server.answer = lambda _request: Reply(body=b'{"id": "x", "results": []}')
        with pytest.raises(JudgeAnswerError, match="the ranking has no relevance"):
            judge(server).rerank_relevance("q", "passage")
    assert server.requests[0].body["documents"] == ["passage"]


def test_retries_are_ours_and_errors_are_of_our_tree() -> None:
    busy = Reply("slow down", status=429, headers={"Retry-After": "0.01"})
    with JudgeServer(in_turn(busy, 3)) as server:
        assert judge(server).relevance("a", "b") == 1.0
        assert len(server.requests) == 2
        for reply, kind in (
            (Reply("co-secret-one is wrong", status=401), Unauthorized),
            (Reply(drop=True), Unavailable),
            (Reply(body=b"<html>", media_type="text/html"), (UsageError, Unavailable)),
        ):
            server.answer = lambda _request, reply=reply: reply
            with pytest.raises(kind) as raised:
                judge(server, retries=0).relevance("a", "b")
            assert "co-secret-one" not in str(raised.value)


def test_its_key_goes_to_cohere_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CO_API_KEY", "co-of-environment")
    assert Cohere()._secret == "co-of-environment"
    assert Cohere(base_url="https://evil.example")._secret is None
    assert "co-of" not in repr(Cohere())
