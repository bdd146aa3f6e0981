"""What a bad input is made with, and what is said of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely

from tests.models.bundles import bundle
from tests.raster.makers import UTM, write

NAMES = {"CLASS_1": "forest", "CLASS_2": "water"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One mistake.

    Attributes
    ----------
    what
        The mistake in words, unique.
    make
        Writes its files into the working folder.
    command
        What is typed; ``MODEL`` and ``BASE`` stand for a sound model and for the folder of sound files.
    code
        The exit code.
    says
        Words that the answer must hold, in any case.
    """

    what: str
    command: str
    code: int
    says: tuple[str, ...]
    make: Callable[[], object] = lambda: None


def sound(base: Path) -> None:
    """Sound files, which the mistakes are made with: a scene, a map, a reference and a model."""
    rng = np.random.default_rng(0)
    write(base / "scene.tif", rng.integers(1, 255, (3, 96, 96)).astype(np.uint8))
    write(base / "map.tif", np.repeat([[1, 2]], 48, axis=1).repeat(96, axis=0).astype(np.uint8), tags=NAMES)
    polygons("ref.gpkg", folder=base)
    bundle(base)


def polygons(name: str, *, folder: Path = Path(), crs: Any = UTM, shapes: Any = None, **fields: Any) -> None:
    shapes = shapes or [
        shapely.box(500_000 + 400 * k, 4_999_200, 500_300 + 400 * k, 4_999_900) for k in (0, 1)
    ]
    fields = fields or {"class": ["forest", "water"][: len(shapes)]}
    geopandas.GeoDataFrame(fields, geometry=shapes, crs=crs).to_file(folder / name, engine="pyogrio")


def raster(pixels: Any, dtype: str = "uint8", name: str = "a.tif", **options: Any) -> Path:
    return write(Path(name), np.asarray(pixels).astype(dtype), **options)


def text(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def cut(source: str, name: str, share: float) -> None:
    content = Path(source).read_bytes()
    text(name, content[: int(len(content) * share)])


def model(change: Callable[[dict[str, Any]], object] | bytes) -> None:
    """A copy of the sound model with another description."""
    shutil.copytree(os.environ["BAD_INPUT_BASE"] + "/made", "model")
    file = Path("model/bundle.json")
    if isinstance(change, bytes):
        file.write_bytes(change)
        return
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


ONES = np.ones((3, 96, 96))
