"""Whether the server answers. Needs no key and says nothing of what is stored."""

from __future__ import annotations

from litestar import get

from kibitz.base import api
from kibitz.base.version import __version__


@get(api.HEALTH, sync_to_thread=False, tags=["health"])
def health() -> api.Health:
    """The server answers."""
    return api.Health(status="ok", version=__version__)


handlers = [health]
