"""Pure geometry: windows, grids, tile plans and areas. No raster library, no network, no scheduler."""

from geoseg.geometry.areas import HECTARE, area_nodes, pixel_areas
from geoseg.geometry.grid import Grid, geod_of, pixel_index, to_geographic
from geoseg.geometry.tiling import Chunk, Stitch, Tile, TilePlan, plan_tiles
from geoseg.geometry.window import Window

__all__ = [
    "HECTARE",
    "Chunk",
    "Grid",
    "Stitch",
    "Tile",
    "TilePlan",
    "Window",
    "area_nodes",
    "geod_of",
    "pixel_areas",
    "pixel_index",
    "plan_tiles",
    "to_geographic",
]
