"""Lazy xarray views of scenes, class maps and work stores, for people in notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray import DataArray, Variable
from xarray.backends import BackendArray
from xarray.core import indexing

from geoseg.geometry import Grid, Window


class _Windowed(BackendArray):
    """Array whose last two axes are read window by window."""

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        read: Callable[[Window, list[int]], NDArray[Any]],
    ) -> None:
        self.shape, self.dtype, self._read_window = shape, dtype, read

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._get)

    def _get(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        axes = [
            np.arange(n)[k if isinstance(k, slice) else slice(k, k + 1)]
            for n, k in zip(self.shape, key, strict=True)
        ]
        if any(a.size == 0 for a in axes):
            return np.empty(
                [a.size for a, k in zip(axes, key, strict=True) if isinstance(k, slice)], self.dtype
            )
        rows, cols = axes[-2:]
        window = Window(int(rows.min()), int(cols.min()), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)
        bands = [int(b) for b in axes[0]] if len(axes) == 3 else [0]
        block = self._read_window(window, bands)
        block = block[..., rows - window.row, :][..., cols - window.col]
        drop = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        return block[drop]


def windowed_view(
    read: Callable[[Window, list[int]], NDArray[Any]],
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    name: str,
    band_names: Sequence[str] = (),
    attrs: Mapping[str, Any] | None = None,
) -> DataArray:
    """Lazy DataArray (y, x) or (band, y, x); pixels are read when they are used.

    Parameters
    ----------
    read
        Gives a window's pixels, and of several bands those at these positions.
    shape
        (height, width) or (bands, height, width).
    """
    dims = ("band", "y", "x") if len(shape) == 3 else ("y", "x")
    coords = {"band": ("band", list(band_names))} if band_names else {}
    lazy: Any = indexing.LazilyIndexedArray(_Windowed(shape, dtype, read))
    return DataArray(Variable(dims, lazy, dict(attrs or {})), coords, name=name)


def placed(array: DataArray, grid: Grid, crs_wkt: str, chunks: Any = None) -> DataArray:
    """The same array with coordinates; `crs_wkt` is the CRS as the file words it.

    ``x`` and ``y`` are pixel *centres* in the grid's CRS; the CRS stands in the coordinate ``spatial_ref`` as
    in the CF conventions, so that rioxarray finds it. `chunks` is passed to ``DataArray.chunk`` for a
    Dask-backed array (needs dask); None for none.
    """
    made = array.assign_coords(_coordinates(grid, crs_wkt))
    made.encoding["grid_mapping"] = "spatial_ref"
    return made if chunks is None else made.chunk(chunks)


def _coordinates(grid: Grid, crs_wkt: str) -> dict[str, Any]:
    t = grid.transform
    x = t.c + (np.arange(grid.width) + 0.5) * t.a
    y = t.f + (np.arange(grid.height) + 0.5) * t.e
    geotransform = " ".join(repr(float(v)) for v in (t.c, t.a, t.b, t.f, t.d, t.e))
    reference = {**grid.crs.to_cf(), "crs_wkt": crs_wkt, "spatial_ref": crs_wkt, "GeoTransform": geotransform}
    return {"x": ("x", x), "y": ("y", y), "spatial_ref": ((), 0, reference)}
