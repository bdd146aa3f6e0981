"""The verb sample_design: strata, allocation, and a sample drawn into a file."""

from __future__ import annotations

import datetime
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import shapely
from pyproj import Transformer

from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.execution import Where
from geoseg.execution.manifest import add_files
from geoseg.geometry import Grid
from geoseg.job import takes
from geoseg.options import SampleDesignOptions
from geoseg.raster.classmap import ClassMap
from geoseg.results import json_ready
from geoseg.sampling.allocation import (
    ALLOCATIONS,
    BY_HAND,
    Expectation,
    allocate,
    errors_of_simple,
    expected_errors,
    relative_shares,
    required_units,
)
from geoseg.sampling.draw import Place, on_lattice, permutation_prefix, places, random_key, unit_id
from geoseg.sampling.file import is_sample, read_sample, require_sample_name, write_sample
from geoseg.sampling.job import SampleDesignJob
from geoseg.sampling.layout import Answer, DesignInfo, Drawn, Label, MapClass, Sample, Stratum, Unit
from geoseg.sampling.population import BLOCK, Census, Population, count_pixels
from geoseg.sampling.result import Option, SampleDesign
from geoseg.sampling.strata import (
    ASSUMED,
    Part,
    by_hand,
    expectation,
    find_class,
    notes_of,
    open_population,
    parts_of,
)
from geoseg.version import __version__

EVERYTHING = "everything"
"""Name of the one stratum of a sample without strata."""

_MINIMUM, _LEAST = 50, 2
_Z = 1.959964
_CORNERS = 32


@takes(SampleDesignJob)
def sample_design(
    classes: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    **options: Unpack[SampleDesignOptions],
) -> SampleDesign:
    """Design of a probability sample of a class map, drawn into a GeoPackage to be labelled in QGIS.

    Parameters
    ----------
    classes
        The class map, or ``change.tif``.
    out
        GeoPackage; without it the allocations are compared and nothing is drawn.
    workers, threads, scheduler
        As in `geoseg.predict`.
    overwrite
        Replace a file of that name.
    **options
        The further fields of `SampleDesignJob`.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        Before anything is written.
    """
    job = SampleDesignJob.parse({"classes": classes, **({} if out is None else {"out": out}), **options})
    return run_sample_design(job, where=Where.parse(workers, scheduler, threads), overwrite=overwrite)


def run_sample_design(
    job: SampleDesignJob, *, where: Where | None = None, overwrite: bool = False
) -> SampleDesign:
    """Design of a job; see `sample_design`."""
    if job.out is not None:
        _check_output(job, job.out, overwrite)
    population, notes = open_population(job)
    census = count_pixels(population, where=where, block=job.tile or BLOCK)
    notes += notes_of(population, census)
    parts = parts_of(population, census)
    expected = expectation(parts, population, job)
    goal = None
    if job.target_class is not None:
        goal = find_class(population.merged.legend, job.target_class)
    strata = parts if job.method == "stratified" else [_everything(parts)]
    options, chosen = _options(job, population, parts, expected, goal)
    units = options[chosen].n
    advice = []  # of the design alone: what is estimated later does not need it
    if job.expect is None and job.method != "two-stage":
        advice.append(
            f"expected errors assume that every stratum is {100 * ASSUMED:g} % right; `expect` says better"
        )
    earlier = None if job.extend is None else _earlier(job.extend, job, population, strata)
    if earlier is not None:
        units = tuple(max(n, old.n) for n, old in zip(units, earlier.strata, strict=True))
    notes += _doubts(job, strata, units, options[chosen], goal)
    described = tuple(
        Stratum(
            stratum=h,
            name=part.name,
            pixels=part.pixels,
            hectares=part.hectares,
            n=n,
            allocation=chosen,
            expected_share=None if len(part.cells) > 1 else float(expected.correct[h - 1]),
        )
        for h, (part, n) in enumerate(zip(strata, units, strict=True), 1)
    )
    if job.out is not None:
        draw = _Draw(job=job, population=population, census=census, where=where)
        drawn = draw.all(strata, units)
        described = tuple(replace(s, n=sum(d.stratum == s.stratum for d in drawn)) for s in described)
        info = _info(job, population, census, parts, expected, notes, drawn)
        sample = _sample(drawn, described, info, population, job, earlier)
        write_sample(job.out, sample, overwrite=overwrite)
        add_files("sample_design", [job.out])
    return SampleDesign(
        path=job.out,
        n=sum(s.n for s in described),
        strata=described,
        legend=population.merged.legend,
        options=options,
        chosen=chosen,
        hectares=sum(p.hectares for p in parts),
        kept=0 if earlier is None else len(earlier.units),
        notes=(*notes, *advice),
    )


def map_digest(opened: ClassMap) -> str:
    """SHA-256 of what identifies a map's content, whatever its file is called."""
    known = opened.scene.fingerprint()
    files = [{k: v for k, v in f.items() if k not in ("name", "mtime_ns")} for f in known["files"]]
    text = json.dumps({**known, "files": files}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_output(job: SampleDesignJob, out: Path, overwrite: bool) -> None:
    require_sample_name(out, overwrite=overwrite, inputs=job.inputs())
    if is_sample(out) and (said := sum(u.answer.state != "left" for u in read_sample(out).units)):
        raise OutputConflictError(
            f"{said:,} units of this sample are labelled",
            where=out,
            why="a new sample in its place would lose that",
            hint="another `out`, `extend` to keep them and add to them, or remove the file",
        )


def _everything(parts: Sequence[Part]) -> Part:
    return Part(
        name=EVERYTHING,
        cells=tuple(cell for part in parts for cell in part.cells),
        pixels=sum(p.pixels for p in parts),
        hectares=sum(p.hectares for p in parts),
    )


def _options(
    job: SampleDesignJob,
    population: Population,
    parts: Sequence[Part],
    expected: Expectation,
    goal: int | None,
) -> tuple[dict[str, Option], str]:
    """Allocations side by side, and which one was chosen."""
    if job.method == "two-stage":
        return {job.method: Option(n=(job.n or 0,), errors=None)}, job.method
    target = _target(job, expected, goal)
    if job.method != "stratified":
        n = job.n or _simple_size(target, expected, goal)
        if n > expected.pixels.sum():
            raise UsageError(f"{n:,} units of {expected.pixels.sum():,} pixels", hint="a smaller `n`")
        return {job.method: Option(n=(n,), errors=errors_of_simple(n, expected))}, job.method
    pixels = expected.pixels
    shares = {kind: relative_shares(kind, expected, goal=goal, power=job.power) for kind in ALLOCATIONS}
    options: dict[str, Option] = {}
    chosen: str = job.allocation
    if job.n_per_stratum is not None:
        chosen, counts = BY_HAND, np.array(by_hand(parts, population, job), np.int64)
        options[chosen] = Option(n=tuple(counts.tolist()), errors=expected_errors(counts, expected))
        total = int(counts.sum())
    else:
        total = job.n or 0
    minimum = _minimum(job, total, len(parts))
    if target is not None:
        total = required_units(target, shares[job.allocation], expected.deviations(goal), pixels, minimum)
    for kind, share in shares.items():
        if kind == "power" and chosen != "power" and job.power in (0, 1):
            continue
        counts = allocate(total, share, pixels, minimum)
        options[kind] = Option(n=tuple(counts.tolist()), errors=expected_errors(counts, expected))
    return options, chosen


def _minimum(job: SampleDesignJob, total: int, strata: int) -> int:
    if job.minimum is not None:
        return job.minimum
    return max(_LEAST, min(_MINIMUM, total // (2 * strata))) if total else _MINIMUM


def _target(job: SampleDesignJob, expected: Expectation, goal: int | None) -> float | None:
    """Standard error that is wanted; None where the number of units is given."""
    if job.target_half_width is None:
        return job.target_se
    area = float(expected.areas[goal])
    if area == 0:
        raise UsageError(
            f"nothing of {job.target_class!r} is expected",
            why="a relative half width of no area cannot be reached",
            hint="`expect` with its shares, or `target_se`",
        )
    return job.target_half_width * area / _Z


def _simple_size(target: float | None, expected: Expectation, goal: int | None) -> int:
    share = expected.weights @ expected.correct if goal is None else expected.areas[goal]
    return int(np.ceil(share * (1 - share) / (target or 1) ** 2)) + 1


def _doubts(
    job: SampleDesignJob,
    strata: Sequence[Part],
    units: Sequence[int],
    option: Option,
    goal: int | None,
) -> list[str]:
    """What the user should know of an allocation."""
    notes = []
    whole = [p.name for p, n in zip(strata, units, strict=True) if n == p.pixels]
    if whole:
        notes.append(f"taken whole: {', '.join(whole)}")
    few = [f"{p.name} ({n})" for p, n in zip(strata, units, strict=True) if n < min(20, p.pixels)]
    if few and job.method == "stratified":
        notes.append(
            f"few units in {', '.join(few)}: intervals of rare classes will be too narrow; "
            "`minimum` gives them more"
        )
    if option.errors is not None and job.target_se is not None:
        reached = option.errors.overall if goal is None else float(option.errors.areas[goal])
        notes.append(
            f"{sum(units):,} units for a standard error of {job.target_se:g}: expected {reached:.5f}"
        )
    if job.plot is not None and job.unit != "pixel":
        notes.append("the stratum and map class of a plot are those of the pixel in its middle")
    return notes


def _earlier(path: Path, job: SampleDesignJob, population: Population, strata: Sequence[Part]) -> Sample:
    """The sample to be extended; InputError if it was drawn otherwise."""
    earlier = read_sample(path)
    info = earlier.info
    for what, old, new in (
        ("seed", info.seed, job.seed),
        ("method", info.method, job.method),
        ("unit", info.unit, job.unit),
        ("map", info.map_digest, map_digest(population.map)),
        ("strata", [(s.name, s.pixels) for s in earlier.strata], [(p.name, p.pixels) for p in strata]),
        ("classes", info.legend.names, population.merged.legend.names),
    ):
        if old != new:
            detail = "their content differs" if what == "map" else f"{old} against {new}"
            raise InputError(
                f"was drawn with another {what}",
                where=path,
                why=detail,
                hint="the options with which it was drawn, and a larger `n`; its design_info has them",
            )
    return earlier


@dataclass(frozen=True, kw_only=True)
class _Pixel:
    """A drawn pixel with its design."""

    stratum: int
    stream: str
    rank: int
    place: Place
    p: float
    psu: int | None = None
    stage1_p: float | None = None
    stage2_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Draw:
    """Pixels drawn at random from a population."""

    job: SampleDesignJob
    population: Population
    census: Census
    where: Where | None

    def all(self, strata: Sequence[Part], units: Sequence[int]) -> list[_Pixel]:
        """Pixels by the method that was asked for."""
        if self.job.method == "two-stage":
            return self.tiles()
        if self.job.method == "systematic":
            return self.lattice(strata[0].pixels, units[0])
        return self.strata(strata, units)

    def lattice(self, pixels: int, n: int) -> list[_Pixel]:
        """Pixels of a lattice with a random first one, as wide as gives `n` of them or a few more."""
        step = max(int(np.sqrt(pixels / n)), 1)
        (start,) = permutation_prefix(self.job.seed, "lattice", step * step, 1)
        found = on_lattice(self.population, self.census, step, divmod(start, step), where=self.where)
        return [
            _Pixel(stratum=1, stream="lattice", rank=rank, place=place, p=1 / step**2)
            for rank, place in enumerate(found)
        ]

    def strata(self, strata: Sequence[Part], units: Sequence[int]) -> list[_Pixel]:
        """Pixels of every stratum."""
        drawn = []
        for h, (part, n) in enumerate(zip(strata, units, strict=True), 1):
            numbers = permutation_prefix(self.job.seed, part.name, part.pixels, n)
            found = places(self.population, self.census, part.cells, numbers, where=self.where)
            drawn += [
                _Pixel(stratum=h, stream=part.name, rank=rank, place=place, p=n / part.pixels)
                for rank, place in enumerate(found)
            ]
        return drawn

    def tiles(self) -> list[_Pixel]:
        """Pixels of tiles that were drawn first."""
        tiles, first = np.unique(self.census.blocks, return_index=True)
        begins = np.concatenate([[0], np.cumsum(self.census.counts)])
        begin, end = begins[first], begins[np.append(first[1:], len(self.census.counts))]
        wanted, n = self.job.tiles or 0, self.job.n or 0
        if wanted > len(tiles):
            raise UsageError(f"{wanted} tiles of {len(tiles)}", hint="smaller `tile`, or fewer `tiles`")
        cells = range(self.population.count)
        drawn: list[_Pixel] = []
        for i, t in enumerate(permutation_prefix(self.job.seed, "tiles", len(tiles), wanted)):
            size = int(end[t] - begin[t])
            count = min(n // wanted + (i < n % wanted), size)
            stream = f"tile {tiles[t]}"
            numbers = [int(begin[t]) + k for k in permutation_prefix(self.job.seed, stream, size, count)]
            first_p, second_p = wanted / len(tiles), count / size
            found = places(self.population, self.census, cells, numbers, where=self.where)
            drawn += [
                _Pixel(
                    stratum=1,
                    stream=stream,
                    rank=len(drawn) + k,
                    place=place,
                    p=first_p * second_p,
                    psu=int(tiles[t]),
                    stage1_p=first_p,
                    stage2_p=second_p,
                )
                for k, place in enumerate(found)
            ]
        return drawn


def _sample(
    drawn: Sequence[_Pixel],
    strata: tuple[Stratum, ...],
    info: DesignInfo,
    population: Population,
    job: SampleDesignJob,
    earlier: Sample | None,
) -> Sample:
    """Units in random order, those of an earlier sample first and with what was said of them."""
    ids = [unit_id(job.seed, d.stream, d.rank) for d in drawn]
    if len(set(ids)) < len(ids):
        raise InputError("two units have one id", hint="another `seed`")
    said = {} if earlier is None else {u.id: u for u in earlier.units}
    order = sorted(
        range(len(drawn)),
        key=lambda i: (
            said[ids[i]].order if ids[i] in said else len(said) + 1,
            random_key(job.seed, drawn[i].stream, drawn[i].rank),
        ),
    )
    lon, lat = _centres(population.grid, drawn)
    outlines = _outlines(population.grid, drawn, job)
    units = [
        Unit(
            id=ids[i],
            order=number,
            psu=drawn[i].psu,
            lon=float(lon[i]),
            lat=float(lat[i]),
            geometry=outlines[i],
            answer=said[ids[i]].answer if ids[i] in said else Answer(),
        )
        for number, i in enumerate(order, 1)
    ]
    design = [
        Drawn(
            id=ids[i],
            stratum=drawn[i].stratum,
            rank=drawn[i].rank,
            map_class=population.class_of(drawn[i].place.cell),
            p_inclusion=drawn[i].p,
            weight=1 / drawn[i].p,
            area_m2=drawn[i].place.area,
            stage1_p=drawn[i].stage1_p,
            stage2_p=drawn[i].stage2_p,
        )
        for i in order
    ]
    units, labels = _dealt(units, job, earlier)
    return Sample(
        units=tuple(units),
        labels=labels,
        design=tuple(design),
        strata=strata,
        info=info,
        crs_wkt=population.map.crs_wkt,
    )


def _dealt(
    units: list[Unit], job: SampleDesignJob, earlier: Sample | None
) -> tuple[list[Unit], tuple[Label, ...]]:
    """Units dealt out to the interpreters: a share to all of them, the rest in turn."""
    people = job.people
    kept = () if earlier is None else earlier.labels
    if len(people) < 2:
        if people:
            units = [_asked(u, people) if u.answer.interpreter is None else u for u in units]
        return units, kept
    had = {label.id for label in kept}
    new = [u for u in units if u.id not in had]
    common = int(np.ceil(job.overlap * len(new) - 1e-9))
    turns = {u.id: people if i < common else (people[(i - common) % len(people)],) for i, u in enumerate(new)}
    labels = [
        Label(id=i, answer=Answer(interpreter=person)) for i, asked in turns.items() for person in asked
    ]
    return [_asked(u, turns[u.id]) if u.id in turns else u for u in units], (*kept, *labels)


def _asked(unit: Unit, people: Sequence[str]) -> Unit:
    return replace(unit, answer=replace(unit.answer, interpreter=", ".join(people)))


def _centres(grid: Grid, drawn: Sequence[_Pixel]) -> tuple[Any, Any]:
    """Longitudes and latitudes on WGS 84."""
    rows = np.array([d.place.row for d in drawn]) + 0.5
    cols = np.array([d.place.col for d in drawn]) + 0.5
    transformer = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    lon, lat = transformer.transform(*grid.corner(rows, cols))
    return lon, lat


def _outlines(grid: Grid, drawn: Sequence[_Pixel], job: SampleDesignJob) -> list[bytes]:
    """Pixels or plots as well-known binary."""
    side = (job.plot or 1) / 2
    if job.unit.startswith("circle"):
        angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        across, down = side * np.cos(angle), side * np.sin(angle)
    else:
        across, down = side * np.array([-1, 1, 1, -1]), side * np.array([-1, -1, 1, 1])
    rows = np.array([d.place.row for d in drawn])[:, None] + 0.5 + down
    cols = np.array([d.place.col for d in drawn])[:, None] + 0.5 + across
    rings = np.stack(grid.corner(rows, cols), axis=-1)
    outlines: list[bytes] = shapely.to_wkb(shapely.polygons(rings)).tolist()
    return outlines


def _info(
    job: SampleDesignJob,
    population: Population,
    census: Census,
    parts: Sequence[Part],
    expected: Expectation,
    notes: Sequence[str],
    drawn: Sequence[_Pixel],
) -> DesignInfo:
    legend = population.merged.legend
    pixels, hectares = dict.fromkeys(legend.ids, 0), dict.fromkeys(legend.ids, 0.0)
    for part in parts:
        number = population.class_of(part.cells[0])
        pixels[number] += part.pixels
        hectares[number] += part.hectares
    further: dict[str, Any] = {
        "job": job.model_dump(mode="json", exclude_none=True),
        "expected_shares": {p.name: row for p, row in zip(parts, expected.shares.tolist(), strict=True)},
    }
    if job.method == "two-stage":
        further |= {
            "tile": job.tile,
            "tiles": len({d.psu for d in drawn}),
            "tiles_in_population": len(np.unique(census.blocks)),
        }
    return DesignInfo(
        seed=job.seed,
        method=job.method,
        unit=job.unit,
        map=job.classes.name,
        map_digest=map_digest(population.map),
        grid=population.grid.to_json(),
        legend=legend,
        classes=tuple(MapClass(id=i, pixels=pixels[i], hectares=hectares[i]) for i in legend.ids),
        version=__version__,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=_command(job),
        notes=tuple(notes),
        further=json_ready(further),
    )


def _command(job: SampleDesignJob) -> str:
    """The call that repeats the design; mappings stand in it as JSON, which YAML files may hold."""
    words = ["geoseg", "sample", "design", str(job.classes)]
    given: Mapping[str, Any] = job.model_dump(mode="json", exclude_defaults=True)
    for name, value in given.items():
        if name == "classes":
            continue
        flag = "--min" if name == "minimum" else f"--{name.replace('_', '-')}"
        words += [flag, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    return shlex.join(words)
