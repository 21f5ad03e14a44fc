"""TruLens' names mean Kibitz, in processes of their own: aliases hold for a whole process."""

from __future__ import annotations

import importlib
import sys

import pytest

from kibitz.base.errors import UsageError
from kibitz.compat.trulens import aliases, names


@pytest.fixture
def installed():
    before = {name for name in sys.modules if name.partition(".")[0] == "trulens"}
    assert not before
    aliases.install_aliases()
    yield
    aliases.remove_aliases()
    assert "trulens" not in sys.modules


@pytest.mark.parametrize("module", names.MODULES)
@pytest.mark.usefixtures("installed")
def test_every_name_is_there(module) -> None:
    found = importlib.import_module(module)

    for name in names.MODULES[module]:
        assert getattr(found, name) is not None
    assert dir(found) == sorted(names.MODULES[module])


@pytest.mark.usefixtures("installed")
def test_modules_are_found_as_imports_write_them() -> None:
    import trulens.core.schema.feedback as schema  # pyright: ignore[reportMissingImports]
    from trulens import core, feedback  # pyright: ignore[reportMissingImports]
    from trulens.core import Feedback  # pyright: ignore[reportMissingImports]

    assert core.Feedback is Feedback
    assert feedback.GroundTruthAgreement.__name__ == "GroundTruthAgreement"
    assert schema.FeedbackMode.DEFERRED == "deferred"


@pytest.mark.usefixtures("installed")
def test_a_name_that_is_not_there_says_which_are() -> None:
    with pytest.raises(ImportError, match="SnowflakeFeedback"):
        exec("from trulens.core import SnowflakeFeedback")
    core = importlib.import_module("trulens.core")
    with pytest.raises(AttributeError, match="it has Feedback, FeedbackMode"):
        core.SnowflakeFeedback  # noqa: B018 asking is the check


@pytest.mark.usefixtures("installed")
def test_installing_again_changes_nothing() -> None:
    core = sys.modules["trulens.core"]

    aliases.install_aliases()

    assert sys.modules["trulens.core"] is core


def test_trulens_itself_is_not_pushed_aside(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "trulens", type(sys)("trulens"))

    with pytest.raises(UsageError, match="trulens itself is imported"):
        aliases.install_aliases()
