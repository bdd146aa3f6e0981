"""The rasters of a series: layers of positions and numbers of dates, published as classes and years."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.execution.resume import Computed
from geoseg.geometry import Window
from geoseg.histories.chunk import SeriesRecord
from geoseg.histories.opened import OpenedSeries
from geoseg.histories.pixels import NEVER, NO_DATA
from geoseg.legend import NODATA, LandClass, Legend
from geoseg.raster.cog import RasterLayer, write_cog

CHANGED = "changed"
_CHANGED_COLOR = "#4D4D4D"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A raster that is published.

    Attributes
    ----------
    layer
        Layer of the work store.
    table
        (256,) from its value to the pixel value.
    nodata
        Of the file.
    legend
        Of a class map.
    description
        Of the band.
    """

    layer: str
    table: NDArray[Any]
    nodata: int
    description: str
    legend: Legend | None = None


def rasters_of(opened: OpenedSeries) -> dict[str, Published]:
    """File name to raster."""
    classes, stable, legend = _class_tables(opened.legend)
    dates = _date_table(opened)
    found: dict[str, Published] = {}
    if opened.forests:
        found["first_loss.tif"] = dates("loss", "date of the first loss, 0 without one")
        found["gap.tif"] = _counts("gap", "unknown dates skipped just before the first loss")
    found["last_change.tif"] = dates("last_change", "date of the last change of class, 0 without one")
    found["n_changes.tif"] = _counts("changes", "changes of class between known dates")
    found["stable.tif"] = Published(
        layer="stable", table=stable, nodata=NODATA, legend=legend, description="class that was never left"
    )
    for which in ("first", "last"):
        found[f"{which}_seen.tif"] = dates(f"{which}_seen", f"{which} date at which the class is known")
    for name, which in (("classes_first.tif", "first"), ("classes_last.tif", "last")):
        said = f"class at the {which} known date"
        found[name] = Published(
            layer=which, table=classes, nodata=NODATA, legend=opened.legend, description=said
        )
    return found


def write_rasters(
    opened: OpenedSeries, computed: Computed[SeriesRecord], folder: Path, out: Path, tags: Mapping[str, str]
) -> Iterator[str]:
    """Names of the rasters, each after it was written into a folder and read back."""
    tiling = opened.tiling
    records = {tiling.chunk_at(k).window: record for k, record in computed.records.items()}
    windows = [chunk.window for chunk in tiling.iter_chunks()]
    for name, raster in rasters_of(opened).items():

        def read(window: Window, raster: Published = raster) -> NDArray[Any]:
            digest = records[window].digests[raster.layer]
            made: NDArray[Any] = raster.table[computed.store.read_verified(raster.layer, window, digest)]
            return made

        write_cog(
            folder / name,
            opened.grid,
            read,
            windows,
            RasterLayer(
                dtype=raster.table.dtype.name,
                nodata=raster.nodata,
                legend=raster.legend,
                crs_wkt=opened.united.maps[0].crs_wkt,
                tags=tags,
                description=raster.description,
            ),
            target=out / name,
        )
        yield name


def _class_tables(legend: Legend) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Legend]:
    """(table of class numbers, the same with a number for what changed, legend of the latter)."""
    k = len(legend)
    classes = np.full(256, NODATA, np.uint8)
    classes[:k] = legend.ids
    free = next((i for i in range(NODATA - 1, -1, -1) if i not in legend.ids), None)
    stable = classes.copy()
    if free is None:
        return classes, stable, legend
    stable[k] = free
    name = CHANGED if CHANGED not in legend.names else "changed class"
    return classes, stable, Legend((*legend.classes, LandClass(id=free, name=name, color=_CHANGED_COLOR)))


def _date_table(opened: OpenedSeries) -> Any:
    kind, nodata = ("uint16", 65_535) if opened.is_yearly else ("uint32", 4_294_967_295)
    table = np.full(256, nodata, kind)
    table[: len(opened.dates)] = opened.values
    table[NEVER] = 0

    def raster(layer: str, description: str) -> Published:
        return Published(layer=layer, table=table, nodata=nodata, description=description)

    return raster


def _counts(layer: str, description: str) -> Published:
    table = np.arange(256, dtype=np.uint8)
    return Published(layer=layer, table=table, nodata=NO_DATA, description=description)
