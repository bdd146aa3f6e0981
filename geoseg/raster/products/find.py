"""Which product a path is, if it is one: the readers by the name of the file that describes a product."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Protocol

from geoseg.errors import InputError
from geoseg.raster.members import is_archive, members_of
from geoseg.raster.products import landsat, sentinel2
from geoseg.raster.products.product import Product


class Reader(Protocol):
    """A module that reads one kind of product."""

    DESCRIPTION: re.Pattern[str]

    def read(self, description: Path) -> Product:
        """Product of its description."""
        ...


READERS: tuple[Reader, ...] = (sentinel2, landsat)
"""A line for every new one."""

LAYERS = ("scl", "qa_pixel")
"""Names of the layers that products have to mask pixels."""


def find_product(source: object) -> Product | None:
    """Product of a folder, an archive or a description's path; None where it is something else.

    Raises
    ------
    InputError
        An archive without a product or with several, or a product that cannot be read.
    """
    if not isinstance(source, str | os.PathLike) or "\x00" in os.fspath(source):
        return None
    path = Path(source).absolute()
    inside_archive = path.is_file() and is_archive(path)
    found = _descriptions(path, inside_archive)
    if len(found) == 1:
        reader, description = found[0]
        return reader.read(description)
    if found or inside_archive:
        named = ", ".join(description.parent.name for _, description in found[:4])
        raise InputError(
            f"{len(found)} products in one place" if found else "no product in the archive",
            where=path,
            why=named or "expected a Sentinel-2 SAFE folder or the files of a Landsat product",
            hint="one of them" if found else "extract it and pass the raster file",
        )
    return None


def _descriptions(path: Path, inside_archive: bool) -> list[tuple[Reader, Path]]:
    """Readers with the descriptions that they read, those of the outermost folder that has one."""
    if inside_archive:
        files = sorted(members_of(path), key=lambda p: len(p.parts))
    elif path.is_dir():
        files = [p for p in path.iterdir() if p.is_file()]
    else:
        files = [path] if path.is_file() else []
    found = [(r, p) for p in files for r in READERS if r.DESCRIPTION.fullmatch(p.name)]
    return [(r, p) for r, p in found if len(p.parts) == len(found[0][1].parts)]
