"""Which files a scene consists of: a path, a list of paths, a folder or a glob pattern."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from geoseg.errors import InputError, UsageError
from geoseg.raster.open import local_file

Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

_SUFFIXES = {".tif", ".tiff", ".jp2", ".j2k", ".png", ".jpg", ".jpeg"}


def as_text(given: object) -> str | list[str]:
    """A scene or model given to a verb, one path or several, as a job holds it.

    Raises
    ------
    UsageError
        Pixels in memory, such as an xarray.DataArray: chunks are read by every worker from files.
    """
    if isinstance(given, list | tuple):
        return [str(_path(g)) for g in given]
    return str(_path(given))


def _path(given: object) -> str | os.PathLike[str]:
    if isinstance(given, str | os.PathLike):
        return given
    kind = type(given).__name__
    raise UsageError(
        f"{kind} is not a path",
        why="expected a path, a list of paths, a folder or a pattern: workers read their parts of files",
        hint='write it first: array.rio.to_raster("scene.tif")' if kind in {"DataArray", "Dataset"} else None,
    )


def find_files(source: Source) -> tuple[Path, ...]:
    """Absolute paths of a scene's files, in band order.

    A list keeps its order; a folder and a glob pattern are sorted naturally (B2 before B10). A name that
    exists is never read as a pattern, so ``scene[1].tif`` works.

    Raises
    ------
    InputError
        Nothing found, or something that is no local file.
    """
    if not isinstance(source, str | os.PathLike):
        files = tuple(local_file(s) for s in source)
        if not files:
            raise InputError("no files given for the scene")
        twice = next((f for f in files if files.count(f) > 1), None)
        if twice is not None:
            raise InputError("file given twice", where=twice)
        return files
    text = os.fspath(source)
    if "\x00" not in text and Path(text).is_dir():
        return _in_folder(Path(text).absolute())
    if glob.has_magic(text) and "\x00" not in text and not Path(text).exists() and "://" not in text:
        matches = glob.glob(text)  # noqa: PTH207 (a pattern with folders of its own, absolute or not)
        found = sorted((p for p in matches if Path(p).is_file()), key=natural_key)
        found = [p for p in found if not p.endswith((".aux.xml", ".ovr", ".msk"))]
        if not found:
            raise InputError("no file matches the pattern", where=Path(text).absolute())
        return tuple(local_file(p) for p in found)
    return (local_file(text),)


def _in_folder(folder: Path) -> tuple[Path, ...]:
    if folder.suffix.upper() == ".SAFE":
        # Level-1C has all bands in one folder, Level-2A one folder for each resolution
        by_resolution = any(folder.glob("GRANULE/*/IMG_DATA/R10m"))
        pattern = "R10m/*_B0[2348]_10m.jp2" if by_resolution else "*_B0[2348].jp2"
        raise InputError(
            "is a Sentinel-2 product with bands of several resolutions",
            where=folder,
            hint=f"bands of one resolution as a pattern: '{folder.name}/GRANULE/*/IMG_DATA/{pattern}'",
        )
    found = [p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file()]
    found = [p for p in found if not p.name.startswith(".")]
    if not found:
        raise InputError(
            "no rasters in the folder", where=folder, why=f"looked for {', '.join(sorted(_SUFFIXES))}"
        )
    return tuple(local_file(p) for p in sorted(found, key=lambda p: natural_key(p.name)))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key that reads digits as numbers: B2 before B10."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts if p]
