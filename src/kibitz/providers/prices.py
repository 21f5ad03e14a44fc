"""What tokens cost: a table of prices per million tokens, which everybody can correct.

The packaged table is a start and grows old. `KIBITZ_PRICES` names a JSON file of the same form whose entries go on
top of it:

    {"models": {"my-model": {"input": 0.2, "output": 0.8}}}

A model is looked up as it is named, then without the services before it (`openrouter/openai/gpt-4o` → `gpt-4o`), then
without a date, `latest` or other version at its end (`gpt-4o-2024-08-06` → `gpt-4o`). A model that is not there costs
what nobody knows: its tokens are counted and its requests are said to be unpriced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import msgspec
from msgspec import Struct

from kibitz.base.errors import SettingsError
from kibitz.base.locks import ForkLock

VARIABLE = "KIBITZ_PRICES"
_VERSION = re.compile(r"(?:[-@:](?:\d{4}-\d{2}-\d{2}|\d{8}|latest|preview|\d{4}|v\d+))+$")


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """USD per million tokens."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """USD for so many tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Prices(Struct, frozen=True):
    """A table of prices."""

    models: dict[str, Price]
    as_of: str = ""
    unit: str = ""


_lock = ForkLock()
_read: dict[tuple[str, int], Mapping[str, Price]] = {}
"""The merged table by the file it was made with and when that was written; under `_lock`."""


def price(model: str) -> Price | None:
    """What a model costs; None where nobody said.

    Raises:
        SettingsError: the file that `KIBITZ_PRICES` names cannot be read, or is no table of prices.
    """
    table = _table(os.environ.get(VARIABLE, ""))
    last = model.rpartition("/")[2]
    for name in (model, last, _VERSION.sub("", last)):
        if name in table:
            return table[name]
    return None


def _table(path: str) -> Mapping[str, Price]:
    key = (path, _written_ns(path))
    with _lock:
        if key not in _read:
            packaged = resources.files("kibitz.providers").joinpath("prices.json").read_bytes()
            models = dict(msgspec.json.decode(packaged, type=Prices).models)
            if path:
                models.update(_of_user(path))
            _read.clear()
            _read[key] = models
        return _read[key]


def _written_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns if path else 0
    except OSError as error:
        raise SettingsError(
            f"{VARIABLE}={path!r} cannot be read: {error.strerror}", setting=VARIABLE, value=path
        ) from error


def _of_user(path: str) -> dict[str, Price]:
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Prices).models
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(
            f"{VARIABLE}={path!r} is no table of prices: {error}; write"
            ' {"models": {"name": {"input": 0.4, "output": 1.6}}}, USD per million tokens',
            setting=VARIABLE,
            value=path,
        ) from error


def usd(model: str, input_tokens: int, output_tokens: int) -> float | None:
    """What a request costs; None where the model has no price."""
    found = price(model)
    return None if found is None else found.of(input_tokens, output_tokens)
