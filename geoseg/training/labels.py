"""Labels of a scene: class ids under its pixels, from a raster or from polygons, window by window.

A raster holds class numbers, or colours in three bands. One without georeference but of the image's size lies
on the image pixel by pixel: so masks come that were painted over pictures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
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
from geoseg.raster.georeference import placement
from geoseg.raster.opening import open_scene
from geoseg.raster.scene import Scene
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
    """Labels from a raster, on the scene's grid or under its pixels' centres.

    Attributes
    ----------
    raster
        One band of class numbers, or three bands of colours.
    grid
        The scene's.
    values
        (M,) known values in ascending order: class numbers, or colours as 0xRRGGBB.
    classes
        (M,) class id of each; 255 is not learnt from.
    """

    raster: ClassMap | Scene
    grid: Grid
    values: NDArray[np.int32]
    classes: NDArray[np.uint8]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (h, w); InputError for a value without a class."""
        if self._aligned:
            return self._classes(window)
        return sample_nearest(self.grid, window, self.raster.grid, self._classes, fill=NODATA)

    def fingerprint(self) -> Any:
        """Content of the file and the meaning of its values."""
        meaning = hashlib.sha256(self.values.tobytes() + self.classes.tobytes()).hexdigest()
        return [self._scene.fingerprint(), meaning]

    @property
    def _scene(self) -> Scene:
        return self.raster.scene if isinstance(self.raster, ClassMap) else self.raster

    @cached_property
    def _aligned(self) -> bool:
        return self.grid.difference(self.raster.grid) is None

    def _classes(self, window: Window) -> NDArray[np.uint8]:
        if isinstance(self.raster, ClassMap):
            found = self.raster.read(window).astype(np.int32)
            valid = found != NODATA
        else:
            (red, green, blue), valid = self.raster.read(window)
            found = (red.astype(np.int32) << 16) | (green.astype(np.int32) << 8) | blue
        at = np.minimum(np.searchsorted(self.values, found), len(self.values) - 1)
        unknown = valid & (self.values[at] != found)
        if unknown.any():
            raise self._unknown(np.unique(found[unknown]), window)
        classes = self.classes[at]
        classes[~valid] = NODATA
        return classes

    def _unknown(self, values: NDArray[np.int32], window: Window) -> InputError:
        coloured = not isinstance(self.raster, ClassMap)
        words = [f"#{v:06X}" if coloured else str(v) for v in values[:8].tolist()]
        more = f" and {len(values) - 8} more" if len(values) > 8 else ""
        return InputError(
            f"label {'colours' if coloured else 'values'} without a class: {', '.join(words)}{more}",
            where=self._scene.name,
            why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}",
            hint="name them in crosswalk with a class or 'ignore'"
            if coloured
            else "name them in classes, or in crosswalk with a class or 'ignore'",
        )


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
    return _raster(scene, grid, legend, walk)


def _raster(scene: LabelledScene, grid: Grid, legend: Legend, walk: Crosswalk) -> RasterLabels:
    options: dict[str, Any] = {"assume_crs": scene.assume_crs, "allow_vrt": scene.allow_vrt}
    placed, shape = placement(scene.labels, allow_vrt=scene.allow_vrt)
    if not placed:
        if shape != grid.shape:
            raise InputError(
                "labels without georeference have to be of the image's size",
                where=scene.labels,
                why=f"found {shape[1]} columns and {shape[0]} rows, "
                f"the image has {grid.width} and {grid.height}",
                hint="cut them to the image, or give them a georeference",
            )
        options |= {"assume_crs": grid.crs, "assume_transform": grid.transform}
    opened = open_scene(scene.labels, **options)
    if opened.count == 3 and opened.dtype == np.uint8:
        pairs = {int(str(c)[1:], 16): t for c, t in walk.mapping.items() if _is_colour(c)}
        if not pairs:
            raise UsageError(
                "labels in colours need a crosswalk",
                where=scene.labels,
                hint='crosswalk: {"#3C1098": building, ...}',
            )
        raster: ClassMap | Scene = opened
    else:
        raster = open_class_map(scene.labels, **options)
        pairs = dict(_numbers(walk))
    values = sorted(pairs)
    targets = [pairs[v] for v in values]
    return RasterLabels(
        raster=raster,
        grid=grid,
        values=np.array(values, np.int32),
        classes=np.array([NODATA if t is None else t for t in targets], np.uint8),
    )


def _is_colour(value: str | int) -> bool:
    return isinstance(value, str) and re.fullmatch("#[0-9A-Fa-f]{6}", value) is not None


def _numbers(walk: Crosswalk) -> Iterator[tuple[int, int | None]]:
    """Class numbers that the crosswalk knows, with what they mean."""
    for value in range(NODATA):
        with suppress(UsageError):
            yield value, walk.target(value)


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
