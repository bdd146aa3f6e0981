"""Remarks on a scene that are no errors, but that its user should know."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.raster.members import size_of
from geoseg.raster.scene import Scene
from geoseg.raster.sidecars import aux_file, read_side

_SIBLINGS = (".rpb", ".RPB", ".tfw", ".TFW", ".wld", ".prj")
_PROBE = 32
_SUSPICIOUS_RATIO = 100_000


def remarks(scene: Scene, *, collar: bool = True) -> Iterator[str]:
    """Notes on a scene, from its metadata and a few small reads at its border, which `collar` asks for."""
    yield from _sidecars(scene)
    yield from _larger_pixels(scene)
    yield from _shape_of_pixels(scene)
    yield from _compression(scene)
    if collar:
        yield from _border(scene)


def _sidecars(scene: Scene) -> Iterator[str]:
    """What was taken from files beside the scene's, and which of them were not looked at; each kind once."""
    ignored: defaultdict[str, list[str]] = defaultdict(list)
    for path, mask in zip(scene.paths, scene.masks, strict=True):
        if read_side(path):
            yield f"what {aux_file(path).name} says of nodata, names and scale is used"
        elif aux_file(path).exists():
            ignored[".aux.xml"].append(aux_file(path).name)
        if mask is not None:
            yield f"{path.name}: masked by {mask.name}"
        for suffix in (".ovr", *([] if mask else [".msk"])):
            if path.with_name(path.name + suffix).exists():
                ignored[suffix].append(path.name + suffix)
        for suffix in _SIBLINGS:
            if path.with_suffix(suffix).exists():
                ignored[suffix.lower()].append(path.with_suffix(suffix).name)
    for suffix, names in ignored.items():
        what = names[0] if len(names) == 1 else f"{len(names)} files {suffix}, such as {names[0]},"
        yield f"{what} beside the scene ignored"


def _larger_pixels(scene: Scene) -> Iterator[str]:
    """Which bands are interpolated, by the size of their pixels."""
    bands: defaultdict[float, list[str]] = defaultdict(list)
    for band in scene.bands:
        if scene.coarser and (grid := scene.coarser[band.file]) is not None:
            bands[grid.transform.a / scene.grid.transform.a].append(band.name)
    for ratio, names in bands.items():
        named = ", ".join(names)
        yield f"bands of {ratio:.3g} times larger pixels, bilinear on the grid of the others: {named}"


def _shape_of_pixels(scene: Scene) -> Iterator[str]:
    if scene.grid.transform.e > 0:
        yield "south-up: the first row is the southernmost; outputs keep that order"
    width, height = scene.grid.ground_size
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        yield "pixel size on the ground is unknown: the centre lies outside the coordinate system's area"
    elif max(width / height, height / width) > 1.05:
        yield f"pixels are not square on the ground: {width:.4g} m wide, {height:.4g} m high"


def _compression(scene: Scene) -> Iterator[str]:
    size = sum(map(size_of, scene.paths))
    raw = math.prod(scene.shape) * scene.dtype.itemsize
    if raw > _SUSPICIOUS_RATIO * size:
        yield f"{raw / 2**20:.0f} MiB of pixels in a file of {size} bytes: sparse or suspicious"


def _border(scene: Scene) -> Iterator[str]:
    """A border of one constant value without any nodata is mostly a collar that nobody declared."""
    declared = (
        any(b.nodata is not None for b in scene.bands) or any(scene.masked) or any(map(bool, scene.alphas))
    )
    if declared or min(scene.grid.shape) < 4 * _PROBE:
        return
    values: Counter[Any] = Counter()
    places = _border_probes(*scene.grid.shape)
    for window in places:
        try:
            pixels, _ = scene.read(window, [1])  # a collar is in every band
        except InputError:
            return  # a damaged block is reported by the read that needs it
        first = pixels.flat[0]
        if (pixels == first).all() or (pixels.dtype.kind == "f" and np.isnan(pixels).all()):
            values[first.item()] += 1
    if values:
        value, hits = values.most_common(1)[0]
        if hits >= 2 and not math.isnan(value):
            yield (
                f"{hits} of {len(places)} places at the border hold only {value:g}, and no nodata is "
                f"declared; if it means no data: `nodata={value:g}`"
            )


def _border_probes(height: int, width: int) -> list[Window]:
    rows = (0, (height - _PROBE) // 2, height - _PROBE)
    cols = (0, (width - _PROBE) // 2, width - _PROBE)
    return [
        Window(r, c, _PROBE, _PROBE)
        for i, r in enumerate(rows)
        for j, c in enumerate(cols)
        if (i, j) != (1, 1)
    ]
