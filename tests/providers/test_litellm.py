"""Judges through LiteLLM, the real one, against a real server."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys

import pytest
from judge_server import JudgeServer, Reply, in_turn

from kibitz.base import spending
from kibitz.base.errors import Unauthorized
from kibitz.providers import LiteLLM

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library's own making


def judge(server: JudgeServer, **options) -> LiteLLM:
    return LiteLLM("openai/stub", base_url=server.url, api_key="sk-secret-one", **options)


def test_it_judges_and_counts() -> None:
    with (
        JudgeServer(Reply(3, input_tokens=10, output_tokens=5)) as server,
        spending.tally() as spent,
    ):
        assert judge(server).relevance("a", "b") == 1.0
    assert (spent.total.input_tokens, spent.total.output_tokens) == (10, 5)
    assert server.requests[0].format == "json_schema"
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret-one"


def test_coroutines_judge_too() -> None:
    with JudgeServer(3) as server:
        assert asyncio.run(judge(server).arelevance("a", "b")) == 1.0
    # It keeps connections of its own, which it leaves to the collector: here, not in somebody else's test.
    gc.collect()


def test_retries_are_ours_and_errors_name_no_key() -> None:
    busy = Reply("slow down", status=429, headers={"Retry-After": "0.01"})
    with JudgeServer(in_turn(busy, 3)) as server:
        assert judge(server).relevance("a", "b") == 1.0
        assert len(server.requests) == 2
        server.answer = lambda _request: Reply("sk-secret-one is wrong", status=401)
        with pytest.raises(Unauthorized) as raised:
            judge(server).relevance("a", "b")
    assert "sk-secret-one" not in str(raised.value)


def test_importing_it_asks_no_network_and_leaves_the_environment_alone() -> None:
    code = """
import os, socket
def refuse(*args, **kwargs): raise AssertionError("asked the network")
socket.getaddrinfo = refuse
before = dict(os.environ)
from kibitz.providers import LiteLLM
LiteLLM("openai/x", api_key="x")
assert {k: v for k, v in os.environ.items() if k.startswith("LITELLM")} == {k: v for k, v in before.items() if k.startswith("LITELLM")}
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "fetch" not in done.stderr
