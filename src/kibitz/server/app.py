"""The application, put together. Nothing else knows all the parts."""

from __future__ import annotations

import copy
import functools
from concurrent.futures import ThreadPoolExecutor

from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.events import SimpleEventEmitter
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
    given = {"store": store, "settings": settings, "keys": keys, "writers": writers}
    app = _own(_routed(), State(given))
    app.on_shutdown.append(lambda: writers.shutdown(wait=False))
    # Litestar's own middleware exists once for each route and only where there is one; these hold for
    # every request, also for an address that is not there.
    within = bodies.Bodies(app.asgi_handler, max_body_bytes=settings.max_body_bytes)
    app.state["bodies"] = within
    respond = errors.handler(pages.error_page)
    app.asgi_handler = errors.Guard(access.Access(within, keys=keys), respond)
    return app


@functools.cache
def _routed() -> Litestar:
    """All routes, without a store: what the applications of a process have in common.

    To make it takes a quarter of a second, for Litestar reads every handler's signature. A test run starts
    hundreds of servers.
    """
    return Litestar(
        # Copies, since handlers belong to one application, and `description` makes another of them.
        route_handlers=[_api(), *map(copy.copy, pages.handlers)],
        dependencies=inputs.provided("store", "settings", "keys"),
        exception_handlers={Exception: errors.handler(pages.error_page)},
        before_send=[headers.add],
        openapi_config=None,
        # Bodies are bounded before they reach a handler.
        request_max_body_size=None,
        logging_config=None,
    )


def _own(routed: Litestar, state: State) -> Litestar:
    """An application of the same routes whose state and whose beginning and end are its own.

    Handlers find the state by the application that a request names; the router, by the one it names itself,
    what to begin and to end.
    """
    app = copy.copy(routed)
    app.state = state
    app.on_shutdown = []
    app.asgi_router = copy.copy(routed.asgi_router)
    app.asgi_router.app = app
    app.event_emitter = SimpleEventEmitter(listeners=[])
    return app


def _api() -> Router:
    """The API with its answers compressed. The pages do that themselves, once for a file that never changes."""
    compression = CompressionConfig(backend="gzip", minimum_size=1024, gzip_compress_level=5)
    return Router(
        "/",
        route_handlers=[*map(copy.copy, routes.handlers)],
        middleware=[DefineMiddleware(CompressionMiddleware, config=compression)],
    )
