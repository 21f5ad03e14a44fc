"""The user's handle of a call: its ids, what it was given and gave, and the judgements on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from kibitz.base import ids
from kibitz.base.errors import InvalidRecord, NotPermitted, UsageError
from kibitz.tracing import recording as recordings
from kibitz.tracing import snapshots, streams
from kibitz.tracing.recording import NOTHING, Extra, OpInfo, Recording, Scope

if TYPE_CHECKING:
    from kibitz.base.specifications import AnnotationSpec


class Scored(NamedTuple):
    """What a scorer said of a call."""

    output: Any
    call: Call
    """The scorer's own call."""
    feedback_id: str | None
    """None where the judged call is not recorded."""


class Scoring(Protocol):
    """How a call is judged by a program."""

    async def apply(
        self, call: Call, scorer: Callable[..., Any], extra: dict[str, Any]
    ) -> Scored: ...

    def apply_sync(
        self, call: Call, scorer: Callable[..., Any], extra: dict[str, Any]
    ) -> Scored: ...


_scoring: Scoring


def use_scoring(scoring: Scoring) -> None:
    """Take the way to judge a call. It makes ops, ops make calls: so it is handed in, not imported."""
    global _scoring
    _scoring = scoring


class Call:
    """One call. Also a call that is not recorded (before `init()`, disabled, left out by sampling) has one:
    its judgements are checked and go nowhere, so that the program is the same with and without recording.
    """

    __slots__ = ("_arguments", "_id", "_op", "_recording", "_result")

    def __init__(
        self,
        recording: Recording | Scope | None,
        op: OpInfo,
        arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    ) -> None:
        self._recording = recording if isinstance(recording, Recording) else None
        if self._recording is not None:
            self._recording.held = True
        self._op = op
        self._arguments = arguments
        self._result: Any = NOTHING
        self._id: str | None = None

    @property
    def id(self) -> str:
        """The call's id, the same in the store."""
        if self._id is None:
            self._id = ids.new_id() if self._recording is None else self._recording.id
        return self._id

    @property
    def trace_id(self) -> str:
        """The id of the trace it belongs to."""
        return self.id if self._recording is None else self._recording.trace_id

    @property
    def op(self) -> str:
        """The name of its op."""
        return self._op.name

    @property
    def recorded(self) -> bool:
        """Whether the call goes to the store."""
        return self._recording is not None and not self._recording.lost

    @property
    def ref(self) -> str | None:
        """Its reference, `kibitz:///project/call/id`; None where it is not recorded."""
        if self._recording is None:
            return None
        return f"kibitz:///{self._recording.session.project}/call/{self.id}"

    @property
    def url(self) -> str | None:
        """Its page; None where it is not recorded or no server is known."""
        page = None if self._recording is None else self._recording.session.page
        return None if page is None else f"{page}/{self.id}"

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments by name, with defaults.

        Raises:
            UsageError: the call was sent before anybody held it, and its values were let go.
        """
        arguments = self._arguments
        if arguments is None:
            kept = None if self._recording is None else getattr(self._recording, "inputs", None)
            if isinstance(kept, recordings.Named):
                return dict(snapshots.value_of(kept.values))
            if kept is None:
                raise UsageError(
                    f"the inputs of call {self.id} are not kept any more; read the call from the store"
                )
            arguments = snapshots.arguments_of(kept)
        return self._op.bind(*arguments)

    @property
    def output(self) -> Any:
        """What the call gave.

        Raises:
            UsageError: it has not ended, it raised, or its values were let go.
        """
        if self._result is not NOTHING:
            return self._result
        call = self._recording
        kept = NOTHING if call is None or not call.ended_ns else call.output
        if kept is NOTHING or kept is recordings.NO_ROOM:
            raise UsageError(f"call {self.id} has no output: it has not ended, or it raised")
        if type(kept) is streams.Items:
            return kept.values()
        return snapshots.value_of(kept)

    @property
    def feedback(self) -> CallFeedback:
        """The judgements on this call."""
        return CallFeedback(self)

    def set_display_name(self, name: str) -> None:
        """Show the call under this name."""
        self._extra("display name").display_name = name

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes to this call alone; `kibitz.attributes()` adds them to all calls that start inside.

        Raises:
            UsageError: the call has ended.
        """
        self._extra("attributes").attributes.update(attributes)

    def set_summary(self, summary: Mapping[str, Any]) -> None:
        """Add numbers about the call: `{"usage": {model: {"input_tokens": 12, …}}, "cost": …}`.

        Raises:
            UsageError: the call has ended.
        """
        self._extra("summary").summary.update(summary)

    def _extra(self, what: str) -> Extra:
        call = self._recording
        if call is None:
            return Extra()
        if call.ended_ns:
            raise UsageError(f"call {self.id} has ended; its {what} can be set while it runs")
        if call.extra is None:
            call.extra = Extra()
        return call.extra

    async def apply_scorer(self, scorer: Callable[..., Any], /, **extra: Any) -> Scored:
        """Judge this call with a function or op, sync or async, and store what it says as feedback.

        The scorer's parameters are filled by name: from the call's inputs, `output` and `model_output` from
        its output, and `extra`, which goes before both. It runs as a traced call of its own, and its result
        becomes feedback of type `runnable.<op>` with the payload `{"output": result}`.

        Raises:
            UsageError: a parameter of the scorer has no value.
            Exception: whatever the scorer raises; its own call is recorded with it, and no feedback is stored.
        """
        return await _scoring.apply(self, scorer, extra)

    def apply_scorer_sync(self, scorer: Callable[..., Any], /, **extra: Any) -> Scored:
        """`apply_scorer` for programs without an event loop.

        Raises:
            UsageError: also where the scorer is async and an event loop runs in this thread.
        """
        return _scoring.apply_sync(self, scorer, extra)

    def settle(self, result: Any) -> None:
        """Take the function's result; the op does this."""
        self._result = result

    def op_ref(self, op: OpInfo) -> str | None:
        """The reference of an op's version in this call's session; None where it is not recorded."""
        return None if self._recording is None else self._recording.session.op_ref(op)

    def judge(self, judgement: Mapping[str, Any]) -> str:
        """Hand a feedback on this call to its session and give its id; `feedback` and scorers do this."""
        if self._recording is None:
            return ids.new_id()
        return self._recording.session.judge({**judgement, "target_ref": self.ref})

    def annotate(
        self, named: AnnotationSpec | str, value: Any, author: str, author_kind: str
    ) -> str:
        """Answer a specification about this call; `feedback` does this."""
        from kibitz.base import schema_types

        if self._recording is None and isinstance(named, str):
            return ids.new_id()
        spec = (
            self._recording.session.specification(named)
            if self._recording is not None
            else cast("AnnotationSpec", named)
        )
        answer = schema_types.plain(value)
        spec.check_author(author, author_kind)
        spec.check_target("call", self.op)
        spec.validate(answer)
        if self._recording is None:
            return ids.new_id()
        return self.judge(
            {
                "type": spec.type,
                "payload": {"value": answer},
                "author": author,
                "author_kind": author_kind,
                "annotation_ref": spec.ref(self._recording.session.project),
            }
        )

    def revise(
        self, feedback_id: str, payload: Mapping[str, Any] | None, author: str | None
    ) -> str:
        """Correct a judgement, or take it back where there is no payload; `feedback` does this."""
        if self._recording is None:
            return ids.new_id()
        said = self._recording.session.said(feedback_id)
        if said.target_ref != self.ref:
            raise InvalidRecord(
                f"feedback {feedback_id!r} is about {said.target_ref!r}, not about this call",
                field="target_ref",
            )
        if author is not None and author != said.author:
            raise NotPermitted(
                f"{author!r} cannot change feedback {feedback_id!r}, which {said.author!r} said; only its author may",
                field="author",
                author=author,
                allowed=[said.author],
            )
        same = {"type": said.type, "author": said.author, "author_kind": said.author_kind}
        if payload is None:
            return self.judge({**same, "payload": {}, "retracts": feedback_id})
        made_by = {
            name: getattr(said, name)
            for name in ("annotation_ref", "runnable_ref", "call_ref", "trigger_ref")
        }
        return self.judge({**same, **made_by, "payload": payload, "corrects": feedback_id})

    def __repr__(self) -> str:
        return f"<call {self.id} of {self.op}>"


class CallFeedback:
    """Adds judgements to a call. Each returns the feedback's id at once; sending is the exporter's work."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def add(
        self,
        type: str,
        payload: Mapping[str, Any],
        *,
        author: str = "",
        author_kind: str = "person",
    ) -> str:
        """Add a judgement of a type of your own: `call.feedback.add("correct", {"value": True})`.

        Raises:
            InvalidRecord: the type has rules (`kibitz.base.judgements`) and this breaks one.
        """
        return self._call.judge(
            {"type": type, "payload": payload, "author": author, "author_kind": author_kind}
        )

    def add_annotation(
        self,
        spec: AnnotationSpec | str,
        value: Any,
        *,
        author: str = "",
        author_kind: str = "person",
    ) -> str:
        """Answer a specification: `call.feedback.add_annotation(helpful, 4, author="ann")`.

        Args:
            spec: the specification, which goes along, or the name of one that the project has: its newest version.
            value: the answer; a dataclass or pydantic model says its fields.
            author: who answers.
            author_kind: person, model, program or import.

        Raises:
            InvalidAnswer: it does not fit; the message says where and which rule.
            NotPermitted: the author may not answer.
            OutOfScope: it is not about calls of this op.
            NotFound: the project has no specification of this name.
        """
        return self._call.annotate(spec, value, author, author_kind)

    def retract(self, feedback_id: str, *, author: str | None = None) -> str:
        """Take back what was said, and what its author had said before; the rows stay as history.

        Args:
            feedback_id: what `add` and its like gave; of this program, or of any that judged this project.
            author: who takes it back, only its author may; left out, that is them.

        Raises:
            NotPermitted: somebody else has said it.
            NotFound: nobody has said it.
        """
        return self._call.revise(feedback_id, None, author)

    def correct(
        self, feedback_id: str, payload: Mapping[str, Any], *, author: str | None = None
    ) -> str:
        """Say something in the place of what was said; raises what `retract` and `add` raise.

        Args:
            feedback_id: what is corrected.
            payload: the whole new payload.
            author: who corrects it; see `retract`.
        """
        return self._call.revise(feedback_id, payload, author)

    def add_reaction(self, emoji: str, *, author: str = "") -> str:
        """React with one emoji, or its name as in ":thumbs_up:"; raises `InvalidRecord` where it is none."""
        return self.add("reaction", {"emoji": emoji}, author=author)

    def add_note(self, note: str, *, author: str = "") -> str:
        """Add a text of up to 10,000 characters; raises `InvalidRecord` where it is empty or longer."""
        return self.add("note", {"note": note}, author=author)
