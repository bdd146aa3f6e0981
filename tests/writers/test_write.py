"""Every format of the registry, with points, lines and polygons: what is written reads back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely

from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.writers.formats import FORMATS, Format, format_of, suffixes
from geoseg.writers.layer import GEOMETRY, Layer, SideTable
from geoseg.writers.write import require_names, write_layer

DATA = [f for f in FORMATS if f.suffix != ".pmtiles"]
"""Formats that hold what they are given; tiles are a picture of it."""

SHAPES: dict[str, Callable[[float], Any]] = {
    "Point": lambda x: shapely.Point(x, 45),
    "MultiPoint": lambda x: shapely.MultiPoint([(x, 45), (x, 46)]),
    "LineString": lambda x: shapely.LineString([(x, 45), (x + 1, 46), (x + 2, 45.5)]),
    "MultiLineString": lambda x: shapely.MultiLineString([[(x, 45), (x, 46)], [(x + 1, 45), (x + 1, 47)]]),
    "Polygon": lambda x: shapely.box(x, 45, x + 1, 46),
    "MultiPolygon": lambda x: shapely.MultiPolygon(
        [shapely.box(x, 45, x + 0.3, 46), shapely.box(x + 0.5, 45, x + 1, 46)]
    ),
}


def named(kind: str, *, name: str = "places", **options: Any) -> Layer:
    fields = [pa.field("id", pa.int64()), pa.field("stratum", pa.string()), pa.field("weight", pa.float64())]
    schema = pa.schema([*fields, pa.field(GEOMETRY, pa.large_binary(), nullable=False)])
    return Layer(name=name, crs_wkt=WGS84, schema=schema, geometry_type=kind, **options)  # type: ignore[arg-type]


WGS84 = gpd.GeoSeries([], crs="EPSG:4326").crs.to_wkt()


def batches(layer: Layer, count: int = 25, size: int = 10) -> list[pa.RecordBatch]:
    shapes = [SHAPES[layer.geometry_type](float(x)) for x in range(count)]
    columns = [
        pa.array(range(count), pa.int64()),
        pa.array([f"förråd {k % 3}" for k in range(count)]),
        pa.array([k / 7 for k in range(count)]),
        pa.array(shapely.to_wkb(shapes), pa.large_binary()),
    ]
    table = pa.Table.from_arrays(columns, schema=layer.schema)
    return table.to_batches(max_chunksize=size)


def read(path: Path, layer: str | None = None) -> gpd.GeoDataFrame:
    frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path, layer=layer)
    return frame.sort_values("id").reset_index(drop=True)


@pytest.mark.parametrize("format_", DATA, ids=lambda f: f.name)
@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_of_geometry_reads_back_from_every_format(
    tmp_path: Path, format_: Format, kind: str
) -> None:
    path, layer = tmp_path / f"places{format_.suffix}", named(kind)
    written = write_layer(path, iter(batches(layer)), layer, overwrite=False)
    assert written[0] == path
    assert (
        set(written) == set(tmp_path.iterdir()) == {path, *(path.with_suffix(s) for s in format_.companions)}
    )
    frame = read(path)
    assert frame.crs.equals("EPSG:4326", ignore_axis_order=True)
    assert list(frame["id"]) == list(range(25))
    assert frame["stratum"][4] == "förråd 1"
    # a Shapefile writes numbers as text of 15 digits
    np.testing.assert_allclose(frame["weight"], np.arange(25) / 7, rtol=1e-14 if format_.companions else 0)
    expected = [SHAPES[kind](float(x)) for x in range(25)]
    assert all(a.equals(b) for a, b in zip(frame.geometry, expected, strict=True))
    if format_.has_layers:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("SELECT rtreecheck('rtree_places_geom')").fetchone() == ("ok",)
            assert connection.execute("PRAGMA user_version").fetchone() == (10300,)
        assert len(gpd.read_file(path, bbox=(3.4, 44, 3.45, 48))) == sum(
            s.bounds[0] <= 3.45 and s.bounds[2] >= 3.4 and s.intersects(shapely.box(3.4, 44, 3.45, 48))
            for s in expected
        )


def test_columns_that_pages_do_not_hold_go_through_gdal(tmp_path: Path) -> None:
    kind = pa.field("seen", pa.timestamp("ms"))
    layer = named("Point")
    schema = pa.schema([kind, *layer.schema])
    rows = [
        pa.RecordBatch.from_arrays([pa.array([0] * len(b), kind.type), *b.columns], schema=schema)
        for b in batches(layer)
    ]
    path = tmp_path / "places.gpkg"
    write_layer(path, iter(rows), Layer(name="places", crs_wkt=WGS84, schema=schema, geometry_type="Point"),
                overwrite=False)  # fmt: skip
    frame = read(path)
    assert len(frame) == 25
    assert frame["seen"][3].year == 1970


@pytest.mark.parametrize("kind", ["Point", "LineString"])
def test_tiles_of_points_and_lines_are_drawn(tmp_path: Path, kind: str) -> None:
    layer = named(kind, detail=10_000.0)
    write_layer(tmp_path / "t.pmtiles", iter(batches(layer)), layer, overwrite=False)
    assert (tmp_path / "t.pmtiles").read_bytes()[:7] == b"PMTiles"


@pytest.mark.parametrize("format_", DATA, ids=lambda f: f.name)
def test_an_empty_layer_and_one_batch_without_rows(tmp_path: Path, format_: Format) -> None:
    layer = named("Point")
    path = tmp_path / f"e{format_.suffix}"
    write_layer(path, iter(b.slice(0, 0) for b in batches(layer)[:1]), layer, overwrite=False)
    frame = gpd.read_parquet(path) if format_.suffix == ".parquet" else gpd.read_file(path)
    assert frame.empty


@pytest.mark.parametrize("format_", DATA, ids=lambda f: f.name)
def test_side_tables_go_in_or_beside(tmp_path: Path, format_: Format) -> None:
    rows = pa.table({"name": ["=1+1", "b"], "n": [1, None], "share": [0.5, 0.25]})
    table = SideTable(description="Strata", rows=lambda: rows)
    layer = named("Point", tables={"strata": table, "other": None})
    path = tmp_path / f"p{format_.suffix}"
    stale = tmp_path / f"{path.name}_other.csv"
    stale.write_text("of an older one")
    written = write_layer(path, iter(batches(layer)), layer, overwrite=False)
    assert not stale.exists()
    if format_.has_tables:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT name, n, share FROM strata ORDER BY id").fetchall()
        assert found == [("=1+1", 1, 0.5), ("b", None, 0.25)]
    else:
        beside = tmp_path / f"{path.name}_strata.csv"
        assert beside in written
        assert beside.read_text() == "name,n,share\n'=1+1,1,0.5\nb,,0.25\n"


@pytest.mark.parametrize("format_", [f for f in DATA if f.style != "none"], ids=lambda f: f.name)
def test_a_style_goes_in_or_beside_and_never_over_that_of_a_raster(tmp_path: Path, format_: Format) -> None:
    layer = named("Point", style=lambda: "<qgis vector/>")
    path = tmp_path / f"p{format_.suffix}"
    write_layer(path, iter(batches(layer)), layer, overwrite=False)
    if format_.style == "inside":
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT styleQML FROM layer_styles").fetchall() == [("<qgis vector/>",)]
        return
    style = tmp_path / "p.qml"
    assert style.read_text() == "<qgis vector/>"
    style.write_text("<qgis><rasterrenderer type='paletted'/></qgis>")
    (note,) = require_names(path, overwrite=True)
    assert "p.qml was there and was kept" in note
    assert style not in write_layer(path, iter(batches(layer)), layer, overwrite=True)
    assert "rasterrenderer" in style.read_text()
    # the same layer in another format: the style that the first one brought is for both
    classes = '<qgis><renderer-v2 type="categorizedSymbol"/></qgis>'
    style.write_text(classes)
    for file in tmp_path.glob("p.*"):
        if file != style:
            file.unlink()
    assert style not in write_layer(path, iter(batches(layer)), layer, overwrite=False)
    assert style.read_text() == classes
    assert style in write_layer(path, iter(batches(layer)), layer, overwrite=True)


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
def test_every_file_that_would_be_written_is_checked_first(tmp_path: Path, format_: Format) -> None:
    path = tmp_path / f"own{format_.suffix}"
    sides = [path.with_suffix(s) for s in format_.companions]
    if format_.style == "beside":
        sides.append(path.with_suffix(".qml"))
    if not format_.has_tables:
        sides.append(tmp_path / f"{path.name}_pairs.csv")
    for side in [path, *sides]:
        side.write_text("mine")
        with pytest.raises(OutputConflictError, match="overwrite") as caught:
            require_names(path, tables=["pairs"], overwrite=False)
        assert caught.value.where == side
        require_names(path, tables=["pairs"], overwrite=True)
        side.unlink()
    require_names(path, tables=["pairs"], overwrite=False)


@pytest.mark.parametrize("format_", DATA, ids=lambda f: f.name)
def test_a_suffix_in_capitals(tmp_path: Path, format_: Format) -> None:
    path, layer = tmp_path / f"a.b{format_.suffix.upper()}", named("Polygon")
    assert write_layer(path, iter(batches(layer)), layer, overwrite=False)[0] == path
    assert path in list(tmp_path.iterdir())
    frame = gpd.read_parquet(path) if format_.suffix == ".parquet" else gpd.read_file(path)
    assert len(frame) == 25
    assert frame["stratum"].str.startswith("förråd").all()


def test_an_unknown_suffix_lists_those_that_are_known(tmp_path: Path) -> None:
    assert suffixes().split() == [f.suffix for f in FORMATS]
    with pytest.raises(UsageError, match=r"\.gpkg .*\.pmtiles.*Try: x\.gpkg"):
        format_of(tmp_path / "x.dwg")


def test_what_a_shapefile_cannot_hold_is_said(tmp_path: Path) -> None:
    layer = named("Point")
    long = pa.schema([pa.field("eleven_long", pa.int64()), *list(layer.schema)[1:]])
    with pytest.raises(UsageError, match="10 characters"):
        write_layer(
            tmp_path / "p.shp", iter(()), Layer(name="p", crs_wkt=WGS84, schema=long), overwrite=False
        )
    rows = [b.set_column(2, "weight", pa.nulls(len(b), pa.float64())) for b in batches(layer)]
    write_layer(tmp_path / "p.shp", iter(rows), layer, overwrite=False)
    assert (read(tmp_path / "p.shp")["weight"] == -1).all()
    assert [p.name for p in tmp_path.glob(".*")] == []


def content(path: Path, skip: str) -> dict[str, Any]:
    """Rows and definitions of every table but those of one layer and those that count what is there."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {
            name: sql
            for name, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
            if skip not in name.casefold() and not name.startswith(("gpkg_", "sqlite_", "layer_styles"))
        }
        rows = {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in tables}
        listed = connection.execute(
            "SELECT table_name, min_x, last_change, description FROM gpkg_contents "
            "WHERE data_type = 'features' AND lower(table_name) NOT LIKE ? ORDER BY 1",
            (f"%{skip}%",),
        ).fetchall()
    return {"sql": tables, "rows": rows, "listed": listed}


def test_other_layers_of_a_geopackage_stay(tmp_path: Path) -> None:
    path = tmp_path / "layers.gpkg"
    other = gpd.GeoDataFrame(
        {"mine": ["a", "b"]}, geometry=gpd.points_from_xy([1, 2], [3, 4]), crs="EPSG:3857"
    )
    other.to_file(path, layer="my points")
    gpd.GeoDataFrame({"x": range(300)}, geometry=[shapely.box(k, 0, k + 1, 1) for k in range(300)],
                     crs="EPSG:32720").to_file(path, layer="Places")  # fmt: skip
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO notes (text) VALUES ('mine too')")
        connection.execute("PRAGMA journal_mode = WAL")
    before = content(path, "places")
    assert before["rows"]["notes"] == [(1, "mine too")]
    pairs = SideTable(description="Pairs", rows=lambda: pa.table({"a": [1], "b": [2]}))
    sizes = []
    for count in (25, 7, 7):
        layer = named("Point", style=lambda: "<qgis/>", tables={"pairs": pairs})
        write_layer(path, iter(batches(layer, count)), layer, overwrite=True)
        assert content(path, "places") | {"rows": None, "sql": None} == before | {"rows": None, "sql": None}
        after = content(path, "places")
        assert after["rows"].pop("pairs") == [(1, 1, 2)]
        del after["sql"]["pairs"]
        assert after == before
        assert len(read(path, "places")) == count
        assert sorted(pyogrio.list_layers(path)[:, 0]) == ["layer_styles", "my points", "pairs", "places"]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("SELECT rtreecheck('rtree_places_geom')").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*) FROM layer_styles").fetchone() == (1,)
        sizes.append(path.stat().st_size)
    assert sizes[2] == sizes[1]
    second = named("Point", name="more", style=lambda: "<qgis/>", tables={"pairs": pairs})
    write_layer(path, iter(batches(second, 3)), second, overwrite=True)
    assert {"pairs", "more_pairs", "places", "more", "my points"} <= set(pyogrio.list_layers(path)[:, 0])
    assert len(read(path, "places")) == 7


def test_a_geopackage_without_other_layers_or_no_geopackage_is_made_anew(tmp_path: Path) -> None:
    layer = named("Point")
    one, two = tmp_path / "one.gpkg", tmp_path / "two.gpkg"
    write_layer(one, iter(batches(layer)), layer, overwrite=False)
    write_layer(one, iter(batches(layer, 9)), layer, overwrite=True)
    two.write_text("a text of that name")
    write_layer(two, iter(batches(layer, 9)), layer, overwrite=True)
    assert len(read(one)) == len(read(two)) == 9
    assert one.stat().st_size == two.stat().st_size


def test_a_geopackage_that_is_being_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, layer = tmp_path / "p.gpkg", named("Point")
    write_layer(path, iter(batches(layer)), layer, overwrite=False)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.05}))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="another program"):
            write_layer(path, iter(batches(layer)), layer, overwrite=True)
    assert len(read(path)) == 25
