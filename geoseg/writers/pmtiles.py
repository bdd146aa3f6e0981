"""PMTiles: one archive of Mapbox vector tiles for a web map, through GDAL's driver where it has one."""

from __future__ import annotations

import math
import struct
import warnings
from itertools import chain
from pathlib import Path

from geoseg.errors import UsageError
from geoseg.writers.layer import Batches, Layer
from geoseg.writers.ogr import description, not_whole, write_ogr

_EQUATOR = 40_075_016.7
_TILE_UNITS = 4096
_FINEST, _DEFAULT_FINEST = 15, 12
_LEVELS = 6
_HEADER_BYTES = 127
_MOST_BYTES = 500_000
"""Largest tile; web maps load several of them for each view."""


def write_pmtiles(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    """PMTiles 3 of vector tiles in web Mercator, from coarse zooms to the layer's own detail.

    Coarser zooms drop features that are too small to be seen there, as tiles must stay small: it is a picture
    to look at, not the data.

    Raises
    ------
    UsageError
        This GDAL was built without the driver, or there is nothing to draw.
    """
    import pyogrio

    if "w" not in (pyogrio.list_drivers().get("PMTiles") or ""):
        raise UsageError(
            "this GDAL writes no PMTiles",
            where=path.name,
            why=f"GDAL {pyogrio.__gdal_version_string__} of pyogrio {pyogrio.__version__} has no such driver",
            hint="pip install --upgrade pyogrio (its wheels have it), or .fgb",
        )
    filled = (batch for batch in batches if len(batch))
    first = next(filled, None)
    if first is None:
        raise UsageError(
            "nothing to draw in tiles",
            where=path.name,
            why="GDAL makes no empty PMTiles",
            hint=".gpkg or .fgb",
        )
    finest = finest_zoom(layer.detail)
    with warnings.catch_warnings():
        # GDAL tells of each tile that it thinned out to stay small
        warnings.simplefilter("ignore", RuntimeWarning)
        write_ogr(
            path,
            chain([first], filled),
            layer,
            driver="PMTiles",
            dataset_options={
                "NAME": layer.name,
                **description(layer),
                "MINZOOM": str(max(finest - _LEVELS, 0)),
                "MAXZOOM": str(finest),
                "EXTENT": str(_TILE_UNITS),
                "MAX_SIZE": str(_MOST_BYTES),
            },
        )
    _check_size(path)
    return [path]


def _check_size(path: Path) -> None:
    """ResourceError where the file is shorter than its header says (tiles come last; specification, 3)."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or path.stat().st_size < sum(struct.unpack_from("<QQ", header, 56)):
        raise not_whole(path, "its end is missing")


def finest_zoom(detail: float) -> int:
    """First zoom level whose tile units (1/4096 of a tile) are at most a quarter of these metres."""
    if not detail > 0:
        return _DEFAULT_FINEST
    zoom = math.ceil(math.log2(_EQUATOR / (_TILE_UNITS * detail / 4)))
    return min(max(zoom, 0), _FINEST)
