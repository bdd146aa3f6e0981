"""One grid seen from another: which source pixel lies under the centre of each pixel of a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from geoseg.geometry.grid import Grid, pixel_index
from geoseg.geometry.window import Window

_STEP = 16
"""Spacing in pixels of the global lattice on which a reprojection is computed exactly."""

_TOLERANCE = 0.01
"""Source pixels by which the centre of a lattice cell may be off before the cell is computed exactly."""

_TIE = 1e-6
"""Source pixels: a centre on the border of two source pixels always takes the lower right one."""

_MOST_SOURCE_PIXELS = 4096 * 4096
"""Largest source window read at once; the block of pixels is quartered until its source fits."""

_BLOCK = 1024

Labels = NDArray[np.uint8]


def sample_nearest(
    grid: Grid, window: Window, source: Grid, read: Callable[[Window], Labels], *, fill: int
) -> Labels:
    """Labels of the source pixels under the centres of a window's pixels, (height, width) uint8.

    Parameters
    ----------
    grid, window
        Where labels are wanted.
    source, read
        The grid that labels come from, and its windowed reader; only what lies under the window is read.
    fill
        Label of pixels whose centre lies outside the source.

    The label of a pixel depends on its global (row, col) alone, never on the window it is asked through.
    """
    out = np.full(window.shape, fill, np.uint8)
    for block in window.blocks(_BLOCK, _BLOCK):
        _sample_block(out, grid, window, block, source, read)
    return out


def _sample_block(
    out: Labels, grid: Grid, window: Window, block: Window, source: Grid, read: Callable[[Window], Labels]
) -> None:
    rows, cols = nearest_pixels(grid, block, source)
    inside = (rows >= 0) & (rows < source.height) & (cols >= 0) & (cols < source.width)
    if not inside.any():
        return
    all_rows, all_cols = (np.broadcast_to(a, block.shape)[inside] for a in (rows, cols))
    row, col = int(all_rows.min()), int(all_cols.min())
    under = Window(row, col, int(all_rows.max()) - row + 1, int(all_cols.max()) - col + 1)
    if under.area > _MOST_SOURCE_PIXELS and block.area > 1:
        for part in block.blocks(-(-block.height // 2), -(-block.width // 2)):
            _sample_block(out, grid, window, part, source, read)
        return
    if inside.all():  # the common case, and without masks the faster one
        out[block.slices_in(window)] = read(under)[rows - row, cols - col]
        return
    out[block.slices_in(window)][inside] = read(under)[all_rows - row, all_cols - col]


def nearest_pixels(grid: Grid, window: Window, source: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows, cols) int64 of the source pixels under a window's pixel centres, to be broadcast to its shape.

    Outside the source they are negative or too large. In the same CRS they are (height, 1) and (1, width).
    Otherwise the reprojection is exact at every 16th pixel and bilinear between, and exact at every pixel of
    a lattice cell whose centre that would put off by more than a hundredth of a source pixel.
    """
    r = np.arange(window.row, window.row_end, dtype=np.float64)
    c = np.arange(window.col, window.col_end, dtype=np.float64)
    if grid.crs.equals(source.crs, ignore_axis_order=True):
        x, _ = grid.corner(0.0, c + 0.5)
        _, y = grid.corner(r + 0.5, 0.0)
        _, col = pixel_index(source, _on_turn(source, x), np.zeros(1))
        row, _ = pixel_index(source, np.zeros(1), y)
        return _floor(row)[:, None], _floor(col)[None, :]
    transformer = Transformer.from_crs(grid.crs, source.crs, always_xy=True)
    rows, cols = _interpolated(grid, window, source, transformer)
    return _floor(rows), _floor(cols)


def _interpolated(
    grid: Grid, window: Window, source: Grid, transformer: Transformer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Source (row, col) of pixel centres as floats, (height, width) each."""
    first_row, first_col = window.row // _STEP, window.col // _STEP
    node_rows = np.arange(first_row, -(-window.row_end // _STEP) + 1, dtype=np.float64) * _STEP
    node_cols = np.arange(first_col, -(-window.col_end // _STEP) + 1, dtype=np.float64) * _STEP
    nodes = _exact(grid, node_rows[:, None], node_cols[None, :], source, transformer)
    centres = _exact(
        grid, node_rows[:-1, None] + _STEP / 2, node_cols[None, :-1] + _STEP / 2, source, transformer
    )
    rough = np.zeros(centres[0].shape, bool)
    with np.errstate(invalid="ignore"):
        for at_nodes, at_centres in zip(nodes, centres, strict=True):
            guess = (at_nodes[:-1, :-1] + at_nodes[1:, :-1] + at_nodes[:-1, 1:] + at_nodes[1:, 1:]) / 4
            rough |= ~(np.abs(guess - at_centres) <= _TOLERANCE)  # also where either is not finite
    r = np.arange(window.row, window.row_end)
    c = np.arange(window.col, window.col_end)
    i, j = r // _STEP - first_row, c // _STEP - first_col
    t = ((r % _STEP + 0.5) / _STEP)[:, None]
    u = ((c % _STEP + 0.5) / _STEP)[None, :]
    with np.errstate(invalid="ignore"):
        rows, cols = (
            (a[i] * (1 - t) + a[i + 1] * t)[:, j] * (1 - u) + (a[i] * (1 - t) + a[i + 1] * t)[:, j + 1] * u
            for a in nodes
        )
    wrong = rough[i][:, j]
    if wrong.any():
        at_row, at_col = np.nonzero(wrong)
        exact = _exact(grid, r[at_row] + 0.5, c[at_col] + 0.5, source, transformer)
        rows[wrong], cols[wrong] = exact
    return rows, cols


def _exact(
    grid: Grid, row: NDArray[Any], col: NDArray[Any], source: Grid, transformer: Transformer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    row, col = np.broadcast_arrays(row, col)
    x, y = transformer.transform(*grid.corner(row, col), errcheck=False)
    return pixel_index(source, _on_turn(source, np.asarray(x)), np.asarray(y))


def _on_turn(source: Grid, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitudes brought to the turn that the source uses (-180..180 or 0..360); other CRSs as they are."""
    turn = source.turn
    if turn is None:
        return x
    west = source.bounds[0]
    with np.errstate(invalid="ignore"):
        return np.where((x < west) | (x >= west + turn), west + (x - west) % turn, x)


def _floor(position: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pixel that holds a position; -1 where there is none."""
    finite = np.where(np.isfinite(position), np.clip(position, -2.0, 2.0**40), -1.0)
    return np.floor(finite + _TIE).astype(np.int64)
