"""What a file of geoseg says, as plain JSON values: its content, not when or by what it was written.

Left out by intent: run ids, digests of whole files, versions, notes and rules in words.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import rasterio

import geoseg

Content = dict[str, Any]


def digest(data: bytes | str) -> str:
    """First 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


def raster(path: Path) -> Content:
    """Grid, bands, nodata, colours, pixels and overviews of a raster, as rasterio reads them."""
    with rasterio.open(path) as file:
        overviews = file.overviews(1)
        colours = file.colormap(1) if file.dtypes[0] == "uint8" and _is_palette(file) else {}
        found = {
            "size": [file.count, file.height, file.width],
            "dtypes": list(file.dtypes),
            "crs": digest(file.crs.to_wkt()),
            "transform": list(file.transform)[:6],
            "nodata": file.nodata,
            "colours": digest(json.dumps(colours, sort_keys=True)),
            "pixels": digest(file.read().tobytes()),
            "overviews": overviews,
        }
    pyramid = []
    for level in range(len(overviews)):
        with rasterio.open(path, overview_level=level) as file:
            pyramid.append(digest(file.read().tobytes()))
    return {**found, "pyramid": pyramid}


def class_map(path: Path) -> Content:
    """A raster with its classes: the legend by geoseg, and pixels per class."""
    with rasterio.open(path) as file:
        values, counts = np.unique(file.read(1), return_counts=True)
    return {
        **raster(path),
        "legend": geoseg.open_class_map(path).legend.to_json(),
        "count": {str(v): int(n) for v, n in zip(values, counts, strict=True)},
    }


def prediction(folder: Path) -> Content:
    """Both rasters and the style of a prediction's folder."""
    return {
        "classes": class_map(folder / "classes.tif"),
        "confidence": raster(folder / "confidence.tif"),
        "pixels": json.loads((folder / "manifest.json").read_text())["pixels"],
    }


def polygons(path: Path, layer: str | None = None) -> Content:
    """CRS, geometries and fields of a vector file, as pyogrio or geopandas read them, in their order.

    Areas are in the file with more decimals than they mean: they are told by sums that rounding leaves alone.
    """
    if path.suffix == ".parquet":
        frame = geopandas.read_parquet(path)
        crs, kind = frame.crs.to_wkt(), "/".join(sorted(set(frame.geom_type)))
        geometries, attributes = frame.geometry.to_wkb(), frame.drop(columns=frame.geometry.name)
        fields = {str(name): attributes[name].to_numpy() for name in attributes}
    else:
        meta, _, geometries, columns = pyogrio.raw.read(path, layer=layer)
        crs, kind = meta["crs"], meta["geometry_type"]
        fields = {str(name): values for name, values in zip(meta["fields"], columns, strict=True)}
    return {
        "crs": digest(crs),
        "type": kind,
        "features": len(geometries),
        "geometries": digest(b"".join(geometries)),
        "fields": {name: _column(name, values) for name, values in fields.items()},
    }


def scores(path: Path) -> Content:
    """Numbers of a scores.json and the table confusion.csv beside it."""
    raw = json.loads(path.read_text())
    kept = ("overall", "classes", "absent_classes", "confusion", "pixels", "points", "boundary_pixels")
    return {
        **{key: _rounded(raw[key]) for key in kept if key in raw},
        "confusion.csv": _rows(path.with_name("confusion.csv")),
    }


def change(folder: Path) -> Content:
    """Raster and tables of a comparison."""
    raw = json.loads((folder / "transitions.json").read_text())
    kept = ("classes", "total", "matrix", "raster", "legend")
    return {
        **{key: _rounded(raw[key]) for key in kept},
        "change.tif": raster(folder / "change.tif"),
        "transitions.csv": _rows(folder / "transitions.csv"),
    }


def bundle(folder: Path) -> Content:
    """bundle.json whole, but for the version that wrote it; long lists by their digest."""
    raw = json.loads((folder / "bundle.json").read_text())
    raw["provenance"].pop("geoseg", None)
    return {key: _short(value) for key, value in raw.items()}


def _is_palette(file: rasterio.DatasetReader) -> bool:
    return file.colorinterp[0].name == "palette"


def _column(name: str, values: np.ndarray) -> Content:
    if name == "run_id":  # a digest of all that identifies a run, this version of geoseg included
        return {"dtype": values.dtype.kind, "distinct": len(set(values.tolist()))}
    if values.dtype.kind == "f" and name.startswith("area"):
        known = values[~np.isnan(values)].astype(np.float64)
        return {"sum": float(known.sum()), "weighted": float((known * np.arange(1, len(known) + 1)).sum())}
    if values.dtype.kind == "f":
        values = np.round(values.astype(np.float64), 6) + 0.0
    return {"dtype": values.dtype.kind, "values": digest(json.dumps(values.tolist(), default=str))}


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def _rounded(value: Any) -> Any:
    """The same with six decimals; a score of 0 and no score are one: which it is depends on the rule."""
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) or None
    return value


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(v) for key, v in value.items()}
    text = json.dumps(value)
    return value if len(text) <= 200 else digest(text)


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Places at which `found` lacks or changes something of `expected`; what it has beyond is none."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            text
            for key, value in expected.items()
            for text in (
                differences(value, found[key], f"{where}/{key}") if key in found else [f"{where}/{key}: gone"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            text
            for i, (e, f) in enumerate(zip(expected, found, strict=True))
            for text in differences(e, f, f"{where}[{i}]")
        ]
    if isinstance(expected, float) and isinstance(found, int | float):
        return [] if math.isclose(expected, found, rel_tol=1e-4) else [f"{where}: {expected} became {found}"]
    return [] if expected == found else [f"{where}: {expected} became {found}"]
