"""Shared borders smoothed by corner cutting (Chaikin 1974), each vertex for itself, so that both sides agree.

A vertex v gives way to the corner-cut polygon of the parabola that touches its two edges in a and b, half way
to its neighbours or nearer. That polygon lies in the triangle (a, v, b). Where no other vertex of any border
lies in that closed triangle no border runs through it, and two such triangles meet at most in a point, half
way along an edge; so smoothed borders do not cross. Where one does, the vertex stays as it is. Nodes stay.

a and b are no farther than the tolerance from v, so smoothing moves a border by at most half of it, and long
straight edges stay straight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.kernels.marked import marked
from geoseg.outlines.borders import RING, ROUNDED, Chains
from geoseg.outlines.thin import holds_vertex

MOST_ROUNDS = 3
"""Rounds of corner cutting; each doubles the vertices."""
FINEST = 5
"""Most halvings of an edge for the place where its corner is cut."""
_REACH = 1.0


def scale_of(rounds: int) -> int:
    """Units per pixel in which corners cut this often are whole numbers."""
    return 1 << (FINEST + 2 * rounds) if rounds else 1


def mark_rounded(
    corners: NDArray[np.uint8], chains: Chains, kept: NDArray[np.bool_], pixel: tuple[float, float]
) -> None:
    """Set the bit ROUNDED of every vertex of a cell's chains that can be cut.

    Parameters
    ----------
    corners
        Bits of the chunk's corners.
    chains, kept
        Chains of one cell, and which of their corners are vertices.
    pixel
        Its height and width, in tolerances.
    """
    _mark_rounded(corners, (chains.rows, chains.cols, chains.offsets, chains.kind), kept, pixel)


@kernel("u1[:,:], (i4[:], i4[:], i8[:], i1[:]), b1[:], (f8, f8)")
def _mark_rounded(corners, chains, kept, pixel):  # type: ignore[no-untyped-def]
    rows, cols, offsets, kind = chains
    unit = np.int64(1) << FINEST
    for k in range(kind.shape[0]):
        vertices = offsets[k] + marked(kept[offsets[k] : offsets[k + 1]])
        count = vertices.shape[0]
        is_ring = kind[k] == RING
        for j in range(0 if is_ring else 1, count if is_ring else count - 1):
            i, p, n = vertices[j], vertices[j - 1], vertices[(j + 1) % count]
            r, c = np.int64(rows[i]), np.int64(cols[i])
            pr, pc, nr, nc = rows[p] - r, cols[p] - c, rows[n] - r, cols[n] - c
            one, two = cut_of(pr, pc, pixel), cut_of(nr, nc, pixel)
            if one < 0 or two < 0 or pr * nc == pc * nr:
                continue
            a = (r * unit + (pr << (FINEST - one)), c * unit + (pc << (FINEST - one)))
            b = (r * unit + (nr << (FINEST - two)), c * unit + (nc << (FINEST - two)))
            if not holds_vertex(corners, a, (r * unit, c * unit), b, unit, 1):
                corners[r, c] |= ROUNDED


@kernel()
def cut_of(dr, dc, pixel):  # type: ignore[no-untyped-def]
    """How often to halve the edge (dr, dc) for its cut to be within reach; -1 where that takes too often."""
    length = (dr * pixel[0]) ** 2 + (dc * pixel[1]) ** 2
    for halvings in range(1, FINEST + 1):
        length /= 4.0
        if length <= _REACH * _REACH:
            return halvings
    return -1


@kernel()
def cut(out, at, p, v, n, rounds, pixel):  # type: ignore[no-untyped-def]
    """Write the 2**rounds points that replace v between its neighbours, in units of `scale_of`; the end."""
    pr, pc, nr, nc = p[0] - v[0], p[1] - v[1], n[0] - v[0], n[1] - v[1]
    one = FINEST - cut_of(pr, pc, pixel)
    two = FINEST - cut_of(nr, nc, pixel)
    ar, ac, br, bc = pr << one, pc << one, nr << two, nc << two
    pieces = np.int64(1) << rounds
    whole = pieces * pieces << FINEST
    for i in range(pieces):
        # the parabola's blossom at i / pieces and (i + 1) / pieces, with v as origin
        s = (pieces - i) * (pieces - i - 1)
        t = i * (i + 1)
        out[at, 0] = v[0] * whole + s * ar + t * br
        out[at, 1] = v[1] * whole + s * ac + t * bc
        at += 1
    return at
