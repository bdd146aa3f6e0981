"""Features of a vector file in batches, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.datasource import WHOLE, chosen_layer, closed_ogr, damaged, data_source, heard, no_crs
from geoseg.raster.georeference import parse_crs
from geoseg.raster.vectors import read_vector, unreadable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_CURVED = (8, 9, 10, 11, 12)
"""OGC's numbers of arcs, lines of them, polygons within them, and several of either."""
_SURFACES = (15, 16, 17)
"""OGC's numbers of polyhedral surfaces, TINs and triangles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorInfo:
    """One layer of a vector file, to be read in batches.

    Attributes
    ----------
    path, layer, encoding
        What is read.
    crs
        Of the coordinates.
    frame
        The layer itself, where its kind of file is read at once.
    """

    path: Path
    layer: str | None
    crs: Any
    encoding: str | None
    frame: GeoDataFrame | None = None


def vector_info(
    path: str | PathLike[str],
    *,
    layer: str | None = None,
    assume_crs: Any = None,
    crs_option: str | None = None,
    encoding: str | None = None,
) -> VectorInfo:
    """What a vector file says of itself, for `vector_batches`; errors as in `read_vector`."""
    import pyogrio

    source = data_source(path, encoding=encoding, needs_crs=assume_crs is None, crs_option=crs_option)
    file = source.path
    if source.kind in WHOLE:
        frame = read_vector(
            file, layer=layer, assume_crs=assume_crs, crs_option=crs_option, points=True, encoding=encoding
        )
        return VectorInfo(path=file, layer=layer, crs=frame.crs, encoding=encoding, frame=frame)
    chosen = chosen_layer(file, layer)
    try:
        with closed_ogr(), heard():
            crs = pyogrio.read_info(file, layer=chosen)["crs"]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise damaged(file, error) from None
    if crs is None and assume_crs is None:
        raise no_crs(file, crs_option)
    return VectorInfo(
        path=file, layer=chosen, crs=parse_crs(assume_crs if crs is None else crs), encoding=encoding
    )


def vector_batches(
    info: VectorInfo, rows: int, notes: list[str] | None = None
) -> Iterator[tuple[Any, NDArray[np.object_]]]:
    """(pyarrow.RecordBatch of the attributes, well-known binary or None) of features, in bounded memory.

    In the order of the file, at most `rows` at once; of tables, GeoParquet and archives the whole is read.
    Geometries come as they are, of any type, invalid or missing, but for curves, which are made straight as
    GDAL does it. `notes` takes what the reader says of them. InputError for what has no place in a plane.
    """
    import pyarrow as pa
    import pyogrio
    import shapely

    if info.frame is not None:
        for begin in range(0, len(info.frame), rows):
            part = info.frame.iloc[begin : begin + rows]
            table = pa.Table.from_pandas(part.drop(columns=part.geometry.name), preserve_index=False)
            shapes = np.asarray(shapely.to_wkb(np.asarray(part.geometry.array, object)), object)
            (batch,) = table.combine_chunks().to_batches() or (_no_columns(len(part)),)
            yield batch, shapes
        return
    first = 0
    try:
        with closed_ogr(), ExitStack() as stack:
            with heard(notes):
                meta, reader = stack.enter_context(
                    pyogrio.raw.open_arrow(
                        info.path,
                        layer=info.layer,
                        encoding=info.encoding,
                        batch_size=rows,
                        use_pyarrow=True,
                    )
                )
            name = meta["geometry_name"] or "wkb_geometry"
            while (batch := _next(reader, notes)) is not None:
                shapes = np.asarray(batch[name].to_numpy(zero_copy_only=False), object)
                others = [n for n in batch.schema.names if n != name]
                own = batch.select(others) if others else _no_columns(len(shapes))
                yield own, _straight(shapes, info, first, notes)
                first += len(shapes)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException) as error:
        raise damaged(info.path, error) from None


def wkb_types(shapes: NDArray[np.object_]) -> NDArray[np.int64]:
    """(n,) type of each well-known binary, as OGC numbers them, whatever its dimensions; 0 for None."""
    types = [
        0 if text is None else int.from_bytes(text[1:5], "little" if text[0] else "big") for text in shapes
    ]
    return (np.array(types, np.int64) & 0x0FFFFFFF) % 1000  # of dimensions ISO makes thousands, PostGIS bits


def _next(reader: Any, notes: list[str] | None) -> Any:
    """The next batch, or None."""
    with heard(notes):
        return next(reader, None)


def _straight(
    shapes: NDArray[np.object_], info: VectorInfo, first: int, notes: list[str] | None
) -> NDArray[np.object_]:
    """Well-known binary of the features from number `first` on, without curves."""
    import pyogrio
    import shapely

    kinds = wkb_types(shapes)
    if np.isin(kinds, _SURFACES).any():
        raise unreadable(info.path)
    try:
        shapely.get_parts(shapely.from_wkb(shapes[kinds == shapely.GeometryType.GEOMETRYCOLLECTION]))
    except (shapely.errors.ShapelyError, NotImplementedError):
        raise unreadable(info.path) from None
    curved = np.isin(kinds, _CURVED)
    if not curved.any():
        return shapes
    with heard():
        _, _, straight, _ = pyogrio.raw.read(
            info.path, layer=info.layer, columns=[], skip_features=first, max_features=len(shapes)
        )
    said = "curves were made straight, in steps of 4 degrees"
    if notes is not None and said not in notes:
        notes.append(said)
    return np.where(curved, straight, shapes)


def _no_columns(rows: int) -> Any:
    """Record batch of rows without any attribute."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(rows)], ["_"]).select([])
