"""Templates to HTML: the one door to Jinja2. Every value is escaped, and a name that is not there is an error.

A page is a frozen dataclass: its `template` names the file, its fields are the names that the file sees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from kibitz.base import api
from kibitz.server.pages import addresses, assets, formats, markdown


class Page(Protocol):
    """What can be rendered."""

    template: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": formats.ago,
    "count": formats.count,
    "duration": formats.duration,
    "exact": formats.exact,
    "field": formats.field,
    "iso": formats.iso,
    "literal": formats.literal,
    "markdown": markdown.render,
    "number": formats.number,
    "scalar": formats.scalar,
    "segment": addresses.escape,
    "short_id": formats.short_id,
    "size": formats.size,
    "usd": formats.usd,
}


def script(name: str) -> str:
    """The address of a script; empty for one that npm did not bring."""
    return assets.url(name) if assets.find(name) else ""


def file_url(project: str, digest: str) -> str:
    """The address of stored bytes; the API sends what is not a plain image as a download."""
    return f"{api.FILES}/{quote(digest, safe='')}?{addresses.format_pair('project', project)}"


GLOBALS: dict[str, Callable[..., Any]] = {
    "asset": assets.url,
    "call_path": addresses.call_path,
    "file_url": file_url,
    "project_path": addresses.project_path,
    "script": script,
}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kibitz.server", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(cast("Any", FILTERS))
    environment.globals.update(cast("Any", GLOBALS))
    return environment


environment = _environment()


def render(page: Page) -> str:
    """The HTML of a page."""
    names = {each.name: getattr(page, each.name) for each in dataclasses.fields(page)}
    return environment.get_template(page.template).render(names)
