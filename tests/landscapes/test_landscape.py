"""Landscape metrics of an example worked by hand, over any chunks, and of real forests."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from scipy import ndimage

from geoseg.cli.landscape import command
from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.landscapes.joined import JoinedPatches
from geoseg.landscapes.patches import LENGTH_UNIT, halo_of, measure
from geoseg.landscapes.verb import landscape
from geoseg.raster.classmap import ClassMap
from geoseg.raster.write import write_geotiff

ROWS = (
    "112222333111 112222333111 111222333311 111122233311 551112223311 551111222111 "
    "111111122222 133311112222 133311111222 133331144422 111111144442 222111144442"
)
EXAMPLE = np.array([list(map(int, row)) for row in ROWS.split()], np.uint8)
EXAMPLE[EXAMPLE == 5] = 255

NAMES = ["CA", "NP", "PD", "LPI", "TE", "ED", "TCA", "NDCA", "CORE_MN", "MESH", "PLADJ", "AI", "SHAPE_MN"]
CLASSES = {
    1: (5.85, 2, 15.8730, 35.7143, 1500, 119.0476, 1.17, 3, 0.585, 1.7518, 69.2308, 79.6460, 1.6250),
    # SHAPE_MN by hand: outlines of 44 and 8 sides, over 24 and 8 at least
    2: (3.51, 2, 15.8730, 25.7143, 1110, 88.0952, 0.90, 1, 0.450, 0.8389, 66.6667, 80.0, 1.4167),
    3: (2.25, 2, 15.8730, 10.7143, 870, 69.0476, 0.45, 2, 0.225, 0.2089, 68.0, 85.0, 1.0625),
    4: (0.99, 1, 7.9365, 7.8571, 300, 23.8095, 0.18, 1, 0.180, 0.0778, 68.1818, 100, 1.0),
}
WHOLE = {
    "TA": 12.6,
    "NP": 7,
    "PD": 55.5556,
    "TE": 1890,
    "ED": 150,
    "TCA": 2.70,
    "DIVISION": 0.7716,
    "MESH": 2.8774,
    "SHDI": 1.2198,
    "SIDI": 0.6688,
    "SHEI": 0.8799,
}


def metrics_of(labels, side, *, corners=True, depth=None, boundary=False, height=None):
    """Metrics of a map of pixels of 30 m, measured in windows."""
    halo = halo_of(depth)
    padded = np.pad(labels, halo, constant_values=255)
    whole = Window(0, 0, *labels.shape)
    total = JoinedPatches(labels.shape[1], corners=corners)
    for window in whole.blocks(height or side, side):
        around = padded[window.row : window.row_end + 2 * halo, window.col : window.col_end + 2 * halo]
        length = round(30 / LENGTH_UNIT)
        found = measure(
            around,
            halo,
            areas=np.full((window.height, 1), 900),
            across=np.full((window.height + 1, window.width), length),
            down=np.full((window.height, window.width + 1), length),
            corners=corners,
            depth=depth,
        )
        total.add(window, found)
    return total.metrics(1.0, count_boundary=boundary, where=Path("map.tif"))


@pytest.mark.parametrize("side", [12, 5, 1])
def test_an_example_worked_by_hand(side):
    classes, whole = metrics_of(EXAMPLE, side)
    for class_id, expected in CLASSES.items():
        found = [classes[class_id][name] for name in NAMES]
        assert found == pytest.approx(expected, abs=5e-5)
    for name, value in WHOLE.items():
        assert whole[name] == pytest.approx(value, abs=5e-5), name


def test_four_neighbours_cut_cores():
    classes, _ = metrics_of(EXAMPLE, 12, corners=False)
    assert [classes[c]["NDCA"] for c in (1, 2, 3, 4)] == [5, 6, 2, 1]


def test_edges_along_nodata_and_the_maps_edge_count_on_request():
    plain, whole = metrics_of(EXAMPLE, 12)
    counted, with_boundary = metrics_of(EXAMPLE, 12, boundary=True)
    added = {c: counted[c]["TE"] - plain[c]["TE"] for c in plain}
    outer = 4 * 12 - 2 + 6  # the nodata square lies at the map's edge with two sides, at classes with six
    assert sum(added.values()) == 30 * outer == with_boundary["TE"] - whole["TE"]


def test_the_depth_of_a_core_in_metres():
    depth = 30.0, (30.0, 30.0)
    for side in (12, 4):
        assert metrics_of(EXAMPLE, side, depth=depth) == metrics_of(EXAMPLE, side)
    square = np.ones((9, 9), np.uint8)
    deep, _ = metrics_of(square, 9, depth=(60.0, (30.0, 30.0)))
    assert deep[1]["TCA"] == pytest.approx(25 * 0.09)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.booleans())
def test_chunks_do_not_matter(seed, height, width, corners, deep):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([1, 1, 1, 2, 2, 3, 255], np.uint8), (14, 11))
    labels = ndimage.zoom(labels[::2, ::2], 2, order=0)[:14, :11]
    depth = (45.0, (30.0, 30.0)) if deep else None
    parts = metrics_of(labels, width, height=height, corners=corners, depth=depth)
    together = metrics_of(labels, 11, height=14, corners=corners, depth=depth)
    for one, other in zip((parts[1], *parts[0].values()), (together[1], *together[0].values()), strict=True):
        assert one == pytest.approx(other, nan_ok=True, rel=1e-12)
        assert one["NP"] == other["NP"] and one["TE"] == other["TE"] and one["NDCA"] == other["NDCA"]


@given(st.integers(1, 400))
def test_compact_shapes_have_the_best_scores(pixels):
    side = math.isqrt(pixels)
    labels = np.full((side + 2, side + 2), 255, np.uint8)
    labels[: side + 2].flat[:0] = 1
    for k in range(pixels):
        r, c = divmod(k, side) if k < side * side else (k - side * side, side)
        if k >= side * side + side:
            r, c = side, k - side * side - side
        labels[r, c] = 1
    classes, _ = metrics_of(labels, side + 2)
    assert classes[1]["SHAPE_MN"] == 1.0
    if pixels > 1:
        assert classes[1]["AI"] == 100.0


@pytest.fixture
def example_map(tmp_path):
    grid = Grid(crs=CRS.from_epsg(32720), transform=Affine(30, 0, 5e5, 0, -30, 9e6), height=12, width=12)
    tags = {"CLASS_1": "forest", "CLASS_2": "=pasture", "CLASS_3": "water", "CLASS_4": "town"}
    return write_geotiff(tmp_path / "map.tif", grid, EXAMPLE, nodata=255, tags=tags)


def test_the_table_is_geodesic_and_equal_for_any_windows(example_map, tmp_path, monkeypatch):
    found = landscape(example_map, out=tmp_path / "whole.csv")
    rows = list(csv.DictReader((tmp_path / "whole.csv").open()))
    assert [r["class"] for r in rows] == ["forest", "'=pasture", "water", "town", ""]
    assert [r["level"] for r in rows] == ["class"] * 4 + ["landscape"]
    # at the middle of the zone the plane is 0.04 % smaller than the ground
    assert found.classes[1]["TE"] == pytest.approx(1500 / 0.9996, rel=2e-5)
    assert found.classes[1]["CA"] == pytest.approx(5.85 / 0.9996**2, rel=2e-5)
    assert found.landscape["SHDI"] == pytest.approx(1.2198, abs=5e-5)
    assert found.to_table().set_index("class").loc["town", "NP"] == 1
    blocks = list(Window(0, 0, 12, 12).blocks(5, 7))
    monkeypatch.setattr(ClassMap, "scan_windows", lambda _: blocks)
    landscape(example_map, out=tmp_path / "parts.csv")
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_command_and_refusals(example_map, tmp_path):
    out = tmp_path / "landscape.csv"
    result = CliRunner().invoke(command, [str(example_map), "--out", str(out), "--neighbours", "4"])
    assert result.exit_code == 0, result.output
    assert "COHESION" in result.output and "landscape" in result.output
    with pytest.raises(UsageError, match=r"\.csv"):
        landscape(example_map, out=tmp_path / "landscape.xlsx")
    grid = Grid(crs=CRS.from_epsg(32720), transform=Affine(30, 0, 5e5, 0, -30, 9e6), height=4, width=4)
    empty = write_geotiff(tmp_path / "empty.tif", grid, np.full((4, 4), 255, np.uint8), nodata=255)
    with pytest.raises(InputError):
        landscape(empty, out=tmp_path / "empty.csv")
    assert not (tmp_path / "empty.csv").exists()


def test_guadeloupes_forest(shared_data, tmp_path):
    path = shared_data / "forest_change_guadeloupe" / "fcc123_GLP.tif"
    crosswalk = {1: "cleared", 2: "cleared", 3: "forest"}
    found = landscape(path, out=tmp_path / "guadeloupe.csv", crosswalk=crosswalk)
    by_name = {found.legend.name(i): m for i, m in found.classes.items()}
    forest, cleared = by_name["forest"], by_name["cleared"]
    assert (forest["NP"], cleared["NP"]) == (7730, 17330)
    assert (forest["NDCA"], cleared["NDCA"]) == (3627, 1242)
    assert (forest["LPI"], cleared["LPI"]) == pytest.approx((65.7658, 0.0593), rel=1e-3)
    assert forest["TE"] == cleared["TE"] == pytest.approx(1_808_100, rel=5e-4)
    assert (forest["TCA"], cleared["TCA"]) == pytest.approx((58305.69, 441.45), rel=5e-4)
