"""A model from labels in a minute: multinomial logistic regression on single pixels, saved as a bundle.

    python workflows/fit_linear.py configs/fit_linear.yaml

No spatial context, so it is a baseline and a test of the chain, not a good map. Labels are a class raster on
the scene's grid, polygons, or points. Only the part of the scene named by `fit_columns` is used, so that the
rest can be scored honestly.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression

import geoseg
from geoseg.errors import GeosegError
from geoseg.geometry import Grid, Window
from geoseg.job import Job
from geoseg.legend import NODATA, Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import Bundle, save_bundle
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.open import open_truth

_BLOCK, _PER_CLASS = 1024, 20_000


class FitLinear(Job):
    """What to fit, and on what.

    Attributes
    ----------
    scene, bands, options
        As in `geoseg.open_scene`.
    labels, field
        Class raster, or a layer of polygons or points with a class field.
    classes
        Class id to name.
    crosswalk
        Value in the labels to class name, or ``ignore``.
    fit_columns
        Share of the scene's columns to learn from, from the left: [0, 0.5] is the west half.
    """

    scene: str
    labels: Path
    classes: dict[int, str]
    out: Path
    field: str | None = None
    crosswalk: dict[str | int, str] | None = None
    bands: list[int | str] | None = None
    fit_columns: tuple[float, float] = (0.0, 1.0)
    licence: str = "see the labels' licence"
    options: dict[str, Any] = Field(default_factory=dict)


def fit(job: FitLinear) -> Bundle:
    """Saved bundle of the fitted classifier."""
    scene = geoseg.open_scene(job.scene, bands=job.bands, **job.options)
    legend = Legend.of(job.classes)
    truth = _labels(job, scene.grid, legend)
    first, last = (round(share * scene.grid.width) for share in job.fit_columns)
    pixels, labels = [], []
    for window in Window(0, first, scene.grid.height, last - first).blocks(_BLOCK, _BLOCK):
        values, valid = scene.read(window)
        classes = truth.read(window)
        known = valid & (classes != NODATA)
        pixels.append(values[:, known].T)
        labels.append(classes[known])
    x, y = _balanced(np.concatenate(pixels).astype(np.float64), np.concatenate(labels))
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(max_iter=2000, class_weight="balanced").fit((x - mean) / std, y)
    return _save(job, scene, legend, model, (x, mean, std))


def _labels(job: FitLinear, grid: Grid, legend: Legend) -> Truth:
    """Class ids under the scene's pixels."""
    file = TruthFile(
        path=job.labels, field=job.field, crosswalk=job.crosswalk, overlap="file", ground="scene"
    )
    return open_truth(file, grid, legend)


def _balanced(x: NDArray[np.float64], y: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """At most the same number of pixels of each class, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(np.flatnonzero(y == value))[:_PER_CLASS] for value in np.unique(y)]
    keep = np.concatenate(chosen)
    return x[keep], y[keep]


def _save(job: FitLinear, scene: Any, legend: Legend, model: LogisticRegression, sample: Any) -> Bundle:
    x, mean, std = sample
    weights, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    network = build(Architecture(name="linear"), bands=scene.count, classes=len(legend))
    rows = [legend.ids.index(int(c)) for c in model.classes_]
    state = {k: torch.zeros_like(v) for k, v in network.state_dict().items()}
    kernel = next(k for k, v in state.items() if v.ndim == 4)
    constant = next(k for k, v in state.items() if v.ndim == 1)
    state[constant] -= 1e4  # a class without labels is never chosen
    state[kernel][rows, :, 0, 0] = torch.from_numpy(weights).float()
    state[constant][rows] = torch.from_numpy(bias).float()
    network.load_state_dict(state)
    size = scene.grid.ground_size
    low, high = np.percentile(x, [0, 100])
    described = ModelDescription(
        name=job.out.name,
        version="1",
        architecture=Architecture(name="linear"),
        contract=InputContract(
            bands=tuple(Band(name=name or f"band {i + 1}") for i, name in enumerate(scene.band_names)),
            dtype=scene.dtype.name,
            value_range=(float(low), float(high)),
            mean=tuple(mean),
            std=tuple(std),
            pixel_size=(min(size) * 0.5, max(size) * 2),
        ),
        legend=legend,
        licence=job.licence,
        provenance={"command": f"python workflows/fit_linear.py ({job.labels.name})"},
        description="Multinomial logistic regression on single pixels: a baseline.",
    )
    return save_bundle(job.out, network, described, overwrite=True)


def main() -> None:
    """Fit what a configuration asks for."""
    try:
        bundle = fit(FitLinear.load(sys.argv[1]))
    except GeosegError as error:
        sys.exit(f"fit_linear: {error}")
    print(f"{bundle.path}: {', '.join(bundle.legend.names)}")


if __name__ == "__main__":
    main()
