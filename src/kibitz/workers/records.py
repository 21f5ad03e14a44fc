"""Records as feedback functions take them, with the app that each is of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

from kibitz.base import refs
from kibitz.base.errors import KibitzError
from kibitz.base.records import Call
from kibitz.storage.protocols import ObjectReader
from kibitz.workers.claiming import MakeRecord

APP_REF = "app_ref"
"""The attribute of a root call that names the version of its app among the objects of the project."""
_MAX_APPS = 200


def maker(objects: ObjectReader) -> MakeRecord:
    """Makes records of calls. The app of one is read when a feedback function is run on it, and then kept."""
    from kibitz.judging.records import Record

    @functools.lru_cache(maxsize=_MAX_APPS)
    def app_of(project: str, ref: str) -> Any:
        named = refs.parse_ref(ref)
        # An attribute is what a program says: it may name any project, and shows nothing of others.
        if named.digest is None or named.project != project:
            return None
        return objects.get(named.project, "object", named.name, named.digest).value

    def find(project: str, ref: str) -> Any:
        try:
            return app_of(project, ref)
        except KibitzError:
            # Then selectors of it find nothing, and the evaluation says so.
            return None

    def make(calls: Sequence[Call], root_id: str) -> Any:
        record = Record.of_calls(calls, root_id)
        attributes: Any = record.root.attributes
        ref = (
            cast("dict[str, Any]", attributes).get(APP_REF)
            if isinstance(attributes, dict)
            else None
        )
        if isinstance(ref, str):
            record.find_app = functools.partial(find, record.root.project, ref)
        return record

    return make
