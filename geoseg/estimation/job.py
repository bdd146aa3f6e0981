"""What an estimation is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from geoseg.raster.reading import Reading

Design = Literal["srs", "stratified", "post-stratified"]
Shown = Literal["standard", "adjusted"]


class EstimateJob(Reading):
    """Accuracy of a map and areas of classes, with standard errors, from a labelled probability sample.

    Attributes
    ----------
    sample
        The labelled sample: the GeoPackage of the design, or a table or points of another tool.
    map
        Class map to score, instead of the classes that the sample brings along.
    band
        Band of the map where it has several, by number or name.
    another_map
        The map may be another than that of the design; its classes then are no strata (Stehman 2014).
    out
        File estimates.json to write; estimates.csv and estimates_matrix.csv come to lie beside it. None
        writes nothing.
    design
        How units were drawn where the file does not say: srs is simple random or systematic. For
        post-stratified, simple random, but the areas of the strata are known.
    strata_areas
        YAML or CSV of stratum to pixels and hectares, where the file does not say. Without it they are
        counted in `map`, whose classes then are the strata.
    label_field
        Field of a table that holds the reference class.
    map_field
        Field of a table that holds the class on the map.
    stratum_field
        Field of a table that holds the stratum.
    cluster_field
        Field of a table that holds the cluster, where units were drawn together: plots with several points.
    min_confidence
        Labels of which the interpreter was less sure count as unknown.
    layer
        Layer of a vector file with several.
    encoding
        Encoding of a Shapefile or CSV that does not say it or says it wrongly, like cp1252.
    legend
        YAML of class number to name, for samples and maps that name no classes themselves. Or a mapping.
    crosswalk
        YAML of value in a table to class name, id or "ignore"; for a sample of geoseg, of value in `map` to
        class name. Or a mapping. Without it, values are class names or ids.
    training
        Polygons or points that the model was trained with; units that touch them are refused.
    ratio
        Area of classes as a share of that of others, like "loss / loss,stable forest".
    confidence
        Of the intervals.
    interval
        Intervals of areas to show: from the standard errors of the papers, or adjusted for classes that few
        units carry. Files hold both.
    no_fpc
        Leave out the correction for finite populations, as Olofsson et al. do.
    """

    sample: Path
    map: Path | None = None
    band: int | str | None = None
    another_map: bool = False
    out: Path | None = None
    design: Design | None = None
    strata_areas: Path | dict[Any, Any] | None = None
    label_field: str | None = None
    map_field: str | None = None
    stratum_field: str | None = None
    cluster_field: str | None = None
    min_confidence: float | None = None
    layer: str | None = None
    encoding: str | None = None
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    training: Path | None = None
    ratio: list[str] = Field(default_factory=list)
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    interval: Shown = "standard"
    no_fpc: bool = False
