"""The verb landscape: metrics of the classes of a map, exact for any chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from geoseg.execution import Where, run_chunks
from geoseg.execution.manifest import add_files
from geoseg.files import require_folder, require_free, write_together
from geoseg.geometry import Window
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.job import takes
from geoseg.landscapes.job import LandscapeJob
from geoseg.landscapes.joined import JoinedPatches
from geoseg.landscapes.metrics import RULES
from geoseg.landscapes.patches import Patches, halo_of, measure, sides
from geoseg.legend import NODATA, Legend
from geoseg.options import LandscapeOptions
from geoseg.outlines.lengths import EdgeLengths
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.results import json_ready
from geoseg.tables import csv_text

if TYPE_CHECKING:
    import pandas as pd

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """Metrics of a landscape.

    Attributes
    ----------
    path
        The table.
    classes
        Class number to metrics by name.
    landscape
        Metrics of all of it.
    legend
        Names of the classes.
    notes
        What the user should know.
    """

    path: Path
    classes: Mapping[int, Mapping[str, float]]
    landscape: Mapping[str, float]
    legend: Legend
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> list[dict[str, Any]]:
        """One record per class, and one for the landscape; None where a metric is not of its kind."""
        rows: list[tuple[str, int | None, str | None, Mapping[str, float]]] = [
            ("class", i, self.legend.name(i), metrics) for i, metrics in self.classes.items()
        ]
        rows.append(("landscape", None, None, self.landscape))
        return [
            {
                "level": level,
                "id": number,
                "class": name,
                **{m: round(metrics[m], _DIGITS) if m in metrics else None for m in RULES},
            }
            for level, number, name, metrics in rows
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready, with the metrics in words."""
        found: dict[str, Any] = json_ready(
            {"path": self.path, "metrics": self.records, "rules": RULES, "notes": self.notes}
        )
        return found

    def to_table(self) -> pd.DataFrame:
        """The records as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.records)

    def to_csv(self) -> str:
        """The records as CSV text."""
        records = self.records
        return csv_text([list(records[0]), *(list(r.values()) for r in records)])


@takes(LandscapeJob)
def landscape(
    classes: str | Path,
    *,
    out: str | Path,
    overwrite: bool = False,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    **options: Unpack[LandscapeOptions],
) -> Landscape:
    """Landscape metrics of a class map, by the names and units of FRAGSTATS.

    Areas and lengths are geodesic. Memory follows the number of patches, not the size of the map.

    Parameters
    ----------
    classes, out, options
        Fields of `LandscapeJob`.
    overwrite
        Replace a file of that name.
    workers, threads, scheduler
        As in `geoseg.predict`.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        Before anything is written.
    """
    job = LandscapeJob.parse({"classes": classes, "out": out, **options})
    return run_landscape(job, where=Where.parse(workers, scheduler, threads), overwrite=overwrite)


def run_landscape(job: LandscapeJob, *, where: Where | None = None, overwrite: bool = False) -> Landscape:
    """Twin of `landscape` that takes the frozen job."""
    where, out = where or Where(), job.out.absolute()
    require_folder(out)
    require_free(out, overwrite=overwrite, inputs=job.inputs())
    opened = open_class_map(job.classes, job.legend, band=job.band, crosswalk=job.crosswalk, **job.reading)
    corners, unit = job.neighbours == "8", area_unit(opened.grid)
    depth = None if job.core_depth is None else (job.core_depth, opened.grid.ground_size)
    task = partial(_measured, opened, EdgeLengths.of(opened.grid), unit, corners, depth)
    total = JoinedPatches(opened.grid.width, corners=corners)
    windows = opened.scan_windows()
    for outcome in run_chunks(
        task, windows, where, concurrency=min(where.threads_here, len(windows)), ordered=True
    ):
        total.add(outcome.item, outcome.result())
    metrics, whole = total.metrics(unit, count_boundary=job.count_boundary, where=opened.path)
    result = Landscape(
        path=out, classes=metrics, landscape=whole, legend=opened.legend, notes=opened.scene.notes
    )
    write_together({out: result.to_csv()})
    add_files("landscape", [out])
    return result


def _measured(
    opened: ClassMap,
    lengths: EdgeLengths,
    unit: float,
    corners: bool,
    depth: tuple[float, tuple[float, float]] | None,
    window: Window,
) -> Patches:
    """Patches of a window."""
    halo = halo_of(depth)
    wide = window.grow(halo)
    around = wide.clip(*opened.grid.shape)
    labels = np.full(wide.shape, NODATA, np.uint8)
    labels[around.slices_in(wide)] = opened.read(around)
    across, down = sides(lengths, window)
    return measure(
        labels,
        halo,
        areas=integer_areas(opened.grid, window, unit),
        across=across,
        down=down,
        corners=corners,
        depth=depth,
    )
