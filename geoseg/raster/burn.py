"""Vectors on a raster's grid: projected into its pixel coordinates, burned window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import DTypeLike, NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.features import rasterize

from geoseg.errors import InputError
from geoseg.geometry import Grid, Window, pixel_index
from geoseg.raster.open import quiet_rasterio
from geoseg.raster.vectors import read_vector

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["burn", "burn_mask", "read_vector", "to_pixel_coordinates"]

SNAP = 2.0**-16
"""Pixels to which corners are rounded before burning.

An edge that runs through pixel centres is then the same edge in every window: sums of such numbers are exact.
"""

TOLERANCE = 0.001
"""Pixels by which a straight edge may differ from its curved image in another CRS."""


def burn(
    shapes: Sequence[tuple[Any, float]],
    window: Window,
    *,
    fill: float,
    dtype: DTypeLike,
    all_touched: bool = False,
) -> NDArray[Any]:
    """Values (h, w) of the shapes that cover the centres of a window's pixels.

    Which shape a pixel belongs to depends on its place in the scene, never on the window it is asked through.

    Parameters
    ----------
    shapes
        (geometry, value) in *global pixel coordinates*: x is the column and y the row, with (0, 0) at the top
        left corner of the scene. A later shape covers an earlier one.
    window
        Pixels wanted.
    fill
        Value of pixels that no shape covers.
    dtype
        Of the result; values that it cannot hold raise ValueError.
    all_touched
        Every pixel that shares some area with a shape, not only those whose centre it covers.
    """
    import shapely

    kind = np.dtype(dtype)
    for number in {fill, *(value for _, value in shapes)}:
        if not _fits(number, kind):
            raise ValueError(f"value {number} does not fit {kind}")
    out = np.full(window.shape, fill, kind)
    geometries = np.array([g for g, _ in shapes], object)
    if not window or not geometries.size:
        return out
    bounds = shapely.bounds(geometries)  # NaN where there is nothing
    with np.errstate(invalid="ignore"):
        near = (bounds[:, 0] < window.col_end + 1) & (bounds[:, 2] > window.col - 1)
        near &= (bounds[:, 1] < window.row_end + 1) & (bounds[:, 3] > window.row - 1)
    if not near.any():
        return out
    offset = np.array([window.col, window.row], np.float64)
    snapped = shapely.transform(geometries[near], lambda xy: np.round(xy / SNAP) * SNAP)
    values = np.array([v for _, v in shapes])[near]
    if all_touched:
        for geometry, value in zip(snapped, values, strict=True):
            _burn_touched(out, window, geometry, value)
        return out
    local = shapely.transform(snapped, lambda xy: xy - offset)
    with quiet_rasterio():
        rasterize(zip(local, values, strict=True), out=out, transform=Affine.identity())
    return out


def _burn_touched(out: NDArray[Any], window: Window, geometry: Any, value: Any) -> None:
    """Burn one geometry into every pixel that shares some area with it: its centres, and where edges pass.

    GDAL's own all-touched mode depends on the window, and writes outside its buffer for some polygons.
    """
    x0, y0, x1, y1 = geometry.bounds
    row, col = math.floor(y0), math.floor(x0)
    part = Window(row, col, math.ceil(y1) - row, math.ceil(x1) - col).intersect(window)
    if part:
        touched = burn_mask([geometry], part) | _edge_pixels(geometry, part)
        out[part.slices_in(window)][touched] = value


def _edge_pixels(geometry: Any, window: Window) -> NDArray[np.bool_]:
    """Mask (h, w) of pixels whose inside an edge runs through; an edge between two pixels is in neither."""
    import shapely

    rings = shapely.get_rings(shapely.get_parts(geometry))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[:-1] == ring[1:]
    a, b = xy[:-1][same], xy[1:][same]
    down = (a[:, 1] <= b[:, 1])[:, None]
    top, bottom = np.where(down, a, b), np.where(down, b, a)
    first = np.clip(np.floor(top[:, 1]), window.row, window.row_end).astype(np.int64)
    count = np.clip(np.ceil(bottom[:, 1]), window.row, window.row_end).astype(np.int64) - first
    count = np.maximum(count, 0)
    edge = np.repeat(np.arange(len(top)), count)  # one entry for every row that an edge runs through
    row = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x0, y0), (x1, y1) = top[edge].T, bottom[edge].T
    flat = y0 == y1
    slope = (x1 - x0) / np.where(flat, 1.0, y1 - y0)
    left, right = np.minimum(x0, x1), np.maximum(x0, x1)
    enter = np.where(flat, x0, np.clip(x0 + (np.maximum(y0, row) - y0) * slope, left, right))
    beyond = np.clip(x0 + (row + 1 - y0) * slope, left, right)
    leave = np.where(flat | (row + 1 >= y1), x1, beyond)
    start = np.clip(np.floor(np.minimum(enter, leave)), window.col, window.col_end).astype(np.int64)
    end = np.clip(np.ceil(np.maximum(enter, leave)), window.col, window.col_end).astype(np.int64)
    runs = np.zeros((window.height, window.width + 1), np.int32)
    real = end > start
    np.add.at(runs, (row[real] - window.row, start[real] - window.col), 1)
    np.add.at(runs, (row[real] - window.row, end[real] - window.col), -1)
    return np.asarray(np.cumsum(runs, axis=1)[:, :-1] > 0)


def _fits(number: float, kind: np.dtype[Any]) -> bool:
    """Whether a dtype holds a value as it is; GDAL would clamp 256 to 255, which is nodata."""
    if kind.kind == "f":
        return True
    return float(number).is_integer() and np.iinfo(kind).min <= number <= np.iinfo(kind).max


def burn_mask(geometries: Sequence[Any], window: Window, *, all_touched: bool = False) -> NDArray[np.bool_]:
    """Mask (h, w), True where a geometry covers the pixel's centre; global pixel coordinates as in `burn`."""
    mask = burn([(g, 1) for g in geometries], window, fill=0, dtype="uint8", all_touched=all_touched)
    return mask.astype(np.bool_)


def to_pixel_coordinates(frame: GeoDataFrame, grid: Grid) -> GeoDataFrame:
    """The same features with geometries in global pixel coordinates: x is the column, y the row.

    From another CRS, edges are densified first, so that their curved images are off by at most a thousandth
    of a pixel, and features that reach far beyond the grid are cut some way outside it, since a projection
    need not be defined there. Features that cannot be projected at all become empty.

    Raises
    ------
    InputError
        No CRS, or nothing that can be projected into the grid's CRS.
    """
    import shapely

    if frame.crs is None:
        raise InputError("vector without a coordinate reference system")
    source = CRS.from_user_input(frame.crs)
    geometries = shapely.force_2d(np.asarray(frame.geometry.array, object))
    if not grid.crs.equals(source, ignore_axis_order=True):
        geometries = _project(geometries, source, grid)

    def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        row, col = pixel_index(grid, xy[:, 0], xy[:, 1])
        return np.column_stack([col, row])

    pixels = _on_turn(shapely.transform(geometries, to_pixels), grid)
    # no CRS: these are pixels; the frame's other columns stay
    return frame.drop(columns=frame.geometry.name).set_geometry(list(pixels), crs=None)


def _on_turn(shapes: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Shapes in pixels, brought to the turn of longitudes (-180 to 180, 0 to 360) that the grid uses.

    A shape that reaches the grid on two turns is seen on both.
    """
    import shapely

    turn = grid.turn
    if turn is None:
        return shapes
    columns = turn / grid.transform.a
    bounds = shapely.bounds(shapes)
    found = shapes

    def reach(moved: float) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):  # NaN where there is nothing
            reached = (bounds[:, 0] + moved < grid.width - TOLERANCE) & (bounds[:, 2] + moved > TOLERANCE)
        return np.asarray(reached, np.bool_)

    here = reach(0.0)
    for moved in (-columns, columns):
        for i in np.flatnonzero(reach(moved)):
            other = shapely.transform(shapes[i], lambda xy, by=moved: xy + np.array([by, 0.0]))
            found = found.copy() if found is shapes else found
            found[i] = shapely.union(found[i], other) if here[i] else other
            here[i] = True
    return found


def _project(geometries: NDArray[Any], source: CRS, grid: Grid) -> NDArray[Any]:
    import shapely

    transformer = Transformer.from_crs(source, grid.crs, always_xy=True)
    around = _surroundings(source, grid)
    if around is not None:
        far = ~shapely.covers(shapely.box(*around), geometries) & shapely.intersects(
            shapely.box(*around), geometries
        )
        geometries = geometries.copy()
        geometries[far] = shapely.intersection(shapely.make_valid(geometries[far]), shapely.box(*around))
    step = _step(geometries, transformer, grid)
    if step is not None:
        geometries = shapely.segmentize(geometries, step)

    def forward(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1], errcheck=False))

    projected = shapely.transform(geometries, forward)
    broken = ~np.isfinite(shapely.bounds(projected)).all(axis=1)
    if broken.all():
        raise InputError(
            "vector cannot be brought to the scene's coordinate system",
            why=f"{source.name} to {grid.crs.name}: no coordinate is within its reach",
            hint="check the vector's CRS, and that its axes are not swapped",
        )
    projected[broken] = shapely.from_wkt("POLYGON EMPTY")
    return np.asarray(projected, object)


def _surroundings(source: CRS, grid: Grid) -> tuple[float, float, float, float] | None:
    """Bounds of the grid in the source CRS, with as much again on every side; None where undefined."""
    back = Transformer.from_crs(grid.crs, source, always_xy=True)
    try:
        x0, y0, x1, y1 = back.transform_bounds(*grid.bounds, densify_pts=21, errcheck=True)
    except ProjError:
        return None  # without bounds nothing is cut
    width, height = x1 - x0, y1 - y0
    if not np.isfinite([x0, y0, x1, y1]).all() or width <= 0 or height <= 0:
        return None  # also a grid across the antimeridian
    return x0 - width, y0 - height, x1 + width, y1 + height


def _step(geometries: NDArray[Any], transformer: Transformer, grid: Grid) -> float | None:
    """Longest edge in the source CRS that stays straight within the tolerance; None if all do.

    One step for all features, so that neighbours keep their common borders. The sagitta of an arc grows with
    the square of its chord, so that one measurement per edge is enough.
    """
    import shapely

    coordinates, feature = shapely.get_coordinates(geometries, return_index=True)
    start, end = coordinates[:-1], coordinates[1:]
    same = feature[:-1] == feature[1:]
    start, end = start[same], end[same]
    length = np.hypot(*(end - start).T)
    if not length.size:
        return None

    def pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(xy[:, 0], xy[:, 1], errcheck=False)
        return np.column_stack(pixel_index(grid, np.asarray(x), np.asarray(y)))

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sagitta = np.hypot(*(pixels((start + end) / 2) - (pixels(start) + pixels(end)) / 2).T)
        curved = np.isfinite(sagitta) & (sagitta > TOLERANCE)
        if not curved.any():
            return None
        return float((length[curved] * np.sqrt(TOLERANCE / sagitta[curved])).min()) * 0.9
