"""What a class map says: its class at places, and the area of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from geoseg.errors import InputError
from geoseg.geometry import HECTARE, Window, pixel_index
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.legend import NODATA
from geoseg.raster.classmap import ClassMap

_STRIP = 256


def classes_at(class_map: ClassMap, xy: NDArray[np.float64], crs: Any) -> NDArray[np.int64]:
    """(n,) class of the pixel under each place, 255 where the map has none.

    Parameters
    ----------
    xy
        (n, 2) places in `crs`.

    Raises
    ------
    InputError
        Places outside the map.
    """
    grid = class_map.grid
    to_map = Transformer.from_crs(CRS.from_user_input(crs), grid.crs, always_xy=True)
    rows, cols = pixel_index(grid, *(np.asarray(v) for v in to_map.transform(xy[:, 0], xy[:, 1])))
    finite = np.isfinite(rows) & np.isfinite(cols)
    row, col = (np.where(finite, np.floor(v), -1).astype(np.int64) for v in (rows, cols))
    outside = (row < 0) | (col < 0) | (row >= grid.height) | (col >= grid.width)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{int(outside.sum()):,} of {len(xy):,} units lie outside the map",
            where=class_map.path,
            why=f"the first at {xy[first, 0]:.6f}, {xy[first, 1]:.6f}",
            hint="the map that the sample was drawn from, or units on the mapped area alone",
        )
    found = np.full(len(xy), NODATA, np.int64)
    order = np.lexsort((col, row))
    for window in class_map.scan_windows():
        first, end = np.searchsorted(row[order], (window.row, window.row_end))
        here = order[first:end]
        here = here[(col[here] >= window.col) & (col[here] < window.col_end)]
        if len(here):
            labels = class_map.read(window)
            found[here] = labels[row[here] - window.row, col[here] - window.col]
    return found


def class_areas(class_map: ClassMap) -> dict[int, tuple[int, float]]:
    """(pixels, geodesic hectares) of every class that occurs, by number."""
    grid = class_map.grid
    unit = area_unit(grid)
    pixels, units = np.zeros(NODATA + 1, np.int64), np.zeros(NODATA + 1, np.int64)
    for window in class_map.scan_windows():
        labels = class_map.read(window)
        for top in range(0, window.height, _STRIP):
            strip = labels[top : top + _STRIP]
            where = Window(window.row + top, window.col, *strip.shape)
            areas = np.broadcast_to(integer_areas(grid, where, unit), strip.shape)
            pixels += np.bincount(strip.ravel(), minlength=NODATA + 1)
            for label in np.unique(strip):
                units[label] += int(areas[strip == label].sum())
    return {
        int(label): (int(pixels[label]), float(units[label]) * unit / HECTARE)
        for label in np.flatnonzero(pixels[:NODATA])
    }
