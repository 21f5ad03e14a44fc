"""LlamaIndex: engines, retrievers, models and tools as calls, through LlamaIndex's own instrumentation.

    from kibitz.apps.llamaindex import Recorder, select_context

    recorder = Recorder(app_name="support", feedbacks=[
        Feedback(judge.relevance).on_input().on(select_context())])

    with recorder as recording:
        engine.query("How?")

A span is the call `<class>.<method>`, as `VectorIndexRetriever.retrieve`; those of private methods are passed over. What
runs in the block is recorded, or everything after `recorder.attach()`. The answer of an engine that streams is
recorded when its `response_gen` has been read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from kibitz.apps import recorder, recordings, runs
from kibitz.apps.recordings import Recordings
from kibitz.base.errors import MissingExtra
from kibitz.base.locks import ForkLock
from kibitz.judging.guardrails import context_filter
from kibitz.judging.lenses import Lens
from kibitz.judging.select import Select
from kibitz.tracing import guard, recording
from kibitz.tracing.recording import Active

try:
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.base.response.schema import (
        AsyncStreamingResponse,
        Response,
        StreamingResponse,
    )
    from llama_index.core.chat_engine.types import (
        AgentChatResponse,
        StreamingAgentChatResponse,
    )
    from llama_index.core.instrumentation import (
        get_dispatcher,  # pyright: ignore[reportPrivateImportUsage] its documented place
    )
    from llama_index.core.instrumentation.span import BaseSpan
    from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
    from llama_index.core.tools.types import BaseTool
    from pydantic import PrivateAttr
except ImportError as error:
    raise MissingExtra(
        "llama-index-core is not installed, which kibitz.apps.llamaindex records: pip install llama-index-core"
    ) from error

if TYPE_CHECKING:
    import inspect

    from llama_index.core.schema import QueryBundle

    from kibitz.judging.functions import Feedback

_KINDS: tuple[tuple[Any, str], ...] = (
    (BaseRetriever, "retriever"),
    (BaseLLM, "llm"),
    (BaseEmbedding, "embedding"),
    (BaseTool, "tool"),
)
_COUNTS = {
    "prompt_tokens": "input_tokens",
    "input_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
}


class Recorder(recorder.Recorder):
    """Records what LlamaIndex runs in its blocks, and has the records judged.

    Args:
        options: as of `kibitz.App`: `app_name`, `app_version`, `feedbacks`, `feedback_mode`, `tags`, `metadata`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.runs = runs.Runs(self.identity.attributes, self.begin_record)
        self._handler = _Handler(self)
        self._holding = 0
        self._changing = ForkLock()

    def attach(self) -> None:
        """Record everything that LlamaIndex runs in this process from now on, also outside of blocks."""
        self._handler.everywhere = True
        self._hold(1)

    def detach(self) -> None:
        """Record what runs in blocks only."""
        if self._handler.everywhere:
            self._handler.everywhere = False
            self._hold(-1)

    def _hold(self, more: int) -> None:
        with self._changing:
            dispatcher: Any = get_dispatcher()
            handlers: list[Any] = dispatcher.span_handlers
            self._holding += more
            known = any(each is self._handler for each in handlers)
            if self._holding and not known:
                handlers.append(self._handler)
            elif not self._holding and known:
                handlers[:] = [each for each in handlers if each is not self._handler]

    def __enter__(self) -> Recordings:
        self._hold(1)
        return super().__enter__()

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        self._hold(-1)

    async def __aenter__(self) -> Recordings:
        self._hold(1)
        return await super().__aenter__()

    async def __aexit__(self, *problem: object) -> None:
        await super().__aexit__(*problem)
        self._hold(-1)

    def with_record(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        self._hold(1)
        try:
            return super().with_record(func, *args, **kwargs)
        finally:
            self._hold(-1)

    async def awith_record(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        self._hold(1)
        try:
            return await super().awith_record(func, *args, **kwargs)
        finally:
            self._hold(-1)


def select_source_nodes() -> Lens:
    """The nodes that an engine's answer is from, with their scores: `Select.RecordRets.source_nodes[:]`."""
    return Select.RecordRets.source_nodes[:]


def select_context() -> Lens:
    """The texts of the nodes that an engine's answer is from."""
    return select_source_nodes().node.text


class WithFeedbackFilterNodes(BaseQueryEngine):
    """An engine that answers from those of another one's nodes that a feedback function finds good, in their order.

        good = WithFeedbackFilterNodes(engine, relevance, 0.5)

    The feedback function is called with the query and the text of a node, see `kibitz.context_filter`.

    Args:
        query_engine: it retrieves and synthesizes, as `RetrieverQueryEngine` does.
        feedback: of the query and a text.
        threshold: nodes above it are kept, or below it where lower is better.
    """

    def __init__(self, query_engine: Any, feedback: Feedback, threshold: float) -> None:
        super().__init__(query_engine.callback_manager)
        self.query_engine = query_engine
        self._good = context_filter(feedback, threshold, text=_text_of)

    def _get_prompt_modules(self) -> Any:
        return {"query_engine": self.query_engine}

    def _query(self, query_bundle: QueryBundle) -> Any:
        def found(query: str) -> Any:
            del query
            return self.query_engine.retrieve(query_bundle)

        return self.query_engine.synthesize(query_bundle, self._good(found)(query_bundle.query_str))

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        async def found(query: str) -> Any:
            del query
            return await self.query_engine.aretrieve(query_bundle)

        kept: Any = await self._good(found)(query_bundle.query_str)
        return await self.query_engine.asynthesize(query_bundle, kept)


def _text_of(node: Any) -> str:
    return str(node.node.get_content())


class _Handler(BaseSpanHandler[BaseSpan]):
    """Hands the spans of a dispatcher to a recorder, and keeps none."""

    everywhere: bool = False
    _recorder: Any = PrivateAttr()
    _writing: dict[int, tuple[str, Any]] = PrivateAttr(default_factory=dict[int, tuple[str, Any]])
    """Answers of chat engines that are being written, by their ids: the run, and the answer, which keeps its id."""

    def __init__(self, owner: Recorder) -> None:
        super().__init__()
        self._recorder = owner

    def _wanted(self, parent_id: str | None) -> bool:
        owner: Recorder = self._recorder
        return self.everywhere or owner.runs.knows(parent_id) or bool(recordings.opened(owner))

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            written = self._writing.get(id(instance))
            if written is not None:
                # On a thread or task of its own, which knows no parent.
                parent_span_id = written[0]
            if not self._wanted(parent_span_id):
                return
            name = id_.partition("-")[0]
            owner: Recorder = self._recorder
            if name.rpartition(".")[2].startswith("_") and not name.endswith("__call__"):
                owner.runs.skip(id_, parent_span_id)
                return
            component, _, method = name.rpartition(".")
            owner.runs.begin(
                id_,
                parent_span_id,
                name=runs.place(component or "functions", method),
                kind=_kind(instance),
                inputs=_inputs(bound_args.arguments),
            )
        except Exception as problem:  # noqa: BLE001 the guard of the recording path
            guard.note(problem)

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        result: Any = None,
        **kwargs: Any,
    ) -> None:
        owner: Recorder = self._recorder
        try:
            owner.runs.tell(id_, _summary(instance, result))
            if self._goes_on(id_, result):
                return
        except Exception as problem:  # noqa: BLE001 the guard of the recording path
            guard.note(problem)
        owner.runs.end(id_, result)
        if _writes(id_, instance):
            self._written(instance, None)

    def _goes_on(self, id_: str, result: Any) -> bool:
        """Whether an answer is being made yet, so that its run ends when it is."""
        owner: Recorder = self._recorder
        streams = (StreamingResponse, AsyncStreamingResponse, StreamingAgentChatResponse)
        if not isinstance(result, streams) or not owner.runs.is_first(id_):
            return False
        if isinstance(result, StreamingResponse):
            _read_later(owner.runs, id_, result)
        elif isinstance(result, AsyncStreamingResponse):
            _read_later_async(owner.runs, id_, result)
        else:
            owner.runs.leave(id_)
            self._writing[id(result)] = (id_, result)
            if result.is_done:
                # Its thread was quicker.
                self._written(result, None)
        return True

    def _written(self, response: Any, error: BaseException | None) -> None:
        """The answer of a chat engine is there, or is not to come."""
        # Whoever takes it out ends the run.
        id_, _ = self._writing.pop(id(response), (None, None))
        if id_ is None:
            return
        owner: Recorder = self._recorder
        answer = AgentChatResponse(
            response=response.response,
            sources=response.sources,
            source_nodes=response.source_nodes,
        )
        owner.runs.end(id_, answer, error)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        owner: Recorder = self._recorder
        failed = err or RuntimeError("the span was dropped")
        owner.runs.end(id_, None, failed)
        if _writes(id_, instance):
            self._written(instance, failed)


def _writes(id_: str, instance: Any) -> bool:
    """Whether a span writes the answer of a chat engine that streams."""
    return isinstance(instance, StreamingAgentChatResponse) and "write_response_to_history" in id_


def _read_later(known: runs.Runs, id_: str, response: StreamingResponse) -> None:
    """End a run when its answer has been read."""
    given: Any = response.response_gen
    if given is None:
        known.end(id_, response)
        return
    call = known.leave(id_)

    def read() -> Generator[Any]:
        with _reading(known, id_, response) as parts:
            while True:
                with Active(call):
                    part = next(given, recording.NOTHING)
                if part is recording.NOTHING:
                    return
                parts.append(str(part))
                yield part

    response.response_gen = cast("Any", read())


def _read_later_async(known: runs.Runs, id_: str, response: AsyncStreamingResponse) -> None:
    """`_read_later` for an answer that is awaited."""
    given: Any = response.response_gen
    if given is None:
        known.end(id_, response)
        return
    call = known.leave(id_)

    async def read() -> AsyncGenerator[Any]:
        with _reading(known, id_, response) as parts:
            while True:
                with Active(call):
                    part = await anext(given, recording.NOTHING)
                if part is recording.NOTHING:
                    return
                parts.append(str(part))
                yield part

    response.response_gen = cast("Any", read())


@contextmanager
def _reading(
    known: runs.Runs, id_: str, response: StreamingResponse | AsyncStreamingResponse
) -> Generator[list[str]]:
    """Gathers the parts of an answer while somebody reads it, and ends its run with them."""
    parts: list[str] = []
    failed: BaseException | None = None
    try:
        yield parts
    except BaseException as problem:
        # Who stops reading has what was read.
        failed = None if isinstance(problem, GeneratorExit) else problem
        raise
    finally:
        answer = Response("".join(parts), response.source_nodes, response.metadata)
        known.end(id_, answer, failed)


def _kind(instance: Any) -> str:
    return next((kind for known, kind in _KINDS if isinstance(instance, known)), "chain")


def _inputs(arguments: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in ("kwargs", "kwds") and isinstance(value, dict):
            found.update(cast("dict[str, Any]", value))
        elif name == "args" and isinstance(value, tuple):
            given = cast("tuple[Any, ...]", value)
            found.update({"input": given[0]} if len(given) == 1 else {"args": given})
        elif name == "start_event" and isinstance(getattr(value, "user_msg", None), str):
            # Of a workflow: what was asked goes before how it begins.
            found = {"input": value.user_msg, **found, name: value}
        elif name != "self":
            # What was asked, rather than the bundle that it is passed on in.
            found[name] = getattr(value, "query_str", value)
    return found


def _summary(instance: Any, result: Any) -> dict[str, Any]:
    """Tokens, as models of LlamaIndex give them beside their answer or in the raw one."""
    if not isinstance(instance, BaseLLM):
        return {}
    raw: Any = getattr(result, "raw", None)
    told = _get(raw, "usage")
    further: Any = getattr(result, "additional_kwargs", None) or {}
    counts: dict[str, int] = {}
    for source in (further, told):
        for name, ours in _COUNTS.items():
            value = _get(source, name)
            if isinstance(value, int):
                counts[ours] = value
    if not counts:
        return {}
    model = str(instance.metadata.model_name or "unknown")
    return {"usage": {model: counts}}


def _get(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).get(name)
    return getattr(value, name, None)
