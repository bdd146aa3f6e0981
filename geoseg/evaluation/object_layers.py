"""Polygons of objects and of their reference, brought together: areas, classes, overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Proj

from geoseg.accuracy.objects import ObjectLayer, Overlaps
from geoseg.errors import InputError, UsageError
from geoseg.evaluation.object_job import EvaluateObjectsJob
from geoseg.legend import Legend, as_compared, is_ignored
from geoseg.raster.datasource import layers_of
from geoseg.raster.rules import Rules, is_null, read_crosswalk
from geoseg.raster.vectors import read_vector, valid_polygons

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_OBJECTS = "objects"
_CLASS, _CLASS_ID, _SCORE, _CROWD = "class", "class_id", "score", "iscrowd"
_BLOCK = 1 << 14
_TRUE_TO_AREA = 0.01
"""Share by which areas in a projected CRS may be off."""

Shapes = NDArray[np.object_]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Polygons, and the position of each one's class; -1 where it may be any."""

    shapes: Shapes
    position: Places

    def where(self, chosen: NDArray[np.bool_]) -> Placed:
        """The chosen ones."""
        return Placed(shapes=self.shapes[chosen], position=self.position[chosen])

    def shared(self, mapped: Placed) -> tuple[Places, Places, NDArray[np.float64]]:
        """(polygons here, those of `mapped`, area that they share) of pairs that can be of one class.

        Exactly, and found through an R-tree block by block.
        """
        tree = shapely.STRtree(self.shapes)
        parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        for begin in range(0, len(mapped.shapes), _BLOCK):
            block = mapped.shapes[begin : begin + _BLOCK]
            other, one = tree.query(block, predicate="intersects")
            position = self.position[one]
            same = (position == mapped.position[other + begin]) | (position < 0)
            one, other = one[same], other[same]
            common = shapely.area(shapely.intersection(self.shapes[one], block[other]))
            parts.append((one, other + begin, common))
        one, other, common = (np.concatenate(column) for column in zip(*parts, strict=True))
        return one, other, common


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectInputs:
    """Both layers in one CRS in metres.

    Attributes
    ----------
    classes
        Names of the classes, by position.
    reference, mapped
        The objects; areas in square metres.
    overlaps
        What objects of one class have in common.
    hectares
        Size of the area of interest, or where none was given of the box around both layers.
    notes
        What the user should know.
    """

    classes: tuple[str, ...]
    reference: ObjectLayer
    mapped: ObjectLayer
    overlaps: Overlaps
    hectares: float
    notes: tuple[str, ...]


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
        job.reference,
        layer=job.layer,
        assume_crs=job.reference_crs,
        crs_option="reference_crs",
        encoding=job.encoding,
        notes=notes,
    )
    of_objects = _names(mapped, job)
    legend = _legend(of_objects, reference, job)
    crs = metric_crs(mapped if len(mapped) else reference)

    def placed(frame: GeoDataFrame, path: Path, position: Places) -> Placed:
        polygons = np.asarray(frame.to_crs(crs).geometry.array, object)
        return Placed(
            shapes=valid_polygons(polygons, path, repair=job.repair, notes=notes), position=position
        )

    known = placed(reference, job.reference, _reference_classes(reference, job, legend))
    found = placed(mapped, job.objects, np.searchsorted(legend.names, of_objects).astype(np.int64))
    scores = np.asarray(mapped[_SCORE], np.float64) if _SCORE in mapped.columns else None
    box = shapely.box(*shapely.total_bounds(np.concatenate([known.shapes, found.shapes])))
    area = box if job.aoi is None else _area_of_interest(job.aoi, crs)
    ignored = _crowds(reference) | (known.position < 0)
    excusing, known = known.where(ignored), known.where(~ignored)
    if job.aoi is not None:
        chosen = [_mostly_inside(layer.shapes, area) for layer in (known, found)]
        known, found = known.where(chosen[0]), found.where(chosen[1])
        scores = None if scores is None else scores[chosen[1]]
        for name, inside in zip(("reference objects", "objects"), chosen, strict=True):
            if not inside.all():
                notes.append(
                    f"{int((~inside).sum())} {name} lie outside the area of interest and are left out"
                )
    if not len(known.shapes):
        raise InputError("no reference object to score against", where=job.reference)
    layers = [
        ObjectLayer(area=shapely.area(one.shapes), position=one.position, score=score)
        for one, score in ((known, None), (found, scores))
    ]
    one, other, common = known.shared(found)
    excused = None
    if ignored.any():
        excused = _excused(excusing, found, layers[1].area)
        notes.append(
            f"{int(ignored.sum())} reference objects are ignored, by the crosswalk, as crowds or without a "
            "class: objects that lie in one of them by half or more and match no other are not counted"
        )
    return ObjectInputs(
        classes=legend.names,
        reference=layers[0],
        mapped=layers[1],
        overlaps=Overlaps.of(layers[0], layers[1], (one, other), common, excused),
        hectares=float(shapely.area(area)) / 1e4,
        notes=tuple(notes),
    )


def _excused(excusing: Placed, found: Placed, area: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) largest share of each object that lies in one polygon that is not to be found."""
    _, other, common = excusing.shared(found)
    share = np.zeros(len(area))
    np.maximum.at(share, other, common / area[other])
    return share


def _crowds(frame: GeoDataFrame) -> NDArray[np.bool_]:
    """(n,) whether a reference object stands for a crowd of them, as COCO says it."""
    if _CROWD not in frame.columns:
        return np.zeros(len(frame), np.bool_)
    return np.array([not is_null(value) and bool(float(value)) for value in frame[_CROWD]], np.bool_)


def _area_of_interest(path: Path, crs: CRS) -> Any:
    return shapely.union_all(np.asarray(read_vector(path, columns=[]).to_crs(crs).geometry.array))


def metric_crs(frame: GeoDataFrame) -> CRS:
    """The layer's CRS where its areas are square metres, else an equal-area one around its middle.

    They are none in degrees, in feet, and in Web Mercator, where a house in Oslo is four times its size.
    """
    crs = CRS.from_user_input(frame.crs)
    west, south, east, north = frame.to_crs(4326).total_bounds
    lon, lat = (west + east) / 2, (south + north) / 2
    if crs.is_projected and all(axis.unit_name == "metre" for axis in crs.axis_info):
        scale = Proj(crs).get_factors(lon, lat).areal_scale
        if abs(scale - 1) < _TRUE_TO_AREA:
            return crs
    return CRS.from_proj4(f"+proj=laea +lat_0={lat} +lon_0={lon} +units=m")


def _objects_layer(path: Path) -> str | None:
    names = layers_of(path)
    return _OBJECTS if len(names) > 1 and _OBJECTS in names else None


def _names(frame: GeoDataFrame, job: EvaluateObjectsJob) -> NDArray[np.object_]:
    """Class of every object, by name; all are the reference's one class where they do not say theirs."""
    for field in (_CLASS, _CLASS_ID):
        if field in frame.columns:
            values = frame[field].tolist()
            if nameless := sum(map(is_null, values)):
                raise InputError(
                    f"{nameless} of {len(values)} objects have no class",
                    where=job.objects,
                    why=f"field {field!r} is empty there",
                    hint="fill it, or leave these objects out",
                )
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
