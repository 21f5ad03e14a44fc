"""References: how one stored thing names another.

    kibitz:///team/app/call/01912d6e-…            a call, trace, thread or message by id
    kibitz:///team/app/op/answer:3f9c…            a version of an op, by the digest of its code
    kibitz:///team/app/object/helpful:77ab…       a version of any other object

The project may have one slash; kind and name are always the last two parts, so parsing never guesses.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from kibitz.base.errors import RefError, UsageError

SCHEME = "kibitz:///"
VERSIONED = frozenset({"object", "op"})
KINDS = VERSIONED | {"call", "trace", "thread", "message"}
DIGEST_LENGTH = 40
MAX_SHOWN = 120
"""Characters of a wrong text that an error shows."""

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?")
_DIGEST = re.compile(r"[0-9a-f]{40}")


def check_project(project: str) -> str:
    """Give the project's name back, or raise `UsageError` where it cannot be one."""
    if not isinstance(project, str) or not _PROJECT.fullmatch(project):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
        shown = _short(project) if isinstance(project, str) else repr(project)[:MAX_SHOWN]  # pyright: ignore[reportUnnecessaryIsInstance] as above
        raise UsageError(
            f"project {shown} is not a name; use 'app' or 'team/app' with letters, digits, '.', '_' and '-'",
            field="project",
        )
    return project


def digest(content: bytes) -> str:
    """The content address of bytes: 160 bits of SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """One reference, taken apart."""

    project: str
    kind: str
    """One of `KINDS`."""
    name: str
    """The id, or the name of a versioned object."""
    digest: str | None = None
    """The version; only for objects and ops, where it is always there."""

    def __str__(self) -> str:
        return format_ref(self)


def format_ref(ref: Ref) -> str:
    """The text of a reference; `parse_ref` gives the same reference back."""
    version = f":{ref.digest}" if ref.digest is not None else ""
    return f"{SCHEME}{ref.project}/{ref.kind}/{quote(ref.name, safe='')}{version}"


def parse_ref(text: str) -> Ref:
    """Take a reference apart; raises `RefError` with the rule that it breaks."""
    if not text.startswith(SCHEME):
        raise RefError(
            f"reference {_short(text)} does not begin with {SCHEME!r}", value=text[:MAX_SHOWN]
        )
    parts = text[len(SCHEME) :].rsplit("/", 2)
    if len(parts) != 3:
        raise RefError(
            f"reference {_short(text)} is not {SCHEME}project/kind/name", value=text[:MAX_SHOWN]
        )
    project, kind, tail = parts
    if not _PROJECT.fullmatch(project):
        raise RefError(f"reference {_short(text)} has no valid project", value=text[:MAX_SHOWN])
    if kind not in KINDS:
        raise RefError(
            f"reference {_short(text)} is of kind {_short(kind)}; known are {', '.join(sorted(KINDS))}",
            value=text[:MAX_SHOWN],
        )
    version = None
    if kind in VERSIONED:
        tail, colon, version = tail.rpartition(":")
        if not colon or not _DIGEST.fullmatch(version):
            raise RefError(
                f"reference {_short(text)} names no version; it ends in ':' and 40 hexadecimal digits",
                value=text[:MAX_SHOWN],
            )
    name = unquote(tail)
    if not name:
        raise RefError(f"reference {_short(text)} has an empty name", value=text[:MAX_SHOWN])
    return Ref(project=project, kind=kind, name=name, digest=version)


def call_ref(project: str, call_id: str) -> str:
    """The reference of a call."""
    return format_ref(Ref(project=project, kind="call", name=call_id))


def op_ref(project: str, op: str, version: str) -> str:
    """The reference of a version of an op."""
    return format_ref(Ref(project=project, kind="op", name=op, digest=version))


def _short(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…")
