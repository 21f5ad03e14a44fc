"""What every kind of app does with its records: give them to the open blocks, have them judged, say which app it is.

A wrapped object, a LangChain handler and a LlamaIndex handler are each a `Recorder`; how they come to their calls is
all that differs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from kibitz.apps import evaluating, gathering, identity, recordings
from kibitz.apps.evaluating import Evaluator, Judged
from kibitz.apps.gathering import Gathered
from kibitz.apps.recordings import Recordings
from kibitz.apps.records import AppRecord
from kibitz.base import jsonable
from kibitz.judging.modes import FeedbackMode
from kibitz.tracing import guard, recording
from kibitz.tracing.recording import Extra, Recording

if TYPE_CHECKING:
    from kibitz.judging.functions import Feedback

JUDGE_TIMEOUT_S = 60.0
_Object = dict[str, Any]


class Recorder:
    """Records the calls of an app, and has their records judged."""

    def __init__(
        self,
        *,
        app_name: str = identity.DEFAULT_NAME,
        app_version: str = identity.DEFAULT_VERSION,
        feedbacks: Sequence[Feedback] = (),
        feedback_mode: FeedbackMode | str = FeedbackMode.WITH_APP_THREAD,
        tags: str | Iterable[str] = "",
        metadata: Mapping[str, Any] | None = None,
        feedback_timeout_s: float = JUDGE_TIMEOUT_S,
    ) -> None:
        self.identity = identity.make(app_name, app_version, tags, metadata)
        self.evaluator = Evaluator(feedbacks, feedback_mode, timeout_s=feedback_timeout_s)
        self._definition: _Object | None = None
        self._session: Any = None
        self._ref: str | None = None
        if recording.apart is None:
            recording.apart = gathering.Apart()

    @property
    def app_name(self) -> str:
        return self.identity.name

    @property
    def app_version(self) -> str:
        return self.identity.version

    @property
    def app_id(self) -> str:
        """One id for every name and version."""
        return self.identity.id

    @property
    def feedbacks(self) -> tuple[Feedback, ...]:
        """The feedback functions that judge its records."""
        return self.evaluator.feedbacks

    @property
    def feedback_mode(self) -> FeedbackMode:
        """When they do."""
        return self.evaluator.mode

    # Blocks.

    def __enter__(self) -> Recordings:
        return recordings.begin(self)

    def __exit__(self, *_: object) -> None:
        recordings.end(self)

    async def __aenter__(self) -> Recordings:
        return recordings.begin(self)

    async def __aexit__(self, *_: object) -> None:
        block = recordings.end(self)
        for each in block.gathered if block else ():
            await self.settled(each)

    def with_record(
        self,
        func: Callable[..., Any],
        *args: Any,
        record_metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, AppRecord]:
        """Call something of the app, and give what it returns and its record.

        Args:
            func: what to call: `rag.query`.
            args: what to call it with.
            record_metadata: of this record, beside those of the app.
            kwargs: what to call it with.

        Raises:
            BaseException: whatever it raises.
            UsageError: the call left no record, or several; a stream that is returned has not run yet.
        """
        block = recordings.begin(self, dict(record_metadata or {}))
        try:
            result = func(*args, **kwargs)
        finally:
            recordings.end(self)
        return result, block.get()

    async def awith_record(
        self,
        func: Callable[..., Any],
        *args: Any,
        record_metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, AppRecord]:
        """`with_record` for a coroutine function."""
        block = recordings.begin(self, dict(record_metadata or {}))
        try:
            result = await func(*args, **kwargs)
        finally:
            recordings.end(self)
        for each in block.gathered:
            await self.settled(each)
        return result, block.get()

    # Its description.

    def describe(self) -> Any:
        """What the app is made of, as JSON; nothing where nobody knows."""
        return None

    def dict(self) -> _Object:
        """The app as JSON: who it is, how it is judged, and below `app` what it is made of."""
        return {
            "app_id": self.identity.id,
            "app_name": self.identity.name,
            "app_version": self.identity.version,
            "tags": self.identity.tags,
            "metadata": jsonable.to_json(self.identity.metadata),
            "feedback_definitions": [each.definition.id for each in self.feedbacks],
            "feedback_mode": str(self.feedback_mode),
            "app": self.describe(),
        }

    def json(self) -> str:
        """`dict()` as text."""
        import json

        return json.dumps(self.dict(), ensure_ascii=False)

    def __kibitz_app__(self) -> Any:
        """What selectors of `Select.App` see: the app as it was when its first record was judged."""
        if self._definition is None:
            self._definition = self.dict()
        return self._definition

    def _ref_in(self, session: Any) -> str | None:
        """The reference of the app's JSON in a session's project, where it goes now if it is new there."""
        if session is recording.apart:
            return None
        if self._session is not session:
            self._session = session
            try:
                part = identity.version_of(self.__kibitz_app__())
                self._ref = identity.ref_of(session.project, part)
                session.define(self._ref, part, send=True)
            except Exception as error:  # noqa: BLE001 the guard of the recording path
                self._ref = None
                guard.note(error, "describing an app")
        return self._ref

    # Records.

    def begin_record(self, call: Recording) -> Gathered | None:
        """A call that may be the root of a record begins; None where it belongs to one, or is made by a judge."""
        if evaluating.judging.get():
            return None
        each = call.parent
        while each is not None:
            if getattr(recording.watched.get(each), "app", None) is self:
                return None
            each = each.parent
        blocks = recordings.opened(self)
        metadata: _Object = {}
        for block in blocks:
            metadata.update(block.metadata or {})
        if call.extra is None:
            call.extra = Extra()
        call.extra.attributes.update(self.identity.of_record(self._ref_in(call.session), metadata))
        keep = bool(blocks) or self.evaluator.judges_here
        return Gathered(self, call, lambda gathered: self._ended(gathered, blocks), keep=keep)

    def waits_for(self, call: Recording) -> bool:
        """Whether the thread that ends a record may wait for its judges: not where an event loop runs the call."""
        if "asyncio" not in sys.modules:
            return True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return False

    def _ended(self, gathered: Gathered, blocks: list[Recordings]) -> None:
        try:
            self.evaluator.judge(gathered, self.__kibitz_app__, waits=self.waits_for(gathered.root))
        finally:
            for block in blocks:
                block.add(gathered)

    async def settled(self, gathered: Judged) -> None:
        """Wait for the judges of a record without holding the event loop up, where the mode is WITH_APP."""
        if self.feedback_mode is not FeedbackMode.WITH_APP:
            return
        waiting: list[Future[Any]] = [future for _, future in gathered.judged]
        if waiting:
            wrapped = [asyncio.wrap_future(each) for each in waiting]
            await asyncio.wait(wrapped, timeout=self.evaluator.timeout_s)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.app_name} {self.app_version}>"
