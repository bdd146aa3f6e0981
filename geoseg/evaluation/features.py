"""A vector file as reference: which field, which values, which geometries, and every reason to refuse."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.errors import InputError, UsageError
from geoseg.evaluation.extent import require_overlap
from geoseg.evaluation.job import REFERENCE_NAMES, ReferenceJob
from geoseg.evaluation.rules import Rules
from geoseg.evaluation.vector_reference import PointReference, PolygonReference
from geoseg.geometry import Grid
from geoseg.legend import NODATA, Legend
from geoseg.raster.burn import read_vector, to_pixel_coordinates

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_MOST_NAMED = 5
_POINTS = (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT)


def open_vector_reference(job: ReferenceJob, grid: Grid, legend: Legend) -> PolygonReference | PointReference:
    """Reference from polygons or points.

    Raises
    ------
    InputError
        No CRS, no common area, lines, invalid or overlapping polygons, values without a class.
    UsageError
        A field that is missing or has to be named.
    """
    path = job.reference
    notes: list[str] = []
    features = _read(job)
    rules = Rules.parse(job.crosswalk, legend)
    values = _values(features, job, rules, notes)
    classes = _classes(values, rules, job)
    shapes = np.asarray(features.geometry.array, dtype=object)
    points = shapely.get_type_id(shapes[0]) in _POINTS
    if not points:
        shapes = _valid(shapes, job, notes)
    features = features.set_geometry(list(shapes), crs=features.crs)
    require_overlap(tuple(features.total_bounds), CRS.from_user_input(features.crs), grid, path)
    if not grid.crs.equals(CRS.from_user_input(features.crs), ignore_axis_order=True):
        notes.append(f"reference brought from {features.crs.name} to {grid.crs.name}")
    placed = np.asarray(to_pixel_coordinates(features, grid).geometry.array, dtype=object)
    if points:
        if job.background is not None:
            raise UsageError("`background` needs polygons", where=path, why="the reference holds points")
        return _points(placed, classes, grid, notes)
    background = NODATA if job.background is None else legend.find(job.background).id
    order = _burning_order(values, classes, rules, job)
    reference = PolygonReference(
        shapes=placed[order], classes=classes[order], background=background, notes=tuple(notes)
    )
    return _settle_overlaps(reference, grid, job, notes)


def _read(job: ReferenceJob) -> GeoDataFrame:
    try:
        return read_vector(job.reference, layer=job.layer, assume_crs=job.reference_crs, points=True)
    except InputError as error:
        if not error.what.startswith("no coordinate reference system"):
            raise error.renamed(REFERENCE_NAMES) from None
        raise InputError(error.what, where=error.where, hint="`reference_crs=EPSG:...`") from None


def _values(features: GeoDataFrame, job: ReferenceJob, rules: Rules, notes: list[str]) -> list[Any]:
    """Value of the class field of every feature."""
    fields = [c for c in features.columns if c != features.geometry.name]
    if job.single_class is not None:
        if job.field is not None or job.crosswalk is not None:
            raise UsageError("`single_class` stands alone", why="given with `field` or `crosswalk`")
        return [job.single_class] * len(features)
    if job.field is not None:
        if job.field not in fields:
            near = difflib.get_close_matches(job.field, fields, n=1, cutoff=0.5)
            raise UsageError(
                f"no field {job.field!r}",
                where=job.reference,
                why=f"fields are {', '.join(fields) or 'none'}",
                hint=f"`field={near[0]}`" if near else None,
            )
        return list(features[job.field])
    if rules.constant:
        return ["*"] * len(features)
    plausible = [f for f in fields if _is_plausible(features[f], rules)]
    if len(plausible) != 1:
        which = f"several hold classes of the map: {', '.join(plausible)}" if plausible else "none holds them"
        raise UsageError(
            "the field with the class has to be named",
            where=job.reference,
            why=f"fields are {', '.join(fields) or 'none'}; {which}",
            hint="`field=NAME`, with `crosswalk=MAP.yaml` where values are not the map's classes; "
            "`single_class=NAME` where all features are one class",
        )
    notes.append(f"class taken from field {plausible[0]!r}, the only one that holds classes of the map")
    return list(features[plausible[0]])


def _is_plausible(column: Any, rules: Rules) -> bool:
    """Whether a field's values are all classes, and at least one is there."""
    values = column.dropna().unique()
    return len(values) > 0 and all(rules.knows(v) for v in values)


def _classes(values: Sequence[Any], rules: Rules, job: ReferenceJob) -> NDArray[np.uint8]:
    assigned: dict[Hashable, int | None] = rules.assign(values, where=job.reference, what="features")
    table = {k: NODATA if v is None else v for k, v in assigned.items()}
    null = table.get(None, NODATA)
    return np.array([table.get(v, null) for v in values], np.uint8)


def _valid(shapes: NDArray[np.object_], job: ReferenceJob, notes: list[str]) -> NDArray[np.object_]:
    """Polygons that are valid, repaired only on request."""
    wrong = np.flatnonzero(~shapely.is_valid(shapes))
    if not len(wrong):
        return shapes
    first = "; ".join(f"{i + 1}: {shapely.is_valid_reason(shapes[i])}" for i in wrong[:_MOST_NAMED])
    if not job.repair:
        raise InputError(
            f"{len(wrong)} of {len(shapes)} polygons are invalid",
            where=job.reference,
            why=f"first by feature number: {first}",
            hint="`repair`, or mend them in a GIS",
        )
    repaired = shapes.copy()
    for i in wrong:
        parts = shapely.get_parts(shapely.make_valid(shapes[i]))
        repaired[i] = shapely.multipolygons(
            [p for part in parts for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
        )
    notes.append(f"{len(wrong)} of {len(shapes)} polygons were invalid and were repaired ({first})")
    return repaired


def _burning_order(
    values: Sequence[Any], classes: NDArray[np.uint8], rules: Rules, job: ReferenceJob
) -> NDArray[np.intp]:
    """Order in which polygons are burned: by rank in the crosswalk (or legend), then as in the file."""
    ranks = {v: rules.rank(v) for v in set(values)} if job.single_class is None else {}
    rank = np.array([ranks.get(v, 0) for v in values])
    order = np.argsort(rank, kind="stable")
    return order[::-1] if job.overlap == "first" else order


def _settle_overlaps(
    reference: PolygonReference, grid: Grid, job: ReferenceJob, notes: list[str]
) -> PolygonReference:
    pixels, hectares = reference.contested(grid)
    if not pixels:
        return reference
    amount = f"{hectares:,.4g} ha ({pixels:,} pixels) lie in polygons of different classes"
    if job.overlap == "refuse":
        raise InputError(
            amount,
            where=job.reference,
            hint="`overlap=first` or `overlap=last`: the class first or last in the crosswalk wins",
        )
    notes.append(f"{amount}; the class that stands {job.overlap} in the crosswalk wins")
    return PolygonReference(
        shapes=reference.shapes,
        classes=reference.classes,
        background=reference.background,
        notes=tuple(notes),
    )


def _points(
    shapes: NDArray[np.object_], classes: NDArray[np.uint8], grid: Grid, notes: list[str]
) -> PointReference:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    col, row = np.floor(shapely.get_x(parts)), np.floor(shapely.get_y(parts))
    with np.errstate(invalid="ignore"):
        inside = (row >= 0) & (row < grid.height) & (col >= 0) & (col < grid.width)
    rows, cols, of = row[inside].astype(np.int64), col[inside].astype(np.int64), classes[owner[inside]]
    if not inside.all():
        notes.append(f"{int((~inside).sum())} of {len(parts)} points lie outside the map")
    shared = len(rows) - len(np.unique(rows * grid.width + cols))
    if shared:
        notes.append(f"{shared} points share a pixel with an earlier one; each counts")
    order = np.argsort(rows, kind="stable")
    return PointReference(rows=rows[order], cols=cols[order], classes=of[order], notes=tuple(notes))
