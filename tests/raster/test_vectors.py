from __future__ import annotations

import http.server
import json
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.errors import GeosegError, InputError, UsageError
from geoseg.raster.vectors import layers_of, read_vector, vector_batches, vector_info
from tests.raster.curves import circle, geopackage, half_circle, several


@pytest.fixture
def frame() -> geopandas.GeoDataFrame:
    boxes = [shapely.box(k, 0, k + 1, 1) for k in range(3)]
    return geopandas.GeoDataFrame({"klass": ["a", "b", "ü"], "n": [1, 2, 3]}, geometry=boxes, crs=32633)


def test_a_zipped_layer_is_read_and_what_is_no_layer_is_named(
    tmp_path: Path, frame: geopandas.GeoDataFrame
) -> None:
    frame.to_file(tmp_path / "b.shp", engine="pyogrio")
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for part in tmp_path.glob("b.*"):
            archive.write(part, f"../deep/{part.name}")  # folders of a member are not followed
    assert len(read_vector(tmp_path / "whole.zip")) == 3
    assert not list(tmp_path.parent.glob("deep"))
    frame.to_file(tmp_path / "c.gpkg", engine="pyogrio")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(tmp_path / "b.shp", "b.shp")
        archive.write(tmp_path / "c.gpkg", "c.gpkg")
    with pytest.raises(UsageError, match="2 vector files in one zip archive"):
        read_vector(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(InputError, match="zip archive without a vector file"):
        read_vector(tmp_path / "none.zip")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:300])
    with pytest.raises(InputError, match="damaged or protected"):
        read_vector(tmp_path / "cut.zip")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y,c,c\n1,2,a,b\n", "two columns are called 'c'"),
        ("lon,lat\n500100,4999900\n", r"hold something else.*lon 500100, lat 4\.9999e\+06.*called x and y"),
        ("lon,lat\n-12,140\n-13,95\n", r"lon -12, lat 140.*the other way round"),
        ("lon,lat\n\n1,2\n\n,3\n", "row 5 holds"),
    ],
)
def test_tables_that_say_something_else(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_vector(tmp_path / "a.csv", points=True, assume_crs="EPSG:32633")


def test_tables_of_points(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("id;Lon;LAT;code;n\n1;10,5;-3,25;010;4\n2;11;-4;020;\n\n", encoding="utf-8-sig")
    read = read_vector(path, points=True)
    assert read.crs.to_epsg() == 4326
    assert [(p.x, p.y) for p in read.geometry] == [(10.5, -3.25), (11, -4)]
    assert list(read["code"]) == ["010", "020"] and read["n"][0] == 4
    with pytest.raises(InputError, match="polygons required"):
        read_vector(path)
    path.write_text("x,y,c\n500000,9000000,a\n")
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_vector(path, points=True)
    assert read_vector(path, points=True, assume_crs="EPSG:32720", columns=["c"])["c"][0] == "a"
    path.write_text("name,value\na,1\n")
    with pytest.raises(InputError, match=r"without coordinates.*name, value.*lon and lat"):
        read_vector(path, points=True)
    path.write_text("lon,lat\n1,2\n,3\n")
    with pytest.raises(InputError, match="row 3 holds"):
        read_vector(path, points=True)
    path.write_bytes("lon,lat,c\n1,2,\u0420\u0456\u0447\u043a\u0430\n".encode("cp1251"))
    with pytest.raises(InputError, match="`encoding=cp1252`"):
        read_vector(path, points=True)
    assert read_vector(path, points=True, encoding="cp1251")["c"][0].startswith("\u0420")
    with pytest.raises(UsageError, match="no encoding 'latin9000'"):
        read_vector(path, points=True, encoding="latin9000")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tab", "!table\n!version 300\n", r"MapInfo table.*ogr2ogr OUTPUT\.gpkg a\.tab"),
        ("a.mif", "VERSION 300\n", "MapInfo interchange"),
        ("a.asc", "ncols 4\nnrows 4\n", r"ASCII grid.*gdal_translate"),
        ("a.json", '{"type": "Topology", "objects": {}}', r"TopoJSON.*ogr2ogr"),
        ("a.bmp", "BM\x01\x02", r"a \.bmp file.*gdal_translate"),
        ("a.kml", '<?xml version="1.0"?><kml></kml>', r"KML.*ogr2ogr"),
    ],
)
def test_other_formats_are_named_with_what_converts_them(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"(?s){says}"):
        read_vector(tmp_path / name)


def test_a_geodatabase_and_a_raster_in_a_geopackage_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.gdb").mkdir()
    with pytest.raises(InputError, match=r"file geodatabase.*ogr2ogr OUTPUT\.gpkg a\.gdb LAYER"):
        read_vector(tmp_path / "a.gdb")
    profile = {"driver": "GPKG", "width": 8, "height": 8, "count": 1, "dtype": "uint8", "crs": "EPSG:32720"}
    with rasterio.open(
        tmp_path / "r.gpkg", "w", transform=Affine(30, 0, 400_000, 0, -30, 9_000_000), **profile
    ) as out:
        out.write(np.ones((1, 8, 8), np.uint8))
    with pytest.raises(InputError, match=r"raster in a GeoPackage.*gdal_translate"):
        read_vector(tmp_path / "r.gpkg")


def test_polygons_of_collections_are_taken_with_a_note(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    square = shapely.box(0, 0, 10, 10)
    frame.loc[0, "geometry"] = shapely.GeometryCollection([square, shapely.LineString([(0, 0), (9, 9)])])
    frame.to_file(tmp_path / "a.gpkg", engine="pyogrio")
    notes: list[str] = []
    assert read_vector(tmp_path / "a.gpkg", notes=notes).geometry[0].equals(square)
    assert notes == ["1 of 3 features are geometry collections: their polygons are taken"]
    frame.loc[0, "geometry"] = shapely.GeometryCollection([shapely.LineString([(0, 0), (9, 9)])])
    frame.to_file(tmp_path / "b.gpkg", engine="pyogrio")
    with pytest.raises(InputError, match="polygons required"):
        read_vector(tmp_path / "b.gpkg")


def test_features_without_a_geometry_are_counted(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    frame.loc[0, "geometry"] = None
    frame.loc[1, "geometry"] = shapely.Polygon()
    frame.to_file(tmp_path / "a.gpkg", engine="pyogrio")
    notes: list[str] = []
    assert len(read_vector(tmp_path / "a.gpkg", notes=notes)) == 1
    assert notes == ["2 of 3 features have no geometry and are left out"]


def test_a_layer_that_another_program_is_writing_is_not_damaged(
    tmp_path: Path, frame: geopandas.GeoDataFrame
) -> None:
    path = tmp_path / "a.gpkg"
    frame.to_file(path, engine="pyogrio")
    # locks are those of a process: another one has to hold them
    program = "import sqlite3, sys; held = sqlite3.connect(sys.argv[1]); held.execute('BEGIN EXCLUSIVE'); "
    program += "print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"\n"
        with pytest.raises(InputError, match="another program is writing it"):
            read_vector(path)
        holder.communicate()


def test_surfaces_of_triangles_are_no_polygons(tmp_path: Path) -> None:
    """A Shapefile of one multipatch (shape type 31) with a single triangle strip."""
    corners = struct.pack("<8d", 0, 0, 1, 0, 0, 1, 1, 1)
    heights = struct.pack("<2d4d", 0, 0, 0, 0, 0, 0)
    box = struct.pack("<4d", 0, 0, 1, 1)
    record = struct.pack("<i", 31) + box + struct.pack("<4i", 1, 4, 0, 1) + corners + heights
    entry = struct.pack(">2i", 1, len(record) // 2)

    def header(size: int) -> bytes:
        return (
            struct.pack(">7i", 9994, 0, 0, 0, 0, 0, size // 2)
            + struct.pack("<2i", 1000, 31)
            + box
            + bytes(32)
        )

    (tmp_path / "a.shp").write_bytes(header(108 + len(record)) + entry + record)
    (tmp_path / "a.shx").write_bytes(header(108) + struct.pack(">2i", 50, len(record) // 2))
    field = b"n".ljust(11, b"\0") + b"N" + bytes(4) + bytes([4, 0]) + bytes(14)
    table = struct.pack("<4BIHH", 3, 100, 1, 1, 1, 65, 5) + bytes(20) + field + b"\r" + b"    1" + b"\x1a"
    (tmp_path / "a.dbf").write_bytes(table)
    with pytest.raises(InputError, match="polygons required"):
        read_vector(tmp_path / "a.shp", assume_crs="EPSG:32720")


def batches_of(path: Path, rows: int, notes: list[str]) -> list[shapely.Geometry]:
    shapes = [wkb for _, part in vector_batches(vector_info(path), rows, notes) for wkb in part]
    return list(shapely.from_wkb(shapes))


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_curves_are_made_straight_and_heights_and_measures_change_nothing(tmp_path: Path, rows: int) -> None:
    """Whichever way a layer is read; the area is that of the circle but for what steps of 4 degrees lose."""
    whole = circle((700, 300), 100)
    shapes = [
        whole,
        half_circle((100, 200), 100),
        several(12, whole, half_circle((100, 200), 100)),
        several(12, shapely.to_wkb(shapely.box(0, 0, 10, 10)), whole),
        circle((700, 300), 100, 5.0),
        circle((700, 300), 100, 5.0, 7.0),
        shapely.to_wkb(shapely.force_3d(shapely.box(0, 0, 10, 10), 4.0)),
    ]
    path = geopackage(tmp_path / "a.gpkg", shapes)
    steps = np.sin(np.radians(4)) / np.radians(4)
    disc = np.pi * 100**2 * steps
    expected = [disc, disc / 2, disc * 1.5, disc + 100, disc, disc, 100]
    notes: list[str] = []
    assert shapely.area(read_vector(path, notes=notes).geometry.array) == pytest.approx(expected, rel=1e-5)
    assert shapely.area(batches_of(path, rows, notes)) == pytest.approx(expected, rel=1e-5)
    assert notes == ["curves were made straight, in steps of 4 degrees"]


def test_measures_are_read_in_silence(tmp_path: Path) -> None:
    corners = b"".join(struct.pack("<3d", x, y, 9) for x, y in ((0, 0), (9, 0), (9, 9), (0, 0)))
    shape = struct.pack("<BIII", 1, 2003, 1, 4) + corners
    path = geopackage(tmp_path / "a.gpkg", [shape], kind="Polygon")
    notes: list[str] = []
    assert read_vector(path, notes=notes).area[0] == batches_of(path, 9, notes)[0].area == 40.5
    assert not notes


@pytest.mark.parametrize(
    "shape",
    [
        several(7, circle((700, 300), 100)),
        several(15, shapely.to_wkb(shapely.box(0, 0, 10, 10))),
    ],
)
def test_what_has_no_place_in_a_plane_is_refused_however_it_is_read(tmp_path: Path, shape: bytes) -> None:
    path = geopackage(tmp_path / "a.gpkg", [shapely.to_wkb(shapely.box(0, 0, 10, 10)), shape])
    with pytest.raises(InputError, match=r"polygons required.*ogr2ogr -nlt MULTIPOLYGON"):
        read_vector(path)
    with pytest.raises(InputError, match=r"polygons required.*ogr2ogr -nlt MULTIPOLYGON"):
        batches_of(path, 5, [])


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb", ".geojson", ".parquet"])
def test_every_format_reads_back(tmp_path: Path, frame: geopandas.GeoDataFrame, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, engine="pyogrio")
    read = read_vector(path).sort_values("n", ignore_index=True)
    assert list(read["klass"]) == ["a", "b", "ü"]
    assert shapely.equals(np.asarray(read.geometry.array), np.asarray(frame.geometry.array)).all()
    assert read.crs is not None
    one = read_vector(path, columns=["n"])
    assert sorted(one.columns) == ["geometry", "n"]
    with pytest.raises(UsageError, match=r"no field 'class'.*klass"):
        read_vector(path, columns=["class"])


def test_layers_must_be_chosen(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    path = tmp_path / "a.gpkg"
    frame.to_file(path, layer="one", engine="pyogrio")
    frame.iloc[:1].to_file(path, layer="two", engine="pyogrio")
    assert layers_of(path) == ["one", "two"]
    with pytest.raises(UsageError, match=r"2 layers, and none chosen.*one, two"):
        read_vector(path)
    assert len(read_vector(path, layer="two")) == 1
    with pytest.raises(UsageError, match=r"no layer 'three'.*one, two"):
        read_vector(path, layer="three")


@pytest.mark.parametrize(
    ("part", "message"),
    [(".shx", "the index"), (".dbf", "the attributes"), (".prj", "no coordinate reference")],
)
def test_missing_parts_of_a_shapefile_are_named(
    tmp_path: Path, frame: geopandas.GeoDataFrame, part: str, message: str
) -> None:
    frame.to_file(tmp_path / "a.shp", engine="pyogrio")
    (tmp_path / f"a{part}").unlink()
    with pytest.raises(InputError, match=rf"Shapefile without a\{part}.*|{message}"):
        read_vector(tmp_path / "a.shp")


def test_a_part_is_not_the_shapefile(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    frame.to_file(tmp_path / "a.shp", engine="pyogrio")
    with pytest.raises(InputError, match=r"pass a\.shp"):
        read_vector(tmp_path / "a.dbf")


def test_the_command_that_converts_a_file_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "my file.kml").write_text("<?xml version='1.0'?><kml></kml>")
    with pytest.raises(InputError, match=r"content is KML.*ogr2ogr OUTPUT.gpkg 'my file.kml'"):
        read_vector(tmp_path / "my file.kml")


def test_points_among_polygons_are_named_as_such(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    shapes = [frame.geometry[0], shapely.Point(1, 1), shapely.MultiPoint([(1, 1)])]
    frame.set_geometry(shapes, crs=32633).to_file(tmp_path / "a.gpkg", engine="pyogrio")
    with pytest.raises(InputError, match=r"points and polygons in one layer\. 2 of 3 .* is number 2"):
        read_vector(tmp_path / "a.gpkg", points=True)
    with pytest.raises(InputError, match=r"polygons required\. 2 of 3 .*the first is number 2"):
        read_vector(tmp_path / "a.gpkg")


def test_points_lines_and_emptiness(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    path = tmp_path / "a.gpkg"
    frame.set_geometry(frame.centroid).to_file(path, engine="pyogrio")
    with pytest.raises(InputError, match=r"polygons required.*3 of 3 features are Point"):
        read_vector(path)
    frame.iloc[:0].to_file(tmp_path / "b.gpkg", engine="pyogrio")
    with pytest.raises(InputError, match="no features"):
        read_vector(tmp_path / "b.gpkg")
    frame.loc[1, "geometry"] = None
    frame.to_file(tmp_path / "c.gpkg", engine="pyogrio")
    assert list(read_vector(tmp_path / "c.gpkg")["n"]) == [1, 3]


def test_no_crs(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    frame = frame.set_crs(None, allow_override=True)
    with pytest.warns(UserWarning, match="crs"):
        frame.to_file(tmp_path / "a.fgb", engine="pyogrio")
    with pytest.raises(InputError, match=r"no coordinate reference system.*ogr2ogr -a_srs"):
        read_vector(tmp_path / "a.fgb")


def test_what_is_no_vector(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    (tmp_path / "a.gpkg").write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/hosts</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    with pytest.raises(InputError, match="not a vector file"):
        read_vector(tmp_path / "a.gpkg")
    frame.to_file(tmp_path / "b.shp", engine="pyogrio")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(tmp_path / "b.shp")
    with pytest.raises(InputError, match=r"b\.zip \(b\.shp\): Shapefile without b\.shx"):
        read_vector(tmp_path / "b.zip")
    for path in ("/vsizip/b.zip", "https://127.0.0.1:9/a.geojson", tmp_path / "none.gpkg", tmp_path):
        with pytest.raises(InputError):
            read_vector(path)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb", ".geojson", ".parquet"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_truncated_files_are_errors(
    tmp_path: Path, frame: geopandas.GeoDataFrame, suffix: str, share: float
) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, engine="pyogrio")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(GeosegError):
        read_vector(path)


def test_a_layer_of_the_wrong_shape_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"no": "features"}))
    with pytest.raises(InputError):
        read_vector(tmp_path / "a.json")


def test_real_references(shared_data: Path, tmp_path: Path) -> None:
    assert len(read_vector(shared_data / "oam_kampala_buildings" / "labels.geojson")) == 206
    folder = shared_data / "s2_rachel_carson_nc" / "rcr"
    assert len(read_vector(folder / "rcr_landcover.shp", columns=["Classname"])) == 23
    shutil.copy(folder / "rcr_landcover.shp", tmp_path)
    with pytest.raises(InputError, match="rcr_landcover"):
        read_vector(tmp_path / "rcr_landcover.shp")


def test_a_linked_crs_makes_no_request(tmp_path: Path) -> None:
    """GDAL would ask the host that a GeoJSON names, once for the layers and once for the features."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        link = {"type": "link", "properties": {"href": f"http://127.0.0.1:{server.server_port}/x"}}
        ring = [[14, 46], [15, 46], [15, 47], [14, 46]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        feature = {"type": "Feature", "properties": {"class": 1}, "geometry": shape}
        path = tmp_path / "linked.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "crs": link, "features": [feature]}))
        assert len(read_vector(path)) == 1
        server.shutdown()
    assert asked == []
    assert pyogrio.get_gdal_config_option("GDAL_HTTP_PROXY") is None
