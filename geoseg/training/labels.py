"""Labels of a scene: class ids under its pixels, from a raster or from polygons, window by window."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import sample_nearest
from geoseg.legend import NODATA, Crosswalk, Legend
from geoseg.raster.burn import burn, read_vector, to_pixel_coordinates
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.training.job import LabelledScene

_VECTORS = frozenset([".gpkg", ".shp", ".fgb", ".geojson", ".json", ".parquet", ".geoparquet"])


class Labels(Protocol):
    """Class ids under a scene's pixels."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (h, w) of a window of the scene; 255 where there is no label."""
        ...

    def fingerprint(self) -> Any:
        """What identifies the labels' content; JSON-ready."""
        ...


@dataclass(frozen=True, kw_only=True)
class RasterLabels:
    """Labels from a raster of class numbers, on the scene's grid or under its pixels' centres."""

    raster: ClassMap
    grid: Grid
    table: NDArray[np.int16]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (h, w); InputError for a value without a class."""
        if self._aligned:
            return self._classes(window)
        return sample_nearest(self.grid, window, self.raster.grid, self._classes, fill=NODATA)

    def fingerprint(self) -> Any:
        """Content of the file and the meaning of its values."""
        return [self.raster.scene.fingerprint(), hashlib.sha256(self.table.tobytes()).hexdigest()]

    @cached_property
    def _aligned(self) -> bool:
        return self.grid.difference(self.raster.grid) is None

    def _classes(self, window: Window) -> NDArray[np.uint8]:
        values = self.raster.read(window)
        found = self.table[values]
        if (found < 0).any():
            unknown = np.unique(values[found < 0]).tolist()
            raise InputError(
                f"label values without a class: {', '.join(map(str, unknown))}",
                where=self.raster.path,
                why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}",
                hint="name them in classes, or in crosswalk with a class or 'ignore'",
            )
        return found.astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class PolygonLabels:
    """Labels from polygons in the scene's pixel coordinates; a later one covers an earlier one."""

    path: Path
    shapes: NDArray[np.object_]
    classes: NDArray[np.uint8]
    background: int

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (h, w); a pixel belongs to the polygon that covers its centre."""
        import shapely

        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        hits = np.sort(self._tree.query(box))
        pairs = list(zip(self.shapes[hits], self.classes[hits].tolist(), strict=True))
        burned: NDArray[np.uint8] = burn(pairs, window, fill=self.background, dtype="uint8")
        return burned

    def fingerprint(self) -> Any:
        """Shapes and classes."""
        import shapely

        digest = hashlib.sha256(b"".join(shapely.to_wkb(self.shapes).tolist()))
        digest.update(self.classes.tobytes())
        return [digest.hexdigest(), self.background]

    @cached_property
    def _tree(self) -> Any:
        import shapely

        return shapely.STRtree(self.shapes)


def open_labels(
    scene: LabelledScene, grid: Grid, legend: Legend, crosswalk: Mapping[Any, Any] | None
) -> Labels:
    """Labels of a scene, on its grid.

    Raises
    ------
    InputError
        A file that cannot be used, values without a class, labels that lie elsewhere.
    UsageError
        A field that is missing, or given for a raster.
    """
    walk = Crosswalk.identity(legend) if crosswalk is None else Crosswalk.parse(crosswalk, legend)
    if scene.labels.suffix.lower() in _VECTORS:
        return _polygons(scene, grid, legend, walk)
    if scene.field or scene.layer or scene.background is not None:
        raise UsageError(
            "field, layer and background belong to polygons",
            where=scene.labels,
            why="the labels are a raster",
        )
    raster = open_class_map(scene.labels, assume_crs=scene.assume_crs)
    table = np.full(256, -1, np.int16)
    table[NODATA] = NODATA
    for value in range(NODATA):
        try:
            target = walk.target(value)
        except UsageError:
            continue
        table[value] = NODATA if target is None else target
    return RasterLabels(raster=raster, grid=grid, table=table)


def _polygons(scene: LabelledScene, grid: Grid, legend: Legend, walk: Crosswalk) -> PolygonLabels:
    import shapely

    if scene.field is None:
        raise UsageError("the field with the class has to be named", where=scene.labels, hint="field: NAME")
    frame = read_vector(scene.labels, layer=scene.layer, columns=[scene.field], assume_crs=scene.assume_crs)
    given = np.asarray(frame.geometry.array, object)
    wrong = np.flatnonzero(~shapely.is_valid(given))
    if wrong.size:
        raise InputError(
            f"{wrong.size} of {len(frame)} polygons are invalid",
            where=scene.labels,
            why=f"the first is number {wrong[0] + 1}: {shapely.is_valid_reason(given[wrong[0]])}",
            hint="mend them in a GIS, for example with Fix geometries of QGIS",
        )
    classes = np.array([_class_of(v, walk, scene) for v in frame[scene.field]], np.uint8)
    shapes = np.asarray(to_pixel_coordinates(frame, grid).geometry.array, object)
    box = shapely.box(0, 0, grid.width, grid.height)
    near = shapely.intersects(shapes, box)
    if not near.any():
        x0, y0, x1, y1 = shapely.total_bounds(shapes)
        raise InputError(
            "labels lie outside the scene",
            where=scene.labels,
            why=f"columns {x0:.0f} to {x1:.0f}, rows {y0:.0f} to {y1:.0f}; "
            f"the scene has {grid.width} columns and {grid.height} rows",
        )
    background = NODATA if scene.background is None else legend.find(scene.background).id
    return PolygonLabels(path=scene.labels, shapes=shapes[near], classes=classes[near], background=background)


def _class_of(value: Any, walk: Crosswalk, scene: LabelledScene) -> int:
    plain = value.item() if hasattr(value, "item") else value
    if plain is None or (isinstance(plain, float) and plain != plain):  # noqa: PLR0124 (NaN)
        return NODATA  # a polygon without a class teaches nothing
    try:
        target = walk.target(plain)
    except UsageError as error:
        raise InputError(
            f"field {scene.field!r} holds {plain!r}, which has no class",
            where=scene.labels,
            why=error.why,
            hint="name it in classes, or in crosswalk with a class or 'ignore'",
        ) from None
    return NODATA if target is None else target
