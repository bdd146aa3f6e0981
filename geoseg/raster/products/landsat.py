"""Landsat Collection 2 products, Level-1 and Level-2: the folder, or the tar archive that is delivered.

Source: USGS, Landsat 8-9 OLI/TIRS Collection 2 Level-2 Data Format Control Book (LSDS-1328) and its siblings.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from geoseg.errors import InputError
from geoseg.raster.bands import SceneBand
from geoseg.raster.cover import Hiding
from geoseg.raster.members import has, read_start
from geoseg.raster.products.product import UNIT, Product

DESCRIPTION = re.compile(r"L[A-Z]\d\d_.*_MTL\.txt")
"""Name of the file that describes a product."""

_MOST_BYTES = 2_000_000
_LINE = re.compile(r'^\s*(\w+)\s*=\s*"?(.*?)"?\s*$')
_OLI = {"1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir1", "7": "swir2"}
_TM = {"1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir1", "7": "swir2"}
_BANDS = {f"LANDSAT_{n}": _OLI if n >= 8 else _TM for n in (4, 5, 7, 8, 9)}
_FACTORS = {"1": "LEVEL1_RADIOMETRIC_RESCALING", "2": "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"}
_CLOUDY = Hiding(bits=0b11111)
"""Of QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow."""

Description = Mapping[str, Mapping[str, str]]


def read(description: Path) -> Product:
    """Product of its description: the bands of reflectance of 30 m, by their colours.

    Reflectance is ``stored * REFLECTANCE_MULT_BAND_n + REFLECTANCE_ADD_BAND_n``, in Level-1 divided by the
    sine of the sun's elevation at the scene's centre; 0 is no data. Thermal and panchromatic bands are left
    out.

    Raises
    ------
    InputError
        Another collection or sensor, a description that is damaged, or bands that are missing.
    """
    said = _parse(description)
    contents, image = said["PRODUCT_CONTENTS"], said["IMAGE_ATTRIBUTES"]
    if contents.get("COLLECTION_NUMBER") != "02" or image.get("SPACECRAFT_ID") not in _BANDS:
        raise InputError(
            "not a Landsat product that geoseg reads",
            where=description,
            why=f"found {image.get('SPACECRAFT_ID', 'no spacecraft')}, "
            f"collection {contents.get('COLLECTION_NUMBER', 'not said')}; expected {', '.join(_BANDS)} of "
            "collection 02",
            hint="its files by name, as a list or a pattern",
        )
    level = contents.get("PROCESSING_LEVEL", "")[1:2]
    factors = said[_FACTORS.get(level, "")]
    names = {
        number: name
        for number, name in _BANDS[image["SPACECRAFT_ID"]].items()
        if f"REFLECTANCE_MULT_BAND_{number}" in factors and f"FILE_NAME_BAND_{number}" in contents
    }
    paths = tuple(description.parent / contents[f"FILE_NAME_BAND_{number}"] for number in names)
    if not names or not all(map(has, paths)):
        missing = (
            ", ".join(p.name for p in paths if not has(p)) or f"no factors in group {_FACTORS.get(level)}"
        )
        raise InputError("bands of the product are missing", where=description.parent, why=missing)
    try:
        sun = 1.0 if level == "2" else math.sin(math.radians(float(image["SUN_ELEVATION"])))
        scale, offset = (
            [float(factors[f"REFLECTANCE_{what}_BAND_{number}"]) / sun for number in names]
            for what in ("MULT", "ADD")
        )
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise InputError("damaged description", where=description, why=str(error)) from None
    quality = description.parent / contents.get("FILE_NAME_QUALITY_L1_PIXEL", "")
    what = f"{image['SPACECRAFT_ID'].replace('_', ' ').title()} Level-{level}"
    return Product(
        name=what,
        level="surface" if level == "2" else "top of atmosphere",
        paths=paths,
        bands=tuple(
            SceneBand(file=i, number=1, name=name, nodata=0.0, gain=s * UNIT, addend=o * UNIT)
            for i, (name, s, o) in enumerate(zip(names.values(), scale, offset, strict=True))
        ),
        layers={"qa_pixel": (quality, _CLOUDY)} if has(quality) else {},
        notes=(
            f"{what}: values are reflectance x {UNIT}, {scale[0] * UNIT:.6g} times the stored ones "
            f"{offset[0] * UNIT:+.6g}"
            + ("" if level == "2" else " (the sun's elevation taken into account)"),
        ),
    )


def _parse(description: Path) -> Description:
    """Values by key by group; of a group that is not there, none."""
    groups: defaultdict[str, dict[str, str]] = defaultdict(dict)
    within: list[str] = []
    text = read_start(description, _MOST_BYTES).decode("ascii", "replace")
    for key, value in (m.groups() for m in map(_LINE.match, text.splitlines()) if m):
        if key == "GROUP":
            within.append(value)
        elif key == "END_GROUP":
            del within[-1:]
        elif within:
            groups[within[-1]][key] = value
    return groups
