"""A design drawn into a file: what is in it, what repeats it, what extends it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

import geoseg
from geoseg.errors import GeosegError, InputError, OutputConflictError, UsageError
from geoseg.sampling.classes import merge
from geoseg.sampling.design import sample_design
from geoseg.sampling.file import read_sample, write_sample
from geoseg.sampling.layout import Answer, Sample
from tests.raster.makers import TRANSFORM, UTM, write

NAMES = {1: "stable forest", 2: "other", 3: "loss"}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    found = rng.choice([1, 2, 255], (90, 130), p=[0.6, 0.35, 0.05]).astype(np.uint8)
    found[20:24, 30:33] = found[89, 129] = found[60, 0] = 3
    return found


@pytest.fixture(scope="module")
def classes(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tags = {f"CLASS_{i}": name for i, name in NAMES.items()}
    return write(tmp_path_factory.mktemp("map") / "m.tif", pixels, nodata=255, tags=tags)


def draw(classes: Path, out: Path, **options: Any) -> Sample:
    return read_sample(sample_design(classes, out=out, **options).path)  # type: ignore[arg-type]


def by_id(sample: Sample) -> dict[str, tuple[int, int, int]]:
    return {d.id: (d.stratum, d.rank, d.map_class) for d in sample.design}


def test_units_lie_where_their_design_says(classes: Path, pixels: np.ndarray, tmp_path: Path) -> None:
    sample = draw(classes, tmp_path / "s.gpkg", n=80, buffer=3, seed=81)
    assert [s.name for s in sample.strata] == [
        *("stable forest", "other", "loss", "stable forest within 3 px of loss")
    ]
    assert sum(s.pixels for s in sample.strata) == (pixels != 255).sum()
    assert [u.order for u in sample.units] == list(range(1, 81))
    for unit, drawn in sample.rows:
        x, y = shapely.from_wkb(unit.geometry).centroid.coords[0]
        col, row = ~TRANSFORM @ (x, y)
        assert pixels[int(row), int(col)] == drawn.map_class
        assert (
            drawn.p_inclusion == sample.strata[drawn.stratum - 1].n / sample.strata[drawn.stratum - 1].pixels
        )
        assert drawn.area_m2 == pytest.approx(100, rel=1e-2)
    frame = geopandas.read_file(tmp_path / "s.gpkg", layer="sample")
    assert frame.crs == UTM
    assert (frame.area == 100).all()
    centres = geopandas.GeoSeries(frame.geometry.centroid).to_crs(4326)
    assert np.allclose(centres.x, frame["lon"], atol=1e-9)
    assert np.allclose(centres.y, frame["lat"], atol=1e-9)
    # order is random over the strata
    first = [d.stratum for d in sample.design[:40]]
    assert len(set(first)) == 4
    assert {c.id: c.pixels for c in sample.info.classes} == {i: int((pixels == i).sum()) for i in NAMES}


def test_a_larger_n_and_workers_draw_the_same_units(classes: Path, tmp_path: Path) -> None:
    small = by_id(draw(classes, tmp_path / "a.gpkg", n=60, minimum=5))
    large = by_id(draw(classes, tmp_path / "b.gpkg", n=200, minimum=5, threads=3))
    assert small.items() <= large.items()
    assert not set(small) & set(by_id(draw(classes, tmp_path / "c.gpkg", n=60, seed=2)))


def test_an_extended_sample_keeps_its_labels(classes: Path, tmp_path: Path) -> None:
    old = draw(classes, tmp_path / "a.gpkg", n=40, interpreters="Ana, Ben", overlap=0.25)
    assert sum("," in (u.answer.interpreter or "") for u in old.units) == 10
    assert len(old.labels) == 50
    told = replace(old, units=tuple(replace(u, answer=Answer(label=2, comment="x")) for u in old.units))
    write_sample(tmp_path / "a.gpkg", told, overwrite=True)
    options: dict[str, Any] = {"n": 90, "interpreters": ["Ana", "Ben"], "extend": tmp_path / "a.gpkg"}
    new = draw(classes, tmp_path / "b.gpkg", **options)
    assert new.units[:40] == told.units
    assert all(u.answer.label is None for u in new.units[40:])
    assert new.labels[:50] == old.labels
    assert by_id(old).items() <= by_id(new).items()
    with pytest.raises(InputError, match="another seed"):
        sample_design(classes, **options, seed=5)


def test_allocations_stand_side_by_side(classes: Path) -> None:
    expect = {"loss": 0.7, "other": {"loss": 0.1, "stable forest": 0.1}}
    design = geoseg.sample_design(classes, target_se=0.02, expect=expect, minimum=5, allocation="neyman")
    assert design.path is None
    assert set(design.options) == {"equal", "proportional", "neyman", "power"}
    errors = {name: o.errors.overall for name, o in design.options.items() if o.errors is not None}
    assert min(errors.values()) == errors["neyman"] <= 0.0201
    assert {sum(o.n) for o in design.options.values()} == {design.n}
    assert [s.expected_share for s in design.strata] == pytest.approx([0.85, 0.8, 0.7])
    design.to_json()
    wide = sample_design(classes, target_half_width=0.2, target_class="loss", expect=expect, minimum=5)
    assert wide.n > design.n


def test_what_is_left_out_is_said(classes: Path, tmp_path: Path, pixels: np.ndarray) -> None:
    field = geopandas.GeoDataFrame(
        {"name": ["west", "east"]},
        geometry=[
            shapely.box(500_000, 4_999_000, 500_500, 5e6),
            shapely.box(500_500, 4_999_000, 501_000, 5e6),
        ],
        crs=UTM,
    )
    field.to_file(tmp_path / "r.gpkg")
    sample = draw(
        classes,
        tmp_path / "s.gpkg",
        n=30,
        minimum=2,
        strata={"forest": [1, "loss"], "ignore": "other"},
        regions=tmp_path / "r.gpkg",
        regions_field="name",
    )
    assert [(s.name, s.pixels) for s in sample.strata] == [
        ("east: forest", int(np.isin(pixels[:, 50:100], [1, 3]).sum())),
        ("west: forest", int(np.isin(pixels[:, :50], [1, 3]).sum())),
    ]
    assert sum("not assessed" in note for note in sample.info.notes) == 2
    assert sample.legend.names == ("forest",)


def test_transitions_are_merged(tmp_path: Path) -> None:
    after = np.array([[1, 1, 2, 2], [3, 1, 2, 3]], np.uint8)
    before = np.array([[1, 1, 1, 2], [1, 1, 2, 2]], np.uint8)
    tags = {"CLASS_1": "forest", "CLASS_2": "pasture", "CLASS_3": "crop"}
    paths = [write(tmp_path / f"{n}.tif", a, tags=tags) for n, a in (("b", before), ("a", after))]
    raster = geoseg.change(*paths, out=tmp_path / "change").raster
    opened = geoseg.open_class_map(raster)
    groups = {"loss": "forest -> *", "stable forest": ["forest → forest"], "other": ["*"]}
    merged = merge(opened.legend, groups)
    by_number = {
        i: groups_of[int(merged.table[i])]
        for groups_of in [dict(enumerate(merged.legend.names, 1))]
        for i in opened.legend.ids
    }
    again = merge(opened.legend, by_number)
    assert {again.legend.name(n) for n in again.table[list(opened.legend.ids)]} == set(merged.legend.names)
    assert merged.legend.names == ("loss", "stable forest", "other")
    with rasterio.open(raster) as file:
        found = merged.table[file.read(1)]
    assert found.tolist() == [[2, 2, 1, 3], [1, 2, 3, 3]]
    for wrong, words in (
        ({"loss": "forest -> *"}, "in no group"),
        ({"loss": "forest -> *", "more": "* -> crop", "rest": "*"}, "in two groups"),
        ({"loss": "forest -> urban", "rest": "*"}, "no class"),
        ({"a": "*", "b": "*"}, "all other classes"),
    ):
        with pytest.raises(UsageError, match=words):
            merge(opened.legend, wrong)


def test_plots_and_tiles(classes: Path, tmp_path: Path, pixels: np.ndarray) -> None:
    plots = draw(classes, tmp_path / "p.gpkg", n=20, plot=5, plot_shape="circle", method="simple")
    assert plots.info.unit == "circle 5"
    areas = [shapely.from_wkb(u.geometry).area for u in plots.units]
    assert areas == pytest.approx([np.pi * 25**2] * 20, rel=0.01)
    assert [(s.name, s.n, s.expected_share) for s in plots.strata] == [("everything", 20, None)]
    tiles = draw(classes, tmp_path / "t.gpkg", n=30, method="two-stage", tile=20, tiles=6)
    assert len({u.psu for u in tiles.units}) == 6
    for unit, drawn in tiles.rows:
        row, col = divmod(unit.psu or 0, 7)
        of_tile = int((pixels[row * 20 : row * 20 + 20, col * 20 : col * 20 + 20] != 255).sum())
        assert drawn.stage1_p == 6 / 35
        assert drawn.stage2_p == 5 / of_tile
        assert drawn.p_inclusion == pytest.approx(drawn.stage1_p * drawn.stage2_p)
        col_of = int((shapely.from_wkb(unit.geometry).centroid.x - 500_000) // 200)
        assert col_of == col


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "one of n, target_se"),
        ({"n": 20, "target_se": 0.1}, "given are n and target_se"),
        ({"n": 20, "minimum": 8}, "20 units cannot be allocated"),
        ({"n": 10**6}, "cannot be allocated"),
        ({"n": 20, "plot": 4}, "odd"),
        ({"n": 20, "expect": {"loss": 1.5}}, "no number from 0 to 1"),
        ({"n": 20, "expect": {"loss": {"other": 0.7, "loss": 0.7}}}, "do not add to 1"),
        ({"n": 20, "expect": {"los": 0.5}}, "no stratum 'los'"),
        ({"n_per_stratum": {"loss": 5, "other": 5}}, "'stable forest' has no number"),
        ({"n_per_stratum": {"loss": 1, "other": 5, "stable forest": 5}}, "at least 2"),
        ({"n_per_stratum": {"loss": 50, "other": 5, "stable forest": 5}}, "at most its 14 pixels"),
        ({"n": 20, "buffer": 2, "buffer_around": "other", "buffer_in": "other"}, "lies around"),
        ({"n": 20, "target_class": "water"}, "no class 'water'"),
        ({"n": 20, "method": "two-stage"}, "needs n, tile and tiles"),
        ({"n": 20, "method": "two-stage", "tile": 20, "tiles": 15}, "at least 2 in each"),
    ],
)
def test_what_cannot_be_designed_is_said(classes: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(GeosegError, match=words):
        sample_design(classes, **options)


def test_nothing_is_replaced_unasked(classes: Path, tmp_path: Path) -> None:
    sample_design(classes, n=20, out=tmp_path / "s.gpkg")
    with pytest.raises(OutputConflictError, match="exists"):
        sample_design(classes, n=20, out=tmp_path / "s.gpkg")
    with pytest.raises(UsageError, match="GeoPackage"):
        sample_design(classes, n=20, out=tmp_path / "s.tif")
