"""Squares to label next, from real files."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

import geoseg
from geoseg.errors import InputError, OutputConflictError
from tests.raster.makers import TRANSFORM, UTM, write

SIDE = 16


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Class 1 left and 2 right of 50 x 70 pixels, a corner without data; unsure at two places."""
    ids = np.where(np.arange(70) < 35, 1, 2)[None].repeat(50, 0).astype(np.uint8)
    ids[:20, :20] = 255
    percent = np.full(ids.shape, 100, np.uint8)
    percent[32:48, 0:16] = 60
    percent[16:32, 48:64] = 70
    percent[ids == 255] = 255
    write(tmp_path / "confidence.tif", percent, nodata=255)
    return write(tmp_path / "classes.tif", ids, nodata=255)


def test_squares_lie_where_the_model_is_unsure(classes: Path, tmp_path: Path) -> None:
    result = geoseg.suggest(classes, out=tmp_path / "squares.gpkg", side=SIDE)
    assert [(s.window.row, s.window.col) for s in result.squares] == [(32, 0), (16, 48)]
    assert any("only 2 squares" in note for note in result.notes)
    frame = gpd.read_file(result.path, layer="to_label")
    assert frame.crs == UTM
    assert list(frame.order) == [1, 2]
    assert list(frame.unsure_pct) == [40.0, 30.0]
    assert list(frame.class_id) == [1, 2]
    assert list(frame.mix) == ["class 1 100 %", "class 2 100 %"]
    for s, shape in zip(result.squares, frame.geometry, strict=True):
        corners = [
            TRANSFORM @ (c, r)
            for c in (s.window.col, s.window.col_end)
            for r in (s.window.row, s.window.row_end)
        ]
        assert shapely.equals(shape, shapely.MultiPoint(corners).envelope)
    assert "class 2" in gpd.read_file(result.path, layer="layer_styles").styleQML[0]


def test_codes_come_in_by_a_crosswalk(classes: Path, tmp_path: Path) -> None:
    with rasterio.open(classes) as file:
        ids = file.read(1).astype(np.uint16) * 300
    codes = write(tmp_path / "codes.tif", np.where(ids > 60_000, 0, ids).astype(np.uint16), nodata=0)
    options = {"confidence": tmp_path / "confidence.tif", "side": SIDE}
    with pytest.raises(InputError, match=r"`crosswalk=MAP\.yaml`"):
        geoseg.suggest(codes, out=tmp_path / "a.gpkg", **options)
    found = geoseg.suggest(
        codes, out=tmp_path / "a.gpkg", crosswalk={300: "left", 600: "right", 10964: "ignore"}, **options
    )
    assert [s.window.row for s in found.squares] == [32, 16]


def test_labelled_squares_are_not_asked_for_again(classes: Path, tmp_path: Path) -> None:
    spot = shapely.Point(*(TRANSFORM @ (8, 40))).buffer(15)
    mine = tmp_path / "mine.geojson"
    gpd.GeoDataFrame(geometry=[spot], crs=UTM).to_crs(4326).to_file(mine)
    result = geoseg.suggest(classes, out=tmp_path / "squares.gpkg", side=SIDE, labelled=mine)
    assert [(s.window.row, s.window.col) for s in result.squares] == [(16, 48)]


def test_blocks_of_reading_do_not_matter(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = geoseg.suggest(classes, out=tmp_path / "a.gpkg", side=SIDE)
    monkeypatch.setattr("geoseg.suggestions.verb._SPAN", SIDE)
    assert geoseg.suggest(classes, out=tmp_path / "b.gpkg", side=SIDE).squares == whole.squares


def test_bad_input_is_told(classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "squares.gpkg"
    certain = write(tmp_path / "certain.tif", np.full((50, 70), 100, np.uint8))
    with pytest.raises(InputError, match="certain in all"):
        geoseg.suggest(classes, out=out, confidence=certain)
    other = write(tmp_path / "other.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(InputError, match="not the confidence of this class map"):
        geoseg.suggest(classes, out=out, confidence=other)
    with pytest.raises(InputError, match="not found"):
        geoseg.suggest(classes, out=out, confidence=tmp_path / "none.tif")
    assert not out.exists()
    out.write_bytes(b"mine")
    with pytest.raises(OutputConflictError):
        geoseg.suggest(classes, out=out, side=SIDE)
