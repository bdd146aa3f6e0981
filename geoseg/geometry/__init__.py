"""Pure geometry: windows, grids, tile plans and areas. No raster library, no network, no scheduler.

Names are resolved on first use: a job that only names a stitcher needs no projection library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.geometry.areas import HECTARE, area_nodes, decimals, pixel_areas
    from geoseg.geometry.grid import Grid, geod_of, pixel_index, to_geographic
    from geoseg.geometry.tiling import Chunk, Sides, Stitch, Tile, TilePlan, in_words, plan_tiles
    from geoseg.geometry.window import Window

_EXPORTS = {
    "HECTARE": "areas",
    "Chunk": "tiling",
    "Grid": "grid",
    "Sides": "tiling",
    "Stitch": "tiling",
    "Tile": "tiling",
    "TilePlan": "tiling",
    "Window": "window",
    "area_nodes": "areas",
    "decimals": "areas",
    "geod_of": "grid",
    "in_words": "tiling",
    "pixel_areas": "areas",
    "pixel_index": "grid",
    "plan_tiles": "tiling",
    "to_geographic": "grid",
}

__all__ = [
    "HECTARE",
    "Chunk",
    "Grid",
    "Sides",
    "Stitch",
    "Tile",
    "TilePlan",
    "Window",
    "area_nodes",
    "decimals",
    "geod_of",
    "in_words",
    "pixel_areas",
    "pixel_index",
    "plan_tiles",
    "to_geographic",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f"geoseg.geometry.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'geoseg.geometry' has no attribute {name!r}")
