"""GeoParquet 1.1: WKB, one row group per batch, a bounding-box column for pruning, the CRS as PROJJSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import CRS

from geoseg.writers.layer import BOUNDS, GEOMETRY, Batches, Layer, without

_BBOX = "bbox"


def write_geoparquet(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    """GeoParquet file; readers skip row groups by the statistics of the bbox column."""
    names = [*layer.attributes, GEOMETRY]
    bbox = pa.field(_BBOX, pa.struct([pa.field(name, pa.float64(), nullable=False) for name in BOUNDS]))
    schema = pa.schema([*(layer.schema.field(name) for name in names), bbox])
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_index=True) as writer:
        for batch in batches:
            if not len(batch):
                continue
            corners = [batch[name] for name in BOUNDS]
            low = np.minimum(low, [corners[0].to_numpy().min(), corners[1].to_numpy().min()])
            high = np.maximum(high, [corners[2].to_numpy().max(), corners[3].to_numpy().max()])
            boxes = pa.StructArray.from_arrays(corners, fields=list(bbox.type))
            columns = [*without(batch, BOUNDS).columns, boxes]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema), row_group_size=len(batch))
        writer.add_key_value_metadata(
            {
                "geo": json.dumps(_geo(layer, [*low, *high])),
                **{f"geoseg:{k}": v for k, v in layer.metadata.items()},
            }
        )
    return [path]


def _geo(layer: Layer, bbox: list[float]) -> dict[str, object]:
    column: dict[str, object] = {
        "encoding": "WKB",
        "geometry_types": [layer.geometry_type],
        "crs": CRS.from_wkt(layer.crs_wkt).to_json_dict(),
        **({"orientation": "counterclockwise"} if "Polygon" in layer.geometry_type else {}),
        "edges": "planar",
        "covering": {"bbox": {name: [_BBOX, name] for name in BOUNDS}},
    }
    if np.isfinite(bbox).all():
        column["bbox"] = [float(v) for v in bbox]
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
