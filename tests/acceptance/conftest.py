"""What acceptance tests share: servers that take a while to fill."""

from __future__ import annotations

from collections.abc import Generator

import alpaca
import pytest

from kibitz.testing.serving import ServerProcess


@pytest.fixture(scope="session")
def alpaca_eval(tmp_path_factory: pytest.TempPathFactory) -> Generator[alpaca.Api]:
    """A server with all answers and preferences of AlpacaEval; tests only read from it."""
    if not alpaca.DATA.is_dir():
        pytest.skip("the AlpacaEval data is not beside the repository")
    with ServerProcess(tmp_path_factory.mktemp("alpaca")) as server:
        api = alpaca.Api(server.url)
        alpaca.fill(api)
        yield api
