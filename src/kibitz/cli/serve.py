"""`kibitz serve`: show a data folder in the browser and take calls over HTTP."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

import click

from kibitz.base import settings
from kibitz.base.settings import ServerSettings
from kibitz.server import serving
from kibitz.storage import sqlite


@click.command(short_help="Show calls in the browser, and take them over HTTP.")
@click.option(
    "--data", metavar="FOLDER", help="The data folder to serve.  [KIBITZ_DATA; default: ./.kibitz]"
)
@click.option(
    "--host",
    help="The address to bind to; any but this machine's own needs keys.  [KIBITZ_HOST; default: 127.0.0.1]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port; 0 takes a free one.  [KIBITZ_PORT; default: 4500]",
)
@click.option("--open", "open_", is_flag=True, help="Open the link in the browser.")
def serve(data: str | None, host: str | None, port: int | None, open_: bool) -> None:
    """Show a data folder in the browser, and take calls and feedback from programs over HTTP.

    Programs may write into the folder at the same time. With KIBITZ_API_KEYS or KIBITZ_API_KEYS_FILE every
    request needs a key; without, the server is for this machine alone. Ends with Ctrl+C.
    """
    loaded = settings.load(ServerSettings, os.environ, {"data": data, "host": host, "port": port})
    folder = Path(loaded.data)
    listening = serving.listen(loaded)
    try:
        store = sqlite.open_store(
            folder,
            synchronous=loaded.synchronous,
            query_timeout_s=loaded.query_timeout_s,
            max_call_bytes=loaded.max_call_bytes,
            upkeep=True,
        )
    except BaseException:
        listening.close()
        raise

    def ready() -> None:
        click.echo(f"Kibitz shows {folder.resolve()} at {listening.url}  (Ctrl+C ends it)")
        if open_:
            webbrowser.open(listening.url)

    try:
        listening.serve(store, ready=ready)
    finally:
        store.close()
