"""How well a score ranks what fails above what does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auroc(score: NDArray[np.float64], failed: NDArray[np.bool_]) -> float:
    """Chance that one that failed has the larger score than one that did not; NaN without either.

    Equal scores count half (the area under the ROC curve, as Mann & Whitney 1947 have it).
    """
    bad, good = score[failed], np.sort(score[~failed])
    if not bad.size or not good.size:
        return float("nan")
    below = np.searchsorted(good, bad, side="left") + np.searchsorted(good, bad, side="right")
    return float(below.sum() / (2 * bad.size * good.size))
