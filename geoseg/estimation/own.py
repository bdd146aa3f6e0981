"""A sample that geoseg drew, with the map that it was drawn from or another."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import shapely
from pyproj import Transformer

from geoseg.errors import InputError, UsageError
from geoseg.estimation.job import EstimateJob
from geoseg.estimation.observed import SYSTEMATIC, Drawing, Observed, Row, StratumSize
from geoseg.estimation.places import class_areas, classes_at
from geoseg.legend import NODATA, Legend, as_compared
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.vectors import read_vector
from geoseg.sampling.design import map_digest
from geoseg.sampling.file import read_sample
from geoseg.sampling.layout import Drawn, Sample, Unit

_PLACE = 1e-5  # degrees, a metre
_MOST_NAMED = 5


def observe_sample(job: EstimateJob) -> Observed:
    """Sample of a GeoPackage of `geoseg sample design`, with its own map's classes or those of `job.map`.

    Raises
    ------
    InputError
        A map that is not the design's (unless that is said), units that were moved or that trained the model.
    UsageError
        An option that says what the design says already.
    """
    for name in ("strata_areas", "label_field", "map_field", "stratum_field", "cluster_field", "legend"):
        if getattr(job, name) is not None:
            raise UsageError(f"`{name}` is for samples of other tools", where=job.sample)
    sample = read_sample(job.sample)
    places = _places(sample, job)
    position = {s.stratum: h for h, s in enumerate(sample.strata)}
    drawing = _drawing(sample, job)
    in_tile = Counter(unit.psu for unit in sample.units)
    rows = tuple(
        _row(unit, drawn, position[drawn.stratum], in_tile[unit.psu], job.min_confidence)
        for unit, drawn in sample.rows
    )
    observed = Observed(
        rows=rows,
        strata=tuple(StratumSize(name=s.name, units=s.pixels, hectares=s.hectares) for s in sample.strata),
        drawing=drawing,
        legend=sample.legend,
        tiles=_tiles(sample) if drawing == "two-stage" else None,
        mapped={c.id: c.hectares for c in sample.info.classes},
        notes=(*sample.info.notes, *([SYSTEMATIC] if sample.info.method == "systematic" else [])),
        origin={
            "method": sample.info.method,
            "unit": sample.info.unit,
            "seed": sample.info.seed,
            "map": sample.info.map,
            "map_digest": sample.info.map_digest,
            "command": sample.info.command,
            "drawn": sample.info.date,
        },
    )
    if job.training is not None:
        _refuse_training(sample, job)
    if job.map is not None:
        observed = _on_map(observed, sample, job, places)
    if job.design == "post-stratified":
        observed = _post_stratified(observed, sample)
    return observed


def _drawing(sample: Sample, job: EstimateJob) -> Drawing:
    own: Drawing = "simple" if sample.info.method == "systematic" else sample.info.method
    said = {"srs": "simple", "post-stratified": "simple"}.get(job.design or "", job.design)
    if said not in (None, own):
        raise UsageError(f"`design={job.design}` contradicts the file", where=job.sample, why=f"it is {own}")
    return own


def _tiles(sample: Sample) -> float | None:
    """Tiles in the population, of those that were drawn."""
    drawn = len({unit.psu for unit in sample.units})
    (first, *_) = sample.design
    return None if first.stage1_p is None else drawn / first.stage1_p


def _row(unit: Unit, drawn: Drawn, stratum: int, in_tile: int, least: float | None) -> Row:
    answer = unit.answer
    doubted = least is not None and answer.confidence is not None and answer.confidence < least
    return Row(
        id=unit.id,
        stratum=stratum,
        map_class=drawn.map_class,
        label=answer.label,
        label_2=answer.label_2,
        share=answer.share,
        unknown=answer.unknown or (f"confidence below {least:g}" if doubted else None),
        order=unit.order,
        area=drawn.area_m2,
        tile=unit.psu,
        tile_size=None if drawn.stage2_p is None else in_tile / drawn.stage2_p,
    )


def _places(sample: Sample, job: EstimateJob) -> np.ndarray:
    """(n, 2) centres of the units in the sample's CRS; InputError for units that were moved."""
    shapes = shapely.from_wkb([u.geometry for u in sample.units])
    missing = [u.id for u, shape in zip(sample.units, shapes, strict=True) if shape is None or shape.is_empty]
    if missing:
        raise _moved(missing, "have no geometry", job)
    places = np.asarray(shapely.get_coordinates(shapely.centroid(shapes)))
    to_degrees = Transformer.from_crs(sample.crs_wkt, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(places[:, 0], places[:, 1])
    off = [
        abs((x - unit.lon + 180) % 360 - 180) > _PLACE or abs(y - unit.lat) > _PLACE
        for x, y, unit in zip(lon, lat, sample.units, strict=True)
    ]
    if any(off):
        moved = [unit.id for unit, is_off in zip(sample.units, off, strict=True) if is_off]
        raise _moved(moved, "are not where they were drawn", job)
    return places


def _moved(ids: list[str], what: str, job: EstimateJob) -> InputError:
    return InputError(
        f"{len(ids):,} units {what}",
        where=job.sample,
        why=f"{', '.join(ids[:_MOST_NAMED])}{' and more' if len(ids) > _MOST_NAMED else ''}; "
        "they would lie outside of their stratum",
        hint="bring back the geometries as they were drawn",
    )


def _on_map(observed: Observed, sample: Sample, job: EstimateJob, places: np.ndarray) -> Observed:
    """The sample with the classes of a map under its units."""
    assert job.map is not None
    class_map = open_class_map(job.map, band=job.band, crosswalk=job.crosswalk, **job.reading)
    same = map_digest(class_map) == sample.info.map_digest
    if not same and not job.another_map:
        raise InputError(
            "this is not the map that the sample was drawn from",
            where=job.map,
            why=f"that was {sample.info.map}, and the digests differ",
            hint="that map; or `another_map` if it is meant (strata then are not its classes, Stehman 2014)",
        )
    if same:
        return observed
    found = classes_at(class_map, places, sample.crs_wkt)
    legend, own = _joined(sample.legend, class_map)
    rows = tuple(
        replace(row, map_class=own.get(int(label)) if label != NODATA else None)
        for row, label in zip(observed.rows, found, strict=True)
    )
    lost = int((found == NODATA).sum())
    notes = [f"the map {job.map.name} is not that of the design: its classes are no strata (Stehman 2014)"]
    if lost:
        notes.append(f"{lost:,} units lie where the map has no class: they count as wrong")
    mapped = {own[label]: hectares for label, (_, hectares) in class_areas(class_map).items()}
    return replace(observed, rows=rows, legend=legend, mapped=mapped, notes=(*observed.notes, *notes))


def _joined(legend: Legend, class_map: ClassMap) -> tuple[Legend, dict[int, int]]:
    """Classes of the design and of another map together, and the number there of each class of the map."""
    names = {as_compared(c.name): c.id for c in legend.classes}
    classes, own = {c.id: c.name for c in legend.classes}, {}
    for c in class_map.legend.classes:
        known = names.get(as_compared(c.name))
        if known is None:
            known = c.id if c.id not in classes else next(i for i in range(NODATA) if i not in classes)
            classes[known] = c.name
        own[c.id] = known
    return Legend.of(classes, {c.id: c.color for c in legend.classes}), own


def _post_stratified(observed: Observed, sample: Sample) -> Observed:
    """A simple random sample with the classes of its map for strata."""
    classes = [c for c in sample.info.classes if c.pixels]
    position = {c.id: h for h, c in enumerate(classes)}
    return replace(
        observed,
        drawing="post-stratified",
        rows=tuple(
            replace(row, stratum=position[drawn.map_class])
            for row, (_, drawn) in zip(observed.rows, sample.rows, strict=True)
        ),
        strata=tuple(
            StratumSize(name=sample.legend.name(c.id), units=c.pixels, hectares=c.hectares) for c in classes
        ),
    )


def _refuse_training(sample: Sample, job: EstimateJob) -> None:
    assert job.training is not None
    frame = read_vector(job.training, points=True, columns=[], encoding=job.encoding).to_crs(sample.crs_wkt)
    tree = shapely.STRtree(np.asarray(frame.geometry.array))
    shapes = shapely.from_wkb([u.geometry for u in sample.units])
    refuse_trained(
        [sample.units[i].id for i in np.unique(tree.query(shapes, predicate="intersects")[0])], job
    )


def refuse_trained(ids: list[str], job: EstimateJob) -> None:
    """InputError if there are units that the model was trained with."""
    if ids:
        raise InputError(
            f"{len(ids):,} units touch what the model was trained with",
            where=job.training,
            why=f"{', '.join(ids[:_MOST_NAMED])}{' and more' if len(ids) > _MOST_NAMED else ''}; "
            "the map is too good there, and so would be its accuracy",
            hint="an independent sample: one drawn from the area without the training data",
        )
