import pytest

from kibitz.storage import sqlite


@pytest.fixture
def store(tmp_path):
    """The stores of the contract suite; a further implementation joins here."""
    opened = sqlite.open_store(tmp_path / "data")
    yield opened
    opened.close()
