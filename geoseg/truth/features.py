"""A vector file as truth: which field, which values, which geometries, and every reason to refuse."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid
from geoseg.legend import NODATA, Legend
from geoseg.raster.burn import to_pixel_coordinates
from geoseg.raster.datasource import files_of
from geoseg.raster.rules import Rules, is_null
from geoseg.raster.vectors import read_vector, valid_polygons
from geoseg.truth.layer import TruthFile
from geoseg.truth.legends import legend_of
from geoseg.truth.place import require_overlap
from geoseg.truth.shapes import PointTruth, PolygonTruth

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_ENCODED = {".shp", ".csv", ".tsv", ".txt", ".zip"}
_POINTS = (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT)


def open_features(file: TruthFile, grid: Grid, legend: Legend | None) -> PolygonTruth | PointTruth:
    """Truth from polygons or points; see `open_truth`.

    Raises
    ------
    InputError
        No CRS, no common area, lines, invalid or overlapping polygons, values without a class.
    UsageError
        A field that is missing or has to be named.
    """
    notes: list[str] = []
    features = _read(file, notes)
    if legend is None:
        values = _values(features, file, None, notes)
        legend = legend_of(values, file, notes)
        rules = Rules.parse(file.crosswalk, legend)
    else:
        rules = Rules.parse(file.crosswalk, legend)
        values = _values(features, file, rules, notes)
    classes = _classes(values, rules, file, notes)
    shapes = np.asarray(features.geometry.array, dtype=object)
    points = shapely.get_type_id(shapes[0]) in _POINTS
    if not points:
        shapes = valid_polygons(shapes, file.path, repair=file.repair, notes=notes)
    features = features.set_geometry(list(shapes), crs=features.crs)
    require_overlap(tuple(features.total_bounds), CRS.from_user_input(features.crs), grid, file)
    if not grid.crs.equals(CRS.from_user_input(features.crs), ignore_axis_order=True):
        notes.append(f"{file.role} brought from {features.crs.name} to {grid.crs.name}")
    placed = np.asarray(to_pixel_coordinates(features, grid).geometry.array, dtype=object)
    if points:
        if file.background is not None:
            raise UsageError("`background` needs polygons", where=file.path, why="the layer holds points")
        return _points(placed, classes, file, grid, legend, notes)
    order = _burning_order(values, rules, file)
    order = order[_near(placed[order], file, grid, notes)]
    truth = PolygonTruth(
        shapes=placed[order],
        classes=classes[order],
        features=order.astype(np.int64),
        legend=legend,
        background=NODATA if file.background is None else legend.find(file.background).id,
        all_touched=file.all_touched,
        files=files_of(file.path),
        notes=tuple(notes),
    )
    return _settle_overlaps(truth, grid, file)


def _read(file: TruthFile, notes: list[str]) -> GeoDataFrame:
    columns = [file.field] if file.field is not None else [] if file.single_class is not None else None
    return read_vector(
        file.path,
        layer=file.layer,
        columns=columns,
        assume_crs=file.reading.get("assume_crs"),
        crs_option="assume_crs",
        points=True,
        encoding=file.encoding,
        notes=notes,
    )


def _values(features: GeoDataFrame, file: TruthFile, rules: Rules | None, notes: list[str]) -> Sequence[Any]:
    """Value of the class field of every feature."""
    if file.single_class is not None:
        if file.field is not None or file.crosswalk is not None:
            raise UsageError("`single_class` stands alone", why="given with `field` or `crosswalk`")
        return [file.single_class] * len(features)
    if file.field is not None:
        if _holds_parts(features[file.field]):
            raise UsageError(
                f"field {file.field!r} holds lists or records",
                where=file.path,
                why="a class is one number or one text",
                hint="another `field`",
            )
        return list(features[file.field])
    if rules is not None and rules.constant:
        return ["*"] * len(features)
    fields = [c for c in features.columns if c != features.geometry.name]
    plausible = [] if rules is None else [f for f in fields if _is_plausible(features[f], rules)]
    if len(plausible) != 1:
        which = (
            f"several hold classes of the {file.ground}: {', '.join(plausible)}"
            if plausible
            else "none holds them"
        )
        raise UsageError(
            "the field with the class has to be named",
            where=file.path,
            why=f"fields are {', '.join(fields) or 'none'}; {which}",
            hint="`field=NAME`, with `crosswalk=MAP.yaml` where values are not the map's classes; "
            "`single_class=NAME` where all features are one class",
        )
    notes.append(
        f"class taken from field {plausible[0]!r}, the only one that holds classes of the {file.ground}"
    )
    return list(features[plausible[0]])


def _holds_parts(column: Any) -> bool:
    """Whether a field holds lists or records, which are no classes."""
    return any(isinstance(v, (list, tuple, dict, set, np.ndarray)) for v in column)


def _is_plausible(column: Any, rules: Rules) -> bool:
    """Whether a field's values are all classes, and at least one is there."""
    if _holds_parts(column):
        return False
    values = column.dropna().unique()
    return any(not is_null(v) for v in values) and all(rules.knows(v) for v in values)


def _classes(values: Sequence[Any], rules: Rules, file: TruthFile, notes: list[str]) -> NDArray[np.uint8]:
    """Class id of every feature, 255 where it has none."""
    try:
        assigned: dict[Hashable, int | None] = rules.assign(values, where=file.path, what="features")
    except InputError as error:
        strange = any(isinstance(v, str) and not v.isascii() and not rules.knows(v) for v in values)
        if not strange or file.path.suffix.lower() not in _ENCODED:
            raise
        hint = f"`encoding=cp1252`, or another, if the letters are not those of the file; {error.hint}"
        raise InputError(error.what, where=error.where, why=error.why, hint=hint) from None
    table = {k: NODATA if v is None else v for k, v in assigned.items()}
    null = table.get(None, NODATA)
    empty = sum(map(is_null, values))
    if empty and not rules.has_null:
        notes.append(f"{empty} of {len(values)} features have no value and are left out")
    return np.array([null if is_null(v) else table[v] for v in values], np.uint8)


def _burning_order(values: Sequence[Any], rules: Rules, file: TruthFile) -> NDArray[np.intp]:
    """Order in which polygons are burned: by rank in the crosswalk (or legend), then as in the file."""
    if file.overlap == "file" or file.single_class is not None:
        order = np.arange(len(values))
    else:
        ranks = {v: rules.rank(v) for v in {None if is_null(v) else v for v in values}}
        order = np.argsort([ranks[None if is_null(v) else v] for v in values], kind="stable")
    return order[::-1] if file.overlap == "first" else order


def _near(shapes: NDArray[np.object_], file: TruthFile, grid: Grid, notes: list[str]) -> NDArray[np.bool_]:
    """Which polygons touch the grid; InputError if none does, and there is no background either."""
    near: NDArray[np.bool_] = shapely.intersects(shapes, shapely.box(0, 0, grid.width, grid.height))
    if not near.any():
        what = f"no polygon of the {file.role} touches the {file.ground}"
        if file.background is None:
            x0, y0, x1, y1 = shapely.total_bounds(shapes)
            raise InputError(
                what,
                where=file.path,
                why=f"columns {x0:.0f} to {x1:.0f}, rows {y0:.0f} to {y1:.0f}; "
                f"the {file.ground} has {grid.width} columns and {grid.height} rows",
            )
        notes.append(f"{what}: all of it is background")
    return near


def _settle_overlaps(truth: PolygonTruth, grid: Grid, file: TruthFile) -> PolygonTruth:
    pixels, hectares = truth.contested(grid)
    if not pixels:
        return truth
    amount = f"{hectares:,.4g} ha ({pixels:,} pixels) lie in polygons of different classes"
    if file.overlap == "refuse":
        raise InputError(
            amount,
            where=file.path,
            hint="`overlap=first` or `overlap=last`: the class first or last in the crosswalk wins",
        )
    winner = (
        "the later feature in the file wins"
        if file.overlap == "file"
        else f"the class that stands {file.overlap} in the crosswalk wins"
    )
    return replace(truth, notes=(*truth.notes, f"{amount}; {winner}"))


def _points(
    shapes: NDArray[np.object_],
    classes: NDArray[np.uint8],
    file: TruthFile,
    grid: Grid,
    legend: Legend,
    notes: list[str],
) -> PointTruth:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    col, row = np.floor(shapely.get_x(parts)), np.floor(shapely.get_y(parts))
    with np.errstate(invalid="ignore"):
        inside = (row >= 0) & (row < grid.height) & (col >= 0) & (col < grid.width)
    rows, cols, of = row[inside].astype(np.int64), col[inside].astype(np.int64), owner[inside]
    if not inside.all():
        notes.append(f"{int((~inside).sum())} of {len(parts)} points lie outside the {file.ground}")
    shared = len(rows) - len(np.unique(rows * grid.width + cols))
    if shared:
        notes.append(f"{shared} points share a pixel with an earlier one; each counts")
    order = np.argsort(rows, kind="stable")
    return PointTruth(
        rows=rows[order],
        cols=cols[order],
        classes=classes[of[order]],
        features=of[order].astype(np.int64),
        legend=legend,
        files=files_of(file.path),
        notes=tuple(notes),
    )
