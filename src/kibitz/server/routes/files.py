"""Files that values refer to, as a browser may safely have them."""

from __future__ import annotations

import re

from litestar import Response, get

from kibitz.base import api
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn

SHOWN_TYPES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"))
"""What a browser may show in place. Everything else, SVG among it, can carry a script and is a download."""
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]{1,100}/[A-Za-z0-9.+-]{1,100}(; ?[A-Za-z0-9=._-]{1,60})?")


@get(
    f"{api.FILES}/{{digest:str}}",
    sync_to_thread=True,
    tags=["files"],
    media_type="application/octet-stream",
)
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> Response[bytes]:
    """The bytes of a file, by content address."""
    [digest] = inputs.segments(request, api.FILES)
    content, media_type = store.files.get(inputs.project(project), digest)
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    headers = {
        # As it was stored; Litestar would add a charset to a text.
        "Content-Type": media_type,
        # The address is made from the content, so it never changes.
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if media_type not in SHOWN_TYPES:
        headers["Content-Disposition"] = f'attachment; filename="{digest[:40]}"'
    return Response(content, media_type=media_type, headers=headers)


handlers = [one]
