"""A series with its maps opened, dated and brought together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, TilePlan
from geoseg.geometry.integer_areas import area_unit
from geoseg.histories.job import SeriesJob
from geoseg.histories.rules import Rules
from geoseg.job import read_yaml
from geoseg.legend import Legend
from geoseg.raster.classmap import open_class_map
from geoseg.raster.dates import MapDate, date_of
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.rules import read_crosswalk
from geoseg.raster.scene import Scene
from geoseg.raster.united import UnitedMaps

_MOST_DATES = 250
_PIXELS = 64_000_000
_SUFFIXES = {".tif", ".tiff"}
_CLASSES = "classes.tif"


@dataclass(frozen=True, kw_only=True)
class OpenedSeries:
    """Maps in order of their dates; holds no open file and can be pickled.

    Attributes
    ----------
    job
        What was asked for.
    dates
        Of the maps, ascending.
    united
        The maps, in the classes of them all.
    forests
        Positions of the classes whose loss is sought; none where no class is called so.
    rules
        The temporal filter.
    confidence
        Rasters of confidence by date; None where there is none.
    tiling
        The chunks.
    unit
        Square metres of a unit of area.
    notes
        What the user should know.
    """

    job: SeriesJob
    dates: tuple[MapDate, ...]
    united: UnitedMaps
    forests: tuple[int, ...]
    rules: Rules | None
    confidence: tuple[Scene | None, ...]
    tiling: TilePlan
    unit: float
    notes: tuple[str, ...]

    @classmethod
    def of(cls, job: SeriesJob) -> OpenedSeries:
        """Series of a job; UsageError or InputError where it cannot be made."""
        given = _mapping(job.dates)
        paths, found = _dated(_files(job.maps), given)
        maps = [open_class_map(p, job.legend, band=job.band, **job.reading) for p in paths]
        united = UnitedMaps.of(maps, read_crosswalk(job.crosswalk))
        grid, legend = united.grid, united.legend
        forests, said = _forests(job.loss_of, legend)
        where = sorted({where for _, where in found} - {"given"})
        notes = [f"dates taken from each map's {' or '.join(where)}"] if where else []
        notes += dict.fromkeys(note for one in maps for note in one.scene.notes)
        rules = _mapping(job.rules)
        chunk = job.chunk or min(max(math.isqrt(_PIXELS // len(maps)) // 256 * 256, 256), 2048)
        chunk = min(chunk, max(grid.shape))
        dates = tuple(date for date, _ in found)
        return cls(
            job=job,
            dates=dates,
            united=united,
            forests=forests,
            rules=None if rules is None else Rules.parse(rules, legend),
            confidence=_confidence(job, dates, united),
            tiling=TilePlan(height=grid.height, width=grid.width, tile=chunk, margin=0, chunk=chunk),
            unit=area_unit(grid),
            notes=(*notes, *said),
        )

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self.united.grid

    @property
    def legend(self) -> Legend:
        """The classes of all dates."""
        return self.united.legend

    @property
    def years(self) -> NDArray[np.float64]:
        """(T,) float64: times of the dates."""
        return np.array([date.years for date in self.dates])

    @property
    def is_yearly(self) -> bool:
        """Whether a year names each date."""
        return len({date.last.year for date in self.dates}) == len(self.dates)

    @property
    def values(self) -> tuple[int, ...]:
        """Pixel value of each date: its year, or its day as 20210715 where years have several maps."""
        return tuple(date.last.year if self.is_yearly else date.number for date in self.dates)

    @property
    def names(self) -> tuple[str, ...]:
        """Each date in tables: as `values` where they are years, else as it was written."""
        return tuple(str(d.last.year) if self.is_yearly else d.text for d in self.dates)

    @property
    def is_forest(self) -> NDArray[np.bool_]:
        """(K + 1,) bool: the classes whose loss is sought."""
        found = np.zeros(len(self.legend) + 1, np.bool_)
        found[list(self.forests)] = True
        return found


def _mapping(given: Path | Mapping[Any, Any] | None) -> Mapping[Any, Any] | None:
    return read_yaml(given) if isinstance(given, Path) else given


def _files(given: Iterable[Path]) -> list[Path]:
    """Rasters of files and folders: those in a folder, else the class maps of the runs in it."""
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
        inside = inside or sorted(path.glob(f"*/{_CLASSES}"))
        if not inside:
            raise InputError("no class maps in this folder", where=path, why="found no .tif")
        found += inside
    return found


def _dated(
    paths: Sequence[Path], given: Mapping[Any, Any] | None
) -> tuple[list[Path], list[tuple[MapDate, str]]]:
    """(maps in order of their dates, their dates and where these were found)."""
    if not 2 <= len(paths) <= _MOST_DATES:
        raise UsageError(
            f"{len(paths)} maps",
            why=f"a series has 2 to {_MOST_DATES}",
            hint="a folder with them, or more files",
        )
    dated = sorted(((date_of(p, given), p) for p in paths), key=lambda each: each[0][0])
    for (one, path), (other, next_path) in pairwise(dated):
        if one[0].last == other[0].last:
            raise InputError(
                "two maps of one date", where=next_path, why=f"{path.name} is of {one[0].text}, too"
            )
    return [path for _, path in dated], [date for date, _ in dated]


def _forests(wanted: Sequence[str], legend: Legend) -> tuple[tuple[int, ...], list[str]]:
    """(positions of the classes whose loss is sought, notes)."""
    if wanted:
        classes = [c for name in wanted for c in legend.find_all(name)]
        return tuple(sorted({legend.classes.index(c) for c in classes})), []
    classes = list(legend.forests())
    if not classes:
        return (), [
            f"no class is called forest ({', '.join(legend.names)}), so no loss is sought; "
            "say `loss_of` which class it is"
        ]
    if len(classes) == len(legend):
        return (), ["every class is called forest, so no loss is sought"]
    return tuple(legend.classes.index(c) for c in classes), [
        f"loss is sought of {', '.join(c.name for c in classes)} (`loss_of` names others)"
    ]


def _confidence(job: SeriesJob, dates: Sequence[MapDate], united: UnitedMaps) -> tuple[Scene | None, ...]:
    if not job.confidence:
        return (None,) * len(dates)
    reading: ReadingOptions = {**job.reading, "nodata": None}
    found: dict[MapDate, Scene] = {}
    for path in _files(map(Path, job.confidence)):
        scene = open_scene(path, **reading)
        difference = united.grid.difference(scene.grid)
        if difference or scene.count != 1:
            why = difference or f"{scene.count} bands, expected one"
            raise InputError("not the confidence of these maps", where=path, why=why)
        found[date_of(path)[0]] = scene
    if strange := [d.text for d in found if d not in dates]:
        raise InputError("confidence of a date without a map", why=", ".join(strange))
    return tuple(found.get(date) for date in dates)
