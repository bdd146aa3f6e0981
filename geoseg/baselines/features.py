"""Pixels under labelled polygons or points, each with the feature that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.baselines.job import FitJob
from geoseg.errors import InputError, UsageError
from geoseg.legend import Crosswalk, Legend
from geoseg.raster.burn import burn, read_vector, to_pixel_coordinates
from geoseg.raster.scene import Scene

_BLOCK = 512
_MOST_PER_FEATURE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPixels:
    """Pixels with their classes.

    Attributes
    ----------
    values
        (n, B) raw values.
    positions
        (n,) position of the class in the legend.
    features
        (n,) number of the polygon or point, from 0.
    """

    values: NDArray[Any]
    positions: NDArray[np.int64]
    features: NDArray[np.int64]
    legend: Legend


def read_labelled(job: FitJob, scene: Scene) -> LabelledPixels:
    """Valid pixels whose centre a polygon covers, or that hold a point; of features that overlap, the later.

    Only blocks that a feature touches are read. Of a large polygon 2000 pixels are kept, evenly spread.

    Raises
    ------
    InputError, UsageError
        Labels that cannot be used, that lie elsewhere, or that leave fewer than two classes.
    """
    import shapely

    assert job.labels is not None and job.field is not None
    frame = read_vector(
        job.labels, layer=job.layer, columns=[job.field], assume_crs=job.assume_crs, points=True
    )
    given = [None if v is None or v != v else v for v in frame[job.field].tolist()]  # noqa: PLR0124 (NaN)
    legend, targets = _classes(job, given)
    kept = np.array([t is not None for t in targets], np.bool_)
    if not kept.any():
        raise InputError("no feature has a class", where=job.labels, why=f"field {job.field!r}")
    shapes = np.asarray(to_pixel_coordinates(frame, scene.grid).geometry.array, object)[kept]
    if not shapely.is_valid(shapes).all():
        raise InputError("invalid polygons", where=job.labels, hint="mend them in a GIS")
    classes = np.array([legend.ids.index(t) for t in targets if t is not None], np.int64)
    values, features = _pixels(scene, shapes)
    if not len(values):
        x0, y0, x1, y1 = shapely.total_bounds(shapes)
        raise InputError(
            "no label lies on a valid pixel of the scene",
            where=job.labels,
            why=f"columns {x0:.0f} to {x1:.0f}, rows {y0:.0f} to {y1:.0f}; "
            f"the scene has {scene.grid.width} columns and {scene.grid.height} rows",
        )
    positions = classes[features]
    present = np.unique(positions)
    if len(present) < 2:
        raise InputError(
            "a forest needs pixels of two classes",
            where=job.labels,
            why=f"found {legend.names[present[0]]} alone",
        )
    return LabelledPixels(values=values, positions=positions, features=features, legend=legend)


def _pixels(scene: Scene, shapes: NDArray[np.object_]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(values (n, B), feature (n,)), ordered by feature, then by row and column."""
    import shapely

    tree, numbered = shapely.STRtree(shapes), [(shape, i) for i, shape in enumerate(shapes)]
    values, features, places = [], [], []
    for window in scene.grid.window.blocks(_BLOCK, _BLOCK):
        hits = np.sort(tree.query(shapely.box(window.col, window.row, window.col_end, window.row_end)))
        if not hits.size:
            continue
        owner = burn([numbered[i] for i in hits], window, fill=-1, dtype="int32")
        if not (owner >= 0).any():
            continue
        pixels, valid = scene.read(window)
        rows, cols = np.nonzero(valid & (owner >= 0))
        values.append(pixels[:, rows, cols].T)
        features.append(owner[rows, cols].astype(np.int64))
        places.append((rows + window.row).astype(np.int64) * scene.grid.width + cols + window.col)
    if not values:
        return np.empty((0, scene.count), scene.dtype), np.empty(0, np.int64)
    owner, found = np.concatenate(features), np.concatenate(values)
    order = np.lexsort((np.concatenate(places), owner))
    kept = [
        own[np.unique(np.linspace(0, len(own) - 1, _MOST_PER_FEATURE).round().astype(int))]
        for own in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)
    ]
    chosen = np.concatenate(kept)
    return found[chosen], owner[chosen]


def _classes(job: FitJob, given: list[Any]) -> tuple[Legend, list[int | None]]:
    """Legend, and each feature's class id; None where it has none."""
    present = {v for v in given if v is not None}
    numeric = all(isinstance(v, (int, float)) and float(v).is_integer() and 0 <= v <= 254 for v in present)
    if isinstance(job.classes, dict):
        legend = Legend.of(job.classes)
    elif job.crosswalk is not None:
        names = dict.fromkeys(str(t) for t in job.crosswalk.values() if str(t) not in {"None", "ignore"})
        legend = Legend.of(dict(enumerate(names, start=1)))
    elif numeric:
        legend = Legend.of({int(v): f"class {int(v)}" for v in present})
    else:
        legend = Legend.of(dict(enumerate(sorted(map(str, present)), start=1)))
    if len(legend) < 2:
        raise InputError(
            "a forest needs two classes", where=job.labels, why=f"field {job.field!r} holds {sorted(present)}"
        )
    walk = Crosswalk.identity(legend) if job.crosswalk is None else Crosswalk.parse(job.crosswalk, legend)
    try:
        return legend, [None if v is None else walk.target(v) for v in given]
    except UsageError as error:
        raise InputError(
            f"field {job.field!r} holds a value without a class",
            where=job.labels,
            why=f"{error.what}; {error.why}",
            hint="name it in classes, or in crosswalk with a class or 'ignore'",
        ) from None
