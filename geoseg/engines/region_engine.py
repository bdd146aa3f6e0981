"""Object-based classification: an engine that gives every region of a tile one class.

The inner engine answers for pixels; a region has the mean of its pixels' probabilities. Regions are cut
out of the tile as it is read, context included, with the bundle's own constants: they depend on the tile's
place in the global lattice, never on chunks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.engine import Engine
from geoseg.engines.pixels import PROBABILITY_SCALE, decide
from geoseg.legend import Legend
from geoseg.models.region_rule import RegionRule

_FAR = 6.0  # standard deviations beyond which a colour is as bright as it gets


class RegionEngine:
    """The inner engine's probabilities, averaged over the regions of each tile.

    Sums are of integers and exact. Pixels that are not valid belong to no region: they take no part in
    a mean and keep what the inner engine says.
    """

    def __init__(self, inner: Engine, rule: RegionRule) -> None:
        self.legend: Legend = inner.legend
        self._inner, self._rule = inner, rule

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer: the inner engine's, the rule, and who cuts the regions."""
        return {
            **self._inner.identity,
            "regions": self._rule.to_json(),
            **{library: version(library) for library in ("scikit-image", "scipy")},
        }

    @property
    def takes_batches(self) -> bool:
        """Whether the inner engine does."""
        return self._inner.takes_batches

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and confidence in percent, both (N, T, T) uint8; 255 where not valid.

        The label is the class with the largest mean, the legend's first among equals.
        """
        shares = np.moveaxis(self.probabilities(raw, valid), 1, 0)
        return decide(shares, PROBABILITY_SCALE, self.legend, valid)

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """Mean of ``round(p * 65535)`` over each pixel's region, rounded, (N, K, T, T) uint16."""
        answers = self._inner.probabilities(raw, valid)
        masks = np.ones((len(raw), *raw.shape[2:]), np.bool_) if valid is None else valid
        for tile, mask, answer in zip(raw, masks, answers, strict=True):
            if mask.any():
                _average(answer, cut_regions(tile, mask, self._rule), mask)
        return answers


def _average(answer: NDArray[np.uint16], regions: NDArray[np.intp], mask: NDArray[np.bool_]) -> None:
    """Replace probabilities (K, T, T) by the means of the regions (T, T), where `mask` says so."""
    place = regions[mask]
    pixels = np.maximum(np.bincount(place), 1)
    for band in answer:
        sums = np.bincount(place, weights=band[mask]).astype(np.int64)  # exact below 2**53
        band[mask] = ((sums + pixels // 2) // pixels)[place]


def cut_regions(tile: NDArray[Any], mask: NDArray[np.bool_], rule: RegionRule) -> NDArray[np.intp]:
    """Region numbers (T, T) of a raw tile (C, T, T); what they are where `mask` is False means nothing."""
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (rule.mean, rule.std))
    seen = np.where(mask, tile, mean).astype(np.float32)
    colours = np.moveaxis(np.clip((seen - mean) / std, -_FAR, _FAR), 0, -1)
    regions: NDArray[np.intp] = _METHODS[rule.method](np.ascontiguousarray(colours), **rule.parameters)
    return regions


def _watershed(colours: NDArray[np.float32], *, sigma: float) -> NDArray[np.intp]:
    from skimage.filters import gaussian, sobel
    from skimage.segmentation import watershed

    smooth = gaussian(colours, sigma, channel_axis=-1) if sigma else colours
    gradient = np.sqrt(sum(sobel(smooth[..., band]) ** 2 for band in range(smooth.shape[-1])))
    return np.asarray(watershed(gradient), np.intp)


def _canny(colours: NDArray[np.float32], *, sigma: float, low: float, high: float) -> NDArray[np.intp]:
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import canny
    from skimage.segmentation import watershed

    edges = np.zeros(colours.shape[:2], np.bool_)
    for band in range(colours.shape[-1]):
        edges |= canny(
            colours[..., band], sigma, low_threshold=min(low, high), high_threshold=high, mode="nearest"
        )
    if not edges.any():
        return np.zeros(edges.shape, np.intp)
    return np.asarray(watershed(-distance_transform_edt(~edges)), np.intp)


def _slic(
    colours: NDArray[np.float32], *, spacing: float, compactness: float, sigma: float
) -> NDArray[np.intp]:
    from skimage.segmentation import slic

    reach = float(colours.max() - colours.min())
    if reach == 0:
        return np.zeros(colours.shape[:2], np.intp)
    regions = slic(
        colours,
        n_segments=max(round(colours.shape[0] * colours.shape[1] / spacing**2), 1),
        # slic stretches every image to 0..1; without this, what a colour weighs would depend on the tile
        compactness=compactness / reach,
        sigma=sigma,
        convert2lab=False,
        start_label=0,
        channel_axis=-1,
    )
    return np.asarray(regions, np.intp)


def _felzenszwalb(
    colours: NDArray[np.float32], *, scale: float, sigma: float, min_size: float
) -> NDArray[np.intp]:
    from skimage.segmentation import felzenszwalb

    with warnings.catch_warnings():
        # of any number of bands but three it asks whether they are meant as bands
        warnings.filterwarnings("ignore", message="Got image with third dimension")
        regions = felzenszwalb(colours, scale=scale, sigma=sigma, min_size=round(min_size), channel_axis=-1)
    return np.asarray(regions, np.intp)


_METHODS: dict[str, Callable[..., NDArray[np.intp]]] = {
    "watershed": _watershed,
    "canny": _canny,
    "slic": _slic,
    "felzenszwalb": _felzenszwalb,
}
