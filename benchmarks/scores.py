"""Confusion-matrix speed against scikit-learn and numpy, on a map that resembles real ones.

    python benchmarks/scores.py [--side 4096] [--classes 10]

Prints megapixels per second (best of five) and checks that all give the same counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from geoseg.accuracy.matrix import ConfusionMatrix, count
from geoseg.legend import Legend


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--classes", type=int, default=10)
    options = parser.parse_args()
    legend = Legend.of({i: f"class {i}" for i in range(options.classes)})
    reference, mapped = two_maps(options.side, options.classes)

    def ours() -> NDArray[np.int64]:
        return count(reference, mapped, legend).counts

    def ours_on_two_threads() -> NDArray[np.int64]:
        half = options.side // 2
        with ThreadPoolExecutor(2) as pool:
            parts = pool.map(
                lambda s: count(reference[s], mapped[s], legend), (slice(half), slice(half, None))
            )
            return ConfusionMatrix.sum(parts, legend).counts

    def numpy_bincount() -> NDArray[np.int64]:
        pairs = reference.ravel().astype(np.uint16) * options.classes + mapped.ravel()
        return np.bincount(pairs, minlength=options.classes**2).reshape(options.classes, -1)

    def scikit_learn() -> NDArray[np.int64]:
        found: NDArray[np.int64] = confusion_matrix(reference.ravel(), mapped.ravel(), labels=legend.ids)
        return found

    expected = ours()
    print(f"{options.side} x {options.side} pixels, {options.classes} classes")
    contenders = [(ours, 5), (ours_on_two_threads, 5), (numpy_bincount, 3), (scikit_learn, 1)]
    for contender, repeats in contenders:
        if not np.array_equal(contender(), expected):
            raise SystemExit(f"{contender.__name__} counts differently")
        rate = reference.size / best_of(contender, repeats) / 1e6
        print(f"{contender.__name__:22s} {rate:8.1f} Mpx/s")


def best_of(run: Callable[[], object], repeats: int) -> float:
    """Least wall time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def two_maps(side: int, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A blocky reference and a map that differs from it in a tenth of the pixels."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, classes, (side // 16 + 1, side // 16 + 1), dtype=np.uint8)
    reference = np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)[:side, :side].copy()
    noise = rng.integers(0, classes, reference.shape, dtype=np.uint8)
    return reference, np.where(rng.random(reference.shape) < 0.1, noise, reference)


if __name__ == "__main__":
    main()
