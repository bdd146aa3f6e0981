"""Vector files by their content: which kind one is, whether it is whole, the layers in it."""

from __future__ import annotations

import codecs
import re
import shlex
import sqlite3
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from geoseg.errors import InputError, UsageError
from geoseg.files import refuse_locked
from geoseg.raster.archives import OF_SHAPEFILE, unpacked
from geoseg.raster.open import local_file, looks_like_raster

_SIGNATURES = {
    b"SQLite format 3\x00": "GeoPackage",
    b"\x00\x00\x27\x0a": "Shapefile",
    b"fgb": "FlatGeobuf",
    b"PAR1": "GeoParquet",
}
_TABLES = {".csv", ".tsv", ".txt"}
_PARTS = {".shx": "the index", ".dbf": "the attributes"}
WHOLE = {"GeoParquet", "CSV", "zip archive"}
"""Kinds that are read at once, not in batches."""
_CONVERT = "convert it: ogr2ogr OUTPUT.gpkg INPUT"
_CONVERT_RASTER = "convert it: gdal_translate -a_srs EPSG:... INPUT OUTPUT.tif"
_OF_RASTERS = re.compile(r"\.(bil|bip|bmp|bsq|dat|dem|ers|flt|gif|grd|hgt|img|raw|rst)", re.IGNORECASE)
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
# A GeoJSON can name its CRS by a link, which GDAL follows; a proxy where nobody listens ends that here.
_CLOSED = {
    "GDAL_HTTP_PROXY": "127.0.0.1:9",
    "GDAL_HTTP_NOPROXY": "",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{noext}",
    "OGR_SQLITE_LOAD_EXTENSIONS": "NO",
    "SQLITE_BUSY_TIMEOUT": "1000",  # milliseconds for which a file that another program holds is waited for
}
_options_lock = threading.RLock()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """A vector file that is all there, and its kind: what it is called in messages."""

    path: Path
    kind: str


def data_source(
    path: str | PathLike[str], *, encoding: str | None, needs_crs: bool, crs_option: str | None
) -> DataSource:
    """A local vector file with its kind, told by its content; `crs_option` sets a CRS that it lacks.

    Raises
    ------
    InputError
        Another kind of file, a part of it that is missing, or a cut one.
    UsageError
        An encoding that there is not, or for a kind of file that says its own.
    """
    _refuse_geodatabase(path)
    file = local_file(path)
    kind = _kind_of(file)
    if encoding is not None:
        _check_encoding(encoding, kind, file)
    if kind == "Shapefile":
        _check_parts(file, needs_crs=needs_crs, crs_option=crs_option)
    if kind == "GeoPackage":
        _refuse_tiles(file)
    return DataSource(path=file, kind=kind)


@contextmanager
def unzipped(
    path: str | PathLike[str], *, encoding: str | None, needs_crs: bool, crs_option: str | None
) -> Iterator[DataSource]:
    """`data_source`, and of a zip archive the one inside it, which is gone afterwards."""
    source = data_source(path, encoding=encoding, needs_crs=needs_crs, crs_option=crs_option)
    if source.kind != "zip archive":
        yield source
        return
    with (
        unpacked(source.path) as file,
        unzipped(file, encoding=encoding, needs_crs=needs_crs, crs_option=crs_option) as inside,
    ):
        yield inside


def is_vector(path: str | PathLike[str]) -> bool:
    """Whether a local file is to be read as a vector, by its content: everything that is no raster."""
    _refuse_geodatabase(path)
    return not looks_like_raster(local_file(path))


def files_of(path: str | PathLike[str]) -> tuple[Path, ...]:
    """The file of a vector, and what belongs to it if it is a Shapefile."""
    file = Path(path)
    if file.suffix.casefold() != ".shp":
        return (file,)
    beside = file.parent.glob(f"{file.stem}.*")
    return tuple(sorted(p for p in beside if p.suffix.casefold() in OF_SHAPEFILE))


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


@contextmanager
def heard(notes: list[str] | None = None) -> Iterator[None]:
    """What GDAL warns of becomes notes, once each; nobody is told of measures (M), which no area has."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for warning in heard:
        text = " ".join(str(warning.message).split())[:200]
        said = "open rings were closed" if "Non closed ring" in text else text
        if notes is not None and said not in notes and not said.startswith("Measured (M)"):
            notes.append(said)


def layers_of(path: str | PathLike[str]) -> list[str]:
    """Names of the layers with geometries."""
    import pyogrio

    try:
        with closed_ogr(), heard():
            listed = pyogrio.list_layers(path)
        return [str(name) for name, geometry in listed if geometry is not None]
    except pyogrio.errors.DataSourceError as error:
        raise damaged(Path(path), error) from None


def chosen_layer(file: Path, layer: str | None) -> str:
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


def no_crs(file: Path, option: str | None) -> InputError:
    """The error of a file without a CRS; `option` of the job at hand sets one."""
    return InputError("no coordinate reference system", where=file, hint=_set_crs(option))


def _set_crs(option: str | None) -> str:
    return f"`{option}=EPSG:...`" if option else "set it: ogr2ogr -a_srs EPSG:... OUTPUT.gpkg INPUT"


def damaged(file: Path, error: Exception) -> InputError:
    """The error of a file that GDAL or Arrow complains of; raises another if a program holds the file."""
    refuse_locked(error, file)
    return InputError("damaged or not readable", where=file, why=" ".join(str(error).split())[:300])


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
    if file.suffix.lower() in OF_SHAPEFILE - {".shp"} and beside.is_file():
        raise InputError("is a part of a Shapefile", where=file, hint=f"pass {beside.name}")
    for pattern, name, hint in _FOREIGN:
        if re.match(pattern, text, re.IGNORECASE):
            raise _foreign(file, name, hint)
    if file.suffix.lower() in _TABLES:
        return "CSV"
    hint = _CONVERT_RASTER if _OF_RASTERS.fullmatch(file.suffix) else _CONVERT
    raise _foreign(file, f"a {file.suffix or 'nameless'} file", hint)


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


def _refuse_tiles(file: Path) -> None:
    """InputError for a GeoPackage that holds rasters alone."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            kinds = {str(k) for (k,) in database.execute("SELECT data_type FROM gpkg_contents")}
    except (sqlite3.Error, UnicodeDecodeError):
        return  # GDAL says what is wrong with it
    if kinds & {"tiles", "2d-gridded-coverage"} and "features" not in kinds:
        raise _foreign(file, "a raster in a GeoPackage", "convert it: gdal_translate INPUT OUTPUT.tif")
