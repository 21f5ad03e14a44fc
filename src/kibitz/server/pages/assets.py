"""The files that the pages load: style, scripts, icons. Read once, sent compressed, cached by content.

A file's address has its digest, so that a browser asks for it once per version. What npm brings may be
missing: `find` says so, and the pages go without it.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from litestar import Response, get
from litestar.params import FromPath

from kibitz.base import refs
from kibitz.base.errors import NotFound
from kibitz.server.errors import AnyRequest

ROOT = "/static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file, ready to be sent."""

    content: bytes
    compressed: bytes
    """With gzip."""
    media_type: str
    version: str


def find(name: str) -> Asset | None:
    """The file of a name."""
    return _assets().get(name)


def url(name: str) -> str:
    """The address of a file; raises `NotFound`."""
    asset = find(name)
    if asset is None:
        raise NotFound(f"the pages have no file {name[:80]!r}")
    return f"{ROOT}/{name}?v={asset.version}"


@get(f"{ROOT}/{{name:path}}", include_in_schema=False, sync_to_thread=False)
def send_asset(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """A file by its name; nothing is looked for on disk."""
    asset = find(name.removeprefix("/"))
    if asset is None:
        raise NotFound(f"the pages have no file {name[:80]!r}")
    pinned = request.query_params.get("v") == asset.version
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if pinned else "no-cache",
        "etag": f'"{asset.version}"',
        "vary": "accept-encoding",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = asset.compressed
        headers["content-encoding"] = "gzip"
    return Response(content, media_type=asset.media_type, headers=headers)


@cache
def _assets() -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    _collect(resources.files("kibitz.server") / "static", "", found)
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, Asset]) -> None:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            _collect(entry, f"{name}/", found)
            continue
        media_type = MEDIA_TYPES.get(name[name.rfind(".") :])
        if media_type is not None:
            content = entry.read_bytes()
            found[name] = Asset(
                content=content,
                compressed=gzip.compress(content, 9, mtime=0),
                media_type=media_type,
                version=refs.digest(content)[:12],
            )
