"""What holds for every test: no setting of the developer's own, and no browser test lost unnoticed."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest
from hypothesis import settings

# A test asserts behaviour, never a duration.
# CI draws the same examples each time, so there fewer do: new ones are found by whoever works on the code.
settings.register_profile(
    "unhurried",
    parent=settings.default,
    deadline=None,
    max_examples=50 if os.environ.get("CI") else settings.default.max_examples,
)
settings.load_profile("unhurried")

# Tests start hundreds of programs and servers. Where no bytecode is kept, as images for containers set it, each of
# them compiles the whole package, which takes longer than most of them run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

BROWSER_REQUIRED = os.environ.get("KIBITZ_TEST_BROWSER") == "required"


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("KIBITZ_"):
            monkeypatch.delenv(name)


def pytest_collection_finish() -> None:
    """Leave what collecting made, millions of objects that stay to the end, out of every collection of garbage."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if BROWSER_REQUIRED and report.skipped and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and browser tests must run here"
    return report
