"""Estimates from files equal the paper's, whoever wrote them; what would make them wrong is refused."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.errors import GeosegError, InputError, OutputConflictError, UsageError
from geoseg.estimation.strata_areas import read_strata_areas
from geoseg.estimation.verb import sample_estimate
from geoseg.raster.classmap import open_class_map
from geoseg.sampling.design import map_digest
from geoseg.sampling.file import read_sample, write_sample
from geoseg.sampling.layout import Answer
from tests.estimation.makers import (
    GRID,
    HECTARES,
    NAMES,
    SIZES,
    labels,
    lon_lat,
    pairs,
    places,
    write_csv,
    write_drawn,
    write_map,
)

AREAS = (21157.762, 11686.154, 285769.930, 581386.154)
STRATA = {
    name: {"pixels": n, "hectares": ha} for name, n, ha in zip(NAMES.values(), SIZES, HECTARES, strict=True)
}


def check_olofsson(found):
    """The paper's figures; FPC changes the last printed digits, so it is left out."""
    records = found.per_class
    assert [r["class"] for r in records] == list(NAMES.values())
    assert [r["area_ha"] for r in records] == pytest.approx(AREAS, abs=6e-4)
    half = [1.96 * r["area_ha_se"] for r in records]
    assert half == pytest.approx((6157.634, 3755.826, 15509.836, 16281.656), abs=6e-4)
    assert [r["users"] for r in records] == pytest.approx((0.88, 0.733333, 0.927273, 0.963077), abs=6e-7)
    assert [r["producers_se"] for r in records] == pytest.approx(
        (0.1088316, 0.1298002, 0.0175125, 0.0093681), abs=6e-8
    )
    assert found.overall["estimate"] == pytest.approx(0.9465119, abs=6e-8)
    assert found.overall["se"] == pytest.approx(0.0094304, abs=6e-8)
    assert found.matrix["counts"].sum() == 640


@pytest.fixture
def sample(tmp_path):
    return write_drawn(tmp_path / "sample.gpkg")


def test_a_sample_of_geoseg(sample, tmp_path):
    out = tmp_path / "estimates.json"
    found = sample_estimate(sample, out=out, no_fpc=True, ratio=["loss / loss,stable forest"])
    check_olofsson(found)
    assert found.ratio_records[0]["estimate"] == pytest.approx(0.0689340, abs=6e-8)
    assert found.ratio_records[0]["se"] == pytest.approx(0.0099221, abs=6e-8)
    written = json.loads(out.read_text())
    assert written["overall"]["estimate"] == found.overall["estimate"]
    assert written["disagreement"]["exchange"] == pytest.approx(0.044492, abs=6e-7)
    assert written["classes"][0]["mapped_ha"] == HECTARES[0]
    table = list(csv.DictReader(io.StringIO((tmp_path / "estimates.csv").read_text())))
    assert float(table[1]["area_ha"]) == found.per_class[1]["area_ha"]
    assert (tmp_path / "estimates_matrix.csv").read_text().startswith("map / reference,loss (units)")
    sample_estimate(sample, out=out)
    assert any("gain (0 in stratum 'stable forest'" in note for note in found.notes)


def test_the_interval_that_is_asked_for_is_shown_and_both_are_written(sample):
    runner = CliRunner()
    shown = [
        runner.invoke(cli, ["sample", "estimate", str(sample), "--interval", kind]).stdout
        for kind in ("standard", "adjusted")
    ]
    assert "6,157" in shown[0] and "6,157" not in shown[1]
    for text in shown:
        assert max(map(len, text.splitlines())) <= 80
        assert "overall accuracy 94.7% ± 1.8% (95 % interval)" in text


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_table_with_the_areas_of_its_strata(tmp_path, delimiter):
    rows = [[i, NAMES[m], NAMES[t].upper()] for i, (m, t) in enumerate(pairs())]
    table = write_csv(tmp_path / "points.csv", ["id", "stratum", "reference"], rows, delimiter)
    areas = write_csv(
        tmp_path / "areas.csv",
        ["stratum", "pixels", "hectares"],
        [[n, *s.values()] for n, s in STRATA.items()],
    )
    found = sample_estimate(table, design="stratified", strata_areas=areas, legend=NAMES, no_fpc=True)
    check_olofsson(found)


def test_excel(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["id", "map_class", "label"])
    for i, (m, t) in enumerate(pairs()):
        book.active.append([i, m, t])
    book.save(tmp_path / "points.xlsx")
    check_olofsson(
        sample_estimate(
            tmp_path / "points.xlsx", design="stratified", strata_areas=STRATA, legend=NAMES, no_fpc=True
        )
    )


def test_arcgis_points(tmp_path):
    shapes = [shapely.Point(*lon_lat(*place)) for place in places()]
    frame = gpd.GeoDataFrame(
        {"Classified": [m for m, _ in pairs()], "GrndTruth": [t for _, t in pairs()]},
        geometry=shapes,
        crs=4326,
    )
    frame.loc[len(frame)] = {"Classified": 1, "GrndTruth": -1, "geometry": shapes[0]}
    frame.to_file(tmp_path / "points.shp")
    found = sample_estimate(
        tmp_path / "points.shp", design="stratified", strata_areas=STRATA, legend=NAMES, no_fpc=True
    )
    check_olofsson(found)
    assert [s["unknown"] for s in found.per_stratum] == [1, 0, 0, 0]


def test_sepal_brings_its_areas_along(tmp_path):
    rows = [[m, HECTARES[m - 1], t] for m, t in pairs()]
    table = write_csv(tmp_path / "sepal.csv", ["map_code", "map_area", "ref_code"], rows)
    check_olofsson(sample_estimate(table, legend=NAMES, no_fpc=True))


def test_columns_of_a_design(tmp_path):
    rows = [
        [i, NAMES[m], m, t, sum(1 for a, _ in pairs() if a == m) / SIZES[m - 1], 900]
        for i, (m, t) in enumerate(pairs())
    ]
    head = ["id", "stratum", "map_class", "label", "p_inclusion", "area_m2"]
    check_olofsson(sample_estimate(write_csv(tmp_path / "own.csv", head, rows), legend=NAMES, no_fpc=True))


def test_collect_earth_online(tmp_path):
    """Own columns come back as pl_..., flagged plots are unknown, several people's labels are voted on."""
    rows = []
    for i, (m, t) in enumerate(pairs()):
        people = [("a", t), ("b", t), ("c", t % 4 + 1)] if i % 50 == 0 else [("a", t)]
        rows += [[i, who, "false", "", NAMES[m], NAMES[said]] for who, said in people]
    rows.append([999, "a", "true", "clouds", NAMES[1], ""])
    table = write_csv(
        tmp_path / "ceo.csv",
        ["plotid", "email", "flagged", "flagged_reason", "pl_map_class", "LAND USE"],
        rows,
    )
    found = sample_estimate(
        table, design="stratified", strata_areas=STRATA, label_field="land use", legend=NAMES, no_fpc=True
    )
    check_olofsson(found)
    assert any("1 flagged: clouds" in note for note in found.notes)
    assert any("13 units have labels of several interpreters" in note for note in found.notes)


def test_plots_of_several_points_are_clusters(tmp_path):
    """Twelve plots of nine points, as Collect Earth Online gives them back: points are not independent."""
    totals = [3, 0, 5, 9, 1, 0, 2, 7, 4, 0, 6, 3]
    rows = [
        [plot, point, "yes" if point < total else "no"]
        for plot, total in enumerate(totals)
        for point in range(9)
    ]
    table = write_csv(tmp_path / "points.csv", ["plotid", "sampleid", "label"], rows)
    found = sample_estimate(table, design="srs").per_class[1]
    assert found["area"] == pytest.approx(0.3703704, abs=6e-8)
    assert found["area_se"] == pytest.approx(0.0936472 / (1 - 12 / 400) ** 0.5, abs=1e-7)
    named = write_csv(tmp_path / "named.csv", ["tract", "label"], [[plot, label] for plot, _, label in rows])
    same = sample_estimate(named, design="srs", cluster_field="tract").per_class[1]
    assert (same["area"], same["area_se"]) == (found["area"], found["area_se"])
    alone = sample_estimate(named, design="srs").per_class[1]
    assert alone["area_se"] == pytest.approx(0.0466841, abs=6e-8)
    with pytest.raises(UsageError, match="clusters are not post-stratified"):
        sample_estimate(named, design="post-stratified", cluster_field="tract", strata_areas={"a": 1})


def test_clusters_in_strata_are_estimated_by_their_totals_in_each(tmp_path):
    totals = np.array([[3, 0, 5, 9, 1, 0], [2, 7, 4, 0, 6, 3]])
    rows = [
        [f"{name}{plot}", name, "yes" if point < total else "no"]
        for name, of in zip("ab", totals, strict=True)
        for plot, total in enumerate(of)
        for point in range(9)
    ]
    table = write_csv(tmp_path / "c.csv", ["tract", "stratum", "label"], rows)
    options = {"design": "stratified", "cluster_field": "tract"}
    areas = {"a": {"pixels": 7500, "hectares": 750}, "b": {"pixels": 2500, "hectares": 250}}
    found = sample_estimate(table, strata_areas=areas, **options).per_class[1]
    share = totals.sum(1) / 54
    variance = ((totals - 9 * share[:, None]) ** 2).sum(1) / (5 * 6 * 81)
    weights = np.array([0.75, 0.25])
    assert found["area"] == pytest.approx(weights @ share)
    assert found["area_se"] == pytest.approx(np.sqrt(weights**2 @ variance))
    torn = write_csv(tmp_path / "t.csv", ["tract", "stratum", "label"], [[r[0][1:], *r[1:]] for r in rows])
    with pytest.raises(InputError, match="6 clusters have units in several strata"):
        sample_estimate(torn, strata_areas=areas, **options)
    lone = write_csv(
        tmp_path / "l.csv", ["tract", "stratum", "label"], [r for r in rows if r[0] != "b1"][:63]
    )
    with pytest.raises(InputError, match="stratum 'b' has labels in one cluster alone"):
        sample_estimate(lone, strata_areas=areas, **options)


def test_labels_that_nobody_is_sure_of(tmp_path):
    rows = [[i, "yes" if i % 3 else "no", 1 if i < 5 else 3] for i in range(40)]
    table = write_csv(tmp_path / "points.csv", ["id", "label", "confidence"], rows)
    found = sample_estimate(table, design="srs", min_confidence=2)
    assert found.per_stratum[0]["unknown"] == 5
    assert any("5 confidence below 2" in note for note in found.notes)
    own = write_drawn(
        tmp_path / "own.gpkg", {0: Answer(label=1, confidence=1), 1: Answer(label=1, confidence=3)}
    )
    assert sum(s["unknown"] for s in sample_estimate(own, min_confidence=2).per_stratum) == 1


def test_classes_and_areas_of_the_map(tmp_path):
    """sits writes label alone: the class on the map is read there, and its classes' areas are counted."""
    rows = [[*lon_lat(*place), NAMES[t]] for place, (_, t) in zip(places(), pairs(), strict=True)]
    table = write_csv(tmp_path / "sits.csv", ["longitude", "latitude", "label"], rows)
    class_map = write_map(tmp_path / "classes.tif")
    found = sample_estimate(table, design="stratified", map=class_map)
    assert found.matrix["counts"].tolist() == [list(map(float, row)) for row in np.array(geo_counts())]
    assert [s["pixels"] for s in found.per_stratum] == [10_000] * 4
    # the same without strata: what was drawn by simple random sampling, and its strata known afterwards
    simple, post = (sample_estimate(table, design=d, map=class_map) for d in ("srs", "post-stratified"))
    assert simple.overall["estimate"] == pytest.approx(587 / 640)
    assert post.overall["estimate"] == pytest.approx(found.overall["estimate"])
    assert post.overall["se"] != found.overall["se"]


def geo_counts():
    from tests.accuracy.samples import OLOFSSON_2014

    return OLOFSSON_2014[0]


def test_without_areas_there_are_shares(tmp_path):
    table = write_csv(tmp_path / "points.csv", ["label"], [[NAMES[t]] for _, t in pairs()])
    found = sample_estimate(table, design="srs")
    assert found.hectares is None and np.isnan(found.per_class[0]["area_ha"])
    assert sum(r["area"] for r in found.per_class) == pytest.approx(1)
    assert np.isnan(found.overall["estimate"])
    shown = CliRunner().invoke(cli, ["sample", "estimate", str(table), "--design", "srs"])
    assert shown.exit_code == 0 and "overall" not in shown.stdout


def test_the_designs_map_and_another(tmp_path):
    own = write_map(tmp_path / "classes.tif")
    sample = write_drawn(tmp_path / "own.gpkg", map_digest=map_digest(open_class_map(own)))
    assert sample_estimate(sample, map=own).overall == sample_estimate(sample).overall
    other = write_map(tmp_path / "other.tif", np.roll(labels(), 1, 0))
    with pytest.raises(InputError, match=r"not the map that the sample was drawn from.*`another_map`"):
        sample_estimate(sample, map=other)
    found = sample_estimate(sample, map=other, another_map=True)
    assert any("Stehman 2014" in note for note in found.notes)
    assert found.overall["estimate"] < sample_estimate(sample).overall["estimate"]
    # areas do not depend on the map that is scored
    assert [r["area"] for r in found.per_class] == [r["area"] for r in sample_estimate(sample).per_class]


def test_half_of_the_labels(tmp_path):
    """Labelled by order, and with a gap: what is behind the last label is left, a gap is non-response."""
    whole = write_drawn(tmp_path / "whole.gpkg")
    with sqlite3.connect(whole) as database:
        orders = dict(database.execute('SELECT id, "order" FROM sample'))
    blank = {int(i[1:]): Answer() for i, order in orders.items() if order > 300 or order == 7}
    found = sample_estimate(write_drawn(tmp_path / "half.gpkg", blank))
    assert any("300 of 640 units have been looked at" in note for note in found.notes)
    assert any("1 of 300 units could not be labelled (1 left blank)" in note for note in found.notes)
    assert sum(s["labelled"] for s in found.per_stratum) == 299
    assert sum(s["left"] for s in found.per_stratum) == 340
    assert found.overall["lowest"] < found.overall["estimate"] < found.overall["highest"]
    assert found.overall["se"] > sample_estimate(whole).overall["se"]


def test_two_labels(tmp_path):
    """The second counts beside the first; with a share it is the class of the rest of a plot."""
    truths = pairs()
    wrong = next(i for i, (m, t) in enumerate(truths) if m == 4 and t == 1)
    either = sample_estimate(write_drawn(tmp_path / "a.gpkg", {wrong: Answer(label=1, label_2=4)}))
    assert either.overall["either_label"] > either.overall["estimate"]
    parts = sample_estimate(write_drawn(tmp_path / "b.gpkg", {wrong: Answer(label=1, label_2=4, share=0.25)}))
    assert parts.matrix["counts"][3, [0, 3]].tolist() == [1.25, 313.75]
    assert parts.overall["estimate"] > either.overall["estimate"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"design": None}, "nothing says how these units were drawn.*`design=srs`"),
        ({"strata_areas": None}, "the strata's areas are not known.*`strata_areas`"),
        ({"strata_areas": {"loss": 1}}, "no area of stratum 'gain', 'non-forest', 'stable forest'"),
        ({"strata_areas": {**STRATA, "water": 5}}, "stratum 'water' has no label"),
        ({"strata_areas": {**STRATA, "loss": -1}}, "size -1 of stratum 'loss' is no positive number"),
        ({"label_field": "truth"}, "no field 'truth'"),
        (
            {"legend": {1: "loss", 3: "stable forest", 4: "non-forest"}},
            r"values without a class: 'gain' \(56 units\)",
        ),
        ({"ratio": ["loss"]}, "is no ratio"),
        ({"ratio": ["losses / gain"]}, "no class 'losses'"),
    ],
)
def test_refused(tmp_path, change, message):
    rows = [[i, NAMES[m], NAMES[t]] for i, (m, t) in enumerate(pairs())]
    table = write_csv(tmp_path / "points.csv", ["id", "stratum", "label"], rows)
    options = {"design": "stratified", "strata_areas": STRATA, "legend": NAMES, **change}
    with pytest.raises(GeosegError, match=message):
        sample_estimate(table, **{k: v for k, v in options.items() if v is not None})


def test_a_stratum_with_one_label_has_no_variance(tmp_path):
    table = write_csv(
        tmp_path / "points.csv", ["id", "stratum", "label"], [[1, "a", "x"], [2, "b", "x"], [3, "b", "y"]]
    )
    options = {"design": "stratified", "strata_areas": {"a": {"pixels": 9}, "b": {"pixels": 9}}}
    with pytest.raises(InputError, match="stratum 'a' has one label"):
        sample_estimate(table, **options)
    options["strata_areas"]["a"]["pixels"] = 1
    assert sample_estimate(table, **options).overall["se"] != 0


def test_ids_twice(tmp_path):
    table = write_csv(tmp_path / "points.csv", ["id", "label"], [[1, "x"], [1, "x"], [2, "y"]])
    with pytest.raises(InputError, match="1 ids stand more than once"):
        sample_estimate(table, design="srs")


def test_units_that_were_moved(sample):
    with sqlite3.connect(sample) as database:
        database.create_function("ST_IsEmpty", 1, lambda _: 0)
        for name in ("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            database.create_function(name, 1, lambda _: 0.0)
        database.execute("UPDATE sample SET lon = lon + 0.001 WHERE id = 'u3'")
    with pytest.raises(InputError, match=r"1 units are not where they were drawn.*u3"):
        sample_estimate(sample)


def test_units_that_trained_the_model(sample, tmp_path):
    x, y = GRID.corner(0, 0)
    box = shapely.box(x - 5, y - 50, x + 50, y + 5)
    gpd.GeoDataFrame({"a": [1]}, geometry=[box], crs=GRID.crs).to_file(tmp_path / "training.gpkg")
    with pytest.raises(InputError, match="2 units touch what the model was trained with"):
        sample_estimate(sample, training=tmp_path / "training.gpkg")


def test_places_in_metres_want_their_reference_system(tmp_path):
    class_map = write_map(tmp_path / "classes.tif")
    rows = [[*(GRID.transform * (col + 0.5, row + 0.5)), NAMES[1]] for row, col in places()[:5]]
    table = write_csv(tmp_path / "p.csv", ["X", "Y", "label"], rows)
    with pytest.raises(InputError, match=r"x and y of no coordinate reference system.*`assume_crs=EPSG:...`"):
        sample_estimate(table, design="srs", map=class_map)
    found = sample_estimate(table, design="srs", map=class_map, assume_crs=GRID.crs.to_wkt())
    assert found.matrix["counts"].sum() == 5


def test_units_and_strata_without_a_name_are_counted_in_words(tmp_path):
    rows = [["a", 0.1, "loss"], ["", 0.1, "loss"], [" ", 0.1, "loss"], ["b", 0.1, "loss"]]
    table = write_csv(tmp_path / "p.csv", ["stratum", "p_inclusion", "label"], rows)
    for options in ({}, {"design": "stratified", "strata_areas": {"a": 1, "b": 2}}):
        with pytest.raises(InputError, match=r"2 of 4 units have no stratum\. 1, 2\. Try: fill the column"):
            sample_estimate(table, **options)
    areas = write_csv(tmp_path / "areas.csv", ["name", "ha"], [["a", 1], ["", 2], ["b", 2]])
    with pytest.raises(InputError, match=r"strata without a name.*'name', is empty in 1 of 3 rows"):
        read_strata_areas(areas)


def test_points_outside_the_map(tmp_path):
    table = write_csv(tmp_path / "p.csv", ["lon", "lat", "label"], [[0, 0, "loss"], [*lon_lat(1, 1), "loss"]])
    with pytest.raises(InputError, match="1 of 2 units lie outside the map"):
        sample_estimate(table, design="srs", map=write_map(tmp_path / "classes.tif"))


def test_a_class_in_the_table_that_is_not_the_maps(tmp_path):
    rows = [[*lon_lat(*place), NAMES[4], NAMES[1]] for place in places()[:3]]
    table = write_csv(tmp_path / "p.csv", ["lon", "lat", "map_class", "label"], rows)
    with pytest.raises(InputError, match="3 units have another class in the table than on the map"):
        sample_estimate(table, design="srs", map=write_map(tmp_path / "classes.tif"))


def test_nothing_is_labelled(tmp_path):
    with pytest.raises(InputError, match="no unit has a label"):
        sample_estimate(write_drawn(tmp_path / "s.gpkg", {i: Answer() for i in range(640)}))


def test_options_of_other_tools_are_not_for_a_design(sample):
    with pytest.raises(UsageError, match="`strata_areas` is for samples of other tools"):
        sample_estimate(sample, strata_areas={"a": 1})
    with pytest.raises(UsageError, match="`design=srs` contradicts the file"):
        sample_estimate(sample, design="srs")


def test_what_stands_there_is_kept(sample, tmp_path):
    (tmp_path / "estimates.csv").write_text("mine")
    with pytest.raises(OutputConflictError, match="exists"):
        sample_estimate(sample, out=tmp_path / "estimates.json")
    assert (tmp_path / "estimates.csv").read_text() == "mine"


def test_the_name_in_the_package():
    assert geoseg.sample_estimate is sample_estimate


def fill(path, truth):
    """Label every unit of a drawn sample with the class of another map on its grid."""
    drawn = read_sample(path)
    units = []
    for unit in drawn.units:
        x, y = shapely.centroid(shapely.from_wkb(unit.geometry)).coords[0]
        col, row = ~GRID.transform * (x, y)
        units.append(replace(unit, answer=Answer(label=int(truth[int(row), int(col)]))))
    write_sample(path, replace(drawn, units=tuple(units)), overwrite=True)


@pytest.mark.parametrize(
    "options",
    [
        {"minimum": 30},
        {"method": "simple"},
        {"method": "two-stage", "tile": 20, "tiles": 40},
        {"buffer": 3, "buffer_around": "loss", "buffer_in": "gain"},
    ],
    ids=["stratified", "simple", "two-stage", "buffer"],
)
def test_what_is_drawn_is_estimated(tmp_path, options):
    """From the design to the estimate: true areas and accuracy lie within their standard errors."""
    rng = np.random.default_rng(2)
    wrong = rng.random(labels().shape) < 0.15
    truth = np.where(wrong, rng.integers(1, 5, wrong.shape), labels())
    class_map, path = write_map(tmp_path / "classes.tif"), tmp_path / "sample.gpkg"
    geoseg.sample_design(class_map, out=path, n=600, **options)
    fill(path, truth)
    found = sample_estimate(path, map=class_map)
    assert abs(found.overall["estimate"] - (truth == labels()).mean()) < 3.5 * found.overall["se"]
    for record, true in zip(found.per_class, np.bincount(truth.ravel())[1:] / truth.size, strict=True):
        assert abs(record["area"] - true) < 3.5 * record["area_se"]
        assert 0 < record["area_se"] < 0.08


def test_all_pixels_are_no_sample_any_more(tmp_path):
    few = np.where(np.arange(100) % 25 == 0, labels(), 255).astype(np.uint8)
    few[::3] = 255
    truth = np.roll(labels(), 7, 0)
    class_map, path = write_map(tmp_path / "classes.tif", few), tmp_path / "sample.gpkg"
    geoseg.sample_design(class_map, out=path, n=int((few != 255).sum()))
    fill(path, truth)
    found = sample_estimate(path)
    assert found.overall["se"] == 0
    # pixels are weighted by their area, which differs by less than 1e-4 over the map
    assert found.overall["estimate"] == pytest.approx((truth == few)[few != 255].mean(), abs=1e-5)
