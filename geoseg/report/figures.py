"""Pictures for people: a scene, its classes, polygons over pixels, what changed, and a confusion matrix.

Every function writes one PNG, whole or not at all, and gives its path. matplotlib is used without its global
state, so that figures may be drawn in any thread and no window is ever opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.files import whole
from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA, Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.opening import open_scene
from geoseg.raster.scene import Scene
from geoseg.raster.vectors import read_vector
from geoseg.report.decimate import read_classes, read_image, read_numbers, step_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_SIZE = 1100
_PERCENTILES = (1.0, 99.0)
_GREY = 0.75  # of what did not change only the brightness is left, and little of that
_OUTSIDE = "#FFFFFF"
_PALE = 0.92
_DAYS = 10_000


def draw_scene(
    scene: Scene | str | Path,
    out: str | Path,
    *,
    bands: Sequence[int | str] | None = None,
    title: str = "",
    size: int = _SIZE,
) -> Path:
    """PNG of a scene, each band stretched from its 1st to its 99th percentile.

    Parameters
    ----------
    bands
        Three bands for red, green and blue, or one for grey; by default those of these names, else the first.
    size
        Longer side of the picture in scene pixels shown; a larger scene is averaged down, block by block.
    """
    opened = scene if isinstance(scene, Scene) else open_scene(scene)
    small = read_image(opened, bands or _natural_bands(opened), size)
    figure, axes = _map_figure(small.pixels.shape[1:], title)
    axes.imshow(_stretched(small.pixels), interpolation="nearest")
    _scale_bar(axes, opened.grid, small.step)
    return _save(figure, out)


def draw_classes(
    classes: ClassMap | str | Path, out: str | Path, *, title: str = "", size: int = _SIZE
) -> Path:
    """PNG of a class map in its legend's colours, with every class's share of the mapped pixels shown."""
    opened = classes if isinstance(classes, ClassMap) else open_class_map(classes)
    small, step = read_classes(opened, size)
    figure, axes = _map_figure(small.shape, title, legend=True)
    axes.imshow(_colours(opened.legend)[small], interpolation="nearest")
    counts = np.bincount(small.ravel(), minlength=NODATA + 1)
    total = max(int(counts[:NODATA].sum()), 1)
    _legend(axes, [(f"{c.name}  {counts[c.id] / total:.1%}", c.color) for c in opened.legend.classes])
    _scale_bar(axes, opened.grid, step)
    return _save(figure, out)


def draw_change(
    before: ClassMap | str | Path,
    after: ClassMap | str | Path,
    out: str | Path,
    *,
    title: str = "",
    size: int = _SIZE,
) -> Path:
    """PNG of what changed: the new class in full colour, what stayed grey; white where either is unknown.

    Raises
    ------
    InputError
        Maps on different grids.
    """
    maps = [m if isinstance(m, ClassMap) else open_class_map(m) for m in (before, after)]
    difference = maps[0].grid.difference(maps[1].grid)
    if difference:
        raise InputError("maps are not on one grid", where=maps[1].path, why=difference)
    (old, step), (new, _) = (read_classes(m, size) for m in maps)
    legend = maps[1].legend
    known = (old != NODATA) & (new != NODATA)
    changed = known & (old != new)
    colours = _colours(legend)
    brightness = _GREY + (1 - _GREY) * (colours @ np.array([0.299, 0.587, 0.114]))
    picture = np.where(changed[..., None], colours[new], brightness[new][..., None])
    picture[~known] = 1.0
    figure, axes = _map_figure(new.shape, title, legend=True)
    axes.imshow(picture, interpolation="nearest")
    counts = np.bincount(new[changed], minlength=NODATA + 1)
    total = max(int(known.sum()), 1)
    entries = [(f"to {c.name}  {counts[c.id] / total:.1%}", c.color) for c in legend.classes if counts[c.id]]
    _legend(axes, entries or [("nothing changed", _OUTSIDE)])
    _scale_bar(axes, maps[1].grid, step)
    return _save(figure, out)


def draw_years(raster: Scene | str | Path, out: str | Path, *, title: str = "", size: int = _SIZE) -> Path:
    """PNG of years, as first_loss.tif of a series holds them: from early to late, pale where it is 0.

    Days like 20210715 are shown by their year; white where nothing is known.
    """
    opened = raster if isinstance(raster, Scene) else open_scene(raster)
    numbers, step = read_numbers(opened, size)
    years = np.where(numbers > _DAYS, numbers // _DAYS, numbers)
    found = np.unique(years[years > 0]).astype(int)
    figure, axes = _map_figure(years.shape, title, legend=True)
    picture = np.ones((*years.shape, 3))
    picture[years == 0] = _PALE
    colours = _ramp(len(found))
    for year, colour in zip(found, colours, strict=True):
        picture[years == year] = colour
    axes.imshow(picture, interpolation="nearest")
    shares = [(int(y), c, float((years == y).sum())) for y, c in zip(found, colours, strict=True)]
    known = max(float(np.isfinite(years).sum()), 1.0)
    entries = [(f"{y}  {n / known:.1%}", _hex(c)) for y, c, n in shares]
    _legend(axes, [*entries, (f"none  {(years == 0).sum() / known:.1%}", _hex(np.full(3, _PALE)))])
    _scale_bar(axes, opened.grid, step)
    return _save(figure, out)


def _ramp(many: int) -> NDArray[np.float64]:
    """(many, 3) colours from yellow over red to violet, told apart also in grey."""
    from matplotlib import colormaps

    return np.asarray(colormaps["plasma_r"](np.linspace(0.05, 0.95, many)))[:, :3]


def _hex(colour: NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * float(v)):02X}" for v in colour)


def draw_polygons(
    scene: Scene | str | Path,
    polygons: str | Path,
    out: str | Path,
    *,
    window: Window | None = None,
    legend: Legend | None = None,
    title: str = "",
) -> Path:
    """PNG of the polygons' outlines over single pixels of the scene, so that one sees where the edges lie.

    Parameters
    ----------
    polygons
        Vector layer in the scene's CRS.
    window
        Part to show, a hundred pixels wide or so; by default the middle of the scene.
    legend
        Colours by the field ``class_id``; white outlines without.
    """
    opened = scene if isinstance(scene, Scene) else open_scene(scene)
    window = window or _middle(opened.grid, 96)
    if not window or not opened.grid.window.contains(window):
        raise UsageError("window is not inside the scene", where=opened.name, why=f"found {window}")
    pixels, valid = opened.read(window, _natural_bands(opened))
    image = np.where(valid, pixels, np.nan).astype(np.float32)
    frame = _read_polygons(Path(polygons), opened.grid.crop(window))
    figure, axes = _map_figure(window.shape, title, legend=legend is not None)
    axes.imshow(_stretched(image), interpolation="nearest", extent=(0, window.width, window.height, 0))
    shown: dict[int, str] = {}
    inverse = ~opened.grid.transform
    for class_id, rings in frame:
        colour = next((c.color for c in legend.classes if c.id == class_id), _OUTSIDE) if legend else _OUTSIDE
        shown[class_id] = colour
        for ring in rings:
            x, y = ring[:, 0], ring[:, 1]
            col = inverse.a * x + inverse.b * y + inverse.c - window.col
            row = inverse.d * x + inverse.e * y + inverse.f - window.row
            axes.plot(col, row, color="black", linewidth=2.6)
            axes.plot(col, row, color=colour, linewidth=1.3)
    axes.set_xlim(0, window.width)
    axes.set_ylim(window.height, 0)
    if legend is not None:
        _legend(axes, [(c.name, c.color) for c in legend.classes if c.id in shown])
    _scale_bar(axes, opened.grid, 1)
    return _save(figure, out)


def draw_confusion(
    counts: NDArray[np.int64], names: Sequence[str], out: str | Path, *, title: str = ""
) -> Path:
    """PNG of a confusion matrix (rows reference, columns map): each row's shares, with the counts written."""
    k = len(names)
    if counts.shape != (k, k):
        raise UsageError("matrix does not fit the names", why=f"found {counts.shape} for {k} names")
    figure = _figure(1.1 * k + 3.2, 0.85 * k + 2.2)
    axes = figure.add_subplot()
    rows = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(rows, 1)
    axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    for i in range(k):
        for j in range(k):
            text = f"{shares[i, j]:.1%}\n{_short(int(counts[i, j]))}" if rows[i, 0] else "-"
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[i, j] > 0.6 else "black",
            )
    axes.set_xticks(range(k), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(k), names)
    axes.set_xlabel("map")
    axes.set_ylabel("reference")
    axes.set_title(title or "Confusion matrix: share of each reference class, and pixels", fontsize=11)
    return _save(figure, out)


def busiest_window(classes: ClassMap | str | Path, side: int = 96) -> Window:
    """Window of at most `side` x `side` pixels with the most classes side by side: where to look closely."""
    from scipy import ndimage

    opened = classes if isinstance(classes, ClassMap) else open_class_map(classes)
    height, width = (min(side, n) for n in opened.grid.shape)
    step = step_for(opened.grid, 2048)
    small, _ = read_classes(opened, 2048)
    variety = np.zeros(small.shape, np.float32)
    cell = max(side // step, 1)
    for class_id in np.unique(small[small != NODATA]):
        here = (small == class_id).astype(np.float32)
        # many classes, each with a fair share, tell more than many edges of one kind
        variety += np.sqrt(ndimage.uniform_filter(here, cell, mode="constant"))
    row, col = np.unravel_index(int(variety.argmax()), variety.shape)
    top = int(np.clip(int(row) * step - height // 2, 0, opened.grid.height - height))
    left = int(np.clip(int(col) * step - width // 2, 0, opened.grid.width - width))
    return Window(top, left, height, width)


def _natural_bands(scene: Scene) -> list[int]:
    names = [n.casefold() for n in scene.band_names]
    wanted = ("red", "green", "blue")
    if all(names.count(n) == 1 for n in wanted):
        return [names.index(n) + 1 for n in wanted]
    return [1, 2, 3] if scene.count >= 3 else [1]


def _stretched(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Image (h, w, 3) from 0 to 1; white where a pixel has no value."""
    image = np.ones((*pixels.shape[1:], 3))
    missing = ~np.isfinite(pixels).all(axis=0)
    for channel in range(3):
        band = pixels[channel % len(pixels)].astype(np.float64)
        values = band[~missing]
        if values.size:
            low, high = np.percentile(values, _PERCENTILES)
            image[..., channel] = np.clip((band - low) / max(high - low, 1e-12), 0, 1) ** 0.85
    image[missing] = 1.0
    return image


def _colours(legend: Legend) -> NDArray[np.float64]:
    """Lookup table (256, 3) from 0 to 1; a value outside the legend is black, nodata white."""
    table = np.zeros((NODATA + 1, 3))
    for c in legend.classes:
        table[c.id] = np.array(c.rgb) / 255
    table[NODATA] = 1.0
    return table


def _read_polygons(path: Path, grid: Grid) -> list[tuple[int, list[NDArray[np.float64]]]]:
    """(class id, rings) of the polygons that meet the grid, in the grid's CRS."""
    frame = read_vector(path)
    if frame.crs != grid.crs:
        frame = frame.to_crs(grid.crs)
    left, bottom, right, top = grid.bounds
    frame = frame.cx[left:right, bottom:top]
    ids = frame["class_id"] if "class_id" in frame else [-1] * len(frame)
    polygons: list[tuple[int, list[NDArray[np.float64]]]] = []
    for class_id, shape in zip(ids, frame.geometry, strict=True):
        parts = [shape] if shape.geom_type == "Polygon" else list(getattr(shape, "geoms", ()))
        rings = [np.asarray(ring.coords) for p in parts for ring in (p.exterior, *p.interiors)]
        polygons.append((int(class_id), rings))
    return polygons


def _middle(grid: Grid, side: int) -> Window:
    height, width = min(side, grid.height), min(side, grid.width)
    return Window((grid.height - height) // 2, (grid.width - width) // 2, height, width)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _map_figure(shape: Sequence[int], title: str, *, legend: bool = False) -> tuple[Figure, Axes]:
    height, width = shape
    longest = 9.5
    size = longest * width / max(height, width), longest * height / max(height, width)
    figure = _figure(
        max(size[0], 2.5) + (2.3 if legend else 0.2), max(size[1], 2.0) + (0.7 if title else 0.4)
    )
    axes = figure.add_subplot()
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize=12, loc="left")
    return figure, axes


def _legend(axes: Axes, entries: Sequence[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, edgecolor="#444444", linewidth=0.5, label=text) for text, colour in entries
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=10)


def _scale_bar(axes: Axes, grid: Grid, step: int) -> None:
    """Bar of a round number of metres, at most a quarter of the picture, lower left under the map."""
    metres = grid.ground_size[0] * step
    left, right = axes.get_xlim()
    longest = (right - left) / 4 * metres
    if not np.isfinite(longest) or longest <= 0:
        return
    power = 10.0 ** np.floor(np.log10(longest))
    length = next(m * power for m in (5, 2, 1) if m * power <= longest)
    share = length / metres / (right - left)
    axes.plot(
        [0, share], [-0.012, -0.012], transform=axes.transAxes, color="black", linewidth=3, clip_on=False
    )
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.text(share + 0.01, -0.012, text, transform=axes.transAxes, va="center", fontsize=9)


def _short(count: int) -> str:
    if count >= 10_000_000:
        return f"{count / 1e6:.0f} M"
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e3:.0f} k" if count >= 10_000 else f"{count:,}"


def _save(figure: Any, out: str | Path) -> Path:
    target = Path(out)
    with whole(target) as partial:
        figure.savefig(partial, format="png", bbox_inches="tight", pad_inches=0.12)
    return target
