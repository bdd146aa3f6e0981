"""Scores of `forest-s2-rgb` on its held-out images, and the card made of them (see train_forest.py)."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from geoseg.engines.engine import open_engine
from geoseg.evaluation.matrix import ConfusionMatrix, count
from geoseg.evaluation.metrics import dice, iou, kappa, mean_iou, overall_accuracy, precision, recall
from geoseg.legend import Legend
from geoseg.models.bundle import Bundle
from geoseg.models.network import load_network

NAME = "forest-s2-rgb"
LICENCE = "CC-BY-4.0 (that of the training data, believed and not confirmed)"
CREDIT = (
    "L. Bragagnolo, R. V. da Silva, J. M. V. Grzybowski (2019), Amazon forest dataset, Zenodo record 3233081"
)
_PAD = 32
_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(4), 116))
_BINS = 15
_EDGES = (0, 8, 16, 32, 64, 128)  # distances to a tile's edge, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled image: pixels (3, 512, 512) uint8 and labels (512, 512) uint8 of 1 and 2."""

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What the held-out images say about a model.

    Attributes
    ----------
    legend
        The model's classes.
    names
        Image names.
    matrices
        One confusion matrix per image.
    temperature
        The one with the smallest negative log-likelihood over all held-out pixels.
    ece_before, ece_after
        Expected calibration error without temperature, and with a temperature fitted on the other images.
    pictures
        (image, reference, labels, confidence) of each image.
    same_labels
        Share of pixels with equal labels in bf16 and in fp32.
    speed
        Mpx per CPU second of one thread on 512 px tiles, by precision.
    near_edges
        Share of pixels whose label depends on where the tile was cut, by distance to the tile's edge.
    """

    legend: Legend
    names: list[str]
    matrices: list[ConfusionMatrix]
    temperature: float
    ece_before: float
    ece_after: float
    pictures: list[tuple[NDArray[Any], ...]]
    same_labels: float
    speed: dict[str, float]
    near_edges: dict[str, float]


def score(bundle: Bundle, samples: list[Sample]) -> Scored:
    """Scores of a bundle on labelled images; fp32, tiles of 512 px with 32 px of reflected margin."""
    probability = np.stack([_forest_odds(bundle, s) for s in samples])
    truth = np.stack([s.labels == 1 for s in samples])
    labels = np.where(probability > 0, 1, 2).astype(np.uint8)
    everything = np.arange(len(samples))
    temperature = _fit_temperature(probability, truth)
    others = [_fit_temperature(*(a[everything != i] for a in (probability, truth))) for i in everything]
    scaled = np.stack([odds / t for odds, t in zip(probability, others, strict=True)])
    same, speed = _compare_precisions(bundle, samples)
    confidence = 1 / (1 + np.exp(-np.abs(probability / temperature)))
    return Scored(
        legend=bundle.legend,
        names=[s.name for s in samples],
        matrices=[count(s.labels, found, bundle.legend) for s, found in zip(samples, labels, strict=True)],
        temperature=temperature,
        ece_before=calibration_error(probability, truth),
        ece_after=calibration_error(scaled, truth),
        pictures=[
            (s.pixels, s.labels, found, sure)
            for s, found, sure in zip(samples, labels, confidence, strict=True)
        ],
        same_labels=same,
        speed=speed,
        near_edges=_disagreement_near_edges(bundle, samples),
    )


def _forest_odds(bundle: Bundle, sample: Sample) -> NDArray[np.float64]:
    """Log-odds of forest (H, W) before any temperature."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (bundle.contract.mean, bundle.contract.std))
    padded = torch.from_numpy(_pad(sample.pixels)[None]).float()
    with torch.inference_mode():
        logits = load_network(bundle)((padded - mean) / std)[0, :, _PAD:-_PAD, _PAD:-_PAD].double()
    odds: NDArray[np.float64] = (logits[0] - logits[1]).numpy()
    return odds


def _pad(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(pixels, ((0, 0), (_PAD, _PAD), (_PAD, _PAD)), mode="reflect")


def _fit_temperature(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Temperature with the smallest negative log-likelihood, by search over a fine grid (Guo et al. 2017)."""
    signed = np.where(truth, odds, -odds).ravel()[::7]
    losses = [float(np.logaddexp(0, -signed / t).mean()) for t in _TEMPERATURES]
    return round(float(_TEMPERATURES[int(np.argmin(losses))]), 3)


def calibration_error(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over 15 bins, by pixels."""
    sure = 1 / (1 + np.exp(-np.abs(odds).ravel()))
    right = ((odds > 0) == truth).ravel()
    which = np.clip(((sure - 0.5) * 2 * _BINS).astype(int), 0, _BINS - 1)
    gaps = np.bincount(which, weights=sure - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / sure.size)


def _compare_precisions(bundle: Bundle, samples: list[Sample]) -> tuple[float, dict[str, float]]:
    """Share of equal labels in bf16 and fp32, and Mpx per CPU second of one thread in both."""
    tiles = np.stack([s.pixels for s in samples])
    labels, speed = {}, {}
    for name in ("fp32", "bf16"):
        engine = open_engine(bundle, device="cpu", precision=name, threads=1)  # type: ignore[arg-type]
        engine.classify(tiles[:1])
        started = time.thread_time()
        labels[name] = engine.classify(tiles)[0]
        speed[name] = tiles[:, 0].size / (time.thread_time() - started) / 1e6
    return float((labels["fp32"] == labels["bf16"]).mean()), speed


def _disagreement_near_edges(bundle: Bundle, samples: list[Sample]) -> dict[str, float]:
    """Share of labels of 256 px tiles that differ from those of a forward over the whole image."""
    engine = open_engine(bundle, device="cpu", precision="fp32", threads=1)
    side = 256
    inward = np.minimum(np.arange(side), np.arange(side)[::-1])
    band = np.digitize(np.minimum.outer(inward, inward), _EDGES) - 1
    wrong, seen = (np.zeros(len(_EDGES) - 1) for _ in range(2))
    for sample in samples:
        padded = _pad(sample.pixels)
        whole = engine.classify(padded[None])[0][0]
        for row, col in ((64, 64), (64, 256), (160, 160), (256, 64), (256, 256)):
            cut = np.s_[row : row + side, col : col + side]
            tile = engine.classify(padded[None, :, *cut])[0][0]
            wrong += np.bincount(band.ravel(), weights=(tile != whole[cut]).ravel(), minlength=len(wrong))
            seen += np.bincount(band.ravel(), minlength=len(seen))
    names = [f"{low} to {high}" for low, high in itertools.pairwise(_EDGES)]
    return dict(zip(names, (wrong / seen).tolist(), strict=True))


def describe(scored: Scored, *, job: BaseModel, training: Sequence[str], minutes: float) -> dict[str, Any]:
    """Keyword arguments of save_bundle that say what the model is and how well it does."""
    pooled = ConfusionMatrix.sum(scored.matrices, scored.legend).counts
    settings = job.model_dump(mode="json")
    command = "python workflows/train_forest.py configs/train_forest.yaml"
    classes = {
        name: {"iou": i, "f1": f, "precision": p, "recall": r}
        for name, i, f, p, r in zip(
            scored.legend.names,
            *(np.round(metric(pooled), 4).tolist() for metric in (iou, dice, precision, recall)),
            strict=True,
        )
    }
    scores = {
        "data": f"{len(scored.names)} held-out images of Zenodo 3233081, {int(pooled.sum())} pixels",
        "images": scored.names,
        "classes": classes,
        "mean_iou": round(mean_iou(pooled), 4),
        "overall_accuracy": round(overall_accuracy(pooled), 4),
        "kappa": round(kappa(pooled), 4),
        "calibration_error": round(scored.ece_after, 4),
    }
    description = (
        "Forest and non-forest in Sentinel-2 true colour (8 bits, about 10 m), tropical South America."
    )
    return {
        "temperature": scored.temperature,
        "description": description,
        "provenance": {
            "data": "Zenodo record 3233081, the 30 pairs of its training folder; 24 trained on, 6 held out",
            "credit": CREDIT,
            "command": command,
            "trained_on": list(training),
        },
        "scores": scores,
        "card": _card(scored, pooled, classes, settings, command, minutes),
        "files": {"held-out.png": picture(scored)},
    }


def _card(
    scored: Scored,
    pooled: NDArray[np.int64],
    classes: dict[str, dict[str, float]],
    settings: dict[str, Any],
    command: str,
    minutes: float,
) -> str:
    per_class = "\n".join(
        f"| {name} | {v['iou']:.4f} | {v['f1']:.4f} | {v['precision']:.4f} | {v['recall']:.4f} |"
        for name, v in classes.items()
    )
    per_image = "\n".join(
        f"| {name} | {m.counts[0].sum() / m.counts.sum():.1%} | {_cell(iou(m.counts)[0])} "
        f"| {_cell(dice(m.counts)[0])} | {_cell(iou(m.counts)[1])} | {overall_accuracy(m.counts):.4f} |"
        for name, m in zip(scored.names, scored.matrices, strict=True)
    )
    return _CARD.format(
        per_class=per_class,
        per_image=per_image,
        miou=mean_iou(pooled),
        accuracy=overall_accuracy(pooled),
        kappa=kappa(pooled),
        pixels=int(pooled.sum()),
        command=command,
        minutes=minutes,
        credit=CREDIT,
        licence=LICENCE,
        temperature=scored.temperature,
        before=scored.ece_before,
        after=scored.ece_after,
        same=scored.same_labels,
        fp32=scored.speed["fp32"],
        bf16=scored.speed["bf16"],
        edges=" | ".join(scored.near_edges),
        rules="|".join("---" for _ in scored.near_edges),
        shares=" | ".join(f"{share:.3%}" for share in scored.near_edges.values()),
        **settings,
    )


def _cell(value: float) -> str:
    return "not there" if np.isnan(value) else f"{value:.4f}"


def picture(scored: Scored) -> bytes:
    """PNG of three held-out images: picture, reference, map, confidence; from the worst to the best."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    order = np.argsort([overall_accuracy(m.counts) for m in scored.matrices])
    rows = [int(order[i]) for i in (0, len(order) // 2, -1)]
    figure, axes = plt.subplots(3, 4, figsize=(8.0, 6.35), dpi=68, layout="constrained")
    colors = np.array([scored.legend.classes[0].rgb, scored.legend.classes[1].rgb], np.uint8)
    for line, index in zip(axes, rows, strict=True):
        pixels, reference, labels, confidence = scored.pictures[index]
        bright = np.clip(pixels.astype(float) * 255 / np.percentile(pixels, 99), 0, 255).astype(np.uint8)
        line[0].imshow(bright.transpose(1, 2, 0)[::2, ::2])
        line[1].imshow(colors[reference - 1][::2, ::2])
        line[2].imshow(colors[labels - 1][::2, ::2])
        line[3].imshow(confidence[::2, ::2], vmin=0.5, vmax=1, cmap="cividis")
        line[0].set_ylabel(f"accuracy {overall_accuracy(scored.matrices[index].counts):.3f}", fontsize=9)
    for axis, title in zip(axes[0], ("image (brightened)", "reference", "map", "confidence"), strict=True):
        axis.set_title(title, fontsize=10)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"optimize": True})
    plt.close(figure)
    return buffer.getvalue()


_CARD = """# forest-s2-rgb

Forest and non-forest in Sentinel-2 true-colour images, tropical South America.

![Held-out images: picture, reference, map, confidence](held-out.png)

## What it takes and gives

| | |
|---|---|
| input | red, green, blue (Sentinel-2 B04, B03, B02), **stretched to 8 bits**, about 10 m (5 to 20 m) |
| output | 1 forest, 2 non-forest; rivers, lakes, towns, pasture and bare soil are non-forest |
| network | U-Net over {encoder}, decoder {decoder_channels}, trained from random weights |
| licence | {licence} |

## Data

{credit}.
Its 30 training pairs (512 x 512 px each), 37 km apart or more: 24 trained on, 6 held out.
The split takes one image at random of each five with a similar share of forest (seed {seed}). The record is
believed to be under CC BY 4.0; that was not confirmed. Labels look like a cleaned threshold, with small
speckle. One mask is 515 columns wide and was cut to the columns that lie on its image.

## Scores on the six held-out images

{pixels} pixels, fp32, 512 px tiles with 32 px of reflected margin.

| class | IoU | F1 | precision | recall |
|---|---|---|---|---|
{per_class}

Mean IoU **{miou:.4f}**, overall accuracy **{accuracy:.4f}**, kappa {kappa:.4f}.

The encoder was chosen among three on these images, all else equal: mobilenet_v2 had mean IoU 0.924, resnet10t
0.926. So the scores flatter a little.

| image | forest | forest IoU | forest F1 | non-forest IoU | accuracy |
|---|---|---|---|---|---|
{per_image}

**Calibration.** Temperature {temperature} (smallest log-loss on the held-out images). Expected calibration
error (15 bins) {before:.4f} without it; {after:.4f} where each image's temperature came from the other five.

**Precision.** bf16 gives the same label as fp32 on {same:.3%} of these pixels. One CPU thread with AVX-512
BF16, 512 px tiles: {fp32:.2f} Mpx per CPU second in fp32, {bf16:.2f} in bf16.

**Margin.** Share of labels of 256 px tiles that differ from a forward over the whole image, by distance to
the tile's edge in pixels. The default margin of 32 px discards the first three.

| {edges} |
|{rules}|
| {shares} |

## Limits

- Learnt from images stretched to 8 bits like these. Reflectance x 10000, other stretches and haze are another
  input; the input contract refuses the first and cannot see the others.
- Amazon and its southern edge only. Dry forests, plantations, mangroves and other continents are unseen.
- Clouds and their shadows are hardly in the data: mask them.
- Two dates compared with it show differences of illumination and season as well as clearing.

## Made by

    {command}

{steps} steps of {batch} crops of {crop} px, AdamW with a one-cycle rate of {learning_rate}, cross-entropy
plus Dice, running average {average} of the weights; {minutes:.0f} minutes with {threads} thread.
"""
