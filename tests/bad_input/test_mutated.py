"""Files with bits turned, parts cut, doubled or blanked, and values swapped: read, or refused in words."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from pydantic import ValidationError

from geoseg.baselines.job import FitJob
from geoseg.changes.job import ChangeJob
from geoseg.errors import GeosegError
from geoseg.evaluation.job import EvaluateJob
from geoseg.execution.ledger import Ledger
from geoseg.execution.manifest import MANIFEST, verify_files, write_manifest
from geoseg.geometry import Window
from geoseg.models.bundle import load_bundle
from geoseg.models.contract import SceneProfile
from geoseg.prediction.job import PredictJob
from geoseg.raster.classmap import open_class_map
from geoseg.raster.opening import open_scene
from geoseg.raster.rules import read_crosswalk
from geoseg.strict_yaml import read_yaml
from geoseg.training.job import TrainJob
from geoseg.truth.layer import TruthFile
from geoseg.truth.open import open_truth
from tests.models.bundles import bundle as make_bundle
from tests.raster.makers import write

SWAPS = (
    *(b"1e308", b"-1e308", b"1e999", b"NaN", b"Infinity", b"-1", b"0", b"5e7", b"9" * 400),
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"[[[[[[[[",
        b'""',
        b'"x"',
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
    ),
)
JOBS = (PredictJob, TrainJob, EvaluateJob, ChangeJob, FitJob)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content after one to four faults."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(max(len(data), 1)), rng.randint(1, max(len(data) // 8, 1))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == 4:
            del data[at : at + length]
        else:
            digits = [i for i, b in enumerate(data) if chr(b).isdigit()] or [at]
            place = rng.choice(digits)
            data[place : place + 1] = rng.choice(SWAPS)
    return bytes(data)


def geotiff(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    pixels = np.random.default_rng(0).integers(0, 4, (3, 40, 50)).astype(np.uint8)
    path = write(folder / "a.tif", pixels, nodata=0, tags={"CLASS_1": "forest"}, tiled=True, blockxsize=16,
                 blockysize=16, compress="deflate")  # fmt: skip

    def read(path: Path) -> None:
        scene = open_scene(path)
        for window in scene.grid.window.blocks(512, 512):
            scene.read(window)
            break
        open_class_map(path, band=1).read(Window(0, 0, *scene.grid.shape).clip(512, 512))

    return path, read


def vector(suffix: str) -> Callable[[Path], tuple[Path, Callable[[Path], object]]]:
    def make(folder: Path) -> tuple[Path, Callable[[Path], object]]:
        boxes = [shapely.box(500_000 + 100 * k, 4_999_700, 500_080 + 100 * k, 4_999_900) for k in range(3)]
        frame = geopandas.GeoDataFrame(
            {"class": ["forest", "water", "forest"], "n": [1, 2, 3]}, geometry=boxes
        )
        path = folder / f"a{suffix}"
        frame.set_crs(32633).to_crs(4326).to_file(path, engine="pyogrio")
        grid = open_scene(write(folder / "grid.tif", np.ones((40, 50), np.uint8))).grid

        def read(path: Path) -> None:
            truth = open_truth(TruthFile(path=path, field="class", repair=True, overlap="file"), grid, None)
            truth.read(grid.window)

        return path, read

    return make


def yaml(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    path = folder / "a.yaml"
    path.write_text(
        "scene: a.tif\nmodel: forest-s2-rgb\nout: out\nbands: [1, 2, 3]\ntile: 256\nchunk: 2048\nnodata: 0\n"
        "classes: {1: forest, 2: water}\ncrosswalk: {Wald: forest, 12: water, '*': ignore}\ncrop: 64\n"
        "split: {by: region, columns: ['60%', '100%']}\nscenes: [{image: a.tif, labels: b.tif}]\n"
    )

    def read(path: Path) -> None:
        content = read_yaml(path)
        for job in JOBS:
            try:
                job.parse({k: v for k, v in content.items() if k in job.model_fields}, where=path)
            except ValidationError as error:
                raise AssertionError(error) from error
            except GeosegError:
                continue
        read_crosswalk(path)

    return path, read


def bundle(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    path = make_bundle(folder).path / "bundle.json"

    def read(path: Path) -> None:
        made = load_bundle(path.parent)
        made.contract.check(
            SceneProfile(
                count=3, dtype=np.dtype("uint8"), band_names=("b1", "b2", "b3"), pixel_size_m=(10, 10)
            )
        )

    return path, read


def ledger(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    path = folder / "ledger.sqlite"
    with Ledger(path, {"scene": "a", "tile": 256}) as account:
        for k in range(40):
            account.set_done(k, {"digests": {"classes": "0" * 32}, "tiles": k})

    def read(path: Path) -> None:
        for side in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        with Ledger(path, {"scene": "a", "tile": 256}) as account:
            account.done()
            account.failed()
            account.set_done(3, {})

    return path, read


def manifest(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    (folder / "classes.tif").write_bytes(b"x" * 100)
    content = {"geoseg": "1", "identity": {"scene": [1, 2, 3]}, "chunks": {"failed": {}}, "pixels": {"a": 1}}
    write_manifest(folder, content, ["classes.tif"])
    return folder / MANIFEST, lambda path: verify_files(path.parent)


MAKERS = (geotiff, vector(".geojson"), vector(".gpkg"), yaml, bundle, ledger, manifest)
NAMES = ("GeoTIFF", "GeoJSON", "GeoPackage", "YAML", "bundle.json", "ledger", "manifest")


def shown(
    maker: Callable[[Path], tuple[Path, Callable[[Path], object]]], folder: Path, seeds: range
) -> list[str]:
    """What went wrong, by seed."""
    path, read = maker(folder)
    content, wrong = path.read_bytes(), []
    for seed in seeds:
        path.unlink()  # not the file that an earlier reader may hold
        path.write_bytes(mutated(content, random.Random(seed)))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(path)
        except GeosegError as error:
            if "\n" in str(error) or len(str(error)) > 2_000:
                wrong.append(f"{seed}: {error}")
        except Exception as error:
            wrong.append(f"{seed}: {type(error).__name__}: {error}")
    return wrong


@pytest.mark.parametrize("maker", MAKERS, ids=NAMES)
def test_some_mutated_files_end_in_words(tmp_path: Path, maker: Callable[..., object]) -> None:
    assert shown(maker, tmp_path, range(14)) == []


@pytest.mark.slow
@pytest.mark.parametrize("maker", MAKERS, ids=NAMES)
def test_two_thousand_mutated_files_end_in_words(tmp_path: Path, maker: Callable[..., object]) -> None:
    assert shown(maker, tmp_path, range(14, 300)) == []


def test_mutations_are_the_same_for_a_seed_and_change_something() -> None:
    content = json.dumps({"a": [1, 2, 3]}).encode()
    made = [mutated(content, random.Random(seed)) for seed in range(50)]
    assert made == [mutated(content, random.Random(seed)) for seed in range(50)]
    assert sum(m != content for m in made) > 40
