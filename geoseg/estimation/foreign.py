"""Samples that other tools drew: tables and points with a column for the reference class.

Read are tables (CSV, Excel) and points or polygons, with the columns of Collect Earth Online (own columns
come back as ``PL_...``), ArcGIS (``Classified``, ``GrndTruth``), SEPAL (``map_code``, ``map_area``,
``ref_code``) and sits (``label``), or any that are named.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import InputError, UsageError
from geoseg.estimation.job import EstimateJob
from geoseg.estimation.observed import SYSTEMATIC, Drawing, Observed, Row, StratumSize
from geoseg.estimation.own import refuse_trained
from geoseg.estimation.places import class_areas, classes_at
from geoseg.estimation.sheets import Sheet, read_sheet
from geoseg.estimation.strata_areas import read_strata_areas
from geoseg.legend import NODATA, Legend, as_compared
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.rules import Rules, is_null
from geoseg.raster.vectors import read_vector
from geoseg.strict_yaml import read_yaml

_ROLES: Mapping[str, tuple[str, ...]] = {
    "label": ("label", "ref_code", "ref_class", "grndtruth", "reference", "ref_label", "truth"),
    "map_class": ("map_class", "classified", "map_code", "map_label", "mapped"),
    "stratum": ("stratum", "strata"),
    "id": ("id", "plotid", "plot_id", "point_id"),
    "order": ("order",),
    "unknown": ("unknown", "flagged_reason"),
    "flagged": ("flagged",),
    "interpreter": ("interpreter", "email", "username"),
    "map_area": ("map_area",),
    "inclusion": ("p_inclusion",),
    "area": ("area_m2",),
    "label_2": ("label_2",),
    "share": ("share",),
    "confidence": ("confidence",),
    "cluster": ("cluster", "psu"),
    "point": ("sampleid", "sample_id"),
}
"""Columns by meaning, without regard to case; each also as ``pl_...``, as Collect Earth Online has it."""

_DESIGNS: Mapping[str, Drawing] = {
    "srs": "simple",
    "stratified": "stratified",
    "post-stratified": "post-stratified",
}
_UNLABELLED = -1
"""ArcGIS writes it where nothing was said yet."""
_MOST_NAMED = 5

_IN_HECTARES = "map_area is taken for hectares; without pixels, populations are not corrected for"


def observe_table(job: EstimateJob) -> Observed:
    """Sample of a table or points of another tool, by the design that the job or its columns tell.

    Raises
    ------
    UsageError
        No design: neither columns nor an option say how the units were drawn.
    InputError
        Columns that are missing, ids twice, labels that are no class, units that trained the model.
    """
    sheet = read_sheet(job)
    columns = _columns(sheet, job)
    class_map = None if job.map is None else open_class_map(job.map, job.legend, band=job.band, **job.reading)
    legend = _legend(sheet, columns, class_map, job)
    rules = Rules.parse(job.crosswalk, legend)
    notes: list[str] = []
    units = _consensus(_units(sheet, columns, rules, job), notes, job)
    if class_map is not None:
        units = _with_map_classes(units, sheet, class_map, legend, job)
    if job.training is not None:
        _refuse_training(units, sheet, job)
    observed = _with_design(units, legend, class_map, job)
    flagged = sum(u.unknown is not None and u.unknown.startswith("flagged") for u in units)
    if flagged:
        notes.append(f"{flagged:,} units are flagged: they count as unknown")
    if not any(row.map_class is not None for row in observed.rows):
        notes.append("no class of a map: areas are estimated, and accuracies are not; `map` gives them")
    return replace(observed, notes=(*notes, *observed.notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A row of the table, in the classes of the legend."""

    id: str
    line: int
    stratum: str | None = None
    map_class: int | None = None
    label: int | None = None
    label_2: int | None = None
    share: float | None = None
    unknown: str | None = None
    order: int | None = None
    area: float | None = None
    map_area: float | None = None
    inclusion: float | None = None
    interpreter: str | None = None
    cluster: str | None = None


def _columns(sheet: Sheet, job: EstimateJob) -> dict[str, str]:
    """Column of each role that the table has."""
    by_name = {name.casefold(): name for name in sheet.names}
    found = {}
    for role, names in _ROLES.items():
        known = next((by_name[n] for name in names for n in (name, f"pl_{name}") if n in by_name), None)
        if known is not None:
            found[role] = known
    for role, given in (
        ("label", job.label_field),
        ("map_class", job.map_field),
        ("stratum", job.stratum_field),
        ("cluster", job.cluster_field),
    ):
        if given is not None:
            if given.casefold() not in by_name:
                raise UsageError(
                    f"no field {given!r}", where=job.sample, why=f"fields are {', '.join(sheet.names)}"
                )
            found[role] = by_name[given.casefold()]
    if "label" not in found:
        raise UsageError(
            "no field that holds the reference class",
            where=job.sample,
            why=f"fields are {', '.join(sheet.names)}",
            hint="`label_field` with its name",
        )
    return found


def _legend(sheet: Sheet, columns: Mapping[str, str], class_map: ClassMap | None, job: EstimateJob) -> Legend:
    """Classes: given, else the map's, else those of the crosswalk, else all that occur."""
    if class_map is not None:
        return class_map.legend
    if job.legend is not None:
        raw = job.legend if isinstance(job.legend, Mapping) else read_yaml(job.legend)
        return Legend.of({int(k): str(v) for k, v in raw.items()})
    if job.crosswalk is not None:
        raw = job.crosswalk if isinstance(job.crosswalk, Mapping) else read_yaml(job.crosswalk)
        names = dict.fromkeys(
            str(v).strip() for v in raw.values() if str(v).casefold() not in {"ignore", "none"}
        )
        return Legend.of(dict(enumerate(names, 1)))
    values = {
        int(value) if isinstance(value, float) and value.is_integer() else value
        for role in ("map_class", "label", "label_2")
        if role in columns
        for value in sheet.column(columns[role])
        if not is_null(value) and value not in (_UNLABELLED, str(_UNLABELLED))
    }
    numbers = {int(v) for v in values if str(v).strip().isdecimal()}
    if len(numbers) == len({str(v).strip() for v in values}):
        if any(n >= NODATA for n in numbers):
            raise InputError(
                f"class {max(numbers)} is too large", where=job.sample, hint="`crosswalk` with a name for it"
            )
        return Legend.of({n: f"class {n}" for n in sorted(numbers)})
    spellings = {as_compared(name): name for name in sorted(str(v).strip() for v in values)}
    return Legend.of(dict(enumerate(sorted(spellings.values()), 1)))


def _units(sheet: Sheet, columns: Mapping[str, str], rules: Rules, job: EstimateJob) -> list[_Unit]:
    def of(role: str) -> Sequence[Any]:
        return sheet.column(columns[role]) if role in columns else [None] * len(sheet)

    def classes(role: str) -> list[int | None]:
        values = [None if v in (_UNLABELLED, str(_UNLABELLED)) else v for v in of(role)]
        targets = rules.assign(values, where=job.sample, what="units")
        return [targets[None if is_null(v) else v] for v in values]

    def numbers(role: str) -> list[float | None]:
        return [_number(v, columns.get(role, role), job) for v in of(role)]

    ids, clusters = _points_of_plots([_text(v) for v in of("id")], of("point"), of("cluster"))
    found = zip(
        ids, of("stratum"), classes("map_class"), classes("label"), classes("label_2"), numbers("share"),
        of("unknown"), of("flagged"), numbers("order"), numbers("area"), numbers("map_area"),
        numbers("inclusion"), of("interpreter"), clusters, numbers("confidence"),
        strict=True,
    )  # fmt: skip
    return [
        _Unit(
            id=str(line) if own is None else own,
            line=line,
            stratum=_text(stratum),
            map_class=mapped,
            label=label,
            label_2=second,
            share=share,
            unknown=_reason(unknown, flagged) or _doubt(sure, job.min_confidence),
            order=None if order is None else int(order),
            area=area,
            map_area=map_area,
            inclusion=inclusion,
            interpreter=_text(who),
            cluster=cluster,
        )
        for line, (
            own, stratum, mapped, label, second, share, unknown, flagged, order, area, map_area, inclusion,
            who, cluster, sure,
        ) in enumerate(found)
    ]  # fmt: skip


def _text(value: Any) -> str | None:
    return None if is_null(value) else str(value).strip()


def _points_of_plots(
    ids: Sequence[str | None], points: Sequence[Any], clusters: Sequence[Any]
) -> tuple[list[str | None], list[str | None]]:
    """Ids and clusters; where plots have several points, these are the units and plots the clusters."""
    if all(is_null(p) for p in points) or len(set(zip(ids, map(str, points), strict=True))) == len(set(ids)):
        return list(ids), [_text(c) for c in clusters]
    return [f"{i}/{_text(p)}" for i, p in zip(ids, points, strict=True)], list(ids)


def _doubt(confidence: float | None, least: float | None) -> str | None:
    if least is None or confidence is None or confidence >= least:
        return None
    return f"confidence below {least:g}"


def _number(value: Any, name: str, job: EstimateJob) -> float | None:
    if is_null(value):
        return None
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        raise InputError(f"{value!r} in {name} is no number", where=job.sample) from None


def _reason(unknown: Any, flagged: Any) -> str | None:
    if str(flagged).strip().casefold() in {"true", "1", "yes", "t"}:
        return "flagged" if is_null(unknown) else f"flagged: {str(unknown).strip()}"
    return (
        None
        if is_null(unknown) or str(unknown).strip().casefold() in {"false", "0", "no"}
        else str(unknown).strip()
    )


def _consensus(units: list[_Unit], notes: list[str], job: EstimateJob) -> list[_Unit]:
    """One row per unit; where several interpreters labelled it, what more than half of them say."""
    by_id: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        by_id[unit.id].append(unit)
    pairs = Counter((u.id, u.interpreter) for u in units)
    twice = sorted({i for (i, _), n in pairs.items() if n > 1})
    if twice:
        raise InputError(
            f"{len(twice):,} ids stand more than once",
            where=job.sample,
            why=f"{', '.join(twice[:_MOST_NAMED])}; each would count twice",
            hint="one row per unit, or a column interpreter that tells several people's rows apart",
        )
    several = [i for i, rows in by_id.items() if len(rows) > 1]
    if several:
        notes.append(
            f"{len(several):,} units have labels of several interpreters: what more than half say counts"
        )
    return [rows[0] if len(rows) == 1 else _agreed(rows) for rows in by_id.values()]


def _agreed(rows: list[_Unit]) -> _Unit:
    votes = Counter(r.label for r in rows if r.label is not None and r.unknown is None)
    if votes:
        label, count = votes.most_common(1)[0]
        if 2 * count > len(rows):
            return replace(rows[0], label=label, unknown=None)
    return replace(rows[0], label=None, unknown="interpreters disagree")


def _with_map_classes(
    units: list[_Unit], sheet: Sheet, class_map: ClassMap, legend: Legend, job: EstimateJob
) -> list[_Unit]:
    """The units with the class of the map under each; refused where the table says another."""
    xy, crs = sheet.places(job)
    found = classes_at(class_map, xy[[u.line for u in units]], crs)
    said = [
        u.id for u, c in zip(units, found, strict=True) if u.map_class is not None and u.map_class != int(c)
    ]
    if said and not job.another_map:
        raise InputError(
            f"{len(said):,} units have another class in the table than on the map",
            where=job.map,
            why=f"{', '.join(said[:_MOST_NAMED])}; the map is not the sample's, or places are not right",
            hint="the sample's own map, or `another_map` if another is meant",
        )
    known = set(legend.ids)
    return [
        replace(u, map_class=int(c) if int(c) in known else None) for u, c in zip(units, found, strict=True)
    ]


def _with_design(
    units: list[_Unit], legend: Legend, class_map: ClassMap | None, job: EstimateJob
) -> Observed:
    """Strata and their sizes, from columns, a file, or the map."""
    _refuse_bare(units, job)
    own = _sizes_in_columns(units)
    if job.design is None and own is None:
        raise UsageError(
            "nothing says how these units were drawn",
            where=job.sample,
            why="the file has no columns stratum and p_inclusion, nor map_area",
            hint="`design=srs`, or `design=stratified` with `strata_areas`; a table that geoseg exported "
            "goes back into its sample with geoseg sample import",
        )
    drawing = _DESIGNS[job.design or "stratified"]
    areas: dict[int, tuple[int, float]] = {}
    if class_map is not None:
        areas = class_areas(class_map)
    mapped = {label: hectares for label, (_, hectares) in areas.items()} or None
    origin = {"method": drawing, "unit": "pixel", "map": None if job.map is None else job.map.name}
    clusters = _numbered_clusters(units, drawing, job)
    if drawing == "simple":
        return Observed(
            rows=tuple(replace(_row(u, 0), tile=clusters.get(u.cluster or "")) for u in units),
            strata=(_whole(job, areas),),
            drawing="clusters" if clusters else drawing,
            tiles=math.inf if clusters else None,
            legend=legend,
            mapped=mapped,
            notes=(SYSTEMATIC,),
            origin=origin,
        )
    by_class = all(u.stratum is None for u in units)
    names = [legend.name(u.map_class) if by_class and u.map_class is not None else u.stratum for u in units]
    notes: tuple[str, ...] = ()
    if not by_class and class_map is None and all(u.map_class is None for u in units):
        units, notes = _strata_as_classes(units, legend)
    bare = [u.id for u, name in zip(units, names, strict=True) if name is None]
    if bare:
        raise InputError(
            f"{len(bare):,} units have no stratum",
            where=job.sample,
            why=", ".join(bare[:_MOST_NAMED]),
            hint="`stratum_field`, or `map_field` where the map's classes are the strata",
        )
    sizes, said = _sizes(units, own, areas if by_class else {}, legend, job)
    position = _positions(sizes, legend, {n for n in names if n is not None}, job)
    rows = tuple(
        replace(_row(u, position[as_compared(n or "")]), tile=clusters.get(u.cluster or ""))
        for u, n in zip(units, names, strict=True)
    )
    _refuse_torn(rows, units, job)
    return Observed(
        rows=rows,
        strata=tuple(sizes),
        drawing="clusters in strata" if clusters else drawing,
        tiles=math.inf if clusters else None,
        legend=legend,
        mapped=mapped,
        notes=(*notes, *said),
        origin=origin,
    )


def _numbered_clusters(units: list[_Unit], drawing: str, job: EstimateJob) -> dict[str, int]:
    """Number of each cluster, by its name; empty where single units were drawn."""
    clusters = {u.cluster: i for i, u in enumerate(units) if u.cluster is not None}
    if clusters and any(u.cluster is None for u in units):
        raise InputError("some units have no cluster", where=job.sample, why="and others have one")
    if clusters and drawing == "post-stratified":
        raise UsageError(
            "clusters are not post-stratified",
            where=job.sample,
            why=f"the table has {len(clusters):,} clusters",
            hint="`design=srs`, or `design=stratified` if clusters were drawn in strata",
        )
    return clusters


def _sizes(
    units: list[_Unit],
    own: list[StratumSize] | None,
    areas: Mapping[int, tuple[int, float]],
    legend: Legend,
    job: EstimateJob,
) -> tuple[list[StratumSize], tuple[str, ...]]:
    """Strata with their sizes, and what is to be said of them: from a file, the map or columns.

    Parameters
    ----------
    own
        From the table's own columns.
    areas
        Pixels and hectares of the map's classes, where these are the strata; else empty.
    """
    if job.strata_areas is not None:
        return read_strata_areas(job.strata_areas), ()
    if job.design is not None and areas:
        return [StratumSize(name=legend.name(c), units=n, hectares=ha) for c, (n, ha) in areas.items()], ()
    if own is None:
        raise UsageError(
            "the strata's areas are not known",
            where=job.sample,
            hint="`strata_areas`, or `map` where its classes are the strata",
        )
    in_hectares = any(u.map_area is not None for u in units)
    return own, (_IN_HECTARES,) if in_hectares else ()


def _refuse_bare(units: list[_Unit], job: EstimateJob) -> None:
    """InputError for units without a stratum where others have one: their part of the area is not known."""
    bare = [u.id for u in units if u.stratum is None]
    if bare and len(bare) < len(units) and job.design != "srs":
        raise InputError(
            f"{len(bare):,} of {len(units):,} units have no stratum",
            where=job.sample,
            why=", ".join(bare[:_MOST_NAMED]),
            hint="fill the column, or name another by `stratum_field`",
        )


def _refuse_torn(rows: Sequence[Row], units: Sequence[_Unit], job: EstimateJob) -> None:
    """InputError for clusters whose units are of several strata: then strata were not what was drawn in."""
    strata: dict[str | None, set[int]] = defaultdict(set)
    for row, unit in zip(rows, units, strict=True):
        if unit.cluster is not None:
            strata[unit.cluster].add(row.stratum)
    torn = [str(name) for name, of in strata.items() if len(of) > 1]
    if torn:
        raise InputError(
            f"{len(torn):,} clusters have units in several strata",
            where=job.sample,
            why=f"{', '.join(torn[:_MOST_NAMED])}; clusters are drawn in one stratum each",
            hint="`stratum_field` with the stratum of the cluster; or `design=srs` if clusters were drawn "
            "from the whole area",
        )


def _strata_as_classes(units: list[_Unit], legend: Legend) -> tuple[list[_Unit], tuple[str, ...]]:
    """Units whose class on the map is their stratum, where all strata are called like classes."""
    own = {as_compared(key): c.id for c in legend.classes for key in (c.name, str(c.id))}
    if not all(as_compared(u.stratum or "") in own for u in units):
        return units, ()
    classes = [replace(u, map_class=own[as_compared(u.stratum or "")]) for u in units]
    return classes, ("strata are called like classes: each is taken for the class on the map",)


def _row(unit: _Unit, stratum: int) -> Row:
    return Row(
        id=unit.id,
        stratum=stratum,
        map_class=unit.map_class,
        label=unit.label,
        label_2=unit.label_2,
        share=unit.share,
        unknown=unit.unknown,
        order=unit.order,
        area=unit.area,
    )


def _whole(job: EstimateJob, areas: Mapping[int, tuple[int, float]]) -> StratumSize:
    """The whole area as one stratum."""
    if job.strata_areas is not None:
        sizes = read_strata_areas(job.strata_areas)
        hectares = [s.hectares for s in sizes]
        known = None if any(h is None for h in hectares) else sum(h for h in hectares if h is not None)
        return StratumSize(name="all", units=sum(s.units for s in sizes), hectares=known)
    if areas:
        return StratumSize(
            name="all", units=sum(n for n, _ in areas.values()), hectares=sum(ha for _, ha in areas.values())
        )
    return StratumSize(name="all", units=np.inf)


def _sizes_in_columns(units: list[_Unit]) -> list[StratumSize] | None:
    """Strata of the columns ``stratum`` and ``p_inclusion``, or SEPAL's ``map_area``."""
    if all(u.stratum is not None and u.inclusion for u in units):
        groups: dict[str, list[_Unit]] = defaultdict(list)
        for u in units:
            groups[u.stratum or ""].append(u)
        sizes = []
        for name, members in groups.items():
            pixels = round(len(members) / (members[0].inclusion or 1))
            areas = [m.area for m in members if m.area is not None]
            hectares = pixels * float(np.mean(areas)) / 1e4 if len(areas) == len(members) else None
            sizes.append(StratumSize(name=name, units=pixels, hectares=hectares))
        return sizes
    if all(u.map_area is not None and (u.map_class is not None or u.stratum is not None) for u in units):
        found = {(u.stratum if u.stratum is not None else str(u.map_class)): u.map_area for u in units}
        return [StratumSize(name=name, units=np.inf, hectares=area) for name, area in found.items()]
    return None


def _positions(
    sizes: Sequence[StratumSize], legend: Legend, names: set[str], job: EstimateJob
) -> dict[str, int]:
    """Position of each stratum by its compared name; classes may be called by number as well."""
    position = {as_compared(s.name): h for h, s in enumerate(sizes)}
    for c in legend.classes:
        for one, other in ((c.name, str(c.id)), (str(c.id), c.name)):
            if as_compared(one) in position:
                position.setdefault(as_compared(other), position[as_compared(one)])
    missing = sorted(n for n in names if as_compared(n) not in position)
    if missing:
        raise InputError(
            f"no area of stratum {', '.join(map(repr, missing[:_MOST_NAMED]))}",
            where=job.strata_areas if isinstance(job.strata_areas, Path) else job.sample,
            why=f"known are {', '.join(s.name for s in sizes)}",
        )
    return position


def _refuse_training(units: list[_Unit], sheet: Sheet, job: EstimateJob) -> None:
    import shapely

    assert job.training is not None
    xy, crs = sheet.places(job)
    frame = read_vector(job.training, points=True, columns=[], encoding=job.encoding).to_crs(crs)
    tree = shapely.STRtree(np.asarray(frame.geometry.array))
    points = shapely.points(xy[[u.line for u in units]])
    refuse_trained([units[i].id for i in np.unique(tree.query(points, predicate="intersects")[0])], job)
