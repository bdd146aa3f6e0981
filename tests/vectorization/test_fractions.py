"""Fractions of another raster and the least confidence, against counts and intersections made otherwise."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

import geoseg
from geoseg.errors import InputError, UsageError
from tests.raster.makers import TRANSFORM, UTM, write


def noise(height: int, width: int, seed: int, classes: int = 3, missing: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, classes, (height, width)).astype(np.uint8)
    a[rng.random(a.shape) < missing] = 255
    return a


@pytest.fixture
def class_map(tmp_path: Path) -> Path:
    a = np.kron(noise(10, 12, 0, missing=0), np.ones((4, 4))).astype(np.uint8)
    return write(tmp_path / "classes.tif", a, nodata=255)


def test_fractions_on_the_same_grid_are_counts(class_map: Path, tmp_path: Path) -> None:
    other = noise(40, 48, 1)
    write(tmp_path / "other.tif", other, nodata=255)
    geoseg.vectorize(class_map, out=tmp_path / "p.parquet", fractions=tmp_path / "other.tif", chunk=17)
    frame = gpd.read_parquet(tmp_path / "p.parquet")
    number = rasterize(
        zip(frame.geometry, range(len(frame)), strict=True),
        out_shape=other.shape,
        transform=TRANSFORM,
        dtype="int32",
    )
    for value in range(3):
        counted = np.bincount(number[other == value], minlength=len(frame)) / frame.n_pix
        np.testing.assert_allclose(frame[f"frac_{value}"], counted, atol=1e-6)
    assert (frame[["frac_0", "frac_1", "frac_2"]].sum(axis=1) < 1 - 1e-3).any()  # nodata is in none of them


def test_fractions_on_a_grid_of_odd_numbers_are_counts(tmp_path: Path) -> None:
    """Coordinates that are no short binary numbers: a polygon's edges lie a rounding beside the pixels'."""
    transform = Affine(231.65635826, 0, -6215047.8132, 0, -231.65635826, -1324623.4411)
    crs = "+proj=sinu +R=6371007.181"
    a, other = noise(150, 160, 5, classes=4, missing=0), noise(150, 160, 6)
    a[40:110, 30:130] = 1
    write(tmp_path / "classes.tif", a, crs=crs, transform=transform)
    write(tmp_path / "other.tif", other, crs=crs, transform=transform, nodata=255)
    geoseg.vectorize(tmp_path / "classes.tif", out=tmp_path / "p.parquet", fractions=tmp_path / "other.tif")
    frame = gpd.read_parquet(tmp_path / "p.parquet")
    pairs = zip(frame.geometry, range(len(frame)), strict=True)
    number = rasterize(pairs, out_shape=other.shape, transform=transform, dtype="int32")
    for value in range(3):
        counted = np.bincount(number[other == value], minlength=len(frame)) / frame.n_pix
        np.testing.assert_allclose(frame[f"frac_{value}"], counted, atol=1e-9)


@pytest.mark.parametrize("south_up", [False, True])
def test_fractions_of_a_raster_on_another_grid_are_covered_areas(
    class_map: Path, tmp_path: Path, south_up: bool
) -> None:
    """Pixels of 7.3 x 11.1 m that cover a part of the map, against shapely's intersections."""
    other = noise(30, 40, 2)
    x, y = TRANSFORM * (5, 3)
    transform = Affine(7.3, 0, x, 0, -11.1, y)
    stored, stored_transform = other, transform
    if south_up:
        stored, stored_transform = other[::-1], Affine(7.3, 0, x, 0, 11.1, y - 30 * 11.1)
    write(tmp_path / "other.tif", stored, nodata=255, transform=stored_transform)
    geoseg.vectorize(class_map, out=tmp_path / "p.parquet", fractions=tmp_path / "other.tif")
    frame = gpd.read_parquet(tmp_path / "p.parquet")
    rows, cols = np.indices(other.shape)
    left, top = x + cols * 7.3, y - rows * 11.1
    cells = shapely.box(left, top - 11.1, left + 7.3, top)
    for value in range(3):
        ground = shapely.union_all(cells[other == value])
        expected = shapely.area(shapely.intersection(frame.geometry.values, ground)) / frame.area
        np.testing.assert_allclose(frame[f"frac_{value}"], expected, atol=1e-5)


def test_fractions_of_a_raster_in_another_crs(class_map: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "other.tif",
        np.full((10, 10), 7, np.uint8),
        crs="EPSG:4326",
        transform=Affine(1, 0, 10, 0, -1, 50),
    )
    geoseg.vectorize(class_map, out=tmp_path / "p.gpkg", fractions=tmp_path / "other.tif", crs="EPSG:3035")
    frame = gpd.read_file(tmp_path / "p.gpkg", layer="landcover")
    assert frame.columns.tolist()[-3:] == ["n_pix", "frac_7", "geometry"]
    np.testing.assert_allclose(frame.frac_7, 1, atol=1e-6)
    half = np.zeros((20, 20), np.uint8)
    half[:, 10:] = 1
    x = gpd.GeoSeries([shapely.Point(*(TRANSFORM * (20, 20)))], crs=UTM).to_crs(4326).x.iloc[0]
    write(tmp_path / "half.tif", half, crs="EPSG:4326", transform=Affine(0.1, 0, x - 1, 0, -0.1, 46))
    geoseg.vectorize(class_map, out=tmp_path / "q.parquet", fractions=tmp_path / "half.tif")
    frame = gpd.read_parquet(tmp_path / "q.parquet").to_crs(4326)
    east = shapely.intersection(frame.geometry.values, shapely.box(x, 40, x + 1, 50))
    np.testing.assert_allclose(
        frame.frac_1, shapely.area(east) / shapely.area(frame.geometry.values), atol=1e-4
    )


NAMED = {"CLASS_0": "a", "CLASS_1": "c", "CLASS_2": "d", "CLASS_254": "b"}


def test_fractions_do_not_depend_on_chunks_and_reach_every_format(class_map: Path, tmp_path: Path) -> None:
    write(tmp_path / "other.tif", noise(40, 48, 1), nodata=255, tags=NAMED)
    tables = []
    for chunk, name in ((500, "a.parquet"), (7, "b.parquet"), (11, "c.shp")):
        geoseg.vectorize(class_map, out=tmp_path / name, fractions=tmp_path / "other.tif", chunk=chunk)
        read = gpd.read_parquet if name.endswith("parquet") else gpd.read_file
        tables.append(read(tmp_path / name)[["frac_0", "frac_254"]].to_numpy())
    assert np.array_equal(tables[0], tables[1])
    np.testing.assert_allclose(tables[0], tables[2], atol=1e-9)
    assert not tables[0][:, 1].any()


def test_fractions_of_codes_by_a_crosswalk(class_map: Path, tmp_path: Path) -> None:
    codes = np.array([111, 523, 311], np.uint16)[noise(40, 48, 1, missing=0)]
    write(tmp_path / "codes.tif", np.stack([codes, codes[::-1]]))
    walk = {111: "town", 523: "sea", 311: "forest"}
    options = {"fractions": tmp_path / "codes.tif", "fractions_band": 1}
    geoseg.vectorize(class_map, out=tmp_path / "p.parquet", **options, fractions_crosswalk=walk)
    frame = gpd.read_parquet(tmp_path / "p.parquet")
    assert frame[["frac_1", "frac_2", "frac_3"]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert (frame.frac_1 * frame.n_pix).sum() == pytest.approx((codes == 111).sum())
    with pytest.raises(InputError, match=r"without a class: 523.* add them to `fractions_crosswalk`"):
        geoseg.vectorize(class_map, out=tmp_path / "q.gpkg", **options, fractions_crosswalk={111: 1, 311: 2})
    with pytest.raises(InputError, match="`fractions_band=1`, or another"):
        geoseg.vectorize(class_map, out=tmp_path / "q.gpkg", fractions=tmp_path / "codes.tif")
    with pytest.raises(UsageError, match="fractions_crosswalk is of fractions"):
        geoseg.vectorize(class_map, out=tmp_path / "q.gpkg", fractions_crosswalk=walk)


def test_a_class_that_the_other_map_does_not_name_is_not_left_out_silently(
    class_map: Path, tmp_path: Path
) -> None:
    write(tmp_path / "other.tif", noise(40, 48, 1), nodata=255, tags={"CLASS_0": "a", "CLASS_1": "b"})
    with pytest.raises(InputError, match="holds class 2, which is not in its legend"):
        geoseg.vectorize(class_map, out=tmp_path / "p.gpkg", fractions=tmp_path / "other.tif")


def test_fractions_that_cannot_be_had(class_map: Path, tmp_path: Path) -> None:
    write(tmp_path / "none.tif", np.full((5, 5), 255, np.uint8), nodata=255)
    with pytest.raises(InputError, match="0 classes"):
        geoseg.vectorize(class_map, out=tmp_path / "p.gpkg", fractions=tmp_path / "none.tif")
    assert not list(tmp_path.glob("p.gpkg"))


def test_least_confidence(class_map: Path, tmp_path: Path) -> None:
    confidence = np.random.default_rng(3).integers(0, 101, (40, 48)).astype(np.uint8)
    confidence[:8, :8] = 255
    write(tmp_path / "confidence.tif", confidence, nodata=255)
    geoseg.vectorize(class_map, out=tmp_path / "p.parquet", conf_min=True, chunk=9)
    frame = gpd.read_parquet(tmp_path / "p.parquet")
    for row in frame.itertuples():
        inside = rasterize([row.geometry], out_shape=confidence.shape, transform=TRANSFORM) == 1
        known = confidence[inside & (confidence != 255)]
        assert row.conf_min == known.min() / 100 if len(known) else np.isnan(row.conf_min)
    (tmp_path / "confidence.tif").unlink()
    with pytest.raises(UsageError, match="confidence raster"):
        geoseg.vectorize(class_map, out=tmp_path / "q.parquet", conf_min=True)
