"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: more threads only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # asleep, where a test asks for two of them

settings.register_profile(
    "default",
    deadline=None,
    derandomize="CI" in os.environ,  # a failure there is of the change; elsewhere, search on
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("default")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real imagery; the test is skipped where it is absent."""
    folder = Path(os.environ.get("GEOSEG_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real imagery not found at {folder} (set GEOSEG_DATA)")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the real imagery, so that `-m 'not shared'` leaves it out."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Folders of these tests alone: what the user's remember and keep must not decide what is tested.

    Nothing is remembered of short scenes, so that no network is written for the small scene of every test.
    """
    cache = tmp_path_factory.mktemp("cache")
    (cache / "geoseg").mkdir()
    (cache / "geoseg" / "short").touch()  # a file where the folder should be
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setenv("GEOSEG_MODELS", str(tmp_path_factory.mktemp("models")))
        yield
