"""For the tests of programs that use Kibitz: see what is recorded, and start real servers.

What starts servers needs the extra [server] and is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kibitz.testing.capturing import Captured, CapturingTransport, capture

if TYPE_CHECKING:
    from kibitz.testing.serving import ServerProcess, server

__all__ = ["Captured", "CapturingTransport", "ServerProcess", "capture", "server"]


def __getattr__(name: str) -> Any:
    if name in ("ServerProcess", "server"):
        from kibitz.testing import serving

        return getattr(serving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
