"""What the texts and times in records must look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

_PRINTABLE = r"^[^\u0000-\u001f\u007f]*$"
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
"""An id: visible ASCII. Ours are UUIDv7; those of other systems are taken as they are."""
Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=_PRINTABLE)]
Label = Annotated[str, Meta(max_length=1024, pattern=_PRINTABLE)]
RefText = Annotated[str, Meta(min_length=1, max_length=1024)]
Moment = Annotated[datetime, Meta(tz=True)]
