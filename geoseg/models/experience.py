"""What a model has seen and how sure it was of it, and how far another scene is from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.models.contract import InputContract

_STEPS = np.linspace(0, 1, 41)
_LEAST_DEVIATION = 0.01  # of the training's: what is flatter than rounding is all equally flat
_RIDGE = 0.01
_UNUSUAL = 0.95
_UNSEEN = 0.975
"""Share of what was seen beyond which all is equally strange: the last of it may be one odd crop, far off."""
_FEWEST = 10
"""Windows without which there is nothing to rank among."""


def look(pixels: NDArray[Any], valid: NDArray[np.bool_], contract: InputContract) -> NDArray[np.float64]:
    """Look (2B,) of a window, see `look_of`.

    Parameters
    ----------
    pixels, valid
        Raw values (B, h, w), of which those that are valid (h, w) count.
    contract
        Which normalises them.
    """
    mean, std = (np.array(v)[:, None] for v in (contract.mean, contract.std))
    return look_of((pixels[:, valid].astype(np.float64) * contract.scale + contract.offset - mean) / std)


def look_of(values: NDArray[Any]) -> NDArray[np.float64]:
    """Look (2B,) of normalised values (B, n): each band's mean, then the logarithm of its deviation.

    All NaN where there is no value.
    """
    if not values.shape[1]:
        return np.full(2 * len(values), np.nan)
    deviation = values.std(axis=1, dtype=np.float64)
    mean = values.mean(axis=1, dtype=np.float64)
    return np.concatenate([mean, np.log(np.maximum(deviation, _LEAST_DEVIATION))])


def sureness_of(confidence: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Quantiles (41,) of a model's mean confidence (N,) in windows; None of fewer than ten."""
    if len(confidence) < _FEWEST:
        return None
    # among equal values the interpolation may fall by its last bit
    rising: NDArray[np.float64] = np.maximum.accumulate(np.quantile(confidence, _STEPS))
    return rising


def doubt_of(confidence: NDArray[np.float64], sureness: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Share (N,) of the windows of these quantiles (41,) of which the model was surer than of each, 0 to 1.

    `confidence` (N,) are means, 0 to 1; what is NaN stays so. All 0 where there are no quantiles.
    """
    if sureness is None:
        return np.zeros_like(confidence)
    return 1 - np.interp(confidence, sureness, _STEPS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experience:
    """Looks of the windows that a model learnt from, and how sure it was where it was scored.

    The one tells other light and other ground; the other, what the model finds hard in its own light.

    Attributes
    ----------
    side
        Of the windows, in pixels.
    center, spread
        (2B,) and (2B, 2B): mean and covariance of their looks (see `look`).
    quantiles
        (41, 2B) of each part of the looks, evenly spaced from the least to the largest.
    distances
        (41,) quantiles of the windows' own Mahalanobis distances from the center.
    sureness
        (41,) quantiles of its mean confidence, 0 to 1, in each window that it was scored on; None where that
        is not known.
    """

    side: int
    center: NDArray[np.float64]
    spread: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    distances: NDArray[np.float64]
    sureness: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        size = len(self.center)
        shapes = (self.spread.shape, self.quantiles.shape, self.distances.shape)
        sureness = np.linspace(0, 1, len(_STEPS)) if self.sureness is None else self.sureness
        numbers = (self.center, self.spread, self.quantiles, self.distances, sureness)
        if size % 2 or self.side < 1 or shapes != ((size, size), (len(_STEPS), size), (len(_STEPS),)):
            raise InputError("what the model has seen has a wrong form", why=f"arrays of {size} and {shapes}")
        if sureness.shape != _STEPS.shape or (np.diff(sureness) < 0).any():
            raise InputError("how sure the model was has a wrong form", why="it is not 41 rising quantiles")
        if not all(np.isfinite(a).all() for a in numbers) or np.linalg.eigvalsh(self.spread)[0] <= 0:
            raise InputError("what the model has seen is not finite, or not a covariance")

    @classmethod
    def of(cls, looks: NDArray[np.float64], side: int) -> Experience:
        """Experience from the looks (N, 2B) of at least one window with valid pixels."""
        looks = looks[np.isfinite(looks).all(axis=1)]
        center = looks.mean(axis=0)
        spread = (looks - center).T @ (looks - center) / len(looks) + _RIDGE * np.eye(len(center))
        return cls(
            side=side,
            center=center,
            spread=spread,
            quantiles=np.quantile(looks, _STEPS, axis=0),
            distances=np.quantile(_mahalanobis(looks, center, spread), _STEPS),
        )

    def distance(self, looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mahalanobis distance (N,) of looks (N, 2B) from the center; NaN for those that are NaN."""
        return _mahalanobis(looks, self.center, self.spread)

    def novelty(self, looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share (N,) of the windows seen that are less unusual than each of these, 0 to 1."""
        return np.where(
            np.isnan(looks).any(axis=1), np.nan, np.interp(self.distance(looks), self.distances, _STEPS)
        )

    def beyond(self, looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far (N,) each of these lies beyond what was seen, 0 to 1; NaN for those that are NaN.

        0 for what is less unusual than a twentieth of it, 1 for what is more unusual than all but a fortieth.
        """
        return np.clip((self.novelty(looks) - _UNUSUAL) / (_UNSEEN - _UNUSUAL), 0, 1)

    def misgiving(self, confidence: NDArray[np.float64]) -> str | None:
        """One line where the model is seldom so unsure, by its mean confidence (N,) in squares; or None."""
        known = confidence[np.isfinite(confidence)]
        if self.sureness is None or not len(known):
            return None
        doubt = float(np.median(doubt_of(known, self.sureness)))
        if doubt < _UNUSUAL:
            return None
        here, there = float(known.mean()), float(np.median(self.sureness))
        return (
            f"less sure than on {_percent(doubt)} of what the model was scored on: {here:.0%} in the mean, "
            f"there {there:.0%}; more is wrong here than its scores say"
        )

    def remark(self, looks: NDArray[np.float64]) -> str | None:
        """One line on how far a scene is from what was seen, by windows spread over it; None without any."""
        looks = looks[np.isfinite(looks).all(axis=1)]
        if not len(looks):
            return None
        novelty = float(np.median(self.novelty(looks)))
        middle = np.median(looks, axis=0)
        ranks = [np.interp(v, q, _STEPS) for v, q in zip(middle, self.quantiles.T, strict=True)]
        light, contrast = (float(np.median(part)) for part in np.split(np.array(ranks), 2))
        words = [
            _extreme(light, "darker", "brighter"),
            _extreme(contrast, "of less contrast", "of more contrast"),
        ]
        if novelty < _UNUSUAL and not any(words):
            return (
                f"the scene looks like what the model has seen: more unusual than {_percent(novelty)} of it"
            )
        said = ", ".join(filter(None, [f"more unusual than {_percent(novelty)}", *words]))
        return f"unlike most that the model has seen: {said} of it; its confidence may be too high here"

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``; `from_json` reads it back, rounded to six digits."""
        return {
            "side": self.side,
            **{
                name: _rounded(getattr(self, name)) for name in ("center", "spread", "quantiles", "distances")
            },
            **({} if self.sureness is None else {"sureness": _rounded(self.sureness)}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Experience:
        """Experience from its form in ``bundle.json``."""
        arrays = {
            name: np.array(raw[name], np.float64)
            for name in ("center", "spread", "quantiles", "distances", "sureness")
            if name in raw
        }
        return cls(side=int(raw["side"]), **arrays)


def _mahalanobis(
    looks: NDArray[np.float64], center: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    away = looks - center
    squares = np.einsum("ij,ij->i", away, np.linalg.solve(spread, away.T).T)
    found: NDArray[np.float64] = np.sqrt(squares)
    return found


def _extreme(rank: float, low: str, high: str) -> str:
    """``darker than 97 %`` and the like; nothing for what is not unusual."""
    word, share = (low, 1 - rank) if rank < 0.5 else (high, rank)
    return f"{word} than {_percent(share)}" if share >= _UNUSUAL else ""


def _percent(share: float) -> str:
    """Share in words; rounded down, so that all means all."""
    return "all" if share >= 1 else f"{int(100 * share)} %"


def _rounded(values: NDArray[np.float64]) -> Any:
    return np.vectorize(lambda v: float(f"{v:.6g}"))(values).tolist()
