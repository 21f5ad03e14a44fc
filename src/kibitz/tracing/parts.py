"""A recording as the part of a call that is sent. All of it happens on the exporter's thread."""

from __future__ import annotations

import linecache
import platform
import socket
import sys
from typing import Any, cast

from kibitz.base import clock, jsonable, redaction, refs
from kibitz.base.records import CallPart, ExceptionInfo, FilePart, Frame, ObjectPart
from kibitz.base.settings import TracingSettings
from kibitz.base.version import __version__
from kibitz.tracing import code, failures, guard, recording, snapshots, streams
from kibitz.tracing.op import Op
from kibitz.tracing.recording import Recording

_OVERHEAD = 400
_MAX_LABEL = 1024
_CONTROL = dict.fromkeys((*range(32), 127), " ")


class Assembler:
    """Makes parts of recordings, for one session."""

    def __init__(self, project: str, settings: TracingSettings) -> None:
        self._project = project
        self._capture_code = settings.capture_code
        self._limits = jsonable.Limits(bytes=settings.max_value_bytes)
        self.redaction = redaction.Redaction(settings.redact_keys)
        self._about = _about(settings)
        self._refs: dict[str, str] = {}
        self.versions: dict[str, ObjectPart] = {}
        """What judgements of this session may name, by reference."""

    def version_of(self, op: Op[..., Any]) -> ObjectPart:
        """The stored form of the op's code."""
        return code.version_of(op, capture=self._capture_code, redaction=self.redaction)

    def op_ref(self, version: ObjectPart) -> str:
        """The reference of an op's version."""
        ref = self._refs.get(version.digest)
        if ref is None:
            ref = refs.op_ref(self._project, version.name, version.digest)
            self._refs[version.digest] = ref
            self.versions[ref] = version
        return ref

    def part(self, call: Recording, *, ended: bool) -> Assembled:
        """The call as it is to be sent; where something in it cannot be, that is what it says."""
        try:
            return self._part(call, ended)
        except BaseException as error:  # noqa: BLE001 the guard of the recording path, in a thread that must go on
            guard.note(error, "preparing a call for the store")
            part = CallPart(
                id=call.id,
                trace_id=call.trace_id,
                parent_id=None if call.parent is None else call.parent.id,
                op=call.op.name,
                started_at=clock.from_us(call.started_ns // 1000),
                ended_at=clock.from_us(call.ended_ns // 1000) if ended else None,
                inputs={},
                attributes={"kibitz": {"incomplete": type(error).__name__}},
            )
            return Assembled(part, _OVERHEAD, {}, None)

    def _part(self, call: Recording, ended: bool) -> Assembled:
        op = cast("Op[..., Any]", call.op)
        files: dict[str, FilePart] = {}
        version = self.version_of(op)
        inputs, size = self._inputs(call, op, files)
        fields: dict[str, Any] = {
            "id": call.id,
            "trace_id": call.trace_id,
            "op": op.name,
            "op_ref": self.op_ref(version),
            "started_at": clock.from_us(call.started_ns // 1000),
            "inputs": inputs,
        }
        if call.parent is not None:
            fields["parent_id"] = call.parent.id
        extra = call.extra
        kind = op.kind if op.kind is not None or extra is None else extra.kind
        if kind is not None:
            fields["kind"] = _label(kind)[:256]
        if call.thread_id is not None:
            fields["thread_id"] = _label(call.thread_id)
        name = (
            op.display_name if extra is None or extra.display_name is None else extra.display_name
        )
        if name is not None:
            fields["display_name"] = _label(_display_name(name, inputs))
        size += self._attributes(call, op, fields, files)
        if ended:
            fields["ended_at"] = clock.from_us(call.ended_ns // 1000)
            size += self._outcome(call, fields, files)
        return Assembled(CallPart(**fields), size + _OVERHEAD, files, version)

    def _inputs(
        self, call: Recording, op: Op[..., Any], files: dict[str, FilePart]
    ) -> tuple[dict[str, Any], int]:
        kept: Any = call.inputs
        if isinstance(kept, recording.Named):
            named = snapshots.value_of(kept.values)
        else:
            args, kwargs = snapshots.arguments_of(kept)
            try:
                named = op.bind(args, kwargs)
            except (TypeError, ValueError):
                # The call itself raises this to the program; what was given is recorded as it is.
                named = {"args": args, "kwargs": kwargs}
        # `isinstance` would ask the value for its class, and a user's value may answer anything.
        if type(named) is recording.Withheld:
            return {jsonable.TYPE: "redacted", "reason": named.reason}, 80
        owner: type | None = getattr(call, "owner", None)
        value, size = self._json(named, files)
        if not isinstance(value, dict):
            value = {"value": value}
        if owner is not None:
            name = op.parameters.names[0]
            if name in value:
                value[name] = {jsonable.TYPE: "object", "class": jsonable.class_name(owner)}
        return cast("dict[str, Any]", value), size

    def _outcome(self, call: Recording, fields: dict[str, Any], files: dict[str, FilePart]) -> int:
        size = 0
        output: Any = call.output
        summary = {} if call.extra is None else call.extra.summary
        if output is recording.NO_ROOM:
            fields["output"] = {jsonable.TYPE: "truncated", "kind": "queue_full"}
        elif type(output) is recording.Withheld:
            fields["output"] = {jsonable.TYPE: "redacted", "reason": output.reason}
        elif output is not recording.NOTHING:
            is_stream = type(output) is streams.Items
            value: Any = output.values() if is_stream else snapshots.value_of(output)
            fields["output"], size = self._json(value, files)
            if is_stream and output.total > len(value):
                summary = {**summary, "yielded": output.total}
                fields["output"] = _marked(fields["output"], output.total)
        if summary:
            fields["summary"], more = self._json(summary, files)
            size += more
        if call.failure is not None:
            fields["exception"] = _exception(call.failure)
            size += 2000
        return size

    def _attributes(
        self, call: Recording, op: Op[..., Any], fields: dict[str, Any], files: dict[str, FilePart]
    ) -> int:
        own = None if call.extra is None else call.extra.attributes
        size = 0
        result: dict[str, Any] = {}
        if own or call.attributes or op.attributes:
            merged = {**(op.attributes or {}), **(call.attributes or {}), **(own or {})}
            value, size = self._json(merged, files)
            result = cast("dict[str, Any]", value)
        if call.root is None and self._about:
            # JSON already, and the same for every trace.
            result = {"kibitz": self._about, **result}
        if result:
            fields["attributes"] = result
        return size

    def _json(self, value: object, files: dict[str, FilePart]) -> tuple[Any, int]:
        writer = jsonable.writer(limits=self._limits, redaction=self.redaction, files=files)
        return writer.write(value), writer.used_bytes


def _marked(yielded: Any, total: int) -> Any:
    """The kept values of a stream, with the mark that it had more."""
    kept = [each for each in yielded if not jsonable.is_end(each)]
    return [*kept, jsonable.truncated("list", len(kept), total)]


class Assembled:
    """A part with what goes with it."""

    __slots__ = ("files", "part", "size", "version")

    def __init__(
        self,
        part: CallPart,
        size: int,
        files: dict[str, FilePart],
        version: ObjectPart | None,
    ) -> None:
        self.part = part
        self.size = size + sum(len(file.content) for file in files.values())
        """Bytes, roughly."""
        self.files = files
        self.version = version


def _display_name(name: Any, inputs: dict[str, Any]) -> str:
    if not callable(name):
        return str(name)
    try:
        return str(name(inputs))
    except Exception as error:  # noqa: BLE001 a user's callback
        guard.warn("display_name=%r raised %s; the call has none", name, type(error).__name__)
        return ""


def _label(text: str) -> str:
    """Text that fits a label: one line, no control characters, bounded."""
    clean = text.translate(_CONTROL)[:_MAX_LABEL]
    return clean.encode("utf-8", "replace").decode("utf-8")


def _exception(failure: failures.Failure) -> ExceptionInfo:
    message = jsonable.to_json(redaction.scrub(failure.message))
    return ExceptionInfo(
        type=jsonable.class_name(failure.kind),
        message=message if isinstance(message, str) else "",
        traceback=[
            Frame(
                file=_label(file),
                line=line,
                function=_label(function),
                text=_source_line(file, line),
            )
            for file, line, function in failure.frames
        ],
        cause=None if failure.cause is None else _exception(failure.cause),
    )


def _source_line(file: str, line: int) -> str:
    return _label(redaction.scrub(linecache.getline(file, line).strip()))[:300]


def _about(settings: TracingSettings) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if settings.capture_client:
        about["client"] = {"name": "kibitz", "version": __version__}
    if settings.capture_system:
        about["system"] = {
            "os": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "implementation": sys.implementation.name,
            "host": socket.gethostname(),
        }
    return about
