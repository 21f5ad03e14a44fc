"""Modules of TruLens' names: made of a table, filled when somebody asks."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Final

from kibitz.base.errors import UsageError
from kibitz.compat.trulens.names import MODULES

ROOT: Final = "trulens"


class Alias(ModuleType):
    """A module whose names are somebody else's, loaded when they are first asked for."""

    def __init__(self, name: str, names: dict[str, str]) -> None:
        super().__init__(name, f"Kibitz under the names of {name}.")
        self.__path__ = []
        self.__all__ = sorted(names)
        self._names = names

    def __getattr__(self, name: str) -> Any:
        target = self._names.get(name)
        if target is None:
            # What imports with `from` asks for submodules and dunders too, and knows AttributeError.
            raise AttributeError(
                f"{self.__name__} has no {name!r} in Kibitz; it has {', '.join(self.__all__) or 'nothing'}"
            )
        module, _, attribute = target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return self.__all__


def install_aliases() -> None:
    """Let `import trulens…` mean Kibitz in this process. Again, it changes nothing.

    Raises:
        UsageError: TruLens itself is imported already; call this before.
    """
    present = sys.modules.get(ROOT)
    if isinstance(present, Alias):
        return
    if present is not None or any(name.startswith(f"{ROOT}.") for name in sys.modules):
        raise UsageError(
            "trulens itself is imported in this process; call install_aliases() before anything imports it"
        )
    made = {name: Alias(name, names) for name, names in MODULES.items()}
    for name, module in made.items():
        parent, _, last = name.rpartition(".")
        if parent:
            # As the import system does it: a submodule is an attribute of its package.
            setattr(made[parent], last, module)
    sys.modules.update(made)


def remove_aliases() -> None:
    """Take the names away again; what was imported stays what it is."""
    for name in [each for each, module in sys.modules.items() if isinstance(module, Alias)]:
        del sys.modules[name]
