"""Modules of TruLens' names: made of a table, filled when somebody asks."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from kibitz.base.errors import UsageError
from kibitz.compat.trulens.names import INSTEAD, MODULES

ROOTS: Final = ("trulens", "trulens_eval")


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


class _Refusal:
    """A finder of modules and names that Kibitz has not: it says what there is instead.

    `from trulens.core import X` asks for a module `trulens.core.X` where the module has no X, so both come here.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        root, _, below = name.partition(".")
        if root not in ROOTS or not below:
            return None
        parent = below
        while f"{root}.{parent}" not in MODULES and parent:
            parent = parent.rpartition(".")[0]
        known = f"{root}.{parent}" if parent else root
        there = sorted({*MODULES[known], *_submodules(known)})
        missing = name.removeprefix(f"{known}.")
        instead = INSTEAD.get(
            missing.partition(".")[0], INSTEAD.get(missing.rpartition(".")[2], "")
        )
        raise ImportError(
            f"{known} has no {missing!r} in Kibitz; {instead or 'it has ' + ', '.join(there)}",
            name=name,
        )


def _submodules(name: str) -> list[str]:
    below = (each.removeprefix(f"{name}.") for each in MODULES if each.startswith(f"{name}."))
    return [each for each in below if "." not in each]


_refusal: Final = _Refusal()


def install_aliases() -> None:
    """Let `import trulens…` mean Kibitz in this process, and `import trulens_eval`. Again, it changes nothing.

    Raises:
        UsageError: TruLens itself is imported already; call this before.
    """
    for root in ROOTS:
        present = sys.modules.get(root)
        if isinstance(present, Alias):
            return
        if present is not None or any(name.startswith(f"{root}.") for name in sys.modules):
            raise UsageError(
                f"{root} itself is imported in this process; call install_aliases() before anything imports it"
            )
    made = {name: Alias(name, names) for name, names in MODULES.items()}
    for name, module in made.items():
        parent, _, last = name.rpartition(".")
        if parent and last not in MODULES[parent]:
            # As the import system does it: a submodule is an attribute of its package.
            setattr(made[parent], last, module)
    sys.modules.update(made)
    # Before what looks into installed packages: with TruLens beside it, half of its modules would be its own.
    sys.meta_path.insert(0, _refusal)


def remove_aliases() -> None:
    """Take the names away again; what was imported stays what it is."""
    for name in [each for each, module in sys.modules.items() if isinstance(module, Alias)]:
        del sys.modules[name]
    if _refusal in sys.meta_path:
        sys.meta_path.remove(_refusal)
