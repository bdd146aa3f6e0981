"""The map, the reference and whatever else an evaluation reads, opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.evaluation.job import MAP_NAMES, REFERENCE_NAMES, EvaluateJob
from geoseg.evaluation.reference import file_of, open_reference
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.datasource import is_vector
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import called
from geoseg.raster.scene import Scene
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.open import open_truth
from geoseg.truth.pixels import class_map_of

_REGION_NAMES = {"field": "regions_field"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What an evaluation reads.

    Attributes
    ----------
    class_map, legend
        The map, and the classes to score.
    reference
        The reference on the map's grid.
    confidence
        Raster of the map's confidence.
    regions
        Polygons by which scores are told one by one, as numbers of their names.
    block
        Side of a spatial block in pixels.
    notes
        What the user should know of the classes.
    instances
        Rasters of ids of objects, of the reference and of the map.
    """

    class_map: ClassMap
    legend: Legend
    reference: Truth
    confidence: Scene | None
    regions: Truth | None
    block: int | None
    notes: tuple[str, ...]
    instances: tuple[Scene, Scene] | None = None

    def mapped(self, window: Window) -> NDArray[np.uint8]:
        """Classes of the map."""
        with called(MAP_NAMES):
            return self.class_map.read(window)


def open_inputs(job: EvaluateJob) -> Inputs:
    """Inputs of a job; UsageError or InputError where they cannot be used as they are."""
    with called(MAP_NAMES):
        class_map = open_class_map(
            job.classes, job.legend, band=job.band, crosswalk=job.map_crosswalk, **job.reading
        )
    legend, notes = _legend_of(class_map, job)
    grid = class_map.grid
    reference = open_reference(job, grid, legend, resample=job.resample)
    if reference.kind == "points" and (given := job.of_pixels):
        raise UsageError(f"`{given}` needs a raster or polygons", where=job.reference, why="it holds points")
    return Inputs(
        class_map=class_map,
        legend=legend,
        reference=reference,
        confidence=_confidence(job, class_map),
        regions=_regions(job, grid),
        instances=_instances(job, class_map),
        block=None if job.blocks is None else max(round(job.blocks / max(grid.ground_size)), 1),
        notes=notes,
    )


def _legend_of(class_map: ClassMap, job: EvaluateJob) -> tuple[Legend, tuple[str, ...]]:
    """(classes to score, notes): the map's own, else those in it and in a raster reference.

    Numbers of the one that names no classes mean what the other calls them.
    """
    with called(MAP_NAMES):
        known = class_map.legend
    if job.crosswalk is not None or is_vector(job.reference):
        return known, ()
    with called(REFERENCE_NAMES):
        other = class_map_of(file_of(job), class_map.grid)
        if other is None:
            return known, ()
        if class_map.declared is not None:
            return known, () if other.declared else (_by_number("reference", "map"),)
        named = [dict(zip(one.ids, one.names, strict=True)) for one in (known, other.legend)]
    names = named[0] | named[1]
    legend = Legend.of(names, {i: c for i, c in class_map.colors.items() if i in names})
    return legend, (_by_number("map", "reference"),) if other.declared else ()


def _by_number(unnamed: str, named: str) -> str:
    return f"the {unnamed} names no classes: its numbers mean what the {named} calls them"


def _confidence(job: EvaluateJob, class_map: ClassMap) -> Scene | None:
    if job.confidence is None:
        return None
    scene = open_scene(job.confidence, allow_vrt=job.allow_vrt)
    difference = class_map.grid.difference(scene.grid)
    if difference or scene.count != 1:
        why = difference or f"{scene.count} bands, expected one"
        raise InputError("not the confidence of this class map", where=job.confidence, why=why)
    return scene


def _instances(job: EvaluateJob, class_map: ClassMap) -> tuple[Scene, Scene] | None:
    if job.instances is None or job.reference_instances is None:
        return None
    reference, mapped = (_on_grid(path, class_map, job) for path in (job.reference_instances, job.instances))
    return reference, mapped


def _on_grid(path: Path, class_map: ClassMap, job: EvaluateJob) -> Scene:
    """Raster of ids on the map's grid."""
    scene = open_scene(path, categorical=True, allow_vrt=job.allow_vrt)
    difference = class_map.grid.difference(scene.grid)
    if difference or scene.count != 1 or scene.dtype.kind not in "ui":
        why = difference or f"{scene.count} bands of {scene.dtype}, expected one of whole numbers"
        raise InputError("not ids of objects on the grid of the class map", where=path, why=why)
    return scene


def _regions(job: EvaluateJob, grid: Grid) -> Truth | None:
    if job.regions is None:
        return None
    file = TruthFile(
        path=job.regions,
        field=job.regions_field,
        repair=job.repair,
        role="regions",
        names=_REGION_NAMES,
    )
    regions = open_truth(file, grid, None)
    if regions.kind != "polygons":
        raise UsageError("`regions` needs polygons", where=job.regions, why=f"it holds {regions.kind}")
    return regions
