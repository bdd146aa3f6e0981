from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import InputError
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


def test_255_is_nodata_without_any_tag(tmp_path: Path) -> None:
    pixels = np.array([[1, 255], [2, 1]], np.int16)
    classes = open_class_map(write(tmp_path / "a.tif", pixels))
    assert classes.values() == (1, 2)
    assert classes.read(classes.grid.window)[0, 1] == 255


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
