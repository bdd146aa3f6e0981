"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from geoseg.kernels.kernel import Kernel

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


@pytest.fixture(scope="session", autouse=True)
def _left_to_numba() -> Iterator[set[str]]:
    """Names of geoseg's kernels that were called with types that they were not compiled ahead for."""
    found: set[str] = set()
    original = Kernel.__dict__["dispatcher"].func

    def noted(self: Kernel) -> Any:
        if self.function.__module__.startswith("geoseg."):
            found.add(f"{self.function.__module__}.{self.name}")
        return original(self)

    again = cached_property(noted)
    again.__set_name__(Kernel, "dispatcher")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "dispatcher", again)
        yield found


@pytest.fixture(autouse=True)
def _nothing_is_compiled(_left_to_numba: set[str], request: pytest.FixtureRequest) -> Iterator[None]:
    """A test fails in which a kernel takes seconds to be compiled: it lacks a type, or `make kernels`."""
    _left_to_numba.clear()
    yield
    if "tests/kernels" not in request.node.nodeid:
        assert not _left_to_numba, f"left to numba: {', '.join(sorted(_left_to_numba))}"
