"""Figures of 16 yearly maps of Itanhangá (Mato Grosso), computed once by other code."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.histories.result import Series
from geoseg.histories.verb import series
from geoseg.raster.vectors import read_vector

CROSSWALK = {
    **{1: "degradation", 4: "forest", 2: "double cropping", 3: "single cropping"},
    **dict.fromkeys((5, 6, 7), "pasture"),
    **dict.fromkeys(range(8, 13), "double cropping"),
    **dict.fromkeys((13, 14), "single cropping"),
    **dict.fromkeys((15, 16), "water"),
}
YEARS = [str(year) for year in range(2001, 2017)]
FIRST_LOSS = {
    "A": "3495 4975 5105 4245 2076 780 2277 468 590 1263 1601 619 575 394 195",
    "A2": "3495 4567 4834 3902 1940 683 2164 444 484 1221 1568 564 545 357 149",
    "B": "0 3279 3932 3058 835 632 1220 433 670 1411 755 533 539 528 0",
}
FOREST = "46647 43776 39829 36532 32707 32168 33560 28964 32249 30103 27698 26896 27534 26304 26296 26257"
CHANGES = "20024 1135 4883 3660 4649 4747 4512 4135 3067 2020 1120 516 159 59 11 1"
FOREST_CHANGES = "25975 10810 4213 5672 2089 3111 990 1176 345 232 54 27 4 0 0 0"


@pytest.fixture(scope="module")
def maps(shared_data: Path) -> Path:
    return shared_data / "mt_landuse_annual_maps" / "rasterItanhanga"


@pytest.fixture(scope="module")
def found(maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Series:
    out = tmp_path_factory.mktemp("itanhanga")
    return series(maps, out=out / "series", crosswalk=CROSSWALK, chunk=100)


def rows(result: Series, name: str) -> list[dict[str, str]]:
    with (result.out / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(text: str) -> list[int]:
    return [int(n) for n in text.split()]


def test_first_loss_by_definition_and_year(found: Series) -> None:
    assert found.dates == tuple(YEARS)
    assert found.loss["pixels_by_definition"] == {"A": 28658, "A2": 26917, "B": 17825}
    for definition, expected in FIRST_LOSS.items():
        made = [int(r["pixels"]) for r in rows(found, "losses.csv") if r["definition"] == definition]
        assert made == numbers(expected)
    with rasterio.open(found.out / "first_loss.tif") as file:
        values = file.read(1)
        assert (file.dtypes[0], file.nodata) == ("uint16", 65535)
    assert [int((values == y).sum()) for y in range(2002, 2017)] == numbers(FIRST_LOSS["A"])
    assert int((values != 65535).sum()) == 54698


def test_areas_changes_and_trajectories(found: Series) -> None:
    forest = [int(r["pixels"]) for r in rows(found, "areas.csv") if r["class"] == "forest"]
    assert forest == numbers(FOREST)
    assert found.content["changes_per_pixel"] == numbers(CHANGES)
    assert found.content["forest_changes_per_pixel"] == numbers(FOREST_CHANGES)
    assert found.content["trajectories"] == 22275
    steps = {"losses": 50229, "gains": 29839, "undone_losses": 17407, "undone_gains": 13249}
    assert found.content["steps"] == steps
    with rasterio.open(found.out / "stable.tif") as file:
        stable, tags = file.read(1), file.tags()
    names = {
        name: int((stable == int(key[6:])).sum()) for key, name in tags.items() if key.startswith("CLASS_")
    }
    assert {n: names[n] for n in ("forest", "pasture", "double cropping")} == {
        "forest": 19730,
        "pasture": 291,
        "double cropping": 3,
    }
    ranked = rows(found, "trajectories.csv")
    assert (int(ranked[0]["pixels"]), ranked[0]["2001"]) == (19730, "forest")
    assert sum(int(r["pixels"]) for r in ranked) == 54698
    assert ranked[-1]["rank"] == f"{22275 - 100} others"


def test_first_to_last_is_the_matrix_of_two_dates(found: Series) -> None:
    ends = [r for r in rows(found, "transitions.csv") if (r["from_date"], r["to_date"]) == ("2001", "2016")]
    made = {(r["from"], r["to"]): int(r["pixels"]) for r in ends if r["kind"] != "unknown"}
    assert made["forest", "double cropping"] == 7772
    assert made["forest", "forest"] == 25938
    assert sum(n for (a, b), n in made.items() if a != b) == 25953
    forest = sum(float(r["hectares"]) for r in ends if r["from"] == "forest")
    assert forest == pytest.approx(46647 * 5.36645023, rel=1e-7)


@pytest.mark.parametrize(
    ("options", "events", "large", "large_pixels"),
    [
        ({}, 7292, 2732, 24098),
        ({"touch": "corner"}, 5808, 2613, 25463),
        ({"gap_years": 20}, 241, None, None),
        ({"gap_years": 20, "touch": "corner"}, 102, None, None),
    ],
)
def test_events(maps, tmp_path, options, events, large, large_pixels) -> None:
    found = series(maps, out=tmp_path / "s", crosswalk=CROSSWALK, chunk=128, min_event=6.25, **options)
    layer = read_vector(found.out / "events.gpkg")
    assert found.content["events"]["events"] == len(layer) == events
    assert int(layer.n_pix.sum()) == 28658
    assert layer.geometry.is_valid.all()
    # each pixel of this equal-area grid is 231.656 m a side
    assert np.allclose(layer.geometry.area / 231.656**2, layer.n_pix, rtol=1e-6)
    assert np.allclose(layer.area_ha, layer.n_pix * 5.36645023, rtol=1e-6, atol=5e-5)  # four decimals
    if large is not None:
        pixels = layer.n_pix[layer.is_small == 0]
        assert (len(pixels), int(pixels.sum())) == (large, large_pixels)
        assert (layer.first_date == layer.last_date).all()


@pytest.mark.parametrize(
    ("touch", "patches", "largest", "single"), [("edge", 301, 7619, 153), ("corner", 170, 12967, 69)]
)
def test_patches_between_the_first_and_the_last_map(maps, tmp_path, touch, patches, largest, single) -> None:
    ends = [maps / f"itanhanga_{year}.tif" for year in (2001, 2016)]
    found = series(ends, out=tmp_path / "s", crosswalk=CROSSWALK, touch=touch)
    pixels = read_vector(found.out / "events.gpkg").n_pix
    assert (len(pixels), int(pixels.max()), int((pixels == 1).sum())) == (patches, largest, single)
