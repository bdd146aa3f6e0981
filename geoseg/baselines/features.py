"""Pixels under labelled polygons or points, each with the feature that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.baselines.job import FitJob
from geoseg.errors import InputError, UsageError
from geoseg.legend import NODATA, Legend
from geoseg.raster.scene import Scene
from geoseg.truth.layer import TruthFile
from geoseg.truth.open import open_truth
from geoseg.truth.shapes import PointTruth, PolygonTruth

_BLOCK = 512
_MOST_PER_FEATURE = 2000
_MOST_NAMED = 5


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
        (n,) number of the polygon or point in the file, from 0.
    legend
        Classes that have a pixel.
    notes
        What the user should know about the labels.
    """

    values: NDArray[Any]
    positions: NDArray[np.int64]
    features: NDArray[np.int64]
    legend: Legend
    notes: tuple[str, ...]


def read_labelled(job: FitJob, scene: Scene) -> LabelledPixels:
    """Valid pixels whose centre a polygon covers, or that hold a point; of features that overlap, the later.

    Only blocks that a feature touches are read. Of a large polygon 2000 pixels are kept, evenly spread.

    Raises
    ------
    InputError, UsageError
        Labels that cannot be used, that lie elsewhere, or that leave fewer than two classes.
    """
    truth = _open(job, scene)
    values, owners = _pixels(scene, truth)
    if not len(values):
        raise InputError("no label lies on a valid pixel of the scene", where=job.labels)
    ids = truth.classes[owners]
    present = [c for c in truth.legend.classes if c.id in ids]
    if len(present) < 2:
        raise InputError(
            "a forest needs pixels of two classes", where=job.labels, why=f"found {present[0].name} alone"
        )
    legend = Legend(tuple(present))
    return LabelledPixels(
        values=values,
        positions=legend.index_of()[ids].astype(np.int64),
        features=truth.features[owners],
        legend=legend,
        notes=(*truth.notes, *_unlearnt(truth, legend)),
    )


def _open(job: FitJob, scene: Scene) -> PolygonTruth | PointTruth:
    assert job.labels is not None
    file = TruthFile(
        path=job.labels,
        field=job.field,
        layer=job.layer,
        crosswalk=job.crosswalk,
        reading={"assume_crs": job.assume_crs},
        overlap=job.overlap,
        repair=job.repair,
        encoding=job.encoding,
        all_touched=job.all_touched,
        role="label layer",
        ground="scene",
    )
    truth = open_truth(file, scene.grid, Legend.of(job.classes) if isinstance(job.classes, dict) else None)
    if not isinstance(truth, PolygonTruth | PointTruth):
        raise UsageError("a forest learns from polygons or points", where=job.labels, why="this is a raster")
    if len(truth.legend) < 2:
        raise InputError(
            "a forest needs two classes",
            where=job.labels,
            why=f"field {job.field!r} holds {', '.join(truth.legend.names) or 'none'}",
        )
    return truth


def _unlearnt(truth: PolygonTruth | PointTruth, legend: Legend) -> list[str]:
    """What is said of classes that no pixel was found for."""
    notes = []
    for c in truth.legend.classes:
        if c.id in legend.ids:
            continue
        own = [str(n + 1) for n in np.unique(truth.features[truth.classes == c.id]).tolist()]
        named = ", ".join(own[:_MOST_NAMED]) + (", ..." if len(own) > _MOST_NAMED else "")
        why = f"feature {named} holds no centre of a valid pixel" if own else "no feature on the scene has it"
        notes.append(f"class {c.name!r} is not learnt: {why}")
    return notes


def _pixels(scene: Scene, truth: PolygonTruth | PointTruth) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(values (n, B), position of the feature (n,)), ordered by feature, then by row and column."""
    values, features, places = [], [], []
    for window in scene.grid.window.blocks(_BLOCK, _BLOCK):
        if not truth.touching(window).size:
            continue
        owner = truth.owners(window)
        known = (owner >= 0) & (truth.classes[owner] != NODATA)
        if not known.any():
            continue
        pixels, valid = scene.read(window)
        rows, cols = np.nonzero(valid & known)
        values.append(pixels[:, rows, cols].T)
        features.append(owner[rows, cols])
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
