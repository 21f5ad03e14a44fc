"""Only type-checked: what stands in for a store has its protocol, without deriving from it."""

from __future__ import annotations

from kibitz.client.delivery import HttpDelivery
from kibitz.client.reading import RemoteStore
from kibitz.storage.protocols import Ingest, LocalStore, Store
from kibitz.storage.sqlite import SqliteStore


def a_remote_store_is_a_store(store: RemoteStore) -> Store:
    return store


def a_local_store_is_a_store(store: SqliteStore) -> Store:
    return store


def a_delivery_takes_batches(delivery: HttpDelivery) -> Ingest:
    return delivery


def a_local_store_has_its_contents_at_hand(store: SqliteStore) -> LocalStore:
    return store
