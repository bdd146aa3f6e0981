"""Scenes that are not what they seem."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from tests.bad_input.case import ONES, Case, cut, raster, text
from tests.raster.makers import TRANSFORM, UTM

LOCAL = 'LOCAL_CS["site",UNIT["metre",1]]'


def sparse(width: int, height: int, block: int | None = None) -> None:
    """A raster of any size in a file of next to nothing."""
    tiled = (
        {} if block is None else {"tiled": True, "blockxsize": block, "blockysize": block, "bigtiff": "yes"}
    )
    profile = {
        "width": width,
        "height": height,
        "count": 3,
        "dtype": "uint8",
        "crs": UTM,
        "transform": TRANSFORM,
    }
    with rasterio.open("a.tif", "w", driver="GTiff", sparse_ok=True, compress="deflate", **profile, **tiled):
        pass


PREDICT = "predict a.tif --model MODEL --out out"


VRT = """<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>http://127.0.0.1:9/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


def rasters() -> Iterator[Case]:
    """Scenes."""
    yield Case(
        what="a scene that is not there",
        command="predict none.tif --model MODEL --out out",
        code=3,
        says=("not found", "none.tif"),
    )
    yield Case(
        what="a pattern that matches nothing",
        command="predict no*.tif --model MODEL --out out",
        code=3,
        says=("no*.tif",),
    )
    yield Case(
        what="a folder without rasters",
        make=lambda: Path("a.tif").mkdir(),
        command=PREDICT,
        code=3,
        says=("a.tif",),
    )
    yield Case(
        what="an empty file",
        make=lambda: text("a.tif", ""),
        command=PREDICT,
        code=3,
        says=("empty file", "0 bytes"),
    )
    yield Case(
        what="text named .tif",
        make=lambda: text("a.tif", "no raster at all" * 9),
        command=PREDICT,
        code=3,
        says=("a.tif",),
    )
    yield Case(
        what="a description of other files or hosts named .tif",
        make=lambda: text("a.tif", VRT),
        command=PREDICT,
        code=3,
        says=("VRT",),
    )
    yield Case(
        what="a netCDF file",
        make=lambda: text("a.tif", b"\x89HDF\r\n\x1a\n" + bytes(99)),
        command=PREDICT,
        code=3,
        says=("netcdf", "gdal_translate"),
    )
    yield Case(
        what="a zip archive",
        make=lambda: text("a.tif", b"PK\x03\x04" + bytes(99)),
        command=PREDICT,
        code=3,
        says=("archive",),
    )
    yield Case(
        what="an address instead of a file",
        command="predict https://127.0.0.1:9/a.tif --model MODEL --out out",
        code=3,
        says=("not a local file",),
    )
    yield Case(
        what="GDAL's own way to the network",
        command="predict /vsicurl/http://127.0.0.1:9/a.tif --model MODEL --out out",
        code=3,
        says=("not a local file",),
    )
    yield Case(
        what="a file cut off in its head",
        make=lambda: cut(os.environ["BAD_INPUT_BASE"] + "/scene.tif", "a.tif", 0.004),
        command=PREDICT,
        code=3,
        says=("a.tif",),
    )
    yield Case(
        what="no CRS",
        make=lambda: raster(ONES, crs=None),
        command=PREDICT,
        code=3,
        says=("no coordinate reference system", "--assume-crs"),
    )
    yield Case(
        what="a CRS of a building site",
        make=lambda: raster(ONES, crs=LOCAL),
        command=PREDICT,
        code=3,
        says=("--assume-crs",),
    )
    yield Case(
        what="a CRS but no place",
        make=lambda: raster(ONES, transform=None),
        command=PREDICT,
        code=3,
        says=("--assume-transform",),
    )
    yield Case(
        what="a rotated raster",
        make=lambda: raster(
            ONES, transform=Affine.translation(5e5, 5e6) * Affine.rotation(12) * Affine.scale(10, -10)
        ),
        command=PREDICT,
        code=3,
        says=("rotat", "warp"),
    )
    yield Case(
        what="a picture that lies nowhere",
        make=picture,
        command="predict a.png --model MODEL --out out",
        code=3,
        says=("--pixel-size",),
    )
    yield Case(
        what="complex pixels",
        make=lambda: raster(ONES, "complex64"),
        command=PREDICT,
        code=3,
        says=("complex64", "gdal_translate"),
    )
    yield Case(
        what="64-bit integers", make=lambda: raster(ONES, "int64"), command=PREDICT, code=3, says=("int64",)
    )
    yield Case(
        what="too few bands", make=lambda: raster(ONES[:2]), command=PREDICT, code=3, says=("2", "3", "band")
    )
    yield Case(
        what="a band that is not there",
        command="predict BASE/scene.tif --bands 1,2,9 --model MODEL --out out",
        code=2,
        says=("9",),
    )
    yield Case(
        what="a band's name that is not there",
        command="predict BASE/scene.tif --bands red,green,nir --model MODEL --out out",
        code=2,
        says=("nir",),
    )
    yield Case(
        what="values of another scale",
        make=lambda: raster(ONES / 3, "float32"),
        command=PREDICT,
        code=3,
        says=("a.tif",),
    )
    yield Case(
        what="pixels three times too coarse",
        make=lambda: raster(ONES * 90, transform=TRANSFORM * Affine.scale(3)),
        command=PREDICT,
        code=3,
        says=("30", "--force"),
    )
    yield Case(
        what="a nodata value that cannot occur",
        command="predict BASE/scene.tif --nodata 300 --model MODEL --out out",
        code=2,
        says=("--nodata 300", "uint8"),
    )
    yield Case(
        what="files on two grids",
        make=lambda: (
            raster(ONES[:1]),
            raster(ONES[:2], name="b.tif", transform=TRANSFORM * Affine.translation(0.5, 0)),
        ),
        command="predict a.tif b.tif --model MODEL --out out",
        code=3,
        says=("not on one grid", "gdalwarp"),
    )
    yield Case(
        what="a block that fills the memory",
        make=lambda: sparse(16384, 16384, 16384),
        command=PREDICT,
        code=3,
        says=("block", "TILED=YES"),
    )
    yield Case(
        what="fifty million columns in strips",
        make=lambda: sparse(50_000_000, 100),
        command=PREDICT,
        code=3,
        says=("a.tif",),
    )
    yield Case(
        what="a name with bytes that are no text",
        command="predict \udcff\udcfe.tif --model MODEL --out out",
        code=3,
        says=("not found",),
    )


def picture() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open("a.png", "w", driver="PNG", width=96, height=96, count=3, dtype="uint8") as file:
            file.write(np.full((3, 96, 96), 90, np.uint8))
