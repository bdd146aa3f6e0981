"""Where the polygons end up: output CRS and axis order, long edges, the antimeridian, formats for the web."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

import geoseg
from geoseg.errors import InputError, UsageError
from geoseg.vectorization.reproject import densified
from geoseg.writers.pmtiles import finest_zoom
from tests.outlines.maps import class_maps, polygons_of, trace_chunked
from tests.raster.makers import TRANSFORM, UTM, write

BINARY = [".gpkg", ".fgb", ".parquet", ".shp"]


def blocks(height: int = 30, width: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 3, (height // 5, width // 5)), np.ones((5, 5))).astype(np.uint8)


def read(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path, layer=None)


def read_first(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(path, layer="landcover") if path.suffix == ".gpkg" else read(path)


def assert_every_pixel_lies_in_its_class(
    frame: gpd.GeoDataFrame, a: np.ndarray, crs: str, transform: Affine
) -> None:
    """Pixel centres, moved by pyproj, fall into exactly one polygon, and that has the pixel's class."""
    rows, cols = np.nonzero(a != 255)
    x, y = transform * (cols + 0.5, rows + 0.5)
    lon, lat = Transformer.from_crs(crs, frame.crs, always_xy=True).transform(x, y)
    if frame.crs.is_geographic:
        lon = (lon + 180) % 360 - 180
    points, polygons = shapely.STRtree(frame.geometry.values).query(shapely.points(lon, lat), "intersects")
    assert np.array_equal(np.sort(points), np.arange(len(rows)))
    assert np.array_equal(frame.class_id.to_numpy()[polygons], a[rows, cols][points])


@pytest.mark.parametrize("suffix", BINARY)
@pytest.mark.parametrize(
    ("crs", "utm", "first", "second"),
    [
        ("EPSG:4326", "EPSG:32632", (9, 9.1), (49.5, 49.7)),
        ("EPSG:31467", "EPSG:32632", (3_499_000, 3_501_000), (5.49e6, 5.5e6)),
        ("EPSG:2953", "EPSG:32619", (2_568_000, 2_568_500), (7.494e6, 7.496e6)),
    ],
)
def test_easting_comes_first_whatever_the_crs_says(
    tmp_path: Path, suffix: str, crs: str, utm: str, first: tuple[float, float], second: tuple[float, float]
) -> None:
    """These three define northing or latitude first; files hold easting or longitude first all the same."""
    x, y = (500_000, 5_490_000) if utm.endswith("32") else (760_000, 5_150_000)
    transform = Affine(10, 0, x, 0, -10, y)
    path = write(tmp_path / "m.tif", blocks(), crs=utm, transform=transform)
    geoseg.vectorize(path, out=tmp_path / f"p{suffix}", crs=crs)
    frame = read_first(tmp_path / f"p{suffix}")
    assert frame.crs.equals(crs, ignore_axis_order=True) or suffix == ".shp"
    west, south, east, north = frame.total_bounds
    assert first[0] <= west < east <= first[1]
    assert second[0] <= south < north <= second[1]
    frame = frame.set_crs(crs, allow_override=True)
    assert_every_pixel_lies_in_its_class(frame, blocks(), utm, transform)


@pytest.mark.parametrize("suffix", BINARY)
def test_a_map_in_a_northing_easting_crs_stays_where_it_is(tmp_path: Path, suffix: str) -> None:
    transform = Affine(10, 0, 2_500_000, 0, -10, 7_500_000)
    path = write(tmp_path / "m.tif", blocks(), crs="EPSG:2953", transform=transform)
    geoseg.vectorize(path, out=tmp_path / f"p{suffix}")
    bounds = read_first(tmp_path / f"p{suffix}").total_bounds
    assert bounds.tolist() == [2_500_000, 7_499_700, 2_500_400, 7_500_000]


def test_long_edges_keep_their_course_and_their_neighbours(tmp_path: Path) -> None:
    """100 km edges bend in longitude and latitude; bands beside a wide one must still meet it."""
    a = np.zeros((200, 1000), np.uint8)
    a[100:] = 1 + np.arange(1000) // 37 % 2
    transform = Affine(100, 0, 300_000, 0, -100, 7_000_000)
    path = write(tmp_path / "m.tif", a, crs=UTM, transform=transform)
    geoseg.vectorize(path, out=tmp_path / "p.parquet", crs="EPSG:4326")
    frame = read(tmp_path / "p.parquet").to_crs(UTM)
    wide = frame[frame.class_id == 0].geometry.iloc[0]
    truth = shapely.box(300_000, 6_990_000, 400_000, 7_000_000)
    assert wide.symmetric_difference(truth).area < 1e-5 * truth.area
    pixel = 100.0**2
    union = frame.geometry.union_all()
    assert frame.area.sum() - union.area < 0.05 * pixel
    assert shapely.box(*union.bounds).area - union.area < 30 * pixel
    assert sum(shapely.Polygon(hole).area for hole in shapely.get_parts(union)[0].interiors) < 0.05 * pixel


@settings(deadline=None, max_examples=40)
@given(class_maps(), st.integers(1, 5))
def test_densified_polygons_are_the_same_with_short_edges(a: np.ndarray, step: int) -> None:
    rings = trace_chunked(a, 6, 7).rings
    dense = densified(rings, step)
    for before, after in zip(polygons_of(rings), polygons_of(dense), strict=True):
        assert before.equals(after)
        xy = shapely.get_coordinates(after.exterior)
        assert np.abs(np.diff(xy, axis=0)).sum(axis=1).max() <= step
        # neighbours share what was added: it lies on lines of the whole grid
        corners = {tuple(p) for p in shapely.get_coordinates(before).tolist()}
        added = np.array([p for p in shapely.get_coordinates(after).tolist() if tuple(p) not in corners])
        assert len(added) == 0 or (added % step == 0).any(axis=1).all()


def test_densified_slanting_edges_are_the_same_from_both_sides() -> None:
    from geoseg.outlines.seams import Rings

    def of(points: list[tuple[float, float]]) -> Rings:
        return Rings(
            points=np.array(points), ring_offsets=np.array([0, len(points)]), polygon_offsets=np.array([0, 1])
        )

    one = densified(of([(0.3, 0.1), (0.3, 9.7), (7.9, 9.7)]), 2).points
    other = densified(of([(0.3, 0.1), (7.9, 9.7), (8.0, 0.2)]), 2).points
    shared = {tuple(p) for p in one} & {tuple(p) for p in other}
    assert len(shared) == 2 + int(np.ceil(np.hypot(7.6, 9.6) / 2)) - 1


ACROSS = {
    "utm 60": ("EPSG:32660", Affine(20_000, 0, 500_000, 0, -20_000, 6_500_000)),
    "degrees past 180": ("EPSG:4326", Affine(0.1, 0, 178, 0, -0.1, 10)),
    "degrees before -180": ("EPSG:4326", Affine(0.1, 0, -182, 0, -0.1, 10)),
    "0 to 360": ("EPSG:4326", Affine(9, 0, 0, 0, -4, 60)),
    "pacific mercator": ("EPSG:3832", Affine(20_000, 0, 2_900_000, 0, -20_000, 1_000_000)),
    "south pole": ("EPSG:3031", Affine(10_000, 0, -203_000, 0, -10_000, 154_000)),
    "north pole": ("EPSG:3413", Affine(10_000, 0, -203_000, 0, -10_000, 154_000)),
}


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
@pytest.mark.parametrize("case", ACROSS)
def test_maps_across_the_antimeridian(tmp_path: Path, case: str, suffix: str) -> None:
    crs, transform = ACROSS[case]
    a = blocks()
    a[:, 18:22] = 1
    a[10:20, 15:27] = 2  # around the poles: a region that holds it, in a region around it
    a[9:21, 14] = a[9:21, 27] = a[9, 14:28] = a[20, 14:28] = 0
    path = write(tmp_path / "m.tif", a, crs=crs, transform=transform)
    geoseg.vectorize(path, out=tmp_path / f"p{suffix}", crs="EPSG:4326")
    frame = read_first(tmp_path / f"p{suffix}")
    west, _, east, _ = frame.total_bounds
    assert (west, east) == (-180, 180)
    assert frame.is_valid.all()
    for part in frame.geometry.explode(index_parts=False):
        assert part.exterior.is_ccw
        assert part.bounds[2] - part.bounds[0] <= 180 or "pole" in case
    assert_every_pixel_lies_in_its_class(frame, a, crs, transform)


def test_a_region_around_a_pole_has_its_true_area(tmp_path: Path) -> None:
    a = np.zeros((60, 60), np.uint8)
    a[20:40, 20:40] = 1
    a[25:35, 25:35] = 2
    path = write(tmp_path / "m.tif", a, crs="EPSG:3031", transform=Affine(1000, 0, -30_500, 0, -1000, 30_500))
    geoseg.vectorize(path, out=tmp_path / "p.parquet", crs="EPSG:4326")
    frame = read(tmp_path / "p.parquet")
    geod = frame.crs.get_geod()
    areas = [sum(abs(geod.geometry_area_perimeter(p)[0]) for p in g.geoms) / 1e4 for g in frame.geometry]
    np.testing.assert_allclose(areas, frame.area_ha, rtol=1e-3)
    assert (frame.bounds.miny == -90).sum() == 1


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".shp", ".geojson"])
def test_polygons_come_back_as_a_frame(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"x{suffix}"
    box = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=UTM)
    if suffix == ".gpkg":  # a file with other layers is asked for the one that was written
        box.to_file(out, layer="other")
    made = geoseg.vectorize(write(tmp_path / "a.tif", blocks()), out=out, layer="mine", overwrite=True)
    frame = made.to_geodataframe()
    assert len(frame) == made.polygons > 1
    assert set(frame["class_id"]) == {c.class_id for c in made.classes}
    assert frame.crs is not None


def test_geojson_is_rfc_7946(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", blocks())
    geoseg.vectorize(path, out=tmp_path / "p.geojson")
    text = json.loads((tmp_path / "p.geojson").read_text())
    assert text["type"] == "FeatureCollection"
    assert "crs" not in text
    for feature in text["features"]:
        assert feature["geometry"]["type"] == "MultiPolygon"
        for exterior, *holes in feature["geometry"]["coordinates"]:
            assert exterior[0] == exterior[-1]
            assert shapely.LinearRing(exterior).is_ccw
            assert not any(shapely.LinearRing(hole).is_ccw for hole in holes)
            assert all(round(v, 7) == v and abs(v) <= 180 for point in exterior for v in point)
    with pytest.raises(UsageError, match="longitude and latitude"):
        geoseg.vectorize(path, out=tmp_path / "q.geojson", crs=UTM)


def test_geoparquet_boxes_and_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", blocks(120, 40))
    geoseg.vectorize(path, out=tmp_path / "p.parquet", chunk=40)
    file = pq.ParquetFile(tmp_path / "p.parquet")
    frame = read(tmp_path / "p.parquet")
    boxes = np.array(
        [[box[k] for k in ("xmin", "ymin", "xmax", "ymax")] for box in file.read()["bbox"].to_pylist()]
    )
    assert np.array_equal(boxes, frame.geometry.bounds.to_numpy())
    begin = 0
    for group in range(file.num_row_groups):
        facts = file.metadata.row_group(group)
        inside = frame.geometry.iloc[begin : begin + facts.num_rows].total_bounds
        stats = {facts.column(i).path_in_schema: facts.column(i).statistics for i in range(facts.num_columns)}
        assert [stats["bbox.xmin"].min, stats["bbox.ymin"].min] == inside[:2].tolist()
        assert [stats["bbox.xmax"].max, stats["bbox.ymax"].max] == inside[2:].tolist()
        begin += facts.num_rows
    assert file.num_row_groups == 3
    assert begin == len(frame)


def test_pmtiles(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", blocks(300, 400), tags={"CLASS_0": "vatten", "CLASS_1": "skog"})
    (tmp_path / "out").mkdir()
    result = geoseg.vectorize(path, out=tmp_path / "out" / "p.pmtiles")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["p.pmtiles"]
    assert (tmp_path / "out" / "p.pmtiles").read_bytes()[:8] == b"PMTiles\x03"
    info = pyogrio.read_info(tmp_path / "out" / "p.pmtiles")
    assert (info["dataset_metadata"]["minzoom"], info["dataset_metadata"]["maxzoom"]) == ("6", "12")
    tiles = gpd.read_file(tmp_path / "out" / "p.pmtiles").to_crs(UTM)
    assert set(tiles.class_name) >= {"vatten", "skog"}
    west, south, east, north = tiles.total_bounds
    x0, y0 = TRANSFORM * (0, 0)
    assert (west, north, east, south) == pytest.approx((x0, y0, x0 + 4000, y0 - 3000), abs=3)
    # a polygon is cut at the tiles it lies in, so only the covered ground can be compared
    truth = result.hectares["skog"] * 1e4
    assert tiles[tiles.class_name == "skog"].geometry.union_all().area == pytest.approx(truth, rel=0.01)


def test_pmtiles_of_nothing_are_refused_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "map.tif", np.full((40, 40), 255, np.uint8), nodata=255)
    with pytest.raises(UsageError, match="nothing to draw"):
        geoseg.vectorize(path, out=tmp_path / "p.pmtiles")
    assert [p.name for p in tmp_path.iterdir()] == ["map.tif"]


def test_pmtiles_of_a_busy_map_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL thins out full tiles with a warning, which would be an error here."""
    monkeypatch.setattr("geoseg.writers.pmtiles._MOST_BYTES", 200)
    path = write(tmp_path / "m.tif", blocks(300, 400))
    geoseg.vectorize(path, out=tmp_path / "p.pmtiles")
    assert (tmp_path / "p.pmtiles").stat().st_size < 100_000


def test_pmtiles_without_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "m.tif", blocks())
    monkeypatch.setattr(pyogrio, "list_drivers", lambda: {"GPKG": "raw", "PMTiles": "r"})
    with pytest.raises(UsageError, match="pip install --upgrade pyogrio"):
        geoseg.vectorize(path, out=tmp_path / "p.pmtiles")
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_zoom_follows_the_pixel() -> None:
    assert [finest_zoom(size) for size in (10, 30, 300, 0.1, 1e9)] == [12, 11, 8, 15, 0]


def test_crs_that_cannot_be_used(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", blocks(), crs="EPSG:4326", transform=Affine(9, 0, -180, 0, -6, 90))
    with pytest.raises(UsageError, match="no CRS for maps"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", crs="EPSG:4978")
    with pytest.raises(InputError, match="has no place in"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", crs="+proj=gnom +lat_0=90 +datum=WGS84")
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_degrees_of_a_picture_that_lies_nowhere_are_told(tmp_path: Path) -> None:
    photo = write(tmp_path / "a.tif", blocks(), crs=None, transform=None)
    (placed,) = geoseg.vectorize(photo, out=tmp_path / "a.gpkg", pixel_size=0.3).notes
    assert "lies nowhere" in placed
    first, second = geoseg.vectorize(photo, out=tmp_path / "a.geojson", pixel_size=0.3).notes
    assert first == placed and second.startswith("a.geojson is in longitude and latitude, and the picture")
    on_earth = write(tmp_path / "b.tif", blocks())
    assert "nowhere" not in str(geoseg.vectorize(on_earth, out=tmp_path / "b.geojson").notes)
