"""The version of an op: its source, and what it uses of its module.

It is taken once per op on the exporter's thread. Where the source is not to be had (typed into a prompt, capture
switched off) the bytecode stands for it, so that a change still makes a version.
"""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import msgspec

from kibitz.base import jsonable, refs
from kibitz.base.records import ObjectPart
from kibitz.base.redaction import Redaction, scrub
from kibitz.tracing.op import Op

_MAX_SOURCE = 100_000
_MAX_USED = 50
_MAX_CONSTANT = 2000
_CONSTANTS = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)


def version_of(op: Op[..., Any], *, capture: bool, redaction: Redaction) -> ObjectPart:
    """The op's version, as an object to be stored; the same for the same code.

    Args:
        capture: whether its source is stored.
        redaction: what is a secret; sources and constants are stored without.
    """
    capture = capture and op.capture_code
    known = op.versions.get(capture)
    if known is None:
        known = op.versions[capture] = _version(op, capture, redaction)
    return known


def _version(op: Op[..., Any], capture: bool, redaction: Redaction) -> ObjectPart:
    func = inspect.unwrap(op.func)
    value: dict[str, Any] = {
        "language": "python",
        "module": str(getattr(func, "__module__", "")),
        "function": str(getattr(func, "__qualname__", type(func).__qualname__)),
    }
    source = _source(func) if capture else None
    if source is None:
        value["bytecode"] = _bytecode(func)
    else:
        value["source"] = source
        used = _used(func, redaction)
        if used:
            value["uses"] = used
    # Written by hand here, so that the digest is of what a reader gets.
    content = msgspec.json.encode(value, order="sorted")
    return ObjectPart(kind="op", name=op.name, digest=refs.digest(content), value=value)


def _source(func: Any) -> str | None:
    try:
        text = textwrap.dedent(inspect.getsource(func))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None
    return _clean(text)


def _clean(text: str) -> str:
    cleaned = jsonable.to_json(scrub(text[:_MAX_SOURCE]))
    return cleaned if isinstance(cleaned, str) else ""


def _used(func: Any, redaction: Redaction) -> dict[str, Any]:
    """What a function uses of its module and its closure: functions with source, constants with value, imports."""
    used: dict[str, Any] = {}
    waiting: list[Any] = [func]
    while waiting:
        each = waiting.pop()
        if type(each) is not FunctionType:
            continue
        for name, value in _names(each):
            # Asked of the class, here and below: a value of a program may say anything of itself.
            if issubclass(cast("type[Any]", type(value)), Op):
                value = inspect.unwrap(value.func)
            if name in used or value is func or len(used) >= _MAX_USED:
                continue
            said = _said(name, value, each, redaction)
            if said is not None:
                used[name] = said
                if "source" in said:
                    waiting.append(value)
    return dict(sorted(used.items()))


def _said(name: str, value: Any, user: FunctionType, redaction: Redaction) -> dict[str, Any] | None:
    """What is kept of one thing that a function uses; None for what cannot be said."""
    kind = cast("type[Any]", type(value))
    if kind is FunctionType:
        source = _source(value) if value.__module__ == user.__module__ else None
        return (
            {"import": f"{value.__module__}.{value.__qualname__}"}
            if source is None
            else {"source": source}
        )
    if value is None or kind in _CONSTANTS:
        return {"value": _constant(name, value, redaction)}
    if issubclass(kind, ModuleType):
        return {"import": str(value.__name__)}
    if issubclass(kind, type):
        return {"import": jsonable.class_name(value)}
    return None


def _constant(name: str, value: Any, redaction: Redaction) -> Any:
    if redaction.hides(name):
        return {jsonable.TYPE: "redacted"}
    limits = jsonable.Limits(bytes=_MAX_CONSTANT, depth=6, items=100)
    return jsonable.to_json(value, limits=limits, redaction=redaction)


def _names(func: FunctionType) -> Iterator[tuple[str, Any]]:
    for name in sorted(_global_names(func.__code__)):
        if name in func.__globals__:
            yield name, func.__globals__[name]
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            # Not bound yet: a function that refers to one defined after it.
            continue


def _global_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names


def _bytecode(func: Any) -> str:
    digest = hashlib.sha256()
    code = getattr(func, "__code__", None)
    if isinstance(code, CodeType):
        _add_code(digest, code)
    return digest.hexdigest()[: refs.DIGEST_LENGTH]


def _add_code(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(digest, constant)
        elif not isinstance(constant, frozenset):
            # The order of a set's elements differs from process to process.
            digest.update(repr(constant).encode("utf-8", "surrogatepass"))
