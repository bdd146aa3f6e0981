from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from geoseg.errors import GeosegError, InputError, UsageError
from geoseg.raster.vectors import layers_of, read_vector


@pytest.fixture
def frame() -> geopandas.GeoDataFrame:
    boxes = [shapely.box(k, 0, k + 1, 1) for k in range(3)]
    return geopandas.GeoDataFrame({"klass": ["a", "b", "ü"], "n": [1, 2, 3]}, geometry=boxes, crs=32633)


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
    with pytest.raises(InputError, match=r"zip archive.*extract"):
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
