"""References and other layers of polygons and points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import geopandas
import shapely

from tests.bad_input.case import ONES, Case, polygons, raster, text
from tests.raster.makers import UTM


def shapefile_without(suffix: str) -> None:
    polygons("ref.shp")
    Path(f"ref{suffix}").unlink()


EVALUATE = "evaluate BASE/map.tif"


BOW = [
    shapely.Polygon([(500_000, 4_999_200), (500_300, 4_999_900), (500_300, 4_999_200), (500_000, 4_999_900)])
]


HUGE = json.dumps(
    {
        "type": "Polygon",
        "coordinates": [[[-1e308, -1e308], [1e308, -1e308], [1e308, 1e308], [-1e308, -1e308]]],
    }
)


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
        what="colours without quotes in a crosswalk",
        make=lambda: text("w.yaml", "#006400: forest\n"),
        command=f"{EVALUATE} BASE/ref.gpkg --crosswalk w.yaml",
        code=3,
        says=("quotes", "begins a comment"),
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
        what="a key that is no colour for a reference of colours",
        make=lambda: (raster(ONES), text("w.yaml", '"#010101": forest\nred: water\n')),
        command=f"{EVALUATE} a.tif --crosswalk w.yaml",
        code=2,
        says=("'red' is no colour", "#3C1098"),
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
