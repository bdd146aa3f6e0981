"""The verb series on made-up maps: against plain code, for any chunks, killed, and on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.cli.series import command
from geoseg.errors import ChunksFailedError, InputError, OutputConflictError, UsageError
from geoseg.execution.manifest import verify_files
from geoseg.histories import chunk as chunk_module
from geoseg.histories.events import _within
from geoseg.histories.pixels import NEVER, NO_DATA, walk
from geoseg.histories.trajectories import bits_of, counted, distinct, most_common, pack, unpack
from geoseg.histories.verb import series
from geoseg.raster.vectors import read_vector
from tests.raster.makers import write

NAMES = {1: "forest", 2: "pasture", 7: "water"}
TAGS = {f"CLASS_{i}": name for i, name in NAMES.items()}
NODATA = 255


def make(folder: Path, labels: np.ndarray, names: list[str] | None = None) -> Path:
    """Folder of maps (T, h, w), of the years from 2001."""
    folder.mkdir(exist_ok=True)
    for t, label in enumerate(labels):
        name = f"map_{2001 + t}.tif" if names is None else names[t]
        write(folder / name, label.astype(np.uint8), nodata=NODATA, tags=TAGS)
    return folder


def random_maps(seed: int, shape: tuple[int, int, int] = (6, 70, 90)) -> np.ndarray:
    """Maps with patches, holes of unknown and pixels that are known at no date."""
    rng = np.random.default_rng(seed)
    low = rng.choice([1, 1, 2, 7], (shape[0], -(-shape[1] // 5), -(-shape[2] // 5)))
    labels = low.repeat(5, 1).repeat(5, 2)[:, : shape[1], : shape[2]]
    labels[rng.random(labels.shape) < 0.15] = 1
    labels[rng.random(labels.shape) < 0.15] = NODATA
    labels[:, 3:5, 7:30] = NODATA
    return labels


def plain(sequence: list[int], forest: int = 0) -> dict[str, Any]:
    """What a pixel went through, said in another way: over the list of its known dates."""
    known = [(t, c) for t, c in enumerate(sequence) if c != 3]
    lost = [i for i in range(1, len(known)) if known[i - 1][1] == forest and known[i][1] != forest]
    always = [i for i in lost if all(c == forest for _, c in known[:i])]
    firm = [
        i
        for i in lost
        if i >= 2 and known[i - 2][1] == forest and i + 1 < len(known) and known[i + 1][1] != forest
    ]
    changed = [i for i in range(1, len(known)) if known[i][1] != known[i - 1][1]]
    return {
        "A": known[lost[0]][0] if lost else NEVER,
        "A2": known[always[0]][0] if always else NEVER,
        "B": known[firm[0]][0] if firm else NEVER,
        "gap": known[lost[0]][0] - known[lost[0] - 1][0] - 1 if lost else 0,
        "changes": len(changed),
        "last": known[changed[-1]][0] if changed else NEVER,
    }


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_a_pixel_is_walked_as_plain_code_does(sequence: list[int]) -> None:
    is_forest = np.array([True, False, False, False])
    classes = np.array(sequence, np.uint8)[:, None]
    for definition in ("A", "A2", "B"):
        paths, tally = walk(classes, np.array([5]), is_forest, definition)
        if all(c == 3 for c in sequence):
            assert paths.loss[0] == paths.changes[0] == NO_DATA
            continue
        expected = plain(sequence)
        assert paths.loss[0] == expected[definition]
        assert (paths.changes[0], paths.last_change[0]) == (expected["changes"], expected["last"])
        if definition == "A":
            assert paths.gap[0] == expected["gap"]
        assert tally.losses[1].sum(axis=1).tolist() == [5 * (expected[d] < NEVER) for d in ("A", "A2", "B")]


def test_trajectories_are_counted_exactly_when_merged_in_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 5, (40, 4000)).astype(np.uint8)  # 120 bits: two words
    classes[:20] = classes[:20, rng.integers(0, 40, 4000)]
    bits = bits_of(4)
    keys = pack(classes, bits)
    assert (unpack(keys, 40, bits) == classes).all()
    number, firsts = distinct(keys)
    assert (keys[firsts][number] == keys).all()
    assert len(firsts) == len(np.unique(keys, axis=0))
    ones = np.ones(4000, np.int64)
    monkeypatch.setattr("geoseg.histories.trajectories._MOST_AT_ONCE", 300)
    parts = [counted(keys[k::7], ones[k::7], ones[k::7]) for k in range(7)]
    best, count = most_common(parts, 25)
    everything = counted(keys, ones, ones)
    assert count == len(everything.keys)
    assert best.pixels.tolist() == np.sort(everything.pixels)[::-1][:25].tolist()


def everything_of(out: Path) -> dict[str, Any]:
    """All that a series wrote, but what names its chunks."""
    found: dict[str, Any] = {}
    for path in sorted(out.iterdir()):
        if path.suffix == ".tif":
            with rasterio.open(path) as file:
                found[path.name] = file.read(1).tobytes()
        elif path.suffix == ".csv":
            found[path.name] = path.read_text()
    layer = read_vector(out / "events.gpkg")
    found["events"] = [layer.drop(columns="geometry").to_csv(), layer.geometry.to_wkb().tolist()]
    return found


@pytest.mark.parametrize(
    "options", [{}, {"rules": {"max_dip": 1}, "distance": 35.0, "gap_years": 1, "touch": "corner"}]
)
def test_every_number_is_the_same_for_any_chunk(tmp_path: Path, options: dict[str, Any]) -> None:
    maps = make(tmp_path / "maps", random_maps(5, (6, 44, 52)))
    one, other = (
        everything_of(series(maps, out=tmp_path / f"out{chunk}", chunk=chunk, **options).out)
        for chunk in (64, 16)
    )
    assert one == other
    assert ("filter.csv" in one) == bool(options)


def test_losses_across_a_gap_belong_to_the_next_known_date(tmp_path: Path) -> None:
    labels = np.ones((4, 20, 20), np.uint8)
    labels[1:3, :5] = NODATA
    labels[3, :5] = 2
    labels[3, 10] = 7
    found = series(make(tmp_path / "maps", labels), out=tmp_path / "out")
    with rasterio.open(found.out / "gap.tif") as file:
        gap = file.read(1)
    assert (gap[:5] == 2).all()
    assert (gap[5:] == 0).all()
    assert found.loss["pixels_dated_across_a_gap"] == 100
    assert any("unknown just before" in note for note in found.notes)
    events = read_vector(found.out / "events.gpkg")
    assert events.gap_pix.tolist() == [100, 0]
    assert events.after.tolist() == ["pasture", "water"]
    assert events.first_val.tolist() == [2004, 2004]
    assert np.allclose(events.perim_m, [500, 420], rtol=1e-3)
    assert np.allclose(events.width_m, 2 * events.area_ha * 1e4 / events.perim_m, atol=1e-3)


def test_events_near_each_other_are_one(tmp_path: Path) -> None:
    labels = np.ones((3, 30, 30), np.uint8)
    labels[1:, 2:5, 2:5] = labels[2, 2:5, 8:11] = labels[1:, 20:22, 20:22] = 2
    maps = make(tmp_path / "maps", labels)
    numbers = {}
    for distance, years in ((0, 1), (29, 1), (31, 0), (31, 1), (1000, 1)):
        out = tmp_path / f"out{distance}-{years}"
        numbers[distance, years] = series(maps, out=out, distance=distance, gap_years=years).content["events"]
    assert {k: v["events"] for k, v in numbers.items()} == {
        (0, 1): 3, (29, 1): 3, (31, 0): 3, (31, 1): 2, (1000, 1): 1,
    }  # fmt: skip
    assert len({v["pixels"] for v in numbers.values()}) == 1


def test_without_any_loss_there_are_no_events(tmp_path: Path) -> None:
    labels = np.ones((2, 20, 20), np.uint8)
    found = series(make(tmp_path / "maps", labels), out=tmp_path / "out")
    assert found.content["events"]["events"] == 0
    assert (found.out / "events.gpkg").is_file()
    assert found.content["stable_pixels"] == 400


def test_confidence_is_that_of_the_date_of_the_loss(tmp_path: Path) -> None:
    labels = np.ones((3, 20, 20), np.uint8)
    labels[1:, :4] = labels[2, 10:12] = 2
    maps = make(tmp_path / "maps", labels)
    folder = tmp_path / "confidence"
    folder.mkdir()
    for year, percent in ((2001, 10), (2002, 60), (2003, 80)):
        write(folder / f"c_{year}.tif", np.full((20, 20), percent, np.uint8), nodata=NODATA)
    events = read_vector(series(maps, out=tmp_path / "out", confidence=folder).out / "events.gpkg")
    assert events.conf_mean.tolist() == [0.6, 0.8]


def test_a_killed_series_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, out = make(tmp_path / "maps", random_maps(2, (4, 64, 64))), tmp_path / "out"
    whole = everything_of(series(maps, out=tmp_path / "whole", chunk=32).out)
    honest, calls = chunk_module.walk_chunk, []

    def breaks(opened: Any, store: Path, folder: Path, index: int) -> Any:
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return honest(opened, store, folder, index)

    monkeypatch.setattr(chunk_module, "walk_chunk", breaks)
    with pytest.raises(KeyboardInterrupt):
        series(maps, out=out, chunk=32)
    assert not (out / "manifest.json").exists()
    series(maps, out=out, chunk=32)
    assert calls == [0, 1, 2, 2, 3]
    assert everything_of(out) == whole
    assert not any(fault for _, fault in verify_files(out))
    again = series(maps, out=out, chunk=32)
    assert not again.fresh
    assert json.dumps(again.to_json())
    with pytest.raises(OutputConflictError, match="another run's output"):
        series(maps, out=out, definition="B", chunk=32)
    assert series(maps, out=out, definition="B", overwrite=True).fresh


def test_days_are_numbers_where_a_year_has_several_maps(tmp_path: Path) -> None:
    labels = np.ones((3, 16, 16), np.uint8)
    labels[2, :3] = 2
    maps = make(tmp_path / "m", labels, ["a_20210105.tif", "b_20210701.tif", "c_2022-03-01.tif"])
    found = series(maps, out=tmp_path / "out")
    with rasterio.open(found.out / "first_loss.tif") as file:
        assert set(np.unique(file.read(1))) == {0, 20220301}
        assert file.dtypes == ("uint32",)
    with (found.out / "areas.csv").open() as file:
        assert {r["date"] for r in csv.DictReader(file)} == {"2021-01-05", "2021-07-01", "2022-03-01"}


def test_bands_of_one_file_are_maps_of_dates(tmp_path: Path) -> None:
    labels = random_maps(3, (5, 40, 40)).astype(np.uint8)
    maps = make(tmp_path / "maps", labels)
    names = tuple(f"classification_{2001 + t}" for t in range(5))
    stack = write(tmp_path / "stack.tif", labels, names=names, nodata=NODATA, tags=TAGS)
    bare = write(tmp_path / "bare.tif", labels, nodata=NODATA, tags=TAGS)
    one = everything_of(series(maps, out=tmp_path / "a").out)
    assert everything_of(series(stack, out=tmp_path / "b").out) == one
    dates = {t + 1: 2001 + t for t in range(5)}
    assert everything_of(series(bare, out=tmp_path / "c", dates=dates).out) == one
    with pytest.raises(InputError, match="date of band 1"):
        series(bare, out=tmp_path / "d")
    four = write(tmp_path / "four.tif", labels[:4], names=names[:4], nodata=NODATA, tags=TAGS)
    with pytest.raises(InputError, match="band 4 is tagged as transparency"):
        series(four, out=tmp_path / "e")


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    labels = random_maps(1, (2, 16, 16))
    maps = make(tmp_path / "maps", labels)
    with pytest.raises(UsageError, match="1 maps"):
        series(maps / "map_2001.tif", out=tmp_path / "a")
    with pytest.raises(InputError, match="not on the grid"):
        series(
            [maps, write(tmp_path / "x_2009.tif", np.ones((9, 9), np.uint8), tags=TAGS)], out=tmp_path / "b"
        )
    with pytest.raises(InputError, match="two maps of one date"):
        series(
            [maps, write(tmp_path / "y_2002.tif", labels[0].astype(np.uint8), tags=TAGS)], out=tmp_path / "c"
        )
    with pytest.raises(InputError, match="no class 'woods'"):
        series(maps, out=tmp_path / "d", loss_of="woods")
    strange = write(tmp_path / "z_2003.tif", np.full((16, 16), 9, np.uint8), nodata=255, tags=TAGS)
    with pytest.raises(ChunksFailedError, match="holds class 9"):
        series([maps, strange], out=tmp_path / "e")


def test_the_command_and_names_that_need_escaping(tmp_path: Path) -> None:
    labels = random_maps(4, (3, 32, 32))
    maps = make(tmp_path / "maps", labels)
    legend = tmp_path / "legend.yaml"
    legend.write_text("1: forest\n2: '<script>alert(1)</script>'\n7: '=cmd()'\n")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        command, [str(maps), "--out", str(out), "--legend", str(legend), "--touch", "corner"]
    )
    assert result.exit_code == 0, result.output
    assert "definition B" in result.output
    page = (out / "sankey.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "'=cmd()" in (out / "areas.csv").read_text()


def test_pairs_within_a_distance_are_geodesic() -> None:
    import shapely
    from affine import Affine
    from pyproj import CRS

    from geoseg.geometry import Grid

    grid = Grid(
        crs=CRS.from_epsg(4326), transform=Affine(0.001, 0, 10, 0, -0.001, 60.5), height=1000, width=1000
    )
    shapes = np.array([shapely.box(c, 500, c + 1, 501) for c in (0, 3)], object)
    years = np.zeros(2)
    # two pixels of 0.001 degree at 60 degrees north are 111.6 m
    assert len(_within(shapes, years, 0.1, grid, 111.0)[0]) == 0
    assert len(_within(shapes, years, 0.1, grid, 112.0)[0]) == 1


def test_areas_have_the_intervals_of_the_samples_of_their_dates(tmp_path: Path) -> None:
    labels = np.stack([np.full((20, 20), 1), np.full((20, 20), 2)])
    maps = make(tmp_path / "maps", labels, ["map_2001.tif", "map_2004.tif"])
    own = {"class": "Forest", "area_ha": 3.5, "area_ha_low": 2.0, "area_ha_high": 5.0}
    none = {"class": "cloud", "area_ha": 1.0, "area_ha_low": 0.0, "area_ha_high": 2.0}
    path = tmp_path / "estimates_2004.json"
    path.write_text(json.dumps({"design": {}, "classes": [own, none]}))
    found = series(maps, out=tmp_path / "with", estimates=[path])
    with (found.out / "areas.csv").open(encoding="utf-8", newline="") as file:
        rows = {(r.pop("date"), r.pop("class")): [*r.values()][-3:] for r in csv.DictReader(file)}
    assert rows["2004", "forest"] == ["3.5", "2.0", "5.0"]
    assert all(row == [""] * 3 for at, row in rows.items() if at != ("2004", "forest"))
    for name, match in (("estimates.json", "is not known"), ("estimates_2003.json", "without a map")):
        path = path.rename(tmp_path / name)
        with pytest.raises(InputError, match=match):
            series(maps, out=tmp_path / "not", estimates=[path])
