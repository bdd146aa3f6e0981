"""The verb: a class map and its confidence in, a layer of the squares to label next out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.execution.manifest import add_files
from geoseg.geometry import Grid, Window
from geoseg.job import takes
from geoseg.legend import NODATA, Legend
from geoseg.options import SuggestOptions
from geoseg.raster.burn import to_pixel_coordinates
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.scene import Scene
from geoseg.raster.style import vector_qml
from geoseg.raster.vectors import read_vector
from geoseg.results import as_json
from geoseg.suggestions.choose import choose
from geoseg.suggestions.job import SuggestJob
from geoseg.version import __version__
from geoseg.writers.layer import GEOMETRY, Layer
from geoseg.writers.write import require_names, write_layer

LAYER = "to_label"
_CONFIDENCE = "confidence.tif"
_SPAN = 2048  # pixels: about the side of what is read at once
_LEAST = 0.5  # of a square has to be valid
_FIELDS = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("unsure_pct", pa.float64(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("mix", pa.string(), nullable=False),
        pa.field(GEOMETRY, pa.binary(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One square to label.

    Attributes
    ----------
    order
        From 1, the most useful first.
    window
        Its pixels.
    unsure
        Mean of 100 - confidence, in percent.
    shares
        Share of its valid pixels by class name, the largest first.
    """

    order: int
    window: Window
    unsure: float
    shares: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """What was suggested.

    Attributes
    ----------
    path
        The layer `LAYER`.
    squares
        The squares, the most useful first.
    unsure
        Mean of 100 - confidence over the whole map, in percent.
    seconds
        Time taken.
    notes
        What the user should know.
    """

    path: Path
    squares: tuple[Suggestion, ...]
    unsure: float
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Squares:
    """Counts by square, in row order: classes (n, 256), and sums of 100 - confidence (n,)."""

    across: int
    classes: NDArray[np.uint32]
    doubt: NDArray[np.int64]

    @property
    def valid(self) -> NDArray[np.int64]:
        return np.asarray(self.classes.sum(axis=1, dtype=np.int64))


@takes(SuggestJob)
def suggest(
    classes: str | Path, *, out: str | Path, overwrite: bool = False, **options: Unpack[SuggestOptions]
) -> Suggestions:
    """Squares of a scene to label next: where the model is unsure, and unlike each other and those labelled.

    Parameters
    ----------
    classes, out, options
        Fields of `SuggestJob`.
    overwrite
        Replace a file of that name.

    Raises
    ------
    InputError
        No confidence, one of another grid, or no square with half of its pixels valid.
    OutputConflictError
        The output exists or cannot be written.
    """
    return run_suggest(SuggestJob.parse({"classes": classes, "out": out, **options}), overwrite=overwrite)


def run_suggest(job: SuggestJob, *, overwrite: bool = False) -> Suggestions:
    """Twin of `suggest` that takes the frozen job."""
    started = time.monotonic()
    out = job.out.absolute()
    notes = list(require_names(out, overwrite=overwrite, inputs=job.inputs()))
    classes = open_class_map(job.classes, band=job.band, crosswalk=job.crosswalk, **job.reading)
    squares = _count(classes, _confidence(job, classes), job.side)
    valid = squares.valid
    windows = list(classes.grid.window.blocks(job.side, job.side))
    enough = valid >= _LEAST * np.array([w.area for w in windows])
    if not (enough & (squares.doubt > 0)).any():
        certain = f"the model is certain in all of the {int(enough.sum())} squares that have data"
        raise InputError(
            "no square to suggest",
            where=job.classes,
            why=certain if enough.any() else "half of the pixels have a class in none",
            hint="a smaller `side`, or the map of a model that is unsure somewhere",
        )
    chosen = choose(
        np.where(enough, squares.doubt / np.maximum(valid, 1) / 100, 0.0),
        squares.classes[:, squares.classes.any(axis=0)] / np.maximum(valid, 1)[:, None],
        np.array([[w.row + w.height / 2, w.col + w.width / 2] for w in windows]),
        job.count,
        _labelled(job, classes.grid, squares.across, notes),
    )
    if len(chosen) < job.count:
        notes.append(f"only {len(chosen)} squares of {job.side} x {job.side} pixels are left to label")
    legend = classes.legend
    suggested = tuple(
        Suggestion(
            order=order,
            window=windows[i],
            unsure=float(squares.doubt[i] / valid[i]),
            shares=_shares(squares.classes[i], legend),
        )
        for order, i in enumerate(chosen, start=1)
    )
    layer = Layer(
        name=LAYER,
        crs_wkt=classes.crs_wkt,
        schema=_FIELDS,
        geometry_type="Polygon",
        style=lambda: vector_qml(legend.classes, opacity=0.3),
        metadata={
            "description": f"Squares of {classes.path.name} to label next, the most useful first.",
            "software": f"geoseg {__version__}",
        },
    )
    paths = write_layer(out, _rows(suggested, classes.grid, legend), layer, overwrite=overwrite)
    add_files("suggest", paths)
    return Suggestions(
        path=paths[0],
        squares=suggested,
        unsure=float(squares.doubt.sum() / max(int(valid.sum()), 1)),
        seconds=time.monotonic() - started,
        notes=(*notes, *classes.scene.notes),
    )


def _confidence(job: SuggestJob, classes: ClassMap) -> Scene:
    """The raster that says how sure the model was."""
    path = job.confidence or classes.path.with_name(_CONFIDENCE)
    if not path.exists():
        raise InputError(
            "not found",
            where=path,
            why="where the model is unsure stands in its confidence",
            hint="`confidence`: the raster that predict wrote beside the class map",
        )
    reading: ReadingOptions = {**job.reading, "nodata": None}
    scene = open_scene(path, **reading)
    difference = classes.grid.difference(scene.grid)
    if difference or scene.count != 1:
        why = difference or f"{scene.count} bands, expected one"
        raise InputError("not the confidence of this class map", where=path, why=why)
    return scene


def _count(classes: ClassMap, confidence: Scene, side: int) -> _Squares:
    """Counts of every square, in one pass over both rasters."""
    height, width = classes.grid.shape
    across = -(-width // side)
    counts = np.zeros((-(-height // side) * across, 256), np.uint32)
    doubt = np.zeros(len(counts), np.int64)
    span = max(_SPAN // side, 1) * side
    for window in classes.grid.window.blocks(span, span):
        ids = classes.read(window)
        (percent,), known = confidence.read(window)
        known &= ids != NODATA
        rows = np.arange(window.row, window.row_end)[:, None] // side
        cols = np.arange(window.col, window.col_end) // side
        square = (rows * across + cols)[known]
        np.add.at(counts, (square, ids[known]), 1)
        np.add.at(doubt, square, 100 - np.clip(percent[known].astype(np.int64), 0, 100))
    return _Squares(across=across, classes=counts, doubt=doubt)


def _labelled(job: SuggestJob, grid: Grid, across: int, notes: list[str]) -> list[int]:
    """Squares that labelled polygons touch."""
    if job.labelled is None:
        return []
    frame = to_pixel_coordinates(read_vector(job.labelled, layer=job.layer, columns=[], notes=notes), grid)
    tree = shapely.STRtree(np.asarray(frame.geometry.array, object))
    boxes = [shapely.box(w.col, w.row, w.col_end, w.row_end) for w in grid.window.blocks(job.side, job.side)]
    found = np.unique(tree.query(boxes, predicate="intersects")[0])
    if not len(found):
        notes.append(f"no polygon of {job.labelled.name} lies in the map")
    return [int(i) for i in found]


def _shares(counts: NDArray[np.uint32], legend: Legend) -> dict[str, float]:
    total = counts.sum()
    present = sorted(np.flatnonzero(counts), key=lambda i: (-int(counts[i]), int(i)))
    return {legend.name(int(i)): float(counts[i] / total) for i in present}


def _rows(suggested: tuple[Suggestion, ...], grid: Grid, legend: Legend) -> Iterator[pa.RecordBatch]:
    numbers = {name: number for number, name in zip(legend.ids, legend.names, strict=True)}
    for s in suggested:
        w, first = s.window, next(iter(s.shares))
        corners = grid.corner(
            np.array([w.row, w.row_end, w.row_end, w.row]), np.array([w.col, w.col, w.col_end, w.col_end])
        )
        values = {
            "order": s.order,
            "unsure_pct": round(s.unsure, 1),
            "class_id": numbers[first],
            "class_name": first,
            "mix": ", ".join(f"{name} {100 * share:.0f} %" for name, share in s.shares.items()),
            GEOMETRY: shapely.to_wkb(shapely.Polygon(np.column_stack(corners)).normalize()),
        }
        yield pa.RecordBatch.from_pylist([values], schema=_FIELDS)
