"""What the scenes looked like that a model learnt from, and how far another scene is from them."""

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experience:
    """Looks of the windows that a model learnt from, as a Gaussian and as quantiles.

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
    """

    side: int
    center: NDArray[np.float64]
    spread: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    distances: NDArray[np.float64]

    def __post_init__(self) -> None:
        size = len(self.center)
        shapes = (self.spread.shape, self.quantiles.shape, self.distances.shape)
        numbers = (self.center, self.spread, self.quantiles, self.distances)
        if size % 2 or self.side < 1 or shapes != ((size, size), (len(_STEPS), size), (len(_STEPS),)):
            raise InputError("what the model has seen has a wrong form", why=f"arrays of {size} and {shapes}")
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
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Experience:
        """Experience from its form in ``bundle.json``."""
        arrays = {
            name: np.array(raw[name], np.float64) for name in ("center", "spread", "quantiles", "distances")
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
