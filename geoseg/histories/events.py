"""Events: losses that lie together in space and time, with their outlines, whatever the chunks.

The parts of an event are 4-connected areas whose first loss has one date. They are traced chunk by chunk and
joined over the seams; events are then unions of parts that touch, or lie near, and are of near dates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoseg.execution.resume import Computed
from geoseg.geometry import HECTARE, Grid, Window, decimals, geod_of, to_geographic
from geoseg.geometry.integer_areas import integer_areas
from geoseg.histories.chunk import CONFIDENCE, SeriesRecord
from geoseg.histories.opened import OpenedSeries
from geoseg.histories.pixels import NEVER
from geoseg.kernels import kernel
from geoseg.kernels.marked import find_root
from geoseg.legend import NODATA
from geoseg.outlines.lengths import EdgeLengths
from geoseg.outlines.seams import Rings
from geoseg.outlines.shapes import ChunkShapes, shapes_of
from geoseg.outlines.stream import stream_shapes
from geoseg.outlines.wkb import encode
from geoseg.raster.style import vector_qml
from geoseg.regions.join import OpenRegions, RegionJoin, roots_of
from geoseg.regions.label import NO_LABEL, REGION, label_chunk
from geoseg.version import __version__
from geoseg.writers.layer import GEOMETRY, Layer
from geoseg.writers.write import write_layer

EVENTS = "events.gpkg"

_ROWS = 1 << 14
_ROW_PIXELS = 1 << 20
_SLACK = 0.02
"""Years, about a week, within which gaps between dates count as equal."""
_INFLATED = 2.0
"""By how much more than asked for neighbours are sought: pixels differ in size over a map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Areas of one date.

    Attributes
    ----------
    regions
        REGION array; the class is the number of the date.
    shapes
        Polygons (col, row) in pixel corners.
    counts
        (parts, K + 1) int64: pixels by the class after, and last those dated across a gap.
    """

    regions: NDArray[np.void]
    shapes: NDArray[np.object_]
    counts: NDArray[np.int64]

    @classmethod
    def none(cls, opened: OpenedSeries) -> _Parts:
        """No part at all."""
        counts = np.zeros((0, len(opened.legend) + 1), np.int64)
        return cls(regions=np.zeros(0, REGION), shapes=np.zeros(0, object), counts=counts)

    @classmethod
    def joined(cls, parts: Sequence[_Parts]) -> _Parts:
        """All of them, one after the other."""
        return cls(
            regions=np.concatenate([p.regions for p in parts]),
            shapes=np.concatenate([p.shapes for p in parts]),
            counts=np.concatenate([p.counts for p in parts]),
        )


def write_events(opened: OpenedSeries, computed: Computed[SeriesRecord], folder: Path) -> dict[str, Any]:
    """Summary of the events that were written into a folder as `EVENTS`.

    Where each part is an event, memory follows a row of chunks; where parts are joined, all of them.
    """
    job, lengths = opened.job, EdgeLengths.of(opened.grid)
    rows = _parts(opened, computed)
    if job.touch == "corner" or job.gap_years or job.distance:
        whole = _Parts.joined(list(rows))
        tables = iter([_table(whole, _events(whole, opened), opened, lengths)])
    else:
        tables = (_table(parts, np.arange(len(parts.regions)), opened, lengths) for parts in rows)
    told = _Told(job.min_event)
    layer = Layer(
        name="events",
        crs_wkt=opened.united.maps[0].crs_wkt,
        schema=_table(_Parts.none(opened), np.zeros(0, np.int64), opened, lengths).schema,
        detail=max(opened.grid.ground_size),
        style=lambda: vector_qml(opened.legend.classes, "after_id"),
        metadata={
            "description": f"First losses by definition {job.definition}, joined by "
            f"{job.touch}, {job.distance:g} m, {job.gap_years:g} years",
            "software": f"geoseg {__version__}",
        },
    )
    write_layer(folder / EVENTS, told.numbered(tables), layer, overwrite=True)
    return told.to_json()


class _Told:
    """What went by, summed, and numbered on its way.

    Parameters
    ----------
    least
        Hectares below which an event is small.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._sums: dict[str, Any] = dict.fromkeys(("events", "pixels", "small_events"), 0)
        self._sums |= dict.fromkeys(("hectares", "largest_ha", "small_hectares"), 0.0)

    def numbered(self, tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """Batches of the tables with numbers from 1 on."""
        sums = self._sums
        for table in tables:
            areas = table["area_ha"].to_numpy()
            small = areas < self._least
            numbers = pa.array(sums["events"] + np.arange(1, len(areas) + 1))
            sums["events"] += len(areas)
            sums["pixels"] += int(table["n_pix"].to_numpy().sum())
            sums["small_events"] += int(small.sum())
            sums["hectares"] += float(areas.sum())
            sums["small_hectares"] += float(areas[small].sum())
            sums["largest_ha"] = max(sums["largest_ha"], float(areas.max(initial=0.0)))
            yield from table.set_column(0, "event_id", numbers).to_batches(_ROWS)

    def to_json(self) -> dict[str, Any]:
        """The sums."""
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in self._sums.items()}
        return {**rounded, "min_event_ha": self._least}


def _parts(opened: OpenedSeries, computed: Computed[SeriesRecord]) -> Iterator[_Parts]:
    """Parts that each row of chunks finishes, in order of their last row, then of their first pixel."""
    counts = _Counts(len(opened.legend) + 1)
    across = -(-opened.grid.width // _shape(opened)[1])
    for found in stream_shapes(counts.watched(_chunks(opened, computed)), across):
        number = counts.row()
        yield _Parts(
            regions=found.regions[found.order],
            shapes=_polygons(found.rings.take(found.order)),
            counts=number[found.order],
        )


def _chunks(
    opened: OpenedSeries, computed: Computed[SeriesRecord]
) -> Iterator[tuple[ChunkShapes, NDArray[np.int64]]]:
    """(parts of each chunk, pixels by class after of all its regions), in row-major order."""
    store, k = computed.store, len(opened.legend)
    for window in opened.grid.window.blocks(*_shape(opened)):
        loss = _around(store, window, opened.grid.shape)
        place: dict[str, Any] = {"row": window.row, "col": window.col, "scene_width": opened.grid.width}
        areas = integer_areas(opened.grid, window, opened.unit)
        shapes = shapes_of(loss, areas=areas, confidence=store.read(CONFIDENCE, window), **place)
        runs, regions = label_chunk(loss, **place)
        counts = np.zeros((len(regions), k + 1), np.int64)
        after, gap = store.read("after", window), store.read("gap", window)
        _count(runs.row_start, runs.start, runs.label, after, gap, counts)
        is_open = regions["is_open"]
        yield shapes, np.concatenate([counts[~is_open], counts[is_open]])


def _shape(opened: OpenedSeries) -> tuple[int, int]:
    """(rows, columns) of what is traced at a time: memory follows a row of such chunks, not the store's."""
    width = opened.grid.width
    rows = min(max(_ROW_PIXELS // width, 64), opened.tiling.chunk[0])
    return rows, min(width, max(opened.tiling.chunk[1], 64))


def _around(store: Any, window: Window, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Numbers of the dates of loss (h + 2, w + 2), 255 where there is none and outside the map."""
    around = window.grow(1)
    inside = around.clip(*shape)
    out = np.full(around.shape, NODATA, np.uint8)
    loss = store.read("loss", inside)
    out[inside.slices_in(around)] = np.where(loss < NEVER, loss, NODATA)
    return out


@kernel("i8[:], i4[:], i4[:], u1[:,:], u1[:,:], i8[:,:]")
def _count(row_start, start, label, after, gap, counts):  # type: ignore[no-untyped-def]
    height, width = after.shape
    for r in range(height):
        end = row_start[r + 1]
        for k in range(row_start[r], end):
            if label[k] == NO_LABEL:
                continue
            for c in range(start[k], start[k + 1] if k + 1 < end else width):
                counts[label[k], after[r, c]] += 1
                counts[label[k], counts.shape[1] - 1] += gap[r, c] > 0


class _Counts:
    """Counts of regions added up over the seams, in step with `stream_shapes`.

    Parameters
    ----------
    columns
        Of the counts.
    """

    def __init__(self, columns: int) -> None:
        self._join = RegionJoin()
        self._open = np.zeros((0, columns), np.int64)
        self._row: list[tuple[OpenRegions, NDArray[np.int64]]] = []

    def watched(self, chunks: Iterator[tuple[ChunkShapes, NDArray[np.int64]]]) -> Iterator[ChunkShapes]:
        """The chunks, whose counts (finished regions first) are kept until their row is through."""
        for shapes, counts in chunks:
            self._row.append((shapes.open_regions, counts))
            yield shapes

    def row(self) -> NDArray[np.int64]:
        """Counts of the regions that a row of chunks finished, in the order of its `Shapes`."""
        joined = self._join.add_row([regions for regions, _ in self._row])
        sizes = [len(counts) - len(regions.regions) for regions, counts in self._row]
        pairs = list(zip(sizes, self._row, strict=True))
        nodes = np.concatenate([self._open, *(counts[size:] for size, (_, counts) in pairs)])
        finished = len(joined.finished)
        sums = np.zeros((finished + joined.still_open, nodes.shape[1]), np.int64)
        target = joined.target
        np.add.at(sums, np.where(target >= 0, target, finished - 1 - target), nodes)
        self._open, self._row = sums[finished:], []
        return np.concatenate([sums[:finished], *(counts[:size] for size, (_, counts) in pairs)])


def _polygons(rings: Rings) -> NDArray[np.object_]:
    """Polygons (col, row) in pixel corners."""
    made = encode(rings.points, rings, transform=Affine.identity())
    data, ends = made.wkb.tobytes(), made.offsets.tolist()
    shapes = shapely.from_wkb([data[a:b] for a, b in pairwise(ends)])
    return np.asarray(shapely.get_geometry(shapes, 0), object)


def _events(parts: _Parts, opened: OpenedSeries) -> NDArray[np.int64]:
    """(parts,) int64: number of the event that each part belongs to, from 0 in order of date and place."""
    job, regions = opened.job, parts.regions
    parent = np.arange(len(regions), dtype=np.int64)
    years = opened.years[regions["class_id"]]
    near = job.gap_years + _SLACK
    if len(regions) and (job.touch == "corner" or job.gap_years or job.distance):
        tree = shapely.STRtree(parts.shapes)
        one, other = tree.query(parts.shapes, predicate="intersects")
        ahead = (one < other) & (np.abs(years[one] - years[other]) <= near)
        one, other = one[ahead], other[ahead]
        if job.touch == "edge":
            side = shapely.relate_pattern(parts.shapes[one], parts.shapes[other], "****1****")
            one, other = one[side], other[side]
        _unite(parent, one, other)
        if job.distance:
            _unite(parent, *_within(parts.shapes, years, near, opened.grid, job.distance))
    roots = roots_of(parent)
    _, event = np.unique(roots, return_inverse=True)
    if not len(event):
        return event
    count = int(event.max()) + 1
    date, first = np.full(count, NODATA), np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(date, event, regions["class_id"])
    np.minimum.at(first, event, regions["first"])
    place = np.empty(count, np.int64)
    place[np.lexsort((first, date))] = np.arange(count)
    return place[event]


def _within(
    shapes: NDArray[np.object_], years: NDArray[np.float64], near: float, grid: Grid, metres: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of parts of near dates that a geodesic of so many metres connects at most."""
    scaled = shapely.transform(shapes, lambda xy: xy * grid.ground_size)
    tree = shapely.STRtree(scaled)
    one, other = tree.query(scaled, predicate="dwithin", distance=metres * _INFLATED)
    ahead = (one < other) & (np.abs(years[one] - years[other]) <= near)
    one, other = one[ahead], other[ahead]
    if not len(one):
        return one, other
    ends = shapely.get_coordinates(shapely.shortest_line(shapes[one], shapes[other])).reshape(-1, 2, 2)
    lon, lat = to_geographic(grid.crs).transform(*grid.corner(ends[..., 1], ends[..., 0]))
    length = geod_of(grid.crs).inv(lon[:, 0], lat[:, 0], lon[:, 1], lat[:, 1])[2]
    close = np.asarray(length) <= metres
    return one[close], other[close]


@kernel("i8[:], i8[:], i8[:]")
def _unite(parent, one, other):  # type: ignore[no-untyped-def]
    for k in range(one.shape[0]):
        a, b = find_root(parent, one[k]), find_root(parent, other[k])
        if a != b:
            parent[max(a, b)] = min(a, b)


def _table(parts: _Parts, event: NDArray[np.int64], opened: OpenedSeries, lengths: EdgeLengths) -> pa.Table:
    """One row for each event."""
    count = int(event.max(initial=-1)) + 1
    regions, legend, names = parts.regions, opened.legend, np.array(opened.names, object)

    def summed(values: NDArray[Any]) -> NDArray[np.int64]:
        out = np.zeros((count, *values.shape[1:]), np.int64)
        np.add.at(out, event, values)
        return out

    first, last = np.full(count, NODATA), np.zeros(count, np.int64)
    np.minimum.at(first, event, regions["class_id"])
    np.maximum.at(last, event, regions["class_id"])
    shapes = _dissolved(parts.shapes, event, first, last, count)
    pieces, owner = shapely.get_parts(shapes, return_index=True)
    perimeter = np.zeros(count)
    np.add.at(perimeter, owner, lengths.perimeters(_rings(pieces)))
    square_metres = summed(regions["area"]) * opened.unit
    classes = summed(parts.counts)
    after = classes[:, :-1].argmax(axis=1) if count else np.zeros(0, np.int64)
    values = np.array(opened.values, np.int64)
    hectares = square_metres / HECTARE
    of_area, of_length = decimals(opened.grid)
    columns: dict[str, Any] = {
        "event_id": pa.array(np.arange(1, count + 1)),
        "first_date": pa.array(names[first], pa.string()),
        "last_date": pa.array(names[last], pa.string()),
        "first_val": pa.array(values[first]),
        "last_val": pa.array(values[last]),
        "area_ha": pa.array(hectares.round(of_area)),
        "perim_m": pa.array(perimeter.round(of_length)),
        "width_m": pa.array((2 * square_metres / np.maximum(perimeter, 1e-9)).round(of_length)),
        "after": pa.array(np.array(legend.names, object)[after], pa.string()),
        "after_id": pa.array(np.array(legend.ids, np.int32)[after]),
        "n_pix": pa.array(summed(regions["pixels"])),
        "parts": pa.array(np.bincount(owner, minlength=count)),
        "gap_pix": pa.array(classes[:, -1]),
    }
    confident = summed(regions["confident"])
    if any(scene is not None for scene in opened.confidence):
        mean = summed(regions["confidence"]) / np.maximum(confident, 1) / 100.0
        columns["conf_mean"] = pa.array(mean, mask=confident == 0)
    if opened.job.min_event:
        columns["is_small"] = pa.array((hectares < opened.job.min_event).astype(np.int32))
    t = opened.grid.transform
    placed = shapely.transform(
        shapes, lambda xy: np.column_stack([t.a * xy[:, 0] + t.c, t.e * xy[:, 1] + t.f])
    )
    columns[GEOMETRY] = pa.array(shapely.to_wkb(shapely.orient_polygons(placed)), pa.large_binary())
    return pa.table(columns)


def _dissolved(
    shapes: NDArray[np.object_],
    event: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    count: int,
) -> NDArray[np.object_]:
    """Multipolygons of the events; parts of one date at most meet in corners, those of several are united."""
    if not count:
        return np.zeros(0, object)
    order = np.argsort(event, kind="stable")
    made = np.asarray(shapely.multipolygons(shapes[order], indices=event[order]), object).reshape(count)
    for k in np.flatnonzero(first != last):
        united = shapely.unary_union(made[k].geoms)
        made[k] = united if united.geom_type == "MultiPolygon" else shapely.multipolygons([united])
    return made


def _rings(polygons: NDArray[np.object_]) -> Rings:
    """Polygons (col, row) as rings of (row, col) whose first point is not repeated."""
    if not len(polygons):
        none = np.zeros(1, np.int64)
        return Rings(points=np.zeros((0, 2), np.int32), ring_offsets=none, polygon_offsets=none)
    _, coordinates, (ring_ends, polygon_ends) = shapely.to_ragged_array(polygons)
    ring_ends = np.asarray(ring_ends, np.int64)
    keep = np.ones(len(coordinates), np.bool_)
    keep[ring_ends[1:] - 1] = False
    return Rings(
        points=np.ascontiguousarray(np.rint(coordinates[keep, ::-1]).astype(np.int32)),
        ring_offsets=ring_ends - np.arange(len(ring_ends)),
        polygon_offsets=np.asarray(polygon_ends, np.int64),
    )
