"""Names of parameters in test ids: the same in every process, so that tests can be shared out."""

from __future__ import annotations

import re
from typing import Any


def named(value: Any) -> str:
    """A value as text without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
