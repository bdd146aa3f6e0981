from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geoseg.raster import scene as scene_module
from geoseg.raster.opening import open_scene
from tests.raster.makers import coordinates, write

PIXELS = coordinates(23, 31, 3)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("view") / "a.tif", PIXELS, nodata=7)


def _key(n: int) -> st.SearchStrategy[Any]:
    slices = st.slices(n).filter(lambda s: len(range(*s.indices(n))) > 0)
    return st.integers(-n, n - 1) | slices | st.lists(st.integers(0, n - 1), min_size=1, max_size=4)


@given(st.tuples(_key(3), _key(23), _key(31)))
def test_indexing_is_numpys(path: Path, key: tuple[Any, ...]) -> None:
    view = open_scene(path).to_xarray()
    expected = PIXELS
    for axis in (2, 1, 0):  # orthogonal, as xarray does
        k = key[axis]
        expected = expected[(slice(None),) * axis + (np.array(k) if isinstance(k, list) else k,)]
    assert np.array_equal(view[key].values, expected)


def test_nothing_is_read_before_it_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []
    original = scene_module.Scene.read
    monkeypatch.setattr(
        scene_module.Scene, "read", lambda self, w, bands=None: windows.append(w) or original(self, w, bands)
    )
    view = open_scene(path).to_xarray()
    part = view.sel(x=slice(500_100, 500_200), band="band 2").isel(y=slice(2, 6))
    assert windows == []
    assert part.values.shape == (4, 10)
    assert [(w.row, w.col, w.height, w.width) for w in windows] == [(2, 10, 4, 10)]


def test_coordinates_are_pixel_centres(path: Path) -> None:
    view = open_scene(path).to_xarray()
    with rasterio.open(path) as file:
        for row, col in ((0, 0), (5, 9), (22, 30)):
            assert (float(view.x[col]), float(view.y[row])) == file.xy(row, col)
    assert view.attrs["_FillValue"] == 7
    assert list(view.band.values) == ["band 1", "band 2", "band 3"]


def test_rioxarray_finds_crs_and_transform(path: Path) -> None:
    pytest.importorskip("rioxarray")
    view = open_scene(path).to_xarray()
    with rasterio.open(path) as file:
        assert view.rio.crs == file.crs
        assert view.rio.transform() == file.transform
        assert view.rio.bounds() == pytest.approx(tuple(file.bounds))


def test_chunks_give_a_dask_view(path: Path) -> None:
    pytest.importorskip("dask")
    view = open_scene(path).to_xarray(chunks={"y": 10, "x": 10})
    assert view.chunks is not None
    assert np.array_equal(view.compute(scheduler="synchronous").values, PIXELS)
