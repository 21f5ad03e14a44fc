"""What a command imports of a user's modules, by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kibitz.base.errors import NotImportable, UsageError
from kibitz.judging import importables
from kibitz.judging.functions import Feedback


def from_folder(folder: str) -> None:
    """Look for modules in this folder first, as `python -m` does in the current one."""
    found = Path(folder).resolve()
    if not found.is_dir():
        raise UsageError(f"there is no folder {folder!r} to import from; name one with --app-dir")
    if str(found) not in sys.path:
        sys.path.insert(0, str(found))


def feedback(named: str, allow: Sequence[str]) -> Any:
    """The feedback function that a module has under a name, `module:name`.

    Raises:
        NotImportable: it may not be imported, cannot be, or is not there.
        UsageError: it is none.
    """
    module, _, name = named.partition(":")
    if not module or not name.isidentifier():
        raise UsageError(f"--judge {named!r} is not MODULE:NAME, such as myapp.judges:brief")
    allowed = (*importables.ALWAYS, *allow)
    if not any(module == each or module.startswith(f"{each}.") for each in allowed):
        raise NotImportable(
            f"{module} may not be imported; allow it with --allow {module} or KIBITZ_WORKER_ALLOW={module}",
            module=module,
            name=name,
        )
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise NotImportable(
            f"module {module!r} cannot be imported: {type(error).__name__}: {error}; name its folder with --app-dir",
            module=module,
            name=name,
        ) from error
    if not isinstance(found, Feedback):
        raise UsageError(
            f"{named} is {type(found).__name__} and no feedback function; "
            f"write {name} = kibitz.Feedback(…).on_output() in {module}"
        )
    return found
