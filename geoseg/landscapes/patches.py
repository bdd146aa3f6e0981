"""What one worker measures of the patches in one window: sizes, sides and core areas, all whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Window
from geoseg.kernels import kernel
from geoseg.legend import NODATA
from geoseg.outlines.lengths import EdgeLengths
from geoseg.regions.patches import Edges, label_patches

LENGTH_UNIT = 2.0**-20
"""Metres of a unit of length: sides are added up as integers, so that sums do not depend on chunks."""

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patches:
    """Patches of a window.

    Attributes
    ----------
    edges
        The outermost pixels.
    class_id, pixels, units, sides, core
        (n,) int64 of each: class, pixels, units of area, sides of pixels along its outline, units of area of
        its core.
    core_edges
        The outermost pixels, of core areas.
    core_class_id
        (m,) int64: class of each connected part of a core.
    edge, boundary
        (256,) int64 units of length by class: along other classes; along nodata and the map's edge.
    """

    edges: Edges
    class_id: Whole
    pixels: Whole
    units: Whole
    sides: Whole
    core: Whole
    core_edges: Edges
    core_class_id: Whole
    edge: Whole
    boundary: Whole


def measure(
    labels: NDArray[np.uint8],
    halo: int,
    *,
    areas: Whole,
    across: Whole,
    down: Whole,
    corners: bool,
    depth: tuple[float, tuple[float, float]] | None = None,
) -> Patches:
    """Patches of a window.

    Parameters
    ----------
    labels
        (h + 2 halo, w + 2 halo) uint8 with what lies around; 255 is nodata and what lies outside the map.
    halo
        Pixels around, at least 1, and more than the depth.
    areas
        (h, 1) or (h, w) int64: area of each pixel.
    across, down
        (h + 1, w) and (h, w + 1) int64: lengths of the pixels' upper and lower, left and right sides.
    corners
        Whether pixels that share a corner only are of one patch.
    depth
        Depth at which the core begins and (width, height) of a pixel in the same unit; None is one pixel.
    """
    inner = (slice(halo, -halo), slice(halo, -halo))
    own = np.ascontiguousarray(labels[inner])
    core = _core(labels, depth)[inner]
    numbers, count = label_patches(own, corners=corners)
    cores = np.where(core, own, np.uint8(NODATA))
    core_numbers, core_count = label_patches(cores, corners=corners)
    patches = class_id, pixels, units, sides, core_units = tuple(np.zeros((5, count), np.int64))
    lengths = edge, boundary = tuple(np.zeros((2, 256), np.int64))
    around = labels[halo - 1 : labels.shape[0] - halo + 1, halo - 1 : labels.shape[1] - halo + 1]
    by_pixel = (around, core, np.broadcast_to(areas, own.shape))
    _measure(numbers, *map(np.ascontiguousarray, by_pixel), (across, down), patches, lengths)
    core_class_id = np.zeros(core_count, np.int64)
    core_class_id[core_numbers[core_numbers >= 0]] = cores[core_numbers >= 0]
    return Patches(
        edges=Edges.of(own, numbers, count),
        class_id=class_id,
        pixels=pixels,
        units=units,
        sides=sides,
        core=core_units,
        core_edges=Edges.of(cores, core_numbers, core_count),
        core_class_id=core_class_id,
        edge=edge,
        boundary=boundary,
    )


def halo_of(depth: tuple[float, tuple[float, float]] | None) -> int:
    """Pixels around a window that decide what is core in it."""
    return 1 if depth is None else math.ceil(depth[0] / min(depth[1])) + 1


def sides(lengths: EdgeLengths, window: Window) -> tuple[Whole, Whole]:
    """(across (h + 1, w), down (h, w + 1)) int64: lengths of pixels' sides in units of `LENGTH_UNIT`."""
    rows, cols = np.arange(window.row, window.row_end + 1), np.arange(window.col, window.col_end + 1)
    across = _between(lengths.across, rows, cols[:-1] + 0.5, lengths.step)
    down = _between(lengths.down, rows[:-1] + 0.5, cols, lengths.step)
    return (
        np.rint(across / LENGTH_UNIT).astype(np.int64, order="C"),
        np.rint(down / LENGTH_UNIT).astype(np.int64, order="C"),
    )


def _between(
    nodes: NDArray[np.float64], rows: NDArray[np.generic], cols: NDArray[np.generic], step: int
) -> NDArray[np.float64]:
    """Values (rows, columns) of a bilinear field that is known at every `step` pixels."""
    found = nodes
    for at in (rows, cols):
        place = np.asarray(at, np.float64) / step
        low = np.minimum(place.astype(np.int64), found.shape[0] - 2)
        t = (place - low)[:, None]
        found = (found[low] * (1 - t) + found[low + 1] * t).T
    return found


def _core(labels: NDArray[np.uint8], depth: tuple[float, tuple[float, float]] | None) -> NDArray[np.bool_]:
    """Whether pixels are core: their four neighbours, or all within the depth, are of their class."""
    known = labels != NODATA
    if depth is None:
        same: NDArray[np.bool_] = known.copy()
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            same &= np.roll(labels, step, axis=axis) == labels
        return same
    from scipy import ndimage

    core = np.zeros(labels.shape, np.bool_)
    for class_id in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:NODATA]):
        inside: NDArray[np.bool_] = labels == class_id
        if inside.all():
            return inside
        distance = ndimage.distance_transform_edt(inside, sampling=depth[1][::-1])
        core |= distance > depth[0] * (1 + 1e-9)
    return core


@kernel(
    "i4[:,:], u1[:,:], b1[:,:], i8[:,:], (i8[:,:], i8[:,:]), "
    "(i8[:], i8[:], i8[:], i8[:], i8[:]), (i8[:], i8[:])"
)
def _measure(numbers, around, core, areas, of_sides, patches, lengths):  # type: ignore[no-untyped-def]
    """Add pixels to their patches and sides to their classes.

    `around` reaches one pixel further than the rest on all four edges.
    """
    across, down = of_sides
    class_id, pixels, units, sides, core_units = patches
    edge, boundary = lengths
    for r in range(numbers.shape[0]):
        for c in range(numbers.shape[1]):
            k = numbers[r, c]
            if k < 0:
                continue
            own = around[r + 1, c + 1]
            class_id[k] = own
            pixels[k] += 1
            units[k] += areas[r, c]
            if core[r, c]:
                core_units[k] += areas[r, c]
            for side in range(4):
                if side == 0:
                    other, length = around[r, c + 1], across[r, c]
                elif side == 1:
                    other, length = around[r + 2, c + 1], across[r + 1, c]
                elif side == 2:
                    other, length = around[r + 1, c], down[r, c]
                else:
                    other, length = around[r + 1, c + 2], down[r, c + 1]
                if other == own:
                    continue
                sides[k] += 1
                if other == NODATA:
                    boundary[own] += length
                else:
                    edge[own] += length
