"""The application, put together. Nothing else knows all the parts."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware

from kibitz.base.settings import ServerSettings
from kibitz.server import access, bodies, errors, headers, inputs, pages, routes
from kibitz.storage.protocols import Store

WRITER_THREADS = 8
"""Deliveries at a time. They meet in the store's one writer, which stores together what came together."""


def build_app(store: Store, settings: ServerSettings) -> Litestar:
    """The application over a store, which stays the caller's to close.

    Raises:
        SettingsError: the keys cannot be read.
    """
    keys = access.read_keys(settings)
    writers = ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="kibitz-write")
    respond = errors.handler(pages.error_page)
    app = Litestar(
        # Copies, since handlers belong to one application and a process may have several.
        route_handlers=[_api(), *map(copy.copy, pages.handlers)],
        dependencies=inputs.provided(store=store, settings=settings, keys=keys),
        exception_handlers={Exception: respond},
        before_send=[headers.add],
        openapi_config=None,
        state=State({"store": store, "settings": settings, "writers": writers}),
        # Bodies are bounded before they reach a handler.
        request_max_body_size=None,
        logging_config=None,
        on_shutdown=[lambda: writers.shutdown(wait=False)],
    )
    # Litestar's own middleware exists once for each route and only where there is one; these hold for
    # every request, also for an address that is not there.
    within = bodies.Bodies(app.asgi_handler, max_body_bytes=settings.max_body_bytes)
    app.asgi_handler = errors.Guard(access.Access(within, keys=keys), respond)
    return app


def _api() -> Router:
    """The API with its answers compressed. The pages do that themselves, once for a file that never changes."""
    compression = CompressionConfig(backend="gzip", minimum_size=1024, gzip_compress_level=5)
    return Router(
        "/",
        route_handlers=[*map(copy.copy, routes.handlers)],
        middleware=[DefineMiddleware(CompressionMiddleware, config=compression)],
    )
