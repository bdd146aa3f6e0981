"""`geoseg vectorize` killed, stopped, on a full disk: the whole output or none; the next run cleans up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest

import geoseg
from geoseg.writers.formats import FORMATS
from tests.raster.makers import write

SUFFIXES = tuple(f.suffix for f in FORMATS if f.suffix != ".pmtiles")


def class_map(path: Path, side: int, seed: int = 0) -> Path:
    """A map of blobs of 3 x 3 pixels and what they grow together to."""
    small = np.random.default_rng(seed).integers(0, 4, (side // 3, side // 3))
    return write(path, np.kron(small, np.ones((3, 3))).astype(np.uint8), nodata=255)


def command(source: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "geoseg", "vectorize", str(source), "--out", str(out)]


def polygons(path: Path) -> list[tuple[int, int, bytes]]:
    if path.suffix == ".parquet":
        frame = gpd.read_parquet(path)
    else:
        frame = gpd.read_file(path, layer="landcover" if path.suffix == ".gpkg" else None)
    return list(zip(frame.class_id, frame.n_pix, frame.normalize().to_wkb(), strict=True))


def partial(out: Path) -> list[Path]:
    return list(out.parent.glob(f".{out.name}.*.partial"))


@contextmanager
def running(source: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, from the moment when it makes its partial folder."""
    # a shell that starts the tests in the background makes them, and what they start, deaf to Ctrl-C
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, heard)
    try:
        while process.poll() is None and not partial(out):
            time.sleep(0.005)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map that takes half a second or so."""
    return class_map(tmp_path_factory.mktemp("map") / "classes.tif", 810)


@pytest.mark.parametrize(
    "suffix", [SUFFIXES[0], *(pytest.param(s, marks=pytest.mark.slow) for s in SUFFIXES[1:])]
)
def test_killed_at_any_moment_it_leaves_nothing_or_everything(
    source: Path, tmp_path: Path, suffix: str
) -> None:
    clean = geoseg.vectorize(source, out=tmp_path / f"clean{suffix}")
    rng = random.Random(suffix)
    out = tmp_path / f"out{suffix}"
    killed = 0
    for _ in range(3):
        with running(source, out) as process:
            time.sleep(rng.uniform(0.01, 0.7 * clean.seconds))
            ended = process.poll() is not None
        if ended:
            assert process.returncode == 0
            assert out.exists()
            for path in tmp_path.glob("out*"):
                path.unlink()
            continue
        killed += 1
        assert not list(tmp_path.glob("out*"))
        assert len(partial(out)) == 1  # those of the kills before are gone
    assert killed > 0
    done = subprocess.run(command(source, out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert polygons(out) == polygons(clean.path)
    assert not partial(out)


@pytest.mark.parametrize(
    "wait", [0, *(pytest.param(k / 100, marks=pytest.mark.slow) for k in range(2, 20, 2))]
)
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_asked_to_stop_it_removes_what_it_has(
    source: Path, tmp_path: Path, name: str, code: int, wait: float
) -> None:
    with running(source, tmp_path / "out.gpkg") as process:
        time.sleep(wait)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_alive_keeps_its_folder(source: Path, tmp_path: Path) -> None:
    """Two runs with one output: the second takes nothing from the first, and the last to finish stays."""
    out = tmp_path / "out.gpkg"
    with running(source, out) as first:
        while first.poll() is None and not any(f.name != "lock" for p in partial(out) for f in p.iterdir()):
            time.sleep(0.005)  # until it writes, so that its folder is locked
        first.send_signal(signal.SIGSTOP)
        try:
            (folder,) = partial(out)
            second = geoseg.vectorize(class_map(tmp_path / "other.tif", 90), out=out)
            assert partial(out) == [folder]
            assert second.polygons == len(polygons(out))
        finally:
            first.send_signal(signal.SIGCONT)
        _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert len(polygons(out)) > second.polygons
    assert not partial(out)


@pytest.mark.parametrize("renames", [0, 1, 3, 6])
def test_stopped_while_several_files_are_replaced_there_is_no_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    out = tmp_path / "out.shp"
    geoseg.vectorize(class_map(tmp_path / "old.tif", 30, seed=1), out=out, neighbours=True)
    new = class_map(tmp_path / "new.tif", 60, seed=2)
    count = 0
    replace = Path.replace

    def stopped(self: Path, target: Path) -> Path:
        nonlocal count
        if count == renames:
            raise KeyboardInterrupt
        count += 1
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stopped)
    try:
        geoseg.vectorize(new, out=out, overwrite=True, neighbours=True)
    except KeyboardInterrupt:
        assert not out.exists()
    else:
        raise AssertionError("it was not stopped")
    assert not partial(out)
    monkeypatch.undo()
    # what is left of it stands in nobody's way
    again = geoseg.vectorize(new, out=out, overwrite=True, neighbours=True)
    assert again.polygons == len(polygons(out))


_FULL = """
import contextlib, io, resource, sys
from pathlib import Path
from geoseg.cli.main import main
source, folder, suffixes = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def vectorize(out):
    err = io.StringIO()
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            main(["vectorize", source, "--out", str(out), "--neighbours"])
    except SystemExit as end:
        return end.code, err.getvalue()
    return 0, err.getvalue()

for suffix in suffixes:
    assert vectorize(folder / f"whole{suffix}") == (0, "")
    whole = max(p.stat().st_size for p in folder.iterdir() if p.stem == "whole")
    for path in folder.iterdir():
        path.unlink()
    limits = [0, 4096, 50_000, 100_000, *range(120_000, whole, whole // 5), whole - 3000, whole - 1]
    for size in [n for n in limits if n < whole]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        code, err = vectorize(folder / f"full{suffix}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        left = [p.name for p in folder.iterdir()]
        words = ("cannot be written", "was not written whole")
        told = err.count("\\n") == 1 and len(err) < 600 and "disk" in err and any(w in err for w in words)
        if code != 5 or left or not told:
            raise SystemExit(f"{suffix}, {size} of {whole} bytes: exit {code}, left {left}, {err}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The limit on file sizes stands in for a full disk: the same writes fail, at every stage."""
    (tmp_path / "out").mkdir()
    source = class_map(tmp_path / "classes.tif", 120)
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(source), str(tmp_path / "out"), *SUFFIXES],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ.copy(),
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
