"""From the mask of a window to the outline of an object on the map."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoseg.geometry import Grid, pixel_areas
from geoseg.legend import NODATA
from geoseg.models.prompt import Prompt
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.shapes import shapes_of
from geoseg.outlines.wkb import encode
from geoseg.prompts.windows import Place
from geoseg.regions.label import number_regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """An object.

    Attributes
    ----------
    shape
        MultiPolygon in the CRS of the scene.
    pixels
        Of the scene, that it covers.
    square_metres
        On the ellipsoid.
    cut
        Whether it goes on beyond the window that the model saw.
    overlap
        Intersection over union of each part that got right angles with the traced one.
    """

    shape: Any
    pixels: int
    square_metres: float
    cut: bool
    overlap: NDArray[np.float64]


def meant(mask: NDArray[np.bool_], prompt: Prompt) -> NDArray[np.bool_]:
    """The 4-connected parts of a mask that hold a point inside the object; of a box alone, the largest.

    Of parts as large as each other the first by row and column.
    """
    labels, regions = number_regions(np.where(mask, np.uint8(1), np.uint8(NODATA)))
    sizes = regions["pixels"]
    if not len(sizes):
        return mask
    rows, cols = prompt.points[prompt.inside].T
    if len(rows):
        here = (rows >= 0) & (rows < len(mask)) & (cols >= 0) & (cols < mask.shape[1])
        chosen = np.unique(labels[rows[here], cols[here]])
    else:
        chosen = np.array([int(sizes.argmax())])
    return np.isin(labels, chosen[chosen >= 0])


def outline_of(
    mask: NDArray[np.bool_], place: Place, grid: Grid, how: Generalization | None = None
) -> Outline:
    """Outline of a mask (T, T) that is not empty, seen at a place of a scene with that grid.

    It runs along the edges of pixels, or as `how` says of those of the scene.
    """
    how = None if how is None else how.coarsened(place.coarser)
    traced = shapes_of(_classes(mask), row=0, col=0, scene_width=mask.shape[1], generalization=how)
    fine = Affine.identity() if how is None else Affine.scale(1 / how.scale)
    coded = encode(traced.rings.points, traced.rings, transform=fine)
    wkb = [coded.wkb[a:b].tobytes() for a, b in pairwise(coded.offsets.tolist())]
    seen = place.grid(grid, len(mask))

    def to_map(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(seen.corner(xy[:, 1], xy[:, 0]))

    whole = shapely.multipolygons(shapely.get_parts(shapely.from_wkb(wkb)))
    areas = np.broadcast_to(pixel_areas(seen, seen.window), mask.shape)
    edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    return Outline(
        shape=shapely.orient_polygons(shapely.transform(whole, to_map)),
        pixels=int(mask.sum()) * place.coarser**2,
        square_metres=float(areas[mask].sum()),
        cut=bool(edge),
        overlap=traced.overlap,
    )


def _classes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Labels (h + 2, w + 2) of a mask within nodata."""
    out = np.full((mask.shape[0] + 2, mask.shape[1] + 2), NODATA, np.uint8)
    out[1:-1, 1:-1][mask] = 1
    return out
