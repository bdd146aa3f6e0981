"""Attributes of regions, as Arrow batches with their geometries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.geometry import HECTARE, Grid, decimals
from geoseg.legend import Legend
from geoseg.outlines.lengths import EdgeLengths, SlantLengths, in_pixels
from geoseg.outlines.seams import Rings
from geoseg.outlines.stream import Shapes
from geoseg.outlines.wkb import EncodedPolygons, encode
from geoseg.vectorization.reproject import reprojected
from geoseg.writers.arrow import numbers, texts
from geoseg.writers.layer import BOUNDS, GEOMETRY

_BATCH_ROWS = 1 << 16
_BATCH_CORNERS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonTable:
    """Turns complete regions into rows.

    Attributes
    ----------
    grid, area_unit, lengths
        Where the pixels lie, square metres of an area unit, and metres along pixel edges.
    legend
        Names of classes; None names them ``class N``.
    has_confidence
        Whether the regions carry confidence; conf_mean is left out otherwise.
    has_least
        Whether conf_min, the smallest confidence of any pixel, stands beside it.
    run_id
        Run that made the map; the field is left out at None.
    crs
        Of the output, where it is not the grid's.
    scale
        Units of the polygons' points per pixel, a power of two.
    watched
        Whether points are checked to lie where `crs` is used.
    """

    grid: Grid
    area_unit: float
    lengths: EdgeLengths | SlantLengths
    legend: Legend | None
    has_confidence: bool
    has_least: bool
    run_id: str | None
    crs: CRS | None
    scale: int = 1
    watched: bool = False

    @property
    def schema(self) -> pa.Schema:
        """Columns of the batches; every attribute's name has at most 10 characters, as a Shapefile needs."""
        fields = [
            pa.field("class_id", pa.int32(), nullable=False),
            pa.field("class_name", pa.string(), nullable=False),
            pa.field("area_ha", pa.float64(), nullable=False),
            pa.field("perim_m", pa.float64(), nullable=False),
        ]
        if self.has_confidence:
            fields.append(pa.field("conf_mean", pa.float64()))
        if self.has_least:
            fields.append(pa.field("conf_min", pa.float64()))
        fields.append(pa.field("n_pix", pa.int64(), nullable=False))
        if self.run_id is not None:
            fields.append(pa.field("run_id", pa.string(), nullable=False))
        fields.append(pa.field(GEOMETRY, pa.large_binary(), nullable=False))
        return pa.schema([*fields, *(pa.field(name, pa.float64(), nullable=False) for name in BOUNDS)])

    def name_of(self, class_id: int) -> str:
        """Name of a class."""
        return f"class {class_id}" if self.legend is None else self.legend.name(class_id)

    def batches(self, shapes: Shapes) -> Iterator[pa.RecordBatch]:
        """Rows of complete regions, in batches of bounded size."""
        sizes = np.diff(shapes.rings.ring_offsets[shapes.rings.polygon_offsets])
        corners = np.concatenate([[0], np.cumsum(sizes[shapes.order])])
        begin, count = 0, len(shapes.regions)
        while begin < count:
            fitting = int(np.searchsorted(corners, corners[begin] + _BATCH_CORNERS, "right")) - 1
            end = min(max(fitting, begin + 1), begin + _BATCH_ROWS, count)
            yield self._batch(*shapes.part(begin, end))
            begin = end

    def _batch(self, regions: NDArray[np.void], rings: Rings) -> pa.RecordBatch:
        encoded = self._encoded(rings)
        ids = regions["class_id"]
        of_area, of_length = decimals(self.grid)
        values = {
            "class_id": numbers(ids.astype(np.int32)),
            "class_name": texts([self.name_of(i) for i in range(256)], ids),
            "area_ha": numbers(np.round(regions["area"] * (self.area_unit / HECTARE), of_area)),
            "perim_m": numbers(self.lengths.perimeters(rings).round(of_length)),
            "conf_mean": _mean_confidence(regions),
            "conf_min": numbers(regions["least"] / 100.0, regions["least"] != 255),
            "n_pix": numbers(regions["pixels"]),
            "run_id": texts([self.run_id or ""], np.zeros(len(regions), np.int64)),
            GEOMETRY: _binary(encoded),
            **{name: numbers(encoded.bounds[:, i]) for i, name in enumerate(BOUNDS)},
        }
        return pa.RecordBatch.from_arrays([values[f.name] for f in self.schema], schema=self.schema)

    def _encoded(self, rings: Rings) -> EncodedPolygons:
        t, s = self.grid.transform, self.scale
        t = Affine(t.a / s, t.b / s, t.c, t.d / s, t.e / s, t.f)
        if self.crs is None:
            return encode(rings.points, rings, transform=t, reverse=t.a * t.e > 0)
        if self.scale != 1:
            rings = in_pixels(rings, self.scale)
        points, rings = reprojected(rings, self.grid, self.crs, watched=self.watched)
        # (y, x) under the identity, so that one function writes corners and coordinates
        return encode(points, rings, transform=Affine.identity(), reverse=t.a * t.e > 0)


def _mean_confidence(regions: NDArray[np.void]) -> pa.Array:
    known = regions["confident"] > 0
    mean = regions["confidence"] / np.maximum(regions["confident"], 1) / 100.0
    return numbers(mean, known)


def _binary(encoded: EncodedPolygons) -> pa.Array:
    """Arrow array over the encoded bytes, without a copy."""
    buffers = [None, pa.py_buffer(encoded.offsets), pa.py_buffer(encoded.wkb)]
    return pa.Array.from_buffers(pa.large_binary(), len(encoded.offsets) - 1, buffers)
