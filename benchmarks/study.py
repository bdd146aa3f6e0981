"""Change, plots and a series of maps of 10 980 x 10 980 pixels, beside the same in memory.

    GEOSEG_DATA=... python -m benchmarks.study FOLDER make
    python -m benchmarks.study FOLDER change zones series
    python -m benchmarks.study FOLDER change-memory zones-memory series-memory

Maps are the yearly class maps of Itanhangá, Mato Grosso, mirrored side by side, with pixels of 10 m; plots
are 100 000 quadrangles of 0.5 to 12 ha. Each step is a process of its own on one thread, whose CPU seconds
and peak memory are said. The steps in memory are rasterio, numpy and exactextract, which has to be installed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIDE = 10_980
YEARS = tuple(range(2001, 2017))
PLOTS = 100_000
_NAMES = {1: "degradation", 2: "double cropping", 3: "single cropping", 4: "forest", 5: "pasture", 6: "water"}
_MERGED = {**dict.fromkeys((6, 7), 5), **dict.fromkeys(range(8, 13), 2), 13: 3, 14: 3, 15: 6, 16: 6}


def make(folder: Path) -> None:
    """Write 16 maps and the plots."""
    import rasterio

    maps = Path(os.environ["GEOSEG_DATA"]) / "mt_landuse_annual_maps" / "rasterItanhanga"
    table = np.arange(256, dtype=np.uint8)
    table[list(_MERGED)] = list(_MERGED.values())
    folder.mkdir(parents=True, exist_ok=True)
    for year in YEARS:
        (path,) = maps.glob(f"*{year}*.tif")
        with rasterio.open(path) as file:
            small = table[file.read(1)]
        across = np.concatenate([small, small[:, ::-1]], 1)
        block = np.concatenate([across, across[::-1]])
        times = [-(-SIDE // side) for side in block.shape]
        whole = np.tile(block, times)[:SIDE, :SIDE]
        profile = {
            **{"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": "uint8", "nodata": 255},
            **{"crs": "EPSG:32721", "transform": rasterio.Affine(10, 0, 600_000, 0, -10, 8_700_000)},
            **{"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"},
        }
        with rasterio.open(folder / f"classes_{year}.tif", "w", **profile) as file:
            file.write(whole, 1)
            file.update_tags(**{f"CLASS_{n}": name for n, name in _NAMES.items()})
    _make_plots(folder / "plots.gpkg")


def _make_plots(path: Path) -> None:
    import geopandas as gpd
    import shapely

    rng = np.random.default_rng(1)
    centres = rng.uniform(500, 10 * SIDE - 500, (PLOTS, 1, 2))
    radius = np.sqrt(rng.uniform(0.5, 12, PLOTS) * 10_000 / 2)[:, None]
    angle = (
        np.pi / 2 * np.arange(4) + rng.uniform(0, np.pi / 2, (PLOTS, 1)) + rng.uniform(-0.3, 0.3, (PLOTS, 4))
    )
    corners = centres + radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    corners = corners * (1, -1) + (600_000, 8_700_000)
    frame = gpd.GeoDataFrame({"farm": np.arange(PLOTS)}, geometry=shapely.polygons(corners), crs="EPSG:32721")
    frame.to_file(path, layer="plots")


def change(folder: Path) -> str:
    """The pair of the first and last year by geoseg, with polygons."""
    import geoseg

    maps = (folder / f"classes_{year}.tif" for year in (YEARS[0], YEARS[-1]))
    out = folder / "change"
    found = geoseg.change(*maps, out=out, polygons=out / "change.gpkg", strata_class="forest", overwrite=True)
    return f"{found.transitions.changed:.2f} ha changed"


def change_memory(folder: Path) -> str:
    """The same pair: a table of counts, and polygons of all areas that changed."""
    import geopandas as gpd
    import rasterio
    import rasterio.features
    import shapely

    arrays = []
    for year in (YEARS[0], YEARS[-1]):
        with rasterio.open(folder / f"classes_{year}.tif") as file:
            arrays.append(file.read(1))
            transform, crs, profile = file.transform, file.crs, file.profile
    before, after = arrays
    known = (before != 255) & (after != 255)
    codes = np.where(known, before * np.uint8(7) + after, 255).astype(np.uint8)
    counts = np.bincount(codes.ravel(), minlength=256)
    with rasterio.open(folder / "memory.tif", "w", **profile) as file:
        file.write(codes, 1)
    changed = known & (before != after)
    shapes = list(rasterio.features.shapes(codes, mask=changed, transform=transform))
    frame = gpd.GeoDataFrame(
        {"code": [int(v) for _, v in shapes]},
        geometry=[shapely.geometry.shape(s) for s, _ in shapes],
        crs=crs,
    )
    frame["area_ha"] = frame.area / 1e4
    frame.to_file(folder / "memory.gpkg")
    return f"{int(counts[:255].sum()):,} pixels known, {len(frame):,} polygons"


def zones(folder: Path) -> str:
    """The change within the plots by geoseg."""
    import geoseg

    found = geoseg.zones(
        folder / "change", folder / "plots.gpkg", out=folder / "zones.gpkg", date_before="2001", date="2016",
        overwrite=True,
    )  # fmt: skip
    return f"{found.plots:,} plots, {dict(found.verdicts)}, loss {found.hectares['loss_ha']:,.2f} ha"


def zones_memory(folder: Path) -> str:
    """Share of every transition in every plot by exactextract, from change.tif."""
    import geopandas as gpd
    from exactextract import exact_extract

    found = exact_extract(
        str(folder / "change" / "change.tif"),
        gpd.read_file(folder / "plots.gpkg", layer="plots"),
        ["count", "unique", "frac"],
        output="pandas",
        include_cols=["farm"],
    )
    found.to_csv(folder / "zones_memory.csv")
    return f"{len(found):,} plots"


def series(folder: Path) -> str:
    """All years by geoseg, without and with its events."""
    import geoseg

    maps = [folder / f"classes_{year}.tif" for year in YEARS]
    found = geoseg.series(maps, out=folder / "series", no_events=True, overwrite=True)
    return str(found.loss["pixels_by_definition"])


def series_memory(folder: Path) -> str:
    """First loss, number of changes and areas by date, of all years at once."""
    import rasterio

    stack = np.empty((len(YEARS), SIDE, SIDE), np.uint8)
    for at, year in enumerate(YEARS):
        with rasterio.open(folder / f"classes_{year}.tif") as file:
            file.read(1, out=stack[at])
            profile = file.profile
    areas = [np.bincount(one.ravel(), minlength=256) for one in stack]
    changes = (stack[1:] != stack[:-1]).sum(0, dtype=np.uint8)
    lost = (stack[:-1] == 4) & (stack[1:] != 4) & (stack[1:] != 255)
    first = np.where(lost.any(0), lost.argmax(0) + YEARS[1], 0).astype(np.uint16)
    for name, values in (("first", first), ("changes", changes)):
        profile.update(dtype=values.dtype, nodata=None)
        with rasterio.open(folder / f"memory_{name}.tif", "w", **profile) as file:
            file.write(values, 1)
    return f"{int((first > 0).sum()):,} lost, forest {areas[0][4]:,} to {areas[-1][4]:,}"


STEPS: dict[str, Callable[[Path], str]] = {
    "change": change,
    "change-memory": change_memory,
    "zones": zones,
    "zones-memory": zones_memory,
    "series": series,
    "series-memory": series_memory,
}


def main(folder: Path, steps: list[str]) -> None:
    """Make the scenes, or print a row of the table for each step, run in a process of its own."""
    if steps == ["make"]:
        make(folder)
        return
    if len(steps) > 1:
        for step in steps:
            subprocess.run([sys.executable, "-m", "benchmarks.study", str(folder), step], check=True)
        return
    (step,) = steps
    said = STEPS[step](folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"| {step} | {used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss / 1024:.0f} MB | {said} |",
        flush=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
