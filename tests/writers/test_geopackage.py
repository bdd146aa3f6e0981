"""Pages laid by hand against SQLite itself, and whole files against the ones that GDAL writes row by row."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

import geoseg
from geoseg.writers import geopackage, ogr
from geoseg.writers.layer import Batches, Layer
from geoseg.writers.sqlite import rtree
from geoseg.writers.sqlite.pages import TablePages, page_file, root_pages
from geoseg.writers.sqlite.record_format import BLOB, Column, records
from geoseg.writers.sqlite.rows import quoted
from tests.outlines.maps import frames
from tests.raster.makers import write

integers = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300))
reals = st.one_of(st.none(), st.floats(allow_nan=False))
texts = st.one_of(st.none(), st.text(max_size=200).filter(lambda t: "\0" not in t and "\ud800" not in t))
blobs = st.one_of(st.none(), st.integers(0, 3000).map(lambda n: bytes(k % 251 for k in range(n))))


def fill(path: Path, rows: list[tuple[Any, ...]], *, page_size: int, part: int) -> None:
    """Lay rows of (integer, real, text, blob) into a new table, `part` at a time, numbered 3, 6, 9 ..."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, r REAL, s TEXT, b BLOB)")
        roots = root_pages(connection)
    with page_file(path) as file:
        table = TablePages(file, roots["t"])
        for begin in range(0, len(rows), part):
            some = rows[begin : begin + part]
            kinds = (pa.int64(), pa.float64(), pa.string(), pa.large_binary())
            columns = [pa.array([row[k] for row in some], kind) for k, kind in enumerate(kinds)]
            keys = 3 * np.arange(begin + 1, begin + 1 + len(some))
            table.append(keys, records([Column.of_nulls(len(some)), *map(Column.of_arrow, columns)]))
        table.finish()


def assert_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(integers, reals, texts, blobs), max_size=40),
    page_size=st.sampled_from([512, 1024, 4096, 65536]),
    part=st.integers(1, 15),
)
def test_sqlite_reads_back_what_was_laid(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], page_size: int, part: int
) -> None:
    path = tmp_path_factory.mktemp("pages") / "t.db"
    fill(path, rows, page_size=page_size, part=part)
    assert_sound(path)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
        # SQLite goes on from there
        connection.execute("INSERT INTO t (s) VALUES ('more')")
        connection.execute("DELETE FROM t WHERE id % 2 = 0")
        connection.commit()
    assert found == [(3 * (k + 1), *row) for k, row in enumerate(rows)]
    assert_sound(path)


@pytest.mark.parametrize("count", [0, 1, 7, 35, 36, 37, 40_000])
def test_trees_of_every_height(tmp_path: Path, count: int) -> None:
    rows = [(k, k / 7, f"row {k}", None) for k in range(count)]
    fill(tmp_path / "t.db", rows, page_size=512, part=1717)
    assert_sound(tmp_path / "t.db")
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        assert connection.execute("SELECT i, r, s, b FROM t ORDER BY id").fetchall() == rows
        for k in range(0, count, 997):
            assert connection.execute("SELECT i FROM t WHERE id = ?", (3 * (k + 1),)).fetchone() == (k,)


@pytest.mark.parametrize("pages_before", range(8))
def test_the_page_of_the_lock_byte_stays_empty(tmp_path: Path, pages_before: int) -> None:
    path, size = tmp_path / "t.db", 4096
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)")
        roots = root_pages(connection)
    with path.open("r+b") as sparse:
        sparse.truncate(2**30 - pages_before * size)
    content = [bytes([k]) * n for k, n in enumerate((3000, 3000, 9000, 3000, 100, 20_000, 3000))]
    with page_file(path) as file:
        table = TablePages(file, roots["t"])
        heap = np.frombuffer(b"".join(content), np.uint8)
        sizes = np.array([len(c) for c in content])
        column = Column(kind=BLOB, values=np.cumsum(sizes) - sizes, sizes=sizes, heap=heap)
        table.append(np.arange(1, 8), records([Column.of_nulls(7), column]))
        table.finish()
    with path.open("rb") as laid:
        laid.seek(2**30)
        assert not any(laid.read(size))
    assert path.stat().st_size > 2**30 + size
    with closing(sqlite3.connect(path)) as connection:
        assert [row[0] for row in connection.execute("SELECT b FROM t ORDER BY id")] == content


@pytest.mark.parametrize("count", [0, 1, 51, 52, 400, 2601, 2602, 9000])
def test_the_spatial_index_finds_what_brute_force_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(rtree, "_RUN", 1500)
    rng = np.random.default_rng(count)
    low = rng.uniform(-1e6, 9e6, (count, 2))
    low[:, 1] = np.sort(low[:, 1])[::-1]
    boxes = np.concatenate([low, low + rng.uniform(0, 1e5, (count, 2))], axis=1)
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIRTUAL TABLE tree USING rtree(id, minx, maxx, miny, maxy)")
        roots = root_pages(connection)
        (node_size,) = connection.execute("SELECT length(data) FROM tree_node").fetchone()
        connection.execute("DELETE FROM tree_node")
        connection.commit()
    with page_file(path) as file:
        tables = {
            part: TablePages(file, roots[f"tree_{part[:-1]}"]) for part in ("rowids", "nodes", "parents")
        }
        tree = rtree.PackedTree(**tables, node_size=node_size)
        for begin in range(0, count, 700):
            tree.add(boxes[begin : begin + 700])
        root = tree.finish()
        for table in tables.values():
            table.finish()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE tree_node SET data = ? WHERE nodeno = 1", (root,))
        assert connection.execute("SELECT rtreecheck('tree')").fetchone() == ("ok",)
        for _ in range(30):
            x, y = rng.uniform(-1e6, 9e6, 2)
            w, h = rng.uniform(0, 1e6, 2)
            query = "SELECT id FROM tree WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?"
            found = {row[0] for row in connection.execute(query, (x, x + w, y, y + h))}
            hit = (boxes[:, 2] >= x) & (boxes[:, 0] <= x + w) & (boxes[:, 3] >= y) & (boxes[:, 1] <= y + h)
            exact = set((np.flatnonzero(hit) + 1).tolist())
            near = hit | (
                (boxes[:, 2] >= x - 2)
                & (boxes[:, 0] <= x + w + 2)
                & (boxes[:, 3] >= y - 2)
                & (boxes[:, 1] <= y + h + 2)
            )  # boxes are rounded outwards to single precision
            assert exact <= found <= set((np.flatnonzero(near) + 1).tolist())


@pytest.fixture
def class_map(tmp_path: Path) -> Path:
    a = np.random.default_rng(0).integers(0, 3, (120, 150)).astype(np.uint8)
    a[40:69, 50:79] = frames(29)
    a[10:20, 30:60] = 255
    confidence = np.random.default_rng(1).integers(0, 101, a.shape).astype(np.uint8)
    confidence[a == 1] = 255
    write(tmp_path / "confidence.tif", confidence, nodata=255)
    tags = {"CLASS_0": "vatten", "CLASS_1": "skog", "CLASS_2": "åker", "GEOSEG_RUN": "r-0123abcd"}
    return write(tmp_path / "classes.tif", a, nodata=255, tags=tags)


def by_gdal(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    options = {"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": "geom", "FID": "fid", **ogr.description(layer)}
    metadata = dict(layer.metadata)
    ogr.write_ogr(
        path,
        batches,
        layer,
        driver="GPKG",
        dataset_options={"VERSION": "1.3"},
        layer_options=options,
        layer_metadata=metadata,
    )
    return [path]


@pytest.mark.parametrize("options", [{}, {"crs": "EPSG:4326"}, {"conf_min": True, "neighbours": True}])
def test_equal_to_the_file_that_gdal_writes(
    class_map: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    mine, other = tmp_path / "mine.gpkg", tmp_path / "gdal.gpkg"
    geoseg.vectorize(class_map, out=mine, chunk=64, **options)
    monkeypatch.setattr(geopackage, "write_geopackage", by_gdal)
    geoseg.vectorize(class_map, out=other, chunk=64, **options)
    one, two = (gpd.read_file(path, layer="landcover", fid_as_index=True) for path in (mine, other))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert one.crs == two.crs
    infos = [pyogrio.read_info(path, layer="landcover") for path in (mine, other)]
    for key in ("fields", "dtypes", "crs", "features", "geometry_type", "layer_metadata"):
        assert np.array_equal(infos[0][key], infos[1][key]), key
    with closing(sqlite3.connect(mine)) as a, closing(sqlite3.connect(other)) as b:
        assert a.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert a.execute("SELECT rtreecheck('rtree_landcover_geom')").fetchone() == ("ok",)
        ours = "name NOT LIKE '%layer_styles%' AND tbl_name != 'neighbours' AND tbl_name NOT LIKE '%tile%'"
        schema = f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {ours}"
        assert set(a.execute(schema)) == set(b.execute(schema))
        for query in (
            "SELECT * FROM landcover",
            "SELECT * FROM gpkg_spatial_ref_sys",
            "SELECT * FROM gpkg_geometry_columns",
            "SELECT * FROM gpkg_extensions",
            "SELECT * FROM gpkg_ogr_contents",
            "SELECT * FROM sqlite_sequence WHERE name = 'landcover'",
            "SELECT table_name, data_type, identifier, description, srs_id FROM gpkg_contents "
            "WHERE table_name = 'landcover'",
        ):
            assert sorted(a.execute(query)) == sorted(b.execute(query)), query
        index = "SELECT id, minx, maxx, miny, maxy FROM rtree_landcover_geom ORDER BY id"
        (our_boxes, their_boxes) = (np.array(c.execute(index).fetchall()) for c in (a, b))
    np.testing.assert_allclose(our_boxes, their_boxes, rtol=3e-7)  # GDAL rounds a little farther outwards
    exact = one.geometry.bounds.to_numpy()
    assert (our_boxes[:, [1, 3]] <= exact[:, :2]).all()
    assert (our_boxes[:, [2, 4]] >= exact[:, 2:]).all()
    # GDAL writes the extent as text, an ulp off
    np.testing.assert_allclose(infos[0]["total_bounds"], infos[1]["total_bounds"], rtol=1e-15)
    assert infos[0]["total_bounds"] == tuple(one.total_bounds)


KINDS = (
    *(pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64()),
    *(pa.float32(), pa.float64(), pa.string(), pa.large_string()),
)


def an_empty_layer(**changed: Any) -> Layer:
    """A layer with two columns of every kind, and names and metadata that have to be quoted."""
    fields = [pa.field(f"{kind} \"quoted\" 'once'", kind) for kind in KINDS]
    fields += [pa.field(f"{kind}_always", kind, nullable=False) for kind in KINDS]
    given = {
        "name": 'låger "ett" {0} o\'två',
        "crs_wkt": CRS.from_epsg(32633).to_wkt(),
        "schema": pa.schema([*fields, pa.field("geometry", pa.binary())]),
        "metadata": {
            "description": "vad & <vem>",
            "software": "a \"b\" <c> & 'd' {0}",
            "b": "",
            "c": "å\nd",
            "A": "1",
        },
    }
    return Layer(**{**given, **changed})


def in_wkt(crs: Any, version: str = "WKT2_2019") -> dict[str, str]:
    return {"crs_wkt": CRS.from_user_input(crs).to_wkt(version)}


CODES = (4326, 3857, 2154, 4674, 3035, 27700, 5514, 3031, 32718, 2056, 26917, 7844, 3413)
CHANGES: dict[str, dict[str, Any]] = {
    "quoted": {},
    "no metadata": {"metadata": {}, "geometry_type": "Unknown"},
    **{kind: {"geometry_type": kind, "name": kind} for kind in ("Point", "LineString", "MultiLineString")},
    **{str(code): in_wkt(code) for code in CODES},
    "WKT 1": in_wkt(31370, "WKT1_GDAL"),
    "ESRI's WKT": in_wkt(32633, "WKT1_ESRI"),
    "ESRI": in_wkt("ESRI:102033"),
    "no number": in_wkt("+proj=laea +lat_0=-10 +lon_0=-60"),
    "with heights": in_wkt(5555),
    "nowhere": {"crs_wkt": 'LOCAL_CS["plane",UNIT["metre",1]]'},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_an_empty_file_is_the_one_that_gdal_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    layer = an_empty_layer(**changed)
    geopackage.write_geopackage(tmp_path / "mine.gpkg", iter(()), layer)
    monkeypatch.setattr(geopackage, "can_make", lambda _: False)
    geopackage.write_geopackage(tmp_path / "gdal.gpkg", iter(()), layer)
    mine, theirs = contents(tmp_path / "mine.gpkg"), contents(tmp_path / "gdal.gpkg")
    for name, rows in theirs.items():
        assert mine[name] == rows, name


def contents(path: Path) -> dict[str, Any]:
    """All that a file holds, but for tables of tiles and moments."""
    is_wanted = "tbl_name NOT LIKE '%tile%'"
    with closing(sqlite3.connect(path)) as connection:
        run = connection.execute
        pragmas = ("application_id", "user_version", "page_size", "encoding", "auto_vacuum")
        found = {f"pragma {name}": run(f"PRAGMA {name}").fetchall() for name in pragmas}
        found["schema"] = sorted(
            run(f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {is_wanted}"), key=str
        )
        names = run(f"SELECT name FROM sqlite_schema WHERE type = 'table' AND {is_wanted}").fetchall()
        for (name,) in names:
            found[name] = [without_times(row) for row in run(f"SELECT * FROM {quoted(name)}")]
    return found


def without_times(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$", "", v) if isinstance(v, str) else v for v in row)


def test_a_box_read_by_gdal_is_the_brute_force_one_and_edits_go_on(class_map: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    geoseg.vectorize(class_map, out=path)
    frame = gpd.read_file(path, layer="landcover")
    west, south, east, north = frame.total_bounds
    for fraction in (0.03, 0.2, 0.6):
        box = west + 7, south + 7, west + fraction * (east - west), south + fraction * (north - south)
        found = gpd.read_file(path, layer="landcover", bbox=box)
        assert len(found) == frame.intersects(shapely.box(*box)).sum()
    pyogrio.write_dataframe(frame.iloc[:200], path, layer="landcover", append=True)
    assert_sound(path)
    assert pyogrio.read_info(path, layer="landcover")["features"] == len(frame) + 200
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(fid) FROM landcover").fetchone() == (len(frame) + 200,)
        assert connection.execute("SELECT rtreecheck('rtree_landcover_geom')").fetchone() == ("ok",)
