"""A sample's file: written whole, and read back with every reason to refuse it."""

from __future__ import annotations

import json
import sqlite3
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from functools import cache, partial
from os import PathLike
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

import pyarrow as pa

from geoseg.errors import InputError, UsageError
from geoseg.files import refuse_locked, whole
from geoseg.legend import Legend
from geoseg.raster.open import local_file
from geoseg.results import json_ready
from geoseg.sampling.form import sample_qml
from geoseg.sampling.layout import (
    DESIGN,
    INFO,
    LABELS,
    SAMPLE,
    STRATA,
    Answer,
    DesignInfo,
    Drawn,
    Label,
    MapClass,
    Sample,
    Stratum,
    Unit,
    consensus,
)
from geoseg.writers.layer import GEOMETRY, Layer, SideTable
from geoseg.writers.sqlite.blob import well_known_binary
from geoseg.writers.write import require_names, write_layer

TABLES = {
    LABELS: "What each interpreter says",
    DESIGN: "How each unit was drawn; not for interpreters",
    STRATA: "Strata of the sample",
    INFO: "Design of the sample",
}
_ARROW = {int: pa.int64(), float: pa.float64(), str: pa.string(), bytes: pa.binary()}
_MOST_NAMED = 5
_CLASSES = ("label", "label_2")
_SPATIAL = ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")


def require_sample_name(path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Nothing, if a sample may be written there; else UsageError or OutputConflictError."""
    if path.suffix.lower() != ".gpkg":
        raise UsageError("a sample is a GeoPackage", where=path, hint=path.with_suffix(".gpkg").name)
    require_names(path, overwrite=overwrite, inputs=inputs)


def write_sample(path: Path, sample: Sample, *, overwrite: bool = False) -> Path:
    """Path of the GeoPackage written, whole or not at all; QGIS opens its ``sample`` with a form and style.

    Raises
    ------
    OutputConflictError
        A file exists, or the folder cannot be written.
    """
    require_sample_name(path, overwrite=overwrite)
    info = [{"name": name, "value": value} for name, value in _info_values(sample.info).items()]
    tables: dict[str, pa.Table | None] = {
        LABELS: _table(Label, sample.labels) if sample.labels else None,
        DESIGN: _table(Drawn, sample.design),
        STRATA: _table(Stratum, sample.strata),
        INFO: pa.Table.from_pylist(info),
    }
    sides = {
        name: None if rows is None else SideTable(description=TABLES[name], rows=partial(_same, rows))
        for name, rows in tables.items()
    }
    return _write(path, sample, sample.units, sides, overwrite)


def write_units(path: Path, sample: Sample, units: Sequence[Unit], *, overwrite: bool = False) -> Path:
    """Path of a GeoPackage of some units with the form and without their design, for one interpreter."""
    require_sample_name(path, overwrite=overwrite)
    return _write(path, sample, units, {}, overwrite)


def _write(
    path: Path,
    sample: Sample,
    units: Sequence[Unit],
    tables: Mapping[str, SideTable | None],
    overwrite: bool,
) -> Path:
    layer = Layer(
        name=SAMPLE,
        crs_wkt=sample.crs_wkt,
        schema=_schema(Unit),
        geometry_type="Polygon",
        metadata={"description": f"Sample of {sample.info.map}, to be labelled in this order"},
        style=lambda: sample_qml(sample.legend, plots=sample.info.unit != "pixel"),
        tables=tables,
    )
    return write_layer(path, iter(_table(Unit, units).to_batches()), layer, overwrite=overwrite)[0]


def update_answers(path: Path, units: Mapping[str, Answer], labels: Sequence[Label]) -> None:
    """Write answers into a sample's file, whole or not at all; all else in it stays as people left it.

    Parameters
    ----------
    path
        The sample.
    units
        Answers in ``sample`` by id.
    labels
        Rows of ``labels``; new ones are added.
    """
    with whole(path, sqlite3.Error) as partial:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(partial)) as database,
        ):
            source.backup(database)
            database.execute("PRAGMA journal_mode = DELETE")
            for name in _SPATIAL:  # triggers name them; none is called, for no geometry is touched
                database.create_function(name, 1, _nothing)
            with database:
                for unit, answer in units.items():
                    _set(database, SAMPLE, answer, {"id": unit})
                for label in labels:
                    key = {"id": label.id, "interpreter": label.answer.interpreter}
                    if not _set(database, LABELS, label.answer, key):
                        _add(database, label)
        for journal in ("-wal", "-shm"):
            path.with_name(path.name + journal).unlink(missing_ok=True)


def _set(database: sqlite3.Connection, table: str, answer: Answer, key: Mapping[str, str | None]) -> bool:
    """Whether a row of that key was there and now holds the answer."""
    values = {n: v for n, v in values_of(answer).items() if n not in key}
    setting = ", ".join(f'"{n}" = ?' for n in values)
    where = " AND ".join(f'"{n}" = ?' for n in key)
    statement = f'UPDATE "{table}" SET {setting} WHERE {where}'  # noqa: S608
    return database.execute(statement, (*values.values(), *key.values())).rowcount > 0


def _add(database: sqlite3.Connection, label: Label) -> None:
    values = values_of(label)
    names = ", ".join(f'"{n}"' for n in values)
    marks = ", ".join("?" * len(values))
    database.execute(f'INSERT INTO "{LABELS}" ({names}) VALUES ({marks})', tuple(values.values()))  # noqa: S608


def _nothing(_: Any) -> None:
    return None


def is_sample(path: str | PathLike[str]) -> bool:
    """Whether a file is there and is a GeoPackage with the design of a sample."""
    file = Path(path)
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        if not stream.read(16).startswith(b"SQLite format 3"):
            return False
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            names = {n for (n,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        refuse_locked(error, file)
        return False
    return {DESIGN, INFO} <= names


def read_sample(path: str | PathLike[str]) -> Sample:
    """Sample of a file that `write_sample` made and people have filled in since, in QGIS or elsewhere.

    Class names in ``label`` are taken as well as numbers. Where several interpreters answered, a unit without
    a label of its own has what more than half of them say (`consensus`).

    Raises
    ------
    InputError
        No sample of geoseg, a layer or column that is missing, ids that were changed, doubled or lost, labels
        that are no class, answers that cannot be.
    """
    file = local_file(path)
    tables, crs_wkt = _read_tables(file)
    info = _info_of(tables[INFO], file)
    parse = RowParser(file=file, legend=info.legend)
    units = [parse.unit(row) for row in tables[SAMPLE]]
    design = {d.id: d for d in (parse.row(Drawn, DESIGN, row) for row in tables[DESIGN])}
    strata = sorted((parse.row(Stratum, STRATA, row) for row in tables[STRATA]), key=lambda s: s.stratum)
    labels = [parse.label(row) for row in tables[LABELS]]
    _check_ids(units, design, labels, file)
    answers: dict[str, list[Answer]] = defaultdict(list)
    for label in labels:
        answers[label.id].append(label.answer)
    units = [
        replace(u, answer=consensus(answers[u.id])) if u.id in answers and u.answer.state == "left" else u
        for u in sorted(units, key=lambda u: u.order)
    ]
    return Sample(
        units=tuple(units),
        labels=tuple(labels),
        design=tuple(design[u.id] for u in units),
        strata=tuple(strata),
        info=info,
        crs_wkt=crs_wkt,
    )


def _same(rows: pa.Table) -> pa.Table:
    return rows


@cache
def columns_of(kind: Any) -> dict[str, tuple[type[Any], bool]]:
    """Columns of a layer's rows in order: type, and whether it may be empty; an answer's stand among them."""
    found: dict[str, tuple[type[Any], bool]] = {}
    for name, hint in get_type_hints(kind).items():
        kinds = [k for k in get_args(hint) if k is not types.NoneType]
        if is_dataclass(hint):
            found |= columns_of(cast(Any, hint))
        elif get_origin(hint) is types.UnionType:
            found[name] = kinds[0], True
        else:
            found[name] = hint, False
    return found


def values_of(row: Any) -> dict[str, Any]:
    """Values of a row by column."""
    found: dict[str, Any] = {}
    for f in fields(row):
        value = getattr(row, f.name)
        if is_dataclass(value):
            found |= values_of(value)
        else:
            found[f.name] = value
    return found


def _schema(kind: Any) -> pa.Schema:
    names = columns_of(kind)
    last = [n for n in names if n != GEOMETRY] + [n for n in names if n == GEOMETRY]
    return pa.schema([pa.field(n, _ARROW[names[n][0]], nullable=names[n][1]) for n in last])


def _table(kind: Any, rows: Iterable[Any]) -> pa.Table:
    return pa.Table.from_pylist([values_of(row) for row in rows], schema=_schema(kind))


def _info_values(info: DesignInfo) -> dict[str, str]:
    """Values as text: JSON where they are no text themselves."""
    values = {f.name: getattr(info, f.name) for f in fields(info)}
    return {
        name: value if isinstance(value, str) else json.dumps(json_ready(value), ensure_ascii=False)
        for name, value in values.items()
    }


def _info_of(rows: list[dict[str, Any]], file: Path) -> DesignInfo:
    texts = {str(row.get("name")): str(row.get("value")) for row in rows}
    parsers: dict[str, Callable[[str], Any]] = {
        "seed": int,
        "grid": json.loads,
        "further": json.loads,
        "legend": lambda text: Legend.from_json(json.loads(text)),
        "classes": lambda text: tuple(MapClass(**item) for item in json.loads(text)),
        "notes": lambda text: tuple(json.loads(text)),
    }
    names = [f.name for f in fields(DesignInfo)]
    missing = [name for name in names if name not in texts]
    if missing:
        raise InputError("its design is incomplete", where=file, why=f"{INFO} lacks {', '.join(missing)}")
    try:
        return DesignInfo(**{name: parsers.get(name, str)(texts[name]) for name in names})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError("its design is damaged", where=file, why=f"{INFO}: {error}") from None


def _read_tables(file: Path) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """Rows of every layer, and the CRS of ``sample``."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            there = {n for (n,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            missing = [n for n in (SAMPLE, DESIGN, STRATA, INFO) if n not in there]
            if missing:
                raise _no_sample(file, f"it has no layer {', '.join(missing)}")
            database.row_factory = sqlite3.Row
            tables = {
                name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
                if name in there
                else []
                for name in (SAMPLE, *TABLES)
            }
            shape = database.execute(
                "SELECT g.column_name, s.definition FROM gpkg_geometry_columns g "
                "JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id WHERE g.table_name = ?",
                (SAMPLE,),
            ).fetchone()
    except sqlite3.DatabaseError as error:
        refuse_locked(error, file)
        raise _no_sample(file, str(error)) from None
    if shape is None:
        raise _no_sample(file, f"layer {SAMPLE} has no geometries")
    for row in tables[SAMPLE]:
        row[GEOMETRY] = well_known_binary(row.pop(shape[0]))
    return tables, str(shape[1])


def _no_sample(file: Path, why: str) -> InputError:
    return InputError(
        "not a sample with its design",
        where=file,
        why=why,
        hint="the file that `geoseg sample design` wrote; a layer exported from it has lost its design",
    )


class RowParser:
    """Rows of a stranger's hand made values, or refused with their place."""

    def __init__(self, *, file: Path, legend: Legend) -> None:
        self._file, self._legend = file, legend

    def unit(self, row: Mapping[str, Any]) -> Unit:
        """Row of ``sample``."""
        found: Unit = self.row(Unit, SAMPLE, row, without=("answer",))
        return replace(found, answer=self.answer(SAMPLE, row))

    def label(self, row: Mapping[str, Any]) -> Label:
        """Row of ``labels``."""
        return Label(id=str(row.get("id")), answer=self.answer(LABELS, row))

    def answer(self, layer: str, row: Mapping[str, Any]) -> Answer:
        """What was said in a row; InputError for what cannot be."""
        found: Answer = self.row(Answer, layer, row)
        if found.share is not None and not 0 <= found.share <= 1:
            raise self._wrong(layer, row, f"share {found.share:g}", "0 to 1")
        return found

    def row(self, kind: Any, layer: str, row: Mapping[str, Any], without: Iterable[str] = ()) -> Any:
        """A row of a kind."""
        own = {f.name for f in fields(kind)} - set(without)
        columns = {n: c for n, c in columns_of(kind).items() if n in own}
        missing = [n for n, (_, optional) in columns.items() if n not in row and not optional]
        if missing:
            raise InputError(f"layer {layer} lacks {', '.join(missing)}", where=self._file)
        return kind(**{n: self._value(n, column, layer, row) for n, column in columns.items()})

    def _value(self, name: str, column: tuple[type[Any], bool], layer: str, row: Mapping[str, Any]) -> Any:
        value, (kind, optional) = row.get(name), column
        if isinstance(value, str):
            value = value.strip()
        if value is None or (value == "" and optional):
            if optional:
                return None
            raise self._wrong(layer, row, f"no {name}", "one")
        if name in _CLASSES:
            return self._class(name, value, layer, row)
        try:
            if kind is int and float(value) != int(float(value)):
                raise ValueError
            if kind is float and isinstance(value, str):
                value = value.replace(",", ".")
            return kind(float(value)) if kind is int and isinstance(value, str) else kind(value)
        except (ValueError, TypeError):
            raise self._wrong(layer, row, f"{name} {value!r}", f"{kind.__name__}") from None

    def _class(self, name: str, value: Any, layer: str, row: Mapping[str, Any]) -> int:
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        try:
            return self._legend.find(number).id
        except InputError as error:
            raise InputError(
                f"{name} {value!r} of unit {row.get('id')} is no class",
                where=self._file,
                why=error.why,
                hint=error.hint,
            ) from None

    def _wrong(self, layer: str, row: Mapping[str, Any], found: str, expected: str) -> InputError:
        return InputError(
            f"unit {row.get('id')} in {layer}: {found}", where=self._file, why=f"expected {expected}"
        )


def _check_ids(units: list[Unit], design: Mapping[str, Drawn], labels: list[Label], file: Path) -> None:
    """InputError unless every unit is there once, under the id that it was drawn with."""
    counts = Counter(u.id for u in units)
    twice = [i for i, count in counts.items() if count > 1]
    for what, ids in (
        ("ids stand more than once in sample", twice),
        ("ids of sample were not drawn", sorted(counts.keys() - design.keys())),
        ("units that were drawn are missing from sample", sorted(design.keys() - counts.keys())),
        ("ids of labels are not in sample", sorted({label.id for label in labels} - counts.keys())),
    ):
        if ids:
            more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
            raise InputError(
                f"{len(ids)} {what}",
                where=file,
                why=f"{', '.join(ids[:_MOST_NAMED])}{more}; without them weights and areas would be wrong",
                hint="bring the ids and rows back as they were drawn; a unit that nobody knows has no label",
            )
    by_both = Counter((label.id, label.answer.interpreter) for label in labels)
    doubled = [f"{i} by {who}" for (i, who), count in by_both.items() if count > 1]
    if doubled:
        raise InputError(f"{len(doubled)} rows of labels stand twice", where=file, why=doubled[0])
