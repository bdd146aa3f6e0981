"""What a user may hand in by mistake, with the command, its exit code and words of the answer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine

from tests.models.bundles import bundle
from tests.raster.makers import TRANSFORM, UTM, write

LOCAL = 'LOCAL_CS["site",UNIT["metre",1]]'
NAMES = {"CLASS_1": "forest", "CLASS_2": "water"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One mistake.

    Attributes
    ----------
    what
        The mistake in words, unique.
    make
        Writes its files into the working folder.
    command
        What is typed; ``MODEL`` and ``BASE`` stand for a sound model and for the folder of sound files.
    code
        The exit code.
    says
        Words that the answer must hold, in any case.
    """

    what: str
    command: str
    code: int
    says: tuple[str, ...]
    make: Callable[[], object] = lambda: None


def sound(base: Path) -> None:
    """Sound files, which the mistakes are made with: a scene, a map, a reference and a model."""
    rng = np.random.default_rng(0)
    write(base / "scene.tif", rng.integers(1, 255, (3, 96, 96)).astype(np.uint8))
    write(base / "map.tif", np.repeat([[1, 2]], 48, axis=1).repeat(96, axis=0).astype(np.uint8), tags=NAMES)
    polygons("ref.gpkg", folder=base)
    bundle(base)


def polygons(name: str, *, folder: Path = Path(), crs: Any = UTM, shapes: Any = None, **fields: Any) -> None:
    shapes = shapes or [
        shapely.box(500_000 + 400 * k, 4_999_200, 500_300 + 400 * k, 4_999_900) for k in (0, 1)
    ]
    fields = fields or {"class": ["forest", "water"][: len(shapes)]}
    geopandas.GeoDataFrame(fields, geometry=shapes, crs=crs).to_file(folder / name, engine="pyogrio")


def raster(pixels: Any, dtype: str = "uint8", name: str = "a.tif", **options: Any) -> Path:
    return write(Path(name), np.asarray(pixels).astype(dtype), **options)


def text(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


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


def cut(source: str, name: str, share: float) -> None:
    content = Path(source).read_bytes()
    text(name, content[: int(len(content) * share)])


def model(change: Callable[[dict[str, Any]], object] | bytes) -> None:
    """A copy of the sound model with another description."""
    shutil.copytree(os.environ["BAD_INPUT_BASE"] + "/made", "model")
    file = Path("model/bundle.json")
    if isinstance(change, bytes):
        file.write_bytes(change)
        return
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def shapefile_without(suffix: str) -> None:
    polygons("ref.shp")
    Path(f"ref{suffix}").unlink()


def finished(name: str, content: bytes) -> None:
    Path("run").mkdir()
    text(f"run/{name}", content)


ONES = np.ones((3, 96, 96))
PREDICT = "predict a.tif --model MODEL --out out"
VECTORIZE = "vectorize a.tif --out out.gpkg"
EVALUATE = "evaluate BASE/map.tif"
PROMPT = "prompt a.tif p.gpkg --model model --out out.gpkg"
BOW = [
    shapely.Polygon([(500_000, 4_999_200), (500_300, 4_999_900), (500_300, 4_999_200), (500_000, 4_999_900)])
]
HUGE = json.dumps(
    {
        "type": "Polygon",
        "coordinates": [[[-1e308, -1e308], [1e308, -1e308], [1e308, 1e308], [-1e308, -1e308]]],
    }
)
VRT = """<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>http://127.0.0.1:9/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


def cases() -> Iterator[Case]:
    """All of them, in the order of the page."""
    yield from rasters()
    yield from class_maps()
    yield from references()
    yield from models()
    yield from prompts()
    yield from settings()
    yield from outputs()


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


def class_maps() -> Iterator[Case]:
    """Class maps."""
    yield Case(
        what="255 that is a class or nodata",
        make=lambda: raster([[1, 255]] * 9),
        command=VECTORIZE,
        code=3,
        says=("255", "--nodata 255", "--crosswalk"),
    )
    yield Case(
        what="codes over 254",
        make=lambda: raster([[111, 311]] * 9, "uint16"),
        command=VECTORIZE,
        code=3,
        says=("311", "--crosswalk"),
    )
    yield Case(
        what="measurements instead of classes",
        make=lambda: raster([[0.25, 1]] * 9, "float32"),
        command=VECTORIZE,
        code=3,
        says=("0.25", "whole number"),
    )
    yield Case(
        what="several bands instead of one",
        make=lambda: raster(ONES),
        command=VECTORIZE,
        code=3,
        says=("--band 1",),
    )
    yield Case(
        what="a class map cut off",
        make=cut_blocks,
        command=VECTORIZE,
        code=3,
        says=("damaged", "a.tif"),
    )
    yield Case(
        what="a crosswalk without a value of the map",
        make=lambda: (raster([[111, 311]] * 9, "uint16"), text("w.yaml", "111: urban\n")),
        command=f"{VECTORIZE} --crosswalk w.yaml",
        code=3,
        says=("311 (9 pixels)",),
    )
    yield Case(
        what="a class that the map has not",
        command="vectorize BASE/map.tif --only forrest --out out.gpkg",
        code=3,
        says=("forrest", "forest"),
    )
    yield Case(
        what="maps on two grids",
        make=lambda: raster([[1, 2]] * 9),
        command="change BASE/map.tif a.tif --out out",
        code=3,
        says=("different grids", "--align nearest"),
    )
    yield Case(
        what="nothing to clean with",
        command="clean BASE/map.tif --out out.tif",
        code=2,
        says=("nothing to clean with",),
    )


def cut_blocks() -> None:
    raster(np.random.default_rng(1).integers(0, 9, (400, 400)), tags=NAMES)
    cut("a.tif", "a.tif", 0.5)


def references() -> Iterator[Case]:
    """References, labels and areas of interest."""
    yield Case(
        what="a reference that is not there", command=f"{EVALUATE} none.gpkg", code=3, says=("not found",)
    )
    yield Case(
        what="a layer without a CRS",
        make=lambda: shapefile_without(".prj"),
        command=f"{EVALUATE} ref.shp",
        code=3,
        says=("--reference-crs",),
    )
    yield Case(
        what="a Shapefile without .dbf",
        make=lambda: shapefile_without(".dbf"),
        command=f"{EVALUATE} ref.shp",
        code=3,
        says=(".dbf",),
    )
    yield Case(
        what="a Shapefile without .shx",
        make=lambda: shapefile_without(".shx"),
        command=f"{EVALUATE} ref.shp",
        code=3,
        says=(".shx",),
    )
    yield Case(
        what="polygons far away",
        make=lambda: polygons("ref.gpkg", shapes=[shapely.box(0, 0, 9, 9)]),
        command=f"{EVALUATE} ref.gpkg",
        code=3,
        says=("does not lie on the map", "km"),
    )
    yield Case(
        what="an invalid polygon",
        make=lambda: polygons("ref.gpkg", shapes=BOW),
        command=f"{EVALUATE} ref.gpkg",
        code=3,
        says=("1 of 1 polygons are invalid", "--repair"),
    )
    yield Case(
        what="lines",
        make=lambda: polygons(
            "ref.gpkg", shapes=[shapely.LineString([(5e5, 4_999_500), (5.003e5, 4_999_600)])]
        ),
        command=f"{EVALUATE} ref.gpkg",
        code=3,
        says=("polygons",),
    )
    yield Case(
        what="a layer without features",
        make=empty_layer,
        command=f"{EVALUATE} ref.gpkg",
        code=3,
        says=("no features",),
    )
    yield Case(
        what="two layers",
        make=two_layers,
        command=f"{EVALUATE} ref.gpkg",
        code=2,
        says=("--layer",),
    )
    yield Case(
        what="a field that is not there",
        command=f"{EVALUATE} BASE/ref.gpkg --field klass",
        code=2,
        says=("klass", "class"),
    )
    yield Case(
        what="no field with classes of the map",
        make=lambda: polygons("ref.gpkg", use=["a", "b"]),
        command=f"{EVALUATE} ref.gpkg",
        code=2,
        says=("--field",),
    )
    yield Case(
        what="values that are no class",
        make=lambda: polygons("ref.gpkg", use=["forest", "meadow"]),
        command=f"{EVALUATE} ref.gpkg --field use",
        code=3,
        says=("meadow", "--crosswalk"),
    )
    yield Case(
        what="polygons of two classes over each other",
        make=lambda: polygons("ref.gpkg", shapes=[shapely.box(5e5, 4_999_200, 5.003e5, 4_999_900)] * 2),
        command=f"{EVALUATE} ref.gpkg",
        code=3,
        says=("overlap", "ha", "--overlap first"),
    )
    yield Case(
        what="a crosswalk to a class that is not there",
        make=lambda: text("w.yaml", "forest: woods\nwater: water\n"),
        command=f"{EVALUATE} BASE/ref.gpkg --crosswalk w.yaml",
        code=3,
        says=("woods",),
    )
    yield Case(
        what="a truth value in a crosswalk",
        make=lambda: text("w.yaml", "forest: true\n"),
        command=f"{EVALUATE} BASE/ref.gpkg --crosswalk w.yaml",
        code=2,
        says=("truth value", "quotes"),
    )
    yield Case(
        what="a number with a leading zero in a crosswalk",
        make=lambda: text("w.yaml", "010: forest\n"),
        command=f"{EVALUATE} BASE/ref.gpkg --crosswalk w.yaml",
        code=3,
        says=("010", "quote it"),
    )
    yield Case(
        what="an encoding that is none",
        make=lambda: polygons("ref.shp"),
        command=f"{EVALUATE} ref.shp --encoding klingon",
        code=2,
        says=("klingon",),
    )
    yield Case(
        what="a table without coordinates",
        make=lambda: text("ref.csv", "id,class\n1,forest\n"),
        command=f"{EVALUATE} ref.csv",
        code=3,
        says=("ref.csv",),
    )
    yield Case(
        what="a reference of colours without a crosswalk",
        make=lambda: raster(ONES),
        command=f"{EVALUATE} a.tif",
        code=2,
        says=("--crosswalk",),
    )
    yield Case(
        what="a MapInfo table",
        make=lambda: text(
            "ref.tab", '!table\n!version 300\nDefinition Table\n  Type NATIVE Charset "WindowsLatin1"\n'
        ),
        command=f"{EVALUATE} ref.tab",
        code=3,
        says=("MapInfo", "ogr2ogr"),
    )
    yield Case(
        what="an area of interest outside the scene",
        make=lambda: polygons("aoi.gpkg", shapes=[shapely.box(0, 0, 9, 9)]),
        command="predict BASE/scene.tif --aoi aoi.gpkg --model MODEL --out out",
        code=3,
        says=("outside the scene",),
    )
    yield Case(
        what="an area of interest at 1e308",
        make=lambda: text("aoi.geojson", HUGE),
        command="predict BASE/scene.tif --aoi aoi.geojson --model MODEL --out out",
        code=3,
        says=("aoi.geojson",),
    )
    yield Case(
        what="a forest without labels",
        command="fit forest BASE/scene.tif --out out",
        code=2,
        says=("labels",),
    )


def empty_layer() -> None:
    polygons("ref.gpkg")
    frame = geopandas.read_file("ref.gpkg", engine="pyogrio")
    Path("ref.gpkg").unlink()
    frame.iloc[:0].to_file("ref.gpkg", engine="pyogrio", geometry_type="Polygon")


def two_layers() -> None:
    frame = geopandas.GeoDataFrame(
        {"class": ["forest"]}, geometry=[shapely.box(5e5, 4_999_200, 5.003e5, 4_999_900)], crs=UTM
    )
    for layer in ("a", "b"):
        frame.to_file("ref.gpkg", layer=layer, engine="pyogrio")


def models() -> Iterator[Case]:
    """Models."""
    with_model = "predict BASE/scene.tif --model model --out out"
    yield Case(
        what="a model that is not there",
        command="predict BASE/scene.tif --model forest-s2-rgd --out out",
        code=3,
        says=("forest-s2-rgb",),
    )
    yield Case(
        what="a pickle",
        make=lambda: text("model.pt", b"\x80\x04."),
        command="predict BASE/scene.tif --model model.pt --out out",
        code=3,
        says=("can run code",),
    )
    yield Case(
        what="a description that is no JSON",
        make=lambda: model(b"{"),
        command=with_model,
        code=3,
        says=("not valid JSON",),
    )
    yield Case(
        what="a description without a licence",
        make=lambda: model(lambda c: c.pop("licence")),
        command=with_model,
        code=3,
        says=("licence",),
    )
    yield Case(
        what="weights that were changed",
        make=lambda: model(lambda c: c["weights"].update(sha256="0" * 64)),
        command=with_model,
        code=3,
        says=("sha-256",),
    )
    yield Case(
        what="a legend of fewer classes than the weights",
        make=lambda: model(lambda c: c["legend"].pop()),
        command=with_model,
        code=3,
        says=("weight", "shape"),
    )
    yield Case(
        what="a spread that is no number",
        make=lambda: model(spread),
        command=with_model,
        code=3,
        says=("bundle.json", "std"),
    )
    yield Case(
        what="an architecture that asks for gigabytes",
        make=lambda: model(
            lambda c: c.update(
                architecture={
                    "name": "unet",
                    "encoder": "resnet18",
                    "arguments": {"decoder_channels": [90_000] * 5},
                }
            )
        ),
        command=with_model,
        code=3,
        says=("weights",),
    )


def spread(content: dict[str, Any]) -> None:
    content["input"]["std"] = [float("nan")] * 3


def promptable() -> None:
    """A sound scene and points on it, and a promptable model as far as its description goes."""
    raster(ONES * 90)
    places = [shapely.Point(500_200, 4_999_500), shapely.Point(500_300, 4_999_400)]
    polygons("p.gpkg", shapes=places, own=[1, 2])

    def change(content: dict[str, Any]) -> None:
        content |= {"task": "promptable", "format_version": 2}

    model(change)


def with_lines() -> None:
    promptable()
    polygons("p.gpkg", shapes=[shapely.LineString([(500_200, 4_999_500), (500_300, 4_999_400)])], own=[1])


def nowhere() -> None:
    promptable()
    raster(ONES * 90, crs=None, transform=None)


def prompts() -> Iterator[Case]:
    """Prompts and models that answer them."""
    yield Case(
        what="prompts that are lines",
        make=with_lines,
        command=PROMPT,
        code=3,
        says=("polygons or points required", "LineString"),
    )
    yield Case(
        what="a group by a field that the prompts lack",
        make=promptable,
        command=f"{PROMPT} --group object",
        code=2,
        says=("no field 'object'", "fields are own"),
    )
    yield Case(
        what="prompts on a scene that lies nowhere",
        make=nowhere,
        command=PROMPT,
        code=3,
        says=("coordinate", "a.tif"),
    )
    yield Case(
        what="prompts for a model of classes",
        make=promptable,
        command="prompt a.tif p.gpkg --model MODEL --out out.gpkg",
        code=2,
        says=("answers no prompts", "it is semantic", "geoseg predict"),
    )


def settings() -> Iterator[Case]:
    """Options and job files."""
    yield Case(
        what="an unknown option",
        command="predict BASE/scene.tif --modle MODEL --out out",
        code=2,
        says=("--modle", "--model"),
    )
    yield Case(what="an unknown command", command="predikt a.tif", code=2, says=("predict",))
    yield Case(
        what="a tile that does not fit the network",
        command="predict BASE/scene.tif --tile 100 --model MODEL --out out",
        code=2,
        says=("--tile",),
    )
    yield Case(
        what="a tile that is all margin",
        command="predict BASE/scene.tif --tile 64 --margin 32 --model MODEL --out out",
        code=2,
        says=("--tile 64", "--margin"),
    )
    yield Case(
        what="two limits of one kind",
        command="vectorize BASE/map.tif --min-pixels 4 --min-area 1 --out out.gpkg",
        code=2,
        says=("exclude each other",),
    )
    yield Case(
        what="a CRS that is none",
        command="vectorize BASE/map.tif --crs EPSG:99999 --out out.gpkg",
        code=2,
        says=("EPSG:99999",),
    )
    yield Case(what="a job file that is not there", command="run none.yaml", code=3, says=("not found",))
    yield Case(
        what="an unknown key in a job file",
        make=lambda: text("job.yaml", "predict: {scene: a.tif, modell: x, out: out}\n"),
        command="run job.yaml",
        code=2,
        says=("modell", "model"),
    )
    yield Case(
        what="a key that stands twice",
        make=lambda: text("job.yaml", "predict: {}\npredict: {}\n"),
        command="run job.yaml",
        code=3,
        says=("stands twice",),
    )
    yield Case(
        what="anchors that expand without bound",
        make=lambda: text("job.yaml", "a: &a [1, 2]\nb: [*a, *a]\n"),
        command="run job.yaml",
        code=3,
        says=("aliases",),
    )
    yield Case(
        what="a job file without keys",
        make=lambda: text("job.yaml", "- a\n- b\n"),
        command="run job.yaml",
        code=3,
        says=("mapping",),
    )
    yield Case(
        what="a NUL in a name",
        make=lambda: text("job.yaml", 'predict: {scene: "a\\0.tif", model: forest-s2-rgb, out: out}\n'),
        command="run job.yaml",
        code=3,
        says=("NUL",),
    )


def outputs() -> Iterator[Case]:
    """Places to write to, and what lies there."""
    yield Case(
        what="a format that is none",
        command="vectorize BASE/map.tif --out out.dwg",
        code=2,
        says=(".dwg", ".gpkg"),
    )
    yield Case(
        what="a file that is there",
        make=lambda: text("own.gpkg", "mine"),
        command="vectorize BASE/map.tif --out own.gpkg",
        code=6,
        says=("exists", "--overwrite"),
    )
    yield Case(
        what="a side file that is there",
        make=lambda: text("own.dbf", "mine"),
        command="vectorize BASE/map.tif --out own.shp",
        code=6,
        says=("own.dbf", "--overwrite"),
    )
    yield Case(
        what="a folder that is not there",
        command="vectorize BASE/map.tif --out no/out.gpkg",
        code=6,
        says=("no",),
    )
    yield Case(
        what="a file where a folder belongs",
        make=lambda: text("out", "mine"),
        command="change BASE/map.tif BASE/map.tif --out out",
        code=6,
        says=("is a file",),
    )
    yield Case(
        what="a layer name with a slash",
        command="vectorize BASE/map.tif --layer a/b --out out.gpkg",
        code=2,
        says=("layer",),
    )
    yield Case(
        what="a folder that is no run",
        make=lambda: Path("run").mkdir(),
        command="verify run",
        code=3,
        says=("manifest",),
    )
    yield Case(
        what="a manifest that is damaged",
        make=lambda: finished("manifest.json", b'{"digest": 1, "files": []}'),
        command="verify run",
        code=3,
        says=("manifest.json",),
    )
    yield Case(
        what="an account that is damaged",
        make=damaged_account,
        command="predict BASE/scene.tif --model MODEL --out out",
        code=6,
        says=("account", "--overwrite"),
    )


def damaged_account() -> None:
    Path("out/.work").mkdir(parents=True)
    text("out/.work/ledger.sqlite", b"SQLite format 3\x00" + b"\xff" * 4096)
