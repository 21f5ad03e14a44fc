"""Batches to a server: what a recording program and an import write through."""

from __future__ import annotations

import msgspec

from kibitz.base import api, wire
from kibitz.base.errors import Unavailable, UsageError
from kibitz.base.records import Batch, Receipt, Rejection
from kibitz.client.http import Connection


class HttpDelivery:
    """Writes batches to a server. A receipt means that what it counts is durable there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, batch: Batch) -> Receipt:
        """Send a batch; sending it again is the same as sending it once.

        Raises:
            Unavailable: nobody answered, or not as Kibitz does; try again later.
            StorageFull: the server's disk is full; try again later.
            TooLarge: the batch is over a limit of the server; send it in parts.
            Unauthorized: the key is missing or wrong.
            UsageError: the server refused the batch as a whole.
        """
        try:
            return self._write(batch)
        except UsageError as error:
            if not batch.evaluations or error.facts.get("field") != "evaluations":
                raise
        # An older server refuses a batch for what it does not know, and the calls would be lost with it.
        receipt = self._write(msgspec.structs.replace(batch, evaluations=[]))
        refused = [
            Rejection(
                kind="evaluation",
                index=index,
                id=part.id,
                code=UsageError.code,
                message=f"{self._connection.url} is a server of an older version, which takes no evaluations; upgrade it",
            )
            for index, part in enumerate(batch.evaluations)
        ]
        return msgspec.structs.replace(receipt, rejected=[*receipt.rejected, *refused])

    def _write(self, batch: Batch) -> Receipt:
        receipt = self._connection.post(Receipt, api.INGEST, wire.encode(batch))
        sent = wire.count_items(batch)
        stored = receipt.calls + receipt.feedback + receipt.objects + receipt.files
        told = stored + receipt.evaluations + len(receipt.rejected)
        if told != sent:
            # Many a server answers a POST with some JSON; taking that for a receipt would lose the batch.
            raise Unavailable(
                f"{self._connection.url} answered a batch of {sent} items with a receipt for "
                f"{told}; is it a Kibitz server?"
            )
        return receipt

    def close(self) -> None:
        """Close the connections; what was written is safe with the server."""
        self._connection.close()
