"""The verb change, its files and its command, on made-up and on real maps."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from pyproj import CRS

from geoseg.changes.verb import change
from geoseg.cli.change import command
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.geometry import HECTARE, Grid, pixel_areas
from geoseg.raster.write import write_geotiff

NAMES = {1: "forest", 2: "pasture", 3: "water"}
TRANSFORM = Affine(30, 0, 400_000, 0, -30, 9_000_000)


@pytest.fixture
def make_map(tmp_path):
    def make(labels, name, *, crs="EPSG:32720", transform=TRANSFORM, names=NAMES) -> Path:
        height, width = labels.shape
        grid = Grid(crs=CRS.from_user_input(crs), transform=transform, height=height, width=width)
        tags = {f"CLASS_{i}": n for i, n in (names or {}).items()}
        return write_geotiff(tmp_path / name, grid, labels, nodata=255, tags=tags)

    return make


@pytest.fixture
def dates(make_map):
    rng = np.random.default_rng(5)
    before = rng.choice(np.array([1, 2, 3, 255], np.uint8), (700, 900))
    after = np.where(
        rng.random(before.shape) < 0.3, rng.choice(np.array([1, 2, 255], np.uint8), before.shape), before
    )
    return make_map(before, "before.tif"), make_map(after, "after.tif"), before, after


def test_files_and_numbers_agree_with_numpy(dates, tmp_path):
    path_before, path_after, before, after = dates
    found = change(path_before, path_after, out=tmp_path / "out")
    assert sorted(p.name for p in found.out.iterdir()) == [
        "change.qml",
        "change.tif",
        "classes.csv",
        "transitions.csv",
        "transitions.json",
    ]
    content = json.loads(found.report.read_text())
    grid = Grid(crs=CRS.from_epsg(32720), transform=TRANSFORM, height=700, width=900)
    areas = np.broadcast_to(pixel_areas(grid, grid.window), before.shape) / HECTARE
    for record in content["transitions"]:
        was = 255 if record["from_id"] is None else record["from_id"]
        became = 255 if record["to_id"] is None else record["to_id"]
        where = (before == was) & (after == became)
        assert record["pixels"] == where.sum()
        assert record["hectares"] == pytest.approx(areas[where].sum(), rel=1e-9)
        assert (record["kind"] == "unknown") == (255 in {was, became})
    assert sum(r["pixels"] for r in content["transitions"]) == before.size
    known = (before != 255) & (after != 255)
    forest = content["classes"][0]
    assert forest["gain_ha"] == pytest.approx(areas[known & (before != 1) & (after == 1)].sum())
    assert forest["loss_ha"] == pytest.approx(areas[known & (before == 1) & (after != 1)].sum())
    assert forest["net_ha"] == pytest.approx(forest["gain_ha"] - forest["loss_ha"], abs=1e-5)
    assert content["total"]["changed_ha"] == pytest.approx(areas[known & (before != after)].sum())
    rows = list(csv.DictReader(found.table.open()))
    assert [int(r["pixels"]) for r in rows] == [r["pixels"] for r in content["transitions"]]
    assert found.to_table().loc["forest", "pasture"] == pytest.approx(
        areas[(before == 1) & (after == 2)].sum()
    )


@pytest.mark.parametrize("named", ["before", "after"])
def test_numbers_without_names_mean_what_the_other_map_calls_them(make_map, tmp_path, named):
    labels = np.repeat(np.array([1, 2, 3, 255], np.uint8), 50).reshape(10, 20)
    after = labels.copy()
    after[0, :5] = 2
    pair = {
        "before": make_map(labels, "a.tif", names=NAMES if named == "before" else None),
        "after": make_map(after, "b.tif", names=NAMES if named == "after" else None),
    }
    found = change(**pair, out=tmp_path / "out")
    assert found.transitions.names == ("forest", "pasture", "water")
    assert int(found.transitions.counts[0, 1]) == 5
    assert [n for n in found.notes if "names no classes" in n]
    strange = make_map(np.where(after == 3, np.uint8(7), after), "c.tif", names=None)
    other = {**pair, "after" if named == "before" else "before": strange}
    with pytest.raises(InputError, match="values 7 are none of its numbers") as caught:
        change(**other, out=tmp_path / "refused")
    assert "legend" in caught.value.hint
    assert not (tmp_path / "refused").exists()


def test_case_and_outer_spaces_of_names_are_forgiven(make_map, tmp_path):
    labels = np.array([[1, 2, 3, 1]], np.uint8)
    spelled = {1: " Forest", 2: "PASTURE ", 3: "water"}
    found = change(make_map(labels, "a.tif"), make_map(labels, "b.tif", names=spelled), out=tmp_path / "out")
    assert found.transitions.changed == 0
    assert found.transitions.names == ("forest", "pasture", "water")


def test_maps_without_a_common_class_say_so(make_map, tmp_path):
    labels = np.array([[1, 2, 3, 1]], np.uint8)
    german = {1: "Wald", 2: "Weide", 3: "Wasser"}
    found = change(make_map(labels, "a.tif"), make_map(labels, "b.tif", names=german), out=tmp_path / "out")
    assert [n for n in found.notes if "no class is in both maps" in n]


@pytest.mark.parametrize(("third", "lack"), [("water", "no class"), ("no class", "no class (2)")])
def test_a_class_called_unknown_is_told_from_what_has_no_class(make_map, tmp_path, third, lack):
    labels = np.array([[1, 2, 3, 255]], np.uint8)
    names = {1: "forest", 2: "Unknown", 3: third}
    path = make_map(labels, "a.tif", names=names)
    found = change(path, path, out=tmp_path / "out")
    table = found.to_table()
    assert table.columns.is_unique
    assert table.columns.tolist() == ["forest", "Unknown", third, lack]
    rows = list(csv.DictReader(found.table.open()))
    assert [r["from"] for r in rows if r["kind"] == "unknown"] == [lack]


def test_from_to_raster_lies_on_the_map_and_says_what_its_codes_mean(dates, tmp_path):
    path_before, path_after, before, after = dates
    found = change(path_before, path_after, out=tmp_path / "out")
    content = json.loads(found.report.read_text())
    with rasterio.open(found.raster) as raster, rasterio.open(path_before) as source:
        codes, colors, tags = raster.read(1), raster.colormap(1), raster.tags()
        assert raster.transform == source.transform
        assert raster.crs == source.crs
        assert (raster.dtypes, raster.nodata) == (("uint8",), 255)
    known = (before != 255) & (after != 255)
    assert ((codes == 255) == ~known).all()
    for code in np.unique(codes[known]).tolist():
        pixel = np.argwhere(codes == code)[0]
        was, became = NAMES[int(before[tuple(pixel)])], NAMES[int(after[tuple(pixel)])]
        name = f"{was} (unchanged)" if was == became else f"{was} → {became}"
        assert content["raster"]["codes"][str(code)] == tags[f"CLASS_{code}"] == name
    assert len({colors[c] for c in np.unique(codes[known]).tolist()}) > 3


def test_different_grids_are_refused_with_the_difference_or_aligned(make_map, tmp_path):
    labels = np.random.default_rng(0).choice(np.array([1, 2, 3], np.uint8), (40, 50))
    before = make_map(labels, "before.tif")
    fine = make_map(
        np.kron(labels, np.ones((3, 3), np.uint8)), "fine.tif", transform=TRANSFORM * Affine.scale(1 / 3)
    )
    with pytest.raises(InputError, match=r"different grids. size 40 x 50 against 120 x 150.*`align=nearest`"):
        change(before, fine, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    aligned = change(before, fine, out=tmp_path / "out", align="nearest")
    assert aligned.transitions.changed == 0
    assert np.diagonal(aligned.transitions.counts).sum() == labels.size
    moved = make_map(labels, "moved.tif", transform=Affine(30, 0, 400_300, 0, -30, 9_000_000))
    part = change(before, moved, out=tmp_path / "part", align="nearest")
    assert part.transitions.counts[:-1, -1].sum() == 10 * 40
    other = make_map(labels, "other.tif", crs="EPSG:32721")
    with pytest.raises(InputError, match=r"different grids\. CRS WGS 84 / UTM zone 20S against"):
        change(before, other, out=tmp_path / "x")


def test_other_class_numbers_and_crosswalks(make_map, tmp_path):
    before = make_map(
        np.array([[1, 2, 3, 4]], np.uint8), "a.tif", names={1: "soy", 2: "maize", 3: "forest", 4: "cloud"}
    )
    after = make_map(np.array([[9, 9, 8, 8]], np.uint8), "b.tif", names={8: "Forest", 9: "crops"})
    found = change(
        before,
        after,
        out=tmp_path / "out",
        crosswalk_before={"soy": "crops", "maize": "crops", "forest": "forest", "cloud": "ignore"},
        crosswalk_after={"Forest": "forest", 9: "crops"},
    )
    table = found.to_table()
    assert table.loc["crops", "crops"] > 0 and table.loc["forest", "forest"] > 0
    assert found.transitions.changed == 0
    assert found.transitions.counts[-1].sum() == 1
    both = {"soy": "crops", "maize": "crops", "forest": "forest", "cloud": "ignore", "crops": "crops"}
    assert change(before, after, out=tmp_path / "both", crosswalk=both).transitions.changed == 0
    with pytest.raises(InputError, match="no class 'wheat'"):
        change(before, after, out=tmp_path / "x", crosswalk={**both, "wheat": "crops"})
    with pytest.raises(UsageError, match="for both maps"):
        change(before, after, out=tmp_path / "x", crosswalk=both, crosswalk_after=both)


def test_codes_of_sixteen_bits_are_compared_by_their_crosswalk(make_map, tmp_path):
    before = make_map(np.array([[111, 311, 311, 523]], np.uint16), "a.tif")
    after = make_map(np.array([[1, 1, 2, 255]], np.uint8), "b.tif", names={1: "Urban", 2: "forest"})
    walk = {111: "urban", 311: "forest", 523: "ignore"}
    found = change(before, after, out=tmp_path / "out", crosswalk_before=walk)
    assert found.transitions.names == ("urban", "forest")
    assert found.transitions.counts.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    with pytest.raises(InputError, match="values without a class: 523"):
        change(before, after, out=tmp_path / "x", crosswalk_before={111: "urban", 311: "forest"})
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match=r"311.* add them to `crosswalk`, "):  # said of both maps at once
        change(before, before, out=tmp_path / "x", crosswalk={111: "urban", 523: "ignore"})


def test_more_than_fifteen_classes_need_sixteen_bits(make_map, tmp_path):
    names = {i: f"class {i}" for i in range(20)}
    before = np.arange(20, dtype=np.uint8).repeat(20).reshape(20, 20)
    found = change(
        make_map(before, "a.tif", names=names),
        make_map(before.T.copy(), "b.tif", names=names),
        out=tmp_path / "out",
    )
    with rasterio.open(found.raster) as raster:
        codes = raster.read(1)
        assert raster.nodata == 65_535
        assert raster.tags()["CLASS_399"] == "class 19 (unchanged)"
    assert np.array_equal(codes // 20, before) and np.array_equal(codes % 20, before.T)


def test_processes_give_the_same_files(dates, tmp_path):
    here, there = (change(*dates[:2], out=tmp_path / n, workers=w) for n, w in (("here", 0), ("there", 2)))
    for name in ("change.tif", "transitions.csv"):
        assert (here.out / name).read_bytes() == (there.out / name).read_bytes()


def test_only_comparisons_are_replaced(dates, tmp_path):
    path_before, path_after, *_ = dates
    out = tmp_path / "out"
    out.mkdir()
    (out / "change.tif").write_bytes(b"mine")
    with pytest.raises(OutputConflictError, match="exists"):
        change(path_before, path_after, out=out)
    assert (out / "change.tif").read_bytes() == b"mine"
    first = change(path_before, path_after, out=out, overwrite=True).raster.read_bytes()
    assert change(path_before, path_after, out=out).raster.read_bytes() == first
    for name in ("change.qml", "transitions.csv", "classes.csv"):
        other = tmp_path / name.replace(".", "_")
        other.mkdir()
        (other / name).write_text("mine")
        with pytest.raises(OutputConflictError, match="exists"):
            change(path_before, path_after, out=other)
        assert [file.name for file in other.iterdir()] == [name]


def test_command_prints_hectares(dates, tmp_path):
    path_before, path_after, *_ = dates
    arguments = [str(path_before), str(path_after), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "persistence ha" in result.output and "unknown" in result.output
    assert str(tmp_path / "out" / "change.tif") in result.output


def test_itanhanga_lost_its_forest(shared_data, tmp_path):
    folder = shared_data / "mt_landuse_annual_maps" / "rasterItanhanga"
    pasture = dict.fromkeys((5, 6, 7), "pasture") | dict.fromkeys((3, 13, 14), "single cropping")
    double = dict.fromkeys((2, 8, 9, 10, 11, 12), "double cropping")
    crosswalk = {1: "degradation", 4: "forest", 15: "water", 16: "water", **pasture, **double}
    paths = [folder / f"itanhanga_{year}.tif" for year in (2001, 2016)]
    found = change(*paths, out=tmp_path / "out", crosswalk=crosswalk)
    forest = next(r for r in found.per_class if r["class"] == "forest")
    assert (forest["before_px"], forest["after_px"]) == (46_647, 26_257)
    assert (forest["fao_rate"], forest["puyravaud_rate"]) == (-0.03758712, -0.03831173)
    known = {r["class"]: r for r in found.per_class}
    figures = {
        "degradation": (1572, 1924, 3144, 714, 2430),
        "double cropping": (11191, 24, 48, 48, 0),
        "single cropping": (1196, 145, 290, 40, 250),
        "forest": (319, 20709, 638, 638, 0),
        "pasture": (11675, 3151, 6302, 1340, 4962),
    }
    names = ("gain_px", "loss_px", "swap_px", "exchange_px", "shift_px")
    assert {c: tuple(known[c][name] for name in names) for c in figures} == figures
    parts = found.components
    assert (parts["total_px"], parts["quantity_px"]) == (25_953, 20_742)
    assert (parts["exchange_px"], parts["shift_px"]) == (1390, 3821)
    assert forest["before_ha"] / 46_647 == pytest.approx(5.36645023, rel=1e-7)
    with rasterio.open(paths[0]) as one, rasterio.open(paths[1]) as other:
        first, last, pixel = one.read(1), other.read(1), abs(one.transform.a * one.transform.e)
    assert forest["persistence_px"] == ((first == 4) & (last == 4)).sum()
    # sinusoidal is an equal-area projection: the plane's pixel is the ground's
    assert forest["before_ha"] == pytest.approx(46_647 * pixel / HECTARE, rel=1e-4)
    assert found.transitions.unknown == 0
    assert found.transitions.counts[-1, -1] == (first == 255).sum()


def test_guadeloupe_lost_forest_twice(shared_data, tmp_path):
    path = shared_data / "forest_change_guadeloupe" / "fcc123_GLP.tif"
    dates = {
        2000: {1: "forest", 2: "forest", 3: "forest"},
        2010: {1: "other", 2: "forest", 3: "forest"},
        2020: {1: "other", 2: "other", 3: "forest"},
    }
    forest, loss = [], []
    for before, after in ((2000, 2010), (2010, 2020)):
        found = change(
            path,
            path,
            out=tmp_path / str(before),
            legend={1: "first", 2: "second", 3: "never"},
            crosswalk_before=dates[before],
            crosswalk_after=dates[after],
            date_before=before,
            date_after=after,
        )
        row = next(r for r in found.per_class if r["class"] == "forest")
        forest += [row["before_ha"], row["after_ha"]]
        loss.append(row["loss_ha"])
    assert forest == [79803.963879, 77118.317357, 77118.317357, 73431.383079]
    assert loss == [2685.646521, 3686.934279]
