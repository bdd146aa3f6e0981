"""What kernels of several rooms need."""

import numpy as np

from geoseg.kernels.kernel import kernel


@kernel()
def marked(mask):  # type: ignore[no-untyped-def]
    """Positions (n,) int64 at which a flat mask is True, ascending."""
    count = 0
    for k in range(mask.shape[0]):
        count += mask[k]
    out = np.empty(count, np.int64)
    n = 0
    for k in range(mask.shape[0]):
        if mask[k]:
            out[n] = k
            n += 1
    return out


@kernel()
def find_root(parent, k):  # type: ignore[no-untyped-def]
    """Root of k's set; halves the path on the way (Tarjan & van Leeuwen 1984)."""
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k
