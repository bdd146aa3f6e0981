"""The layer of prompts: its features as prompts in a scene's pixels, and the rows that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid
from geoseg.models.prompt import Prompt
from geoseg.prompts.job import PromptJob
from geoseg.raster.burn import to_pixel_coordinates
from geoseg.raster.vectors import read_vector
from geoseg.writers.columns import as_type, plain_type

_INSIDE = {"1", "true", "yes", "positive", "pos", "+", "inside", "foreground"}
_BESIDE = {"0", "-1", "false", "no", "negative", "neg", "-", "beside", "outside", "background"}
_POLYGONS = (3, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a layer asks of a scene.

    Attributes
    ----------
    prompts
        In the order of the layer, groups by their first point; None where nothing of one lies on the scene.
    columns
        Their own columns; of a group, what all its points say alike.
    notes
        What the user should know.
    """

    prompts: tuple[Prompt | None, ...]
    columns: pa.RecordBatch
    notes: tuple[str, ...]


def read_prompts(job: PromptJob, grid: Grid) -> Asked:
    """Prompts of a job's layer on the grid of its scene.

    Raises
    ------
    InputError
        A layer that cannot be read or that has no points and no polygons, a group without a point inside.
    UsageError
        An unknown field, a label that says neither inside nor beside, points beside without a group.
    """
    notes: list[str] = []
    frame = read_vector(
        job.prompts,
        layer=job.layer,
        assume_crs=job.assume_crs_prompts,
        crs_option="assume_crs_prompts",
        points=True,
        encoding=job.encoding,
        notes=notes,
    )
    for option, name in (("group", job.group), ("label", job.label)):
        if name is not None and name not in frame.columns.drop(frame.geometry.name):
            found = ", ".join(str(c) for c in frame.columns.drop(frame.geometry.name)) or "none"
            raise UsageError(
                f"no field {name!r}", where=job.prompts, why=f"fields are {found}", hint=f"`{option}=NAME`"
            )
    try:
        shapes = np.asarray(to_pixel_coordinates(frame, grid).geometry.array, object)
    except InputError as error:
        raise InputError(error.what, where=job.prompts, why=error.why, hint=error.hint) from None
    inside = np.ones(len(frame), np.bool_)
    if job.label is not None:
        inside = np.array([_is_inside(value, job) for value in frame[job.label]], np.bool_)
        if not inside.all() and job.group is None:
            raise UsageError(
                f"{int((~inside).sum())} prompts are beside an object, and none says beside which",
                where=job.prompts,
                hint="`group=NAME`, the field by which points belong together",
            )
    rows = _groups(frame, job)
    prompts = tuple(_prompt(shapes[row], inside[row], grid) for row in rows)
    for row, members in enumerate(rows):
        if not inside[members].any():
            value = frame[job.group].iloc[members[0]]
            raise InputError(
                f"a group without a point in the object: {value!r}", where=job.prompts, why=f"row {row + 1}"
            )
    return Asked(prompts=prompts, columns=_columns(frame, rows), notes=tuple(notes))


def _is_inside(value: Any, job: PromptJob) -> bool:
    text = str(value).strip().casefold().removesuffix(".0")
    if text in _INSIDE or text in _BESIDE:
        return text in _INSIDE
    raise UsageError(
        f"{value!r} in field {job.label!r} says neither inside nor beside",
        where=job.prompts,
        why="known are 1, true, positive, inside, and 0, false, negative, beside",
    )


def _groups(frame: Any, job: PromptJob) -> list[list[int]]:
    """Rows of the layer that are one prompt each."""
    if job.group is None:
        return [[i] for i in range(len(frame))]
    found: dict[Any, list[int]] = {}
    for i, value in enumerate(frame[job.group].tolist()):
        alone = value is None or value != value  # noqa: PLR0124 (NaN): nothing that it shares with others
        found.setdefault(("alone", i) if alone else value, []).append(i)
    return list(found.values())


def _prompt(shapes: NDArray[Any], inside: NDArray[np.bool_], grid: Grid) -> Prompt | None:
    """What some features say of one object, if a point of it or a part of its box is on the scene."""
    points: list[tuple[int, int]] = []
    labels: list[bool] = []
    boxes = []
    for shape, label in zip(shapes, inside.tolist(), strict=True):
        if shape is None or shape.is_empty:
            continue
        if shapely.get_type_id(shape) in _POLYGONS:
            boxes.append(shapely.bounds(shape))
            continue
        for col, row in np.floor(shapely.get_coordinates(shape)).astype(np.int64).tolist():
            if 0 <= row < grid.height and 0 <= col < grid.width:
                points.append((row, col))
                labels.append(label)
    box = _box(boxes, grid)
    if box is None and not any(labels):
        return None
    order = sorted(range(len(points)), key=lambda i: (not labels[i], points[i]))  # whatever the layer's
    return Prompt(
        points=np.array([points[i] for i in order], np.int64).reshape(-1, 2),
        inside=np.array([labels[i] for i in order], np.bool_),
        box=box,
    )


def _box(boxes: Sequence[NDArray[np.float64]], grid: Grid) -> tuple[int, int, int, int] | None:
    """The box around all boxes, cut at the scene's edge; None where nothing of it is left."""
    if not boxes:
        return None
    stacked = np.stack(boxes)
    (left, top), (right, bottom) = stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)
    row, col = max(int(np.floor(top)), 0), max(int(np.floor(left)), 0)
    row_end, col_end = min(int(np.ceil(bottom)), grid.height), min(int(np.ceil(right)), grid.width)
    return (row, col, row_end, col_end) if row < row_end and col < col_end else None


def _columns(frame: Any, rows: Sequence[Sequence[int]]) -> pa.RecordBatch:
    """Own columns of the prompts; of several features what they say alike, else null."""
    plain = frame.drop(columns=frame.geometry.name)
    names = [str(name) for name in plain.columns]
    table = pa.Table.from_pandas(plain.set_axis(names, axis=1), preserve_index=False)
    firsts = np.array([members[0] for members in rows], np.int64)
    columns = []
    for name in names:
        column = as_type(table[name].combine_chunks(), plain_type(table[name].type))
        taken = column.take(pa.array(firsts))
        if len(rows) < len(frame):
            values = column.to_pylist()
            alike = [all(values[i] == values[members[0]] for i in members) for members in rows]
            taken = pa.array(
                [v if a else None for v, a in zip(taken.to_pylist(), alike, strict=True)], taken.type
            )
        columns.append(taken)
    fields = [pa.field(name, column.type) for name, column in zip(names, columns, strict=True)]
    if not columns:
        return pa.RecordBatch.from_arrays([pa.nulls(len(rows))], ["_"]).select([])
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
