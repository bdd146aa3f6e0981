"""Slivers, small changed areas, polygons and shifts of two maps, against whole arrays in memory."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from scipy import ndimage

from geoseg.changes.chunk import Comparison, Pair, changes_to_keep
from geoseg.changes.classes import join
from geoseg.changes.misregistration import misregistration, sample_windows
from geoseg.changes.transitions import PairTables
from geoseg.changes.verb import change
from geoseg.cleaning.cleaned import chunk_shape
from geoseg.errors import UsageError
from geoseg.execution import Where
from geoseg.geometry import HECTARE, Grid, Window, pixel_areas
from geoseg.geometry.integer_areas import area_unit
from geoseg.legend import Legend
from geoseg.raster.classmap import open_class_map
from geoseg.raster.write import write_geotiff

NAMES = {1: "forest", 2: "pasture", 3: "water"}
LEGEND = Legend.of(NAMES)
GRID = Grid(crs=CRS.from_epsg(4326), transform=Affine(0.001, 0, -55, 0, -0.001, -10), height=60, width=52)


def write(path, labels, names=NAMES, grid=GRID):
    tags = {f"CLASS_{i}": name for i, name in names.items()}
    return write_geotiff(path, grid, labels, nodata=255, tags=tags)


@pytest.fixture(scope="module")
def dates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dates")
    rng = np.random.default_rng(11)
    rough = ndimage.zoom(rng.random((15, 13)), 4, order=1)[:60, :52]
    before = np.digitize(rough, [0.4, 0.7]).astype(np.uint8) + 1
    rough = ndimage.zoom(rng.random((15, 13)), 4, order=1)[:60, :52]
    after = np.where(rough > 0.55, np.uint8(2), before)
    after[rng.random(after.shape) < 0.03] = 3
    before[rng.random(before.shape) < 0.02] = 255
    return write(folder / "a_2001.tif", before), write(folder / "b_2016.tif", after), before, after


def slivers_of(before, after):
    known = (before != 255) & (after != 255)
    changed = known & (before != after)
    # windows may reach beyond the map, over the unknown
    around = np.pad(changed | ~known, 2, constant_values=True)
    inside = ndimage.binary_erosion(around, np.ones((3, 3)), border_value=1)
    return changed & ~ndimage.binary_dilation(inside, np.ones((3, 3)))[2:-2, 2:-2], changed


def small_of(changed, least):
    areas = np.broadcast_to(pixel_areas(GRID, GRID.window), GRID.shape) / HECTARE
    regions, n = ndimage.label(changed)
    sizes = ndimage.sum_labels(areas, regions, np.arange(n + 1))
    return changed & (sizes[regions] < least)


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize("least", [0.0, 30.0])
def test_what_is_taken_back_is_numpys(dates, tmp_path, remove, least):
    path_before, path_after, before, after = dates
    found = change(path_before, path_after, out=tmp_path / "out", remove_slivers=remove, min_area=least)
    narrow, changed = slivers_of(before, after)
    kept = changed & ~narrow if remove else changed
    small = small_of(kept, least)
    kept = kept & ~small
    final = np.where(changed & ~kept, before, after)
    known = (before != 255) & (after != 255)
    assert found.slivers.counts.sum() == narrow.sum() > 0
    assert found.small.counts.sum() == small.sum()
    with rasterio.open(found.raster) as raster:
        codes = raster.read(1)
    expected = np.full(codes.shape, 255)
    expected[known] = (before[known].astype(int) - 1) * 3 + final[known] - 1
    assert np.array_equal(codes, expected)
    assert int(found.transitions.counts[:3, :3].sum()) == known.sum()
    content = json.loads(found.report.read_text())
    assert content["removals"]["slivers"]["removed"] is remove
    assert content["removals"]["below_min_area"]["pixels"] == small.sum()
    areas = np.broadcast_to(pixel_areas(GRID, GRID.window), GRID.shape) / HECTARE
    assert content["total"]["changed_ha"] == pytest.approx(areas[kept].sum(), abs=1e-5)
    assert content["removals"]["slivers"]["hectares"] == pytest.approx(areas[narrow].sum(), abs=1e-5)


@settings(max_examples=12)
@given(st.integers(7, 40), st.integers(5, 60), st.booleans(), st.sampled_from([0.0, 12.0, 60.0]))
def test_chunks_do_not_matter(dates, height, width, remove, least):
    maps = [open_class_map(path) for path in dates[:2]]
    classes = join(LEGEND, LEGEND)
    pair = Pair(
        before=maps[0],
        after=maps[1],
        called_at=({}, {}),
        same_grid=True,
        tables=PairTables.of(classes.legend.names, classes.before, classes.after),
    )
    unit = area_unit(GRID)
    units = int(np.ceil(least * HECTARE / unit))
    task = Comparison(kept=changes_to_keep(pair, remove_slivers=remove, least=units, unit=unit))
    results = []
    for windows in (
        list(GRID.window.blocks(height, width)),
        list(GRID.window.blocks(*chunk_shape(*GRID.shape))),
    ):
        chunks = task.kept.sieved(windows, Where(), lambda _: None)
        parts = [task(chunk) for chunk in chunks]
        whole = np.zeros(GRID.shape, np.int32)
        for chunk in chunks:
            whole[chunk.window.slices_in(GRID.window)] = task.numbers(chunk)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        results.append((total, whole))
    (one, image), (other, same) = results
    assert (one.mapped, one.slivers, one.small) == (other.mapped, other.slivers, other.small)
    assert np.array_equal(image, same)


def test_dates_of_names_give_both_rates(dates, tmp_path):
    found = change(*dates[:2], out=tmp_path / "out")
    forest = found.per_class[0]
    before, after = forest["before_ha"], forest["after_ha"]
    assert found.period.years == 15
    assert forest["fao_rate"] == pytest.approx((after / before) ** (1 / 15) - 1, abs=1e-7)
    assert forest["puyravaud_rate"] == pytest.approx(np.log(after / before) / 15, abs=1e-7)
    assert forest["ha_per_year"] == pytest.approx((after - before) / 15, abs=1e-5)
    given = change(*dates[:2], out=tmp_path / "given", date_before="2001-07-01", date_after="2003-07-01")
    assert given.period.years == pytest.approx(730 / 365.25)
    wrong = change(*dates[:2], out=tmp_path / "wrong", date_before=2020)
    assert wrong.period.years is None and wrong.per_class[0]["fao_rate"] is None
    assert any("no rates" in note for note in wrong.notes)


def test_polygons_hold_what_changed_with_dates_and_hectares(dates, tmp_path):
    found = change(*dates[:2], out=tmp_path / "out", min_area=20.0, polygons=tmp_path / "change.gpkg")
    frame = gpd.read_file(found.polygons[0], layer="change")
    changed = [r for r in found.records if r["kind"] == "changed"]
    assert {(r["from"], r["to"]) for r in changed} == set(
        zip(frame["from_class"], frame["to_class"], strict=True)
    )
    assert set(frame["date_from"]) == {"2001"} and set(frame["date_to"]) == {"2016"}
    for r in changed:
        mine = frame[(frame["from_class"] == r["from"]) & (frame["to_class"] == r["to"])]
        assert mine["n_pix"].sum() == r["pixels"]
        assert mine["area_ha"].sum() == pytest.approx(r["hectares"], abs=0.000051 * len(mine))
        assert set(mine["code"]) == {r["code"]}
    assert frame.is_valid.all()
    assert shapely.area(frame.geometry.to_numpy()).sum() == pytest.approx(frame["n_pix"].sum() * 1e-6)
    utm = tmp_path / "utm"
    utm.mkdir()
    grid = Grid(crs=CRS.from_epsg(32721), transform=Affine(10, 0, 4e5, 0, -10, 9e6), height=60, width=52)
    path = write(utm / "a.tif", dates[2], grid=grid)
    with pytest.raises(UsageError, match="longitude and latitude"):
        change(path, path, out=tmp_path / "utm_out", polygons=tmp_path / "x.geojson")
    assert not (tmp_path / "utm_out").exists()


def test_strata_merge_transitions_of_one_class(dates, tmp_path):
    found = change(*dates[:2], out=tmp_path / "out", strata_class="Forest")
    strata = yaml.safe_load(found.strata.read_text())
    assert sorted(strata) == found.occurring
    for code, stratum in strata.items():
        was, became = (found.legend.names[k] for k in found.codes.pairs[code])
        expected = {
            (True, True): "stable forest",
            (True, False): "forest loss",
            (False, True): "forest gain",
            (False, False): "stable other",
        }
        assert stratum == expected[was == "forest", became == "forest"]


def test_many_classes_of_few_transitions_keep_eight_bits_colours_and_a_style(tmp_path):
    names = {i: f"class with the long name {i}" for i in range(20)}
    before = np.tile(np.arange(20, dtype=np.uint8), (20, 1))
    after = np.where(np.arange(20)[:, None] < 10, before, (before + 1) % 20).astype(np.uint8)
    grid = GRID.crop(Window(0, 0, 20, 20))
    found = change(
        write(tmp_path / "a.tif", before, names, grid),
        write(tmp_path / "b.tif", after, names, grid),
        out=tmp_path / "out",
    )
    with rasterio.open(found.raster) as raster:
        assert (raster.dtypes[0], raster.nodata) == ("uint8", 255)
        codes, tags, colors = raster.read(1), raster.tags(), raster.colormap(1)
    assert sorted(np.unique(codes)) == list(range(40)) == found.occurring
    assert tags["CLASS_1"] == "class with the long name 0 → class with the long name 1"
    assert tags[f"CLASS_{codes[0, 5]}"] == "class with the long name 5 (unchanged)"
    assert all(colors[c][3] == 255 for c in range(40))
    style = found.style.read_text()
    assert style.count("<paletteEntry") == 40 and "long name 19 → class" in style
    report = json.loads(found.report.read_text())
    assert report["raster"]["codes"]["1"] == tags["CLASS_1"]


def shifted(fine, rows, cols, factor=10, size=300):
    begin = 20 * factor
    cut = fine[begin - rows :: factor, begin - cols :: factor]
    return cut[:size, :size]


@pytest.mark.parametrize(
    ("down", "right"), [(0, 0), (10, 0), (0, -20), (5, 0), (-3, 7)], ids=lambda n: str(n / 10)
)
def test_a_shift_of_the_second_map_is_found(down, right):
    rng = np.random.default_rng(2)
    rough = ndimage.gaussian_filter(rng.random((340, 340)), 5)
    fine = (ndimage.zoom(rough, 10, order=1) > np.median(rough)).astype(np.uint8)
    before, after = shifted(fine, 0, 0), shifted(fine, down, right)
    windows = sample_windows(*before.shape)
    cut = [w.slices_in(Window(0, 0, 300, 300)) for w in windows]
    images = dict(zip(windows, cut, strict=True))
    found = misregistration(windows, lambda w: (before[images[w]], after[images[w]]))
    assert found is not None
    assert found.down == pytest.approx(down / 10, abs=0.15)
    assert found.right == pytest.approx(right / 10, abs=0.15)
    assert (found.note(10.0) is None) == (abs(down) + abs(right) == 0)


def test_maps_without_borders_do_not_tell_a_shift():
    plain = np.ones((300, 300), np.uint8)
    assert misregistration(sample_windows(300, 300), lambda w: (plain[:256, :256],) * 2) is None
