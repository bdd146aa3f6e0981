"""The verb prompt: every point and box of a layer answered once, with the outline of one object."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS

from geoseg.engines.admission import admit, open_for
from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import open_prompt_engine
from geoseg.engines.prompting import PromptEngine, promptable
from geoseg.execution.manifest import add_files
from geoseg.geometry import HECTARE
from geoseg.job import takes
from geoseg.models.bundle import Bundle, load_bundle
from geoseg.options import PromptOptions
from geoseg.outlines.coverage import Generalization
from geoseg.prompts.answers import NO_SCORE, STATUS, Answers, Progress, answer_all
from geoseg.prompts.job import PromptJob
from geoseg.prompts.layer import Asked, read_prompts
from geoseg.raster.georeference import nowhere_in_degrees
from geoseg.raster.scene import Scene
from geoseg.raster.sources import as_text
from geoseg.results import as_json
from geoseg.version import __version__
from geoseg.writers.columns import free_names
from geoseg.writers.formats import format_of
from geoseg.writers.layer import GEOMETRY, Layer
from geoseg.writers.lonlat import LONLAT, to_lonlat
from geoseg.writers.write import require_names, write_layer

_ROWS = 4096
_COLUMNS = {
    "score": pa.int32(),
    "status": pa.string(),
    "area_m2": pa.float64(),
    "pixels": pa.int64(),
    "cut": pa.int32(),
}
_JUST = 0.99  # as input contracts judge pixel sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """Prompts with what was found at them.

    Attributes
    ----------
    path, paths
        The file to open, and all that were written.
    prompts
        Rows: one for each prompt.
    status
        Prompts by status.
    cut
        Objects that go on beyond the window that the model saw.
    windows
        Windows of the scene that were read and encoded.
    hectares
        Sum over all objects; overlapping ones count twice.
    model
        Name and version of the model.
    seconds
        Time taken.
    notes
        What the user should know.
    """

    path: Path
    paths: tuple[Path, ...]
    prompts: int
    status: Mapping[str, int]
    cut: int
    windows: int
    hectares: float
    model: str
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@takes(PromptJob)
def prompt(
    scene: str | Path | Sequence[str | Path],
    prompts: str | Path,
    *,
    out: str | Path,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[PromptOptions],
) -> Prompted:
    """The object at each point or in each box of a layer, as a polygon with the prompt's own columns.

    Every prompt is answered once, whatever the others are and in whatever order they come: in a window of
    its own around it, or in the tile of a lattice that it lies in, as the model has it.

    Parameters
    ----------
    scene
        Path, list of paths, folder or glob pattern.
    prompts
        Points, or polygons whose boxes are meant.
    out
        GeoPackage, GeoJSON or another vector file; it appears whole or not at all.
    overwrite
        Replace a file of that name.
    threads
        CPU threads of the network.
    progress
        Called with the prompts answered and their number.
    options
        The other fields of `PromptJob`.

    Raises
    ------
    UsageError, InputError, OutputConflictError, ResourceError
        With what to do about it.
    """
    job = PromptJob.parse({"scene": as_text(scene), "prompts": prompts, "out": out, **options})
    return run_prompt(job, overwrite=overwrite, threads=threads, progress=progress)


def run_prompt(
    job: PromptJob,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    engine: PromptEngine | None = None,
) -> Prompted:
    """Twin of `prompt` that takes the frozen job, and an engine in the place of the model's own."""
    started = time.monotonic()
    notes = [*require_names(job.out, overwrite=overwrite, inputs=job.inputs())]
    bundle = load_bundle(job.model)
    if engine is None:
        bundle = promptable(bundle)
    scene = open_for(bundle.contract, job.scene, job.bands, job.reading)
    coarser = job.coarser or _coarser(bundle, scene)
    notes += [*scene.notes, *admit([bundle], scene, override=job.force, coarser=coarser)]
    if format_of(job.out).is_lonlat:
        notes += nowhere_in_degrees(scene.grid.crs, job.out)
    asked = read_prompts(job, scene.grid)
    choice = EngineChoice(device=job.device, precision=job.precision, threads=threads)
    engine = engine or open_prompt_engine(bundle, choice)
    with tempfile.TemporaryFile() as file:
        how = None if job.square is None else Generalization.right_angles(scene.grid, job.square)
        answers = Answers(len(asked.prompts), file, how)
        windows = answer_all(scene, engine, asked.prompts, coarser, answers, progress)
        paths = _write(job, scene, asked, answers, f"{bundle.name} {bundle.version}", overwrite)
    add_files("prompt", paths)
    status = Counter(answers.status.tolist())
    return Prompted(
        path=paths[0],
        paths=paths,
        prompts=len(asked.prompts),
        status={name: status[number] for number, name in enumerate(STATUS)},
        cut=int(answers.cut.sum()),
        windows=windows,
        hectares=round(float(np.nansum(answers.square_metres)) / HECTARE, 6),
        model=f"{bundle.name} {bundle.version}",
        seconds=time.monotonic() - started,
        notes=(*notes, *asked.notes, *_remarks(answers, coarser)),
    )


def _coarser(bundle: Bundle, scene: Scene) -> int:
    """The least power of two that makes pixels as large as the model takes them."""
    width, height = scene.grid.ground_size
    least, coarser = bundle.contract.pixel_size[0] * _JUST, 1
    while np.sqrt(width * height) * coarser < least:
        coarser *= 2
    return coarser


def _write(
    job: PromptJob, scene: Scene, asked: Asked, answers: Answers, model: str, overwrite: bool
) -> tuple[Path, ...]:
    """Paths of the layer: a row for each prompt, in the order of the prompts."""
    own, ours = free_names(asked.columns.schema.names, _COLUMNS)
    schema = pa.schema(
        [
            *(pa.field(own[field.name], field.type) for field in asked.columns.schema),
            *(pa.field(ours[name], kind) for name, kind in _COLUMNS.items()),
            pa.field(GEOMETRY, pa.large_binary()),
        ]
    )
    lonlat, crs = format_of(job.out).is_lonlat, CRS.from_user_input(scene.crs_wkt)

    def rows() -> Iterator[pa.RecordBatch]:
        for begin in range(0, len(answers), _ROWS):
            part = slice(begin, begin + _ROWS)
            shapes = answers.shapes(part)
            values = _values(answers, part)
            columns = [
                *asked.columns.slice(begin, _ROWS).columns,
                *(pa.array(values[name], kind) for name, kind in _COLUMNS.items()),
                pa.array(shapely.to_wkb(to_lonlat(shapes, crs) if lonlat else shapes), pa.large_binary()),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    words = "; ".join(f"{name}: {value}" for name, value in (("scene", scene.name), ("model", model)))
    return write_layer(
        job.out,
        rows(),
        Layer(
            name="prompts",
            crs_wkt=LONLAT.to_wkt() if lonlat else scene.crs_wkt,
            schema=schema,
            has_nulls=bool((answers.status != STATUS.index("ok")).any()),
            metadata={"description": words, "software": f"geoseg {__version__}"},
        ),
        overwrite=overwrite,
    )


def _values(answers: Answers, part: slice) -> dict[str, list[Any]]:
    """Columns of some answers by name."""
    found = (answers.status[part] == STATUS.index("ok")).tolist()
    numbers = {
        "area_m2": answers.square_metres[part].round(4).tolist(),
        "pixels": answers.pixels[part].tolist(),
        "cut": answers.cut[part].astype(int).tolist(),
    }
    return {
        "score": [None if score == NO_SCORE else score for score in answers.score[part].tolist()],
        "status": [STATUS[status] for status in answers.status[part].tolist()],
        **{name: [v if f else None for v, f in zip(vs, found, strict=True)] for name, vs in numbers.items()},
    }


def _remarks(answers: Answers, coarser: int) -> list[str]:
    notes = []
    outside = int((answers.status == STATUS.index("outside")).sum())
    if outside == len(answers):
        notes.append("no prompt lies on the scene: check the CRS of both")
    elif outside:
        notes.append(f"{outside:,} prompts lie outside the scene")
    if cut := int(answers.cut.sum()):
        notes.append(
            f"{cut:,} objects go on beyond the window that the model saw (column cut): "
            f"`coarser={2 * coarser}` shows it more, with less detail"
        )
    if answers.how is not None:
        notes.append(str(answers.squares.total or "no outline could be squared"))
    return notes
