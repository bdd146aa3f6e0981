"""Hypothesis strategies for windows and tile plans."""

from __future__ import annotations

from hypothesis import strategies as st

from geoseg.geometry import TilePlan, Window, plan_tiles


@st.composite
def windows(draw: st.DrawFn, low: int = -40, high: int = 80) -> Window:
    return Window(
        draw(st.integers(low, high)),
        draw(st.integers(low, high)),
        draw(st.integers(0, 60)),
        draw(st.integers(0, 60)),
    )


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    """Plans that `plan_tiles` accepts, over scenes of at most 12 x 12 cells, to be painted pixel by pixel."""
    multiple = draw(st.sampled_from([1, 8, 32]))
    stitch = draw(st.sampled_from(["crop", "blend"]))
    margin = multiple * draw(st.integers(0, 3))
    least = 4 * margin if stitch == "blend" else 2 * margin + multiple
    tile = max(least, multiple) + multiple * draw(st.integers(0, 4))
    largest = min(12 * (tile - 2 * margin), 700)
    return plan_tiles(
        draw(st.integers(1, largest)),
        draw(st.integers(1, largest)),
        tile=tile,
        margin=margin,
        chunk=draw(st.integers(1, 2 * largest)),
        stitch=stitch,
        multiple=multiple,
    )
