"""Polygons and points read from vector files, with errors that say what is missing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.raster.datasource import DataSource, chosen_layer, closed_ogr, damaged, heard, no_crs, unzipped
from geoseg.raster.georeference import parse_crs
from geoseg.raster.points import read_table, undecodable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_POLYGONS = (3, 6)
_POINTS = (0, 4)
_MOST_NAMED = 5
_FARTHEST = 1e12  # metres, feet or millimetres: nothing on earth is further from any origin


def read_vector(
    path: str | PathLike[str],
    *,
    layer: str | None = None,
    columns: Sequence[str] | None = None,
    assume_crs: Any = None,
    crs_option: str | None = None,
    points: bool = False,
    encoding: str | None = None,
    notes: list[str] | None = None,
) -> GeoDataFrame:
    """Polygons of one layer: GeoPackage, Shapefile, FlatGeobuf, GeoJSON, GeoParquet, or one of them zipped.

    With `points` also tables (CSV) with columns of coordinates.

    The kind of file is told by its content, so that no disguised description of other files or hosts is
    followed. Features without a geometry are left out; curves are made straight as GDAL does it.

    Parameters
    ----------
    path
        Local file.
    layer
        Which of several layers.
    columns
        Attribute fields to read; None for all.
    assume_crs
        CRS where the file has none: anything that pyproj understands.
    crs_option
        Option of the job at hand that sets `assume_crs`, for the hint.
    points
        A layer of points will do as well; never both in one.
    encoding
        Of the text in a Shapefile or CSV that does not say it or says it wrongly.
    notes
        Takes what the user should know.

    Raises
    ------
    InputError
        A file or a part of it that is missing, no CRS, no features, points or lines instead of polygons.
    UsageError
        An unknown layer or field, or several layers and no choice.
    """
    with unzipped(path, encoding=encoding, needs_crs=assume_crs is None, crs_option=crs_option) as source:
        if source.kind == "GeoParquet":
            frame = _read_parquet(source.path, columns)
        elif source.kind == "CSV":
            frame = read_table(source.path, columns, encoding)
        else:
            frame = _read_ogr(source.path, layer, columns, encoding, notes)
        frame = _shapes_in_plane(frame, source, points, notes)
        if frame.crs is None:
            if assume_crs is None:
                raise no_crs(source.path, crs_option)
            frame = frame.set_crs(parse_crs(assume_crs))
    return frame


def valid_polygons(
    shapes: NDArray[np.object_], where: object, *, repair: bool | None, notes: list[str]
) -> NDArray[np.object_]:
    """Polygons that are valid; InputError for others, unless they are to be repaired (None: cannot be)."""
    import shapely

    wrong = np.flatnonzero(~shapely.is_valid(shapes))
    if not len(wrong):
        return shapes
    first = "; ".join(f"{i + 1}: {shapely.is_valid_reason(shapes[i])}" for i in wrong[:_MOST_NAMED])
    if not repair:
        raise InputError(
            f"{len(wrong)} of {len(shapes)} polygons are invalid",
            where=where,
            why=f"first by feature number: {first}",
            hint="mend them in a GIS" if repair is None else "`repair`, or mend them in a GIS",
        )
    repaired = shapes.copy()
    for i in wrong:
        parts = shapely.get_parts(shapely.make_valid(shapes[i]))
        repaired[i] = shapely.multipolygons(
            [p for part in parts for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
        )
    notes.append(f"{len(wrong)} of {len(shapes)} polygons were invalid and were repaired ({first})")
    return repaired


def unreadable(file: Path) -> InputError:
    """The error of geometries that no plane holds."""
    return InputError(
        "polygons required",
        where=file,
        why="some geometries lie in no plane (triangulated surfaces, multipatches) "
        "or are curves within a collection",
        hint="flatten them: ogr2ogr -nlt MULTIPOLYGON OUTPUT.gpkg INPUT",
    )


def _read_ogr(
    file: Path,
    layer: str | None,
    columns: Sequence[str] | None,
    encoding: str | None,
    notes: list[str] | None,
) -> GeoDataFrame:
    import pyogrio
    import shapely

    chosen = chosen_layer(file, layer)
    try:
        with closed_ogr(), heard(notes):
            if columns is not None:
                _check_fields(file, columns, pyogrio.read_info(file, layer=chosen)["fields"])
            frame: GeoDataFrame = pyogrio.read_dataframe(
                file, layer=chosen, columns=columns, encoding=encoding
            )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as e:
        raise damaged(file, e) from None
    except UnicodeDecodeError as error:
        raise undecodable(file, error) from None
    except (shapely.errors.ShapelyError, NotImplementedError):
        raise unreadable(file) from None
    return frame


def _read_parquet(file: Path, columns: Sequence[str] | None) -> GeoDataFrame:
    import geopandas
    import pyarrow
    from pyarrow import parquet

    try:
        if columns is not None:
            _check_fields(file, columns, [n for n in parquet.read_schema(file).names if n != "geometry"])
        frame: GeoDataFrame = geopandas.read_parquet(file)
    except NotImplementedError:
        raise unreadable(file) from None
    except (ValueError, OSError, pyarrow.ArrowException) as error:
        raise damaged(file, error) from None
    return frame if columns is None else frame[[*columns, frame.geometry.name]]


def _check_fields(file: Path, wanted: Sequence[str], found: Sequence[Any]) -> None:
    names = [str(f) for f in found]
    missing = next((w for w in wanted if w not in names), None)
    if missing is not None:
        near = difflib.get_close_matches(missing, names, n=1, cutoff=0.5)
        raise UsageError(
            f"no field {missing!r}",
            where=file,
            why=f"fields are {', '.join(names) or 'none'}",
            hint=f"`field={near[0]}`" if near else None,
        )


def _shapes_in_plane(frame: Any, source: DataSource, points: bool, notes: list[str] | None) -> GeoDataFrame:
    """The features that have a geometry; InputError where one is of no use, or nowhere."""
    frame = _with_geometry(frame, source, notes)
    try:
        frame = _with_polygons_of_collections(frame, notes)
    except NotImplementedError:  # shapely holds curves within a collection, and nothing else of them
        raise unreadable(source.path) from None
    _check_types(frame, source.path, points)
    _check_place(frame, source.path)
    return frame


def _with_geometry(frame: Any, source: DataSource, notes: list[str] | None) -> GeoDataFrame:
    if not hasattr(frame, "geometry") or len(frame) == 0:
        raise InputError("no features", where=source.path, why=f"the {source.kind} is empty")
    present = ~(frame.geometry.isna() | frame.geometry.is_empty)
    frame = frame[present]
    if len(frame) == 0:
        raise InputError("no features with a geometry", where=source.path)
    if notes is not None and not present.all():
        notes.append(f"{(~present).sum()} of {len(present)} features have no geometry and are left out")
    result: GeoDataFrame = frame.reset_index(drop=True)
    return result


def _with_polygons_of_collections(frame: GeoDataFrame, notes: list[str] | None) -> GeoDataFrame:
    """Geometry collections that hold polygons, as these."""
    import shapely

    shapes = np.asarray(frame.geometry.array, object).copy()
    taken = 0
    for i in np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION):
        parts = shapely.get_parts(shapes[i])
        while (shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
            parts = shapely.get_parts(parts)
        polygons = shapely.get_parts(parts[np.isin(shapely.get_type_id(parts), _POLYGONS)])
        if len(polygons):
            shapes[i] = polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)
            taken += 1
    if not taken:
        return frame
    if notes is not None:
        notes.append(f"{taken} of {len(frame)} features are geometry collections: their polygons are taken")
    changed: GeoDataFrame = frame.set_geometry(list(shapes), crs=frame.crs)
    return changed


def _check_types(frame: GeoDataFrame, file: Path, points: bool) -> None:
    import shapely

    types = shapely.get_type_id(np.asarray(frame.geometry.array, object))
    are_points = np.isin(types, _POINTS)
    if points and are_points.all():
        return
    if points and are_points.any() and np.isin(types, _POLYGONS).any():
        raise InputError(
            "points and polygons in one layer",
            where=file,
            why=f"{are_points.sum()} of {len(frame)} features are points, the first is number "
            f"{are_points.argmax() + 1}; each kind is read in its own way",
            hint="a layer of points and one of polygons, one at a time",
        )
    others = np.flatnonzero(~np.isin(types, _POLYGONS))
    if others.size:
        names = ", ".join(sorted(set(frame.geometry.iloc[others].geom_type)))
        raise InputError(
            "polygons or points required" if points else "polygons required",
            where=file,
            why=f"{others.size} of {len(frame)} features are {names}, the first is number {others[0] + 1}",
        )


def _check_place(frame: GeoDataFrame, file: Path) -> None:
    """InputError for coordinates that are no place in any system: they would overflow further on."""
    reach = np.abs(frame.total_bounds)
    if not np.isfinite(reach).all() or reach.max() > _FARTHEST:
        raise InputError(
            "coordinates that are no place",
            where=file,
            why=f"they reach {reach.max():.3g}",
            hint="check the layer in a GIS; one of its features is damaged",
        )
