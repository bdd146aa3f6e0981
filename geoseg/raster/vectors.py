"""Polygons and points read from vector files, with errors that say what is missing."""

from __future__ import annotations

import codecs
import difflib
import re
import shlex
import sqlite3
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.files import refuse_locked
from geoseg.raster.archives import unpacked
from geoseg.raster.georeference import parse_crs
from geoseg.raster.open import local_file, looks_like_raster
from geoseg.raster.points import read_table, undecodable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_SIGNATURES = {
    b"SQLite format 3\x00": "GeoPackage",
    b"\x00\x00\x27\x0a": "Shapefile",
    b"fgb": "FlatGeobuf",
    b"PAR1": "GeoParquet",
}
_TABLES = {".csv", ".tsv", ".txt"}
_PARTS = {".shx": "the index", ".dbf": "the attributes"}
_WHOLE = {"GeoParquet", "CSV", "zip archive"}
"""Kinds that are read at once, not in batches."""
_POLYGONS = (3, 6)
_POINTS = (0, 4)
_CURVED = (8, 9, 10, 11, 12)
"""OGC's numbers of arcs, lines of them, polygons within them, and several of either."""
_SURFACES = (15, 16, 17)
"""OGC's numbers of polyhedral surfaces, TINs and triangles."""
_MOST_NAMED = 5
_FARTHEST = 1e12  # metres, feet or millimetres: nothing on earth is further from any origin
_CONVERT = "convert it: ogr2ogr OUTPUT.gpkg INPUT"
_CONVERT_RASTER = "convert it: gdal_translate -a_srs EPSG:... INPUT OUTPUT.tif"
_OF_RASTERS = frozenset(
    [
        ".bil",
        ".bip",
        ".bmp",
        ".bsq",
        ".dat",
        ".dem",
        ".ers",
        ".flt",
        ".gif",
        ".grd",
        ".hgt",
        ".img",
        ".raw",
        ".rst",
    ]
)
_FOREIGN = (
    (rb"!table", "a MapInfo table", _CONVERT),
    (rb"version\s+\d", "a MapInfo interchange file", _CONVERT),
    (rb"ncols\s+\d", "an ESRI ASCII grid", _CONVERT_RASTER),
    (rb"(?s)<\?xml.{0,2000}<kml|<kml", "KML", _CONVERT),
    (rb"(?s)<\?xml.{0,2000}<gpx|<gpx", "GPX", _CONVERT),
    (rb"(?s)<\?xml.{0,2000}gml", "GML", _CONVERT),
    (rb"0\s+SECTION", "DXF", _CONVERT),
)
"""Files of other kinds by how they begin, and the command that converts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorInfo:
    """One layer of a vector file, to be read in batches.

    Attributes
    ----------
    path, layer, encoding
        What is read.
    crs
        Of the coordinates.
    frame
        The layer itself, where its kind of file is read at once.
    """

    path: Path
    layer: str | None
    crs: Any
    encoding: str | None
    frame: GeoDataFrame | None = None


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
    _refuse_geodatabase(path)
    file = local_file(path)
    kind = _kind_of(file)
    if encoding is not None:
        _check_encoding(encoding, kind, file)
    if kind == "zip archive":
        with unpacked(file) as inside:
            return read_vector(
                inside,
                layer=layer,
                columns=columns,
                assume_crs=assume_crs,
                crs_option=crs_option,
                points=points,
                encoding=encoding,
                notes=notes,
            )
    if kind == "Shapefile":
        _check_parts(file, needs_crs=assume_crs is None, crs_option=crs_option)
    if kind == "GeoPackage":
        _refuse_tiles(file)
    if kind == "GeoParquet":
        frame = _read_parquet(file, columns)
    elif kind == "CSV":
        frame = read_table(file, columns, encoding)
    else:
        frame = _read_ogr(file, layer, columns, encoding, notes)
    frame = _with_geometry(frame, file, kind, notes)
    try:
        frame = _with_polygons_of_collections(frame, notes)
    except NotImplementedError:  # shapely holds curves within a collection, and nothing else of them
        raise _unreadable(file) from None
    _check_types(frame, file, points)
    _check_place(frame, file)
    if frame.crs is None:
        if assume_crs is None:
            raise _no_crs(file, crs_option)
        frame = frame.set_crs(parse_crs(assume_crs))
    return frame


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


def vector_info(
    path: str | PathLike[str],
    *,
    layer: str | None = None,
    assume_crs: Any = None,
    crs_option: str | None = None,
    encoding: str | None = None,
) -> VectorInfo:
    """What a vector file says of itself, for `vector_batches`; errors as in `read_vector`."""
    import pyogrio

    _refuse_geodatabase(path)
    file = local_file(path)
    kind = _kind_of(file)
    if encoding is not None:
        _check_encoding(encoding, kind, file)
    if kind == "Shapefile":
        _check_parts(file, needs_crs=assume_crs is None, crs_option=crs_option)
    if kind == "GeoPackage":
        _refuse_tiles(file)
    if kind in _WHOLE:
        frame = read_vector(
            file, layer=layer, assume_crs=assume_crs, crs_option=crs_option, points=True, encoding=encoding
        )
        return VectorInfo(path=file, layer=layer, crs=frame.crs, encoding=encoding, frame=frame)
    chosen = _layer(file, layer)
    try:
        with closed_ogr(), _heard():
            crs = pyogrio.read_info(file, layer=chosen)["crs"]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise _damaged(file, error) from None
    if crs is None and assume_crs is None:
        raise _no_crs(file, crs_option)
    return VectorInfo(
        path=file, layer=chosen, crs=parse_crs(assume_crs if crs is None else crs), encoding=encoding
    )


def vector_batches(
    info: VectorInfo, rows: int, notes: list[str] | None = None
) -> Iterator[tuple[Any, NDArray[np.object_]]]:
    """(pyarrow.RecordBatch of the attributes, well-known binary or None) of features, in bounded memory.

    In the order of the file, at most `rows` at once; of tables, GeoParquet and archives the whole is read.
    Geometries come as they are, of any type, invalid or missing, but for curves, which are made straight as
    GDAL does it. `notes` takes what the reader says of them. InputError for what has no place in a plane.
    """
    import pyarrow as pa
    import pyogrio
    import shapely

    if info.frame is not None:
        for begin in range(0, len(info.frame), rows):
            part = info.frame.iloc[begin : begin + rows]
            table = pa.Table.from_pandas(part.drop(columns=part.geometry.name), preserve_index=False)
            shapes = np.asarray(shapely.to_wkb(np.asarray(part.geometry.array, object)), object)
            (batch,) = table.combine_chunks().to_batches() or (_no_columns(len(part)),)
            yield batch, shapes
        return
    first = 0
    try:
        with closed_ogr(), ExitStack() as stack:
            with _heard(notes):
                meta, reader = stack.enter_context(
                    pyogrio.raw.open_arrow(
                        info.path,
                        layer=info.layer,
                        encoding=info.encoding,
                        batch_size=rows,
                        use_pyarrow=True,
                    )
                )
            name = meta["geometry_name"] or "wkb_geometry"
            while (batch := _next(reader, notes)) is not None:
                shapes = np.asarray(batch[name].to_numpy(zero_copy_only=False), object)
                others = [n for n in batch.schema.names if n != name]
                own = batch.select(others) if others else _no_columns(len(shapes))
                yield own, _straight(shapes, info, first, notes)
                first += len(shapes)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException) as error:
        raise _damaged(info.path, error) from None


def _next(reader: Any, notes: list[str] | None) -> Any:
    """The next batch, or None."""
    with _heard(notes):
        return next(reader, None)


@contextmanager
def _heard(notes: list[str] | None = None) -> Iterator[None]:
    """What GDAL warns of becomes notes, once each; nobody is told of measures (M), which no area has."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for warning in heard:
        text = " ".join(str(warning.message).split())[:200]
        said = "open rings were closed" if "Non closed ring" in text else text
        if notes is not None and said not in notes and not said.startswith("Measured (M)"):
            notes.append(said)


def _straight(
    shapes: NDArray[np.object_], info: VectorInfo, first: int, notes: list[str] | None
) -> NDArray[np.object_]:
    """Well-known binary of the features from number `first` on, without curves."""
    import pyogrio
    import shapely

    kinds = wkb_types(shapes)
    if np.isin(kinds, _SURFACES).any():
        raise _unreadable(info.path)
    try:
        shapely.get_parts(shapely.from_wkb(shapes[kinds == shapely.GeometryType.GEOMETRYCOLLECTION]))
    except (shapely.errors.ShapelyError, NotImplementedError):
        raise _unreadable(info.path) from None
    curved = np.isin(kinds, _CURVED)
    if not curved.any():
        return shapes
    with _heard():
        _, _, straight, _ = pyogrio.raw.read(
            info.path, layer=info.layer, columns=[], skip_features=first, max_features=len(shapes)
        )
    said = "curves were made straight, in steps of 4 degrees"
    if notes is not None and said not in notes:
        notes.append(said)
    return np.where(curved, straight, shapes)


def wkb_types(shapes: NDArray[np.object_]) -> NDArray[np.int64]:
    """(n,) type of each well-known binary, as OGC numbers them, whatever its dimensions; 0 for None."""
    types = [
        0 if text is None else int.from_bytes(text[1:5], "little" if text[0] else "big") for text in shapes
    ]
    return (np.array(types, np.int64) & 0x0FFFFFFF) % 1000  # of dimensions ISO makes thousands, PostGIS bits


def _no_columns(rows: int) -> Any:
    """Record batch of rows without any attribute."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(rows)], ["_"]).select([])


def is_vector(path: str | PathLike[str]) -> bool:
    """Whether a local file is to be read as a vector, by its content: everything that is no raster."""
    _refuse_geodatabase(path)
    return not looks_like_raster(local_file(path))


def files_of(path: str | PathLike[str]) -> tuple[Path, ...]:
    """The file of a vector, and what belongs to it if it is a Shapefile."""
    file = Path(path)
    if file.suffix.casefold() != ".shp":
        return (file,)
    parts = {".shp", ".shx", ".dbf", ".prj", ".cpg"}
    return tuple(sorted(p for p in file.parent.glob(f"{file.stem}.*") if p.suffix.casefold() in parts))


# A GeoJSON can name its CRS by a link, which GDAL follows; a proxy where nobody listens ends that here.
_CLOSED = {
    "GDAL_HTTP_PROXY": "127.0.0.1:9",
    "GDAL_HTTP_NOPROXY": "",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{noext}",
    "OGR_SQLITE_LOAD_EXTENSIONS": "NO",
    "SQLITE_BUSY_TIMEOUT": "1000",  # milliseconds for which a file that another program holds is waited for
}
_options_lock = threading.RLock()


@contextmanager
def closed_ogr() -> Iterator[None]:
    """The GDAL that reads vectors closed to the network; its options are those of the whole process."""
    import pyogrio

    with _options_lock:
        before = {key: pyogrio.get_gdal_config_option(key) for key in _CLOSED}
        pyogrio.set_gdal_config_options(_CLOSED)
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options(before)


def layers_of(path: str | PathLike[str]) -> list[str]:
    """Names of the layers with geometries."""
    import pyogrio

    try:
        with closed_ogr(), _heard():
            listed = pyogrio.list_layers(path)
        return [str(name) for name, geometry in listed if geometry is not None]
    except pyogrio.errors.DataSourceError as error:
        raise _damaged(Path(path), error) from None


def _kind_of(file: Path) -> str:
    with file.open("rb") as stream:
        head = stream.read(4096)
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        if re.search(rb'"type"\s*:\s*"Topology"', head):
            raise _foreign(file, "TopoJSON", _CONVERT)
        return "GeoJSON"
    if head.startswith(b"PK\x03\x04"):
        return "zip archive"
    beside = file.with_suffix(".shp")
    if file.suffix.lower() in {".shx", ".dbf", ".prj", ".cpg"} and beside.is_file():
        raise InputError("is a part of a Shapefile", where=file, hint=f"pass {beside.name}")
    for pattern, name, hint in _FOREIGN:
        if re.match(pattern, text, re.IGNORECASE):
            raise _foreign(file, name, hint)
    if file.suffix.lower() in _TABLES:
        return "CSV"
    is_picture = file.suffix.casefold() in _OF_RASTERS
    raise _foreign(file, f"a {file.suffix or 'nameless'} file", _CONVERT_RASTER if is_picture else _CONVERT)


def _foreign(file: Path, name: str, hint: str) -> InputError:
    return InputError(
        "not a vector file that geoseg reads",
        where=file,
        why=f"content is {name}, expected GeoPackage, Shapefile, FlatGeobuf, GeoJSON or GeoParquet",
        hint=hint.replace("INPUT", shlex.quote(file.name)),
    )


def _refuse_geodatabase(path: str | PathLike[str]) -> None:
    folder = Path(path)
    if folder.suffix.lower() == ".gdb" and folder.is_dir():
        raise _foreign(folder, "a file geodatabase", f"{_CONVERT} LAYER")


def _check_encoding(encoding: str, kind: str, file: Path) -> None:
    if kind not in {"Shapefile", "CSV", "zip archive"}:
        raise UsageError("`encoding` is for Shapefiles and CSV", where=file, why=f"text in {kind} is UTF-8")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise UsageError(
            f"no encoding {encoding!r}", hint="`encoding=cp1252`, or utf-8, cp1251, gbk"
        ) from None


def _check_parts(file: Path, *, needs_crs: bool, crs_option: str | None) -> None:
    siblings = {p.suffix.lower() for p in file.parent.glob("*") if p.stem == file.stem}
    for suffix, role in _PARTS.items():
        if suffix not in siblings:
            raise InputError(
                f"Shapefile without {file.stem}{suffix}",
                where=file,
                why=f"that file holds {role}",
                hint="copy all files of the Shapefile (.shp .shx .dbf .prj .cpg)",
            )
    _check_length(file)
    if needs_crs and ".prj" not in siblings:
        raise InputError(
            f"no coordinate reference system: Shapefile without {file.stem}.prj",
            where=file,
            hint=f"copy it along, or {_set_crs(crs_option)}",
        )


def _check_length(file: Path) -> None:
    """InputError for a truncated Shapefile: GDAL reads what is left of it without a word."""
    for part in (p for p in file.parent.glob("*") if p.stem == file.stem):
        if part.suffix.lower() not in {".shp", ".shx", ".dbf"}:
            continue
        with part.open("rb") as stream:
            head = stream.read(100)
        if part.suffix.lower() == ".dbf":
            records, header, record = struct.unpack_from("<IHH", head.ljust(12, b"\0"), 4)
            declared = header + records * record
        else:
            declared = 2 * struct.unpack_from(">I", head.ljust(28, b"\0"), 24)[0]  # counted in 16-bit words
        if declared > part.stat().st_size:
            raise InputError(
                "truncated",
                where=part,
                why=f"{part.stat().st_size} bytes, its header says {declared}",
                hint="copy or download it again",
            )


def _layer(file: Path, layer: str | None) -> str:
    """The layer of a file that was asked for, or the only one."""
    names = layers_of(file)
    if not names:
        raise InputError("no layer with geometries", where=file)
    if layer is None and len(names) > 1:
        found = f"found {', '.join(names)}"
        raise UsageError(
            f"{len(names)} layers, and none chosen", where=file, why=found, hint=f"`layer={names[0]}`"
        )
    if layer is not None and layer not in names:
        raise UsageError(f"no layer {layer!r}", where=file, why=f"found {', '.join(names)}")
    return layer or names[0]


def _no_crs(file: Path, option: str | None) -> InputError:
    return InputError("no coordinate reference system", where=file, hint=_set_crs(option))


def _set_crs(option: str | None) -> str:
    return f"`{option}=EPSG:...`" if option else "set it: ogr2ogr -a_srs EPSG:... OUTPUT.gpkg INPUT"


def _read_ogr(
    file: Path,
    layer: str | None,
    columns: Sequence[str] | None,
    encoding: str | None,
    notes: list[str] | None,
) -> GeoDataFrame:
    import pyogrio
    import shapely

    chosen = _layer(file, layer)
    try:
        with closed_ogr(), _heard(notes):
            if columns is not None:
                _check_fields(file, columns, pyogrio.read_info(file, layer=chosen)["fields"])
            frame: GeoDataFrame = pyogrio.read_dataframe(
                file, layer=chosen, columns=columns, encoding=encoding
            )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as e:
        raise _damaged(file, e) from None
    except UnicodeDecodeError as error:
        raise undecodable(file, error) from None
    except (shapely.errors.ShapelyError, NotImplementedError):
        raise _unreadable(file) from None
    return frame


def _unreadable(file: Path) -> InputError:
    return InputError(
        "polygons required",
        where=file,
        why="some geometries lie in no plane (triangulated surfaces, multipatches) "
        "or are curves within a collection",
        hint="flatten them: ogr2ogr -nlt MULTIPOLYGON OUTPUT.gpkg INPUT",
    )


def _refuse_tiles(file: Path) -> None:
    """InputError for a GeoPackage that holds rasters alone."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            kinds = {str(k) for (k,) in database.execute("SELECT data_type FROM gpkg_contents")}
    except (sqlite3.Error, UnicodeDecodeError):
        return  # GDAL says what is wrong with it
    if kinds & {"tiles", "2d-gridded-coverage"} and "features" not in kinds:
        raise _foreign(file, "a raster in a GeoPackage", "convert it: gdal_translate INPUT OUTPUT.tif")


def _read_parquet(file: Path, columns: Sequence[str] | None) -> GeoDataFrame:
    import geopandas
    import pyarrow
    from pyarrow import parquet

    try:
        if columns is not None:
            _check_fields(file, columns, [n for n in parquet.read_schema(file).names if n != "geometry"])
        frame: GeoDataFrame = geopandas.read_parquet(file)
    except NotImplementedError:
        raise _unreadable(file) from None
    except (ValueError, OSError, pyarrow.ArrowException) as error:
        raise _damaged(file, error) from None
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


def _with_geometry(frame: Any, file: Path, kind: str, notes: list[str] | None) -> GeoDataFrame:
    if not hasattr(frame, "geometry") or len(frame) == 0:
        raise InputError("no features", where=file, why=f"the {kind} is empty")
    present = ~(frame.geometry.isna() | frame.geometry.is_empty)
    frame = frame[present]
    if len(frame) == 0:
        raise InputError("no features with a geometry", where=file)
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


def _damaged(file: Path, error: Exception) -> InputError:
    refuse_locked(error, file)
    return InputError("damaged or not readable", where=file, why=" ".join(str(error).split())[:300])
