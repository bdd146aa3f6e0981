"""Polygons of objects and of their reference, brought together: areas, classes, overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.accuracy.objects import ObjectLayer, Overlaps
from geoseg.errors import InputError, UsageError
from geoseg.evaluation.object_job import EvaluateObjectsJob
from geoseg.legend import Legend, as_compared, is_ignored
from geoseg.raster.rules import Rules, is_null, read_crosswalk
from geoseg.raster.vectors import layers_of, read_vector, valid_polygons

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_OBJECTS = "objects"
_CLASS, _CLASS_ID, _SCORE = "class", "class_id", "score"
_BLOCK = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectInputs:
    """Both layers in one CRS in metres.

    Attributes
    ----------
    classes
        Names of the classes, by position.
    reference, mapped
        The objects; areas in square metres.
    shapes
        Polygons of the reference and of the objects.
    notes
        What the user should know.
    """

    classes: tuple[str, ...]
    reference: ObjectLayer
    mapped: ObjectLayer
    shapes: tuple[NDArray[np.object_], NDArray[np.object_]]
    notes: tuple[str, ...]

    def overlaps(self) -> Overlaps:
        """What objects of one class have in common, exactly, found through an R-tree block by block."""
        reference, mapped = self.shapes
        tree = shapely.STRtree(reference)
        parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        for begin in range(0, len(mapped), _BLOCK):
            block = mapped[begin : begin + _BLOCK]
            other, one = tree.query(block, predicate="intersects")
            same = self.reference.position[one] == self.mapped.position[other + begin]
            one, other = one[same], other[same]
            parts.append(
                (one, other + begin, shapely.area(shapely.intersection(reference[one], block[other])))
            )
        if not parts:
            parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        one, other, common = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Overlaps.of(self.reference, self.mapped, (one, other), common)


def open_objects(job: EvaluateObjectsJob) -> ObjectInputs:
    """Layers of a job; UsageError or InputError where they do not fit each other."""
    notes: list[str] = []
    mapped = read_vector(
        job.objects,
        layer=job.objects_layer or _objects_layer(job.objects),
        encoding=job.encoding,
        notes=notes,
    )
    reference = read_vector(
        job.reference, layer=job.layer, assume_crs=job.reference_crs, encoding=job.encoding, notes=notes
    )
    of_objects = _names(mapped, job)
    legend = _legend(of_objects, reference, job)
    of_reference = _reference_classes(reference, job, legend)
    kept = of_reference >= 0
    if not kept.all():
        notes.append(f"{int((~kept).sum())} reference objects are ignored by the crosswalk")
    reference, of_reference = reference[kept], of_reference[kept]
    crs = metric_crs(mapped if len(mapped) else reference)
    shapes = []
    for frame, path in ((reference, job.reference), (mapped, job.objects)):
        polygons = np.asarray(frame.to_crs(crs).geometry.array, object)
        shapes.append(valid_polygons(polygons, path, repair=job.repair, notes=notes))
    places = [of_reference, np.searchsorted(legend.names, of_objects).astype(np.int64)]
    scores = np.asarray(mapped[_SCORE], np.float64) if _SCORE in mapped.columns else None
    chosen = [np.ones(len(polygons), np.bool_) for polygons in shapes]
    if job.aoi is not None:
        area = shapely.union_all(np.asarray(read_vector(job.aoi, columns=[]).to_crs(crs).geometry.array))
        chosen = [_mostly_inside(polygons, area) for polygons in shapes]
        for name, inside in zip(("reference objects", "objects"), chosen, strict=True):
            if not inside.all():
                notes.append(
                    f"{int((~inside).sum())} {name} lie outside the area of interest and are left out"
                )
    if not chosen[0].any():
        raise InputError("no reference object to score against", where=job.reference)
    layers = [
        ObjectLayer(area=shapely.area(polygons[inside]), position=place[inside], score=score)
        for polygons, inside, place, score in zip(
            shapes, chosen, places, (None, None if scores is None else scores[chosen[1]]), strict=True
        )
    ]
    return ObjectInputs(
        classes=legend.names,
        reference=layers[0],
        mapped=layers[1],
        shapes=(shapes[0][chosen[0]], shapes[1][chosen[1]]),
        notes=tuple(notes),
    )


def metric_crs(frame: GeoDataFrame) -> CRS:
    """The layer's CRS where its unit is the metre, else an equal-area one around its middle."""
    crs = CRS.from_user_input(frame.crs)
    if crs.is_projected and all(axis.unit_name == "metre" for axis in crs.axis_info):
        return crs
    west, south, east, north = frame.to_crs(4326).total_bounds
    return CRS.from_proj4(f"+proj=laea +lat_0={(south + north) / 2} +lon_0={(west + east) / 2} +units=m")


def _objects_layer(path: Path) -> str | None:
    names = layers_of(path)
    return _OBJECTS if len(names) > 1 and _OBJECTS in names else None


def _names(frame: GeoDataFrame, job: EvaluateObjectsJob) -> NDArray[np.object_]:
    """Class of every object, by name; all are the reference's one class where they do not say theirs."""
    for field in (_CLASS, _CLASS_ID):
        if field in frame.columns:
            return np.asarray(frame[field].astype(str), object)
    name = str(job.single_class) if job.single_class is not None else "object"
    return np.full(len(frame), name, object)


def _legend(of_objects: NDArray[np.object_], reference: GeoDataFrame, job: EvaluateObjectsJob) -> Legend:
    """Classes of either layer, numbered by name; what a reference alone knows is missed in full."""
    names = set(of_objects.tolist())
    if job.single_class is not None:
        names.add(str(job.single_class))
    if job.field is not None and job.field in reference.columns:
        crosswalk = read_crosswalk(job.crosswalk)
        values = reference[job.field].tolist() if crosswalk is None else crosswalk.values()
        known = {as_compared(name) for name in names}
        said = {str(value) for value in values if not is_null(value) and not is_ignored(value)}
        names |= {name for name in said if as_compared(name) not in known}
    return Legend.of(dict(enumerate(sorted(names or {"object"}))))


def _reference_classes(frame: GeoDataFrame, job: EvaluateObjectsJob, legend: Legend) -> NDArray[np.int64]:
    """(n,) position of each reference object's class, -1 where it is ignored."""
    if job.field is not None:
        if job.field not in frame.columns:
            fields = ", ".join(c for c in frame.columns if c != "geometry")
            raise UsageError(
                f"no field {job.field!r}", where=job.reference, why=f"there are {fields or 'none'}"
            )
        values = frame[job.field].tolist()
        table = Rules.parse(job.crosswalk, legend).assign(values, where=job.reference, what="features")
        targets = [table[None if is_null(value) else value] for value in values]
        return np.array([-1 if target is None else target for target in targets], np.int64)
    if job.single_class is not None:
        return np.full(len(frame), legend.find(job.single_class).id, np.int64)
    if len(legend) > 1:
        raise UsageError(
            "the class of the reference's objects is not known",
            where=job.reference,
            why=f"the objects are of {len(legend)} classes: {', '.join(legend.names)}",
            hint="`field=NAME`, or `single_class`",
        )
    return np.zeros(len(frame), np.int64)


def _mostly_inside(shapes: NDArray[np.object_], area: Any) -> NDArray[np.bool_]:
    """Whether more than half of each polygon lies in an area."""
    shapely.prepare(area)
    inside: NDArray[np.bool_] = shapely.contains_properly(area, shapes)
    rest = np.flatnonzero(~inside & shapely.intersects(area, shapes))
    inside[rest] = 2 * shapely.area(shapely.intersection(shapes[rest], area)) > shapely.area(shapes[rest])
    return inside
