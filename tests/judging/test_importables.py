"""Callables go to other processes by name, and nothing else comes back by it."""

from __future__ import annotations

import functools
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import house_judges
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naming import named

from kibitz.base.errors import NotImportable
from kibitz.base.provider import Provider
from kibitz.judging import importables

ALLOW = ("house_judges",)
HOUSE = house_judges.House(80, tone="dry", marks=("!", "?"))


def local() -> Any:
    def inside(text: str) -> float:
        return 1.0

    return inside


@pytest.mark.parametrize(
    ("func", "described"),
    [
        (house_judges.length, {"module": "house_judges", "name": "length"}),
        (house_judges.later, {"module": "house_judges", "name": "later"}),
        (HOUSE.brief, {"module": "house_judges", "class": "House", "name": "brief",
                       "parameters": {"words": 80, "tone": "dry", "marks": ["!", "?"]}}),
        (house_judges.Plain().rate, {"module": "house_judges", "class": "Plain", "name": "rate", "parameters": {}}),
        (house_judges.Judge(), {"module": "house_judges", "class": "Judge", "name": "__call__", "parameters": {}}),
        (house_judges.Model("large", api_key="secret").rate,
         {"module": "house_judges", "class": "Model", "name": "rate", "parameters": {"model": "large"}}),
        (min, {"module": "builtins", "name": "min"}),
        (len, {"module": "builtins", "name": "len"}),
        (statistics.median, {"module": "statistics", "name": "median"}),
        (np.mean, {"module": "numpy", "name": "mean"}),
        (np.nanmax, {"module": "numpy", "name": "nanmax"}),
    ],
    ids=named,
)  # fmt: skip
def test_what_has_a_name_comes_back_by_it(func: Any, described: dict[str, Any]) -> None:
    assert importables.describe(func) == described
    assert importables.is_importable(described)

    again = importables.load(json.loads(json.dumps(described)), ALLOW)

    assert importables.describe(again) == described
    assert again.__name__ == func.__name__ if hasattr(func, "__name__") else callable(again)


def test_a_provider_comes_back_as_it_was_made() -> None:
    again = importables.load(importables.describe(HOUSE.brief), ALLOW)

    assert (again.__self__.words, again.__self__.tone) == (80, "dry")
    assert again("one two") == 1.0
    assert again.__self__ is not HOUSE


class Nested:
    class House(Provider):
        def brief(self, text: str) -> float:
            return 1.0


@pytest.mark.parametrize(
    ("func", "advice"),
    [
        (lambda text: 1.0, "a lambda has no name; write it as a function with `def`"),
        (local(), "'inside' is defined inside of 'local'; put it at the top of a module"),
        (functools.partial(house_judges.times_ten, factor=2), "a partial function has no name; .*with_arguments"),
        (house_judges.Plain.steady, r"'Plain\.steady' is a static method"),
        (house_judges.Plain.classy, r"Plain\.classy is a class method"),
        (house_judges.Made(5).rate, r"Made is made with arguments that are not known; derive it from kibitz\.providers\.Provider"),
        (house_judges.Plain.Inner().rate, r"class 'Plain\.Inner' is defined inside of something else"),
        (Nested.House().brief, r"class 'Nested\.House' is defined inside"),
        (house_judges.Model(options=object()).rate, "Model was made with options=.*which JSON cannot say; override `parameters`"),
        (house_judges.Model(options={1: 2}).rate, "which JSON cannot say"),
        (house_judges.Model(options=float("nan")).rate, "which JSON cannot say"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)  # fmt: skip
def test_what_has_no_name_says_what_to_do(func: Any, advice: str) -> None:
    described = importables.describe(func)

    assert not importables.is_importable(described)
    with pytest.raises(NotImportable, match=advice):
        importables.load(described, ALLOW)


def test_a_name_that_something_else_has_is_none() -> None:
    """A local function whose name its module has too does not pass for it."""
    impostor = local()
    impostor.__qualname__ = impostor.__name__ = "length"
    impostor.__module__ = "house_judges"

    with pytest.raises(NotImportable, match=r"house_judges\.length is not this function"):
        importables.load(importables.describe(impostor), ALLOW)


@pytest.mark.processes
def test_what_is_defined_in_a_program_or_notebook_says_so(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from kibitz.judging import importables\n"
        "def judge(text): return 1.0\n"
        "class House:\n"
        "    def judge(self, text): return 1.0\n"
        "for func in (judge, House().judge):\n"
        "    print(importables.describe(func)['why'])\n"
    )
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(
        "is defined in a notebook or in the program that was started" in line for line in lines
    )
    assert all("put it into a module that can be imported" in line for line in lines)


def _holding(held: Any, *, default: Any = None) -> Any:
    def judge(text: str, *, limit: Any = default) -> float:
        return float(text in held)

    return judge


class _Above:
    def __init__(self, bound: Any) -> None:
        self.bound = bound
        self._cache = object()

    def __call__(self, text: str) -> float:
        return float(len(text) > self.bound)

    def rate(self, text: str) -> float:
        return self(text)


@pytest.mark.parametrize(
    ("one", "equal", "other"),
    [
        (_holding({"a": 1, "b": [2]}), _holding({"b": [2], "a": 1}), _holding({"a": 1, "b": [3]})),
        (_holding({"x", "y", "z"}), _holding({"z", "y", "x"}), _holding({"x", "y"})),
        (_holding(1, default=0.5), _holding(1, default=0.5), _holding(1, default=0.6)),
        (_holding(_holding(1)), _holding(_holding(1)), _holding(_holding(2))),
        (_Above(1), _Above(1), _Above(2)),
        (_Above(1).rate, _Above(1).rate, _Above(2).rate),
        (functools.partial(min, key={"a": 1}), functools.partial(min, key={"a": 1}), functools.partial(min, key={"a": 2})),
    ],
    ids=["mapping", "set", "default", "function", "object", "method", "partial"],
)  # fmt: skip
def test_what_a_nameless_function_holds_is_its_identity(one: Any, equal: Any, other: Any) -> None:
    assert importables.describe(one) == importables.describe(equal)
    assert importables.describe(one) != importables.describe(other)


def test_a_function_that_holds_itself_has_an_identity() -> None:
    def judge(text: str) -> float:
        return judge(text)

    assert importables.describe(judge) == importables.describe(judge)


def test_what_has_no_name_has_an_identity_that_follows_its_code() -> None:
    def made(factor: float) -> Any:
        return lambda text: len(text) * factor

    def other(factor: float) -> Any:
        return lambda text: len(text) + factor

    codes = [
        importables.describe(each)["code"]
        for each in (made(1), made(1), made(1.0), made(2), other(1))
    ]

    assert codes[0] == codes[1]
    assert len(set(codes)) == 4
    twos = [
        importables.describe(functools.partial(house_judges.times_ten, factor=each))
        for each in (2, 3, 2)
    ]
    assert twos[0] == twos[2] != twos[1]


@pytest.mark.parametrize(
    "described",
    [
        {"module": "os", "name": "system"},
        {"module": "subprocess", "name": "run"},
        {"module": "builtins", "name": "eval"},
        {"module": "builtins", "name": "exec"},
        {"module": "builtins", "name": "__import__"},
        {"module": "builtins", "name": "open"},
        {"module": "builtins", "name": "getattr"},
        {"module": "builtins", "name": "type"},
        {"module": "statistics", "name": "sys.modules"},
        {"module": "statistics", "name": "sys"},
        {"module": "statistics", "name": "itemgetter"},
        {"module": "statistics", "name": "NormalDist"},
        {"module": "numpy", "name": "os.system"},
        {"module": "numpy", "name": "load"},
        {"module": "numpy", "name": "fromfile"},
        {"module": "numpy", "name": "savetxt"},
        {"module": "numpy.lib", "name": "mean"},
        {"module": "numpy.testing", "name": "assert_equal"},
        {"module": "house_judges", "name": "os"},
        {"module": "house_judges", "name": "Provider"},
        {"module": "house_judges", "name": "middle"},
        {"module": "house_judges", "name": "constant"},
        {"module": "house_judges", "name": "House"},
        {"module": "house_judges", "name": "__builtins__"},
        {"module": "house_judges", "name": "nothing"},
        {"module": "house_judges", "name": ""},
        {"module": "house_judges_evil", "name": "length"},
        {"module": "kibitz.cli", "name": "main"},
        {"module": "kibitz.providersevil", "name": "x"},
        {"module": "kibitz.providers.keys", "name": "key"},
        {"module": "kibitz.providers.embeddings", "name": "_package"},
        {"module": "kibitz.providers.words", "name": "words"},
        {"module": "kibitz.providers", "name": "examples_from"},
        {"module": "kibitz.providers.loading", "class": "Once", "parameters": {"load": "x"}, "name": "forget"},
        {"module": "kibitz.providers.openai", "class": "OpenAI", "parameters": {}, "name": "_connect"},
        {"module": "kibitz.providers", "class": "Local", "parameters": {}, "name": "_check"},
        {"module": "../house_judges", "name": "x"},
        {"module": "", "name": "x"},
        {"module": None, "name": "x"},
        {"module": "house_judges"},
        {},
        {"module": "house_judges", "class": "length", "name": "x"},
        {"module": "house_judges", "class": "House", "parameters": {}, "name": "danger"},
        {"module": "house_judges", "class": "House", "parameters": {}, "name": "words"},
        {"module": "house_judges", "class": "House", "parameters": {}, "name": "__init__"},
        {"module": "house_judges", "class": "House", "parameters": {}, "name": "__class__"},
        {"module": "house_judges", "class": "House", "parameters": {"size": 1}, "name": "brief"},
        {"module": "house_judges", "class": "House", "parameters": [1], "name": "brief"},
        {"module": "house_judges", "class": "Plain.Inner", "parameters": {}, "name": "rate"},
        {"module": "house_judges", "class": "Plain", "parameters": {}, "name": "steady"},
        {"module": "house_judges", "class": "os", "parameters": {}, "name": "system"},
        {"module": "builtins", "class": "str", "parameters": {}, "name": "format"},
        {"module": "numpy", "class": "memmap", "parameters": {}, "name": "flush"},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_nothing_else_can_be_reached(described: dict[str, Any]) -> None:
    with pytest.raises(NotImportable):
        importables.load(described, ALLOW)


def a_jury(juror: dict[str, Any], aggregation: str) -> dict[str, Any]:
    return {
        "module": "kibitz.providers.jury",
        "class": "Jury",
        "parameters": {"jurors": [juror], "aggregation": aggregation},
        "name": "relevance",
    }


HOUSE_JUROR = {"module": "house_judges", "class": "House", "parameters": {}}
OUR_JUROR = {"module": "kibitz.providers.local", "class": "Local", "parameters": {}}


@pytest.mark.parametrize(
    ("juror", "aggregation"),
    [
        (HOUSE_JUROR, "mean"),
        (OUR_JUROR, "house_judges:length"),
        (OUR_JUROR, "msgspec.json:schema"),
        (OUR_JUROR, "kibitz.providers.embeddings:_package"),
        ({**OUR_JUROR, "module": "kibitz.base.provider", "class": "Provider"}, "mean"),
    ],
)
def test_a_jury_of_a_definition_reaches_no_further(juror: dict[str, Any], aggregation: str) -> None:
    with pytest.raises(NotImportable):
        importables.load(a_jury(juror, aggregation))


def test_a_jury_of_a_definition_has_what_is_allowed() -> None:
    loaded: Any = importables.load(a_jury(HOUSE_JUROR, "house_judges:length"), ALLOW)

    assert isinstance(loaded.__self__.jurors[0], house_judges.House)


def test_what_is_refused_says_how_to_allow_it() -> None:
    with pytest.raises(NotImportable) as raised:
        importables.load({"module": "house_judges", "name": "length"})

    assert (
        "`kibitz worker --allow house_judges` or KIBITZ_WORKER_ALLOW=house_judges"
        in raised.value.message
    )
    assert raised.value.facts == {"module": "house_judges", "name": "length"}


def test_what_is_allowed_allows_what_is_below() -> None:
    assert importables.load({"module": "json.decoder", "name": "py_scanstring"}, ["json"])
    with pytest.raises(NotImportable, match="may not be imported"):
        importables.load({"module": "json.decoder", "name": "py_scanstring"}, ["json.encoder"])
    with pytest.raises(NotImportable, match="install it where workers run"):
        importables.load({"module": "nowhere_at_all", "name": "x"}, ["nowhere_at_all"])


def test_a_module_that_fails_when_it_is_imported_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_judges.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(NotImportable, match="fails when it is imported: RuntimeError: not today"):
        importables.load({"module": "broken_judges", "name": "x"}, ["broken_judges"])


NAMES = st.sampled_from(
    [
        "os",
        "sys",
        "system",
        "eval",
        "mean",
        "__import__",
        "modules",
        "load",
        "path",
        "length",
        "House",
        "brief",
        "call",
    ]
) | st.text(max_size=8)
MODULES = st.sampled_from(
    [
        "os",
        "sys",
        "numpy",
        "statistics",
        "builtins",
        "house_judges",
        "numpy.core",
        "os.path",
        "kibitz.providers",
        "kibitz",
    ]
) | st.text(max_size=8)


@given(MODULES, NAMES, st.none() | NAMES)
def test_whatever_is_asked_for_only_what_was_allowed_is_given(
    module: str, name: str, class_name: str | None
) -> None:
    described: dict[str, Any] = {"module": module, "name": name}
    if class_name is not None:
        described |= {"class": class_name, "parameters": {}}
    try:
        found = importables.load(described, ALLOW)
    except NotImportable:
        return

    home = getattr(found, "__module__", module)
    assert home.partition(".")[0] in {"house_judges", "kibitz", "builtins", "statistics", "numpy"}
    assert found not in (os.system, eval, exec, open, __import__, math.exp)
