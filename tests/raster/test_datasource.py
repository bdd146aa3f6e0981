from __future__ import annotations

import http.server
import json
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
from affine import Affine

from geoseg.errors import GeosegError, InputError, UsageError
from geoseg.raster.datasource import layers_of
from geoseg.raster.vectors import read_vector


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
