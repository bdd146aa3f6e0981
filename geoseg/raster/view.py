"""Lazy xarray views of scenes, class maps and work stores, for people in notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from xarray import DataArray, Variable
from xarray.backends import BackendArray
from xarray.core import indexing

from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from geoseg.raster.classmap import ClassMap
    from geoseg.raster.scene import Scene
    from geoseg.raster.store import WorkStore


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


def as_xarray(source: Scene | ClassMap, *, chunks: Any = None) -> DataArray:
    """Lazy DataArray of a scene (band, y, x) or a class map (y, x); pixels are read when they are used.

    ``x`` and ``y`` are pixel *centres* in the grid's CRS; the CRS stands in the coordinate ``spatial_ref`` as
    in the CF conventions, so that rioxarray finds it. Scenes keep their native values, with the nodata value
    in ``attrs["_FillValue"]`` and ``encoding``; class maps hold 255 where there is no data.

    Parameters
    ----------
    source
        What `open_scene` or `open_class_map` gave.
    chunks
        Passed to ``DataArray.chunk`` for a Dask-backed view (needs dask); None for none.
    """
    from geoseg.raster.scene import Scene

    coords = _coordinates(source.grid, source.crs_wkt)
    lazy: Any
    if isinstance(source, Scene):
        scene = source
        lazy = _Windowed(scene.shape, scene.dtype, lambda w, bands: scene.read(w, [b + 1 for b in bands])[0])
        dims: tuple[str, ...] = ("band", "y", "x")
        coords["band"] = ("band", list(scene.band_names))
        attrs: dict[str, Any] = {} if scene.nodata is None else {"_FillValue": scene.dtype.type(scene.nodata)}
        name = scene.paths[0].stem
    else:
        classes = source
        lazy = _Windowed(classes.grid.shape, np.dtype(np.uint8), lambda w, _: classes.read(w))
        dims = ("y", "x")
        attrs = {"_FillValue": np.uint8(NODATA)}
        if classes.declared is not None:
            attrs["flag_values"] = list(classes.declared.ids)
            attrs["flag_meanings"] = " ".join(n.replace(" ", "_") for n in classes.declared.names)
        name = classes.path.stem
    array = DataArray(Variable(dims, indexing.LazilyIndexedArray(lazy), attrs), coords, name=name)
    array.encoding["grid_mapping"] = "spatial_ref"
    return array if chunks is None else array.chunk(chunks)


def store_view(store: WorkStore, layer: str) -> DataArray:
    """Lazy DataArray of a layer of a work store, (y, x) or (band, y, x), without coordinates."""
    kind, depth = store.layers[layer]
    shape = (depth, *store.shape) if depth else store.shape

    def read(window: Window, bands: list[int]) -> NDArray[Any]:
        block = store.read(layer, window)
        return block[bands] if depth else block

    lazy = indexing.LazilyIndexedArray(_Windowed(shape, np.dtype(kind), read))
    return DataArray(Variable(("band", "y", "x") if depth else ("y", "x"), lazy), name=layer)


def _coordinates(grid: Grid, crs_wkt: str) -> dict[str, Any]:
    t = grid.transform
    x = t.c + (np.arange(grid.width) + 0.5) * t.a
    y = t.f + (np.arange(grid.height) + 0.5) * t.e
    geotransform = " ".join(repr(float(v)) for v in (t.c, t.a, t.b, t.f, t.d, t.e))
    reference = {**grid.crs.to_cf(), "crs_wkt": crs_wkt, "spatial_ref": crs_wkt, "GeoTransform": geotransform}
    return {"x": ("x", x), "y": ("y", y), "spatial_ref": ((), 0, reference)}
