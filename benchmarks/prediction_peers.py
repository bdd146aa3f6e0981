"""A scene to a class map by geoseg and by peers, each in an environment of its own: time, memory, labels.

    GEOSEG_PEER_ENVIRONMENTS=peers python -m benchmarks.prediction_peers --side 2048 --rounds 2
    python -m benchmarks.prediction_peers --environments peers --scene scene.tif --model forest-s2-rgb

All get the same GeoTIFF and the same weights in fp32, as TorchScript that normalises by itself, and write a
GeoTIFF; a process each, in turns, of which the least CPU and wall seconds count. Matched: tiles of 512 with
overlaps of 64 (geoseg: margins of 32). Default: what each tool, or its tutorial, does untold. With
GEOSEG_DATA the scene is of real Sentinel-2 images side by side, the labels of which are known; otherwise it
is a drawn one. Environments are made in the folder on first use, by uv where it is there, else by venv and
pip; they hold 4 GB and more each, most of it torch, of which uv keeps one copy for all. --python names their
interpreter, --only some of the rows. What cannot be installed or fails is a row that says why.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.demo.frontier import make_frontier
from geoseg.geometry import Grid
from geoseg.raster.write import write_geotiff

_VARIABLE = "GEOSEG_PEER_ENVIRONMENTS"
_SCRIPTS = Path(__file__).parent / "peers"
_TORCH = "torch==2.15.0"
_RASTERIO = "rasterio==1.5.2"
_MATCHED = {"matched": ("--tile", "512", "--overlap", "64")}
_PATCHES = {"patches of 512": ("--tile", "512")}
_INSTALL_SECONDS, _RUN_SECONDS = 1800, 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A tool, what its environment holds besides torch, and its script in `benchmarks/peers`.

    `settings` says for each row of it how it tiles, with the arguments that make it do so.
    """

    name: str
    script: str
    requirements: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]


_TABLE = (
    ("loop over tiles, PyTorch 2.15.0", "plain_loop", (_RASTERIO,), _MATCHED, "usual: 512, overlap 128"),
    ("MONAI 1.6.1", "monai_windows", ("monai==1.6.1", _RASTERIO), _MATCHED, "default: 512, overlap 0.25"),
    ("TorchGeo 0.10.1", "torchgeo_grid", ("torchgeo==0.10.1",), _MATCHED, "usual: 512, overlap 128"),
    ("geoai 0.43.1", "geoai_geotiff", ("geoai-py==0.43.1",), _MATCHED, "default: 256, overlap 64"),
    ("TerraTorch 1.2.13", "terratorch_tiled", ("terratorch==1.2.13",), _MATCHED, "default: 224, stride 192"),
    ("geo-inference 3.2.4", "geo_inference_dask", ("geo-inference==3.2.4",), _PATCHES,
     "default: 1024, overlap 512"),
)  # fmt: skip
PEERS = tuple(
    Peer(name=name, script=f"{script}.py", requirements=requirements, settings={**told, untold: ()})
    for name, script, requirements, told, untold in _TABLE
)
OURS = {
    "matched, torch": ("--tile", "512", "--margin", "32", "--precision", "fp32", "--engine", "torch"),
    "matched, engine by measurement": ("--tile", "512", "--margin", "32", "--precision", "fp32"),
    "default": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One row: a tool with settings, and the command that writes `out`; or why it cannot be run."""

    name: str
    settings: str
    command: tuple[str, ...] = ()
    out: Path = Path()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of a process and its children, and the peak resident size."""

    cpu: float
    wall: float
    mib: float

    def best(self, other: Cost) -> Cost:
        """The least seconds and the largest memory of both."""
        return Cost(
            cpu=min(self.cpu, other.cpu), wall=min(self.wall, other.wall), mib=max(self.mib, other.mib)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is predicted, with which model, and the map of its known classes (255: not known)."""

    path: Path
    model: str
    reference: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """TorchScript from raw values on, and the class numbers in the order of its answers."""

    path: Path
    ids: tuple[int, ...]


def reason(said: str) -> str:
    """The line of what a program said that names its error: a traceback's last, or else the first."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt|Exit)\b", line)]
    named = [line for line in lines if re.match(r"(?i)(error|fatal|×)", line)]
    line = (raised[-1:] or named[:1] or lines[:1] or ["it says nothing"])[0]
    return line.replace("|", "/")[:160]


def run(command: Sequence[str], *, seconds: float, environment: Mapping[str, str]) -> Cost | str:
    """Cost of a process that ends well within so many seconds; otherwise why it did not."""
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        try:
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            return reason(f"{type(error).__name__}: {error}")
        watch = threading.Timer(seconds, process.kill)
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode and wall >= seconds:
            return f"not done after {seconds:.0f} s"
        if process.returncode:
            return f"exit {process.returncode}: {reason(said.read())}"
        return Cost(cpu=used.ru_utime + used.ru_stime, wall=wall, mib=used.ru_maxrss / 1024)


def one_thread() -> dict[str, str]:
    """Environment of a process in which every library is told to take one thread."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    return {
        **os.environ,
        **{f"{name}_NUM_THREADS": "1" for name in names},
        "PYTHONWARNINGS": "ignore",
    }


def interpreter(peer: Peer, folder: Path | None, python: str) -> Path | str:
    """Interpreter of the peer's environment, made where it is not there yet; or why there is none."""
    if folder is None:
        return f"no environments: name a folder by --environments or {_VARIABLE}"
    home = folder.absolute() / Path(peer.script).stem
    found, stamp = home / "bin" / "python", home / "requirements.txt"
    wanted = "\n".join((python, _TORCH, *peer.requirements))
    if stamp.exists() and stamp.read_text() == wanted:
        return found
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    packages = (_TORCH, *peer.requirements)
    if uv:
        make = (uv, "venv", "--quiet", "--clear", "--python", python, str(home))
        fill = (uv, "pip", "install", "--quiet", "--python", str(found), *packages)
    else:
        make = (python, "-m", "venv", "--clear", str(home))
        fill = (str(found), "-m", "pip", "install", "--quiet", *packages)
    for command in (make, fill):
        done = run(command, seconds=_INSTALL_SECONDS, environment=os.environ)
        if isinstance(done, str):
            return f"cannot be installed: {done}"
    stamp.write_text(wanted)
    return found


def peer_ways(peer: Peer, python: Path | str, scene: Scene, network: Network) -> list[Way]:
    """Rows of a peer, given its interpreter or why there is none."""
    if isinstance(python, str):
        return [Way(name=peer.name, settings=", ".join(peer.settings), problem=python)]
    found = []
    for number, (settings, arguments) in enumerate(peer.settings.items()):
        out = network.path.parent / f"{Path(peer.script).stem}_{number}.tif"
        command = (*script(python, peer.script, scene, network, out), *arguments)
        found.append(Way(name=peer.name, settings=settings, command=command, out=out))
    return found


def script(python: Path, name: str, scene: Scene, network: Network, out: Path) -> tuple[str, ...]:
    """Command of a script of `benchmarks/peers`."""
    paths = (str(path) for path in (python, _SCRIPTS / name, scene.path, network.path, out))
    return (*paths, "--ids", *(str(n) for n in network.ids))


def our_ways(scene: Scene, folder: Path) -> list[Way]:
    """Rows of geoseg."""
    from geoseg import __version__

    found = []
    for number, (settings, arguments) in enumerate(OURS.items()):
        out = folder / f"geoseg_{number}"
        start = (sys.executable, "-c", "from geoseg.cli.main import main; main()", "predict", str(scene.path))
        asked = ("--model", scene.model, "--out", str(out), "--threads", "1", "--overwrite", *arguments)
        found.append(
            Way(
                name=f"geoseg {__version__}",
                settings=settings,
                command=(*start, *asked),
                out=out / "classes.tif",
            )
        )
    return found


def write_network(model: str, path: Path) -> Network:
    """The network of a bundle, written for peers."""
    import torch

    from geoseg.engines.onnx_export import RawNetwork
    from geoseg.models.bundle import load_bundle
    from geoseg.models.network import load_network

    bundle = load_bundle(model)
    network = RawNetwork(load_network(bundle), bundle.contract, bundle.temperature).eval()
    # TorchScript is to be given up, but is the only format that all peers read.
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        torch.jit.trace(network, torch.zeros(1, len(bundle.contract.bands), 256, 256)).save(str(path))
    return Network(path=path, ids=tuple(bundle.legend.ids))


def wanted(name: str, settings: str, only: Sequence[str]) -> bool:
    """Whether any of these words stands in the name of a tool or its settings."""
    return any(word in f"{name}, {settings}" for word in only)


def measured(ways: Sequence[Way], rounds: int) -> list[Cost | str]:
    """Best cost of each way over so many rounds, in turns; one that fails is not run again."""
    found: list[Cost | str | None] = [way.problem or None for way in ways]
    for _ in range(rounds):
        for n, way in enumerate(ways):
            before = found[n]
            if isinstance(before, str):
                continue
            now = run(way.command, seconds=_RUN_SECONDS, environment=one_thread())
            if not isinstance(now, str) and not way.out.exists():
                now = "it ended well and wrote nothing"
            found[n] = now if before is None or isinstance(now, str) else now.best(before)
            print(f"{way.name}, {way.settings}: {now}", file=sys.stderr, flush=True)
    return [cost if cost is not None else "not run" for cost in found]


def read(path: Path) -> NDArray[np.uint8]:
    """First band."""
    with warnings.catch_warnings(action="ignore"), rasterio.open(path) as file:  # not all lie on the Earth
        return np.asarray(file.read(1))


def row(way: Way, cost: Cost | str, whole: NDArray[np.uint8], reference: NDArray[np.uint8] | None) -> str:
    """Line of the table: what it took, and how many labels are those of one forward pass, and right."""
    if isinstance(cost, str):
        return f"| {way.name} | {way.settings} | not run: {cost} | | | | |"
    labels = read(way.out)
    if labels.shape != whole.shape:
        return f"| {way.name} | {way.settings} | its map has {labels.shape} pixels | | | | |"
    right = "" if reference is None else f"{np.mean((labels == reference)[reference != 255]):.2%}"
    same = f"{np.mean(labels == whole):.3%}"
    seconds = f"{cost.cpu:.1f} | {cost.wall:.1f} | {cost.mib:.0f}"
    return f"| {way.name} | {way.settings} | {seconds} | {same} | {right} |"


def real_scene(folder: Path, side: int) -> Scene | None:
    """Labelled Sentinel-2 images side by side, on a grid of 10 m; None without the imagery."""
    images = Path(os.environ.get("GEOSEG_DATA", "")) / "amazon_s2_forest" / "training" / "images"
    if not os.environ.get("GEOSEG_DATA") or not images.exists():
        return None
    pixels, classes = np.zeros((3, side, side), np.uint8), np.full((side, side), 255, np.uint8)
    corners = ((r, c) for r in range(0, side, 512) for c in range(0, side, 512))
    for image in sorted(images.glob("*.tiff")):
        labels = read(images.parent / "masks" / f"{image.stem}.png")
        if labels.shape != (512, 512):  # one is cut otherwise than its image
            continue
        row, col = next(corners, (side, side))
        place = slice(row, row + 512), slice(col, col + 512)
        with rasterio.open(image) as file:
            pixels[:, *place] = file.read()[:, : side - row, : side - col]
        classes[place] = labels[: side - row, : side - col]
    grid = Grid(crs=CRS.from_epsg(32720), transform=Affine(10, 0, 3e5, 0, -10, 9e6), height=side, width=side)
    path = write_geotiff(folder / "scene.tif", grid, pixels, band_names=("red", "green", "blue"))
    reference = write_geotiff(folder / "reference.tif", grid, classes, nodata=255)
    return Scene(path=path, model="forest-s2-rgb", reference=reference)


def drawn_scene(folder: Path, side: int) -> Scene:
    """A drawn scene that the demo's model has not seen."""
    drawn = make_frontier(4242, (side, side))
    path = write_geotiff(
        folder / "scene.tif", drawn.grid, drawn.before, nodata=0, band_names=drawn.band_names
    )
    reference = write_geotiff(folder / "reference.tif", drawn.grid, drawn.reference_before, nodata=255)
    return Scene(path=path, model="demo-frontier", reference=reference)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, default=os.environ.get(_VARIABLE), metavar="DIR")
    parser.add_argument(
        "--python", default="3.12", help="interpreter of the environments: a version or a path"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", type=int, default=1024, help="pixels, where no scene is given")
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--model", default="forest-s2-rgb", help="of the scene given")
    parser.add_argument("--reference", type=Path, help="class map of the scene given; 255 is not known")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="parts of the names of tools and their settings"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.scene:
            scene = Scene(path=options.scene.absolute(), model=options.model, reference=options.reference)
        else:
            scene = real_scene(folder, options.side) or drawn_scene(folder, options.side)
        network = write_network(scene.model, folder / "network.pt")
        ways = our_ways(scene, folder)
        for peer in (
            peer for peer in PEERS if any(wanted(peer.name, s, options.only) for s in peer.settings)
        ):
            ways += peer_ways(peer, interpreter(peer, options.environments, options.python), scene, network)
        ways = [way for way in ways if wanted(way.name, way.settings, options.only)]
        whole = folder / "whole.tif"
        one = script(Path(sys.executable), "one_forward.py", scene, network, whole)
        failed = run(one, seconds=_RUN_SECONDS, environment=one_thread())
        if isinstance(failed, str):
            sys.exit(f"one forward pass over the whole: {failed}")
        known = None if scene.reference is None else read(scene.reference)
        height, width = read(whole).shape
        print(f"{scene.model}, {height} x {width} pixels, one thread, whole processes\n")
        print("| tool | settings | CPU s | wall s | peak MiB | labels as one forward pass | right |")
        print("|---|---|---|---|---|---|---|")
        for way, cost in zip(ways, measured(ways, options.rounds), strict=True):
            print(row(way, cost, read(whole), known), flush=True)


if __name__ == "__main__":
    main()
