"""Pictures of a training are painted only for tests that look at them: one takes as long as thirty steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from geoseg.training import pictures

_PAINT = pictures._png


@pytest.fixture(scope="module", autouse=True)
def unpainted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_png", lambda _figure: b"not painted")
        yield


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_png", _PAINT)
