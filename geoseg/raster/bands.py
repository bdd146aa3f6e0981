"""Bands of a scene: their names, and the choice of some of them by number or name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoseg.errors import UsageError
from geoseg.raster.sidecars import Side, read_side

_COLORS = {"red", "green", "blue", "nir"}
_IN_FILE_NAME = re.compile(r"(?<![A-Za-z0-9])(B\d{1,2}A?)(?![A-Za-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBand:
    """One band of a scene.

    Attributes
    ----------
    file
        Position of its file in the scene's paths, from 0.
    number
        Band number in that file, from 1.
    name
        Description in the file, else the band in the file's name (B04), else its colour, else ``band N``.
        Where several files have bands of one name, as two dates do, the order of those files is added:
        ``B04@1``, ``B04@2``.
    alpha
        Whether the file says that it is an alpha band.
    nodata
        Value that means no data in this band; None if there is none.
    scale, offset
        What the file says that its values mean: ``value * scale + offset``. Pixels are read as stored.
    gain, addend
        What is read of a product: ``stored * gain + addend``, reflectance x 10000, uint16.
    constant
        The value of all its pixels, where it is in no file and stands for a band that there is not.
    """

    file: int
    number: int
    name: str
    alpha: bool = False
    nodata: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    gain: float = 1.0
    addend: float = 0.0
    constant: float | None = None

    @property
    def is_converted(self) -> bool:
        """Whether other values are read than are stored; they are uint16 then."""
        return (self.gain, self.addend) != (1.0, 0.0)


def list_bands(dataset: Any, path: Path, file: int, *, alone: bool) -> list[SceneBand]:
    """Every band of an open dataset; `alone` says that it is the scene's only file.

    Where the file itself has no nodata value, scale or offset, those of its own ``.aux.xml`` hold.
    """
    side = read_side(path)
    colors = [c.name for c in dataset.colorinterp]
    bands = []
    for i, (description, color) in enumerate(zip(dataset.descriptions, colors, strict=True), 1):
        name = description
        if not name and not alone and dataset.count == 1:
            in_name = _IN_FILE_NAME.findall(path.stem)
            name = in_name[-1].upper() if in_name else path.stem
        if not name and color in _COLORS and colors.count(color) == 1:
            name = color
        own, beside = dataset.nodatavals[i - 1], side.get(i, Side())
        stored = (dataset.scales[i - 1], dataset.offsets[i - 1])
        scale, offset = stored if stored != (1.0, 0.0) else (beside.scale, beside.offset)
        bands.append(
            SceneBand(
                file=file,
                number=i,
                name=name or f"band {i}",
                alpha=color == "alpha",
                nodata=beside.nodata if own is None else own,
                scale=scale,
                offset=offset,
            )
        )
    return bands


def tell_apart(bands: Sequence[SceneBand]) -> list[SceneBand]:
    """The bands; a name that several files have is followed by ``@`` and which of those it is, from 1."""
    files: defaultdict[str, list[int]] = defaultdict(list)
    for band in bands:
        if band.file not in files[_plain(band.name)]:
            files[_plain(band.name)].append(band.file)
    return [
        replace(b, name=f"{b.name}@{among.index(b.file) + 1}") if len(among) > 1 else b
        for b, among in ((b, files[_plain(b.name)]) for b in bands)
    ]


def choose_bands(
    available: Sequence[SceneBand], wanted: Sequence[int | str] | None, where: object
) -> tuple[SceneBand, ...]:
    """Bands in the order asked for; without a choice, all but alpha.

    Numbers count from 1 over all files in order, alpha included. Names are compared without case, spaces and
    leading zeros (b4 is B04).

    Raises
    ------
    UsageError
        A number or name that is not there, or a name that two bands share.
    """
    if wanted is None:
        image = tuple(b for b in available if not b.alpha)
        if not image:
            raise UsageError("only alpha bands in the scene", where=where)
        return image
    if isinstance(wanted, str) or not wanted:
        raise UsageError("bands must be a list of numbers or names", where=where, why=f"found {wanted!r}")
    return tuple(_find(available, w, where) for w in wanted)


def _find(available: Sequence[SceneBand], wanted: int | str, where: object) -> SceneBand:
    listing = ", ".join(f"{i} {b.name!r}" for i, b in enumerate(available, 1))
    named = [b for b in available if _plain(b.name) == _plain(str(wanted))]
    if not isinstance(wanted, str) or (not named and wanted.strip().isdecimal()):
        number = int(wanted)
        if not 1 <= number <= len(available):
            raise UsageError(
                f"no band {number}", where=where, why=f"the scene has {len(available)}: {listing}"
            )
        return available[number - 1]
    if len(named) != 1:
        what = f"no band {wanted!r}" if not named else f"{len(named)} bands are named {wanted!r}"
        raise UsageError(what, where=where, why=f"the scene has {listing}", hint="numbers instead of names")
    return named[0]


def _plain(name: str) -> str:
    text = re.sub(r"[\s_\-]+", " ", name).strip().casefold()
    return re.sub(r"^b0*(\d+a?)(?=@|$)", r"b\1", text)
