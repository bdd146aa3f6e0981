"""Plans: what a prediction would cost, before any of it runs."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from geoseg.engines.admission import admit, completed, open_for
from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision
from geoseg.engines.engine import Engine, Tiles
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.int8 import restore_int8, settle_int8, tiles_wanted
from geoseg.engines.network_file import sound_file
from geoseg.engines.opening import find_engine, open_segment_engine
from geoseg.engines.probing import settle
from geoseg.engines.segments import SegmentEngine
from geoseg.errors import GeosegError, InputError, ResourceError, UsageError
from geoseg.execution.where import Where
from geoseg.files import nearest_existing, write_durably
from geoseg.geometry import Grid, TilePlan, in_words, plan_tiles
from geoseg.models.architectures import PROMPTED
from geoseg.prediction.clouds import Clouds
from geoseg.prediction.engine import asked_engine, sample_tiles
from geoseg.prediction.job import PredictJob, objects_name
from geoseg.prediction.novelty import check_experience
from geoseg.prediction.stitch import cut_tile
from geoseg.raster.burn import to_pixel_coordinates
from geoseg.raster.datasource import layers_of
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.scene import Scene
from geoseg.raster.vectors import read_vector, valid_polygons
from geoseg.results import as_json
from geoseg.writers.formats import format_of


@dataclass(frozen=True, kw_only=True)
class OpenedJob:
    """A job with its files opened and checked against each other.

    Attributes
    ----------
    ensemble
        The job's bundles and views.
    notes
        What the user should know: about the scene, and what an input contract would have refused.
    aoi
        Polygons of the area of interest in global pixel coordinates; None means everywhere.
    """

    job: PredictJob
    scene: Scene
    ensemble: Ensemble
    tiling: TilePlan
    notes: tuple[str, ...]
    aoi: tuple[Any, ...] | None = None

    @cached_property
    def chunks(self) -> Sequence[int]:
        """Indices of the chunks that can hold an answer: all, or those that the area of interest touches."""
        if self.aoi is None:
            return range(self.tiling.chunks)
        import shapely

        (high, wide), (rows, cols) = self.tiling.chunk, self.tiling.chunk_grid
        found: set[int] = set()
        for shape in self.aoi:
            left, top, right, bottom = shape.bounds
            across, down = _touched(left, right, wide, cols), _touched(top, bottom, high, rows)
            shapely.prepare(shape)
            found |= {
                row * cols + col
                for row, col in itertools.product(down, across)
                if shape.intersects(shapely.box(col * wide, row * high, (col + 1) * wide, (row + 1) * high))
            }
        return sorted(found)

    @cached_property
    def tiles(self) -> int:
        """Forward passes of one network over these chunks, at most."""
        if self.aoi is None:
            return self.tiling.forward_tiles
        return sum(len(self.tiling.tiles_of(self.tiling.chunk_at(index))) for index in self.chunks)

    @property
    def area(self) -> int:
        """Pixels of these chunks."""
        if self.aoi is None:
            return self.tiling.height * self.tiling.width
        return sum(self.tiling.chunk_at(index).window.area for index in self.chunks)

    @property
    def batch(self) -> int:
        """Tiles per forward pass: asked for, or as many as make one million pixels; of prompts, one."""
        if self.job.batch is not None:
            return self.job.batch
        if self.job.everything is not None:
            return 1
        return max(min(1024**2 // math.prod(self.tiling.tile), 8), 1)

    @property
    def forward_ratio(self) -> float:
        """Forward-pixels per scene-pixel, over all bundles and views."""
        return self.tiling.forward_ratio * self.ensemble.forwards


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Cost of a prediction.

    Attributes
    ----------
    memory
        Bytes that one worker needs besides the networks: pixels of a chunk with its halo, labels, sums.
    engine_memory
        Bytes that all networks together took in the probe; None without a probe.
    disk
        Most bytes that the outputs can take (they are compressed, so usually far less).
    seconds
        Expected time of all forward passes on these workers; None without a probe.
    engine
        Identity of the engine that was probed.
    """

    request: OpenedJob
    memory: int
    engine_memory: int | None
    disk: int
    seconds: float | None
    engine: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready; of the request, what it says of the work."""
        asked, tiling = self.request, self.request.tiling
        request = {
            "grid": asked.scene.grid,
            "bands": asked.scene.band_names,
            "models": [f"{b.name} {b.version}" for b in asked.ensemble.bundles],
            "tiling": {**asdict(tiling), "tiles": asked.tiles, "chunks": len(asked.chunks)},
            "batch": asked.batch,
            "forward_pixels_per_pixel": asked.forward_ratio,
            "notes": asked.notes,
        }
        return as_json(self, request=request)


def open_job(job: PredictJob, clouds: Clouds | None = None) -> OpenedJob:
    """Scene, bundles and tile plan of a job, checked against each other.

    Parameters
    ----------
    job
        What to predict.
    clouds
        Those that the job asks for, once they are mapped.

    Raises
    ------
    InputError
        The scene cannot be read, or a bundle's input contract refuses it.
    UsageError
        Bundles that cannot be averaged, or a tile plan that cannot work.
    """
    ensemble = Ensemble.load(job.models, tta=job.tta, task=job.task)
    if job.novelty:
        check_experience(ensemble.bundles)
    if job.everything is not None and ensemble.task != "promptable":
        raise UsageError(
            f"model {ensemble.name} answers no prompts",
            why=f"it is {ensemble.task}",
            hint="no `everything`, or a promptable model",
        )
    if ensemble.task != "semantic":
        _check_objects(job, ensemble)
    elif job.square is not None:
        raise UsageError(
            f"model {ensemble.name} finds no objects that could be squared",
            why="it gives every pixel a class",
            hint="geoseg vectorize, which squares the polygons of its map",
        )
    reading: ReadingOptions = {**job.reading, **({} if clouds is None else clouds.reading)}
    without = job.without or ()
    scene = open_for(ensemble.bundles[0].contract.without(without), job.scene, job.bands, reading)
    notes = admit(ensemble.bundles, scene, override=job.force, without=without)
    if without:
        scene, said = completed(ensemble.bundles, scene, without)
        notes = (*notes, said)
    if ensemble.task != "semantic":
        _check_format(job, scene.grid)
    if job.clouds is not None:
        first = "clouds are mapped first, by a model and at a cost of their own"
        notes = (*notes, first if clouds is None else clouds.remark)
    tiling = plan_tiles(
        scene.grid.height,
        scene.grid.width,
        tile=job.tile if job.everything is None else job.tile or _tile_of_everything(ensemble),
        margin=ensemble.margin if job.margin is None else job.margin,
        chunk=job.chunk,
        stitch=job.stitch,
        multiple=ensemble.size_multiple,
    )
    of_aoi: list[str] = []
    aoi = _aoi(job.aoi, scene.grid, of_aoi)
    return OpenedJob(
        job=job,
        scene=scene,
        ensemble=ensemble,
        tiling=tiling,
        notes=(*scene.notes, *notes, *of_aoi),
        aoi=aoi,
    )


def _tile_of_everything(ensemble: Ensemble) -> int:
    """Side of the tiles in which a promptable bundle looks for all objects."""
    return PROMPTED.get(ensemble.bundles[0].architecture.name, max(PROMPTED.values()))


def _check_objects(job: PredictJob, ensemble: Ensemble) -> None:
    """UsageError where a job asks what a model of objects has no answer for."""
    name = ensemble.name
    semantic = ", or `task=semantic`" if "semantic" in ensemble.bundles[0].tasks else ""
    if ensemble.task == "promptable" and job.everything is None:
        raise UsageError(
            f"model {name} answers prompts",
            why="points or boxes that say where",
            hint="geoseg prompt, or `everything=32` for all objects, from a point every 32 pixels",
        )
    if job.stitch != "crop":
        raise UsageError(
            f"objects cannot be stitched by {job.stitch}",
            why=f"{name} finds objects",
            hint=f"`stitch=crop`{semantic}",
        )
    if job.novelty:
        raise UsageError(f"model {name} finds objects, which have no novelty", hint=f"no `novelty`{semantic}")
    if job.precision == "int8":
        raise UsageError(
            f"{ensemble.task} models are not computed in int8",
            why=f"{name} is one",
            hint=f"another `precision`{semantic}",
        )
    if not find_engine(EngineChoice(name=job.engine)).detector:
        raise UsageError(f"engine {job.engine} runs no networks of objects", hint=f"`engine=torch`{semantic}")


def _check_format(job: PredictJob, grid: Grid) -> None:
    """UsageError for a format that cannot hold objects in the scene's own CRS."""
    path = Path(objects_name(job.objects_format))
    if format_of(path).is_lonlat and grid.crs.to_epsg() != 4326:
        raise UsageError(
            f"{path.suffix} is always in longitude and latitude on WGS 84",
            why=f"objects are in the CRS of the scene, {grid.crs.name}",
            hint="`objects_format=gpkg`, shp, fgb or parquet",
        )


def _touched(first: float, last: float, size: int, count: int) -> range:
    """Chunks along an axis that an interval of pixels touches."""
    return range(int(max(first, 0) // size), math.ceil(min(last / size, count)))


def _aoi(path: Path | None, grid: Grid, notes: list[str]) -> tuple[Any, ...] | None:
    """Polygons of the area of interest in global pixel coordinates."""
    if path is None:
        return None
    if len(layers := layers_of(path)) > 1:
        raise InputError(
            f"an area of interest in one of {len(layers)} layers",
            where=path,
            why=f"found {', '.join(layers)}",
            hint="a file of one layer: ogr2ogr OUTPUT.gpkg INPUT LAYER",
        )
    layer = read_vector(path, columns=[], notes=notes)
    valid_polygons(np.asarray(layer.geometry.array, object), path, repair=None, notes=notes)
    try:
        shapes = to_pixel_coordinates(layer, grid).geometry
    except InputError as error:
        raise InputError(error.what, where=path, why=error.why, hint=error.hint) from None
    x0, y0, x1, y1 = shapes.total_bounds
    if x1 <= 0 or y1 <= 0 or x0 >= grid.width or y0 >= grid.height:
        raise InputError(
            "area of interest lies outside the scene",
            where=path,
            why=f"columns {x0:.0f} to {x1:.0f}, rows {y0:.0f} to {y1:.0f}; "
            f"the scene has {grid.width} columns and {grid.height} rows",
            hint="a layer that overlaps the scene, with its CRS set",
        )
    return tuple(shape for shape in shapes if not shape.is_empty)


def settle_engine(opened: OpenedJob, where: Where) -> Decision:
    """The engine of a run, measured on the scene's own tiles where that pays, in int8 always.

    See `settle` and `settle_int8`. Workers of a running scheduler are other machines: what is open is then
    left to the default, and the ledger sees to it that all workers come to the same.
    """
    tiling, ensemble = opened.tiling, opened.ensemble
    if opened.job.precision == "int8":
        return settle_int8(asked_engine(opened.job, where), ensemble, tiling.tile, _int8_tiles(opened))
    timed = ensemble.task == "semantic" and not where.scheduler
    forwards = opened.tiles * ensemble.forwards if timed else 0
    asked = asked_engine(opened.job, where)
    return settle(asked, ensemble, tiling.tile, forwards, partial(sample_tiles, opened.scene, tiling))


def restore_engine(opened: OpenedJob, decision: Decision) -> None:
    """Nothing, once an earlier decision can be kept; see `restore_int8`."""
    restore_int8(decision, opened.ensemble, opened.tiling.tile, _int8_tiles(opened))


def _int8_tiles(opened: OpenedJob) -> Callable[[], Tiles | None]:
    return partial(sample_tiles, opened.scene, opened.tiling, tiles_wanted(opened.tiling.tile))


def forecast(opened: OpenedJob, where: Where, *, probe: bool = True) -> Forecast:
    """Cost of a prepared job; with `probe`, one tile is run through the networks to time it."""
    seconds, engine_memory, engine = _probe(opened, where) if probe else (None, None, None)
    workers = max(where.workers, 1)
    return Forecast(
        request=opened,
        memory=chunk_memory(opened),
        engine_memory=engine_memory,
        disk=2 * opened.area,
        seconds=None if seconds is None else seconds * opened.tiles / opened.batch / workers,
        engine=engine,
    )


def chunk_memory(opened: OpenedJob) -> int:
    """Bytes that one chunk needs besides the networks."""
    tiling, scene = opened.tiling, opened.scene
    around = tiling.tile if tiling.stitch == "blend" else (tiling.margin, tiling.margin)
    height, width = map(min, tiling.chunk, scene.grid.shape)
    held = (min(c + 2 * a, n) for c, a, n in zip(tiling.chunk, around, scene.grid.shape, strict=True))
    pixels = math.prod(held) * (scene.count * scene.dtype.itemsize + 2)
    labels = height * width * 4
    classes = len(opened.ensemble.legend)
    sums = 2 * 4 * classes * tiling.tile[0] * width if tiling.stitch == "blend" else 0
    averaged = opened.ensemble.forwards > 1  # probabilities of a batch: one answer and their sum
    answers = (2 + 4) * classes * math.prod(tiling.tile) * opened.batch if averaged else 0
    return pixels + labels + sums + answers


def check_resources(opened: OpenedJob, where: Where) -> None:
    """Refuse a plan that cannot fit into this machine's memory or the output's disk.

    Raises
    ------
    ResourceError
        With what is needed and what there is.
    """
    if not where.scheduler:
        needed = chunk_memory(opened) * max(where.workers, 1)
        available = psutil.virtual_memory().available
        if needed > available:
            smaller = max(max(opened.tiling.chunk) // 2, *opened.tiling.stride)
            raise ResourceError(
                "the plan does not fit the memory",
                why=f"chunks of {in_words(opened.tiling.chunk)} pixels need {needed / 1e9:.1f} GB, "
                f"{available / 1e9:.1f} GB are free",
                hint=f"`chunk={smaller}` or fewer `workers`",
            )
    free = shutil.disk_usage(nearest_existing(opened.job.out)).free
    # class maps compress at least tenfold; a plan that needs more than that much room is hopeless
    least = opened.area // 10
    if free < least:
        raise ResourceError(
            "the disk is too full for the outputs",
            where=opened.job.out,
            why=f"{free / 1e9:.2f} GB free, at least {least / 1e9:.2f} GB needed",
            hint="another `out`",
        )


def check_networks(opened: OpenedJob) -> None:
    """Refuse weights that do not fit their architecture, bands and classes, or that are not finite.

    What was found sound once is remembered in the user's cache: looking takes all of a deep-learning library.

    Raises
    ------
    InputError
        With the names of the weights.
    """
    for bundle in {b.digest: b for b in opened.ensemble.bundles}.values():
        if not (known := sound_file(bundle)).is_file():
            from geoseg.models.network import load_network

            load_network(bundle)
            with suppress(OSError, GeosegError):  # without a place to remember it, the next run looks again
                write_durably(known, "")


def _probe(opened: OpenedJob, where: Where) -> tuple[float, int, dict[str, Any]]:
    """(seconds per batch, bytes taken, engine identity) from real pixels of the scene's centre."""
    tiling, scene = opened.tiling, opened.scene
    choice = settle_engine(opened, where).choice
    before = psutil.Process().memory_info().rss
    ensemble = opened.ensemble
    engine: Engine | SegmentEngine
    run: Callable[[NDArray[Any]], object]
    if ensemble.task == "semantic":
        engine = labels = ensemble.open(choice)
        run = labels.classify
    else:
        engine = objects = open_segment_engine(ensemble.bundles[0], choice, everything=opened.job.everything)
        run = objects.segments
    rows, cols = tiling.lattice
    tile = tiling.tile_at(rows // 2, cols // 2)
    held = tile.window.clip(*scene.grid.shape)
    pixels, _ = scene.read(held)
    raw = np.repeat(cut_tile(pixels, held, tile, tiling)[None], opened.batch, axis=0)
    run(raw)
    started = time.perf_counter()
    run(raw)
    seconds = time.perf_counter() - started
    return seconds, max(psutil.Process().memory_info().rss - before, 0), dict(engine.identity)


def describe_grid(grid: Grid) -> str:
    """One line about a grid for people, columns x rows as every GIS has them."""
    name = grid.crs.to_authority()
    crs = ":".join(name) if name else grid.crs.name
    width, height = grid.ground_size
    return f"{grid.width} x {grid.height} pixels, {crs}, {width:.2f} x {height:.2f} m"
