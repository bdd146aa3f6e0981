"""Where a raster lies: its grid, or an error with the way out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from affine import Affine
from pyproj import CRS
from pyproj.crs import BoundCRS
from pyproj.exceptions import CRSError

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid
from geoseg.raster.open import local_file, open_raster, safe_gdal
from geoseg.raster.reading import ReadingOptions

# authalic, and tangent where the picture is put: lengths and areas within 1e-7 over tens of kilometres
_PLANE = CRS.from_wkt(
    CRS.from_proj4("+proj=laea +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +type=crs")
    .to_wkt()
    .replace('"unknown"', '"Plane of a picture, place unknown"', 1)
)

_WORLD_FILES = (".tfw", ".tifw", ".wld", ".pgw", ".jgw", ".jpgw", ".pngw", ".j2w")


def nowhere_in_degrees(crs: CRS, out: Path) -> tuple[str, ...]:
    """A note where a picture that lies nowhere (see `pixel_size`) is written in longitude and latitude."""
    if crs.name != _PLANE.name:
        return ()
    return (
        f"{out.name} is in longitude and latitude, and the picture lies nowhere: its degrees are those of a "
        "place in the sea at latitude 0, longitude 0; a .gpkg keeps metres",
    )


def parse_crs(text: Any) -> CRS:
    """CRS from anything that pyproj understands (``EPSG:32633``, WKT, a number); UsageError otherwise."""
    try:
        crs = CRS.from_user_input(text)
    except (CRSError, TypeError, ValueError) as error:
        raise UsageError(
            f"`assume_crs={text}` is no coordinate reference system",
            why=" ".join(str(error).split())[:200],
            hint="`assume_crs=EPSG:32633`",
        ) from None
    if horizontal(crs).geodetic_crs is None:
        raise UsageError(f"`assume_crs={text}` is not tied to the earth", why=f"found {crs.name!r}")
    return crs


def parse_transform(value: str | Sequence[float] | Affine) -> Affine:
    """Affine transform from six numbers ``a, b, c, d, e, f`` (text or sequence), in affine's order.

    ``x = a col + b row + c``, ``y = d col + e row + f`` at pixel corners; for a north-up raster: pixel width,
    0, left edge, 0, minus pixel height, top edge. (GDAL's GeoTransform has them as c, a, b, f, d, e.)

    Raises
    ------
    UsageError
        Not six finite numbers, or a transform that is rotated, mirrored or flat.
    """
    try:
        parts = value.replace(",", " ").split() if isinstance(value, str) else list(value)[:6]
        numbers = [float(p) for p in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise UsageError(
            "`assume_transform` is not six numbers",
            why=f"found {value!r}",
            hint="`assume_transform=10,0,500000,0,-10,9000000` (pixel width, 0, left, 0, -pixel height, top)",
        )
    transform = Affine(*numbers)
    if transform.b or transform.d or transform.a <= 0 or transform.e == 0:
        raise UsageError(
            "`assume_transform` is rotated, mirrored or flat",
            why=f"found {tuple(numbers)}, expected a > 0, b = d = 0, e not 0",
            hint="the order a,b,c,d,e,f: pixel width, 0, left, 0, -pixel height, top",
        )
    return transform


def horizontal(crs: CRS) -> CRS:
    """Horizontal part of a compound CRS; one that is bound to a datum shift (TOWGS84) keeps the shift."""
    if crs.is_bound and crs.source_crs is not None and crs.source_crs.is_compound:
        return BoundCRS(horizontal(crs.source_crs), crs.target_crs, crs.coordinate_operation)
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    return crs


@safe_gdal()
def placement(path: str | PathLike[str], *, allow_vrt: bool = False) -> tuple[bool, tuple[int, int]]:
    """Whether a raster says anything about where it lies, and its (height, width)."""
    dataset = open_raster(local_file(path), allow_vrt=allow_vrt)
    placed = bool(dataset.crs) or dataset.transform != Affine.identity() or bool(dataset.gcps[0])
    return placed, (dataset.height, dataset.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """Where a raster is taken to lie if its file does not say so.

    Attributes
    ----------
    crs, transform
        What to assume where the file says nothing.
    pixel_size
        Metres of a pixel's side on a flat plane of its own, in the place of both.
    """

    crs: CRS | None = None
    transform: Affine | None = None
    pixel_size: float | None = None

    @classmethod
    def of(cls, reading: ReadingOptions) -> Assumption:
        """What the options of `open_scene` assume; UsageError for what cannot be."""
        crs, transform = reading.get("assume_crs"), reading.get("assume_transform")
        pixel_size = reading.get("pixel_size")
        if pixel_size is not None and not 0 < pixel_size < math.inf:
            raise UsageError(f"`pixel_size={pixel_size}` is no length in metres")
        if pixel_size is not None and (crs is not None or transform is not None):
            raise UsageError("`pixel_size` is for what lies nowhere", hint="it, or `assume_crs`, not both")
        return cls(
            crs=None if crs is None else parse_crs(crs),
            transform=None if transform is None else parse_transform(transform),
            pixel_size=pixel_size,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about it."""
        if self.pixel_size is None:
            return ()
        return (
            f"lies nowhere: pixels of {self.pixel_size:g} m on a plane where only areas and lengths hold; a "
            "GIS shows it around latitude 0, longitude 0, which is not where it was taken",
        )


def locate(dataset: Any, path: Path, assumed: Assumption) -> tuple[Grid, str]:
    """Grid of an open dataset and the WKT of its CRS as it stands in the file.

    Parameters
    ----------
    dataset
        Open rasterio dataset.
    path
        For messages.
    assumed
        Where it lies if the file says nothing.

    Raises
    ------
    InputError
        No or no usable CRS or transform, a rotated or mirrored one, or an assumption that contradicts it.
    """
    if assumed.pixel_size is not None:
        return _on_a_plane(dataset, path, assumed.pixel_size)
    placed = _transform(dataset, path, assumed.transform)
    own, wkt = _crs(dataset, path, assumed.crs)
    return Grid(crs=own, transform=placed, height=dataset.height, width=dataset.width), wkt


def _on_a_plane(dataset: Any, path: Path, side: float) -> tuple[Grid, str]:
    """Grid around the origin of an equal-area plane: a picture that lies nowhere on the earth."""
    t: Affine = dataset.transform
    counted = {abs(t.a), abs(t.e)} == {1.0} and not t.b and not t.d  # in pixels, as many programs write
    measured = math.isclose(abs(t.a), side, rel_tol=1e-6) and math.isclose(abs(t.e), side, rel_tol=1e-6)
    if dataset.crs or not (counted or measured):
        raise InputError(
            "`pixel_size` contradicts the file",
            where=path,
            why="the file says itself where it lies" if dataset.crs else f"its pixels are {t.a:g} x {-t.e:g}",
            hint="leave the option out" if dataset.crs else "`assume_crs=EPSG:...`, or leave the option out",
        )
    left, top = -dataset.width * side / 2, dataset.height * side / 2
    transform = Affine(side, 0.0, left, 0.0, -side, top)
    return Grid(crs=_PLANE, transform=transform, height=dataset.height, width=dataset.width), _PLANE.to_wkt()


def _crs(dataset: Any, path: Path, assumed: CRS | None) -> tuple[CRS, str]:
    wkt = dataset.crs.to_wkt() if dataset.crs else ""
    found = None
    if wkt:
        try:
            found = CRS.from_wkt(wkt)
        except CRSError:
            found = None
    usable = found is not None and horizontal(found).geodetic_crs is not None
    if found is None or not usable:
        if assumed is not None:
            return horizontal(assumed), assumed.to_wkt()
        if found is not None:
            raise InputError(
                "coordinate reference system is not earth-referenced",
                where=path,
                why=f"found {found.name!r} ({found.type_name})",
                hint="`assume_crs=EPSG:...` if you know where it lies",
            )
        raise InputError(
            "no coordinate reference system",
            where=path,
            why="the file does not say which part of the earth it shows",
            hint="`assume_crs=EPSG:...`, or for a photograph `pixel_size=METRES`",
        )
    own = horizontal(found)
    if assumed is not None and not own.equals(horizontal(assumed), ignore_axis_order=True):
        raise InputError(
            "`assume_crs` contradicts the file",
            where=path,
            why=f"the file has {found.name!r}, the option says {assumed.name!r}",
            hint="leave the option out, or correct the file: gdal_edit.py -a_srs EPSG:... FILE",
        )
    return own, wkt


def _transform(dataset: Any, path: Path, assumed: Affine | None) -> Affine:
    t: Affine = dataset.transform
    if t == Affine.identity():
        if assumed is not None:
            return assumed
        raise _unplaced(dataset, path)
    if not all(map(math.isfinite, t[:6])) or t.determinant == 0:
        raise InputError("transform is not usable", where=path, why=f"found {tuple(t[:6])}")
    shear = max(abs(t.b) * dataset.height / abs(t.a or 1), abs(t.d) * dataset.width / abs(t.e or 1))
    if shear > 0.01:
        raise InputError(
            f"rotated by {math.degrees(math.atan2(t.d, t.a)):.1f} degrees",
            where=path,
            why="rows and columns do not run along the axes of the coordinate system",
            hint="warp it first: gdalwarp -r near INPUT OUTPUT.tif",
        )
    if t.a < 0:
        raise InputError(
            "mirrored: columns run westwards",
            where=path,
            why=f"pixel width {t.a}",
            hint="warp it first: gdalwarp -r near INPUT OUTPUT.tif",
        )
    own = Affine(t.a, 0.0, t.c, 0.0, t.e, t.f)
    if assumed is not None and not own.almost_equals(assumed, precision=1e-9 * max(map(abs, own[:6]))):
        raise InputError(
            "`assume_transform` contradicts the file",
            where=path,
            why=f"the file has {tuple(own[:6])}, the option says {tuple(assumed[:6])}",
            hint="leave the option out",
        )
    return own


def _unplaced(dataset: Any, path: Path) -> InputError:
    points = len(dataset.gcps[0])
    if points or dataset.rpcs:
        kind = f"{points} ground control points" if points else "rational polynomial coefficients (RPC)"
        return InputError(
            "not orthorectified",
            where=path,
            why=f"it is placed by {kind} only",
            hint=f"orthorectify it: gdalwarp {'-tps' if points else '-rpc'} -t_srs EPSG:... INPUT OUTPUT.tif",
        )
    world = _world_file(path)
    hint = (
        "`assume_transform=a,b,c,d,e,f` (pixel width, 0, left, 0, -pixel height, top), or for a photograph "
        "`pixel_size=METRES`"
    )
    if world is not None:
        name, t = world
        hint = f"`assume_transform={','.join(f'{v!r}' for v in t[:6])}` (what {name} beside it says)"
    return InputError(
        "no georeferencing", where=path, why="no transform from pixels to coordinates", hint=hint
    )


def _world_file(path: Path) -> tuple[str, Affine] | None:
    """World file beside a raster, which is not trusted but can be proposed."""
    for suffix in _WORLD_FILES:
        file = path.with_suffix(suffix)
        if file.is_file() and file.stat().st_size < 10_000:
            try:
                a, d, b, e, c, f = map(float, file.read_text(encoding="ascii").split()[:6])
            except (ValueError, UnicodeDecodeError):
                continue
            # a world file places the centre of the first pixel, a transform its corner
            return file.name, Affine(a, b, c - a / 2 - b / 2, d, e, f - d / 2 - e / 2)
    return None
