"""Sentinel-2 products, Level-1C and Level-2A: the SAFE folder, or the zip archive in which it is delivered.

Source: Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD), issues 14 and 15.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from geoseg.errors import InputError
from geoseg.raster.bands import SceneBand
from geoseg.raster.cover import Hiding
from geoseg.raster.members import has, read_start
from geoseg.raster.products.product import UNIT, Level, Product

DESCRIPTION = re.compile(r"MTD_MSIL(1C|2A)\.xml")
"""Name of the file that describes a product."""

_MOST_BYTES = 20_000_000
_ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_IMAGE = re.compile(r"_(B\d\d|B8A|SCL)(?:_(10|20|60)m)?$")
_SCENE_CLASSES = "SCL"
_CLOUDY = Hiding(values=(0, 1, 3, 8, 9, 10))
"""Of the scene classification: no data, saturated, cloud shadow, cloud (probably, surely), thin cirrus."""

_LEVELS: dict[str, Level] = {"1C": "top of atmosphere", "2A": "surface"}
_QUANTIFICATION = {"1C": "QUANTIFICATION_VALUE", "2A": "BOA_QUANTIFICATION_VALUE"}
_OFFSET = {"1C": "RADIO_ADD_OFFSET", "2A": "BOA_ADD_OFFSET"}


def read(description: Path) -> Product:
    """Product of its description; every band in its smallest pixels.

    Reflectance is ``(stored + offset) / quantification``, the offset of processing baselines from 04.00 on;
    0 is no data.

    Raises
    ------
    InputError
        A description that is damaged or of another form, or bands that are missing.
    """
    level = DESCRIPTION.fullmatch(description.name)[1]  # type: ignore[index]
    root = _parse(description)
    images = [description.parent / f"{text}.jp2" for text in _texts(root, "IMAGE_FILE")]
    files = _finest(images, _IMAGE)
    classes = files.pop(_SCENE_CLASSES, None)
    if not files:
        raise InputError(
            "no bands in the description",
            where=description,
            why="expected IMAGE_FILE entries, as all products since December 2016 have them",
        )
    if missing := [path.name for path in files.values() if not has(path)]:
        raise InputError(
            "files of the product are missing",
            where=description.parent,
            why=", ".join(missing[:4]),
            hint="extract or download the whole product again",
        )
    (quantification,) = _numbers(root, _QUANTIFICATION[level], description) or [float(UNIT)]
    offsets = _offsets(root, _OFFSET[level], description)
    gain = UNIT / quantification
    names = [name for name in _ORDER if name in files]
    added = sorted({offsets.get(name, 0.0) for name in names})
    return Product(
        name=f"Sentinel-2 Level-{level}",
        level=_LEVELS[level],
        paths=tuple(files[name] for name in names),
        bands=tuple(
            SceneBand(
                file=i, number=1, name=name, nodata=0.0, gain=gain, addend=offsets.get(name, 0.0) * gain
            )
            for i, name in enumerate(names)
        ),
        layers={} if classes is None or not has(classes) else {"scl": (classes, _CLOUDY)},
        notes=(
            f"Sentinel-2 Level-{level}: values are reflectance x {UNIT}, stored values "
            + (f"{', '.join(f'{a:+g}' for a in added)}" if any(added) else "as they are")
            + ("" if gain == 1 else f" times {gain:g}"),
        ),
    )


def _finest(images: list[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    """Of each band the file with the smallest pixels; Level-2A has most bands several times."""
    found: dict[str, tuple[int, Path]] = {}
    for path in images:
        for name, metres in pattern.findall(path.stem):
            found[name] = min(found.get(name, (10**6, path)), (int(metres or 0), path))
    return {name: path for name, (_, path) in found.items()}


def _parse(description: Path) -> ET.Element:
    content = read_start(description, _MOST_BYTES)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise InputError("description with a document type", where=description, why="entities are not read")
    try:
        return ET.fromstring(content)  # noqa: S314 (no document type, so no entities)
    except ET.ParseError as error:
        raise InputError("damaged description", where=description, why=str(error)) from None


def _elements(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (e for e in root.iter() if e.tag.rpartition("}")[2] == name)


def _texts(root: ET.Element, name: str) -> list[str]:
    return [(e.text or "").strip() for e in _elements(root, name)]


def _numbers(root: ET.Element, name: str, description: Path) -> list[float]:
    try:
        return [float(text) for text in _texts(root, name)]
    except ValueError as error:
        raise InputError("damaged description", where=description, why=f"{name}: {error}") from None


def _offsets(root: ET.Element, name: str, description: Path) -> dict[str, float]:
    """Offset of each band by its name; empty before processing baseline 04.00."""
    values = _numbers(root, name, description)
    ids = [e.get("band_id", "") for e in _elements(root, name)]
    if any(not i.isdecimal() or int(i) >= len(_ORDER) for i in ids):
        raise InputError("damaged description", where=description, why=f"{name} of the bands {ids}")
    return {_ORDER[int(i)]: value for i, value in zip(ids, values, strict=True)}
