"""What a raster's own side files say: ``NAME.aux.xml`` and ``NAME.msk``, and of those only data.

GDAL does not look for sidecars here (`geoseg.raster.open`), since one can replace the CRS and the transform
or name other files. These two are read by geoseg itself, and only the file of the very same name: no-data
values, class names, colours, scale and offset from the first; which pixels are valid from the second.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.errors import InputError
from geoseg.raster.open import driver_of, open_raster, safe_gdal

_MOST_BYTES = 20_000_000
_MOST_CLASSES = 100_000
_GENERIC, _NAME, _MIN, _MIN_MAX, _RED, _GREEN, _BLUE = "0", "2", "3", "5", "6", "7", "8"  # GDALRATFieldUsage
_TEXT = "2"  # GDALRATFieldType
_VALUE_FIELDS = ("value", "pixel value", "code", "id", "class_id")
_NAME_FIELDS = ("class_name", "classname", "class name", "name", "class", "label", "land_cover", "landcover")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What a side file says of one band.

    Attributes
    ----------
    nodata
        Value that means no data; None where it says nothing.
    scale, offset
        From stored values to physical ones.
    names, colors
        Class number to name and to ``#RRGGBB``: categories, and the attribute table, which goes before them.
    """

    nodata: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)


def aux_file(path: Path) -> Path:
    """``scene.tif.aux.xml`` of ``scene.tif``."""
    return path.with_name(f"{path.name}.aux.xml")


def read_side(path: Path) -> Mapping[int, Side]:
    """What the ``.aux.xml`` beside a raster says of its bands, by number; empty where there is none.

    A file with a document type, too large or not well formed says nothing.
    """
    file = aux_file(path)
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return {}
        content = file.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities are never expanded
            return {}
        root = ET.fromstring(content)  # noqa: S314 (no document type, so no entities)
    except (OSError, ET.ParseError, ValueError, LookupError):
        return {}
    bands = {int(b.get("band", "")): b for b in root.iter("PAMRasterBand") if b.get("band", "").isdecimal()}
    return {number: _side(band) for number, band in bands.items()}


@safe_gdal()
def side_mask(path: Path, shape: tuple[int, int]) -> Path | None:
    """``scene.tif.msk`` beside ``scene.tif`` if it is a GeoTIFF of one band and that shape, else None."""
    file = path.with_name(f"{path.name}.msk")
    if not file.is_file():
        return None
    try:
        if driver_of(file) != "GTiff":
            return None
        dataset = open_raster(file)
    except InputError:
        return None
    return file if dataset.count == 1 and dataset.shape == shape and dataset.dtypes[0] == "uint8" else None


def _side(band: ET.Element) -> Side:
    names, colors = _table(band)
    categories = (c.text or "" for c in band.iterfind("CategoryNames/Category"))
    named = {i: text.strip() for i, text in enumerate(categories) if text.strip()}
    entries = enumerate(band.iterfind("ColorTable/Entry"))
    palette = {i: _hexadecimal(e.get("c1"), e.get("c2"), e.get("c3")) for i, e in entries}
    return Side(
        nodata=_number(band.findtext("NoDataValue")),
        scale=_number(band.findtext("Scale")) or 1.0,
        offset=_number(band.findtext("Offset")) or 0.0,
        names={**named, **names},
        colors={i: c for i, c in {**palette, **colors}.items() if c is not None},
    )


def _table(band: ET.Element) -> tuple[dict[int, str], dict[int, str | None]]:
    """Names and colours by value from the raster attribute table."""
    table = band.find("GDALRasterAttributeTable")
    if table is None:
        return {}, {}
    fields = [
        (f.findtext("Name") or "", f.findtext("Type"), f.findtext("Usage"))
        for f in table.iterfind("FieldDefn")
    ]

    def column(usages: tuple[str, ...], names: tuple[str, ...], kind: str | None = None) -> int | None:
        """Position of a field by its usage, else by its name, else by its type."""
        tests = (
            lambda f: f[2] in usages,
            lambda f: f[0].strip().casefold() in names,
            lambda f: kind is not None and f[1] == kind,
        )
        return next((i for test in tests for i, f in enumerate(fields) if test(f)), None)

    value, name = column((_MIN_MAX, _MIN), _VALUE_FIELDS), column((_NAME,), _NAME_FIELDS, _TEXT)
    rgb = [column((usage,), (word,)) for usage, word in ((_RED, "red"), (_GREEN, "green"), (_BLUE, "blue"))]
    found: dict[int, str] = {}
    colors: dict[int, str | None] = {}
    for position, row in enumerate(table.iterfind("Row")):
        cells = [cell.text or "" for cell in row.iterfind("F")]
        number = _number(cells[value]) if value is not None and value < len(cells) else float(position)
        if position >= _MOST_CLASSES or number is None or not number.is_integer():
            continue
        if name is not None and name < len(cells) and cells[name].strip():
            found[int(number)] = cells[name].strip()
        if all(c is not None and c < len(cells) for c in rgb):
            colors[int(number)] = _hexadecimal(*(cells[c] for c in rgb if c is not None))
    return found, colors


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _hexadecimal(*parts: str | None) -> str | None:
    numbers = [_number(p) for p in parts]
    if any(n is None or not 0 <= n <= 255 for n in numbers):
        return None
    return "#" + "".join(f"{int(n):02X}" for n in numbers if n is not None)
