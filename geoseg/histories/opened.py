"""A series with its maps opened, dated and brought together."""

from __future__ import annotations

import math
import shlex
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
from geoseg.legend import Legend
from geoseg.raster.classmap import open_class_map
from geoseg.raster.dates import MapDate, date_of
from geoseg.raster.open import open_raster, safe_gdal
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.rules import read_crosswalk
from geoseg.raster.scene import Scene
from geoseg.raster.united import UnitedMaps
from geoseg.strict_yaml import read_yaml

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
        sources = _sources(job)
        walk = read_crosswalk(job.crosswalk)
        maps = [
            open_class_map(s.path, job.legend, band=s.band, to_recode=walk is not None, **job.reading)
            for s in sources
        ]
        united = UnitedMaps.of(maps, walk)
        grid, legend = united.grid, united.legend
        forests, said = _forests(job.loss_of, legend)
        where = sorted({s.found for s in sources} - {"given"})
        notes = [f"dates taken from each map's {' or '.join(where)}"] if where else []
        notes += [*dict.fromkeys(note for one in maps for note in one.scene.notes), *united.notes]
        rules = _mapping(job.rules)
        chunk = job.chunk or min(max(math.isqrt(_PIXELS // len(maps)) // 256 * 256, 256), 2048)
        chunk = min(chunk, max(grid.shape))
        dates = tuple(s.date for s in sources)
        return cls(
            job=job,
            dates=dates,
            united=united,
            forests=forests,
            rules=None if rules is None else Rules.parse(rules, legend),
            confidence=_confidence(job, dates, united),
            tiling=TilePlan(
                height=grid.height, width=grid.width, tile=(chunk, chunk), margin=0, chunk=(chunk, chunk)
            ),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One map: a file, or a band of one; with its date and where that was found."""

    path: Path
    band: int | str | None
    date: MapDate
    found: str


def _sources(job: SeriesJob) -> list[_Source]:
    """Maps in order of their dates; each band of a file that has several is one."""
    given = _mapping(job.dates)
    sources: list[_Source] = []
    for path in _files(job.maps):
        scene = open_scene(path, categorical=True, **job.reading) if job.band is None else None
        if scene is not None and scene.count > 1:
            sources += _bands(path, scene, given)
        else:
            date, found = date_of(path, given)
            sources.append(_Source(path=path, band=job.band, date=date, found=found))
    if not 2 <= len(sources) <= _MOST_DATES:
        raise UsageError(
            f"{len(sources)} maps",
            why=f"a series has 2 to {_MOST_DATES}",
            hint="a folder with them, or more files",
        )
    sources.sort(key=lambda source: source.date)
    for one, other in pairwise(sources):
        if one.date.last == other.date.last:
            raise InputError(
                "two maps of one date", where=other.path, why=f"{one.path.name} is of {one.date.text}, too"
            )
    return sources


def _bands(path: Path, scene: Scene, given: Mapping[Any, Any] | None) -> list[_Source]:
    """Maps of a file with a band for each date, which its name tells, or `dates` by name or number."""
    with safe_gdal():
        tagged = [c.name for c in open_raster(scene.paths[0], allow_vrt=scene.allow_vrt).colorinterp]
    if "alpha" in tagged:  # as GDAL does with four bands of bytes: the last one would mask the others
        number = tagged.index("alpha") + 1
        raise InputError(
            f"band {number} is tagged as transparency",
            where=path,
            why="it would mask the other bands, and is no map itself",
            hint=f"gdal_edit.py -colorinterp_{number} undefined {shlex.quote(path.name)}, if it is a map",
        )
    sources = []
    for number, name in enumerate(scene.band_names, 1):
        keys = (number, str(number), name)
        said = next((given[key] for key in keys if key in given), None) if given else None
        dates = MapDate.found_in(name) if said is None else [MapDate.parse(said)]
        if len(dates) != 1:
            raise InputError(
                f"the date of band {number} ({name}) is not known",
                where=path,
                why=f"{scene.count} bands, one map each",
                hint="`dates=FILE.yaml` with the date of every band, like 1: 1985; or `band=1`",
            )
        found = "bands' names" if said is None else "given"
        sources.append(_Source(path=path, band=number, date=dates[0], found=found))
    return sources


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
