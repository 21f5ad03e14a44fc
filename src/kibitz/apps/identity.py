"""Which app a call belongs to: name, version, tags and metadata, as attributes of its calls.

| attribute | where | |
|---|---|---|
| `app_name`, `app_version` | each call of the app | as they were given |
| `app_id` | each call of the app | the same for the same name and version, in every process |
| `app_ref` | root calls of records | the version of the app's JSON among the objects of the project |
| `tags`, `meta` | root calls of records | where they were given |
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kibitz.base import refs
from kibitz.base.errors import UsageError
from kibitz.base.records import ObjectPart

DEFAULT_NAME = "default_app"
DEFAULT_VERSION = "base"
APP = "app"
"""The `$type` of an app among the objects of a project."""
_MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an app is called."""

    name: str = DEFAULT_NAME
    version: str = DEFAULT_VERSION
    tags: str | list[str] = ""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def id(self) -> str:
        """One id for every name and version."""
        return _id(self.name, self.version)

    @property
    def attributes(self) -> dict[str, Any]:
        """Of each call."""
        return {"app_name": self.name, "app_version": self.version, "app_id": self.id}

    def of_record(self, ref: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        """Of the root call of a record."""
        found = self.attributes
        if ref is not None:
            found["app_ref"] = ref
        if self.tags:
            found["tags"] = self.tags
        meta = {**self.metadata, **(metadata or {})}
        if meta:
            found["meta"] = meta
        return found


@functools.lru_cache(maxsize=1024)
def _id(name: str, version: str) -> str:
    return f"app_{refs.digest(msgspec.json.encode([name, version]))}"


def make(
    name: str, version: str, tags: str | Iterable[str], metadata: Mapping[str, Any] | None
) -> Identity:
    """The identity of these, checked; raises `UsageError` where one cannot be used."""
    for field_, value in (("app_name", name), ("app_version", version)):
        if (
            not isinstance(value, str)  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            or not 0 < len(value) <= _MAX_NAME
            or not value.isprintable()
        ):
            raise UsageError(
                f"{field_}={value!r} cannot be used; it is a text of 1 to {_MAX_NAME} visible characters",
                field=field_,
            )
    return Identity(
        name=name,
        version=version,
        tags=tags if isinstance(tags, str) else [str(tag) for tag in tags],
        metadata=dict(metadata or {}),
    )


def version_of(definition: Mapping[str, Any]) -> ObjectPart:
    """The stored form of an app's JSON."""
    value = {"$type": APP, **definition}
    digest = refs.digest(msgspec.json.encode(value, order="sorted"))
    return ObjectPart(kind="object", name=str(definition["app_name"]), digest=digest, value=value)


def ref_of(project: str, part: ObjectPart) -> str:
    """The reference of an app's version in a project."""
    return refs.format_ref(
        refs.Ref(project=project, kind="object", name=part.name, digest=part.digest)
    )
