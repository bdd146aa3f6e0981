from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Window
from geoseg.legend import Legend
from geoseg.raster.classmap import color_table_of, open_class_map, tags_of
from tests.raster.makers import TRANSFORM, write

LEGEND = Legend.of({1: "forest", 2: "water"}, {1: "#00AA00", 2: "#0000FF"})


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("nodata", [None, 0, 99])
def test_any_type_of_whole_numbers_is_read_as_uint8(tmp_path: Path, dtype: str, nodata: int | None) -> None:
    values = np.random.default_rng(0).choice([0, 1, 2, 99], (30, 40))
    classes = open_class_map(write(tmp_path / "a.tif", values.astype(dtype), nodata=nodata))
    expected = np.where(values == nodata, 255, values).astype(np.uint8)
    read = classes.read(Window(3, 4, 20, 30))
    assert read.dtype == np.uint8
    assert np.array_equal(read, expected[3:23, 4:34])
    assert classes.values() == tuple(v for v in (0, 1, 2, 99) if v != nodata)
    assert classes.nodata == 255


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_255_that_no_tag_calls_nodata_is_refused_and_never_dropped(tmp_path: Path, dtype: str) -> None:
    pixels = np.array([[0, 255], [255, 1]], dtype)
    for nodata in (None, 0):
        classes = open_class_map(write(tmp_path / "a.tif", pixels, nodata=nodata))
        with pytest.raises(InputError, match="255 is a class or nodata, and no tag says which"):
            classes.values()
    said = open_class_map(tmp_path / "a.tif", nodata=255)
    assert said.values() == (0, 1)
    assert open_class_map(write(tmp_path / "b.tif", pixels, nodata=255)).values() == (0, 1)


def _aux(path: Path, band: str) -> None:
    xml = f'<PAMDataset><SRS>EPSG:4326</SRS><PAMRasterBand band="1">{band}</PAMRasterBand></PAMDataset>'
    path.with_name(path.name + ".aux.xml").write_text(xml)


TABLE = """<NoDataValue>7</NoDataValue><GDALRasterAttributeTable tableType="thematic">
<FieldDefn index="0"><Name>OID</Name><Type>0</Type><Usage>0</Usage></FieldDefn>
<FieldDefn index="1"><Name>Value</Name><Type>0</Type><Usage>{value}</Usage></FieldDefn>
<FieldDefn index="2"><Name>{name}</Name><Type>2</Type><Usage>{usage}</Usage></FieldDefn>
<FieldDefn index="3"><Name>Red</Name><Type>0</Type><Usage>6</Usage></FieldDefn>
<FieldDefn index="4"><Name>Green</Name><Type>0</Type><Usage>7</Usage></FieldDefn>
<FieldDefn index="5"><Name>Blue</Name><Type>0</Type><Usage>8</Usage></FieldDefn>
<Row index="0"><F>0</F><F>3</F><F>Forest</F><F>0</F><F>128</F><F>16</F></Row>
<Row index="1"><F>1</F><F>5</F><F>Water</F><F>0</F><F>0</F><F>255</F></Row>
<Row index="2"><F>2</F><F>9</F><F>Water</F><F>x</F><F>0</F><F>255</F></Row>
</GDALRasterAttributeTable>"""


@pytest.mark.parametrize(("value", "name", "usage"), [("5", "CLASSNAME", "2"), ("0", "Class_Name", "0")])
def test_names_colours_and_nodata_of_its_own_side_file(
    tmp_path: Path, value: str, name: str, usage: str
) -> None:
    """By the table's usages or, as ESRI writes it, by the names of its fields; the CRS there is not taken."""
    pixels = np.array([[3, 5, 7], [9, 3, 5]], np.uint8)
    path = write(tmp_path / "map.tif", pixels)
    _aux(path, TABLE.format(value=value, name=name, usage=usage))
    classes = open_class_map(path)
    assert classes.legend.to_json()[0] == {"id": 3, "name": "Forest (3)", "color": "#008010"}
    assert classes.legend.names[1:] == ("Water (5)", "Water (9)")
    assert classes.values() == (3, 5, 9)
    assert classes.grid.crs.to_epsg() == 32633
    _aux(tmp_path / "other.tif", TABLE)  # of another name: not looked at
    assert open_class_map(write(tmp_path / "map2.tif", pixels)).declared is None


def test_categories_name_classes_by_position_and_the_files_own_tags_go_before(tmp_path: Path) -> None:
    pixels = np.array([[1, 2], [2, 1]], np.uint8)
    band = "<CategoryNames><Category/><Category>wood</Category><Category>lake</Category></CategoryNames>"
    path = write(tmp_path / "a.tif", pixels)
    _aux(path, band + "<NoDataValue>2</NoDataValue>")
    assert open_class_map(path).legend.names == ("wood", "lake")
    assert open_class_map(path).values() == (1,)
    own = write(tmp_path / "b.tif", pixels, tags=tags_of(LEGEND), nodata=0)
    _aux(own, band + "<NoDataValue>2</NoDataValue>")
    assert open_class_map(own).legend.names == LEGEND.names
    assert open_class_map(own).values() == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "<PAMDataset><PAMRasterBand",
        "not xml",
        '<!DOCTYPE x [<!ENTITY a "b">]><PAMDataset/>',
        '<PAMDataset><PAMRasterBand band="x"/></PAMDataset>',
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>?</NoDataValue></PAMRasterBand></PAMDataset>',
        "\x00",
    ],
)
def test_a_side_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.tif", np.array([[1, 2]], np.uint8))
    path.with_name("a.tif.aux.xml").write_text(text)
    assert open_class_map(path).declared is None
    assert open_class_map(path).values() == (1, 2)


def test_no_advice_to_call_a_class_nodata(tmp_path: Path) -> None:
    forest = np.ones((200, 200), np.uint8)
    forest[90:110, 90:110] = 2
    assert not open_class_map(write(tmp_path / "a.tif", forest)).scene.notes


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_codes_of_64_bits_are_class_numbers_too(tmp_path: Path, dtype: str) -> None:
    classes = open_class_map(write(tmp_path / "a.tif", np.array([[1, 254], [0, 3]], dtype), nodata=0))
    assert classes.read(classes.grid.window).tolist() == [[1, 254], [255, 3]]
    codes = write(tmp_path / "b.tif", np.array([[2**40, 7], [7, 2**40]], dtype))
    recoded = open_class_map(codes, crosswalk={2**40: "forest", 7: "water"})
    assert recoded.read(recoded.grid.window).tolist() == [[1, 2], [2, 1]]


def test_of_a_stack_of_class_maps_none_masks_the_others(tmp_path: Path) -> None:
    """GDAL tags the fourth of four bands of bytes as alpha."""
    stack = np.random.default_rng(0).integers(0, 4, (4, 8, 8)).astype(np.uint8)
    path = write(tmp_path / "stack.tif", stack)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        assert file.colorinterp[3].name == "alpha"
    for band in (1, 2, 3, 4):
        classes = open_class_map(path, band=band)
        assert np.array_equal(classes.read(classes.grid.window), stack[band - 1])
    stack[3] = 255
    stack[3, 0] = 0
    masked = open_class_map(write(tmp_path / "masked.tif", stack, photometric="RGB", alpha="YES"), band=1)
    assert (masked.read(masked.grid.window)[0] == 255).all()


def test_scale_tags_of_class_numbers_are_said_not_to_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    with rasterio.open(path, "r+") as file:
        file.scales = (0.5,)
    classes = open_class_map(path)
    assert classes.values() == (1,)
    assert classes.scene.notes[-1] == (
        "a.tif: class numbers are as stored; its scale and offset tags are not applied"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compress": "jpeg"}, "JPEG"),
        ({"compress": "lerc", "max_z_error": 2}, "LERC"),
        ({"compress": "lerc", "max_z_error": 0.5}, None),  # whole numbers keep their value
        ({"compress": "deflate"}, None),
    ],
)
def test_numbers_that_were_stored_with_loss_are_named(
    tmp_path: Path, options: dict[str, object], said: str | None
) -> None:
    classes = open_class_map(write(tmp_path / "a.tif", np.ones((64, 64), np.uint8), **options))
    assert [n for n in classes.scene.notes if "loss" in n] == [
        n for n in classes.scene.notes if said is not None and f"stored with loss ({said})" in n
    ]
    assert any("loss" in n for n in classes.scene.notes) == (said is not None)


def test_mask_alpha_and_nan_become_255(tmp_path: Path) -> None:
    mask = np.array([[True, False], [True, True]])
    classes = open_class_map(write(tmp_path / "m.tif", np.ones((2, 2), np.uint8), mask=mask))
    assert np.array_equal(classes.read(classes.grid.window), [[1, 255], [1, 1]])
    nan = open_class_map(write(tmp_path / "n.tif", np.array([[1, np.nan], [np.inf, 3]], np.float32)))
    assert np.array_equal(nan.read(nan.grid.window), [[1, 255], [255, 3]])


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.array([[1, 256]], np.uint16), "value 256 is not a class number.*crosswalk"),
        (np.array([[1, -1]], np.int16), "value -1 is not a class number"),
        (np.array([[1, -9999]], np.float32), "value -9999 is not a class number.*-a_nodata"),
        (np.array([[1, 0.5]], np.float32), "value 0.5 is not a whole number.*measurements"),
        (np.array([[1, 1e12]], np.float64), r"value 1e\+12 is not a class number"),
    ],
)
def test_values_that_are_no_classes_are_named(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    classes = open_class_map(write(tmp_path / "a.tif", pixels))
    with pytest.raises(InputError, match=message):
        classes.read(classes.grid.window)


CORINE = np.array([[111, 111, 311], [523, -128, 311]], np.int16)


def test_codes_of_any_size_become_classes_by_a_crosswalk(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", CORINE, nodata=-128)
    walk = {111: "urban", "311": "forest", 523: "ignore"}
    classes = open_class_map(path, crosswalk=walk)
    assert classes.legend.names == ("urban", "forest")
    assert np.array_equal(classes.read(classes.grid.window), [[1, 1, 2], [255, 255, 2]])
    given = open_class_map(path, {7: "forest", 9: "urban"}, crosswalk=walk)
    assert np.array_equal(given.read(given.grid.window), [[9, 9, 7], [255, 255, 7]])
    assert pickle.loads(pickle.dumps(given)).values() == (7, 9)
    rest = open_class_map(path, crosswalk={311: 4, "*": 3})
    assert rest.legend.names == ("class 3", "class 4")
    assert np.array_equal(rest.read(rest.grid.window), [[3, 3, 4], [3, 255, 4]])
    with pytest.raises(InputError, match=r"values without a class: 523 \(1 pixels\).*`crosswalk`"):
        open_class_map(path, crosswalk={111: "urban", 311: "forest"}).values()
    with pytest.raises(InputError, match="key 'Urban' is a name, but the raster has no class names"):
        open_class_map(path, crosswalk={"Urban": "urban", "*": "ignore"})
    with pytest.raises(InputError, match="leaves no class"):
        open_class_map(path, crosswalk={"*": "ignore"})


def test_names_of_the_file_may_be_merged_and_keep_numbers_and_colours(tmp_path: Path) -> None:
    pixels = np.array([[1, 2], [2, 1]], np.uint8)
    path = write(tmp_path / "a.tif", pixels, tags=tags_of(LEGEND), colors=color_table_of(LEGEND))
    kept = open_class_map(path, crosswalk={"Forest": "ignore", 2: "water"})
    assert kept.legend.to_json() == [{"id": 2, "name": "water", "color": "#0000FF"}]
    merged = open_class_map(path, crosswalk={"forest": "land", "water": "land"})
    assert merged.legend.names == ("land",) and merged.values() == (1,)
    with pytest.raises(InputError, match="no class 'forrest'"):
        open_class_map(path, crosswalk={"forrest": "land"})


def test_colours_are_classes_by_a_crosswalk(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 1, 0]])
    table = np.array([[0, 100, 0], [255, 255, 0], [9, 9, 9]], np.uint8)
    path = write(tmp_path / "a.tif", table[labels].transpose(2, 0, 1), photometric="RGB")
    walk = {"#006400": "forest", "#FF0": "pasture", "*": "ignore"}
    classes = open_class_map(path, crosswalk=walk)
    assert classes.legend.names == ("forest", "pasture")
    assert np.array_equal(classes.read(classes.grid.window), np.array([1, 2, 255])[labels])
    later = open_class_map(path, to_recode=True).recoded(walk)
    assert np.array_equal(later.read(later.grid.window), classes.read(classes.grid.window))
    with pytest.raises(InputError, match=r"one band, found 3.*for colours, `crosswalk`"):
        open_class_map(path)


@pytest.mark.parametrize("nodata", [None, 255])
def test_255_is_a_class_where_a_crosswalk_says_so_whatever_the_tag(
    tmp_path: Path, nodata: int | None
) -> None:
    path = write(tmp_path / "a.tif", np.array([[0, 255], [255, 1]], np.uint8), nodata=nodata)
    classes = open_class_map(path, crosswalk={0: "other", 1: "other", 255: "building"})
    assert np.array_equal(classes.read(classes.grid.window), [[1, 2], [2, 1]])
    assert bool(nodata) == any(
        "its tag calls 255 nodata, the crosswalk a class" in n for n in classes.scene.notes
    )
    with pytest.raises(UsageError, match="255 cannot be both nodata and a class"):
        open_class_map(path, crosswalk={255: "building", "*": "other"}, nodata=255)


def test_one_band_of_several_must_be_chosen(tmp_path: Path) -> None:
    pixels = np.stack([np.full((4, 4), k, np.uint8) for k in (1, 2, 3)])
    path = write(tmp_path / "a.tif", pixels, names=("2001", "2002", "2003"))
    with pytest.raises(InputError, match=r"one band, found 3.*2001, 2002, 2003"):
        open_class_map(path)
    assert open_class_map(path, band=2).values() == (2,)
    assert open_class_map(path, band="2003").values() == (3,)


def test_legends_come_from_the_argument_the_tags_or_the_values(tmp_path: Path) -> None:
    pixels = np.array([[1, 2], [2, 7]], np.uint8)
    tagged = write(tmp_path / "t.tif", pixels, tags=tags_of(LEGEND), colors=color_table_of(LEGEND))
    assert open_class_map(tagged).legend == LEGEND
    other = Legend.of({1: "a", 2: "b", 7: "c"})
    assert open_class_map(tagged, other).legend == other
    palette = write(tmp_path / "p.tif", pixels, colors={1: (1, 2, 3, 255), 9: (9, 9, 9, 255)})
    legend = open_class_map(palette).legend
    assert legend.names == ("class 1", "class 2", "class 7")
    assert legend.find(1).color == "#010203"
    plain = open_class_map(write(tmp_path / "x.tif", pixels))
    assert plain.declared is None
    assert plain.legend.ids == (1, 2, 7)
    assert pickle.loads(pickle.dumps(plain)).legend == plain.legend


def test_a_strangers_tags_do_not_break_the_legend(tmp_path: Path) -> None:
    tags = {"CLASS_1": "same", "CLASS_2": "same", "CLASS_x": "no", "CLASS_300": "no", "CLASS_3": "  "}
    path = write(tmp_path / "a.tif", np.ones((2, 2), np.uint8), tags=tags)
    assert open_class_map(path).legend.names == ("same (1)", "same (2)")


@pytest.mark.parametrize("options", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 32}])
def test_scan_windows_cover_every_pixel_once(tmp_path: Path, options: dict[str, object]) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, (1000, 3000)).astype(np.uint8)
    classes = open_class_map(write(tmp_path / "a.tif", pixels, **options))
    seen = np.zeros(pixels.shape, np.uint8)
    for w in classes.scan_windows():
        seen[w.row : w.row_end, w.col : w.col_end] += 1
        assert w.area < 5_000_000
    assert (seen == 1).all()
    assert classes.values() == tuple(np.unique(pixels))


def test_a_picture_with_a_palette(tmp_path: Path) -> None:
    path = tmp_path / "mask.tif"
    write(path, np.array([[1, 2], [2, 1]], np.uint8), crs=None, transform=None, colors=color_table_of(LEGEND))
    classes = open_class_map(path, assume_crs=32633, assume_transform=TRANSFORM)
    assert classes.legend.find(2).color == "#0000FF"


def test_real_class_maps(shared_data: Path) -> None:
    folder = shared_data / "mt_landuse_annual_maps"
    for path in sorted(folder.glob("*.tif"))[:4]:
        with rasterio.open(path) as file:
            oracle = file.read(1)
            several = file.count > 1
        classes = open_class_map(path, band=1 if several else None)
        if oracle.dtype == np.uint8:
            assert np.array_equal(classes.read(classes.grid.window), oracle)
    lc = open_class_map(shared_data / "robustness" / "stars_apache2" / "lc.tif")
    assert {11, 42, 95} <= set(lc.values())


def test_xarray_view(tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    path = write(tmp_path / "a.tif", np.array([[1, 2], [0, 1]], np.uint8), nodata=0, tags=tags_of(LEGEND))
    view = open_class_map(path).to_xarray()
    assert isinstance(view, xr.DataArray)
    assert view.dims == ("y", "x")
    assert view.attrs["_FillValue"] == 255
    assert view.attrs["flag_meanings"] == "forest water"
    assert np.array_equal(view.values, [[1, 2], [255, 1]])


def test_given_names_keep_the_files_colours(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.array([[1, 2]], np.uint8), colors={1: (1, 2, 3, 255)})
    (tmp_path / "names.yaml").write_text("1: forest\n2: water\n")
    for given in ({1: "forest", 2: "water"}, tmp_path / "names.yaml"):
        legend = open_class_map(path, given).legend
        assert legend.names == ("forest", "water")
        assert legend.classes[0].color == "#010203"
    with pytest.raises(UsageError, match="keys are class numbers"):
        open_class_map(path, {"forest": "1"})


@pytest.mark.parametrize(
    "text",
    ["null: x", "1: null", "1: [a]", "1: {a: b}", "1.5: x", "true: x", "1: true", "a: forest", "1e2: x"],
)
def test_a_legend_that_says_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((4, 4), np.uint8))
    (tmp_path / "legend.yaml").write_text(f"{text}\n")
    with pytest.raises((UsageError, InputError), match=r"legend\.yaml.*"):
        open_class_map(path, tmp_path / "legend.yaml")


def test_a_crosswalk_maps_to_one_class(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((4, 4), np.uint8))
    with pytest.raises(UsageError, match=r"\['a', 'b'\] in the crosswalk is no class"):
        open_class_map(path, crosswalk={1: ["a", "b"]})
