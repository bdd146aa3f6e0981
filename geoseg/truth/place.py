"""Whether a layer lies on a grid at all, and what to say when it does not."""

from __future__ import annotations

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geoseg.errors import InputError
from geoseg.geometry import Grid, geod_of, to_geographic
from geoseg.truth.layer import TruthFile

Bounds = tuple[float, float, float, float]


def require_overlap(bounds: Bounds, crs: CRS, grid: Grid, file: TruthFile) -> None:
    """Refuse a layer whose bounding box does not meet the grid's.

    Parameters
    ----------
    bounds
        (min x, min y, max x, max y) of the layer in `crs`.

    Raises
    ------
    InputError
        Both boxes in the grid's CRS, how far apart they are, and whether exchanged axes would explain it.
    """
    box = _transformed(bounds, crs, grid.crs)
    if box is not None and _on_grid(box, grid):
        return
    x0, y0, x1, y1 = bounds
    swapped = _transformed((y0, x0, y1, x1), crs, grid.crs)
    exchanged = swapped is not None and _on_grid(swapped, grid)
    apart = "" if box is None else f", {_distance(box, grid.bounds, grid.crs):,.0f} km apart"
    raise InputError(
        f"the {file.role} does not lie on the {file.ground}",
        where=file.path,
        why=f"{file.role} {_words(box or bounds)}, {file.ground} {_words(grid.bounds)} "
        f"in {grid.crs.name}{apart}",
        hint="its x and y are exchanged: write it again with the axes in the other order"
        if exchanged
        else f"another {file.role}, or `assume_crs` if its CRS is wrong",
    )


def _transformed(bounds: Bounds, source: CRS, target: CRS) -> Bounds | None:
    try:
        box = Transformer.from_crs(source, target, always_xy=True).transform_bounds(*bounds, errcheck=False)
    except ProjError:
        return None
    return box if np.isfinite(box).all() else None


def _on_grid(box: Bounds, grid: Grid) -> bool:
    """Whether a box meets the grid's, longitudes compared modulo a whole turn."""
    west, south, east, north = box
    turn = grid.turn or 0.0
    return any(_meet((west + by, south, east + by, north), grid.bounds) for by in {-turn, 0.0, turn})


def _meet(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _distance(one: Bounds, other: Bounds, crs: CRS) -> float:
    """Kilometres between the centres of two boxes."""
    xs = [(b[0] + b[2]) / 2 for b in (one, other)]
    ys = [(b[1] + b[3]) / 2 for b in (one, other)]
    lon, lat = to_geographic(crs).transform(xs, ys)
    _, _, metres = geod_of(crs).inv(lon[0], lat[0], lon[1], lat[1])
    return float(metres) / 1000


def _words(bounds: Bounds) -> str:
    digits = 6 if max(map(abs, bounds)) <= 360 else 1
    west, south, east, north = (f"{v:.{digits}f}" for v in bounds)
    return f"x {west} to {east}, y {south} to {north}"
