"""Batches in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from litestar.datastructures import State
from litestar.params import RawBody

from kibitz.base import api, wire
from kibitz.base.records import Batch, Receipt
from kibitz.base.settings import ServerSettings
from kibitz.server import inputs
from kibitz.server.inputs import SettingsIn, StoreIn
from kibitz.storage.protocols import Store


@inputs.posted(api.INGEST, Batch, tag="ingest", in_thread=False)
async def write(body: RawBody, store: StoreIn, settings: SettingsIn, state: State) -> Receipt:
    """Store a batch. What the receipt counts is durable; what is rejected says why."""
    # Threads of its own, so that slow questions do not keep deliveries waiting.
    writers: ThreadPoolExecutor = state.writers
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(writers, _write, body, store, settings)


def _write(body: bytes, store: Store, settings: ServerSettings) -> Receipt:
    delivery = wire.decode(body, max_items=settings.max_batch_items)
    return delivery.receipt(store.ingest.write(delivery.batch))


handlers = [write]
