"""What a map, a pair of maps, a change or a series says of each pixel, as codes to add areas up by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.plots.job import ZonesJob
from geoseg.plots.largest import Events
from geoseg.raster.classmap import open_class_map
from geoseg.raster.dates import MapDate, date_of
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.rules import read_crosswalk
from geoseg.raster.scene import Scene
from geoseg.raster.united import UnitedMaps

SERIES, CHANGE, RASTER, EVENTS = "series.json", "transitions.json", "change.tif", "events.gpkg"

_OF_MAPS = ("band", "nodata", "assume_crs", "assume_transform", "pixel_size")
"""What can be said of a stranger's map, but not of what geoseg wrote."""

NO_LOSS, UNKNOWN = 0, 1
"""Codes of the loss of a pixel: known without one, and not known. The others are kinds of loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A kind of loss.

    Attributes
    ----------
    after
        Whether it came after the cut-off; None where it may have been before it.
    date
        Date of the map that shows it first; None where it is not known.
    """

    after: bool | None
    date: MapDate | None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Codes of pixels, and what they mean.

    Attributes
    ----------
    grid
        Where the pixels lie.
    columns
        Name of each column of hectares to the codes of which layer count to it: (layer, (codes,) bool).
    losses
        Meanings of the codes of the last layer from 2 on; None where no loss can be told.
    sizes
        Codes of each layer.
    reader
        Gives the codes (layers, h, w) uint16 of a window.
    confidence
        Raster of confidence on the same grid.
    words
        What the source is, JSON-ready.
    events
        Events of a series, where it has some.
    notes
        What the user should know.
    """

    grid: Grid
    columns: Mapping[str, tuple[int, NDArray[np.bool_]]]
    losses: tuple[Loss, ...] | None
    sizes: tuple[int, ...]
    reader: Callable[[Window], NDArray[np.uint16]]
    confidence: Scene | None
    words: Mapping[str, Any]
    events: Events | None = None
    notes: tuple[str, ...] = field(default=())

    def read(self, window: Window) -> NDArray[np.uint16]:
        """Codes (layers, h, w)."""
        return self.reader(window)


def open_measure(job: ZonesJob) -> Measure:
    """Measure of a job's source."""
    source = job.source
    cutoff = None if job.cutoff is None else MapDate.parse(job.cutoff).last
    if source.is_dir() and (source / SERIES).is_file():
        return _series(job, source, cutoff)
    folder = source if source.is_dir() else source.parent
    if (source.is_dir() or source.name == RASTER) and (folder / CHANGE).is_file():
        return _change(job, folder, cutoff)
    if source.is_dir():
        raise InputError(
            "no series and no change in this folder",
            where=source,
            why=f"neither {SERIES} nor {CHANGE}",
            hint="the `out` of geoseg series or change, or a class map",
        )
    return _maps(job, cutoff)


def _maps(job: ZonesJob, cutoff: date | None) -> Measure:
    """Of one class map, or of two."""
    paths = [job.source] if job.before is None else [job.before, job.source]
    walk = read_crosswalk(job.crosswalk)
    maps = [
        open_class_map(p, job.legend, band=job.band, to_recode=walk is not None, **job.reading) for p in paths
    ]
    united = UnitedMaps.of(maps, walk)
    notes = [*dict.fromkeys(note for one in maps for note in one.scene.notes), *united.notes]
    legend, k = united.legend, len(united.legend)
    confidence = _confidence(job, united.grid)
    if job.before is None:
        if cutoff is not None or job.loss_of:
            raise UsageError(
                "one map shows no loss",
                hint="`before=MAP` of an earlier date, or the folder of a change or a series",
            )
        columns = {f"{name}_ha": (0, _only(k + 1, i)) for i, name in enumerate(legend.names)}
        table = np.where(np.arange(256) >= k, UNKNOWN, NO_LOSS).astype(np.uint16)

        def read_one(window: Window) -> NDArray[np.uint16]:
            (classes,) = united.read(window)
            return np.stack([classes.astype(np.uint16), table[classes]])

        return Measure(
            grid=united.grid, columns=columns, losses=None, sizes=(k + 1, 2), reader=read_one,
            confidence=confidence, words={"of": "class map"}, notes=tuple(notes),
        )  # fmt: skip
    dates = _dates(job, cutoff)
    forests, said = _forests(job.loss_of, legend)
    pairs = np.full((k + 1, k + 1), NO_LOSS, np.uint16)
    pairs[np.ix_(forests, [i for i in range(k) if i not in forests])] = 2
    pairs[k, :] = pairs[:, k] = UNKNOWN

    def read_two(window: Window) -> NDArray[np.uint16]:
        before, after = united.read(window)
        return np.stack([before.astype(np.uint16), after.astype(np.uint16), pairs[before, after]])

    return Measure(
        grid=united.grid,
        columns=_before_and_after(legend, k + 1),
        losses=(_between(dates, cutoff),),
        sizes=(k + 1, k + 1, 3),
        reader=read_two,
        confidence=confidence,
        words={"of": "two class maps", "loss of": [legend.names[i] for i in forests], "dates": _said(dates)},
        notes=(*notes, *said),
    )


def _change(job: ZonesJob, folder: Path, cutoff: date | None) -> Measure:
    """Of a from-to raster, whose codes the report beside it explains."""
    report = _json(folder / CHANGE)
    try:
        legend = Legend.from_json(report["legend"])
        pairs = {
            int(r["code"]): (r["from"], r["to"]) for r in report["transitions"] if r["kind"] != "unknown"
        }
        paths = [Path(report[which]["path"]) for which in ("before", "after")]
        told = [(report.get("dates") or {}).get(which) for which in ("before", "after")]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("not the report of a change", where=folder / CHANGE, why=str(error)) from None
    _refuse(job, "before", "legend", "crosswalk", *_OF_MAPS)
    scene = open_scene(folder / RASTER, categorical=True, **job.reading)
    dates = _dates(job, cutoff, paths, told)
    forests, said = _forests(job.loss_of, legend)
    k, names = len(legend), list(legend.names)
    most = max([*pairs, 0]) + 1
    table = np.full((3, most + 1), k, np.uint16)
    table[2] = UNKNOWN
    for code, (before, after) in pairs.items():
        i, j = names.index(before), names.index(after)
        table[:, code] = i, j, 2 if i in forests and j not in forests else NO_LOSS

    def read(window: Window) -> NDArray[np.uint16]:
        (codes,), valid = scene.read(window)
        made: NDArray[np.uint16] = table[:, np.where(valid & (codes < most), codes, most)]
        return made

    return Measure(
        grid=scene.grid,
        columns=_before_and_after(legend, k + 1),
        losses=(_between(dates, cutoff),),
        sizes=(k + 1, k + 1, 3),
        reader=read,
        confidence=_confidence(job, scene.grid),
        words={"of": "change", "loss of": [names[i] for i in forests], "dates": _said(dates)},
        notes=tuple(said),
    )


def _series(job: ZonesJob, folder: Path, cutoff: date | None) -> Measure:
    """Of a series: classes at the first and last known date, and the first loss with its interval."""
    _refuse(job, "before", "legend", "crosswalk", "date", "date_before", "loss_of", *_OF_MAPS)
    report = _json(folder / SERIES)
    dates = [MapDate.parse(d["date"]) for d in report["dates"]]
    values = [int(d["value"]) for d in report["dates"]]
    if not (folder / "first_loss.tif").is_file():
        raise InputError("no first loss in this series", where=folder, hint="geoseg series with `loss_of`")
    first, last = (open_class_map(folder / f"classes_{w}.tif", **job.reading) for w in ("first", "last"))
    united = UnitedMaps.of([first, last])
    legend, k = united.legend, len(united.legend)
    scenes = {
        n: open_scene(folder / f"{n}.tif", **job.reading) for n in ("first_loss", "first_seen", "last_seen")
    }
    gap = open_scene(folder / "gap.tif", **job.reading)
    is_forest = np.zeros(k + 1, np.bool_)
    is_forest[[legend.classes.index(legend.find(name)) for name in report["loss"]["of"]]] = True
    steps, losses = _steps(dates, cutoff)
    seen_late = np.array([cutoff is None or d.last > cutoff for d in dates])

    def number(name: str, window: Window) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        (pixels,), valid = scenes[name].read(window)
        place = np.searchsorted(values, pixels)
        found = valid & (pixels > 0)
        return np.where(found, np.minimum(place, len(values) - 1), 0), found

    def read(window: Window) -> NDArray[np.uint16]:
        classes = united.read(window).astype(np.uint16)
        lost_at, lost = number("first_loss", window)
        first_at, known = number("first_seen", window)
        last_at, _ = number("last_seen", window)
        (skipped,), _ = gap.read(window)
        began = np.clip(lost_at - 1 - np.where(lost, skipped, 0).astype(np.int64), 0, len(values) - 1)
        # without a loss: seen once, not seen after the cut-off, or first seen after it and no forest then
        unseen = ~known | (first_at == last_at)
        if cutoff is not None:
            unseen |= ~seen_late[last_at] | (seen_late[first_at] & ~is_forest[classes[0]])
        code = np.where(lost, steps[began, lost_at], np.where(unseen, UNKNOWN, NO_LOSS))
        return np.stack([*classes, code.astype(np.uint16)])

    return Measure(
        grid=united.grid,
        columns=_before_and_after(legend, k + 1),
        losses=losses,
        sizes=(k + 1, k + 1, len(losses) + 2),
        reader=read,
        confidence=_confidence(job, united.grid),
        events=Events(path=folder / EVENTS, grid=united.grid) if (folder / EVENTS).is_file() else None,
        words={
            "of": "series",
            "loss of": report["loss"]["of"],
            "definition": report["loss"]["definition"],
            "dates": [d.text for d in dates],
        },
    )


def _steps(dates: Sequence[MapDate], cutoff: date | None) -> tuple[NDArray[np.int64], tuple[Loss, ...]]:
    """(code by the dates before and of a loss, what the codes from 2 on mean)."""
    codes = np.zeros((len(dates), len(dates)), np.int64)
    losses: list[Loss] = []
    for i, begin in enumerate(dates):
        for j in range(i + 1, len(dates)):
            codes[i, j] = len(losses) + 2
            losses.append(_between((begin, dates[j]), cutoff))
    return codes, tuple(losses)


def _between(dates: tuple[MapDate, MapDate] | None, cutoff: date | None) -> Loss:
    """Loss that came after the map of the one date, and before that of the other."""
    if dates is None:
        return Loss(after=True, date=None)
    begin, end = dates
    after = True if cutoff is None or begin.last >= cutoff else False if end.last <= cutoff else None
    return Loss(after=after, date=end)


def _dates(
    job: ZonesJob,
    cutoff: date | None,
    paths: Sequence[Path] | None = None,
    told: Sequence[str | None] = (None, None),
) -> tuple[MapDate, MapDate] | None:
    """Dates of the two maps; None where they are not known and no cut-off asks for them."""
    paths = paths or [p for p in (job.before, job.source) if p is not None]
    found = []
    given_dates = [said or known for said, known in zip((job.date_before, job.date), told, strict=True)]
    for given, path, option in zip(given_dates, paths, ("date_before", "date"), strict=True):
        try:
            if given is None and not path.exists():
                named = MapDate.found_in(path.stem) or MapDate.found_in(path.absolute().parent.name)
                if len(named) != 1:
                    raise InputError("the date of this map is not known", where=path)
                found.append(named[0])
            else:
                found.append(MapDate.parse(given) if given is not None else date_of(path)[0])
        except InputError as error:
            if cutoff is None:
                return None
            raise InputError(
                error.what, where=error.where, why=error.why, hint=f"`{option}=2020-12-31`"
            ) from None
    if found[0] >= found[1]:
        raise InputError(
            "the map before is not the earlier one",
            where=paths[0],
            why=f"{found[0].text} against {found[1].text}",
            hint="`before` and the map the other way round, or `date` and `date_before`",
        )
    return found[0], found[1]


def _said(dates: tuple[MapDate, MapDate] | None) -> list[str]:
    return [] if dates is None else [d.text for d in dates]


def _forests(wanted: Sequence[str], legend: Legend) -> tuple[list[int], list[str]]:
    """(positions of the classes whose loss counts, notes)."""
    classes = [c for name in wanted for c in legend.find_all(name)] or list(legend.forests())
    if not classes or len(set(classes)) == len(legend):
        raise UsageError(
            "which loss counts has to be said",
            why=f"classes are {', '.join(legend.names)}",
            hint="`loss_of=CLASS`",
        )
    said = [] if wanted else [f"loss of {', '.join(c.name for c in classes)} counts (`loss_of` names others)"]
    return sorted({legend.classes.index(c) for c in classes}), said


def _before_and_after(legend: Legend, size: int) -> dict[str, tuple[int, NDArray[np.bool_]]]:
    return {
        f"{when}_{name}_ha": (layer, _only(size, i))
        for layer, when in enumerate(("before", "after"))
        for i, name in enumerate(legend.names)
    }


def _only(size: int, code: int) -> NDArray[np.bool_]:
    found = np.zeros(size, np.bool_)
    found[code] = True
    return found


def _confidence(job: ZonesJob, grid: Grid) -> Scene | None:
    if job.confidence is None:
        return None
    reading: ReadingOptions = {**job.reading, "nodata": None}
    scene = open_scene(job.confidence, **reading)
    why = grid.difference(scene.grid) or (None if scene.count == 1 else f"{scene.count} bands, expected one")
    if why:
        raise InputError("not the confidence of this map", where=job.confidence, why=why)
    return scene


def _refuse(job: ZonesJob, *names: str) -> None:
    for name in names:
        if getattr(job, name) not in (None, ()):
            raise UsageError(
                f"`{name}` is for class maps", where=job.source, why="this is made of such already"
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("cannot be read", where=path, why=str(error)[:200]) from None
    if not isinstance(content, dict):
        raise InputError("cannot be read", where=path, why="not a mapping")
    return content
