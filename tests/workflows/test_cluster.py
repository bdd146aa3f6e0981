"""The files for clusters: their commands exist, and SLURM's script makes the map that one machine makes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
import yaml
from click import Command
from distributed.cli.dask_scheduler import main as scheduler
from distributed.cli.dask_worker import main as worker

import geoseg
from geoseg.cli.main import cli

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "cluster"
COMMANDS: dict[str, Command] = {"dask scheduler": scheduler, "dask worker": worker}
SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do shift; done
"$@" & "$@" &
trap 'kill $(jobs -p); wait' TERM
wait
"""


def _options(command: Command) -> set[str]:
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)}


def _containers(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [*value.get("containers", []), *(c for v in value.values() for c in _containers(v))]
    return [c for v in value for c in _containers(v)] if isinstance(value, list) else []


def test_every_command_on_kubernetes_is_one_that_exists() -> None:
    documents = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
    said = [c["command"] for c in _containers(documents)]
    assert [c[:2] for c in said] == [["dask", "scheduler"], ["dask", "worker"], ["geoseg", "predict"]]
    predict = cli.get_command(None, "predict")  # type: ignore[arg-type]
    assert predict is not None
    for words in said:
        known = _options(COMMANDS.get(" ".join(words[:2]), predict))
        assert {w for w in words if w.startswith("--")} <= known
        assert not (set(words) & {"--nworkers", "--workers"})


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """Environment in which `srun` runs a command twice on this machine."""
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "srun"
    stand_in.write_text(SRUN)
    stand_in.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "SLURM_CPUS_PER_TASK": "1", "OURS": str(tmp_path)}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.tif"
    pixels = np.random.default_rng(0).integers(1, 256, (3, 700, 500), np.uint8)
    place = {"crs": "EPSG:32720", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 8e6)}
    with rasterio.open(
        path, "w", driver="GTiff", height=700, width=500, count=3, dtype="uint8", **place
    ) as file:
        file.write(pixels)
    return path


@pytest.mark.slow
def test_the_job_on_slurm_makes_the_same_map_and_ends_all_that_it_began(
    slurm: dict[str, str], scene: Path, tmp_path: Path
) -> None:
    out, options = (
        tmp_path / "out",
        ["--tile", "256", "--chunk", "192", "--engine", "torch", "--precision", "fp32"],
    )
    job = [str(FOLDER / "slurm.sh"), str(scene), "forest-s2-rgb", str(out), *options]
    stopped = subprocess.Popen(["bash", *job], env=slurm)
    while stopped.poll() is None and '"chunk"' not in _text(out / "log.jsonl"):
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(timeout=120) == 143
    assert not list(out.glob(".scheduler*"))
    assert not _alive(tmp_path)
    subprocess.run(["bash", *job], env=slurm, check=True, timeout=300)
    assert not _alive(tmp_path)
    alone = geoseg.predict(
        scene,
        model="forest-s2-rgb",
        out=tmp_path / "alone",
        tile=256,
        engine="torch",
        precision="fp32",
        threads=1,
    )
    with rasterio.open(out / "classes.tif") as ours, rasterio.open(alone.classes) as theirs:
        np.testing.assert_array_equal(ours.read(1), theirs.read(1))
    events = _text(out / "log.jsonl")
    assert '"resume"' in events


def _alive(ours: Path) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("OURS") == str(ours):
                found.append(process.cmdline())
    return found


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
