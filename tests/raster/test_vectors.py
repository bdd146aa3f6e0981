from __future__ import annotations

import shutil
import struct
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from geoseg.errors import InputError, UsageError
from geoseg.raster.vectors import read_vector


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


def test_real_references(shared_data: Path, tmp_path: Path) -> None:
    assert len(read_vector(shared_data / "oam_kampala_buildings" / "labels.geojson")) == 206
    folder = shared_data / "s2_rachel_carson_nc" / "rcr"
    assert len(read_vector(folder / "rcr_landcover.shp", columns=["Classname"])) == 23
    shutil.copy(folder / "rcr_landcover.shp", tmp_path)
    with pytest.raises(InputError, match="rcr_landcover"):
        read_vector(tmp_path / "rcr_landcover.shp")
