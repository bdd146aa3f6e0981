"""How far confidence is from accuracy, and the temperature that mends it (Guo et al. 2017). Pure numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA

TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8), 176))
BINS = 15
HONEST = 0.03
"""Calibration error that other conditions may bring to pixels as they are."""
_MOST_KEPT = 400_000


@dataclass(kw_only=True)
class CalibrationSample:
    """Logits and truth of evenly spread validation pixels, in two halves by window.

    Attributes
    ----------
    stride
        Every how many labelled pixels one is kept.
    logits, truth, half
        Lists of (n, K) float32, (n,) uint8 and (n,) bool, one per window.
    """

    stride: int
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    truth: list[NDArray[np.uint8]] = field(default_factory=list)
    half: list[NDArray[np.bool_]] = field(default_factory=list)

    @classmethod
    def for_pixels(cls, pixels: int) -> CalibrationSample:
        """Sample that keeps at most some hundred thousand of so many pixels."""
        return cls(stride=-(-pixels // _MOST_KEPT))

    @classmethod
    def join(cls, parts: Sequence[CalibrationSample]) -> CalibrationSample:
        """One sample of several."""
        return cls(
            stride=max(p.stride for p in parts),
            logits=[a for p in parts for a in p.logits],
            truth=[a for p in parts for a in p.truth],
            half=[a for p in parts for a in p.half],
        )

    def add(self, logits: NDArray[np.float32], truth: NDArray[np.uint8], *, window: int) -> None:
        """Take part of a window's logits (K, h, w) and truth (h, w)."""
        known = np.flatnonzero(truth.ravel() != NODATA)[:: self.stride]
        self.logits.append(logits.reshape(len(logits), -1)[:, known].T.astype(np.float32))
        self.truth.append(truth.ravel()[known])
        self.half.append(np.full(known.size, window % 2 == 1))

    def of_windows(self, temperature: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(mean confidence, share that is right) of each window, both (N,); confidence in whole percents."""
        found = [
            sureness((a / temperature).astype(np.float32), t)
            for a, t in zip(self.logits, self.truth, strict=True)
        ]
        sure = np.array([(np.rint(100 * share) / 100).mean() for share, _ in found])
        return sure, np.array([right.mean() for _, right in found])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Temperature, and how far confidence is from accuracy.

    Attributes
    ----------
    temperature
        With the smallest negative log-likelihood over all sampled pixels (Guo et al. 2017), or the next to it
        with which pixels as they are keep their honesty.
    before, after
        Expected calibration error without it, and with one fitted on the other half of the windows.
    other
        The error of the other sample, with the same temperatures; NaN without one.
    confidence, accuracy, share
        (15,) per bin after calibration; NaN where a bin is empty.
    """

    temperature: float
    before: float
    after: float
    other: float
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]


def calibrate(sample: CalibrationSample, other: CalibrationSample | None = None) -> Calibration:
    """Calibration of a sample.

    Parameters
    ----------
    other
        The same windows under other conditions, under which confidence is to be honest too: the temperature
        is then that of both, with half the weight each, as far as the error of the windows as they are
        stays within `HONEST`. A model that other conditions ruin is none the better for doubting all it says.
    """
    own = _Pixels.of(sample)
    lit = None if other is None else _Pixels.of(other)
    temperature = _temperature(own, lit)
    halves = {False: temperature, True: temperature}  # one window only: nothing to fit on but itself
    if own.half.any() and not own.half.all():
        halves = {
            h: _temperature(own.of_half(not h), None if lit is None else lit.of_half(not h)) for h in halves
        }
    after, confidence, accuracy, share = own.reliability(halves)
    return Calibration(
        temperature=temperature,
        before=reliability(*sureness(own.logits, own.truth))[0],
        after=after,
        other=float("nan") if lit is None else lit.reliability(halves)[0],
        confidence=confidence,
        accuracy=accuracy,
        share=share,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pixels:
    """Logits (n, K), truth and half (n,) of a sample."""

    logits: NDArray[np.float32]
    truth: NDArray[np.uint8]
    half: NDArray[np.bool_]

    @classmethod
    def of(cls, sample: CalibrationSample) -> _Pixels:
        return cls(
            logits=np.concatenate(sample.logits),
            truth=np.concatenate(sample.truth),
            half=np.concatenate(sample.half),
        )

    def of_half(self, half: bool) -> _Pixels:
        """Those of one half."""
        chosen = self.half == half
        return _Pixels(logits=self.logits[chosen], truth=self.truth[chosen], half=self.half[chosen])

    def beside(self, other: _Pixels) -> _Pixels:
        """Both, the larger one thinned to about the size of the smaller."""
        fewest = min(len(self.truth), len(other.truth))
        pairs = [(p, max(len(p.truth) // max(fewest, 1), 1)) for p in (self, other)]
        return _Pixels(
            logits=np.concatenate([p.logits[::step] for p, step in pairs]),
            truth=np.concatenate([p.truth[::step] for p, step in pairs]),
            half=np.concatenate([p.half[::step] for p, step in pairs]),
        )

    def reliability(
        self, temperatures: Mapping[bool, float]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """`reliability` with the temperature of each half."""
        divisor = np.where(self.half, temperatures[True], temperatures[False]).astype(np.float32)
        return reliability(*sureness(self.logits / divisor[:, None], self.truth))


def _temperature(own: _Pixels, other: _Pixels | None) -> float:
    """Temperature of both, or the next to it on the way to that of `own` with which that is honest."""
    alone = fit_temperature(own.logits, own.truth)
    if other is None or not len(other.truth):
        return alone
    both = own.beside(other)
    wanted = fit_temperature(both.logits, both.truth)
    low, high = sorted((wanted, alone))
    between = [round(float(t), 3) for t in TEMPERATURES if low < t < high]
    for temperature in (wanted, *(reversed(between) if wanted > alone else between)):
        scaled = (own.logits / temperature).astype(np.float32)
        if reliability(*sureness(scaled, own.truth))[0] <= HONEST:
            return float(temperature)
    return alone


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.uint8]) -> float:
    """Temperature of the smallest mean negative log-likelihood of (n, K) logits, by search in two steps."""
    tried = TEMPERATURES[::16]
    best = int(np.argmin([_nll(logits, truth, t) for t in tried])) * 16
    near = TEMPERATURES[max(best - 16, 0) : best + 17]
    step = max(len(truth) // 100_000, 1)
    return round(float(near[int(np.argmin([_nll(logits[::step], truth[::step], t) for t in near]))]), 3)


def _nll(logits: NDArray[np.float32], truth: NDArray[np.uint8], temperature: float) -> float:
    scaled = logits.astype(np.float64) / temperature
    top = scaled.max(axis=1)
    total = np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
    return float((total - scaled[np.arange(len(truth)), truth]).mean())


def sureness(
    logits: NDArray[np.float32], truth: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(probability of the class with the largest of (n, K) logits, whether it is the true one), both (n,)."""
    scaled = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return 1 / np.exp(scaled).sum(axis=1), logits.argmax(axis=1) == truth


def reliability(
    sure: NDArray[np.float64],
    right: NDArray[np.bool_] | NDArray[np.float64],
    *,
    bins: int = BINS,
    weights: NDArray[np.float64] | None = None,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(expected calibration error, mean confidence, accuracy, share) over bins of equal width.

    A value on the limit of two bins belongs to the one below. An empty bin has NaN for confidence and
    accuracy.

    Parameters
    ----------
    sure
        (n,) confidence of answers, 0 to 1.
    right
        (n,) whether they are true, or which share of equal answers is.
    bins
        Number of bins.
    weights
        (n,) how many answers each stands for; 1 each when left out.
    """
    which = np.searchsorted(np.arange(1, bins) / bins, sure, side="left")
    weights = np.ones(len(sure)) if weights is None else weights
    number = np.bincount(which, weights=weights, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(which, weights=sure * weights, minlength=bins) / number
        accuracy = np.bincount(which, weights=right * weights, minlength=bins) / number
    error = float(np.nansum(np.abs(confidence - accuracy) * number) / max(number.sum(), 1))
    return error, confidence, accuracy, number / max(number.sum(), 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidenceCounts:
    """Scored pixels by their confidence in whole percent; additive over chunks.

    Attributes
    ----------
    number, right
        (101,) int64: pixels of each confidence, and those of them that are right.
    """

    number: NDArray[np.int64]
    right: NDArray[np.int64]

    @classmethod
    def of(cls, percent: NDArray[np.uint8], right: NDArray[np.bool_]) -> ConfidenceCounts:
        """Counts of pixels (n,) with a confidence of 0 to 100."""
        return cls(
            number=np.bincount(percent, minlength=101), right=np.bincount(percent[right], minlength=101)
        )

    def __add__(self, other: ConfidenceCounts) -> ConfidenceCounts:
        return ConfidenceCounts(number=self.number + other.number, right=self.right + other.right)

    def reliability(
        self, bins: int = BINS
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """As `reliability`."""
        return reliability(
            np.arange(101) / 100,
            self.right / np.maximum(self.number, 1),
            bins=bins,
            weights=self.number.astype(np.float64),
        )

    def error(self, bins: int = BINS) -> float:
        """Expected calibration error; NaN without a pixel."""
        return self.reliability(bins)[0] if self.number.any() else float("nan")

    def gap(self, bins: int = BINS) -> float:
        """Largest distance of mean confidence and accuracy in any bin; NaN without a pixel."""
        _, confidence, accuracy, _ = self.reliability(bins)
        return float(np.nanmax(np.abs(confidence - accuracy))) if self.number.any() else float("nan")

    def records(self, bins: int = BINS) -> list[dict[str, float]]:
        """One record per bin that has pixels: its limits, mean confidence, accuracy and share of pixels."""
        _, confidence, accuracy, share = self.reliability(bins)
        return [
            {
                "above": k / bins,
                "to": (k + 1) / bins,
                "confidence": float(confidence[k]),
                "accuracy": float(accuracy[k]),
                "share": float(share[k]),
            }
            for k in range(bins)
            if share[k]
        ]
