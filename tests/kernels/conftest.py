"""The oracle, and the kernels of every level this processor runs."""

from __future__ import annotations

import pytest

from modelglot.kernels import native
from modelglot.testing import blocks


@pytest.fixture(scope="session")
def ggml() -> blocks.Oracle:
    found = blocks.oracle()  # raises where MODELGLOT_REQUIRE_ORACLES=1
    if found is None:
        pytest.skip("ggml is not here: pip install 'modelglot[kernels-oracle]'")
    return found


@pytest.fixture(params=["avx512", "avx2", "baseline", "0"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test with each compiled level and with the numpy reference."""
    if request.param != "0" and request.param not in native._usable()[0]:
        pytest.skip(f"no kernels for {request.param} here")
    monkeypatch.setenv("MODELGLOT_NATIVE", request.param)
    return str(request.param)
