"""Plots as they come: batches of any size, each shape checked, what is wrong with it named."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.geometry import geod_of, to_geographic
from geoseg.kernels import kernel
from geoseg.raster.batches import VectorInfo, vector_batches, wkb_types

ROWS = 4096
"""Plots that are read at once."""
TOGETHER = 8
"""Batches that are added up at once where plots are small: for each time, the map is read where they lie."""
_BYTES = 32 * 2**20

_POLYGONS = (3, 6)
_POINTS = (0, 4)
_PLAIN = (0, 1, 3, 4, 6)
"""OGC's numbers of nothing, points and polygons, single and multiple."""
_DEGREES, _METRES = 0.05, 5000.0
_LEAST_OVERLAP = 0.005
_PAIRS = 10_000
POINT_LIMIT = 4.0
"""Hectares above which a point is not enough (Regulation (EU) 2023/1115, article 2 (28))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    """A batch of plots.

    Attributes
    ----------
    first
        Number of the first of them in the file, from 0.
    own
        Their own columns.
    wkb
        Geometries as they came, or None.
    shapes
        Valid polygons, or points; None where there is neither.
    problems
        What is wrong with each geometry, in words.
    square_metres
        Geodesic area of each polygon; NaN for others.
    """

    first: int
    own: pa.RecordBatch
    wkb: NDArray[np.object_]
    shapes: NDArray[np.object_]
    problems: list[list[str]]
    square_metres: NDArray[np.float64]

    @property
    def is_polygon(self) -> NDArray[np.bool_]:
        """(n,) bool."""
        return np.isin(shapely.get_type_id(self.shapes), _POLYGONS)

    @property
    def is_point(self) -> NDArray[np.bool_]:
        """(n,) bool."""
        return np.isin(shapely.get_type_id(self.shapes), _POINTS)


def plots_of(info: VectorInfo, crs: CRS, notes: list[str] | None = None) -> Iterator[Plots]:
    """Plots of a file in their order."""
    first = 0
    for own, wkb in _together(vector_batches(info, ROWS, notes)):
        shapes, problems = _checked(wkb)
        yield Plots(
            first=first,
            own=own,
            wkb=wkb,
            shapes=shapes,
            problems=problems,
            square_metres=_geodesic_areas(shapes, crs),
        )
        first += len(wkb)


def _together(
    batches: Iterable[tuple[pa.RecordBatch, NDArray[np.object_]]],
) -> Iterator[tuple[pa.RecordBatch, NDArray[np.object_]]]:
    """Batches, small ones following each other as one."""
    owns: list[pa.RecordBatch] = []
    shapes: list[NDArray[np.object_]] = []
    size = 0
    for own, wkb in batches:
        owns.append(own)
        shapes.append(wkb)
        size += own.nbytes + sum(len(w) for w in wkb if w is not None)
        if len(owns) == TOGETHER or size > _BYTES:
            yield pa.concat_batches(owns), np.concatenate(shapes)
            owns, shapes, size = [], [], 0
    if owns:
        yield pa.concat_batches(owns), np.concatenate(shapes)


def _checked(wkb: NDArray[np.object_]) -> tuple[NDArray[np.object_], list[list[str]]]:
    """(valid polygons or points, problems)."""
    problems: list[list[str]] = [[] for _ in wkb]
    given = np.array([w is not None for w in wkb], np.bool_)
    shapes = np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), object)
    for i in np.flatnonzero(given & shapely.is_missing(shapes)):
        shapes[i] = shapely.from_wkb(wkb[i], on_invalid="fix")
        problems[i].append("open ring, closed" if shapes[i] is not None else "broken geometry")
    shapes = np.asarray(shapely.force_2d(shapes), object)
    for i in np.flatnonzero(~given | (shapely.is_empty(shapes) & ~shapely.is_missing(shapes))):
        problems[i].append("no geometry")
        shapes[i] = None
    kinds = shapely.get_type_id(shapes)
    for i in np.flatnonzero(kinds == shapely.GeometryType.GEOMETRYCOLLECTION):
        shapes[i] = _polygons_in(shapes[i])
    kinds = shapely.get_type_id(shapes)
    for i in np.flatnonzero(~np.isin(kinds, (*_POLYGONS, *_POINTS, -1))):
        problems[i].append(f"is a {shapes[i].geom_type}, not a polygon or a point")
        shapes[i] = None
    for i in np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)):
        reason = shapely.is_valid_reason(shapes[i]).partition("[")[0].lower()
        shapes[i] = _polygons_in(shapely.make_valid(shapes[i]))
        problems[i].append(
            f"invalid ({reason}), " + ("repaired" if shapes[i] is not None else "without area")
        )
    return shapes, problems


def _polygons_in(shape: Any) -> Any:
    """All polygons within a geometry as one, or None."""
    parts = [p for p in shapely.get_parts(shapely.get_parts(shape)) if shapely.get_type_id(p) == 3]
    return shapely.union_all(parts) if parts else None


def _geodesic_areas(shapes: NDArray[np.object_], crs: CRS) -> NDArray[np.float64]:
    """Square metres on the ellipsoid of each polygon, whose edges are straight in its own CRS; else NaN."""
    out = np.full(len(shapes), np.nan)
    here = np.flatnonzero(np.isin(shapely.get_type_id(shapes), _POLYGONS))
    if not len(here):
        return out
    unit = float(crs.axis_info[0].unit_conversion_factor) or 1.0
    step = np.radians(_DEGREES) / unit if crs.is_geographic else _METRES / unit
    geod, transformer = geod_of(crs), to_geographic(crs)

    def lonlat(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1], errcheck=False))

    dense = shapely.orient_polygons(shapely.transform(shapely.segmentize(shapes[here], step), lonlat))
    parts, owner = shapely.get_parts(dense, return_index=True)
    edges, part = shapely.get_rings(parts, return_index=True)
    areas = np.zeros(len(here))
    xy, ring = shapely.get_coordinates(edges, return_index=True)
    ends = np.searchsorted(ring, np.arange(len(edges) + 1))
    for k in range(len(edges)):
        points = xy[ends[k] : ends[k + 1]]
        if np.isfinite(points).all():
            area, _ = geod.polygon_area_perimeter(points[:, 0], points[:, 1])
            areas[owner[part[k]]] += area  # holes run the other way round
    out[here] = np.abs(areas)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What has to be known of all plots before the first row is written.

    Attributes
    ----------
    count
        Plots.
    points, polygons, missing
        How many are points, polygons, and neither.
    is_mixed
        Whether other geometries are among them, as lines and collections are.
    fields
        Own columns as they come.
    overlaps
        Number of a plot (from 0) to the other plots that it overlaps: (number, share of the smaller).
    """

    count: int
    points: int
    polygons: int
    missing: int
    is_mixed: bool
    fields: pa.Schema
    overlaps: dict[int, list[tuple[int, float]]]


def survey(info: VectorInfo, crs: CRS, notes: list[str] | None = None) -> Survey:
    """Survey of all plots; memory holds a box for each, shapes lie in a temporary file."""
    boxes, kinds, fields, is_mixed = [], np.zeros(3, np.int64), pa.schema([]), False
    with tempfile.TemporaryFile() as file:
        places = [np.zeros(1, np.int64)]
        for plots in plots_of(info, crs, notes):
            fields = plots.own.schema
            polygon, point = plots.is_polygon, plots.is_point
            kinds += polygon.sum(), point.sum(), (~polygon & ~point).sum()
            is_mixed |= not np.isin(wkb_types(plots.wkb), _PLAIN).all()
            box = shapely.bounds(plots.shapes)
            box[~polygon] = np.nan
            boxes.append(box)
            texts = [b"" if w is None else w for w in shapely.to_wkb(plots.shapes)]
            file.write(b"".join(texts))
            places.append(places[-1][-1] + np.cumsum([len(t) for t in texts]))
        all_boxes = np.concatenate(boxes) if boxes else np.zeros((0, 4))
        overlaps = _overlaps(all_boxes, file, np.concatenate(places))
    return Survey(
        count=len(all_boxes),
        polygons=int(kinds[0]),
        points=int(kinds[1]),
        missing=int(kinds[2]),
        is_mixed=is_mixed,
        fields=fields,
        overlaps=overlaps,
    )


def _overlaps(
    boxes: NDArray[np.float64], file: IO[bytes], places: NDArray[np.int64]
) -> dict[int, list[tuple[int, float]]]:
    found: dict[int, list[tuple[int, float]]] = {}
    order = np.argsort(boxes[:, 0], kind="stable")
    order = order[np.isfinite(boxes[order, 0])]
    begin = 0
    sorted_boxes = np.ascontiguousarray(boxes[order])

    def shapes(numbers: NDArray[np.int64]) -> NDArray[np.object_]:
        once, inverse = np.unique(numbers, return_inverse=True)
        texts = []
        for n in once.tolist():
            file.seek(int(places[n]))
            texts.append(file.read(int(places[n + 1] - places[n])))
        return np.asarray(shapely.from_wkb(texts), object)[inverse]

    while begin < len(order):
        one, other, begin = _meeting(sorted_boxes, begin, _PAIRS)
        if not len(one):
            continue
        a, b = order[one], order[other]
        left, right = shapes(a), shapes(b)
        near = shapely.intersects(left, right) & ~shapely.touches(left, right)
        a, b, left, right = a[near], b[near], left[near], right[near]
        common = shapely.area(shapely.intersection(left, right))
        share = common / np.maximum(np.minimum(shapely.area(left), shapely.area(right)), 1e-300)
        for i, j, s in zip(a.tolist(), b.tolist(), share.tolist(), strict=True):
            if s >= _LEAST_OVERLAP:
                found.setdefault(i, []).append((j, s))
                found.setdefault(j, []).append((i, s))
    return found


@kernel("f8[:,:], i8, i8")
def _meeting(boxes, begin, most):  # type: ignore[no-untyped-def]
    """(pairs of boxes that meet inside, where to go on); boxes are in order of their left side."""
    size = most
    one, other = np.empty(size, np.int64), np.empty(size, np.int64)
    count = 0
    i = begin
    while i < boxes.shape[0] and count < most:
        j = i + 1
        while j < boxes.shape[0] and boxes[j, 0] < boxes[i, 2]:
            if boxes[j, 1] < boxes[i, 3] and boxes[i, 1] < boxes[j, 3]:
                if count == size:
                    one = np.concatenate((one, np.empty(size, np.int64)))
                    other = np.concatenate((other, np.empty(size, np.int64)))
                    size *= 2
                one[count], other[count] = i, j
                count += 1
            j += 1
        i += 1
    return one[:count], other[:count], i


def declared_point_areas(own: pa.RecordBatch, name: str) -> NDArray[np.float64]:
    """(n,) float64: hectares that a field says, NaN where it says no number."""
    out = np.full(own.num_rows, np.nan)
    for i, value in enumerate(own[name].to_pylist()):
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            continue
    return out
