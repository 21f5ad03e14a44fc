"""How many examples a property draws that takes seconds."""

from __future__ import annotations

import os

FEW = 25


def examples(number: int) -> int:
    """This many; in CI, which draws the same ones each time, a quarter of them, and no fewer than `FEW`."""
    return max(number // 4, min(number, FEW)) if os.environ.get("CI") else number
