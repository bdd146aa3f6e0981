"""Every file of the robustness collection gives what rasterio gives, or an error with the way out."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import GeosegError
from geoseg.geometry import Window
from geoseg.raster.opening import open_scene

# what keeps a file from being a scene as it is, and the options under which it becomes one (None: never)
REFUSED: dict[str, tuple[str, dict[str, object] | None]] = {
    "BigTIFF.tif": ("no georeferencing", {}),
    "gradient-1c-64b-float.tiff": ("no georeferencing", {}),
    "int16_zstd.tif": ("no georeferencing", {}),
    "int8.tif": ("no georeferencing", {}),
    "miniswhite-1c-1b.tiff": ("no georeferencing", {}),
    "palette-1c-8b.tiff": ("no georeferencing", {}),
    "planar-rgb-u8.tif": ("no georeferencing", {}),
    "predictor-3-gray-f32.tif": ("no georeferencing", {}),
    "tiled-jpeg-ycbcr.tif": ("no georeferencing", {}),
    "au-3577-rotated.tif": ("rotated by 20.0 degrees", None),
    "au-gcp.tif": ("24 ground control points", None),
    "README.rst": ("content is text", None),
    "RGB.byte.gcp.vrt": ("content is VRT", None),
    "rotated.tif": ("rotated by 30.0 degrees", None),
    "cog_gcps.tif": ("210 ground control points", None),
    "cint16.tif": ("pixel type complex_int16 is not supported", None),
    "test_rpcs_ext_file.rpb": ("content is text", None),
    "test_rpcs_ext_file.tif": ("no coordinate reference system", None),
}
GIVEN = {"assume_crs": "EPSG:32633", "assume_transform": "10,0,500000,0,-10,5000000"}


def _files() -> list[str]:
    root = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("GEOSEG_DATA", root)) / "robustness"
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return found or ["(collection absent)"]


@pytest.mark.parametrize("name", _files())
def test_robustness_file(shared_data: Path, name: str) -> None:
    path = shared_data / "robustness" / name
    message, options = REFUSED.get(path.name, ("", {}))
    if message:
        with pytest.raises(GeosegError) as caught:
            open_scene(path)
        text = str(caught.value)
        assert message in text
        assert path.name in text
        assert caught.value.exit_code == 3
        assert "\n" not in text
        if options is None:
            return
        options = GIVEN
    scene = open_scene(path, **(options or {}))  # type: ignore[arg-type]
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            image = [i for i, c in enumerate(file.colorinterp, 1) if c.name != "alpha"]
            pixels = file.read(image)
            masks = (file.read_masks(image) != 0).all(axis=0)
            if pixels.dtype.kind == "f":
                masks &= np.isfinite(pixels).all(axis=0)
            height, width = file.shape
            transform = file.transform
    assert scene.grid.shape == (height, width)
    if not message:
        assert scene.grid.transform.almost_equals(transform)
    for window in (scene.grid.window, *scene.grid.window.blocks(-(-height // 2), -(-width // 3))):
        rows, cols = window.slices_in(Window(0, 0, height, width))
        read, valid = scene.read(window)
        assert np.array_equal(read, pixels[:, rows, cols], equal_nan=pixels.dtype.kind == "f")
        assert np.array_equal(valid, masks[rows, cols])


def test_gcp_vrt_by_opt_in_still_needs_orthorectification(shared_data: Path) -> None:
    with pytest.raises(GeosegError, match=r"ground control points|not found"):
        open_scene(shared_data / "robustness" / "rasterio_cc0" / "RGB.byte.gcp.vrt", allow_vrt=True)


def test_vrt_mosaic_of_pictures(shared_data: Path) -> None:
    path = shared_data / "dubai_hitl_aerial" / "tile_8_images.vrt"
    scene = open_scene(path, allow_vrt=True, **GIVEN)  # type: ignore[arg-type]
    assert scene.shape == (3, 4438, 6447)
    window = Window(1400, 2100, 200, 150)  # where four pictures meet
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            oracle = file.read(window=((1400, 1600), (2100, 2250)))
    assert np.array_equal(scene.read(window)[0], oracle)
    assert len(scene.fingerprint()["files"]) == 10


def test_sentinel_bands_one_per_file(shared_data: Path) -> None:
    scene = open_scene(str(shared_data / "s2_rachel_carson_nc" / "*" / "*B0[2348].tif*"))
    assert scene.band_names == ("B02", "B03", "B04", "B08")
    assert any("`nodata=255`" in note for note in scene.notes)
    again = open_scene(scene.paths, bands=["B04", "b3", "B2"], nodata=255)
    pixels, valid = again.read(Window(1000, 1000, 300, 300))
    assert pixels.shape == (3, 300, 300)
    assert valid.any()


def test_spacenet_bands_are_stacked_by_name(shared_data: Path) -> None:
    folder = shared_data / "spacenet_samples"
    scene = open_scene(
        [folder / f"SpaceNet_AOI_2_Las_Vegas-056155973080_01_P001-WV03-{b}.tif" for b in "RGBN"]
    )
    assert scene.shape == (4, 426, 413) or scene.shape == (4, 413, 426)
