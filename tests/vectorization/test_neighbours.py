"""Pairs of polygons with a common border, against counts of pixel edges and shapely's intersections."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

import geoseg
from geoseg.errors import OutputConflictError
from geoseg.outlines.seams import Rings
from geoseg.outlines.stream import stream_shapes
from geoseg.vectorization import neighbours as module
from geoseg.vectorization.neighbours import Neighbours
from tests.outlines.maps import class_maps
from tests.raster.makers import write
from tests.vectorization.test_vectorize import busy


class InPixels:
    """Perimeters of rings along rows and columns."""

    def perimeters(self, rings: Rings) -> np.ndarray:
        ends = rings.points.reshape(-1, 2, 2)  # rings of two corners
        return 2.0 * np.abs(ends[:, 1] - ends[:, 0]).sum(axis=1)


def counted(a: np.ndarray) -> dict[tuple[int, int], int]:
    """Pixel edges between regions, named by their first pixels."""
    first = np.full(a.shape, -1)
    for value in np.unique(a[a != 255]):
        regions = label(a == value, connectivity=1)
        for k in range(1, regions.max() + 1):
            first[regions == k] = np.flatnonzero(regions == k)[0]
    found: dict[tuple[int, int], int] = {}
    for one, other in ((first[:, :-1], first[:, 1:]), (first[:-1], first[1:])):
        meet = (one != other) & (one >= 0) & (other >= 0)
        for pair in zip(one[meet].tolist(), other[meet].tolist(), strict=True):
            key = (min(pair), max(pair))
            found[key] = found.get(key, 0) + 1
    return found


@settings(deadline=None, max_examples=80)
@given(class_maps(), st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 10, 10**6]))
def test_pairs_and_lengths_are_those_of_the_pixels(a: np.ndarray, rows: int, cols: int, fewest: int) -> None:
    from geoseg.outlines.shapes import shapes_of

    padded = np.pad(a, 1, constant_values=255)
    height, width = a.shape
    chunks = (
        shapes_of(
            padded[r : min(r + rows, height) + 2, c : min(c + cols, width) + 2].copy(),
            row=r,
            col=c,
            scene_width=width,
        )
        for r in range(0, height, rows)
        for c in range(0, width, cols)
    )
    found, names = Neighbours(InPixels()), []
    before = module._FEWEST_EDGES
    try:
        module._FEWEST_EDGES = fewest  # how often the edges are matched must not matter
        for shapes in stream_shapes(chunks, -(-width // cols)):
            found.add(shapes)
            names += shapes.regions["first"][shapes.order].tolist()
    finally:
        module._FEWEST_EDGES = before
    table = found.table().to_pydict()
    pairs = {
        tuple(sorted((names[i - 1], names[j - 1]))): metres
        for i, j, metres in zip(table["id_a"], table["id_b"], table["border_m"], strict=True)
    }
    assert pairs == counted(a)
    assert len(pairs) == len(table["id_a"])


def in_metres(frame: gpd.GeoDataFrame, pairs: pd.DataFrame) -> np.ndarray:
    shapes = frame.set_index("region_id").geometry
    common = shapely.intersection(shapes[pairs.id_a].values, shapes[pairs.id_b].values)
    return shapely.length(common)


@pytest.mark.parametrize("options", [{}, {"simplify": 15.0}, {"simplify": 15.0, "smooth": 2}])
def test_table_in_a_geopackage(tmp_path: Path, options: dict[str, float]) -> None:
    path = write(tmp_path / "m.tif", busy(), nodata=255)
    geoseg.vectorize(path, out=tmp_path / "p.gpkg", neighbours=True, chunk=40, **options)
    frame = gpd.read_file(tmp_path / "p.gpkg", layer="landcover", fid_as_index=True)
    assert frame.region_id.tolist() == frame.index.tolist()
    with sqlite3.connect(tmp_path / "p.gpkg") as connection:
        pairs = pd.read_sql("SELECT id_a, id_b, border_m FROM neighbours", connection)
        kind = connection.execute("SELECT data_type FROM gpkg_contents WHERE table_name = 'neighbours'")
        assert kind.fetchall() == [("attributes",)]
    connection.close()
    assert (pairs.id_a < pairs.id_b).all()
    assert not pairs.duplicated(["id_a", "id_b"]).any()
    # UTM at its central meridian is 0.04 % short
    np.testing.assert_allclose(pairs.border_m, in_metres(frame, pairs) / 0.9996, rtol=1e-4, atol=1e-3)
    touching = shapely.STRtree(frame.geometry.values).query(frame.geometry.values, "intersects")
    one, other = touching[:, touching[0] < touching[1]]
    lengths = shapely.length(shapely.intersection(frame.geometry.values[one], frame.geometry.values[other]))
    assert len(pairs) == (lengths > 1e-6).sum()


def test_a_file_beside_other_formats(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", busy(), nodata=255)
    (tmp_path / "out").mkdir()
    result = geoseg.vectorize(path, out=tmp_path / "out" / "p.fgb", neighbours=True)
    assert [p.name for p in result.paths] == ["p.fgb", "p.fgb_neighbours.csv", "p.qml"]
    pairs = pd.read_csv(tmp_path / "out" / "p.fgb_neighbours.csv")
    frame = gpd.read_file(tmp_path / "out" / "p.fgb")
    np.testing.assert_allclose(pairs.border_m, in_metres(frame, pairs) / 0.9996, rtol=1e-4)
    with pytest.raises(OutputConflictError):
        geoseg.vectorize(path, out=tmp_path / "out" / "p.fgb", neighbours=True)
    for name in ("p.fgb", "p.qml"):
        (tmp_path / "out" / name).unlink()
    with pytest.raises(OutputConflictError, match="fgb_neighbours"):
        geoseg.vectorize(path, out=tmp_path / "out" / "p.fgb", neighbours=True)
    geoseg.vectorize(path, out=tmp_path / "out" / "p.fgb", neighbours=True, overwrite=True)
    # numbers of an older layer would be taken for those of the new one
    geoseg.vectorize(path, out=tmp_path / "out" / "p.fgb", overwrite=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["p.fgb", "p.qml"]
