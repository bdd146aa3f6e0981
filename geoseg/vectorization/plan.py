"""A job with its inputs opened and checked, and everything chosen that the polygons need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyproj import CRS

from geoseg.cleaning.cleaned import chunk_shape, cleaned_map
from geoseg.errors import InputError, UsageError
from geoseg.geometry import Window
from geoseg.legend import Legend, class_numbers
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.lengths import EdgeLengths, SlantLengths
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.georeference import nowhere_in_degrees
from geoseg.raster.open import open_raster, safe_gdal
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions, called
from geoseg.raster.scene import Scene
from geoseg.raster.style import vector_qml
from geoseg.vectorization.chunk import ChunkSource
from geoseg.vectorization.dateline import cut_at_antimeridian
from geoseg.vectorization.fractions import Fractions
from geoseg.vectorization.job import FRACTIONS_NAMES, VectorizeJob
from geoseg.vectorization.neighbours import NEIGHBOURS, Neighbours, numbered, with_number
from geoseg.vectorization.reproject import Reach, output_crs, whole
from geoseg.vectorization.table import PolygonTable
from geoseg.vectorization.totals import Totals
from geoseg.version import __version__
from geoseg.writers.formats import format_of
from geoseg.writers.layer import Layer, SideTable

_CONFIDENCE_NAME = "confidence.tif"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job with its inputs opened and checked."""

    classes: ClassMap
    most_corners: int | None
    source: ChunkSource
    table: PolygonTable
    simplified: bool
    fractions: Fractions | None
    neighbours: Neighbours | None
    cut: bool
    is_wide: bool
    windows: tuple[Window, ...]
    across: int
    crs_wkt: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, job: VectorizeJob) -> Plan:
        """The plan of a job; UsageError or InputError where it cannot be done."""
        classes = open_class_map(
            job.classes, job.legend, band=job.band, crosswalk=job.crosswalk, **job.reading
        )
        confidence, notes = _confidence(job, classes)
        if job.conf_min and confidence is None:
            raise UsageError("conf_min needs a confidence raster", hint="`confidence=FILE`")
        grid, cleaned = classes.grid, cleaned_map(classes, job)
        wanted = output_crs(job)
        # a longitude can pass 180 only where it was asked for: a map's own coordinates stay as they are
        cut = wanted is not None and wanted.is_geographic
        crs = None if wanted is None or wanted.equals(grid.crs, ignore_axis_order=True) else wanted
        reach = None if crs is None else Reach.of(grid, crs)
        if reach is not None and reach.off_earth:
            notes.append(f"parts of {classes.path.name} lie off the earth; what it holds there was left out")
        generalization = Generalization.of(
            grid,
            job.simplify,
            job.method,
            job.smooth,
            class_numbers(job.square, classes.declared, where=job.classes),
        )
        if crs is not None and crs.is_geographic:
            notes += nowhere_in_degrees(grid.crs, job.out)
        height, width = chunk_shape(grid.height, grid.width, job.chunk)
        if generalization is not None:
            height, width = generalization.chunk_shape(height, width)
        crs_wkt = classes.crs_wkt if crs is None else crs.to_wkt()
        if format_of(job.out).suffix == ".shp" and CRS.from_wkt(crs_wkt).is_bound:
            notes.append(
                "a Shapefile cannot hold the datum shift (TOWGS84) of the CRS: without it polygons lie "
                "elsewhere; a .gpkg holds it, or `crs=EPSG:4326` applies it"
            )
        lengths = (
            EdgeLengths.of(grid) if generalization is None else SlantLengths.of(grid, generalization.scale)
        )
        return cls(
            classes=classes,
            most_corners=job.max_corners or None,
            source=ChunkSource(
                cleaned=cleaned,
                confidence=confidence,
                only=class_numbers(job.only, classes.declared, where=job.classes) if job.only else None,
                generalization=generalization,
                on_earth=reach is not None and reach.off_earth,
            ),
            table=PolygonTable(
                grid=grid,
                area_unit=cleaned.area_unit,
                lengths=lengths,
                legend=classes.declared,
                has_confidence=confidence is not None,
                has_least=job.conf_min,
                run_id=_run_id(classes),
                crs=crs,
                scale=1 if generalization is None else generalization.scale,
                watched=reach is not None and reach.beyond,
            ),
            simplified=generalization is not None,
            neighbours=Neighbours(lengths) if job.neighbours else None,
            fractions=_fractions(job, grid.crs if crs is None else crs),
            cut=cut,
            is_wide=reach is not None and (reach.is_wide or reach.off_earth),
            windows=tuple(grid.window.blocks(height, width)),
            across=-(-grid.width // width),
            crs_wkt=crs_wkt,
            notes=(*classes.scene.notes, *notes),
        )

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        schema = self.table.schema
        if self.neighbours is not None:
            schema = with_number(schema)
        return schema if self.fractions is None else self.fractions.schema(schema)

    def finished(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of the table as they are written: cut at the antimeridian, numbered, with class fractions."""
        if self.cut:
            rows = cut_at_antimeridian(rows, continuous=self.classes.grid.crs.is_geographic)
        if self.is_wide and self.table.crs is not None:
            rows = whole(rows, self.table.crs)
        if self.neighbours is not None:
            rows = numbered(rows)
        return rows if self.fractions is None else self.fractions.added(rows)

    def layer(self, job: VectorizeJob, totals: Totals) -> Layer:
        """What the writer is told."""
        return Layer(
            name=job.layer,
            crs_wkt=self.crs_wkt,
            schema=self.schema,
            tables={NEIGHBOURS: self._neighbours()},
            detail=max(self.classes.grid.ground_size),
            style=lambda: vector_qml(self.legend(totals).classes),
            metadata={
                "description": f"Polygons of {self.classes.path.name}: 4-connected areas of one class. "
                "area_ha and perim_m are geodesic.",
                "software": f"geoseg {__version__}",
                **({} if self.table.run_id is None else {"run_id": self.table.run_id}),
            },
        )

    def _neighbours(self) -> SideTable | None:
        if self.neighbours is None:
            return None
        return SideTable(
            description="Polygons with a common border, by region_id", rows=self.neighbours.table
        )

    def legend(self, totals: Totals) -> Legend:
        """The map's legend, or one of the classes that were met."""
        if self.classes.declared is not None:
            return self.classes.declared
        seen = [int(i) for i in np.flatnonzero(totals.polygons)]
        return Legend.of(
            {i: self.table.name_of(i) for i in seen},
            {i: c for i, c in self.classes.colors.items() if i in seen},
        )


def _confidence(job: VectorizeJob, classes: ClassMap) -> tuple[Scene | None, list[str]]:
    """Confidence raster to use, and what to tell the user about it."""
    beside = classes.path.with_name(_CONFIDENCE_NAME)
    path = job.confidence or (beside if beside.is_file() and beside != classes.path else None)
    if path is None:
        return None, []
    reading: ReadingOptions = {**job.reading, "nodata": None}
    scene = open_scene(path, **reading)
    difference = classes.grid.difference(scene.grid)
    why = f"against {classes.path.name}: {difference}" if difference else f"{scene.count} bands, expected one"
    if difference or scene.count != 1:
        if job.confidence is None:
            return None, [f"{path.name} beside the class map is not its confidence and was left out: {why}"]
        raise InputError("not the confidence of this class map", where=path, why=why)
    return scene, []


def _run_id(classes: ClassMap) -> str | None:
    with safe_gdal():
        tag = open_raster(classes.path, allow_vrt=classes.scene.allow_vrt).tags().get("GEOSEG_RUN")
    return str(tag) if tag else None


def _fractions(job: VectorizeJob, crs: CRS) -> Fractions | None:
    if job.fractions is None:
        return None
    with called(FRACTIONS_NAMES):
        other = open_class_map(
            job.fractions,
            band=job.fractions_band,
            crosswalk=job.fractions_crosswalk,
            allow_vrt=job.allow_vrt,
        )
        return Fractions.of(other, crs)
