"""Polygons of objects scored as a user does it, and shapely's own overlay as the judge."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

import geoseg
from geoseg.cli.evaluate import command
from geoseg.errors import InputError, UsageError

CRS = "EPSG:32633"
EAST, NORTH = 500_000, 5_000_000


def squares(*places: tuple[float, float, float]) -> list[shapely.Polygon]:
    return [shapely.box(EAST + x, NORTH + y, EAST + x + side, NORTH + y + side) for x, y, side in places]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Three houses and a tree, of which two houses were found, one badly, and something that is not there."""
    reference = gpd.GeoDataFrame(
        {"kind": ["HOUSE", "HOUSE", "HOUSE", "TREE"]},
        geometry=squares((0, 0, 10), (30, 0, 10), (60, 0, 30), (100, 0, 5)),
        crs=CRS,
    )
    found = gpd.GeoDataFrame(
        {"class": ["house", "house", "house", "tree"], "score": [90.0, 80.0, 70.0, 60.0]},
        geometry=squares((1, 0, 10), (36, 0, 10), (61, 0, 29), (300, 0, 5)),
        crs=CRS,
    )
    reference.to_file(tmp_path / "reference.gpkg")
    found.to_file(tmp_path / "objects.gpkg", layer="objects")
    return tmp_path / "objects.gpkg", tmp_path / "reference.gpkg"


def test_scores_of_a_few_squares(files: tuple[Path, Path], tmp_path: Path) -> None:
    made = geoseg.evaluate_objects(*files, field="kind", sizes=[50, 500], out=tmp_path / "scores.json")
    house, tree = made.classes["house"], made.classes["tree"]
    assert (house.reference, house.mapped, house.matched) == (3, 3, 2)
    ious = 90 / 110, 29 * 29 / 900
    assert house.iou == pytest.approx(sum(ious) / 2) and house.f1 == pytest.approx(2 / 3)
    assert house.pq == pytest.approx(sum(ious) / 3)
    assert (tree.reference, tree.mapped, tree.matched, tree.ap) == (1, 1, 0, 0)
    assert {name: s.reference for name, s in made.sizes.items()} == {
        "below 50 m2": 1,
        "50 to 500 m2": 2,
        "from 500 m2": 1,
    }
    assert made.mean["pq"] == pytest.approx(house.pq / 2)
    said = json.loads((tmp_path / "scores.json").read_text())
    assert said["classes"]["house"]["matched"] == 2 and said["provenance"]["objects"]["sha256"]
    assert (tmp_path / "scores.csv").read_text().splitlines()[0].startswith("of,reference,mapped,matched,iou")


def test_objects_without_a_class_are_counted(files: tuple[Path, Path], tmp_path: Path) -> None:
    objects, reference = files
    frame = gpd.read_file(objects)
    frame.loc[[1, 3], "class"] = [None, " "]
    frame.to_file(tmp_path / "some.gpkg", layer="objects")
    with pytest.raises(InputError, match=r"2 of 4 objects have no class.*'class' is empty there"):
        geoseg.evaluate_objects(tmp_path / "some.gpkg", reference, field="kind")
    frame = gpd.read_file(reference)
    frame.loc[0, "kind"] = None
    frame.to_file(tmp_path / "some_reference.gpkg")
    made = geoseg.evaluate_objects(objects, tmp_path / "some_reference.gpkg", field="kind")
    assert any(
        "1 reference objects are ignored, by the crosswalk, as crowds or without a class" in n
        for n in made.notes
    )


def test_a_reference_in_another_crs_is_brought_over(files: tuple[Path, Path], tmp_path: Path) -> None:
    gpd.read_file(files[1]).to_crs(4326).to_file(tmp_path / "lonlat.geojson")
    here = geoseg.evaluate_objects(*files, field="kind")
    there = geoseg.evaluate_objects(files[0], tmp_path / "lonlat.geojson", field="kind")
    assert there.classes["house"].iou == pytest.approx(here.classes["house"].iou, abs=1e-5)
    gpd.read_file(files[0], layer="objects").to_crs(4326).to_file(tmp_path / "found.geojson")
    both = geoseg.evaluate_objects(tmp_path / "found.geojson", tmp_path / "lonlat.geojson", field="kind")
    assert both.classes["house"].iou == pytest.approx(here.classes["house"].iou, abs=1e-3)
    assert both.sizes["from 500 m2"].reference == 1


def test_only_where_the_reference_is_complete(files: tuple[Path, Path], tmp_path: Path) -> None:
    area = gpd.GeoDataFrame(geometry=[shapely.box(EAST - 1, NORTH - 1, EAST + 95, NORTH + 40)], crs=CRS)
    area.to_file(tmp_path / "aoi.gpkg")
    made = geoseg.evaluate_objects(*files, field="kind", aoi=tmp_path / "aoi.gpkg")
    assert (made.classes["tree"].reference, made.classes["tree"].mapped) == (0, 0)
    assert made.classes["house"].mapped == 3
    assert any("outside the area of interest" in note for note in made.notes)


def test_crosswalk_single_class_and_what_is_missing(files: tuple[Path, Path], tmp_path: Path) -> None:
    walked = geoseg.evaluate_objects(*files, field="kind", crosswalk={"HOUSE": "house", "TREE": "ignore"})
    assert walked.classes["tree"].reference == 0 and walked.classes["tree"].mapped == 1
    with pytest.raises(UsageError, match="class of the reference's objects is not known"):
        geoseg.evaluate_objects(*files)
    with pytest.raises(UsageError, match="no field 'art'"):
        geoseg.evaluate_objects(*files, field="art")
    with pytest.raises(InputError, match="values without a class"):
        geoseg.evaluate_objects(*files, field="kind", crosswalk={"HOUSE": "house"})
    houses = gpd.read_file(files[0], layer="objects").iloc[:3]
    houses.to_file(tmp_path / "houses.gpkg", layer="objects")
    made = geoseg.evaluate_objects(tmp_path / "houses.gpkg", files[1])
    assert made.classes["house"].reference == 4
    houses.drop(columns="score").to_file(tmp_path / "plain.gpkg", layer="objects")
    plain = geoseg.evaluate_objects(tmp_path / "plain.gpkg", files[1])
    assert np.isnan(plain.classes["house"].ap) and any("average precision" in note for note in plain.notes)


def test_the_command_tells_objects_from_maps(files: tuple[Path, Path], tmp_path: Path) -> None:
    def call(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(command, [*map(str, files), *options])
        return result.exit_code, result.output

    code, text = call("--field", "kind", "--out", str(tmp_path / "scores.json"))
    assert code == 0 and "house" in text and "AP50" in text and "50 to 500 m2" in text
    assert max(map(len, text.splitlines()[:7])) <= 80
    assert "house: 3.279 per hectare of 1,041 m2 in all; in the reference" in text
    code, text = call("--field", "kind", "--boundary", "3")
    assert code == 2 and "--boundary is for class maps" in text


def test_crowds_and_what_is_ignored_excuse_what_lies_in_them(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A quarter full of houses that nobody drew one by one: two found in it, and a tree."""
    found = gpd.read_file(files[0], layer="objects")
    inside = gpd.GeoDataFrame(
        {"class": ["house", "house", "tree"], "score": [95.0, 50.0, 40.0]},
        geometry=squares((210, 10, 10), (246, 10, 10), (230, 10, 5)),
        crs=CRS,
    )
    found = gpd.pd.concat([found, inside])
    found.to_file(tmp_path / "found.gpkg", layer="objects")
    reference = gpd.read_file(files[1])
    plain = geoseg.evaluate_objects(*files, field="kind").classes["house"]
    quarter = gpd.GeoDataFrame({"kind": ["HOUSE"]}, geometry=squares((200, 0, 50)), crs=CRS)
    for name, values, tree in (("crowd", {"iscrowd": 1}, 2), ("ignored", {"kind": "QUARTER"}, 1)):
        given = gpd.pd.concat([reference.assign(iscrowd=0), quarter.assign(iscrowd=0).assign(**values)])
        given.to_file(tmp_path / f"{name}.gpkg")
        walk = {"HOUSE": "house", "TREE": "tree", "QUARTER": "ignore"}
        made = geoseg.evaluate_objects(
            tmp_path / "found.gpkg", tmp_path / f"{name}.gpkg", field="kind", crosswalk=walk
        )
        house = made.classes["house"]
        # one of the two lies in the quarter by less than half, and counts as wrong
        assert (house.reference, house.mapped, house.matched) == (3, 4, 2)
        assert house.ap50 == pytest.approx(plain.ap50)
        # a crowd is of its class; what is ignored may be anything
        assert made.classes["tree"].mapped == tree
        assert sum(s.mapped for s in made.sizes.values()) == 4 + tree
        assert any("1 reference objects are ignored" in note for note in made.notes)


def test_areas_are_square_metres_in_any_crs(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Web Mercator says metres, and means more of them the farther from the equator."""
    for name, path in zip(("objects", "reference"), files, strict=True):
        gpd.read_file(path).to_crs(3857).to_file(tmp_path / f"{name}_web.gpkg", layer=name)
    here = geoseg.evaluate_objects(*files, field="kind")
    there = geoseg.evaluate_objects(
        tmp_path / "objects_web.gpkg", tmp_path / "reference_web.gpkg", field="kind"
    )
    assert there.classes["house"].mapped_area == pytest.approx(here.classes["house"].mapped_area, rel=1e-3)
    assert there.sizes["from 500 m2"].reference == 1
    assert here.hectares == pytest.approx(0.915)


def test_objects_per_hectare_are_of_the_area_of_interest(files: tuple[Path, Path], tmp_path: Path) -> None:
    area = gpd.GeoDataFrame(geometry=[shapely.box(EAST, NORTH, EAST + 200, NORTH + 50)], crs=CRS)
    area.to_file(tmp_path / "aoi.gpkg")
    made = geoseg.evaluate_objects(*files, field="kind", aoi=tmp_path / "aoi.gpkg", out=tmp_path / "s.json")
    assert made.hectares == pytest.approx(1)
    said = json.loads((tmp_path / "s.json").read_text())
    assert said["per_hectare"]["house"] == {"reference": pytest.approx(3), "mapped": pytest.approx(3)}
    assert said["classes"]["house"]["reference_area"] == pytest.approx(1100)


def test_many_polygons_are_matched_as_by_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    places = [(x * 25.0, y * 25.0) for x in range(12) for y in range(12)]
    reference = squares(*[(x, y, 12 + rng.uniform(0, 8)) for x, y in places])
    found = [shapely.affinity.translate(p, *rng.uniform(-5, 5, 2)) for p in reference if rng.random() > 0.1]
    for name, shapes in (("reference", reference), ("objects", found)):
        gpd.GeoDataFrame({"score": rng.random(len(shapes))}, geometry=shapes, crs=CRS).to_file(
            tmp_path / f"{name}.gpkg", layer=name
        )
    made = geoseg.evaluate_objects(tmp_path / "objects.gpkg", tmp_path / "reference.gpkg").classes["object"]
    ious = [
        max(p.intersection(q).area / p.union(q).area for q in reference if p.intersects(q)) for p in found
    ]
    assert made.matched == sum(iou >= 0.5 for iou in ious)
    assert made.iou == pytest.approx(np.mean([iou for iou in ious if iou >= 0.5]), abs=1e-9)
