"""A thread pool whose work belongs to the call that gave it out."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from kibitz.tracing import context

P = ParamSpec("P")
R = TypeVar("R")


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    """`concurrent.futures.ThreadPoolExecutor`, with ops inside as children of the call that submitted them."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run `fn` in the pool, in a copy of this context."""
        work: Callable[..., Any] = context.copy_context(fn)
        return super().submit(work, *args, **kwargs)
