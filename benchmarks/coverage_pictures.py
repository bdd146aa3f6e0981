"""Pictures of simplified coverages: what is uncovered or covered twice stands in loud colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image

Polygons = NDArray[np.object_]
Color = tuple[float, float, float]

SIDES = (1500, 300, 80)
GAP, OVERLAP = "#ff00c8", "#0020ff"
_INCHES, _DPI = 3.3, 110
_PALE = 0.55  # share of white in the colours of classes
_FINE = 300  # windows up to this side show every outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One way to draw the map.

    Attributes
    ----------
    title
        What it is.
    polygons
        In pixels, rows up.
    ids
        Their classes.
    """

    title: str
    polygons: Polygons
    ids: NDArray[np.uint8]


def write_pictures(
    folder: Path, a: NDArray[np.uint8], drawings: list[Drawing], colors: Mapping[int, Color]
) -> list[Path]:
    """PNGs of nested windows at a lively place, one for each of `SIDES` and one of all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    windows = lively_windows(a, SIDES)
    everything = shapely.union_all(_near(drawings[0].polygons, windows[0]))
    written = []
    for name, rows in [(str(w[2]), [w]) for w in windows] + [("all", windows)]:
        path = folder / f"coverage-{name}.png"
        _save(_figure(rows, drawings, everything, colors), path)
        written.append(path)
    return written


def lively_windows(a: NDArray[np.uint8], sides: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(row, column, side) of windows, each in the one before where most borders meet, with least nodata.

    Where three classes meet in 2 x 2 pixels, polygons that are simplified one by one come apart.
    """
    blocks = np.stack([a[:-1, :-1], a[:-1, 1:], a[1:, :-1], a[1:, 1:]])
    blocks.sort(axis=0)
    meet = (np.diff(blocks, axis=0) != 0).sum(axis=0) >= 2
    worth = meet.astype(np.int32) - 10 * (blocks[-1] == 255)
    sums = np.pad(worth.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    row, col, (rows, cols) = 0, 0, worth.shape
    found = []
    for wanted in sides:
        side = min(wanted, rows, cols)
        box = sums[row : row + rows + 1, col : col + cols + 1]
        total = box[side:, side:] - box[:-side, side:] - box[side:, :-side] + box[:-side, :-side]
        r, c = np.unravel_index(total.argmax(), total.shape)
        row, col, rows, cols = row + int(r), col + int(c), side, side
        found.append((row, col, side))
    return found


def _near(polygons: Polygons, window: tuple[int, int, int]) -> Polygons:
    """Polygons that meet a window."""
    chosen: Polygons = polygons[shapely.intersects(polygons, _box(window))]
    return chosen


def _box(window: tuple[int, int, int]) -> shapely.Polygon:
    row, col, side = window
    return shapely.box(col, -row - side, col + side, -row)


def flaws(
    polygons: Polygons, everything: shapely.Geometry, box: shapely.Polygon
) -> tuple[shapely.Geometry, shapely.Geometry]:
    """(what no polygon covers, what several do) of a window, where `everything` is what should be covered."""
    inside = shapely.intersection(polygons[shapely.intersects(polygons, box)], box)
    covered = shapely.union_all(inside)
    one, other = shapely.STRtree(inside).query(inside, predicate="intersects")
    once = one < other
    twice = shapely.intersection(inside[one[once]], inside[other[once]])
    areas = shapely.union_all(twice[shapely.area(twice) > 0])
    return shapely.difference(shapely.intersection(everything, box), covered), areas


def _figure(
    windows: list[tuple[int, int, int]],
    drawings: list[Drawing],
    everything: shapely.Geometry,
    colors: Mapping[int, Color],
) -> Figure:
    width, height = _INCHES * len(drawings), _INCHES * len(windows) + 0.75
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(windows), len(drawings), squeeze=False)
    for row, window in zip(axes, windows, strict=True):
        for ax, drawing in zip(row, drawings, strict=True):
            _draw(ax, window, drawing, everything, colors)
        row[0].set_ylabel(f"{window[2]} x {window[2]} pixels", fontsize=8)
    for ax, drawing in zip(axes[0], drawings, strict=True):
        ax.set_title(drawing.title, fontsize=9)
    loud = [Patch(color=GAP, label="in no polygon"), Patch(color=OVERLAP, label="in several polygons")]
    figure.legend(handles=loud, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _draw(
    ax: Axes,
    window: tuple[int, int, int],
    drawing: Drawing,
    everything: shapely.Geometry,
    colors: Mapping[int, Color],
) -> None:
    box = _box(window)
    chosen = shapely.intersects(drawing.polygons, box)
    polygons, ids = drawing.polygons[chosen], drawing.ids[chosen]
    line = {"edgecolor": "#303030", "linewidth": 0.5} if window[2] <= _FINE else {"linewidth": 0}
    for class_id in np.unique(ids):
        pale = tuple(_PALE + (1 - _PALE) * v for v in colors[int(class_id)])
        ax.add_patch(PathPatch(_outline(polygons[ids == class_id]), facecolor=pale, **line))
    gaps, overlaps = flaws(polygons, everything, box)
    for areas, color in ((gaps, GAP), (overlaps, OVERLAP)):
        if areas.area > 0:
            ax.add_patch(PathPatch(_outline(shapely.get_parts(areas)), color=color, linewidth=0.4))
    torn = f"in none {gaps.area / box.area:.2%}, in several {overlaps.area / box.area:.2%}"
    ax.set_xlabel(f"{_corners(polygons, box):,} corners; {torn}", fontsize=7)
    row, col, side = window
    ax.set(xlim=(col, col + side), ylim=(-row - side, -row), xticks=[], yticks=[], aspect="equal")


def _corners(polygons: Polygons, box: shapely.Polygon) -> int:
    """Corners of polygons in a window, each counted for every polygon that has it."""
    points, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    left, below, right, above = box.bounds
    inside = (points >= (left, below)).all(axis=1) & (points <= (right, above)).all(axis=1)
    first = np.diff(ring, prepend=-1) != 0  # it comes again as the last
    return int((inside & ~first).sum())


def _outline(geometries: Polygons) -> Outline:
    """All rings of the polygons among them as one outline."""
    areas = geometries[shapely.get_dimensions(geometries) == 2]
    rings = shapely.get_rings(shapely.get_parts(areas))
    return Outline.make_compound_path(*(Outline(shapely.get_coordinates(r), closed=True) for r in rings))


def _save(figure: Figure, path: Path) -> None:
    """Few colours, small file."""
    figure.savefig(path, dpi=_DPI)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
