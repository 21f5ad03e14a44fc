"""Settings: typed, from a mapping that the caller passes (`os.environ`), with overrides on top.

Every field is one environment variable, `KIBITZ_` and its name in capitals; an empty one is not set. The
field's type decides how its text is read; what cannot be read is a `SettingsError` that names the variable and
its value.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union

from kibitz.base.errors import SettingsError

PREFIX = "KIBITZ_"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
MAX_SECONDS = 1e8
"""Three years: what every clock and lock of the system takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """How a program is recorded."""

    url: str | None = None
    """Where to send calls; without it they go straight into the data folder."""
    api_key: str | None = field(default=None, repr=False)
    data: str = "./.kibitz"
    """The data folder: store and spool."""
    enabled: bool = True
    """False: ops run as if they were not decorated."""
    sample_rate: float = 1.0
    """The share of traces that is recorded, 0 to 1; a trace is recorded whole or not at all."""
    capture_code: bool = True
    """Whether the source of ops is stored as their version."""
    capture_system: bool = True
    """Whether operating system, Python version and host name are recorded with a trace."""
    capture_client: bool = True
    """Whether the SDK's name and version are recorded with a trace."""
    redact_keys: tuple[str, ...] = ()
    """Further keys whose values are never stored, beside the built-in ones."""
    queue_calls: int = 50_000
    """Calls that may wait for the exporter; over it, new ones are dropped and counted."""
    queue_bytes: int = 256 << 20
    """Bytes, roughly, that may wait for the exporter."""
    batch_calls: int = 500
    batch_bytes: int = 4 << 20
    flush_interval_s: float = 0.5
    """How long a finished call waits for company before it is sent."""
    running_after_s: float = 1.0
    """A call that takes longer than this is shown as running."""
    timeout_s: float = 10.0
    """For one request."""
    exit_timeout_s: float = 10.0
    """How long the end of the program may be delayed by what is pending."""
    spool_bytes: int = 1 << 30
    """How much may wait on disk for a server that is away."""
    max_value_bytes: int = 1 << 20
    """Inputs and output of a call are cut to this size each."""
    print_summary: bool = True
    """One line on standard error at the end: what was sent, spooled, dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server runs."""

    data: str = "./.kibitz"
    host: str = "127.0.0.1"
    port: int = 4500
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Any one of these opens the server; comma-separated in the environment."""
    api_keys_file: str | None = None
    """A file with one key a line; empty lines and lines that begin with '#' are passed over."""
    max_body_bytes: int = 32 << 20
    """Of a request, before and after decompression."""
    max_batch_items: int = 10_000
    max_call_bytes: int = 4 << 20
    """Of one call as stored."""
    query_timeout_s: float = 10.0
    synchronous: str = "normal"
    """`normal` survives a killed process; `full` also a power cut, at some 0.2 ms a commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker does evaluations."""

    worker_allow: tuple[str, ...] = ()
    """Modules of whose functions definitions may be, beside those that are always allowed."""
    worker_app_dir: str = "."
    """The folder from which those modules are imported."""
    worker_concurrency: int = 50
    """Slow evaluations of one definition at once; of all together four times as many."""
    worker_batch: int = 256
    """Evaluations that are claimed at once."""
    worker_lease_s: float = 60.0
    """How long a worker that says nothing more keeps what it claimed."""
    worker_max_attempts: int = 5
    """How often an evaluation is begun before it FAILED for good."""
    worker_timeout_s: float = 120.0
    """For one evaluation; 0 for none."""
    worker_grace_s: float = 20.0
    """How long what goes on may take to end when the worker is stopped."""


S = TypeVar("S", TracingSettings, ServerSettings, WorkerSettings)


def load(
    kind: type[S], environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> S:
    """Settings of a kind from defaults, then environment, then overrides that are not None.

    Raises:
        SettingsError: an override is not a setting, or a text cannot be read as its type.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        text = environment.get(PREFIX + name.upper())
        # `KIBITZ_URL=` in a shell or a compose file takes a setting back.
        if text is not None and text.strip():
            values[name] = _read(PREFIX + name.upper(), text, hint)
    for name, value in (overrides or {}).items():
        if name not in hints:
            known = ", ".join(sorted(hints))
            raise SettingsError(f"{name!r} is not a setting; known are {known}", setting=name)
        if value is not None:
            values[name] = _check(name, value, hints[name])
    settings = kind(**values)
    _check_ranges(settings)
    return settings


def describe(
    kind: type[TracingSettings] | type[ServerSettings] | type[WorkerSettings],
) -> list[tuple[str, str, Any]]:
    """(environment variable, field, default) of each setting, for documentation and `kibitz doctor`."""
    return [
        (PREFIX + each.name.upper(), each.name, each.default) for each in dataclasses.fields(kind)
    ]


def _plain(hint: Any) -> Any:
    """The type behind `X | None`."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return next(each for each in typing.get_args(hint) if each is not type(None))
    return hint


def _read(variable: str, text: str, hint: Any) -> Any:
    hint = _plain(hint)
    if hint is bool:
        lowered = text.strip().lower()
        if lowered in _TRUE or lowered in _FALSE:
            return lowered in _TRUE
        raise SettingsError(
            f"{variable}={text!r} is neither true nor false", setting=variable, value=text
        )
    if hint in (int, float):
        try:
            return hint(text.replace("_", ""))
        except ValueError as error:
            raise SettingsError(
                f"{variable}={text!r} is not a number", setting=variable, value=text
            ) from error
    if typing.get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _check(name: str, value: Any, hint: Any) -> Any:
    hint = _plain(hint)
    if typing.get_origin(hint) is tuple:
        if isinstance(value, str):
            return (value,)
        return tuple(str(each) for each in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise SettingsError(
            f"setting {name}={value!r} must be of type {hint.__name__}", setting=name, value=value
        )
    return value


def _check_ranges(settings: TracingSettings | ServerSettings | WorkerSettings) -> None:
    for each in dataclasses.fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        limit = MAX_SECONDS if each.name.endswith("_s") else float("inf")
        if not value >= 0 or value == float("inf") or value > limit:
            upto = f" and at most {limit:.0e}" if value > limit else ""
            raise SettingsError(
                f"setting {each.name}={value!r} must be a number of 0 or more{upto}",
                setting=each.name,
                value=value,
            )
    if isinstance(settings, TracingSettings) and settings.sample_rate > 1:
        raise SettingsError(
            f"setting sample_rate={settings.sample_rate!r} must be from 0 to 1",
            setting="sample_rate",
            value=settings.sample_rate,
        )
    if isinstance(settings, ServerSettings) and settings.synchronous not in {"normal", "full"}:
        raise SettingsError(
            f"setting synchronous={settings.synchronous!r} must be 'normal' or 'full'",
            setting="synchronous",
            value=settings.synchronous,
        )
    if isinstance(settings, WorkerSettings):
        for name in ("worker_concurrency", "worker_batch", "worker_lease_s", "worker_max_attempts"):
            if not getattr(settings, name):
                raise SettingsError(f"setting {name}=0 must be more than 0", setting=name, value=0)
