"""Many files in one call: what fails is named, the rest is done, and the same call does what is missing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from geoseg.cli.each import each_file, run_each
from geoseg.cli.main import main
from geoseg.errors import ChunksFailedError, InputError, UsageError
from tests.raster.makers import write


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def exit_code(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
        raise SystemExit(0)
    return int(stopped.value.code or 0)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Two class maps, and one that is no raster."""
    folder = tmp_path / "maps"
    folder.mkdir()
    classes = np.zeros((1, 32, 32), np.uint8)
    classes[0, 8:16, 8:16] = 1
    write(folder / "a.tif", classes)
    write(folder / "c.tif", classes)
    (folder / "b.tif").write_bytes(b"no raster")
    return folder


def test_polygons_of_each_map_and_the_failed_one_named(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "polygons"
    call = (
        "vectorize",
        maps / "a.tif",
        maps / "b.tif",
        maps / "c.tif",
        "--each",
        "--out",
        out / "{}.geojson",
    )
    assert exit_code(*call) == 4
    assert "1 of 3 files failed" in capsys.readouterr().err
    table = rows(out / "summary.csv")
    assert [row["state"] for row in table] == ["done", "failed", "done"]
    assert [row["polygons"] for row in table] == ["2", "", "2"]
    assert "b.tif" in table[1]["error"]
    before = (out / "a.geojson").read_bytes()
    write(maps / "b.tif", np.zeros((1, 8, 8), np.uint8))
    assert exit_code(*call) == 0
    assert [row["state"] for row in rows(out / "summary.csv")] == ["was there", "done", "was there"]
    assert (out / "a.geojson").read_bytes() == before


@pytest.fixture
def dates(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with maps a and c, one pixel of four different; the second has b, too."""
    one, other = np.zeros((1, 32, 32), np.uint8), np.zeros((1, 32, 32), np.uint8)
    one[0, :16] = other[0, :16, :16] = 1
    for folder, classes, names in (("first", one, "ac"), ("second", other, "abc")):
        (tmp_path / folder).mkdir()
        for name in names:
            write(tmp_path / folder / f"{name}.tif", classes)
    return tmp_path / "first", tmp_path / "second"


def test_scores_of_each_pair_and_of_all_counts_together(dates: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "scores"
    call = ("evaluate", *dates, "--each", "--out", out)
    assert exit_code(*call) == 4
    table = {Path(row["file"]).stem: row for row in rows(out / "summary.csv")}
    assert {name: row["state"] for name, row in table.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert "no file is called b" in table["b"]["error"]
    assert float(table["a"]["overall_accuracy"]) == 0.75
    one, pooled = (json.loads((out / f"{name}.json").read_text()) for name in ("a", "pooled"))
    assert np.array_equal(pooled["confusion"]["counts"], 2 * np.array(one["confusion"]["counts"]))
    assert (pooled["scenes"], pooled["overall"]) == (["a", "c"], one["overall"])
    write(dates[0] / "b.tif", np.zeros((1, 32, 32), np.uint8))
    assert exit_code(*call) == 0
    assert [row["state"] for row in rows(out / "summary.csv")] == ["was there", "done", "was there"]
    assert json.loads((out / "pooled.json").read_text())["pixels"]["scored"] == 3 * 32 * 32


def test_one_reference_serves_all_maps(dates: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "scores"
    assert exit_code("evaluate", dates[1], dates[0] / "a.tif", "--each", "--out", out) == 0
    assert [row["state"] for row in rows(out / "summary.csv")] == ["done"] * 3


def test_maps_of_other_classes_are_not_pooled(dates: tuple[Path, Path], tmp_path: Path) -> None:
    write(dates[1] / "c.tif", np.full((1, 32, 32), 5, np.uint8))
    write(dates[0] / "c.tif", np.full((1, 32, 32), 5, np.uint8))
    (dates[1] / "b.tif").unlink()
    assert exit_code("evaluate", *dates, "--each", "--out", tmp_path / "scores") == 4
    assert "its classes are not those" in rows(tmp_path / "scores" / "summary.csv")[1]["error"]
    assert json.loads((tmp_path / "scores" / "pooled.json").read_text())["scenes"] == ["a"]


def test_change_of_each_pair(
    dates: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dates[1] / "b.tif").unlink()
    out = tmp_path / "change"
    call = ("change", *dates, "--each", "--out", out)
    assert exit_code(*call, "--polygons", tmp_path / "p.gpkg") == 2
    assert "{}" in capsys.readouterr().err
    assert exit_code(*call, "--polygons", tmp_path / "{}.gpkg") == 0
    table = rows(out / "summary.csv")
    assert [row["state"] for row in table] == ["done", "done"]
    assert float(table[0]["changed ha"]) == pytest.approx(float(table[0]["unchanged ha"]) / 3, rel=1e-3)
    assert (tmp_path / "a.gpkg").is_file()
    assert (out / "c" / "change.tif").is_file()
    assert exit_code(*call, "--polygons", tmp_path / "{}.gpkg") == 0
    assert [row["state"] for row in rows(out / "summary.csv")] == ["was there", "was there"]


def test_several_maps_need_each(maps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("vectorize", maps / "a.tif", maps / "c.tif", "--out", maps / "x.gpkg") == 2
    assert "--each" in capsys.readouterr().err
    assert exit_code("vectorize", maps / "a.tif", "--each", "--out", maps / "x.gpkg") == 2
    assert "{}" in capsys.readouterr().err


def test_scenes_of_each_folder_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        write(tmp_path / f"{name}.tif", rng.integers(0, 255, (3, 64, 64)).astype(np.uint8))
    out = tmp_path / "maps"
    call = (
        "predict",
        tmp_path / "*.tif",
        "--each",
        "--model",
        "forest-s2-rgb",
        "--out",
        out,
        "--engine",
        "torch",
    )
    assert exit_code(*call) == 0
    assert [row["state"] for row in rows(out / "summary.csv")] == ["done", "done"]
    assert (out / "one" / "classes.tif").exists()
    assert exit_code(*call) == 0
    assert [row["state"] for row in rows(out / "summary.csv")] == ["was there", "was there"]


def test_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.tif").write_bytes(b"any")
    with pytest.raises(UsageError, match="two files are called a"):
        each_file([tmp_path / "x", tmp_path / "y"])


def test_maps_of_runs_are_called_after_their_folders(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classes.tif").write_bytes(b"any")
    assert list(each_file([tmp_path / "*" / "classes.tif"])) == ["x", "y"]


def test_columns_are_those_of_all_rows(tmp_path: Path) -> None:
    def run(name: str, path: Path) -> dict[str, int]:
        if name == "bad":
            raise InputError("nothing there", where=path)
        return {name: 1}

    with pytest.raises(ChunksFailedError, match="1 of 3 files failed"):
        run_each({n: Path(n) for n in ("a", "bad", "c")}, run, tmp_path)
    table = rows(tmp_path / "summary.csv")
    assert list(table[0]) == ["file", "state", "a", "seconds", "c", "error"]
    assert table[1]["error"].startswith("bad: nothing there")
