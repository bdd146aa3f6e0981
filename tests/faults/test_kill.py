"""kill -9 at any moment: no final name before the end, and the same command finishes with the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from geoseg.engines.network_file import network_file
from geoseg.models.bundle import load_bundle
from tests.prediction.conftest import linear, make_pixels, scene_file

__all__ = ["linear", "scene_file"]  # fixtures of the prediction tests

_SIDE = 700


def _command(scene: Path, bundle: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "geoseg", "predict", str(scene), "--model", str(bundle)),
        *("--out", str(out), "--tile", "128", "--chunk", "64", "--threads", "1"),
        *("--engine", "onnx", "--precision", "fp32"),
    ]


def _products(out: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest()
        for name in ("classes.tif", "confidence.tif")
    }


def _started(out: Path) -> bool:
    return (out / "log.jsonl").exists()


def kill_until_done(command: list[str], out: Path, rng: random.Random, whole: float) -> None:
    """Run a prediction and kill it at moments of a run that takes `whole` seconds, until it is done."""
    kills = 0
    while kills < 4:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not _started(out):
            time.sleep(0.01)
        # anywhere between the first chunk and the last byte of the manifest
        time.sleep(rng.uniform(0, whole))
        process.kill()  # nothing, where it has ended
        if process.wait() == 0:
            return
        kills += 1
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def request_of(
    scene_file: Callable[..., Path], linear: Path, tmp_path: Path
) -> Callable[[str], tuple[list[str], Path]]:
    pytest.importorskip("onnxruntime")
    network_file(load_bundle(linear), 128, 128)  # so that a process starts in one second, and not in three
    scene = scene_file(make_pixels(_SIDE, _SIDE))
    return lambda name: (_command(scene, linear, tmp_path / name), tmp_path / name)


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 20))])
def test_killed_and_resumed_equals_uninterrupted(
    request_of: Callable[[str], tuple[list[str], Path]], seed: int
) -> None:
    command, clean = request_of("clean")
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - began
    events = [json.loads(line) for line in (clean / "log.jsonl").read_text().splitlines()]
    command, out = request_of("killed")
    kill_until_done(command, out, random.Random(seed), whole)
    assert _products(out) == _products(clean)
    assert {p.name for p in out.iterdir()} == {p.name for p in clean.iterdir()}
    done = [e["chunk"] for e in events if e["event"] == "chunk"]
    assert len(done) == len(set(done)) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_workers_change_no_byte(
    request_of: Callable[[str], tuple[list[str], Path]], seed: int
) -> None:
    command, clean = request_of("clean")
    subprocess.run(command, check=True, capture_output=True)
    command, out = request_of("harmed")
    rng = random.Random(seed)
    process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL)
    while process.poll() is None and not _started(out):
        time.sleep(0.01)
    for _ in range(4):
        time.sleep(rng.uniform(0.1, 1))
        if workers := psutil.Process(process.pid).children() if process.poll() is None else []:
            with suppress(psutil.NoSuchProcess):
                rng.choice(workers).kill()
    assert process.wait(timeout=300) == 0
    assert _products(out) == _products(clean)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_asked_to_stop_it_stops_and_says_how_to_go_on(
    request_of: Callable[[str], tuple[list[str], Path]], name: str, code: int
) -> None:
    command, out = request_of("stopped")
    # a shell that starts the tests in the background makes them, and what they start, deaf to Ctrl-C
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, heard)
    log = out / "log.jsonl"
    # not before the first chunk: after an interrupt inside exec(), with which libraries define classes while
    # they are imported, CPython ends by the signal itself (-2 here, the same 130 in a shell)
    while process.poll() is None and not (log.exists() and '"chunk"' in log.read_text()):
        time.sleep(0.01)
    os.kill(process.pid, getattr(signal, name))
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "resumes" in err
    assert "Traceback" not in err
    assert not (out / "classes.tif").exists()
    assert not (out / "manifest.json").exists()


def test_two_runs_in_one_folder(request_of: Callable[[str], tuple[list[str], Path]]) -> None:
    command, out = request_of("both")
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while first.poll() is None and not (out / ".work" / "holder.json").exists():
            time.sleep(0.01)
        assert first.poll() is None
        first.send_signal(signal.SIGSTOP)  # it holds the folder for as long as the second tries
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 6
        assert f"process {first.pid}" in second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
        first.kill()
        first.wait()
