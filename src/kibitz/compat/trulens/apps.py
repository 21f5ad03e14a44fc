"""TruLens' app wrappers over `kibitz.App`."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from kibitz.apps import evaluating
from kibitz.apps.app import App
from kibitz.apps.records import AppRecord
from kibitz.base.errors import UsageError

_WAIT_S = 600.0
AppDefinition = App
_SAYS_NOTHING = frozenset(
    {
        "connector",
        "initial_app_loader",
        "record_ingest_mode",
        "session",
        "tru",
    }
)


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of TruLens' wrappers as those of `kibitz.App`."""
    found = {name: value for name, value in given.items() if name not in _SAYS_NOTHING}
    app_id = found.pop("app_id", None)
    if app_id is not None:
        warnings.warn(
            "app_id is worked out of app_name and app_version; it is taken for the name",
            DeprecationWarning,
            stacklevel=3,
        )
        found.setdefault("app_name", app_id)
    unchecked = [found.pop(name, False) for name in ("selector_nocheck", "selectors_nocheck")]
    found.pop("selector_check_warning", None)
    if any(unchecked):
        found.setdefault("selectors_check", "off")
    if found.get("tags") == "-":
        del found["tags"]
    feedbacks = found.get("feedbacks")
    if feedbacks is None:
        found.pop("feedbacks", None)
    return found


class Wrapper:
    """What TruLens' wrappers can do beside recording; mixed into what records here."""

    @property
    def feedback_definitions(self) -> list[str]:
        """The digests of the feedback functions that judge its records."""
        return [each.definition.id for each in cast("Any", self).feedbacks]

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """`dict()`; options of pydantic say nothing here."""
        del options
        return cast("Any", self).dict()

    def model_dump_json(self, **options: Any) -> str:
        """`json()`."""
        del options
        return cast("Any", self).json()

    def wait_for_feedback_results(
        self, feedback_timeout: float | None = None
    ) -> Sequence[AppRecord]:
        """Wait until what is judged in this process is judged.

        Args:
            feedback_timeout: seconds, 600 without.

        Returns:
            Nothing: an app keeps no records. Those of a block have their results.
        """
        evaluating.drain(_WAIT_S if feedback_timeout is None else feedback_timeout, ends=False)
        return ()

    def main_call(self, human: str) -> Any:
        """What the app answers to a text."""
        return self._asking()(human)

    async def main_acall(self, human: str) -> Any:
        """`main_call` of an app that answers with a coroutine."""
        answered = self._asking()(human)
        return await answered if inspect.isawaitable(answered) else answered

    def _asking(self) -> Callable[[str], Any]:
        return cast("Callable[[str], Any]", self)

    @classmethod
    def select_context(cls, app: Any = None) -> Any:
        """Raises `UsageError`: only frameworks' apps know where their contexts are."""
        del app
        raise UsageError(
            f"{cls.__name__} does not know which method retrieves; select its calls: "
            "Select.RecordCalls.retrieve.rets[:]"
        )


class TruWrapperApp:
    """A function as an object with the method that TruLens records it by."""

    def __init__(self, call_fn: Callable[..., Any]) -> None:
        self._call_fn = call_fn

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        return self._call_fn(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)


class TruApp(Wrapper, App):
    """Any object: its methods that are marked with `instrument`, or its public ones."""

    def __init__(self, app: Any, **given: Any) -> None:
        found = options(given)
        named = found.pop("methods_to_instrument", None)
        if named is not None:
            found["methods"] = list(named)
        super().__init__(app, **found)

    def format_instrumented_methods(self) -> str:
        """The recorded methods with their places, as text."""
        return f"Methods:{self.format_instrumented().partition('Methods:')[2]}"

    def print_instrumented_methods(self) -> None:
        """Print the recorded methods with their places."""
        sys.stdout.write(f"{self.format_instrumented_methods()}\n")

    def print_instrumented_components(self) -> None:
        """Print the components with their places."""
        sys.stdout.write(self.format_instrumented().partition("Methods:")[0])


class TruBasicApp(TruApp):
    """A function from text to text, recorded as `_call` of an app."""

    def __init__(
        self,
        text_to_text: Callable[..., Any] | None = None,
        app: TruWrapperApp | None = None,
        **given: Any,
    ) -> None:
        if (text_to_text is None) == (app is None):
            raise UsageError("TruBasicApp takes either text_to_text or app")
        wrapped = TruWrapperApp(text_to_text) if text_to_text is not None else app
        super().__init__(wrapped, **{"main_method": "_call", "methods": ["_call"], **given})


class TruCustomApp(TruApp):
    """An object of a class of one's own, whose methods are marked with `instrument`."""
