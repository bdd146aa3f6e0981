"""Which pixels are for validation, and whether a crop would see any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA
from geoseg.raster.burn import burn_mask, read_vector, to_pixel_coordinates
from geoseg.training.job import Span, Split
from geoseg.truth.layer import Truth
from geoseg.truth.shapes import PointTruth, PolygonTruth


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Validation region of one scene: shapes in its pixel coordinates.

    Attributes
    ----------
    shapes
        Polygons; x is the column and y the row.
    elsewhere
        Validation regions of other scenes that show the same ground; kept away from as well.
    margin
        Pixels that a training crop keeps away from them.
    seen
        Whether training crops may hold them after all, without their labels.
    """

    shapes: NDArray[np.object_]
    elsewhere: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))
    margin: int = 0
    seen: bool = False

    def touches(self, windows: Sequence[Window]) -> NDArray[np.bool_]:
        """For each window, whether it or its surroundings within the margin share area with the region."""
        import shapely

        hit = np.zeros(len(windows), np.bool_)
        if self.seen or not windows or not len(self.shapes) + len(self.elsewhere):
            return hit
        edges = np.array([(w.col, w.row, w.col_end, w.row_end) for w in windows], np.float64)
        # a thousandth of a pixel inwards: two rectangles that only share an edge do not overlap
        grow = np.array([-1, -1, 1, 1]) * (self.margin - 1e-3)
        boxes = shapely.box(*(edges + grow).T)
        hit[self._forbidden.query(boxes, predicate="intersects")[0]] = True
        return hit

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Pixels (h, w) of a window that are for validation: those whose centre the region covers."""
        return burn_mask([self.shapes[i] for i in self._near(window)], window)

    def hidden(self, window: Window) -> NDArray[np.bool_]:
        """Pixels (h, w) of a training window whose labels are not told: none where crops keep away."""
        if not self.seen:
            return np.zeros(window.shape, np.bool_)
        import shapely

        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        return burn_mask(list(self._forbidden.geometries[self._forbidden.query(box)]), window)

    def windows(self, grid: Grid, side: int) -> list[Window]:
        """Squares of the scene's own lattice that hold a part of the region."""
        import shapely

        if not len(self.shapes):
            return []
        x0, y0, x1, y1 = shapely.total_bounds(self.shapes)
        row, col = (max(int(v // side), 0) * side for v in (y0, x0))
        span = Window(row, col, max(int(np.ceil(y1)) - row, 0), max(int(np.ceil(x1)) - col, 0))
        return [w for w in span.clip(*grid.shape).blocks(side, side) if len(self._near(w))]

    def _near(self, window: Window) -> NDArray[np.intp]:
        import shapely

        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        return np.sort(self._tree.query(box))

    @cached_property
    def _tree(self) -> Any:
        import shapely

        return shapely.STRtree(self.shapes)

    @cached_property
    def _forbidden(self) -> Any:
        import shapely

        return shapely.STRtree(np.concatenate([self.shapes, self.elsewhere]))


def share_ground(regions: Sequence[Region], grids: Sequence[Grid]) -> list[Region]:
    """The same regions, each knowing the validation ground of the others.

    Two scenes of one place, of two dates say, would otherwise teach in one what is asked in the other.
    """
    import geopandas
    import shapely

    shared = []
    for region, grid in zip(regions, grids, strict=True):
        found = [np.empty(0, object)]
        box = shapely.box(0, 0, grid.width, grid.height)
        for other, theirs in zip(regions, grids, strict=True):
            if other is region or not len(other.shapes):
                continue

            def to_map(xy: NDArray[np.float64], theirs: Grid = theirs) -> NDArray[np.float64]:
                return np.column_stack(theirs.corner(xy[:, 1], xy[:, 0]))

            ground = geopandas.GeoDataFrame(geometry=shapely.transform(other.shapes, to_map), crs=theirs.crs)
            try:
                placed = np.asarray(to_pixel_coordinates(ground, grid).geometry.array, object)
            except InputError:  # out of reach of this scene's projection: not its ground
                continue
            found.append(placed[shapely.intersects(placed, box)])
        shared.append(replace(region, elsewhere=np.concatenate(found)))
    return shared


def deal(items: int, folds: int, seed: int) -> NDArray[np.intp]:
    """Fold (items,) of each item: of every `folds` in a row each gets another, in random order.

    Items that are sorted by what they hold are thereby dealt evenly.
    """
    rng = np.random.default_rng([seed, 5])
    rows = [rng.permutation(folds) for _ in range(-(-items // folds))]
    return np.concatenate([np.empty(0, np.intp), *rows])[:items].astype(np.intp)


def held_out(labels: Truth, share: float, seed: int) -> Region:
    """Validation region of features drawn at random: of each class so many, one at least and never all.

    Raises
    ------
    UsageError
        The labels are a raster.
    """
    import shapely

    if isinstance(labels, PointTruth):
        shapes = shapely.box(labels.cols, labels.rows, labels.cols + 1, labels.rows + 1)
    elif isinstance(labels, PolygonTruth):
        shapes = labels.shapes
    else:
        raise UsageError(
            "a split by feature needs polygons or points",
            where=labels.files[0],
            why="the labels are a raster",
            hint="a split by block",
        )
    chosen: list[int] = []
    for own in np.unique(labels.classes[labels.classes != NODATA]).tolist():
        features = np.unique(labels.features[labels.classes == own])
        count = min(max(round(len(features) * share), 1), len(features) - 1)
        chosen += np.random.default_rng([seed, own, 6]).permutation(features)[:count].tolist()
    return Region(shapes=np.asarray(shapes, object)[np.isin(labels.features, chosen)], seen=True)


def region_of(
    split: Split,
    grid: Grid,
    *,
    use: str | None,
    labelled: NDArray[np.bool_],
    seed: int,
    fold: int | None = None,
) -> Region:
    """Validation region of one scene.

    Parameters
    ----------
    split
        How to split.
    use
        What the scene is for, in a split by file.
    labelled
        For blocks: (rows, columns) of squares of ``split.block`` pixels, True where one holds a label.
    seed
        Draws the blocks; the same for the same labels.
    fold
        Which of the folds of blocks is for validation; None for none of them.
    """
    boxes: list[Window] = []
    if split.by == "file":
        boxes = [grid.window] if use == "validation" else []
    elif split.by == "block":
        boxes = _draw(split, labelled, seed) if split.folds is None else _dealt(split, labelled, seed, fold)
    elif split.polygons is not None:
        return Region(shapes=_polygons(split, grid), margin=split.margin)
    else:
        row, row_end = _pixels(split.rows, grid.height)
        col, col_end = _pixels(split.columns, grid.width)
        boxes = [Window(row, col, max(row_end - row, 0), max(col_end - col, 0))]
    import shapely

    shapes = [shapely.box(w.col, w.row, w.col_end, w.row_end) for w in boxes if w.clip(*grid.shape)]
    return Region(shapes=np.array(shapes, object), margin=split.margin)


def _draw(split: Split, labelled: NDArray[np.bool_], seed: int) -> list[Window]:
    """Labelled squares drawn at random, at least one and never all where there are two or more."""
    squares = np.argwhere(labelled)
    count = min(max(round(len(squares) * split.share), 1), max(len(squares) - 1, 0))
    chosen = np.random.default_rng([seed, 2]).permutation(len(squares))[:count]
    side = split.block
    return [Window(int(r) * side, int(c) * side, side, side) for r, c in squares[np.sort(chosen)]]


def _dealt(split: Split, labelled: NDArray[np.bool_], seed: int, fold: int | None) -> list[Window]:
    """Labelled squares of one fold; the folds share them evenly at random."""
    assert split.folds is not None
    squares = np.argwhere(labelled)[np.random.default_rng([seed, 2]).permutation(int(labelled.sum()))]
    chosen = squares[np.arange(len(squares)) % split.folds == (-1 if fold is None else fold)]
    side = split.block
    return [Window(int(r) * side, int(c) * side, side, side) for r, c in chosen[np.lexsort(chosen.T[::-1])]]


def _pixels(span: Span | None, size: int) -> tuple[int, int]:
    if span is None:
        return 0, size
    first, end = (round(float(v.strip().rstrip("%")) / 100 * size) if isinstance(v, str) else v for v in span)
    return first, min(end, size)


def _polygons(split: Split, grid: Grid) -> NDArray[np.object_]:
    import shapely

    assert split.polygons is not None
    shapes = np.asarray(
        to_pixel_coordinates(read_vector(split.polygons, columns=[]), grid).geometry.array, object
    )
    if not shapely.is_valid(shapes).all():
        raise InputError("invalid polygons", where=split.polygons, hint="mend them in a GIS")
    inside: NDArray[np.object_] = shapes[shapely.intersects(shapes, shapely.box(0, 0, *grid.shape[::-1]))]
    return inside
