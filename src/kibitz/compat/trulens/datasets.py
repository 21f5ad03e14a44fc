"""Golden responses under a name: versions of an object of the project."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from kibitz.asking import frames, sources
from kibitz.asking.places import Place
from kibitz.base import jsonable, refs, wire
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.records import Batch, ObjectPart

TYPE: Final = "ground_truth"


def add(project: str, name: str, golden: Any, metadata: Any) -> str:
    """Store golden responses beside those that the name has, each once, and give the reference of the new version."""
    rows = _rows(golden)
    place = Place(project)
    try:
        with place.opened() as store:
            known = _newest(store, project, name)
    except NotFound:
        # It begins with these.
        known = None
    before: list[Any] = [] if known is None else known["rows"]
    seen = {_text(each) for each in before}
    for row in rows:
        if (text := _text(row)) not in seen:
            seen.add(text)
            before.append(row)
    value = {"$type": TYPE, "rows": before, "metadata": jsonable.to_json(metadata or {})}
    digest = refs.digest(_text(value))
    part = ObjectPart(kind="object", name=name, digest=digest, value=value)
    with sources.writer(place.source()) as ingest:
        receipt = ingest.write(Batch(project=project, objects=[part]))
    for each in receipt.rejected:
        raise wire.error_of(each)
    return refs.format_ref(refs.Ref(project=project, kind="object", name=name, digest=digest))


def get(project: str, name: str) -> Any:
    """The golden responses of a name as a frame; raises `NotFound`."""
    with Place(project).opened() as store:
        known = _newest(store, project, name)
        if known is None:
            there = ", ".join(each.name for each in store.objects.list(project, "object", TYPE))
            raise NotFound(
                f"project {project!r} has no ground truth {name!r}; it has {there or 'none'}"
            )
    rows = cast("list[dict[str, Any]]", known["rows"])
    return frames.pandas_of(rows, list(dict.fromkeys(key for row in rows for key in row)))


def _newest(store: Any, project: str, name: str) -> dict[str, Any] | None:
    for each in store.objects.list(project, "object", TYPE):
        if each.name == name:
            return dict(each.value)
    return None


def _rows(golden: Any) -> list[dict[str, Any]]:
    told: Any = golden.to_dict("records") if hasattr(golden, "to_dict") else golden
    if not isinstance(told, list) or not all(
        isinstance(each, dict) for each in cast("list[Any]", told)
    ):
        raise UsageError(
            f"golden responses are a data frame or a list of mappings, not {golden!r:.80}",
            field="ground_truth_df",
        )
    return [cast("dict[str, Any]", jsonable.to_json(each)) for each in cast("list[Any]", told)]


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
