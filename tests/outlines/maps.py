"""Small class maps that hurt, and the independent answer for any map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.features import shapes as rasterio_shapes

from geoseg.outlines.seams import Rings, joined_rings
from geoseg.outlines.shapes import shapes_of
from geoseg.outlines.stream import stream_shapes

NORTH_UP = Affine(1, 0, 0, 0, -1, 0)


@dataclass(frozen=True)
class Traced:
    """Regions and their polygons, in order."""

    regions: np.ndarray
    rings: Rings


def checkerboard(n: int) -> np.ndarray:
    return (np.indices((n, n)).sum(0) % 2).astype(np.uint8)


def diagonals(n: int) -> np.ndarray:
    i, j = np.indices((n, n))
    return ((i - j) % 3 == 0).astype(np.uint8)


def frames(n: int) -> np.ndarray:
    """Rings of one pixel around each other."""
    i, j = np.indices((n, n))
    return (np.minimum(np.minimum(i, j), np.minimum(n - 1 - i, n - 1 - j)) % 2).astype(np.uint8)


def spiral(n: int) -> np.ndarray:
    """One region of one pixel's width that winds through the whole map."""
    a = np.zeros((n, n), np.uint8)
    r, c, d = 0, 0, 0
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    a[0, 0] = 1
    turns = 0
    while turns < 2:
        dr, dc = steps[d]
        ahead, beyond = (r + dr, c + dc), (r + 2 * dr, c + 2 * dc)
        inside = 0 <= ahead[0] < n and 0 <= ahead[1] < n
        free = not (0 <= beyond[0] < n and 0 <= beyond[1] < n) or a[beyond] == 0
        if inside and free and a[ahead] == 0:
            r, c = ahead
            a[r, c] = 1
            turns = 0
        else:
            d, turns = (d + 1) % 4, turns + 1
    return a


def pinched_ring() -> np.ndarray:
    """A ring closed only at corners: its hole touches the outside, its exterior touches itself."""
    return np.array(
        [[0, 1, 1, 1, 0], [1, 0, 0, 1, 1], [1, 0, 1, 0, 1], [1, 1, 0, 0, 1], [0, 1, 1, 1, 0]], np.uint8
    )


SHAPES = {
    "checkerboard": checkerboard(9),
    "diagonals": diagonals(10),
    "frames": frames(11),
    "spiral": spiral(13),
    "pinched": pinched_ring(),
    "one pixel": np.zeros((1, 1), np.uint8),
    "row": np.array([[0, 1, 1, 255, 1, 0, 0]], np.uint8),
    "nodata only": np.full((4, 5), 255, np.uint8),
}


@st.composite
def class_maps(draw: st.DrawFn, most: int = 14) -> np.ndarray:
    """Maps of up to `most` pixels a side: noise, blown-up noise, and structures with holes punched in."""
    kind = draw(st.sampled_from(["noise", "blocks", "structure"]))
    if kind == "structure":
        a = draw(st.sampled_from(list(SHAPES.values()))).copy()
    else:
        values = st.sampled_from([0, 1, 1, 255] if draw(st.booleans()) else [0, 1, 2])
        shape = st.tuples(st.integers(1, most), st.integers(1, most))
        a = draw(hnp.arrays(np.uint8, shape, elements=values))
        if kind == "blocks":
            a = np.kron(a, np.ones((2, 3), np.uint8))[:most, :most]
    if draw(st.booleans()):
        holes = draw(st.integers(0, 5))
        rng = np.random.default_rng(draw(st.integers(0, 1000)))
        a.ravel()[rng.integers(0, a.size, holes)] = 255
    return a


def trace_chunked(a: np.ndarray, rows: int, cols: int, most_corners: int | None = None) -> Traced:
    """All polygons of a map that is read in chunks of rows x cols."""
    height, width = a.shape
    padded = np.pad(a, 1, constant_values=255)
    chunks = (
        shapes_of(
            padded[r : r + min(rows, height - r) + 2, c : c + min(cols, width - c) + 2].copy(),
            row=r,
            col=c,
            scene_width=width,
        )
        for r in range(0, height, rows)
        for c in range(0, width, cols)
    )
    shapes = stream_shapes(chunks, -(-width // cols), most_corners=most_corners)
    parts = [s.part(0, len(s.regions)) for s in shapes]
    return Traced(
        regions=np.concatenate([regions for regions, _ in parts]),
        rings=joined_rings([rings for _, rings in parts]),
    )


def polygons_of(rings: Rings, transform: Affine = NORTH_UP) -> list[shapely.Polygon]:
    rows, cols = rings.points.T
    a, b, c, d, e, f = transform[:6]
    xy = np.column_stack([cols * a + rows * b + c, cols * d + rows * e + f])
    lines = shapely.linearrings(
        xy, indices=np.repeat(np.arange(len(rings.ring_offsets) - 1), np.diff(rings.ring_offsets))
    )
    polygons = np.repeat(np.arange(len(rings)), np.diff(rings.polygon_offsets))  # first the exterior of each
    made: list[shapely.Polygon] = shapely.polygons(lines, indices=polygons).tolist()
    return made


def geometry_set(ids: Iterable[int], polygons: Iterable[shapely.Polygon]) -> list[tuple[int, bytes]]:
    """(class, normalised geometry) sorted: equal exactly when the polygons are."""
    wkb = shapely.to_wkb(shapely.normalize(np.array(list(polygons), object)))
    return sorted(zip(map(int, ids), wkb.tolist(), strict=True))


def whole_raster_answer(a: np.ndarray, transform: Affine = NORTH_UP) -> list[tuple[int, bytes]]:
    """What rasterio gives for the whole map at once."""
    found = list(rasterio_shapes(a, mask=a != 255, connectivity=4, transform=transform))
    return geometry_set((v for _, v in found), (shapely.geometry.shape(g) for g, _ in found))
