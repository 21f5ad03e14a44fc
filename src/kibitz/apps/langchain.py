"""LangChain: chains, models, retrievers and tools as calls, through LangChain's own callbacks.

    from kibitz.apps.langchain import Recorder, select_context

    recorder = Recorder(chain, app_name="support", feedbacks=[
        Feedback(judge.relevance).on_input().on(select_context(chain))])

    with recorder as recording:
        chain.invoke("How?")

What runs in its blocks is recorded, by the innermost of nested ones; elsewhere what is given the recorder does, as
`chain.invoke("How?", config={"callbacks": [recorder]})`.

A run is the call `<name>.invoke`, name being the `run_name` it was given or that of its class, and the first run of a
call begins a record. What `RunnableSequence` and its like are made of is in the same record, each by its own name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, cast

from kibitz.apps import recorder, recordings, runs
from kibitz.apps.recordings import Recordings
from kibitz.base import jsonable, redaction
from kibitz.base.errors import MissingExtra, UsageError
from kibitz.judging.guardrails import context_filter
from kibitz.judging.lenses import Lens
from kibitz.judging.select import Select

try:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.load import dumpd
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableBinding
    from langchain_core.tracers.context import register_configure_hook
except ImportError as error:
    raise MissingExtra(
        "langchain-core is not installed, which kibitz.apps.langchain records: pip install langchain-core"
    ) from error

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult

    from kibitz.judging.functions import Feedback

METHOD = "invoke"
_HIDDEN = "langsmith:hidden"
_MAX_WALKED = 2000
_NOT_WITHIN = frozenset(
    {
        "_transform_stream_with_config",
        "_atransform_stream_with_config",
        "stream",
        "astream",
        "batch",
        "abatch",
    }
)
"""Functions of LangChain that begin a run and go on to what is none of it: their consumer, or the next run."""
_MAX_FRAMES = 12


class Recorder(recorder.Recorder, BaseCallbackHandler):
    """A callback handler that records runs, and has their records judged.

    Args:
        app: the chain, for `Select.App.app`; it is not needed to record it.
        options: as of `kibitz.App`: `app_name`, `app_version`, `feedbacks`, `feedback_mode`, `tags`, `metadata`.
    """

    raise_error = False
    run_inline = True
    """On the thread or task of the run, so that ops which it calls know it."""

    def __init__(self, app: Any = None, **options: Any) -> None:
        BaseCallbackHandler.__init__(self)
        recorder.Recorder.__init__(self, **options)
        self.app = app
        self._runs = runs.Runs(self.identity.attributes, self.begin_record)

    def describe(self) -> Any:
        if self.app is None:
            return None
        return jsonable.to_json(dumpd(self.app), redaction=redaction.Redaction(()))

    # Its blocks.

    def __enter__(self) -> Recordings:
        block = super().__enter__()
        _take_over()
        return block

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        _take_over()

    async def __aenter__(self) -> Recordings:
        block = await super().__aenter__()
        _take_over()
        return block

    async def __aexit__(self, *problem: object) -> None:
        await super().__aexit__(*problem)
        _take_over()

    def with_record(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        before = _here.get()
        _here.set(self)
        try:
            return super().with_record(func, *args, **kwargs)
        finally:
            _here.set(before)

    async def awith_record(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        before = _here.get()
        _here.set(self)
        try:
            return await super().awith_record(func, *args, **kwargs)
        finally:
            _here.set(before)

    # What LangChain tells.

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        tags: list[str] | None = None,
        **more: Any,
    ) -> None:
        if tags and _HIDDEN in tags:
            self._runs.skip(run_id, parent_run_id)
            return
        self._begin(run_id, parent_run_id, "chain", _by_name(inputs), serialized, more)

    def on_chain_end(self, outputs: Any, *, run_id: Any, inputs: Any = None, **more: Any) -> None:
        self._asked(run_id, inputs)
        self._runs.end(run_id, outputs)

    def on_chain_error(
        self, error: BaseException, *, run_id: Any, inputs: Any = None, **more: Any
    ) -> None:
        self._asked(run_id, inputs)
        self._runs.end(run_id, None, error)

    def _asked(self, run_id: Any, inputs: Any) -> None:
        # A chain that streams begins with an empty text, and is told at its end what went in.
        if inputs is not None:
            self._runs.asked(run_id, _by_name(inputs))

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: Any,
        parent_run_id: Any = None,
        **more: Any,
    ) -> None:
        inputs: dict[str, Any] = (
            {"prompt": prompts[0]} if len(prompts) == 1 else {"prompts": prompts}
        )
        self._begin(run_id, parent_run_id, "llm", _asked(inputs, more), serialized, more)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: Any,
        parent_run_id: Any = None,
        **more: Any,
    ) -> None:
        inputs: dict[str, Any] = {"messages": messages[0] if len(messages) == 1 else messages}
        self._begin(run_id, parent_run_id, "llm", _asked(inputs, more), serialized, more)

    def on_llm_end(self, response: LLMResult, *, run_id: Any, **more: Any) -> None:
        self._runs.tell(run_id, _summary(response))
        self._runs.end(run_id, _said(response))

    def on_llm_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        self._runs.end(run_id, None, error)

    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        **more: Any,
    ) -> None:
        self._begin(run_id, parent_run_id, "retriever", {"query": query}, serialized, more)

    def on_retriever_end(self, documents: Sequence[Document], *, run_id: Any, **more: Any) -> None:
        self._runs.end(run_id, list(documents))

    def on_retriever_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        self._runs.end(run_id, None, error)

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        inputs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        given = {"input": input_str} if inputs is None else inputs
        self._begin(run_id, parent_run_id, "tool", given, serialized, more)

    def on_tool_end(self, output: Any, *, run_id: Any, **more: Any) -> None:
        self._runs.end(run_id, output)

    def on_tool_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        self._runs.end(run_id, None, error)

    def _begin(
        self,
        run_id: Any,
        parent_id: Any,
        kind: str,
        inputs: dict[str, Any],
        serialized: Mapping[str, Any] | None,
        more: Mapping[str, Any],
    ) -> None:
        known = serialized or {}
        name = more.get("name") or known.get("name") or (known.get("id") or [kind])[-1]
        self._runs.begin(
            run_id,
            parent_id,
            name=runs.place(str(name), METHOD),
            kind=kind,
            inputs=inputs,
            is_current=parent_id is not None or _runs_within(),
        )


_here: ContextVar[BaseCallbackHandler | None] = ContextVar("kibitz_langchain", default=None)
register_configure_hook(_here, inheritable=True)


def _take_over() -> None:
    """Have the recorder of the innermost block that is open here told of every run; one that is given too is told once."""
    mine = [each for each in recordings.apps_here() if isinstance(each, Recorder)]
    _here.set(mine[-1] if mine else None)


class WithFeedbackFilterDocuments(BaseRetriever):
    """A retriever that keeps those of another one's documents that a feedback function finds good, in their order.

        good = WithFeedbackFilterDocuments.of_retriever(retriever, relevance, 0.5)

    The feedback function is called with the query and the text of a document, see `kibitz.context_filter`.
    """

    retriever: Any
    feedback: Any
    threshold: float

    @classmethod
    def of_retriever(cls, retriever: BaseRetriever, feedback: Feedback, threshold: float) -> Self:
        """Filter what a retriever gives.

        Args:
            retriever: it is asked as it is.
            feedback: of the query and a text.
            threshold: documents above it are kept, or below it where lower is better.
        """
        return cls(retriever=retriever, feedback=feedback, threshold=threshold)

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        def found(query: str) -> Any:
            return self.retriever.invoke(query, config={"callbacks": run_manager.get_child()})

        return self._filter(found)(query)

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        async def found(query: str) -> Any:
            return await self.retriever.ainvoke(
                query, config={"callbacks": run_manager.get_child()}
            )

        return await self._filter(found)(query)

    def _filter(self, func: Any) -> Any:
        return context_filter(self.feedback, self.threshold, text=_text_of)(func)


def _text_of(document: Any) -> str:
    return str(document.page_content)


def select_context(app: Any) -> Lens:
    """The texts that the one retriever of an app gives: `Select.RecordCalls.<name>.invoke.rets[:].page_content`.

    Raises:
        UsageError: the app has no retriever, or several; select the calls of one by its name then.
    """
    found = dict.fromkeys(_retrievers(app))
    if len(found) != 1:
        there = f"{len(found)} retrievers ({', '.join(found)})" if found else "no retriever"
        raise UsageError(
            f"the app has {there}; select its calls by name: Select.RecordCalls.<name>.invoke.rets[:].page_content",
            field="app",
        )
    name = runs.place(next(iter(found)), METHOD).partition(".")[0]
    return Select.RecordCalls[name][METHOD].rets[:].page_content


def _retrievers(app: Any) -> Iterator[str]:
    """The names by which the retrievers of an app run."""
    waiting: list[Any] = [app]
    known: set[int] = set()
    while waiting and len(known) < _MAX_WALKED:
        each = waiting.pop()
        if id(each) in known:
            continue
        known.add(id(each))
        if isinstance(each, BaseRetriever):
            yield each.get_name()
        elif isinstance(each, RunnableBinding) and isinstance(each.bound, BaseRetriever):  # pyright: ignore[reportUnknownMemberType] of any types
            yield each.config.get("run_name") or each.bound.get_name()
        elif isinstance(each, dict):
            waiting.extend(cast("dict[Any, Any]", each).values())
        elif isinstance(each, list | tuple):
            waiting.extend(cast("list[Any]", each))
        else:
            waiting.extend(_held_by(each))


def _held_by(value: Any) -> list[Any]:
    if cast("Any", type(value)).__module__.partition(".")[0] in ("builtins", "types"):
        return []
    held = list(cast("dict[str, Any]", getattr(value, "__dict__", None) or {}).values())
    return [*held, *_closed_over(value)]


def _closed_over(value: Any) -> list[Any]:
    """What the function of a `RunnableLambda` uses: chains are often held there."""
    func = getattr(value, "func", None) or getattr(value, "afunc", None)
    found: list[Any] = []
    for cell in getattr(func, "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            # Not bound yet.
            continue
    names = getattr(getattr(func, "__code__", None), "co_names", ())
    scope = getattr(func, "__globals__", {})
    return [*found, *(scope[name] for name in names if name in scope)]


def _by_name(inputs: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", inputs) if isinstance(inputs, dict) else {"input": inputs}


def _asked(inputs: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    parameters = more.get("invocation_params")
    if isinstance(parameters, dict) and parameters:
        return {**inputs, "parameters": cast("dict[str, Any]", parameters)}
    return inputs


def _said(response: LLMResult) -> Any:
    texts = [
        getattr(generation, "message", None) or generation.text
        for generations in response.generations
        for generation in generations
    ]
    return texts[0] if len(texts) == 1 else texts


def _summary(response: LLMResult) -> dict[str, Any]:
    """Tokens by model: of the messages, or else of what the model says of the whole."""
    usage: dict[str, dict[str, int]] = {}
    said: dict[str, Any] = response.llm_output or {}
    model = str(said.get("model_name") or said.get("model") or "")
    for generations in response.generations:
        for generation in generations[:1]:
            message: Any = getattr(generation, "message", None)
            counts = getattr(message, "usage_metadata", None)
            if counts:
                about: Any = getattr(message, "response_metadata", None) or {}
                name = str(about.get("model_name") or about.get("model") or model or "unknown")
                total = usage.setdefault(name, {})
                for key in ("input_tokens", "output_tokens", "total_tokens"):
                    total[key] = total.get(key, 0) + int(counts.get(key) or 0)
    told = said.get("token_usage") or said.get("usage")
    if not usage and isinstance(told, dict):
        usage[model or "unknown"] = cast("dict[str, int]", told)
    return {"usage": usage} if usage else {}


def _runs_within() -> bool:
    """Whether what runs on this thread until a run without a parent ends is part of it."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage] the only way to know
    for _ in range(_MAX_FRAMES):
        code = frame.f_code
        if code.co_name in _NOT_WITHIN and "langchain_core" in code.co_filename:
            return False
        if frame.f_back is None:
            return True
        frame = frame.f_back
    return True
