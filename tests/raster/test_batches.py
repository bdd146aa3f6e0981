from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import shapely

from geoseg.errors import InputError
from geoseg.raster.batches import vector_batches, vector_info
from geoseg.raster.vectors import read_vector
from tests.raster.curves import circle, geopackage, half_circle, several


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
