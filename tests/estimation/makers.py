"""Labelled samples as geoseg and other tools write them, of the counts of Olofsson et al. (2014)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from geoseg.geometry import Grid
from geoseg.legend import Legend
from geoseg.raster.write import write_geotiff
from geoseg.sampling.file import write_sample
from geoseg.sampling.layout import Answer, DesignInfo, Drawn, MapClass, Sample, Stratum, Unit
from tests.accuracy.samples import OLOFSSON_2014

NAMES = {1: "loss", 2: "gain", 3: "stable forest", 4: "non-forest"}
LEGEND = Legend.of(NAMES)
COUNTS, SIZES = OLOFSSON_2014
HECTARES = [0.09 * size for size in SIZES]
GRID = Grid(
    crs=CRS.from_epsg(32720),
    transform=Affine(30, 0, 400_000, 0, -30, 9_000_000),
    height=400,
    width=100,
)
"""Rows 0 to 99 are of class 1, and so on."""
_TO_DEGREES = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True)


def labels() -> np.ndarray:
    """Class map (400, 100)."""
    return np.repeat(np.arange(1, 5, dtype=np.uint8), 100)[:, None].repeat(100, 1)


def write_map(path: Path, values: np.ndarray | None = None, **tags: str) -> Path:
    """The class map, or another on its grid."""
    named = {f"CLASS_{i}": n for i, n in NAMES.items()} | tags
    return write_geotiff(path, GRID, labels() if values is None else values, nodata=255, tags=named)


def pairs() -> list[tuple[int, int]]:
    """(class on the map, class in the reference) of the 640 units."""
    return [(i, j) for i, row in enumerate(COUNTS, 1) for j, count in enumerate(row, 1) for _ in range(count)]


def places() -> list[tuple[int, int]]:
    """(row, col) of the units, each in its stratum's part of the map."""
    found, rank = [], dict.fromkeys(NAMES, 0)
    for mapped, _ in pairs():
        k = rank[mapped]
        rank[mapped] += 1
        found.append((100 * (mapped - 1) + k // 100, k % 100))
    return found


def lon_lat(row: int, col: int) -> tuple[float, float]:
    """Centre of a pixel in degrees."""
    lon, lat = _TO_DEGREES.transform(*GRID.corner(row + 0.5, col + 0.5))
    return float(lon), float(lat)


def drawn(answers: dict[int, Answer] | None = None, **info: Any) -> Sample:
    """The 640 units as geoseg draws them, labelled; `answers` by position replace what was said."""
    said, order = answers or {}, np.random.default_rng(5).permutation(len(pairs())) + 1
    rank = dict.fromkeys(NAMES, 0)
    units, design = [], []
    for i, ((mapped, truth), (row, col)) in enumerate(zip(pairs(), places(), strict=True)):
        lon, lat = lon_lat(row, col)
        (x0, y1), (x1, y0) = GRID.corner(row, col), GRID.corner(row + 1, col + 1)
        units.append(
            Unit(
                id=f"u{i}",
                order=int(order[i]),
                lon=lon,
                lat=lat,
                geometry=shapely.to_wkb(shapely.box(x0, y0, x1, y1)),
                answer=said.get(i, Answer(label=truth)),
            )
        )
        n = sum(COUNTS[mapped - 1])
        design.append(
            Drawn(
                id=f"u{i}",
                stratum=mapped,
                rank=rank[mapped],
                map_class=mapped,
                p_inclusion=n / SIZES[mapped - 1],
                weight=SIZES[mapped - 1] / n,
                area_m2=900.0,
            )
        )
        rank[mapped] += 1
    both = sorted(zip(units, design, strict=True), key=lambda pair: pair[0].order)
    facts: dict[str, Any] = {
        "seed": 1,
        "method": "stratified",
        "unit": "pixel",
        "map": "classes.tif",
        "map_digest": "0" * 64,
        "grid": GRID.to_json(),
        "legend": LEGEND,
        "classes": tuple(
            MapClass(id=i, pixels=size, hectares=ha)
            for i, size, ha in zip(NAMES, SIZES, HECTARES, strict=True)
        ),
        "version": "1",
        "date": "2024-01-01T00:00:00+00:00",
        "command": "geoseg sample design classes.tif",
    }
    return Sample(
        units=tuple(unit for unit, _ in both),
        design=tuple(how for _, how in both),
        strata=tuple(
            Stratum(stratum=i, name=name, pixels=size, hectares=ha, n=sum(row), allocation="by hand")
            for (i, name), size, ha, row in zip(NAMES.items(), SIZES, HECTARES, COUNTS, strict=True)
        ),
        info=DesignInfo(**{**facts, **info}),
        crs_wkt=GRID.crs.to_wkt("WKT1_GDAL"),
    )


def write_drawn(path: Path, answers: dict[int, Answer] | None = None, **info: Any) -> Path:
    """GeoPackage of `drawn`."""
    return write_sample(path, drawn(answers, **info))


def write_csv(path: Path, head: list[str], rows: list[list[Any]], delimiter: str = ",") -> Path:
    """A table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(head)
        writer.writerows(rows)
    return path
