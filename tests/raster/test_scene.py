from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import GeosegError, InputError, UsageError
from geoseg.geometry import Window
from geoseg.raster.opening import open_scene
from tests.raster.makers import TRANSFORM, UTM, coordinates, write


@pytest.fixture(scope="module")
def coordinate_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    return write(folder / "c.tif", coordinates(97, 131), tiled=True, blockxsize=32, blockysize=16)


@given(st.data())
def test_every_window_shows_its_own_coordinates(coordinate_image: Path, data: st.DataObject) -> None:
    scene = open_scene(coordinate_image)
    row, col = data.draw(st.integers(0, 96)), data.draw(st.integers(0, 130))
    window = Window(row, col, data.draw(st.integers(1, 97 - row)), data.draw(st.integers(1, 131 - col)))
    bands = data.draw(st.none() | st.lists(st.integers(1, 2), min_size=1, max_size=3))
    pixels, valid = scene.read(window, bands)
    for k, band in enumerate(bands or [1, 2]):
        r, c = divmod(pixels[k] - (band - 1) * 100_000_000, 10_000)
        assert (r == np.arange(row, window.row_end)[:, None]).all()
        assert (c == np.arange(col, window.col_end)).all()
    assert valid.all()
    assert pixels.dtype == scene.dtype == np.uint32


@pytest.mark.parametrize(
    "window",
    [Window(-1, 0, 5, 5), Window(0, 0, 98, 1), Window(90, 0, 8, 1), Window(0, 131, 1, 1), Window(3, 3, 0, 4)],
)
def test_a_window_outside_is_refused(coordinate_image: Path, window: Window) -> None:
    with pytest.raises(UsageError, match=r"not inside the scene"):
        open_scene(coordinate_image).read(window)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_every_pixel_type_comes_back_as_it_is(tmp_path: Path, dtype: str) -> None:
    kind = np.dtype(dtype)
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind != "f" else (-1e30, 1e30)
    pixels = np.linspace(low, high, 60).astype(kind).reshape(2, 5, 6)
    scene = open_scene(write(tmp_path / "a.tif", pixels))
    read, valid = scene.read(scene.grid.window)
    assert read.dtype == kind
    assert np.array_equal(read, pixels)
    assert valid.all()


@pytest.mark.parametrize("dtype", ["int64", "uint64", "complex64", "complex128"])
def test_types_that_fit_no_model_are_refused(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(InputError, match=rf"pixel type {dtype} is not supported.*gdal_translate"):
        open_scene(write(tmp_path / "a.tif", np.ones((3, 3), dtype)))


# --- what is valid


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 0), ("int16", -9999), ("float32", -3.4028234663852886e38), ("float32", math.nan),
     ("float64", 1e-3), ("float32", 0.1), ("int8", -128), ("uint16", 65535), ("float32", math.inf)],
)  # fmt: skip
def test_nodata_by_tag_agrees_with_gdal(tmp_path: Path, dtype: str, nodata: float) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 100, (3, 20, 30)).astype(dtype)
    for band in pixels:
        band[rng.random(band.shape) < 0.2] = np.dtype(dtype).type(nodata)
    path = write(tmp_path / "a.tif", pixels, nodata=nodata)
    scene = open_scene(path)
    with rasterio.open(path) as file:
        oracle = (file.read_masks() != 0).all(axis=0) & np.isfinite(pixels).all(axis=0)
    assert np.array_equal(scene.read(scene.grid.window)[1], oracle)
    one = (file_mask := scene.read(scene.grid.window, [2])[1])
    assert one.sum() > oracle.sum()
    assert file_mask.shape == (20, 30)
    assert scene.nodata == pytest.approx(nodata, nan_ok=True)


def test_nan_and_inf_are_not_valid_without_any_tag(tmp_path: Path) -> None:
    pixels = np.ones((2, 4, 4), np.float32)
    pixels[0, 0, 0], pixels[1, 1, 1], pixels[1, 2, 2] = np.nan, np.inf, -np.inf
    scene = open_scene(write(tmp_path / "a.tif", pixels))
    assert [tuple(p) for p in np.argwhere(~scene.read(scene.grid.window)[1])] == [(0, 0), (1, 1), (2, 2)]


def test_internal_mask(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((40, 50)) < 0.5
    scene = open_scene(write(tmp_path / "a.tif", np.zeros((3, 40, 50), np.uint8), mask=mask))
    assert np.array_equal(scene.read(Window(5, 6, 20, 30))[1], mask[5:25, 6:36])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_is_a_mask_and_no_band(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(1, 200, (4, 30, 40)).astype(dtype)
    pixels[3] = rng.integers(0, 3, (30, 40))
    path = write(tmp_path / "a.tif", pixels, photometric="RGB", alpha="YES")
    scene = open_scene(path)
    assert scene.band_names == ("red", "green", "blue")
    read, valid = scene.read(scene.grid.window)
    assert np.array_equal(read, pixels[:3])
    assert np.array_equal(valid, pixels[3] != 0)
    asked = open_scene(path, bands=[4, "red"])
    read, valid = asked.read(asked.grid.window)
    assert np.array_equal(read, pixels[[3, 0]])
    assert valid.all()


def test_nodata_option_replaces_the_tag(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = write(tmp_path / "a.tif", pixels, nodata=3)
    assert not open_scene(path).read(Window(0, 3, 1, 1))[1].any()
    scene = open_scene(path, nodata=5)
    assert np.array_equal(scene.read(scene.grid.window)[1], pixels != 5)
    for impossible in (-1, 256, 1.5, math.nan):
        with pytest.raises(UsageError, match=r"cannot occur"):
            open_scene(path, nodata=impossible)


def test_a_tag_that_cannot_occur_is_noted_and_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, np.zeros((3, 4), np.uint8), nodata=77)
    data = path.read_bytes()
    for tag in (b".5\x00", b"-9\x00"):  # rasterio itself drops the second without a word
        path.write_bytes(data.replace(b"77\x00", tag))
        scene = open_scene(path)
        assert scene.nodata is None
        assert scene.read(scene.grid.window)[1].all()
        assert tag == b"-9\x00" or "a.tif: nodata 0.5 cannot occur in uint8; ignored" in scene.notes


# --- files and bands


def _bands(folder: Path, pixels: np.ndarray, names: list[str], **options: Any) -> list[Path]:
    return [write(folder / f"{n}.tif", p, **options) for n, p in zip(names, pixels, strict=True)]


def test_one_file_per_band_in_natural_order(tmp_path: Path) -> None:
    pixels = coordinates(20, 30, 4)
    files = _bands(tmp_path, pixels, ["S2_B2", "S2_B3", "S2_B04", "S2_B10"])
    for source in (files, str(tmp_path / "S2_B*.tif"), tmp_path, [str(f) for f in files]):
        scene = open_scene(source)
        assert scene.band_names == ("B2", "B3", "B04", "B10")
        assert np.array_equal(scene.read(scene.grid.window)[0], pixels)
    assert open_scene(files[::-1]).band_names == ("B10", "B04", "B3", "B2")
    picked = open_scene(tmp_path, bands=["b4", 1, "B02"])
    assert np.array_equal(picked.read(Window(1, 2, 3, 4))[0], pixels[[2, 0, 0], 1:4, 2:6])
    with pytest.raises(UsageError, match=r"no band 'B8'.*1 'B2', 2 'B3'"):
        open_scene(files, bands=["B8"])
    with pytest.raises(UsageError, match=r"no band 5"):
        open_scene(files, bands=[5])


def test_stacks_may_mix_types_masks_and_nodata(tmp_path: Path) -> None:
    a = write(tmp_path / "a.tif", np.full((2, 4, 4), 7, np.uint8), nodata=0)
    b_pixels = np.arange(16, dtype=np.int16).reshape(4, 4)
    b = write(tmp_path / "b.tif", b_pixels, nodata=5)
    c = write(tmp_path / "c.tif", np.full((4, 4), 0.5, np.float32), mask=b_pixels != 9)
    scene = open_scene([a, b, c])
    pixels, valid = scene.read(scene.grid.window)
    assert scene.dtype == np.float32
    assert scene.nodata is None
    assert np.array_equal(pixels[2], b_pixels)
    assert np.array_equal(valid, (b_pixels != 5) & (b_pixels != 9))
    u = write(tmp_path / "u.tif", np.ones((4, 4), np.uint32))
    with pytest.raises(InputError, match=r"pixel types without a common one"):
        open_scene([u, b])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crs": "EPSG:32634"}, "CRS .*34N"),
        ({"transform": Affine(10, 0, 500_005, 0, -10, 5_000_000)}, "corner"),
        ({"transform": Affine(20, 0, 500_000, 0, -20, 5_000_000)}, "corner"),
    ],
)
def test_files_on_different_grids_name_the_first_difference(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    a = write(tmp_path / "a.tif", np.ones((4, 4), np.uint8))
    b = write(tmp_path / "b.tif", np.ones((4, 4), np.uint8), **change)
    with pytest.raises(InputError, match=rf"b\.tif: files are not on one grid.*{message}.*gdalwarp"):
        open_scene([a, b])


def test_size_differs(tmp_path: Path) -> None:
    a = write(tmp_path / "a.tif", np.ones((4, 4), np.uint8))
    b = write(tmp_path / "b.tif", np.ones((5, 4), np.uint8))
    with pytest.raises(InputError, match=r"size 4 x 4 against 5 x 4"):
        open_scene([a, b])


def test_lists_and_patterns_that_cannot_work(tmp_path: Path) -> None:
    a = write(tmp_path / "a.tif", np.ones((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"no files"):
        open_scene([])
    with pytest.raises(InputError, match=r"given twice"):
        open_scene([a, a])
    with pytest.raises(InputError, match=r"no file matches"):
        open_scene(str(tmp_path / "*.jp2"))
    safe = tmp_path / "S2A.SAFE"
    safe.mkdir()
    with pytest.raises(InputError, match=r"S2A.SAFE/GRANULE/\*/IMG_DATA/\*_B0\[2348\].jp2"):
        open_scene(safe)


def test_band_names_come_from_descriptions_and_colours(tmp_path: Path) -> None:
    rgb = write(tmp_path / "rgb.tif", np.zeros((3, 4, 4), np.uint8), photometric="RGB")
    assert open_scene(rgb).band_names == ("red", "green", "blue")
    named = write(tmp_path / "n.tif", np.zeros((3, 4, 4), np.uint8), names=("B04", "NIR band", "B04"))
    assert open_scene(named, bands=["nir_BAND"]).band_names == ("NIR band",)
    with pytest.raises(UsageError, match=r"2 bands are named 'B04'"):
        open_scene(named, bands=["B04"])
    with pytest.raises(UsageError, match=r"list of numbers or names"):
        open_scene(named, bands=[])


def test_two_dates_in_two_files_have_names_of_their_own(tmp_path: Path) -> None:
    dates = [
        write(tmp_path / f"{name}.tif", np.full((2, 4, 4), value, np.uint8), names=names)
        for name, value, names in (("before", 1, ("B04", "B08")), ("after", 2, ("b4", "B11")))
    ]
    scene = open_scene(dates)
    assert scene.band_names == ("B04@1", "B08", "b4@2", "B11")
    chosen = open_scene(dates, bands=["B4@2", "b04@1"])
    assert chosen.read(chosen.grid.window)[0][:, 0, 0].tolist() == [2, 1]
    with pytest.raises(UsageError, match=r"no band 'B04'.*1 'B04@1'.*3 'b4@2'"):
        open_scene(dates, bands=["B04"])
    assert open_scene(dates[:1]).band_names == ("B04", "B08")
    plain = [write(tmp_path / f"{n}.tif", np.zeros((2, 4, 4), np.uint8)) for n in "xyz"]
    assert open_scene(plain).band_names == tuple(f"band {n}@{d}" for d in (1, 2, 3) for n in (1, 2))


# --- georeference


def test_no_crs_no_transform_and_the_way_out(tmp_path: Path) -> None:
    pixels = np.ones((4, 6), np.uint8)
    bare = write(tmp_path / "bare.tif", pixels, crs=None, transform=None)
    with pytest.raises(InputError, match=r"no georeferencing.*`assume_transform=a,b,c,d,e,f`"):
        open_scene(bare)
    with pytest.raises(InputError, match=r"no coordinate reference system.*`assume_crs=EPSG"):
        open_scene(bare, assume_transform=(10, 0, 500_000, 0, -10, 5_000_000))
    scene = open_scene(bare, assume_transform="10, 0, 500000, 0, -10, 5000000", assume_crs="epsg:32633")
    whole = open_scene(write(tmp_path / "whole.tif", pixels))
    assert scene.grid.difference(whole.grid) is None
    (tmp_path / "bare.tfw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    with pytest.raises(InputError, match=r"`assume_transform=10\.0,0\.0,500000\.0,0\.0,-10\.0,5000000\.0"):
        open_scene(bare, assume_crs=32633)


def test_assumptions_do_not_overrule_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((4, 6), np.uint8))
    assert open_scene(path, assume_crs=UTM, assume_transform=TRANSFORM).grid == open_scene(path).grid
    with pytest.raises(InputError, match=r"`assume_crs` contradicts"):
        open_scene(path, assume_crs=32634)
    with pytest.raises(InputError, match=r"`assume_transform` contradicts"):
        open_scene(path, assume_transform=(10, 0, 500_001, 0, -10, 5_000_000))


@pytest.mark.parametrize(
    "text", ["1,2,3", "a,b,c,d,e,f", "0,0,0,0,0,0", "10,1,0,0,-10,0", "-10,0,0,0,-10,0", "nan,0,0,0,-1,0", ""]
)
def test_transforms_that_cannot_be_assumed(coordinate_image: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"`assume_transform`"):
        open_scene(coordinate_image, assume_transform=text)


@pytest.mark.parametrize("crs", ["EPSG:999999", "nonsense", object(), 'LOCAL_CS["site",UNIT["metre",1]]'])
def test_crs_that_cannot_be_assumed(coordinate_image: Path, crs: Any) -> None:
    with pytest.raises(UsageError, match=r"`assume_crs="):
        open_scene(coordinate_image, assume_crs=crs)


def test_engineering_crs(tmp_path: Path) -> None:
    site = 'LOCAL_CS["building site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
    path = write(tmp_path / "a.tif", np.ones((4, 6), np.uint8), crs=rasterio.CRS.from_wkt(site))
    with pytest.raises(InputError, match=r"not earth-referenced.*`assume_crs=EPSG"):
        open_scene(path)
    assert open_scene(path, assume_crs=32633).grid.crs.to_epsg() == 32633


def test_rotated_mirrored_and_south_up(tmp_path: Path) -> None:
    pixels = coordinates(5, 6, 1)
    rotated = TRANSFORM * Affine.rotation(12)
    with pytest.raises(InputError, match=r"rotated by -?12\.0 degrees.*gdalwarp"):
        open_scene(write(tmp_path / "r.tif", pixels, transform=rotated))
    with pytest.raises(InputError, match=r"mirrored"):
        open_scene(write(tmp_path / "m.tif", pixels, transform=Affine(-10, 0, 0, 0, -10, 0)))
    scene = open_scene(write(tmp_path / "s.tif", pixels, transform=Affine(10, 0, 500_000, 0, 10, 4_000_000)))
    assert any("south-up" in note for note in scene.notes)
    assert np.array_equal(scene.read(scene.grid.window)[0], pixels)
    assert scene.grid.corner(5, 0) == (500_000, 4_000_050)


def test_ground_control_points_alone(tmp_path: Path) -> None:
    points = [GroundControlPoint(r, c, 15 + c / 100, 46 - r / 100) for r in (0, 4) for c in (0, 6)]
    path = tmp_path / "g.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 4, "width": 6, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, gcps=points, crs="EPSG:4326"):
        pass
    with pytest.raises(InputError, match=r"not orthorectified.*4 ground control points.*gdalwarp -tps"):
        open_scene(path)


def test_notes_for_odd_pixels_and_collars(tmp_path: Path) -> None:
    wide = write(tmp_path / "w.tif", np.ones((4, 6), np.uint8), transform=Affine(20, 0, 5e5, 0, -10, 5e6))
    assert any("not square" in n and "m wide" in n for n in open_scene(wide).notes)
    pixels = np.random.default_rng(0).integers(1, 200, (300, 300)).astype(np.uint8)
    pixels[:, :70] = 255
    collar = write(tmp_path / "c.tif", pixels)
    assert any("only 255" in n and "`nodata=255`" in n for n in open_scene(collar).notes)
    assert open_scene(collar, nodata=255).notes == ()
    pixels[:, :70] = pixels[:, 70:140]
    assert open_scene(write(tmp_path / "d.tif", pixels)).notes == ()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2)])
def test_tiny_scenes_work(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = coordinates(*shape, 1)
    scene = open_scene(write(tmp_path / "a.tif", pixels))
    assert np.array_equal(scene.read(scene.grid.window)[0], pixels)


def test_pixel_is_point_is_read_as_gdal_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tif", np.ones((4, 6), np.uint8), tags={"AREA_OR_POINT": "Point"})
    with rasterio.open(path) as file:
        assert file.tags()["AREA_OR_POINT"] == "Point"
        assert tuple(open_scene(path).grid.transform) == tuple(file.transform)


def test_the_crs_is_kept_word_for_word(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((4, 6), np.uint8), crs="ESRI:102039")
    with rasterio.open(path) as file:
        assert open_scene(path).crs_wkt == file.crs.to_wkt()


def test_pictures_need_a_georeference(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 20, 30)).astype(np.uint8)
    for driver, suffix in (("PNG", ".png"), ("JPEG", ".jpg")):
        path = tmp_path / f"a{suffix}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", driver=driver, count=3, height=20, width=30, dtype="uint8") as file:
                file.write(pixels)
            with rasterio.open(path) as file:
                oracle = file.read()
        with pytest.raises(InputError, match=r"no georeferencing"):
            open_scene(path)
        scene = open_scene(path, assume_crs=32633, assume_transform=TRANSFORM)
        assert np.array_equal(scene.read(scene.grid.window)[0], oracle)


def test_jpeg2000(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (2, 70, 90)).astype(np.uint16)
    path = tmp_path / "T33_B04_10m.jp2"
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", count=2, height=70, width=90, dtype="uint16", crs=UTM,
        transform=TRANSFORM, quality=100, reversible=True,
    ) as file:  # fmt: skip
        file.write(pixels)
    scene = open_scene(path)
    assert np.array_equal(scene.read(Window(3, 4, 30, 40))[0], pixels[:, 3:33, 4:44])
    assert scene.grid.crs.to_epsg() == 32633


# --- damage


@pytest.mark.parametrize("share", [0.9, 0.5, 0.01])
def test_truncated_files_are_refused_or_named(tmp_path: Path, share: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    path = write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"truncated.*ends at byte \d+, the file at byte \d+"):
        scene = open_scene(path)
        scene.read(scene.grid.window)


def test_a_broken_block_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    path = write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=64, blockysize=64, compress="zstd")
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_2_1", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = b"XXXXXXXX"
    path.write_bytes(data)
    scene = open_scene(path)
    assert np.array_equal(scene.read(Window(0, 0, 64, 200))[0][0], pixels[:64])
    with pytest.raises(
        InputError, match=rf"block row 1 column 2 of band 1 cannot be read at byte {offset} of"
    ):
        scene.read(Window(30, 20, 150, 150))


def test_lerc_notices_a_flipped_bit(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    path = write(tmp_path / "a.tif", pixels, compress="lerc", tiled=True, blockxsize=64, blockysize=64)
    scene = open_scene(path)
    assert np.array_equal(scene.read(scene.grid.window)[0][0], pixels)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(GeosegError, match=r"block row 0 column 0"):
        open_scene(path).read(scene.grid.window)


# --- identity


def test_fingerprints_tell_content_from_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tif", coordinates(20, 20, 1))
    first = open_scene(path).fingerprint()
    path.touch()
    assert open_scene(path).fingerprint() == first
    assert first["files"][0]["method"] == "sha256"
    assert open_scene(path, nodata=3).fingerprint() != first
    write(path, coordinates(20, 20, 1) + 1)
    assert open_scene(path).fingerprint() != first
    monkeypatch.setattr("geoseg.raster.scene.WHOLE_DIGEST_BYTES", 100)
    monkeypatch.setattr("geoseg.raster.scene._END_BYTES", 50)
    large = open_scene(path).fingerprint()["files"][0]
    assert large["method"] == "sha256 of both ends"
    assert large["mtime_ns"] == path.stat().st_mtime_ns


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32"])
def test_bands_of_one_value_stand_among_those_of_the_file(tmp_path: Path, dtype: str) -> None:
    pixels = np.arange(2 * 6 * 7).reshape(2, 6, 7).astype(dtype)
    scene = open_scene(write(tmp_path / "a.tif", pixels, nodata=5, names=("red", "nir")))
    made = scene.with_constants([(2, "dem", 7.25), (0, "vv", -12.5)])
    assert made.band_names == ("vv", "red", "dem", "nir") and made.dtype.kind == "f"
    read, valid = made.read(Window(1, 2, 4, 3))
    plain, same = scene.read(Window(1, 2, 4, 3))
    assert (read[0] == -12.5).all() and (read[2] == 7.25).all()
    assert (read[[1, 3]] == plain).all() and (valid == same).all()
    assert (made.read(Window(0, 0, 2, 2), ["nir", "vv"])[0][1] == -12.5).all()
    assert made.nodata == scene.nodata and made.scaling == scene.scaling
    other = scene.with_constants([(2, "dem", 7.5), (0, "vv", -12.5)])
    assert len({json.dumps(s.fingerprint()) for s in (scene, made, other)}) == 3
