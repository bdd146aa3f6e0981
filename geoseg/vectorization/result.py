"""What a vectorization made, and how far one is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.outlines.square import SquareTotal
from geoseg.results import as_json

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorizeProgress:
    """How far a vectorization is.

    Attributes
    ----------
    done, total
        Pixels, over all passes: one more for filling holes, and one for small regions.
    polygons
        Polygons written.
    """

    done: int
    total: int
    polygons: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTotal:
    """One class of a vectorization.

    Attributes
    ----------
    class_id, name
        The class.
    polygons, pixels
        Numbers of both.
    hectares
        Geodesic area of those pixels.
    area_error
        By what share of it the simplified polygons are larger; None where they are exact.
    """

    class_id: int
    name: str
    polygons: int
    pixels: int
    hectares: float
    area_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectorization:
    """What a vectorization made.

    Attributes
    ----------
    path
        The file to open.
    paths
        All files, that one first.
    layer
        Its layer.
    classes
        Totals by class, in order of class number.
    seconds
        Time taken.
    notes
        What the user should know.
    squared
        What `square` did; None where it was not asked for, or nothing could be squared.
    """

    path: Path
    paths: tuple[Path, ...]
    layer: str
    classes: tuple[ClassTotal, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    squared: SquareTotal | None = None

    @property
    def polygons(self) -> int:
        """Number of polygons."""
        return sum(c.polygons for c in self.classes)

    @property
    def pixels(self) -> int:
        """Number of pixels in polygons."""
        return sum(c.pixels for c in self.classes)

    @property
    def hectares(self) -> dict[str, float]:
        """Geodesic hectares by class name."""
        return {c.name: c.hectares for c in self.classes}

    def to_geodataframe(self) -> GeoDataFrame:
        """All polygons with their attributes, read from the file; they have to fit into memory."""
        from geoseg.raster.vectors import read_vector

        # other formats hold one layer, under a name of their own
        return read_vector(self.path, layer=self.layer if self.path.suffix.lower() == ".gpkg" else None)

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self, polygons=self.polygons, pixels=self.pixels)
