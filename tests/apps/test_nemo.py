"""NeMo Guardrails with its real runtime, where it is installed; its actions also without."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import rag

from kibitz import Feedback
from kibitz.apps import nemo
from kibitz.base.errors import UsageError
from kibitz.testing.capturing import Captured

COLANG = """
define bot answer
  "Write to us. $score"

define subflow check it
  $score = execute feedback(function="brief", text=$user_message)
  $chunks = execute look_up
  bot answer
  stop
"""
YAML = """
models: []
rails:
  input:
    flows:
      - check it
"""


@pytest.mark.filterwarnings("ignore")
def test_rails_are_an_app_and_a_feedback_function_is_an_action(captured: Captured):
    pytest.importorskip("nemoguardrails", reason="NeMo Guardrails is not installed")
    from nemoguardrails import LLMRails, RailsConfig
    from nemoguardrails.kb.kb import KnowledgeBase

    class Index:
        async def search(self, text, max_results, threshold=None):
            return [SimpleNamespace(meta={"title": "t", "body": "Write to us."})]

    config = RailsConfig.from_content(colang_content=COLANG, yaml_content=YAML)
    rails = LLMRails(config)
    base = KnowledgeBase(
        documents=["# a\nb"],
        config=config.knowledge_base,
        get_embedding_search_provider_instance=None,
    )
    base.index = Index()
    rails._kb = base

    async def look_up():
        return await base.search_relevant_chunks("How?")

    rails.register_action(look_up, name="look_up")
    rails.register_action(nemo.feedback_action(Feedback(rag.brief)), name="feedback")
    app = nemo.wrap(
        rails,
        app_name="rails",
        feedbacks=[Feedback(rag.brief, name="context").on(nemo.select_context())],
    )

    with app as recording:
        said = rails.generate(messages=[{"role": "user", "content": "How?"}])

    assert said["content"] == "Write to us. 1.0"
    record = recording.get()
    assert record.main_input == "How?"
    assert record.main_output == "Write to us. 1.0"
    assert record.wait_for_feedback_results(10)["context"].result == 1.0
    assert [part.op for part in captured.calls if part.parent_id is None] == ["generate"]


def test_an_action_gives_the_result_or_none_and_never_raises(caplog):
    action = nemo.feedback_action(Feedback(rag.brief), Feedback(rag.broken))

    async def run(**arguments):
        return await action(**arguments)

    assert asyncio.run(run(function="brief", text="short")) == 1.0
    assert asyncio.run(run(function="nothing", text="short")) is None
    assert asyncio.run(run(function="broken", text="short")) is None
    assert asyncio.run(run(function="brief", other="short")) is None
    assert "there are brief, broken" in caplog.text
    assert "cannot judge short" in caplog.text


def test_what_are_no_rails_is_refused():
    with pytest.raises(UsageError, match="has no generate"):
        nemo.wrap(rag.Retriever())
