"""Pictures of a training: learning curve, reliability, confusion, validation samples."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.calibration import Calibration
from geoseg.legend import NODATA, Legend

Shown = tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8]]  # normalised bands, truth, guess
Outlined = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]
"""Normalised bands, and numbers of objects: 0 for none, below 0 for not known."""


def learning_curve(history: Sequence[dict[str, Any]], colors: Mapping[str, str], best_step: int) -> bytes:
    """PNG: training loss, and the figures of validation in their `colors`, over the steps."""
    figure, (left, right) = _axes(1, 2, (9, 3.4))
    steps = [row["step"] for row in history]
    left.plot(steps, [row["loss"] for row in history], color="#333333")
    left.set(xlabel="step", ylabel="loss on training crops")
    for number, name in enumerate(history[0]["figures"]):
        found = [row["figures"][name] for row in history]
        how = {"color": "#333333", "linestyle": "--"} if number == 0 else {"color": colors.get(name)}
        right.plot(steps, [np.nan if v is None else v for v in found], label=name, linewidth=1.4, **how)
    right.axvline(best_step, color="#999999", linewidth=0.8)
    right.set(xlabel="step", ylabel="at validation", ylim=(0, 1))
    right.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)


def reliability_diagram(found: Calibration) -> bytes:
    """PNG: accuracy against confidence after calibration, with the share of pixels in each bin."""
    figure, axis = _axes(1, 1, (4, 3.6))
    edges = np.linspace(0, 1, len(found.share) + 1)
    axis.bar(edges[:-1], found.share, width=np.diff(edges), align="edge", color="#dddddd", label="share")
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
    axis.plot(found.confidence, found.accuracy, marker="o", markersize=3.5, color="#0072B2", label="accuracy")
    axis.set(xlabel="confidence", ylabel="accuracy, share of pixels", xlim=(0, 1), ylim=(0, 1))
    axis.legend(fontsize=8, frameon=False)
    return _png(figure)


def confusion_picture(counts: NDArray[np.int64], legend: Legend) -> bytes:
    """PNG: each reference class's pixels by mapped class, in percent."""
    side = 2.2 + 0.55 * len(legend)
    figure, axis = _axes(1, 1, (side + 0.8, side))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, col), value in np.ndenumerate(share):
        color = "white" if value > 0.6 else "black"
        axis.text(col, row, f"{value:.0%}", ha="center", va="center", fontsize=8, color=color)
    axis.set_xticks(range(len(legend)), legend.names, rotation=40, ha="right", fontsize=8)
    axis.set_yticks(range(len(legend)), legend.names, fontsize=8)
    axis.set(xlabel="map", ylabel="reference")
    return _png(figure)


def sample_picture(shown: Sequence[Shown], legend: Legend) -> bytes:
    """PNG: validation windows as image, reference and map; grey is not labelled."""
    figure, axes = _axes(len(shown), 3, (6.6, 2.2 * len(shown)))
    colors = np.full((256, 3), 160, np.uint8)
    colors[: len(legend)] = [c.rgb for c in legend.classes]
    for line, (bands, truth, guess) in zip(np.atleast_2d(axes), shown, strict=True):
        line[0].imshow(_visible(bands))
        line[1].imshow(colors[truth])
        line[2].imshow(colors[guess])
    return _png_of_windows(figure, axes, ("image", "reference", "map"))


def outline_picture(shown: Sequence[Outlined]) -> bytes:
    """PNG: validation windows, and on them the outlines of the reference and of the objects found."""
    figure, axes = _axes(len(shown), 3, (9, 3 * len(shown)))
    for line, (bands, reference, found) in zip(np.atleast_2d(axes), shown, strict=True):
        image = _visible(bands)
        line[0].imshow(image)
        for axis, ids, color in ((line[1], reference, (1, 0.9, 0)), (line[2], found, (1, 0.1, 0.1))):
            drawn = image.copy()
            drawn[ids < 0] = 0.4 * drawn[ids < 0] + 0.3
            drawn[_edges(ids)] = color
            axis.imshow(drawn)
    return _png_of_windows(figure, axes, ("image", "reference", "found"))


def _png_of_windows(figure: Any, axes: Any, titles: Sequence[str]) -> bytes:
    for axis, title in zip(np.atleast_2d(axes)[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for axis in np.ravel(axes):
        axis.set_xticks([])
        axis.set_yticks([])
    return _png(figure)


def _edges(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels of objects (h, w) that have a neighbour of another number."""
    wide = np.pad(ids, 1, mode="edge")
    sides = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    found: NDArray[np.bool_] = (ids > 0) & np.any([side != ids for side in sides], axis=0)
    return found


def pick(counted: Sequence[tuple[int, int]], most: int = 4) -> list[int]:
    """Numbers of the windows to show: of (window, classes in it), those with most classes, spread evenly."""
    if not counted:
        return []
    richest = max(classes for _, classes in counted)
    good = [window for window, classes in counted if classes >= min(richest, 2)]
    return sorted({good[i] for i in np.linspace(0, len(good) - 1, most).round().astype(int)})


def _visible(bands: NDArray[Any]) -> NDArray[np.float64]:
    """(h, w, 3) of three normalised bands: the first three, the third as red where there are more."""
    order = [0, 1, 2] if len(bands) == 3 else [min(2, len(bands) - 1), min(1, len(bands) - 1), 0]
    picture = np.stack([bands[i] for i in order], axis=-1).astype(np.float64)
    low, high = np.percentile(picture, (1, 99))
    stretched: NDArray[np.float64] = np.clip((picture - low) / max(high - low, 1e-9), 0, 1)
    return stretched


def _axes(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=90, layout="constrained")
    FigureCanvasAgg(figure)  # no global state, no window system
    return figure, figure.subplots(rows, columns)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def classes_in(truth: NDArray[np.uint8]) -> int:
    """Number of classes in a window's reference."""
    return len(np.setdiff1d(np.unique(truth), [NODATA]))
