"""A full disk, and a place that cannot be written: an exit code and one line, nothing half-written is left.

The limit on file sizes stands in for a full disk: the same writes fail, at every stage.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

import geoseg
from tests.prediction.conftest import linear, make_pixels, scene_file
from tests.raster.makers import write

__all__ = ["linear", "scene_file"]  # fixtures of the prediction tests

_FULL = """
import os, resource, sys
from pathlib import Path
import geoseg.changes.verb, geoseg.evaluation.verb, geoseg.prediction.verb
from geoseg.cli.main import main
out, *command = sys.argv[1:]
out = Path(out)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def run(limit):
    heard, said = os.pipe()
    if not os.fork():
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.close(said)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            main(command)
        except SystemExit as end:
            sys.stderr.flush()
            os._exit(end.code or 0)
        os._exit(0)
    os.close(said)
    with os.fdopen(heard) as file:
        text = file.read()
    return os.waitstatus_to_exitcode(os.wait()[1]), text

def files():
    return {p.relative_to(out.parent).as_posix() for p in out.parent.rglob("*") if p.is_file()}

before = files()
for limit in (0, 100, 400, 1500, 4000, 9000, 20000, 40000):
    code, text = run(limit)
    if code == 0:
        break
    left = {name for name in files() - before if ".work/" not in name and not name.endswith("log.jsonl")}
    if code not in (5, 6) or left or "Traceback" in text or "cannot be written" not in text:
        raise SystemExit(f"{limit} bytes: exit {code}, left {left}, {text}")
code, text = run(hard)
if code:
    raise SystemExit(f"with room again: exit {code}, {text}")
"""


def fill(out: Path, *command: str) -> None:
    """The command with ever more room, then with enough."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", _FULL, str(out), *command],  # a cut file of bytecode would stay behind
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def class_map(path: Path, seed: int) -> Path:
    labels = np.random.default_rng(seed).integers(1, 4, (600, 600)).astype(np.uint8)
    return write(path, labels, nodata=255)


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
@pytest.mark.parametrize("verb", ["evaluate", "change"])
def test_a_full_disk_while_maps_are_compared(tmp_path: Path, verb: str) -> None:
    maps = [str(class_map(tmp_path / f"{seed}.tif", seed)) for seed in (1, 2)]
    out = tmp_path / "made" / ("scores.json" if verb == "evaluate" else "change")
    out.parent.mkdir()
    fill(out, verb, *maps, "--out", str(out))


_TWICE = """
import resource, sys
import geoseg
source, out = sys.argv[1:]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
try:
    geoseg.clean(source, out=out, majority=3)
except geoseg.GeosegError as error:
    assert error.exit_code == 5, error
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
geoseg.clean(source, out=out, majority=3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
@pytest.mark.slow
def test_what_could_not_be_written_is_not_held_against_the_next_file(tmp_path: Path) -> None:
    arguments = [str(class_map(tmp_path / "a.tif", 1)), str(tmp_path / "out.tif")]
    done = subprocess.run(
        [sys.executable, "-B", "-c", _TWICE, *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("cleaned.tif", "clean {map} --majority 3"),
        ("patches.csv", "landscape {map}"),
        ("sample.gpkg", "sample design {map} --n 30"),
        ("plots.gpkg", "zones {map} {plots}"),
        ("plots.xlsx", "zones {map} {plots}"),
        ("report", "report {scores}"),
        ("scores.json", "evaluate {map} {map} --errors {errors}"),
        ("model", "fit ndvi {scene} --bands red=1,nir=2 --threshold 0"),
    ],
)
def test_a_full_disk_while_anything_else_is_made(tmp_path: Path, name: str, command: str) -> None:
    labels = np.random.default_rng(3).integers(1, 4, (96, 96)).astype(np.uint8)
    square = shapely.box(500_100, 4_999_500, 500_500, 4_999_900)
    plots = geopandas.GeoDataFrame({"id": [1]}, geometry=[square], crs="EPSG:32633")
    files = {
        "map": write(tmp_path / "map.tif", labels, nodata=255),
        "scene": write(tmp_path / "scene.tif", make_pixels(96, 96)[:2]),
        "plots": tmp_path / "plots.gpkg",
        "scores": tmp_path / "scores.json",
        "errors": tmp_path / "new" / "errors.tif",
    }
    plots.to_file(files["plots"])
    geoseg.evaluate(files["map"], files["map"], out=files["scores"])
    out = tmp_path / "new" / name
    out.parent.mkdir()
    fill(out, *command.format(**files).split(), "--out", str(out), "--overwrite")


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
@pytest.mark.slow
def test_a_full_disk_while_a_scene_is_predicted(
    scene_file: Callable[..., Path], linear: Path, tmp_path: Path
) -> None:
    scene = scene_file(make_pixels(300, 300))
    out = tmp_path / "made" / "out"
    out.parent.mkdir()
    fill(
        out,
        "predict",
        str(scene),
        "--model",
        str(linear),
        "--engine",
        "torch",
        "--chunk",
        "128",
        "--out",
        str(out),
    )


@pytest.mark.parametrize("verb", ["evaluate", "change"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from geoseg.cli.main import main

    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "scores.json"
    with pytest.raises(SystemExit) as ended:  # the maps are not even there
        main([verb, str(tmp_path / "a.tif"), str(tmp_path / "b.tif"), "--out", str(out)])
    assert ended.value.code == 6
    assert "is no writable folder" in capsys.readouterr().err
