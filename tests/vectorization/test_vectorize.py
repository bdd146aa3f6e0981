"""The verb and its files, read back by other libraries."""

from __future__ import annotations

import json
import re
import sqlite3
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

import geoseg
from geoseg.cleaning.cleaned import chunk_shape
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.writers.formats import FORMATS, suffixes
from tests.outlines.maps import frames, geometry_set, whole_raster_answer
from tests.raster.makers import TRANSFORM, UTM, write

SUFFIXES = [f.suffix for f in FORMATS if f.suffix != ".pmtiles"]
FIELDS = ["class_id", "class_name", "area_ha", "perim_m", "conf_mean", "n_pix", "run_id"]


def busy(height: int = 90, width: int = 120, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a = np.kron(rng.integers(0, 3, (height // 3, width // 3)), np.ones((3, 3))).astype(np.uint8)
    a[rng.random(a.shape) < 0.05] = 2
    a[10:25, 30:60] = 255
    a[50:79, 50:79] = frames(29)
    return a


@pytest.fixture
def class_map(tmp_path: Path) -> Path:
    tags = {"CLASS_0": "vatten", "CLASS_1": "skog", "CLASS_2": "åker", "GEOSEG_RUN": "r-0123abcd"}
    confidence = np.random.default_rng(1).integers(0, 101, busy().shape).astype(np.uint8)
    confidence[busy() == 255] = 255
    write(tmp_path / "confidence.tif", confidence, nodata=255)
    return write(tmp_path / "classes.tif", busy(), nodata=255, tags=tags)


def read(path: Path) -> gpd.GeoDataFrame:
    if path.suffix == ".parquet":
        return gpd.read_parquet(path)
    return gpd.read_file(path, layer="landcover") if path.suffix == ".gpkg" else gpd.read_file(path)


def as_set(frame: gpd.GeoDataFrame) -> list[tuple[int, bytes]]:
    single = frame.geometry.explode(index_parts=False)
    assert len(single) == len(frame)
    return geometry_set(frame.class_id, single)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_the_same_polygons_and_fields(
    class_map: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"polygons{suffix}"
    result = geoseg.vectorize(class_map, out=out, chunk=37)
    frame = read(out)
    assert list(frame.columns) == [*FIELDS, "geometry"]
    assert len(frame) == result.polygons
    assert frame.is_valid.all()
    assert set(frame.geom_type) == {"Polygon"} if suffix == ".shp" else {"MultiPolygon"}
    if suffix == ".geojson":
        assert frame.crs.to_epsg() == 4326
        frame = frame.to_crs(UTM)
        pairs = zip(frame.geometry, frame.class_id, strict=True)
        back = rasterize(pairs, out_shape=busy().shape, fill=255, transform=TRANSFORM, dtype="uint8")
        assert np.array_equal(back, busy())
    else:
        assert frame.crs.to_epsg() == 32633
        assert as_set(frame) == whole_raster_answer(busy(), TRANSFORM)
    assert dict(zip(frame.class_id, frame.class_name, strict=True)) == {0: "vatten", 1: "skog", 2: "åker"}
    assert set(frame.run_id) == {"r-0123abcd"}
    assert frame.n_pix.sum() == (busy() != 255).sum() == result.pixels


def test_attributes(class_map: Path, tmp_path: Path) -> None:
    result = geoseg.vectorize(class_map, out=tmp_path / "p.parquet")
    frame = read(tmp_path / "p.parquet")
    geod = frame.crs.get_geod()
    areas = [abs(geod.geometry_area_perimeter(g)[0]) / 1e4 for g in frame.to_crs(4326).geometry]
    np.testing.assert_allclose(frame.area_ha, areas, rtol=1e-5, atol=0.5e-6)
    assert (frame.area_ha == frame.area_ha.round(6)).all()  # of a pixel of 0.01 ha
    np.testing.assert_allclose(frame.n_pix, frame.area / 100)
    confidence = pq.read_table(tmp_path / "p.parquet")["conf_mean"].to_numpy()
    percent = np.random.default_rng(1).integers(0, 101, busy().shape)
    for k in (0, len(frame) // 2, len(frame) - 1):
        inside = rasterize([frame.geometry.iloc[k]], out_shape=percent.shape, transform=TRANSFORM) == 1
        assert confidence[k] == pytest.approx(percent[inside].mean() / 100)
    by_class = frame.groupby("class_name").area_ha.sum().to_dict()
    assert result.hectares == pytest.approx(by_class)


def test_files_are_the_same_for_every_chunk_and_worker_count(class_map: Path, tmp_path: Path) -> None:
    tables = []
    for i, options in enumerate([{"chunk": 500}, {"chunk": 17}, {"chunk": 64}, {"chunk": 40, "workers": 2}]):
        out = tmp_path / f"{i}.parquet"
        geoseg.vectorize(class_map, out=out, **options)
        tables.append(read(out).to_wkb())
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other, check_exact=True)


def test_geopackage_has_index_style_and_metadata(class_map: Path, tmp_path: Path) -> None:
    geoseg.vectorize(class_map, out=tmp_path / "p.gpkg")
    info = pyogrio.read_info(tmp_path / "p.gpkg", layer="landcover")
    assert info["fid_column"] == "fid"
    assert info["capabilities"]["fast_spatial_filter"]
    with sqlite3.connect(tmp_path / "p.gpkg") as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        style = connection.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
        ).fetchall()
        identifiers = [r[0] for r in connection.execute("SELECT fid FROM landcover")]
    connection.close()
    assert "rtree_landcover_geom" in tables
    assert style[0][:3] == ("landcover", "geom", 1)
    assert all(name in style[0][3] for name in ("vatten", "skog", "åker"))
    assert identifiers == list(range(1, len(identifiers) + 1))


def test_geoparquet_metadata(class_map: Path, tmp_path: Path) -> None:
    geoseg.vectorize(class_map, out=tmp_path / "p.parquet", chunk=30)
    file = pq.ParquetFile(tmp_path / "p.parquet")
    geo = json.loads(file.metadata.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    frame = read(tmp_path / "p.parquet")
    assert column["bbox"] == list(frame.total_bounds)
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert file.num_row_groups == 3
    x, y = TRANSFORM * (60, 45)
    near = gpd.read_parquet(tmp_path / "p.parquet", bbox=(x, y, x + 1, y + 1))
    assert 0 < len(near) < len(frame)


def test_shapefile_parts(class_map: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoseg.writers.shapefile.PART_BYTES", 40_000)
    result = geoseg.vectorize(class_map, out=tmp_path / "p.shp", chunk=30)
    parts = [p for p in result.paths if p.suffix == ".shp"]
    assert parts[0].name == "p.shp"
    assert len(parts) == 3
    assert (tmp_path / "p.cpg").read_text() == "UTF-8"
    assert (tmp_path / "p_2.prj").read_text().startswith('PROJCS["WGS_1984_UTM_Zone_33N"')
    frame = pd.concat([read(p) for p in parts])
    assert as_set(frame) == whole_raster_answer(busy(), TRANSFORM)
    assert not frame.isna().any().any()


def test_shapefile_without_nulls(tmp_path: Path) -> None:
    a = np.array([[0, 1, 1]], np.uint8)
    write(tmp_path / "confidence.tif", np.array([[50, 255, 255]], np.uint8), nodata=255)
    write(tmp_path / "classes.tif", a, nodata=255)
    geoseg.vectorize(tmp_path / "classes.tif", out=tmp_path / "p.shp")
    geoseg.vectorize(tmp_path / "classes.tif", out=tmp_path / "p.parquet")
    assert read(tmp_path / "p.shp").conf_mean.tolist() == [0.5, -1.0]
    assert read(tmp_path / "p.parquet").conf_mean.isna().tolist() == [False, True]


def test_only_some_classes(class_map: Path, tmp_path: Path) -> None:
    result = geoseg.vectorize(class_map, out=tmp_path / "p.fgb", only="skog,2")
    assert set(result.hectares) == {"skog", "åker"}
    a = busy()
    a[a == 0] = 255
    assert as_set(read(tmp_path / "p.fgb")) == whole_raster_answer(a, TRANSFORM)
    with pytest.raises(InputError, match="skog"):
        geoseg.vectorize(class_map, out=tmp_path / "q.fgb", only="skgo")


def test_other_crs(class_map: Path, tmp_path: Path) -> None:
    geoseg.vectorize(class_map, out=tmp_path / "p.gpkg", crs="EPSG:3035")
    frame = read(tmp_path / "p.gpkg")
    assert frame.crs.to_epsg() == 3035
    pairs = zip(frame.to_crs(UTM).geometry, frame.class_id, strict=True)
    back = rasterize(pairs, out_shape=busy().shape, fill=255, transform=TRANSFORM, dtype="uint8")
    assert np.array_equal(back, busy())
    with pytest.raises(UsageError, match="EPSG:0"):
        geoseg.vectorize(class_map, out=tmp_path / "q.gpkg", crs="EPSG:0")


def test_rings_of_a_south_up_map_are_counter_clockwise_too(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", frames(9), crs="EPSG:4326", transform=Affine(0.1, 0, 10, 0, 0.1, 50))
    geoseg.vectorize(path, out=tmp_path / "p.parquet")
    for polygon in read(tmp_path / "p.parquet").geometry.explode(index_parts=False):
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)


def test_a_map_without_any_class_gives_an_empty_layer(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", np.full((20, 30), 255, np.uint8), nodata=255)
    for suffix in SUFFIXES:
        result = geoseg.vectorize(path, out=tmp_path / f"p{suffix}")
        assert result.polygons == 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(read(tmp_path / f"p{suffix}")) == 0


def test_codes_of_sixteen_bits_by_a_crosswalk_in_every_verb_of_a_map(tmp_path: Path) -> None:
    codes = np.kron(np.array([[111, 112], [311, 65535]]), np.ones((20, 20))).astype(np.uint16)
    path = write(tmp_path / "codes.tif", codes)
    walk = tmp_path / "walk.yaml"
    walk.write_text("111: urban\n112: urban\n311: forest\n65535: ignore\n")
    polygons = geoseg.vectorize(path, out=tmp_path / "p.gpkg", crosswalk=walk, only=["urban"])
    assert [(c.class_id, c.name, c.pixels) for c in polygons.classes] == [(1, "urban", 800)]
    with pytest.raises(InputError, match=r"is not a class number.*`crosswalk=MAP.yaml`"):
        geoseg.vectorize(path, out=tmp_path / "x.gpkg")
    legend = {5: "forest", 9: "urban"}
    cleaned = geoseg.clean(path, out=tmp_path / "c.tif", crosswalk=walk, min_pixels=9, legend=legend)
    assert [(c.class_id, c.after) for c in cleaned.classes] == [(5, 400), (9, 800)]
    assert geoseg.open_class_map(cleaned.path).legend.names == ("forest", "urban")
    scores = geoseg.evaluate(path, cleaned.path, map_crosswalk=walk)
    assert scores.matrix.scored == 1200 and scores.matrix.counts.trace() == 1200


def test_a_foreign_map_gets_plain_names(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", np.array([[3, 3, 7]], np.int32), nodata=7)
    result = geoseg.vectorize(path, out=tmp_path / "p.gpkg")
    assert result.hectares.keys() == {"class 3"}
    assert "conf_mean" not in read(tmp_path / "p.gpkg").columns


def test_refusals(class_map: Path, tmp_path: Path) -> None:
    (tmp_path / "p.gpkg").write_bytes(b"mine")
    with pytest.raises(OutputConflictError, match="overwrite"):
        geoseg.vectorize(class_map, out=tmp_path / "p.gpkg")
    assert (tmp_path / "p.gpkg").read_bytes() == b"mine"
    geoseg.vectorize(class_map, out=tmp_path / "p.gpkg", overwrite=True)
    assert len(read(tmp_path / "p.gpkg"))
    with pytest.raises(UsageError, match=re.escape(suffixes())):
        geoseg.vectorize(class_map, out=tmp_path / "p.kml")
    with pytest.raises(OutputConflictError, match="folder"):
        geoseg.vectorize(class_map, out=tmp_path / "no" / "p.gpkg")
    with pytest.raises(UsageError, match="confidence"):
        geoseg.vectorize(class_map, out=tmp_path / "x.gpkg", confidenc="c.tif")
    other = write(tmp_path / "other.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(InputError, match="size"):
        geoseg.vectorize(class_map, out=tmp_path / "x.gpkg", confidence=other)
    wrong = write(tmp_path / "wrong.tif", np.full(busy().shape, 200, np.uint8))
    with pytest.raises(InputError, match="200 is out of range"):
        geoseg.vectorize(class_map, out=tmp_path / "x.gpkg", confidence=wrong)
    fractions = write(tmp_path / "fractions.tif", np.full(busy().shape, 0.25, np.float32))
    geoseg.vectorize(class_map, out=tmp_path / "x.parquet", confidence=fractions)
    assert set(read(tmp_path / "x.parquet").conf_mean) == {0.25}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_nothing_behind(tmp_path: Path, suffix: str) -> None:
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    path = write(tmp_path / "m.tif", busy(300, 300), nodata=255, **tiles)
    damaged = bytearray(path.read_bytes())
    half = len(damaged) * 3 // 4
    damaged[half : half + 400] = b"\0" * 400
    path.write_bytes(damaged)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        geoseg.vectorize(path, out=tmp_path / "out" / f"p{suffix}", chunk=64)
    assert list((tmp_path / "out").iterdir()) == []


def test_chunk_shape_bounds_a_row_of_chunks() -> None:
    assert chunk_shape(100, 100) == (128, 512)
    assert chunk_shape(4096, 4096) == (1024, 4096)
    for side in (10_980, 32_768, 65_536, 200_000):
        rows, columns = chunk_shape(side, side)
        assert rows % 128 == columns % 512 == 0
        assert rows * side <= max(2**22, 128 * side)
    assert chunk_shape(5, 5, 3) == (3, 3)


def test_command(class_map: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from geoseg.cli.main import main

    arguments = ["vectorize", str(class_map), "--out", str(tmp_path / "p.gpkg")]
    main(arguments)
    printed = capsys.readouterr().out
    assert "skog" in printed
    assert str(tmp_path / "p.gpkg") in printed
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 6
    assert "--overwrite" in capsys.readouterr().err


def test_a_long_snake_over_every_seam(tmp_path: Path) -> None:
    a = np.zeros((200, 200), np.uint8)
    a[::2] = 1
    a[1::4, -1] = 1
    a[3::4, 0] = 1
    path = write(tmp_path / "m.tif", a)
    geoseg.vectorize(path, out=tmp_path / "p.parquet", chunk=16)
    frame = read(tmp_path / "p.parquet")
    assert (frame.class_id == 1).sum() == 1
    assert as_set(frame) == whole_raster_answer(a, TRANSFORM)
    assert shapely.is_valid(frame.geometry.values).all()
