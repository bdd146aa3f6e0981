"""Strata of a population: opened as a job says, each of one map class, with what is expected of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import InputError, UsageError
from geoseg.geometry import HECTARE
from geoseg.legend import LandClass, Legend, as_compared
from geoseg.raster.classmap import open_class_map
from geoseg.sampling.allocation import Expectation
from geoseg.sampling.classes import Merged, merge, unmerged
from geoseg.sampling.job import SampleDesignJob
from geoseg.sampling.population import Buffer, Census, Population
from geoseg.strict_yaml import read_yaml
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.open import open_truth

ASSUMED = 0.85
"""User's accuracy of a stratum of which nothing is expected."""

_LOSS = ("loss", "deforest", "disturb", "cleared", "clearing")
_STABLE = ("stable", "unchanged", "intact", "remaining")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stratum before units are drawn.

    Attributes
    ----------
    name
        In words.
    cells
        Of the population.
    pixels, hectares
        All of it.
    """

    name: str
    cells: tuple[int, ...]
    pixels: int
    hectares: float


def open_population(job: SampleDesignJob) -> tuple[Population, list[str]]:
    """Population of a job, and notes."""
    opened = open_class_map(job.classes, job.legend, band=job.band, crosswalk=job.crosswalk, **job.reading)
    notes = list(opened.scene.notes)
    groups = _mapping(job.strata)
    if groups is None:
        merged = unmerged(opened.legend)
    else:
        where = job.strata if isinstance(job.strata, Path) else None
        merged = merge(opened.legend, groups, where=where)
    regions = _regions(job, opened.grid, notes) if job.regions is not None else None
    buffer = _buffer(job, merged, notes) if job.buffer is not None else None
    return Population(map=opened, merged=merged, regions=regions, buffer=buffer), notes


def parts_of(population: Population, census: Census) -> list[Part]:
    """Cells that occur, each a stratum."""
    pixels, hectares = census.pixels, census.hectares
    found = np.flatnonzero(pixels).tolist()
    if not found:
        raise InputError(
            "no pixel is left to sample", where=population.map.path, why="all are nodata or left out"
        )
    return [
        Part(
            name=population.name(cell),
            cells=(cell,),
            pixels=int(pixels[cell]),
            hectares=float(hectares[cell]),
        )
        for cell in found
    ]


def notes_of(population: Population, census: Census) -> list[str]:
    """What the population is not, in words."""
    notes = []
    (no_region, left_out, _), (outside, ignored, _) = (row.tolist() for row in census.left_out)
    for pixels, units, what in (
        (left_out, ignored, f"{', '.join(c.name for c in population.merged.left_out)} (ignored)"),
        (no_region, outside, "what lies outside all regions"),
    ):
        if pixels:
            area = units * census.unit / HECTARE
            notes.append(
                f"not assessed: {what}, {pixels:,} pixels, {area:,.1f} ha; estimates speak of the rest alone"
            )
    present = {population.class_of(cell) for cell in np.flatnonzero(census.pixels).tolist()}
    absent = [c.name for c in population.merged.legend.classes if c.id not in present]
    if absent:
        notes.append(f"the map has no pixel of {', '.join(absent)}: no stratum, but labels may say it")
    if population.buffer is not None:
        cell = len(population.merged.legend)
        if population.regions is None and census.pixels[cell] == 0:
            notes.append(f"no pixel is {population.name(cell)}: there is no such stratum")
    return notes


def expectation(parts: Sequence[Part], population: Population, job: SampleDesignJob) -> Expectation:
    """What a job expects of strata; `ASSUMED` of those that it does not speak of.

    The rest of a stratum of which only the user's accuracy is known is shared among the other classes by
    their area on the map.
    """
    legend = population.merged.legend
    where = job.expect if isinstance(job.expect, Path) else None
    given = _named(_mapping(job.expect) or {}, parts, population, where)
    pixels = np.array([p.pixels for p in parts], np.int64)
    classes = np.array([legend.ids.index(population.class_of(p.cells[0])) for p in parts])
    mapped = np.bincount(classes, pixels, minlength=len(legend))
    shares = np.zeros((len(parts), len(legend)))
    for h, (own, value) in enumerate(zip(classes.tolist(), given, strict=True)):
        shares[h] = (
            _shares(value, legend, own, parts[h].name, where)
            if isinstance(value, Mapping)
            else _spread(_share(value, parts[h].name, where), own, mapped)
        )
    return Expectation(pixels=pixels, shares=shares, classes=classes)


def by_hand(parts: Sequence[Part], population: Population, job: SampleDesignJob) -> list[int]:
    """Units of each stratum as `n_per_stratum` says."""
    where = job.n_per_stratum if isinstance(job.n_per_stratum, Path) else None
    given = _named(_mapping(job.n_per_stratum) or {}, parts, population, where)
    units = []
    for part, value in zip(parts, given, strict=True):
        if value is None or isinstance(value, bool) or not str(value).isdecimal():
            found = "nothing" if value is None else repr(value)
            raise UsageError(
                f"stratum {part.name!r} has no number of units",
                where=where,
                why=f"found {found}; its {part.hectares:,.1f} ha would not be estimated",
                hint="a number for every stratum; 'ignore' in `strata` for what is not to be assessed",
            )
        if not min(2, part.pixels) <= int(value) <= part.pixels:
            raise UsageError(
                f"{value} units in stratum {part.name!r}",
                where=where,
                why="at least 2, without which nothing is known of its variance, and at most its "
                f"{part.pixels:,} pixels",
            )
        units.append(int(value))
    return units


def find_class(legend: Legend, name: str) -> int:
    """Position of a class in a legend."""
    return legend.ids.index(legend.find(name).id)


def _mapping(given: Path | Mapping[Any, Any] | None) -> Mapping[Any, Any] | None:
    return read_yaml(given) if isinstance(given, Path) else given


def _regions(job: SampleDesignJob, grid: Any, notes: list[str]) -> Truth:
    assert job.regions is not None
    file = TruthFile(
        path=job.regions,
        field=job.regions_field,
        layer=job.regions_layer,
        role="regions",
        names={"field": "regions_field", "layer": "regions_layer"},
    )
    regions = open_truth(file, grid, None)
    if regions.kind != "polygons":
        raise InputError("polygons required", where=job.regions, why=f"these are {regions.kind}")
    notes += regions.notes
    return regions


def _buffer(job: SampleDesignJob, merged: Merged, notes: list[str]) -> Buffer:
    assert job.buffer is not None
    legend = merged.legend
    around = _chosen(legend, job.buffer_around, "buffer_around", _is_loss)
    within = _chosen(legend, job.buffer_in, "buffer_in", _is_forest)
    if around == within:
        raise UsageError("the buffer is of the class it lies around", why=around.name)
    if job.buffer_around is None or job.buffer_in is None:
        notes.append(f"buffer: {within.name} within {job.buffer} pixels of {around.name}")
    return Buffer(pixels=job.buffer, around=around.id, within=within.id)


def _chosen(legend: Legend, name: str | None, option: str, fits: Any) -> LandClass:
    if name is not None:
        return legend.find(name)
    found = [c for c in legend.classes if fits(as_compared(c.name))]
    if len(found) != 1:
        which = f"it may be {', '.join(c.name for c in found)}" if found else "no name says it"
        raise UsageError(
            f"`{option}` has to be named",
            why=f"classes are {', '.join(legend.names)}; {which}",
            hint=f"`{option}=NAME`, with `strata` that puts the transitions under a few names",
        )
    return found[0]


def _is_loss(name: str) -> bool:
    return any(word in name for word in _LOSS)


def _is_forest(name: str) -> bool:
    if _is_loss(name) or "gain" in name or "non" in name or "→" in name:
        return False
    return name in {"forest", "tree cover", "trees"} or (
        "forest" in name and any(word in name for word in _STABLE)
    )


def _named(
    given: Mapping[Any, Any], parts: Sequence[Part], population: Population, where: object
) -> list[Any]:
    """Value of each stratum: under its own name, else under that of its class, else None."""
    plain = {as_compared(str(key)): value for key, value in given.items()}
    own = [as_compared(p.name) for p in parts]
    legend = population.merged.legend
    of_class = [as_compared(legend.name(population.class_of(p.cells[0]))) for p in parts]
    known = {*own, *of_class, *(as_compared(n) for n in legend.names)}
    for key in given:
        if as_compared(str(key)) not in known:
            near = difflib.get_close_matches(as_compared(str(key)), known, n=1)
            raise UsageError(
                f"no stratum {str(key)!r}",
                where=where,
                why=f"strata are {', '.join(p.name for p in parts)}",
                hint=repr(near[0]) if near else None,
            )
    return [plain.get(name, plain.get(c)) for name, c in zip(own, of_class, strict=True)]


def _share(value: Any, name: str, where: object) -> float:
    if value is None:
        return ASSUMED
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(
            f"expected share of {name!r} is no number from 0 to 1", where=where, why=f"found {value!r}"
        )
    return float(value)


def _spread(share: float, own: int, mapped: Any) -> Any:
    """A row of shares of which only one is known."""
    others = np.where(np.arange(len(mapped)) == own, 0, mapped).astype(np.float64)
    if others.sum() == 0:
        others = (np.arange(len(mapped)) != own).astype(np.float64)
    row = (1 - share) * others / max(others.sum(), 1)
    row[own] = share if others.sum() else 1.0
    return row


def _shares(value: Mapping[Any, Any], legend: Legend, own: int, name: str, where: object) -> Any:
    """A row of shares as it was given; a class itself that was not named has what is missing to 1."""
    row = np.zeros(len(legend))
    named = set()
    for key, share in value.items():
        position = find_class(legend, str(key))
        named.add(position)
        row[position] = _share(share, f"{name}: {key}", where)
    if own not in named:
        row[own] = 1 - row.sum()
    if row[own] < -1e-9 or abs(row.sum() - 1) > 1e-6:
        raise UsageError(
            f"expected shares of {name!r} do not add to 1", where=where, why=f"they add to {row.sum():g}"
        )
    return row.clip(0, 1)
