"""Shares of pixels that polygons cover, against shapely's intersections and against exactextract."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.geometry import Window
from geoseg.plots.coverage import Outlines

corner = st.tuples(st.integers(-40, 160), st.integers(-40, 160)).map(lambda p: (p[0] / 10, p[1] / 10))


def expected(shape: shapely.Geometry, window: Window) -> np.ndarray:
    rows, cols = range(window.row, window.row_end), range(window.col, window.col_end)
    boxes = np.array([[shapely.box(c, r, c + 1, r + 1) for c in cols] for r in rows], object)
    return np.asarray(shapely.area(shapely.intersection(shape, boxes)))


@settings(max_examples=60)
@given(st.lists(corner, min_size=3, max_size=9, unique=True), st.integers(0, 2))
def test_shares_are_exact_for_any_polygon_and_any_window(
    corners: list[tuple[float, float]], holes: int
) -> None:
    shape = shapely.make_valid(shapely.Polygon(corners))
    shape = shapely.union_all([p for p in shapely.get_parts(shape) if p.geom_type == "Polygon"])
    for k in range(holes):
        shape = shape.difference(shapely.Point(4 + 3 * k, 5).buffer(1.3))
    if shape.area == 0 or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        return
    window = Window(1, -2, 9, 12)
    outlines = Outlines.of(np.array([shapely.Polygon(), shape], object))
    assert np.allclose(outlines.cover(1, window), expected(shape, window), atol=1e-9)
    # a window's pixels do not depend on the window
    part = Window(3, 4, 2, 5)
    assert np.allclose(
        outlines.cover(1, part), outlines.cover(1, window)[part.slices_in(window)], rtol=0, atol=1e-12
    )
