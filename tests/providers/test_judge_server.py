"""The judge that tests ask: it speaks like the services it stands for, to the real client."""

from __future__ import annotations

import asyncio

import openai
import pytest
from judge_server import JudgeServer, Reply, in_turn


def client(server: JudgeServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)


def ask(server: JudgeServer, **more):
    with client(server) as asking:
        return asking.chat.completions.create(
            model="stub", messages=[{"role": "user", "content": "hello"}], **more
        )


def test_a_number_is_text_or_json_as_it_was_asked_for() -> None:
    with JudgeServer(2) as server:
        assert ask(server).choices[0].message.content == "Score: 2"
        said = ask(server, response_format={"type": "json_object"})

    assert said.choices[0].message.content == '{"reason": "as told", "score": 2}'
    assert said.usage.prompt_tokens > 0
    assert [each.format for each in server.requests] == ["text", "json_object"]


def test_errors_have_their_status_and_headers() -> None:
    with JudgeServer(
        in_turn(Reply("slow down", status=429, headers={"Retry-After": "7"}), 1)
    ) as server:
        with pytest.raises(openai.RateLimitError) as raised:
            ask(server)
        assert ask(server).choices[0].message.content == "Score: 1"

    assert raised.value.response.headers["retry-after"] == "7"


def test_fifty_are_answered_at_the_same_time() -> None:
    async def all_of_them(url: str) -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as asking:
            said = await asyncio.gather(
                *(
                    asking.chat.completions.create(
                        model="stub", messages=[{"role": "user", "content": str(i)}]
                    )
                    for i in range(50)
                )
            )
        return [each.choices[0].message.content for each in said]

    with JudgeServer(1, latency_s=0.2) as server:
        said = asyncio.run(all_of_them(server.url))

    assert said == ["Score: 1"] * 50
    assert server.most_at_once > 25


def test_a_connection_can_be_dropped() -> None:
    with JudgeServer(Reply(drop=True)) as server, pytest.raises(openai.APIConnectionError):
        ask(server)


def test_embeddings_and_moderations_are_answered() -> None:
    with JudgeServer({"violence": 0.25}) as server, client(server) as asking:
        embedded = asking.embeddings.create(model="e", input=["a b", "c"], encoding_format="float")
        moderated = asking.moderations.create(input="x")

    assert [len(each.embedding) for each in embedded.data] == [16, 16]
    assert moderated.results[0].category_scores.violence == 0.25
