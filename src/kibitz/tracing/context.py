"""The current call, and what calls that start here inherit: attributes, thread, and their parent in other threads."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from kibitz.base import ids
from kibitz.tracing.calls import Call
from kibitz.tracing.recording import CURRENT, Active, Recording, Scope

P = ParamSpec("P")
R = TypeVar("R")


def get_current_call() -> Call | None:
    """The handle of the innermost call that runs here; None outside of ops and where nothing is recorded."""
    here = CURRENT.get()
    call = here if isinstance(here, Recording) else here and here.parent
    return None if call is None else Call(call, call.op)


@contextmanager
def attributes(values: Mapping[str, Any]) -> Generator[None]:
    """Add attributes to all calls that start inside; inner ones go before outer ones.

    Raises:
        TypeError: `values` is not a mapping.
    """
    here = CURRENT.get()
    merged = {**(here.attributes or {} if here else {}), **values}
    with Active(_scope(here, merged, here.thread_id if here else None)):
        yield


@contextmanager
def thread(thread_id: str | None = None) -> Generator[str]:
    """Put all calls that start inside into one thread (a conversation), and give its id; a new one without."""
    name = ids.new_id() if thread_id is None else str(thread_id)
    here = CURRENT.get()
    with Active(_scope(here, here.attributes if here else None, name)):
        yield name


def copy_context(func: Callable[P, R]) -> Callable[P, R]:
    """The function, to be run in another thread as if it were called here: its calls get the parent they would get here.

    `threading.Thread(target=kibitz.copy_context(work)).start()`
    """
    context = contextvars.copy_context()

    @functools.wraps(func)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context runs one function at a time, and this one may be called by many threads.
        return context.copy().run(func, *args, **kwargs)

    return run


def _scope(
    here: Recording | Scope | None, attributes: Mapping[str, Any] | None, thread_id: str | None
) -> Scope:
    if isinstance(here, Recording):
        return Scope(here, attributes, thread_id)
    if here is None:
        return Scope(None, attributes, thread_id)
    return Scope(here.parent, attributes, thread_id, here.recorded)
