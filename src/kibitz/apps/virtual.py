"""Apps that ran elsewhere: records out of logs and data frames, judged like any other.

    from kibitz.apps import virtual

    virtual.record_frame(frame, inputs="question", output="answer", contexts="passages",
                         app_name="support", feedbacks=[grounded], feedback_mode="deferred")

A record's id follows from its content (or from its id in the data), so that what is told twice is there once; the
same row twice in one frame is two records, also when the frame is told again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from kibitz.apps import evaluating, gathering, identity, recordings
from kibitz.apps.recorder import Recorder
from kibitz.apps.records import AppRecord
from kibitz.base import clock, jsonable, redaction, refs
from kibitz.base.errors import UsageError
from kibitz.base.records import Call, CallPart, ExceptionInfo
from kibitz.judging.lenses import Lens
from kibitz.judging.modes import FeedbackMode
from kibitz.judging.results import FeedbackResult
from kibitz.judging.select import Select
from kibitz.tracing import recording

if TYPE_CHECKING:
    from kibitz.judging.functions import Feedback

RETRIEVE = "retriever.retrieve"
"""The place of the call that `contexts` become the output of."""
_STEP = timedelta(microseconds=1)
_CONTEXT_KIND = "retriever"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualRecord:
    """What is known of one call of an app that ran elsewhere."""

    main_input: Any = None
    """The one argument, or where it is a mapping, the arguments by name."""
    main_output: Any = None
    main_error: str | None = None
    """What it raised, where it did: `type: message`."""
    calls: Mapping[Any, Any] = field(default_factory=dict[Any, Any])
    """Calls of components: by place (`"retriever.retrieve"`, or a selector of it) a mapping with `args`, `rets`,
    `error`, `kind`, or a list of such."""
    id: str | None = None
    """Its id in the data; the same is the same record."""
    started_at: datetime | None = None
    """Now without; a time without a zone is in UTC."""
    latency_s: float | None = None
    thread_id: str | None = None
    tags: str | Sequence[str] = ""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    summary: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What it used: `{"usage": {model: {"input_tokens": 12, …}}, "cost": …}`."""


class VirtualApp(Recorder):
    """An app that runs elsewhere, or ran.

    Args:
        app: what it is made of, as JSON: what selectors of `Select.App.app` see.
        main_op: the name of its root calls.
        options: as of `kibitz.App`: `app_name`, `app_version`, `feedbacks`, `feedback_mode`, `tags`, `metadata`.
    """

    def __init__(
        self, app: Mapping[str, Any] | None = None, *, main_op: str = "query", **options: Any
    ) -> None:
        super().__init__(**options)
        self._app = dict(app or {})
        self.main_op = main_op

    def describe(self) -> Any:
        return jsonable.to_json(self._app, redaction=redaction.Redaction(()))

    @staticmethod
    def select_context() -> Lens:
        """The passages that were retrieved, where records were told them as `contexts`."""
        return Select.RecordCalls.retriever.retrieve.rets[:]

    def add_record(self, told: VirtualRecord, *, occurrence: int = 0) -> AppRecord:
        """Store a record and have it judged as the mode says.

        Args:
            told: the record.
            occurrence: tells records of the same content apart: the how-manieth it is.

        Raises:
            UsageError: something of it cannot be used.
        """
        session: Any = recording.installed() or recording.apart
        parts = self._parts(told, session, occurrence)
        record = _Told(session, [gathering.call_of(part, session.project) for part in parts])
        if record.stored:
            _keep(session, parts)
        self.evaluator.judge(record, self.__kibitz_app__, waits=True)
        for block in recordings.opened(self):
            block.add(record)
        return record.record

    def _parts(self, told: VirtualRecord, session: Any, occurrence: int) -> list[CallPart]:
        hides = session.redaction

        def plain(value: Any) -> Any:
            return jsonable.to_json(_cleaned(value), redaction=hides)

        asked: Any = told.main_input
        inputs: dict[str, Any] = (
            dict(cast("Mapping[str, Any]", asked))
            if isinstance(asked, Mapping)
            else {"input": asked}
        )
        calls = [
            (_place(place), plain(each))
            for place, given in told.calls.items()
            for each in _several(given)
        ]
        content: dict[str, Any] = {
            "app": self.identity.id,
            "op": self.main_op,
            "inputs": plain(inputs),
            "output": plain(told.main_output),
            "error": told.main_error,
            "calls": calls,
            "at": None if told.started_at is None else str(told.started_at),
        }
        named: Any = content if told.id is None else {"app": self.identity.id, "id": told.id}
        root_id = _digest([named, occurrence] if occurrence else named)
        started = _moment(told.started_at) or clock.now()
        ended = started + timedelta(seconds=told.latency_s or 0) + _STEP * (len(calls) + 1)
        attributes = self.identity.of_record(self._ref_in(session), plain(dict(told.meta)))
        if told.tags:
            attributes["tags"] = told.tags if isinstance(told.tags, str) else list(told.tags)
        root = CallPart(
            id=root_id,
            trace_id=root_id,
            op=self.main_op,
            thread_id=told.thread_id,
            started_at=started,
            ended_at=ended,
            inputs=content["inputs"],
            output=msgspec.UNSET if told.main_error is not None else content["output"],
            exception=_exception(told.main_error),
            attributes=attributes,
            summary=plain(dict(told.summary)) or None,
        )
        return [root, *(self._child(root, at, *call) for at, call in enumerate(calls))]

    def _child(self, root: CallPart, at: int, place: str, told: Any) -> CallPart:
        if not isinstance(told, dict):
            raise UsageError(
                f"the call at {place!r} is a mapping with args, rets, error or kind, not {told!r:.80}",
                field="calls",
            )
        given = cast("dict[str, Any]", told)
        assert root.started_at is not None
        args: Any = given.get("args", {})
        began = root.started_at + _STEP * (at + 1)
        failed = given.get("error")
        return CallPart(
            id=_digest([root.id, place, at]),
            trace_id=root.id,
            parent_id=root.id,
            op=place,
            kind=given.get("kind"),
            started_at=began,
            ended_at=began,
            inputs=cast("dict[str, Any]", args) if isinstance(args, dict) else {"args": args},
            output=msgspec.UNSET if failed else given.get("rets"),
            exception=_exception(failed),
            attributes=self.identity.attributes,
        )


class _Told:
    """A record that was told, as what judges see."""

    def __init__(self, session: Any, calls: list[Call]) -> None:
        self.session = session
        self.call_id = calls[0].id
        self.judged: list[tuple[Any, Future[FeedbackResult]]] = []
        self._record = AppRecord.of_calls(calls, self.call_id)

    @property
    def stored(self) -> bool:
        return self.session is not recording.apart

    @property
    def record(self) -> AppRecord:
        self._record.judged = self.judged
        return self._record


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a frame."""

    rows: int
    """How many it had."""
    record_ids: list[str]
    """Of the root calls that were recorded, row by row; a row that was told before has the id it had."""
    left_out: dict[int, str] = field(default_factory=dict[int, str])
    """Rows that were not recorded, counted from 0, and why."""

    def __str__(self) -> str:
        text = f"{len(self.record_ids):,} of {self.rows:,} rows recorded"
        if self.left_out:
            row, why = next(iter(self.left_out.items()))
            text += f"; {len(self.left_out):,} left out, the first is row {row}: {why}"
        return text


def record_frame(
    frame: Any,
    *,
    inputs: str | Sequence[str],
    output: str,
    contexts: str | None = None,
    error: str | None = None,
    id: str | None = None,
    started_at: str | None = None,
    latency_s: str | None = None,
    thread_id: str | None = None,
    metadata: Sequence[str] = (),
    calls: Mapping[str, str] | None = None,
    app: VirtualApp | None = None,
    app_name: str = identity.DEFAULT_NAME,
    app_version: str = identity.DEFAULT_VERSION,
    feedbacks: Sequence[Feedback] = (),
    feedback_mode: FeedbackMode | str = FeedbackMode.DEFERRED,
    tags: str | Sequence[str] = "",
) -> Told:
    """Store each row as the record of a call, and have it judged.

    Args:
        frame: a data frame of pandas, polars or pyarrow, mappings, or the path of a file with one JSON object a line.
        inputs: the column of what was asked, or several, which are then arguments by name.
        output: the column of what was answered.
        contexts: the column of what was retrieved, a list of texts: the output of a call `retriever.retrieve`.
        error: the column of what was raised, empty where nothing was.
        id: the column of a row's id; without it the content is.
        started_at: the column of times, as datetimes, ISO 8601 or seconds since 1970.
        latency_s: the column of how long it took, in seconds.
        thread_id: the column of the conversation that the row belongs to.
        metadata: columns that are kept as `attributes.meta`.
        calls: further calls: by place the column of their output.
        app: the app; made of the arguments below without.
        app_name: of the app.
        app_version: of the app.
        feedbacks: what judges the records.
        feedback_mode: when; `deferred` leaves them to workers.
        tags: of the records.

    Raises:
        UsageError: there is no session, or a column is not there.
    """
    if recording.installed() is None:
        raise UsageError(
            "there is nowhere to store the rows: call kibitz.init(…) before record_frame"
        )
    made = app or VirtualApp(
        app_name=app_name,
        app_version=app_version,
        feedbacks=feedbacks,
        feedback_mode=feedback_mode,
        tags=tags,
    )
    layout = _Layout(
        inputs=inputs,
        output=output,
        contexts=contexts,
        error=error,
        id=id,
        started_at=started_at,
        latency_s=latency_s,
        thread_id=thread_id,
        metadata=metadata,
        calls=calls or {},
    )
    ids: list[str] = []
    left_out: dict[int, str] = {}
    seen: Counter[str] = Counter()
    at = -1
    for at, row in enumerate(_rows(frame)):
        layout.check(row, at)
        try:
            told = layout.record(row)
            said = told.id or [told.main_input, told.main_output, told.main_error]
            key = _digest(jsonable.to_json([said]))
            ids.append(made.add_record(told, occurrence=0 if told.id else seen[key]).record_id)
            seen[key] += 1
        except (UsageError, ValueError) as problem:
            left_out[at] = str(problem)
        if at % 500 == 499 and made.feedback_mode is not FeedbackMode.DEFERRED:
            evaluating.wait_for_room()
    return Told(rows=at + 1, record_ids=ids, left_out=left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Which columns of a frame say what of a record."""

    inputs: str | Sequence[str]
    output: str
    contexts: str | None
    error: str | None
    id: str | None
    started_at: str | None
    latency_s: str | None
    thread_id: str | None
    metadata: Sequence[str]
    calls: Mapping[str, str]

    def check(self, row: Mapping[str, Any], at: int) -> None:
        """Hold a row to them; raises `UsageError`."""
        single = (self.contexts, self.error, self.id, self.started_at, self.latency_s)
        optional = (*single, self.thread_id, *self.metadata, *self.calls.values())
        for name in (*self._names, self.output, *optional):
            if name is not None and name not in row:
                raise UsageError(
                    f"row {at} has no column {name!r}; it has {', '.join(map(str, row))}",
                    field=name,
                )

    def record(self, row: Mapping[str, Any]) -> VirtualRecord:
        """What a row says; raises `UsageError` and `ValueError` where it cannot be read."""
        if isinstance(self.inputs, str):
            asked = row[self.inputs]
        else:
            asked = {name: row[name] for name in self.inputs}
        return VirtualRecord(
            main_input=asked,
            main_output=_cleaned(row[self.output]),
            main_error=_text(row, self.error),
            calls=_calls(row, asked, self.contexts, self.calls),
            id=_text(row, self.id),
            started_at=_moment(row[self.started_at]) if self.started_at else None,
            latency_s=_number(row[self.latency_s]) if self.latency_s else None,
            thread_id=_text(row, self.thread_id),
            meta={name: _cleaned(row[name]) for name in self.metadata},
        )

    @property
    def _names(self) -> Sequence[str]:
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


def _rows(frame: Any) -> Iterator[Mapping[str, Any]]:
    """The rows of whatever has some; the libraries are not imported for it."""
    if isinstance(frame, str | Path):
        yield from _lines(Path(frame))
    elif hasattr(frame, "iter_rows"):
        yield from frame.iter_rows(named=True)
    elif hasattr(frame, "itertuples"):
        columns = [str(name) for name in frame.columns]
        for values in frame.itertuples(index=False, name=None):
            yield dict(zip(columns, values, strict=True))
    elif hasattr(frame, "to_batches"):
        for batch in frame.to_batches():
            yield from batch.to_pylist()
    elif isinstance(frame, Iterable) and not isinstance(frame, Mapping):
        for at, row in enumerate(cast("Iterable[Any]", frame)):
            if not isinstance(row, Mapping):
                raise UsageError(f"row {at} is no mapping but {row!r:.80}", field="frame")
            yield cast("Mapping[str, Any]", row)
    else:
        kind: Any = cast("Any", type(frame))  # pyright: ignore[reportUnknownArgumentType] of anything
        raise UsageError(
            f"{kind.__name__} has no rows; give a data frame, a list of mappings or the path of a file with one JSON "
            "object a line",
            field="frame",
        )


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be read: {error.strerror}", field="frame"
        ) from error
    with file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise UsageError(
                    f"line {number} of {str(path)!r} is no JSON: {error}", field="frame"
                ) from error
            if not isinstance(row, dict):
                raise UsageError(f"line {number} of {str(path)!r} is no JSON object", field="frame")
            yield cast("dict[str, Any]", row)


def _calls(
    row: Mapping[str, Any], asked: Any, contexts: str | None, further: Mapping[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if contexts is not None:
        given = _cleaned(row[contexts])
        passages = [] if given is None else _several(given)
        found[RETRIEVE] = {
            "args": {"query": asked},
            "rets": passages,
            "kind": _CONTEXT_KIND,
        }
    for place, column in further.items():
        found[place] = {"rets": _cleaned(row[column])}
    return found


def _several(value: Any) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else [value]


def _keep(session: Any, parts: list[CallPart]) -> None:
    limit = session.settings.queue_calls
    if session.waiting + len(parts) >= limit // 2:
        # A frame may be longer than the queue; it waits for the store rather than losing rows.
        session.flush()
    for part in parts:
        if not session.keep(part):
            raise UsageError("the row is lost: the session is finished, or its queue is full")


def _place(given: Any) -> str:
    if isinstance(given, Lens):
        text = str(given).removeprefix("__record__.").removeprefix("app.")
        return text.partition("[")[0]
    return str(given)


def _cleaned(value: Any) -> Any:
    """What a frame means: NaN is nothing, an array its elements."""
    kind = cast("Any", type(value))
    if hasattr(kind, "tolist") and hasattr(kind, "dtype"):
        value = value.tolist()
    if kind.__name__ in ("NAType", "NaTType") or (type(value) is float and math.isnan(value)):
        return None
    return value


def _text(row: Mapping[str, Any], column: str | None) -> str | None:
    value = None if column is None else _cleaned(row[column])
    return None if value is None or value == "" else str(value)


def _number(value: Any) -> float | None:
    value = _cleaned(value)
    return None if value is None else float(value)


def _moment(value: Any) -> datetime | None:
    value = _cleaned(value)
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        convert: Any = getattr(cast("Any", value), "to_pydatetime", None)
        moment: datetime = value if convert is None else convert()
    elif isinstance(value, int | float):
        moment = clock.from_us(round(value * 1_000_000))
    else:
        moment = datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _exception(text: Any) -> ExceptionInfo | None:
    if not text:
        return None
    kind, colon, message = str(text).partition(": ")
    if not colon or " " in kind:
        return ExceptionInfo(type="Error", message=str(text))
    return ExceptionInfo(type=kind, message=message)


def _digest(content: Any) -> str:
    return refs.digest(msgspec.json.encode(content, order="sorted"))
