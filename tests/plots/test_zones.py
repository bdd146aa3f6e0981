"""The verb zones: exact areas, verdicts with reasons, problems named, every format, any batch."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import openpyxl
import pandas as pd
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from pyproj import Geod, Transformer

from geoseg.changes.verb import change
from geoseg.cli.zones import command
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.histories.verb import series
from geoseg.plots import batches
from geoseg.plots.verb import zones
from tests.raster.curves import circle, geopackage
from tests.raster.makers import TRANSFORM, write

NAMES = {"CLASS_1": "forest", "CLASS_2": "pasture"}
NODATA = 255
SIDE = 60


def place(*cells: tuple[float, float]) -> shapely.Polygon:
    """Polygon in UTM of corners in (column, row)."""
    return shapely.Polygon([TRANSFORM * cell for cell in cells])


def box(col: float, row: float, width: float, height: float) -> shapely.Polygon:
    return place((col, row), (col + width, row), (col + width, row + height), (col, row + height))


def layer(path: Path, shapes: list[Any], *, lonlat: bool = True, **columns: Any) -> Path:
    """Plots of shapes in UTM, in longitude and latitude."""
    frame = geopandas.GeoDataFrame({**columns, "geometry": shapes}, crs="EPSG:32633")
    (frame.to_crs(4326) if lonlat else frame).to_file(path)
    return path


@pytest.fixture
def maps(tmp_path: Path) -> dict[str, Path]:
    """Forest of three years: a loss of columns 10 to 19 in 2020, of 30 to 39 in 2022, nodata from 50 on."""
    pixels = np.ones((SIDE, SIDE), np.uint8)
    pixels[:, 50:] = NODATA
    out = {}
    for year in (2019, 2020, 2022):
        if year >= 2020:
            pixels[:, 10:20] = 2
        if year >= 2022:
            pixels[:, 30:40] = 2
        out[str(year)] = write(tmp_path / f"map_{year}.tif", pixels, nodata=NODATA, tags=NAMES)
    return out


def rows_of(path: Path) -> list[dict[str, Any]]:
    return geopandas.read_file(path).drop(columns="geometry").to_dict("records")


def test_areas_are_those_of_exactextract_and_of_the_ellipsoid(tmp_path: Path) -> None:
    from exactextract import exact_extract

    rng = np.random.default_rng(8)
    pixels = rng.choice(np.array([1, 2, NODATA], np.uint8), (SIDE, SIDE))
    raster = write(tmp_path / "map.tif", pixels, nodata=NODATA, tags=NAMES)
    corners = rng.uniform(-3, SIDE + 3, (40, 1, 2)) + rng.uniform(-6, 6, (40, 5, 2))
    shapes = [shapely.MultiPoint(c).convex_hull for c in corners]
    shapes = [place(*s.exterior.coords) for s in shapes]
    plots = layer(tmp_path / "plots.gpkg", shapes, lonlat=False, name=[f"n{k}" for k in range(40)])
    found = zones(raster, plots, out=tmp_path / "out.gpkg")
    made = geopandas.read_file(found.path, layer="plots")
    assert made.geometry.geom_equals(geopandas.read_file(plots).geometry).all()
    frame = geopandas.read_file(plots)
    for k, facts in enumerate(exact_extract(str(raster), frame, ["unique", "frac", "count"])):
        p = facts["properties"]
        shares = dict(zip(p["unique"], p["frac"] * p["count"] * 100 / 1e4, strict=True)) if p["count"] else {}
        assert made.forest_ha[k] == pytest.approx(
            shares.get(1, 0.0), rel=2e-3, abs=1e-6
        )  # UTM is not equal-area
        inside = shapely.intersection(shapes[k], box(0, 0, SIDE, SIDE)).area / shapes[k].area
        assert made.inside[k] == pytest.approx(inside, abs=1e-6)
        total = made.forest_ha[k] + made.pasture_ha[k] + made.unknown_ha[k]
        assert total == pytest.approx(made.plot_ha[k] * made.inside[k], abs=3e-6)
    lonlat = Transformer.from_crs(32633, 4326, always_xy=True)
    ring = shapely.segmentize(shapes[0], 500).exterior.coords
    lon, lat = lonlat.transform(*np.array(ring).T)
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    assert made.plot_ha[0] == pytest.approx(abs(area) / 1e4, rel=1e-6)
    assert made.name.tolist() == [f"n{k}" for k in range(40)]
    assert found.verdicts == {}


PLOTS = {
    "before": box(8, 5, 10, 10),  # half of it was lost in 2020
    "after": box(28, 5, 10, 10),
    "calm": box(1, 20, 6, 6),
    "edge": box(24, 30, 6.2, 2),  # touches two pixels of loss by a fifth
    "blind": box(47, 5, 6, 6),
    "tiny": box(22.2, 8.2, 0.5, 0.5),
    "outside": box(80, 80, 5, 5),
    "beside": box(-4, 40, 8, 4),
}


@pytest.fixture
def plots(tmp_path: Path) -> Path:
    return layer(tmp_path / "plots.geojson", list(PLOTS.values()), name=list(PLOTS))


def test_plots_of_curves_and_collections_are_added_up_and_kept(maps, tmp_path: Path) -> None:
    collection = shapely.GeometryCollection([box(1, 5, 5, 10)])
    corner = TRANSFORM * (10, 20)
    plots = geopackage(
        tmp_path / "plots.gpkg", [circle(corner, 50), shapely.to_wkb(collection)], name=["round", "set"]
    )
    found = zones(maps["2022"], plots, out=tmp_path / "out.gpkg")  # a warning of GDAL would fail the test
    rows = rows_of(found.path)
    assert [r["pasture_ha"] for r in rows] == pytest.approx([np.pi * 25 / 2 / 100, 0], rel=2e-3)
    assert [r["forest_ha"] for r in rows] == pytest.approx([np.pi * 25 / 2 / 100, 0.5], rel=2e-3)
    assert "curves were made straight" in " ".join(found.notes)


def test_plots_without_a_crs_are_given_one_by_the_option_that_there_is(maps, tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[box(1, 5, 5, 10)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        frame.to_file(tmp_path / "plots.gpkg", engine="pyogrio")
        frame.to_file(tmp_path / "plots.shp", engine="pyogrio")
    for name in ("plots.gpkg", "plots.shp"):
        with pytest.raises(InputError, match=r"`assume_crs_plots=EPSG:\.\.\.`"):
            zones(maps["2022"], tmp_path / name, out=tmp_path / "out.gpkg", overwrite=True)
        assert zones(
            maps["2022"],
            tmp_path / name,
            out=tmp_path / "out.gpkg",
            assume_crs_plots="EPSG:32633",
            overwrite=True,
        ).hectares["forest_ha"] == pytest.approx(0.5, rel=2e-3)


def test_totals_are_of_this_run_where_plots_have_columns_of_an_earlier(maps, tmp_path) -> None:
    plots = layer(tmp_path / "plots.gpkg", [box(8, 5, 10, 10)], lonlat=False, name=["a"], loss_ha=["text"])
    first = zones(maps["2019"], plots, out=tmp_path / "first.gpkg")
    again = zones(maps["2022"], first.path, out=tmp_path / "again.gpkg")
    assert again.hectares == zones(maps["2022"], plots, out=tmp_path / "plain.gpkg").hectares
    assert again.hectares != first.hectares


def test_plots_in_metres_are_brought_to_degrees_once(maps, tmp_path) -> None:
    plots = layer(tmp_path / "plots.gpkg", [box(8, 5, 10, 10)], lonlat=False, name=["a"])
    found = zones(maps["2022"], plots, out=tmp_path / "out.geojson").path
    asked, made = geopandas.read_file(plots), geopandas.read_file(found)
    assert made.to_crs(asked.crs).geometry[0].hausdorff_distance(asked.geometry[0]) < 0.05


def told(path: Path) -> dict[str, tuple[str, str]]:
    return {r["name"]: (r["verdict"], r["reason"]) for r in rows_of(path)}


def test_verdicts_on_a_series_with_a_cut_off(maps, plots, tmp_path) -> None:
    history = series(list(maps.values()), out=tmp_path / "series")
    found = zones(history.out, plots, out=tmp_path / "out.geojson", cutoff="2020-12-31")
    assert {k: v for k, (v, _) in told(found.path).items()} == {
        "before": "none found",
        "after": "loss",
        "calm": "none found",
        "edge": "cannot tell",
        "blind": "cannot tell",
        "tiny": "cannot tell",
        "outside": "cannot tell",
        "beside": "cannot tell",
    }
    reasons = {k: r for k, (_, r) in told(found.path).items()}
    assert reasons["after"].startswith("0.8")
    assert "at an edge" in reasons["edge"]
    assert reasons["blind"] == "50% unknown or outside the map"
    assert reasons["beside"] == "50% unknown or outside the map"
    assert "smaller than a pixel" in reasons["tiny"]
    assert reasons["outside"] == "outside the map"
    rows = {r["name"]: r for r in rows_of(found.path)}
    assert rows["before"]["loss_ha"] == pytest.approx(0.8, rel=2e-3)
    assert rows["before"]["loss_after_ha"] == 0
    assert pd.isna(rows["before"]["first_loss"])
    assert (rows["after"]["first_loss"], rows["after"]["last_loss"]) == ("2022", "2022")
    assert rows["after"]["before_forest_ha"] == pytest.approx(1.0, rel=2e-3)
    assert rows["after"]["after_pasture_ha"] == pytest.approx(0.8, rel=2e-3)
    # the events are 10 columns of 60 pixels; most plots hold a part of one or none
    largest = {k: r["largest_event_ha"] for k, r in rows.items()}
    assert largest["before"] == pytest.approx(6, rel=2e-3) and largest["after"] == pytest.approx(6, rel=2e-3)
    assert pd.isna(largest["calm"]) and pd.isna(largest["outside"])
    # without a cut-off all loss counts
    assert told(zones(history.out, plots, out=tmp_path / "all.geojson").path)["before"][0] == "loss"
    assert "compliant" not in found.path.read_text().lower()


def test_what_hides_pixels_of_a_series_is_heeded(maps, plots, tmp_path) -> None:
    history = series(list(maps.values()), out=tmp_path / "series")
    clouds = np.zeros((SIDE, SIDE), np.uint8)
    clouds[:, 28:40] = 1
    mask = write(tmp_path / "clouds.tif", clouds)
    found = zones(history.out, plots, out=tmp_path / "out.geojson", cutoff="2020-12-31", mask=str(mask))
    assert told(found.path)["after"] == ("cannot tell", "100% unknown or outside the map")
    assert told(found.path)["calm"][0] == "none found"
    for options in ({"nodata": 1}, {"assume_crs": "EPSG:32633"}, {"band": 1}):
        with pytest.raises(UsageError, match="is for class maps"):
            zones(history.out, plots, out=tmp_path / "no.geojson", **options)


def test_numbers_of_a_map_without_names_are_said_to_be_those_of_the_other(maps, plots, tmp_path) -> None:
    with rasterio.open(maps["2019"]) as file:
        plain = write(tmp_path / "plain_2018.tif", file.read(1), nodata=NODATA)
    found = zones(maps["2022"], plots, out=tmp_path / "o.geojson", before=plain)
    assert "no class names in plain_2018.tif: numbers mean what map_2022.tif calls them" in found.notes
    history = series([plain, maps["2020"], maps["2022"]], out=tmp_path / "series")
    assert any("no class names in plain_2018.tif" in note for note in history.notes)


def test_a_plot_not_seen_after_the_cut_off_cannot_be_told(tmp_path: Path) -> None:
    for year, value in ((2019, 1), (2020, 1), (2021, NODATA)):
        pixels = np.ones((40, 40), np.uint8)
        pixels[:20] = value
        write(tmp_path / f"m_{year}.tif", pixels, nodata=NODATA, tags=NAMES)
    history = series(sorted(tmp_path.glob("m_*.tif")), out=tmp_path / "series")
    plots = layer(tmp_path / "p.geojson", [box(5, 5, 9, 9), box(5, 25, 9, 9)], name=["hidden", "seen"])
    found = told(zones(history.out, plots, out=tmp_path / "o.geojson", cutoff="2020-12-31").path)
    assert found["hidden"] == ("cannot tell", "100% unknown or outside the map")
    assert found["seen"][0] == "none found"


def test_two_maps_a_change_and_dates_around_the_cut_off(maps, plots, tmp_path) -> None:
    pair: dict[str, Any] = {"before": maps["2019"]}
    for cutoff, verdict in (
        ("2018", "loss"),
        ("2019-12-31", "loss"),
        ("2021-06-30", "cannot tell"),
        ("2023", "none found"),
    ):
        out = tmp_path / f"{cutoff}.geojson"
        assert told(zones(maps["2022"], plots, out=out, cutoff=cutoff, **pair).path)["after"][0] == verdict
    reason = told(tmp_path / "2021-06-30.geojson")["after"][1]
    assert "before or after 2021-06-30" in reason
    compared = change(maps["2019"], maps["2022"], out=tmp_path / "change")
    one = zones(maps["2022"], plots, out=tmp_path / "a.geojson", cutoff="2019-12-31", **pair)
    other = zones(compared.out, plots, out=tmp_path / "b.geojson", cutoff="2019-12-31")
    assert told(one.path) == told(other.path)
    with pytest.raises(InputError, match="not the earlier"):
        zones(maps["2019"], plots, out=tmp_path / "c.geojson", before=maps["2022"])
    with pytest.raises(UsageError, match="one map shows no loss"):
        zones(maps["2019"], plots, out=tmp_path / "c.geojson", cutoff="2020")


def test_what_is_wrong_with_a_geometry_is_named(maps, tmp_path) -> None:
    bow = place((1, 1), (9, 9), (9, 1), (1, 9))
    point = shapely.Point(TRANSFORM * (35.5, 5.5))
    utm = [bow, box(2, 30, 6, 6), box(5, 33, 6, 6), point, shapely.LineString(box(1, 1, 2, 2).exterior)]
    lonlat = geopandas.GeoSeries(utm, crs=32633).to_crs(4326).tolist()
    swapped = shapely.transform(lonlat[1], lambda xy: xy[:, ::-1])
    named = [
        *(("bow", lonlat[0], 1), ("one", lonlat[1], 1), ("two", lonlat[2], 1), ("point", lonlat[3], 6.5)),
        *(("line", lonlat[4], 1), ("swapped", swapped, 1), ("nothing", None, 1)),
    ]
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"name": n, "ha": ha},
            "geometry": s and shapely.geometry.mapping(s),
        }
        for n, s, ha in named
    ]
    open_ring = {"type": "Polygon", "coordinates": [list(map(list, lonlat[1].exterior.coords))[:-1]]}
    features.append({"type": "Feature", "properties": {"name": "open", "ha": 1}, "geometry": open_ring})
    path = tmp_path / "p.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = zones(maps["2022"], path, out=tmp_path / "o.gpkg", before=maps["2019"], area_field="ha")
    rows = {r["name"]: r for r in rows_of(found.path)}
    assert "invalid (self-intersection), repaired" in rows["bow"]["problems"]
    assert rows["two"]["problems"].startswith("overlaps plot 2 (25.0% of the smaller)")
    assert rows["point"]["problems"] == "a point for 6.5 ha: a polygon is needed above 4 ha"
    assert rows["point"]["verdict"] == "loss"
    assert "LineString" in rows["line"]["problems"]
    assert rows["swapped"]["problems"].startswith("axes swapped")
    assert rows["swapped"]["verdict"] == "cannot tell"
    assert (rows["nothing"]["problems"], rows["nothing"]["verdict"]) == ("no geometry", "cannot tell")
    assert any("open rings" in note for note in found.notes)
    assert rows["open"]["inside"] == 1
    assert found.problems == 8


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet", ".csv", ".xlsx"])
def test_every_format_holds_the_same_rows(maps, plots, tmp_path, suffix: str) -> None:
    own = layer(
        tmp_path / "own.gpkg", list(PLOTS.values()), name=["=1+1", *list(PLOTS)[1:]], fid_=list(range(8))
    )
    found = zones(maps["2022"], own, out=tmp_path / f"out{suffix}", before=maps["2019"])
    if suffix == ".csv":
        with found.path.open(encoding="utf-8", newline="") as file:
            rows: list[Any] = list(csv.DictReader(file))
        assert rows[0]["name"] == "'=1+1"
    elif suffix == ".xlsx":
        book = openpyxl.load_workbook(found.path)
        head, *lines = book["plots"].values
        rows = [dict(zip(head, line, strict=True)) for line in lines]
        assert (rows[0]["name"], book["plots"]["A2"].data_type) == ("=1+1", "s")
        assert "loss" in dict(list(book["read me"].values))
    else:
        rows = (
            geopandas.read_parquet(found.path) if suffix == ".parquet" else geopandas.read_file(found.path)
        ).to_dict("records")
    assert len(rows) == 8
    assert sorted(r["verdict"] for r in rows).count("loss") == 2
    with pytest.raises(OutputConflictError):
        zones(maps["2022"], own, out=found.path, before=maps["2019"])


def test_rows_do_not_depend_on_batches_or_blocks(maps, plots, tmp_path, monkeypatch) -> None:
    whole = zones(maps["2022"], plots, out=tmp_path / "a.csv", before=maps["2019"]).path.read_text()
    monkeypatch.setattr(batches, "ROWS", 3)
    monkeypatch.setattr(batches, "TOGETHER", 1)
    monkeypatch.setattr("geoseg.plots.sums._BLOCK", 16)
    monkeypatch.setattr("geoseg.plots.sums._BLOCKS_KEPT", 2)
    assert zones(maps["2022"], plots, out=tmp_path / "b.csv", before=maps["2019"]).path.read_text() == whole


@pytest.mark.slow
def test_workers_and_progress_change_no_row(maps, plots, tmp_path, monkeypatch) -> None:
    history = series(list(maps.values()), out=tmp_path / "series")
    here = rows_of(zones(history.out, plots, out=tmp_path / "here.geojson").path)
    monkeypatch.setattr(batches, "ROWS", 3)
    monkeypatch.setattr(batches, "TOGETHER", 1)
    seen: list[tuple[int, int]] = []
    made = zones(
        history.out,
        plots,
        out=tmp_path / "there.geojson",
        workers=2,
        progress=lambda p: seen.append((p.done, p.total)),
    )
    assert str(rows_of(made.path)) == str(here)
    assert seen[-1] == (len(here), len(here)) and len(seen) == -(-len(here) // 3)


def test_the_command(maps, plots, tmp_path) -> None:
    confidence = write(tmp_path / "confidence.tif", np.full((SIDE, SIDE), 80, np.uint8), nodata=NODATA)
    out = tmp_path / "o.csv"
    arguments = [str(maps["2022"]), str(plots), "--before", str(maps["2019"]), "--out", str(out)]
    result = CliRunner().invoke(command, [*arguments, "--confidence", str(confidence), "--loss-of", "forest"])
    assert result.exit_code == 0, result.output
    assert "loss: 2 plots" in result.output
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["name"], float(rows[0]["conf_mean"])) == ("before", 0.8)
