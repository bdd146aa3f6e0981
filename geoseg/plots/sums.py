"""Areas of the codes of a map within plots: exact shares of pixels, block by block, few blocks in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.errors import InputError
from geoseg.geometry import Window, pixel_areas
from geoseg.kernels import kernel
from geoseg.plots.batches import Plots
from geoseg.plots.coverage import Outlines
from geoseg.plots.measure import Measure
from geoseg.raster.burn import to_pixel_coordinates
from geoseg.raster.percent import percent

_BLOCK = 512
_BLOCKS_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What lies within each of n plots.

    Attributes
    ----------
    codes
        Of each layer, (n, codes) float64: square metres on the ellipsoid of the map.
    pixels
        (n,) float64: pixels of the map that it covers, parts of pixels as such.
    square_metres
        (n,) float64: their area.
    inside
        (n,) float64: share of the plot that lies inside the map.
    confidence
        (n,) float64: mean percent, NaN without any.
    """

    codes: tuple[NDArray[np.float64], ...]
    pixels: NDArray[np.float64]
    square_metres: NDArray[np.float64]
    inside: NDArray[np.float64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    window: Window
    codes: NDArray[np.uint16]
    areas: NDArray[np.float64]
    confidence: NDArray[np.uint8]


class Adder:
    """Adds up plots of one file within one measure."""

    def __init__(self, measure: Measure, crs: CRS) -> None:
        self._measure, self._crs = measure, crs
        self._blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()
        self._starts = np.concatenate([[0], np.cumsum(measure.sizes)]).astype(np.int64)

    def add(self, plots: Plots) -> Sums:
        """Sums of a batch."""
        n = len(plots.shapes)
        sums, sides = np.zeros((n, self._starts[-1])), np.zeros((n, 4))
        placed = self.placed(plots.shapes)
        bounds, is_area = shapely.bounds(placed), plots.is_polygon
        outlines = Outlines.of(placed)
        with np.errstate(invalid="ignore"):
            order = np.lexsort((bounds[:, 0] // _BLOCK, bounds[:, 1] // _BLOCK))
            windows = self._windows(bounds, is_area)
        for i in order.tolist():
            for block, part in self._blocks_of(windows[i]):
                cover = outlines.cover(i, part) if is_area[i] else _pixels_of(placed[i], part)
                rows, cols = part.slices_in(block.window)
                areas = block.areas[rows] if block.areas.shape[1] == 1 else block.areas[rows, cols]
                seen = areas, block.codes[:, rows, cols], block.confidence[rows, cols]
                _add_up(cover, *map(np.ascontiguousarray, seen), self._starts, sums[i], sides[i])
        pixels, metres, weight, confident = sides.T
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(weight > 0, confident / weight, np.nan)
        parts = [sums[:, a:b] for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)]
        return Sums(
            codes=tuple(parts),
            pixels=pixels,
            square_metres=metres,
            inside=self._inside(plots, placed, bounds, pixels, metres),
            confidence=mean,
        )

    def placed(self, shapes: NDArray[np.object_]) -> NDArray[np.object_]:
        """Shapes in columns and rows of the map; empty where there is no such place."""
        known = ~shapely.is_missing(shapes)
        out = np.full(len(shapes), shapely.from_wkt("POLYGON EMPTY"), object)
        if known.any():
            frame = geopandas.GeoDataFrame(geometry=list(shapes[known]), crs=self._crs)
            with suppress(InputError):  # none of them is anywhere near
                placed = to_pixel_coordinates(frame, self._measure.grid).geometry
                out[known] = np.asarray(placed.array, object)
        return out

    def _windows(self, bounds: NDArray[np.float64], is_area: NDArray[np.bool_]) -> list[Window | None]:
        """Pixels of the map that each plot may touch, by its bounds in pixels; None where there are none."""
        known = np.asarray(np.isfinite(bounds).all(axis=1))
        height, width = self._measure.grid.shape
        limits = np.array([width, height, width, height], np.float64)
        ends = np.where(is_area[:, None], np.ceil(bounds), np.floor(bounds) + 1)
        corners = np.column_stack([np.floor(bounds[:, :2]), ends[:, 2:]])
        sides = np.clip(np.where(known[:, None], corners, 0), 0, limits).astype(np.int64).tolist()
        return [Window(r, c, r1 - r, c1 - c) if r1 > r and c1 > c else None for c, r, c1, r1 in sides]

    def _blocks_of(self, window: Window | None) -> Iterator[tuple[_Block, Window]]:
        """Blocks that hold a window, and what of it lies in each."""
        if window is None:
            return
        for i in range(window.row // _BLOCK, (window.row_end - 1) // _BLOCK + 1):
            for j in range(window.col // _BLOCK, (window.col_end - 1) // _BLOCK + 1):
                block = self._block(i, j)
                yield block, block.window.intersect(window)

    def _block(self, i: int, j: int) -> _Block:
        found = self._blocks.get((i, j))
        if found is None:
            if len(self._blocks) == _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
            grid, scene = self._measure.grid, self._measure.confidence
            window = Window(i * _BLOCK, j * _BLOCK, _BLOCK, _BLOCK).clip(*grid.shape)
            found = _Block(
                window=window,
                codes=self._measure.read(window),
                areas=pixel_areas(grid, window),
                confidence=np.full(window.shape, 255, np.uint8) if scene is None else percent(scene, window),
            )
            self._blocks[i, j] = found
        self._blocks.move_to_end((i, j))
        return found

    def _inside(
        self,
        plots: Plots,
        placed: NDArray[np.object_],
        bounds: NDArray[np.float64],
        pixels: NDArray[np.float64],
        metres: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Share of each plot inside the map: in pixels, or on the earth for those cut far outside it."""
        height, width = self._measure.grid.shape
        with np.errstate(invalid="ignore", divide="ignore"):
            near = (bounds[:, 0] > -width / 2) & (bounds[:, 2] < 1.5 * width)
            near &= (bounds[:, 1] > -height / 2) & (bounds[:, 3] < 1.5 * height)
            share = np.where(near, pixels / shapely.area(placed), metres / plots.square_metres)
        share = np.where(plots.is_polygon, share, np.minimum(pixels, 1.0))
        share = np.nan_to_num(share)
        return np.where(share > 1 - 1e-9, 1.0, np.maximum(share, 0.0))


def _pixels_of(points: shapely.Geometry, window: Window) -> NDArray[np.float64]:
    """One for every pixel that holds a point."""
    out = np.zeros(window.shape)
    for x, y in shapely.get_coordinates(points):
        r, c = int(np.floor(y)) - window.row, int(np.floor(x)) - window.col
        if 0 <= r < window.height and 0 <= c < window.width:
            out[r, c] = 1.0
    return out


@kernel("f8[:,:], f8[:,:], u2[:,:,:], u1[:,:], i8[:], f8[:], f8[:]")
def _add_up(cover, areas, codes, confidence, starts, sums, sides):  # type: ignore[no-untyped-def]
    along = 0 if areas.shape[1] == 1 else 1
    for r in range(cover.shape[0]):
        for c in range(cover.shape[1]):
            share = cover[r, c]
            if share == 0.0:
                continue
            area = share * areas[r, c * along]
            sides[0] += share
            sides[1] += area
            for k in range(codes.shape[0]):
                sums[starts[k] + codes[k, r, c]] += area
            if confidence[r, c] != 255:
                sides[2] += area
                sides[3] += area * confidence[r, c]
