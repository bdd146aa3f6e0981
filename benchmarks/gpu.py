"""All that wants a GPU, in ten minutes: speed by precision and batch, determinism, whole scenes, tests.

    python -m benchmarks.gpu --out gpu-measured                  # forest-s2-rgb, a scene of 8192 x 8192
    python -m benchmarks.gpu --model my-bundle --scene scene.tif

Writes gpu.json and gpu.md into the folder, after each step what is there by then. Without a GPU it says so
and does nothing; `--device cpu` tries the script itself. Speeds are in megapixels per second of wall time.

bare
    forward passes alone, of a batch that lies on the device already: what nothing can be faster than.
engine
    raw tiles in, labels and confidence out, as a prediction calls it: copies there and back, normalisation,
    softmax and rounding with it. `efficiency` is its share of bare.
labels as fp32, again, one by one
    labels equal to those of fp32; bit for bit equal in a second run; and when tiles are passed one by one.
scene
    `geoseg.predict` of the whole scene: reading, stitching and publishing with it.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import geoseg
from benchmarks.polygons import MAPS, make_map
from geoseg.engines.choice import EngineChoice
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.hardware import cuda_devices, torch_build
from geoseg.engines.torch_engine import TorchNetwork
from geoseg.errors import GeosegError
from geoseg.files import write_durably
from geoseg.geometry import plan_tiles
from geoseg.models.bundle import Bundle, load_bundle
from geoseg.prediction.engine import sample_tiles
from geoseg.tables import markdown

_SECONDS = 2.0  # of each measurement
Facts = dict[str, Any]


def best_seconds(run: Callable[[], object], device: str, seconds: float = _SECONDS) -> float:
    """Wall seconds of the fastest call among those that fit, after one that prepares."""

    def timed() -> float:
        started = time.perf_counter()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    timed()
    found, end = [timed()], time.perf_counter() + seconds
    while time.perf_counter() < end:
        found.append(timed())
    return min(found)


def engine_facts(
    bundle: Bundle, choice: EngineChoice, tiles: NDArray[Any], exact: NDArray[np.uint8] | None
) -> tuple[Facts, NDArray[np.uint8]]:
    """What one choice of precision does with one batch of tiles (N, C, T, T), and its labels.

    Parameters
    ----------
    exact
        Labels in fp32 to compare with; None where these are them.
    """
    engine = Ensemble(bundles=(bundle,)).open(choice)
    network = TorchNetwork(bundle, choice)
    resident = network.arrays.send(tiles.astype(np.float32))
    megapixels = tiles[:, 0].size / 1e6
    labels, _ = engine.classify(tiles)
    alone = np.concatenate([engine.classify(tile[None])[0] for tile in tiles])
    bare = megapixels / best_seconds(lambda: network.forward(resident), choice.device)
    whole = megapixels / best_seconds(lambda: engine.classify(tiles), choice.device)
    facts = {
        "precision": choice.precision,
        "batch": len(tiles),
        "bare": round(bare, 2),
        "engine": round(whole, 2),
        "efficiency": round(whole / bare, 3),
        "labels as fp32": 1.0 if exact is None else float((labels == exact).mean()),
        "again": bool(np.array_equal(engine.classify(tiles)[0], labels)),
        "one by one": bool(np.array_equal(alone, labels)),
    }
    return facts, labels


def engines(
    bundle: Bundle, device: str, tiles: NDArray[Any], batches: Sequence[int], note: Callable[[Facts], None]
) -> None:
    """Note the facts of every precision and batch; also why one cannot be."""
    exact: NDArray[np.uint8] | None = None
    for precision in ("fp32", "bf16", "fp16"):
        for batch in batches:
            choice = EngineChoice(name="torch", device=device, precision=precision, threads=1)
            try:
                facts, labels = engine_facts(
                    bundle, choice, tiles[:batch], None if exact is None else exact[:batch]
                )
            except GeosegError as error:
                note({"precision": precision, "batch": batch, "problem": str(error)[:200]})
                continue
            if precision == "fp32" and batch == max(batches):
                exact = labels
            note(facts)


def scene_facts(scene: Path, model: str, device: str, precision: str, bare: float | None) -> Facts:
    """Speed of a whole prediction, margins and all, and its share of the fastest bare forward passes."""
    with tempfile.TemporaryDirectory() as folder:
        out, started = Path(folder) / "out", time.perf_counter()
        done = geoseg.predict(scene, model=model, out=out, engine="torch", device=device, precision=precision)
        seconds = time.perf_counter() - started
    megapixels = sum(done.pixels.values()) / 1e6
    return {
        "precision": precision,
        "Mpx": round(megapixels, 1),
        "seconds": round(seconds, 1),
        "Mpx per s": round(megapixels / seconds, 2),
        "efficiency": None if bare is None else round(megapixels / seconds / bare, 3),
    }


def gpu_tests(seconds: float) -> str:
    """Last line of pytest's, of the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"not done within {seconds:.0f} s"
    return (run.stdout.strip().splitlines() or ["no output"])[-1]


def in_markdown(facts: Mapping[str, Any]) -> str:
    """The facts as a page: where, then a table for engines and one for scenes, then the tests."""
    parts = [f"{facts['where']}\n\nModel {facts['model']}, tiles of {facts['tile']}."]
    for name in ("engines", "scenes"):
        if rows := facts[name]:
            heads = list(dict.fromkeys(head for row in rows for head in row))
            parts.append(markdown(heads, [[_cell(row.get(head)) for head in heads] for row in rows]))
    return "\n\n".join([*parts, f"Tests that need a GPU: {facts['tests']}"]) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def make_scene(path: Path, bundle: Bundle, side: int) -> Path:
    """A scene of smooth areas under noise, of the bundle's bands, for want of a real one."""
    import rasterio
    from rasterio.transform import from_origin

    classes = make_map(side, **MAPS["smooth"])
    rng, bands = np.random.default_rng(0), len(bundle.contract.bands)
    contract, dtype = bundle.contract, np.dtype(bundle.contract.dtype)
    pixel = sum(contract.pixel_size) / 2
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=bands, dtype=dtype,
        tiled=True, compress="deflate", crs="EPSG:32633", transform=from_origin(5e5, 5e6, pixel, pixel),
    ) as file:  # fmt: skip
        for k in range(bands):
            noise = rng.normal(size=classes.max() + 1)[classes] + rng.normal(size=(side, side)) / 4
            stored = (contract.mean[k] + contract.std[k] * noise - contract.offset) / contract.scale
            file.write(stored.clip(1, np.iinfo(dtype).max).astype(dtype), k + 1)
    return path


def main() -> None:
    """Measure, and write what was found after each step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu-measured"))
    parser.add_argument("--model", default="forest-s2-rgb")
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--side", type=int, default=8192, help="of the scene that is made without --scene")
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=10.0, help="after which no further step begins")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        print(f"no GPU: torch {torch_build()} finds no CUDA device; nothing was measured")
        return
    bundle, end = load_bundle(options.model), time.monotonic() + 60 * options.minutes
    facts: Facts = {
        "where": f"{platform.platform()}, torch {torch_build()}, {', '.join(cuda_devices()) or 'cpu'}",
        "model": bundle.name,
        "tile": options.tile,
        "engines": [],
        "scenes": [],
        "tests": "not run",
    }

    def note(name: str, row: Facts) -> None:
        facts[name].append(row)
        write_durably(options.out / "gpu.json", json.dumps(facts, indent=2) + "\n")
        write_durably(options.out / "gpu.md", in_markdown(facts))
        print(name, row, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        scene = options.scene or make_scene(Path(folder) / "scene.tif", bundle, options.side)
        read, count = geoseg.open_scene(scene), max(options.batch)
        lattice = plan_tiles(*read.grid.shape, tile=options.tile, margin=0, chunk=options.tile)
        found = sample_tiles(read, lattice, count)
        assert found is not None, "the scene has no valid pixel"
        tiles = np.resize(found[0], (count, *found[0].shape[1:]))
        engines(bundle, options.device, tiles, options.batch, lambda row: note("engines", row))
        for precision in ("fp32", "bf16"):
            if time.monotonic() < end:
                bare = [r["bare"] for r in facts["engines"] if r["precision"] == precision and "bare" in r]
                fastest = max(bare, default=None)
                note("scenes", scene_facts(scene, options.model, options.device, precision, fastest))
    if (left := end - time.monotonic()) > 0 and options.device != "cpu":
        facts["tests"] = gpu_tests(left)
    write_durably(options.out / "gpu.json", json.dumps(facts, indent=2) + "\n")
    write_durably(options.out / "gpu.md", in_markdown(facts))
    print(in_markdown(facts))


if __name__ == "__main__":
    main()
