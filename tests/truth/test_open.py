"""One rule for each question, whoever asks: values, formats, colours, georeference, place, overlaps."""

from __future__ import annotations

import unicodedata

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from shapely.geometry import MultiPoint, Point, Polygon, box

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.raster.write import write_geotiff
from geoseg.truth.layer import TruthFile
from geoseg.truth.open import open_truth

LEGEND = Legend.of({1: "forest", 2: "pasture", 3: "água"})
GRID = Grid(
    crs=CRS.from_epsg(32720), transform=Affine(30, 0, 400_000, 0, -30, 9_000_000), height=40, width=50
)
SQUARES = [box(0, 0, 10, 10), box(20, 5, 30, 25)]


def opened(path, legend=LEGEND, grid=GRID, **options):
    return open_truth(TruthFile(path=path, **options), grid, legend)


def values(path, legend=LEGEND, **options):
    return set(np.unique(opened(path, legend, **options).read(GRID.window)).tolist())


def test_features_without_a_value_are_left_out_and_counted(make_vector):
    path = make_vector([*SQUARES, box(40, 30, 45, 35)], {"cover": ["forest", "  ", None]})
    truth = opened(path, field="cover", background="pasture")
    assert "2 of 3 features have no value and are left out" in truth.notes
    read = truth.read(GRID.window)
    assert (read[:10, :10] == 1).all() and (read[30:35, 40:45] == 255).all() and read[39, 0] == 2
    assert (
        opened(path, field="cover", crosswalk={None: "pasture", "forest": 1}).read(GRID.window)[31, 41] == 2
    )


def test_quoted_words_are_text_and_compared_in_one_unicode_form(make_vector, tmp_path):
    crosswalk = tmp_path / "walk.yaml"
    crosswalk.write_text('"none": forest\nno: pasture\nnull: ignore\n')
    path = make_vector([*SQUARES, box(40, 30, 45, 35)], {"cover": ["none", "no", None]})
    assert values(path, field="cover", crosswalk=crosswalk) == {1, 2, 255}
    decomposed = unicodedata.normalize("NFD", "água")
    path = make_vector(SQUARES, {"cover": [decomposed, "água"]}, "nfd.gpkg")
    assert values(path) == {3, 255}
    assert values(path, field="cover", crosswalk={decomposed: 1}) == {1, 255}


def test_fields_of_lists_hold_no_class(make_vector, tmp_path):
    path = make_vector(SQUARES, {"cover": ["forest", "pasture"]})
    frame = gpd.read_file(path)
    frame["tags"] = [["a", "b"], ["c"]]
    frame["more"] = [{"a": 1}, {"a": 2}]
    frame.to_crs(4326).to_parquet(tmp_path / "lists.geoparquet")
    truth = opened(tmp_path / "lists.geoparquet")
    assert any("'cover'" in note for note in truth.notes)
    for field in ("tags", "more"):
        with pytest.raises(UsageError, match=f"field '{field}' holds lists or records"):
            opened(tmp_path / "lists.geoparquet", field=field)


def test_a_legend_is_made_of_values_and_forgives_case_and_spaces(make_vector):
    shapes = [box(k, 0, k + 1, 5) for k in range(0, 10, 2)]
    path = make_vector(shapes, {"cover": ["Forest", "forest ", "Forest", "Sea", " "]})
    truth = opened(path, None, field="cover")
    assert truth.legend.names == ("Forest", "Sea")
    assert any("'forest' of reference.gpkg counted as 'Forest'" in n for n in truth.notes)
    path = make_vector(shapes[:3], {"code": [311, 112, 311]}, "codes.gpkg")
    assert opened(path, None, field="code").legend.names == ("112", "311")
    assert opened(path, None, field="code", crosswalk={311: "wood", 112: "town"}).legend.names == (
        "wood",
        "town",
    )


def test_an_encoding_is_offered_and_taken(make_vector, tmp_path):
    frame = gpd.read_file(make_vector(SQUARES, {"cover": ["Лес", "Луг"]}))
    frame.to_file(tmp_path / "a.shp", encoding="cp1251")
    (tmp_path / "a.cpg").unlink()
    russian = Legend.of({1: "Лес", 2: "Луг"})
    with pytest.raises(InputError, match="`encoding=cp1252`"):
        opened(tmp_path / "a.shp", russian, field="cover")
    assert values(tmp_path / "a.shp", russian, field="cover", encoding="cp1251") == {1, 2, 255}
    with pytest.raises(UsageError, match="`encoding` is for Shapefiles and CSV"):
        opened(make_vector(SQUARES, {"cover": ["forest"] * 2}, "b.gpkg"), encoding="cp1251")


def test_points_of_a_table(tmp_path):
    lon, lat = -63.9, -9.04
    grid = Grid(crs=CRS.from_epsg(4326), transform=Affine(0.01, 0, -64, 0, -0.01, -9), height=10, width=20)
    (tmp_path / "p.csv").write_text(f"lon,lat,class\n{lon},{lat},forest\n{lon + 0.05},{lat},2\n")
    truth = opened(tmp_path / "p.csv", grid=grid)
    assert truth.kind == "points" and truth.classes.tolist() == [1, 2]
    assert (truth.read(grid.window) != 255).sum() == 2


def coloured(path, colours):
    table = np.array(colours, np.uint8)[np.arange(GRID.width) % len(colours)]
    pixels = np.repeat(table[None], GRID.height, axis=0).transpose(2, 0, 1)
    return write_geotiff(path, GRID, np.ascontiguousarray(pixels), nodata=None)


def test_colours_through_a_crosswalk(tmp_path):
    path = coloured(tmp_path / "rgb.tif", [(60, 16, 152), (254, 221, 58), (1, 2, 3)])
    walk = {"#3C1098": "forest", "#fedd3a": "pasture"}
    with pytest.raises(UsageError, match="crosswalk key 'red' is no colour"):
        opened(path, crosswalk={"#3C1098": "forest", "red": "pasture"})
    with pytest.raises(InputError, match="colours without a class: #010203"):
        opened(path, crosswalk=walk).read(GRID.window)
    assert values(path, crosswalk={**walk, "*": "ignore"}) == {1, 2, 255}
    with pytest.raises(UsageError, match="need a crosswalk"):
        opened(path)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint32", "float64"])
def test_codes_of_any_type_through_a_crosswalk(tmp_path, dtype):
    codes = np.array([311, 112, 60_000], dtype)[np.arange(GRID.width) % 3]
    pixels = np.repeat(codes[None], GRID.height, axis=0)
    path = write_geotiff(tmp_path / "codes.tif", GRID, pixels, nodata=None)
    assert values(path, crosswalk={311: "forest", 112: 2, 60_000: "ignore"}) == {1, 2, 255}
    with pytest.raises(InputError, match="values without a class: 112"):
        opened(path, crosswalk={311: "forest", 60_000: 2}).read(GRID.window)


def test_255_that_no_tag_calls_nodata_is_a_class_or_is_refused(tmp_path):
    pixels = np.repeat(np.array([[1, 255]], np.uint8), 25, axis=0).repeat(20, axis=1)[:40]
    grid = Grid(crs=GRID.crs, transform=GRID.transform, height=25, width=40)
    bare = write_geotiff(tmp_path / "bare.tif", grid, pixels, nodata=None)
    with pytest.raises(InputError, match=r"without a class: 255.*'255: ignore' in `crosswalk`"):
        opened(bare, grid=grid).read(grid.window)
    read = opened(bare, grid=grid, crosswalk={1: 1, 255: "pasture"}).read(grid.window)
    assert set(np.unique(read).tolist()) == {1, 2}
    tagged = write_geotiff(tmp_path / "tagged.tif", grid, pixels, nodata=255)
    assert set(np.unique(opened(tagged, grid=grid).read(grid.window)).tolist()) == {1, 255}


@pytest.mark.parametrize("west", [170.0, -190.0])
def test_longitudes_are_compared_modulo_a_turn(tmp_path, west):
    grid = Grid(crs=CRS.from_epsg(4326), transform=Affine(0.5, 0, west, 0, -0.5, 10), height=10, width=40)
    shapes = [box(171, 6, 173, 9), box(-179, 6, -175, 9), box(175, 6, 185, 7)]
    frame = gpd.GeoDataFrame({"c": [1, 2, 3]}, geometry=shapes, crs=4326)
    frame.to_file(tmp_path / "a.gpkg")
    read = opened(tmp_path / "a.gpkg", grid=grid, overlap="last").read(grid.window)
    assert (read[2:6, 2:6] == 1).all() and (read[2, 22:30] == 2).all() and (read[6:8, 10:30] == 3).all()
    points = gpd.GeoDataFrame({"c": [1, 2]}, geometry=[Point(-175.2, 9), Point(184.8, 8)], crs=4326)
    points.to_file(tmp_path / "p.gpkg")
    assert opened(tmp_path / "p.gpkg", grid=grid).cols.tolist() == [29, 29]
    frame.iloc[:1].translate(-60).to_frame("geometry").assign(c=1).set_geometry("geometry").to_file(
        tmp_path / "far.gpkg"
    )
    with pytest.raises(InputError, match="does not lie on the map"):
        opened(tmp_path / "far.gpkg", grid=grid)


def test_overlaps_say_their_hectares_and_the_later_feature_wins_where_asked(make_vector):
    path = make_vector([box(0, 0, 10, 10), box(5, 0, 15, 10)], {"cover": ["pasture", "forest"]})
    truth = opened(path, overlap="file")
    assert (truth.read(GRID.window)[0, 5:10] == 1).all()
    assert any("ha (50 pixels)" in n and "later feature in the file wins" in n for n in truth.notes)


def test_no_polygon_on_the_grid(make_vector):
    path = make_vector([box(-30, -30, -20, -20), box(70, 60, 80, 70)], {"cover": ["forest", "forest"]})
    with pytest.raises(InputError, match="no polygon of the reference touches the map"):
        opened(path)
    truth = opened(path, background="pasture")
    assert (truth.read(GRID.window) == 2).all()
    assert any("all of it is background" in n for n in truth.notes)


def test_all_touched_and_owners(make_vector):
    path = make_vector([box(0.6, 0.6, 1.4, 1.4), box(5, 5, 9, 9)], {"cover": ["forest", "pasture"]})
    assert values(path) == {2, 255}
    truth = opened(path, all_touched=True)
    assert values(path, all_touched=True) == {1, 2, 255}
    owner = truth.owners(Window(0, 0, 10, 10))
    assert owner[0, 0] == 0 and owner[6, 6] == 1 and owner[3, 3] == -1
    assert truth.fingerprint() != opened(path).fingerprint()


def test_points_as_classes_and_owners(make_vector):
    shapes = [Point(3.5, 2.5), MultiPoint([(3.6, 2.4), (7.5, 2.5)])]
    truth = opened(make_vector(shapes, {"cover": ["forest", "pasture"]}))
    assert truth.read(GRID.window)[2, [3, 7]].tolist() == [2, 2]
    assert truth.features[truth.owners(GRID.window)[2, [3, 7]]].tolist() == [1, 1]
    assert truth.owners(Window(10, 10, 5, 5)).max() == -1


def test_a_bow_tie_in_a_collection_is_repaired_like_any_polygon(make_vector):
    bow_tie = shapely.GeometryCollection([Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]), Point(30, 30)])
    path = make_vector([bow_tie, box(20, 20, 30, 30)], {"cover": ["forest", "pasture"]})
    with pytest.raises(InputError, match="1 of 2 polygons are invalid"):
        opened(path)
    truth = opened(path, repair=True)
    assert (truth.read(GRID.window) == 1).sum() == pytest.approx(50, abs=10)
    assert any("geometry collections" in n for n in truth.notes)


def test_a_raster_without_georeference_lies_on_the_grid(tmp_path, make_map):
    from PIL import Image

    labels = np.random.default_rng(0).choice(np.array([1, 2, 3], np.uint8), GRID.shape)
    Image.fromarray(labels).save(tmp_path / "mask.png")
    truth = opened(tmp_path / "mask.png")
    assert np.array_equal(truth.read(GRID.window), labels)
    assert any("pixel by pixel" in n for n in truth.notes)
