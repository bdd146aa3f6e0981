"""A layer of three squares."""

from __future__ import annotations

import geopandas
import pytest
import shapely


@pytest.fixture
def frame() -> geopandas.GeoDataFrame:
    boxes = [shapely.box(k, 0, k + 1, 1) for k in range(3)]
    return geopandas.GeoDataFrame({"klass": ["a", "b", "ü"], "n": [1, 2, 3]}, geometry=boxes, crs=32633)
