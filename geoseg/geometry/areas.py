"""Geodesic pixel areas: how many square metres of the earth's ellipsoid a pixel covers, in any CRS."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry.grid import Grid, geod_of, to_geographic
from geoseg.geometry.window import Window

HECTARE = 10_000.0
"""Square metres in a hectare."""

_NODE_STEP = 64
"""Largest spacing in pixels of the global lattice on which a projection's pixel area is computed."""

_NODE_METRES = 16_000.0
"""Largest spacing in metres: over more, areas are not linear to a ten-thousandth."""


def pixel_areas(grid: Grid, window: Window) -> NDArray[np.float64]:
    """Area of every pixel of a window in m², shape (height, 1) or (height, width), to be broadcast.

    A pixel's area depends on its global (row, col) alone, never on the window it is asked through.
    In a geographic CRS it is exact: the zone between two parallels of the ellipsoid (Snyder 1987,
    "Map projections: a working manual", eq. 3-12), and equal along a row. In a projected CRS it is
    computed at every 64th pixel, or as many as lie within 16 km, and interpolated linearly (relative error
    below 1e-4 for pixels of up to 60 km, and below 1e-8 for pixels of 10 m).
    """
    if grid.crs.is_geographic:
        return _zone_areas(grid, window)[:, None]
    return _interpolated(grid, window)


def area_nodes(grid: Grid, window: Window) -> tuple[NDArray[np.float64], int]:
    """(areas, step): in a projected CRS, the pixel areas between which `pixel_areas` is bilinear.

    Node (i, j) lies at pixel corner
    (row, col) = ((window.row // step + i) * step, (window.col // step + j) * step);
    the nodes surround every pixel centre of the window. For compiled code that goes over the pixels anyway.
    """
    step = _node_step(grid)
    rows, cols = _nodes(window.row, window.row_end, step), _nodes(window.col, window.col_end, step)
    return _node_areas(grid, rows, cols, step), step


def _node_step(grid: Grid) -> int:
    """Spacing of the lattice in pixels, a power of two: the largest of at most 64 pixels and 16 km."""
    step = _NODE_STEP
    while step > 1 and step * max(grid.ground_size) > _NODE_METRES:
        step //= 2
    return step


def _zone_areas(grid: Grid, window: Window) -> NDArray[np.float64]:
    rows = np.arange(window.row, window.row_end + 1, dtype=np.float64)
    unit = float(grid.crs.axis_info[0].unit_conversion_factor)  # to radians
    latitude = np.clip((grid.transform.f + grid.transform.e * rows) * unit, -np.pi / 2, np.pi / 2)
    geod = geod_of(grid.crs)
    eccentricity = np.sqrt(geod.es)
    s = np.sin(latitude)
    q = s / (1 - geod.es * s * s)
    if eccentricity > 0:
        q = q + np.log((1 + eccentricity * s) / (1 - eccentricity * s)) / (2 * eccentricity)
    else:
        q = 2 * s
    per_radian = geod.b**2 / 2 * q
    areas: NDArray[np.float64] = np.abs(np.diff(per_radian)) * abs(grid.transform.a) * unit
    return areas


def decimals(grid: Grid) -> tuple[int, int]:
    """Decimals worth writing of hectares and of metres: a ten-thousandth of a pixel, and of its side.

    At least four of hectares, which is a square metre, and two of metres.
    """
    width, height = grid.ground_size
    hectares = 4 - math.floor(math.log10(max(width * height, 1e-9) / HECTARE))
    return max(4, hectares), max(2, 4 - math.floor(math.log10(max(min(width, height), 1e-6))))


def _interpolated(grid: Grid, window: Window) -> NDArray[np.float64]:
    """Pixel areas at pixel centres, bilinear between nodes of a global lattice."""
    step = _node_step(grid)
    row_nodes = _nodes(window.row, window.row_end, step)
    col_nodes = _nodes(window.col, window.col_end, step)
    areas = _node_areas(grid, row_nodes, col_nodes, step)
    r = np.arange(window.row, window.row_end) + 0.5
    c = np.arange(window.col, window.col_end) + 0.5
    by_row = _linear(row_nodes, areas, r, step)
    return _linear(col_nodes, by_row.T, c, step).T


def _nodes(start: int, end: int, step: int) -> NDArray[np.float64]:
    first, last = start // step, max(end - 1, start) // step + 1
    return np.arange(first, last + 1, dtype=np.float64) * step


def _linear(
    nodes: NDArray[np.float64], values: NDArray[np.float64], at: NDArray[np.floating], step: int
) -> NDArray[np.float64]:
    """Linear interpolation along axis 0 of `values`, known at `nodes`."""
    low = ((at - nodes[0]) // step).astype(np.intp)
    t = ((at - nodes[low]) / step)[:, None]
    result: NDArray[np.float64] = values[low] * (1 - t) + values[low + 1] * t
    return result


def _node_areas(
    grid: Grid, rows: NDArray[np.float64], cols: NDArray[np.float64], step: int
) -> NDArray[np.float64]:
    """Area of a pixel centred on each lattice node, in m², by the Jacobian of (col, row) to the ellipsoid.

    Central differences of places in space over the node spacing: unlike longitudes they have no seam and no
    poles. PROJ's own areal scale is not used: for EPSG:3857, which projects an ellipsoid as if it were a
    sphere, it is 0.1 % off.
    """
    c, r = np.meshgrid(cols, rows)
    half = step / 2
    across = _place(grid, r, c + half) - _place(grid, r, c - half)
    down = _place(grid, r + half, c) - _place(grid, r - half, c)
    areas: NDArray[np.float64] = np.linalg.norm(np.cross(across, down), axis=-1) / step**2
    for chord in (across, down):
        areas *= 1 + (chord**2).sum(axis=-1) / (24 * geod_of(grid.crs).a ** 2)  # arcs are longer than chords
    areas[~np.isfinite(areas)] = 0.0  # beyond the projection's domain there is no ground
    return areas


def _place(grid: Grid, row: NDArray[np.float64], col: NDArray[np.float64]) -> NDArray[np.float64]:
    """Geocentric x, y, z in metres of points on the ellipsoid (last axis); NaN beyond the domain."""
    lon, lat = to_geographic(grid.crs).transform(*grid.corner(row, col), errcheck=False)
    beyond = ~(np.isfinite(lon) & np.isfinite(lat))
    lon, lat = (np.radians(np.where(beyond, np.nan, v)) for v in (lon, lat))
    geod = geod_of(grid.crs)
    prime_vertical = geod.a / np.sqrt(1 - geod.es * np.sin(lat) ** 2)
    return np.stack(
        [
            prime_vertical * np.cos(lat) * np.cos(lon),
            prime_vertical * np.cos(lat) * np.sin(lon),
            prime_vertical * (1 - geod.es) * np.sin(lat),
        ],
        axis=-1,
    )
