"""Regions with more corners than are held for one: cut at a seam, whole otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

import geoseg
from geoseg.errors import UsageError
from tests.outlines.maps import NORTH_UP, class_maps, polygons_of, trace_chunked
from tests.raster.makers import TRANSFORM, UTM


@settings(max_examples=80)
@given(a=class_maps(), rows=st.integers(1, 6), cols=st.integers(1, 9), most=st.integers(1, 40))
def test_parts_are_valid_and_burn_back_to_the_map(a: np.ndarray, rows: int, cols: int, most: int) -> None:
    traced = trace_chunked(a, rows, cols, most)
    polygons = polygons_of(traced.rings)
    assert all(shapely.is_valid(polygons))
    ids = traced.regions["class_id"].tolist()
    burnt = np.full(a.shape, 255, np.uint8)
    if polygons:
        burnt = rasterize(
            zip(polygons, ids, strict=True), a.shape, fill=255, transform=NORTH_UP, dtype="uint8"
        )
    assert np.array_equal(burnt, a)
    # each covers its own pixels and no others: parts that overlapped would count some twice
    assert [p.area for p in polygons] == traced.regions["pixels"].tolist()
    assert traced.regions["pixels"].sum() == (a != 255).sum()


def spanning_map(height: int = 96, width: int = 96) -> np.ndarray:
    """A region over the whole map, with a hole of one pixel in every 4 x 4."""
    a = np.full((height, width), 1, np.uint8)
    a[2::4, 2::4] = 2
    return a


def write(path: Path, a: np.ndarray) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": a.shape[0], "width": a.shape[1]}
    with rasterio.open(path, "w", **profile, crs=UTM, transform=TRANSFORM, nodata=255) as sink:
        sink.write(a, 1)
    return path


@pytest.mark.parametrize("options", [{}, {"simplify": 15.0}, {"neighbours": True}])
def test_the_verb_cuts_says_so_and_keeps_the_totals(tmp_path: Path, options: dict) -> None:
    simplifies = "simplify" in options  # in chunks of 2048 pixels
    source = write(tmp_path / "map.tif", spanning_map(2100, 8) if simplifies else spanning_map())
    whole = geoseg.vectorize(source, out=tmp_path / "whole.gpkg", chunk=16, **options)
    cut = geoseg.vectorize(source, out=tmp_path / "cut.gpkg", chunk=16, max_corners=300, **options)
    assert not any("cut" in note for note in whole.notes)
    assert [note for note in cut.notes if "more than 300 corners were cut" in note]
    assert cut.pixels == whole.pixels
    assert cut.polygons > whole.polygons
    assert cut.hectares == pytest.approx(whole.hectares)
    frame = pyogrio.read_dataframe(tmp_path / "cut.gpkg", layer="landcover")
    assert frame.geometry.is_valid.all()
    assert frame.geometry.union_all().area == pytest.approx(frame.geometry.area.sum())
    if simplifies:
        assert shapely.coverage_is_valid(frame.geometry.values)


def test_a_limit_of_zero_never_cuts(tmp_path: Path) -> None:
    source = write(tmp_path / "map.tif", spanning_map())
    whole = geoseg.vectorize(source, out=tmp_path / "whole.gpkg", chunk=16, max_corners=0)
    assert {c.class_id: c.polygons for c in whole.classes}[1] == 1


def test_a_polygon_that_no_reader_could_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoseg.writers.sqlite.rows._LARGEST", 20_000)
    source = write(tmp_path / "map.tif", spanning_map())
    with pytest.raises(UsageError, match="does not fit into a GeoPackage"):
        geoseg.vectorize(source, out=tmp_path / "whole.gpkg", chunk=16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif"]
    assert geoseg.vectorize(source, out=tmp_path / "cut.gpkg", chunk=16, max_corners=300).polygons > 500
