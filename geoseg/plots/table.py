"""Rows of plots: their own columns, hectares by class, loss, and a verdict with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geoseg.geometry import HECTARE
from geoseg.plots.batches import POINT_LIMIT, Plots, Survey, declared_point_areas
from geoseg.plots.job import ZonesJob
from geoseg.plots.measure import UNKNOWN, Measure
from geoseg.plots.sums import Adder, Sums
from geoseg.writers.columns import as_type, free_names, plain_type
from geoseg.writers.layer import GEOMETRY

LOSS, NONE_FOUND, CANNOT_TELL = "loss", "none found", "cannot tell"
VERDICTS = (LOSS, NONE_FOUND, CANNOT_TELL)

_DIGITS = 6
_HALF = 0.5
_NOTHING = 0.001
"""Pixels below which an area counts as none: outlines brought from another CRS are off by as much."""


def rule_of(job: ZonesJob) -> dict[str, str]:
    """The rule of the verdict in words."""
    least = "half a pixel" if job.min_loss is None else f"{job.min_loss:g} ha"
    since = "" if job.cutoff is None else f" dated after {job.cutoff}"
    return {
        LOSS: f"at least {least} of loss{since}",
        NONE_FOUND: f"none of it, and at most {job.max_unknown:.0%} of the plot unknown or outside the map",
        CANNOT_TELL: "more of it unknown or outside; or smaller than a pixel; or less loss than that, at an "
        "edge; or loss that may have been before or after the cut-off; or a geometry that says too little",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a map says of loss in one plot.

    Attributes
    ----------
    counted, unsure
        Hectares of loss that counts, and of loss that may have been before or after the cut-off.
    pixel
        Hectares of one pixel of the map.
    pixels
        Size of the plot in such pixels.
    inside, blind
        Shares of the plot inside the map, and of it outside or unknown.
    is_point
        Whether it is a point, which counts as the pixel that it lies in.
    problems
        What is wrong with its geometry.
    """

    counted: float
    unsure: float
    pixel: float
    pixels: float
    inside: float
    blind: float
    is_point: bool
    problems: Sequence[str]

    def verdict(self, job: ZonesJob) -> tuple[str, str]:
        """(verdict, reason); see `rule_of`."""
        least = _HALF * self.pixel if job.min_loss is None else job.min_loss
        nothing = _NOTHING * self.pixel
        since = "" if job.cutoff is None else f" after {job.cutoff}"
        if self.counted >= least and self.counted > nothing:
            return LOSS, f"{'a pixel' if self.is_point else f'{self.counted:.4g} ha'} of loss{since}"
        if self.inside <= 0:
            return CANNOT_TELL, next(iter(self.problems), "outside the map")
        if too_little := next((p for p in self.problems if p.startswith("a point for")), None):
            return CANNOT_TELL, too_little
        if self.unsure >= least and self.unsure > nothing:
            return CANNOT_TELL, f"{self.unsure:.4g} ha of loss may have been before or after {job.cutoff}"
        if not self.is_point and self.pixels < 1:
            return CANNOT_TELL, f"smaller than a pixel ({self.pixels:.2g})"
        if self.blind > job.max_unknown:
            return CANNOT_TELL, f"{self.blind:.0%} unknown or outside the map"
        if (some := self.counted + self.unsure) > nothing:
            return CANNOT_TELL, f"{some:.2g} ha of loss at an edge, less than {least:.2g} ha"
        return NONE_FOUND, f"no loss{since}"


@dataclass(frozen=True, kw_only=True)
class PlotTable:
    """Turns batches of plots into rows.

    Attributes
    ----------
    job, measure, survey
        What was asked for, of what map, and what is known of all plots.
    adder
        Adds up areas.
    own
        Own column as it comes to its name in the output.
    names
        Our column to its name in the output.
    """

    job: ZonesJob
    measure: Measure
    survey: Survey
    adder: Adder
    own: Mapping[str, str]
    names: Mapping[str, str]

    @classmethod
    def of(cls, job: ZonesJob, measure: Measure, survey: Survey, adder: Adder) -> PlotTable:
        """Table whose columns have names of their own, whatever the plots' are called."""
        own, names = free_names(survey.fields.names, _columns(job, measure))
        return cls(job=job, measure=measure, survey=survey, adder=adder, own=own, names=names)

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        own = [pa.field(self.own[f.name], plain_type(f.type)) for f in self.survey.fields]
        ours = [pa.field(self.names[name], kind) for name, kind in _columns(self.job, self.measure).items()]
        return pa.schema([*own, *ours, pa.field(GEOMETRY, pa.large_binary())])

    def batch(self, plots: Plots) -> pa.RecordBatch:
        """Rows of a batch."""
        values = self._values(plots, self.adder.add(plots))
        columns = [as_type(plots.own[f.name], plain_type(f.type)) for f in self.survey.fields]
        columns += [
            pa.array(_plain(values[name]), kind) for name, kind in _columns(self.job, self.measure).items()
        ]
        return pa.RecordBatch.from_arrays(
            [*columns, pa.array(plots.wkb, pa.large_binary())], schema=self.schema
        )

    def _values(self, plots: Plots, sums: Sums) -> dict[str, Any]:
        n = len(plots.shapes)
        # areas as parts of the plot's own: a map on a sphere measures others
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = plots.square_metres * sums.inside / sums.square_metres
        scale = np.where(plots.is_polygon & np.isfinite(scale), scale, 1.0) / HECTARE
        values: dict[str, Any] = {
            "plot": np.arange(plots.first + 1, plots.first + n + 1),
            "plot_ha": plots.square_metres / HECTARE,
            "inside": sums.inside,
            "unknown_ha": sums.codes[-1][:, UNKNOWN] * scale,
        }
        with np.errstate(invalid="ignore", divide="ignore"):
            values["unknown"] = np.nan_to_num(sums.codes[-1][:, UNKNOWN] / sums.square_metres) * sums.inside
        for name, (layer, chosen) in self.measure.columns.items():
            values[name] = sums.codes[layer] @ chosen * scale
        values["conf_mean"] = sums.confidence / 100
        problems = self._problems(plots, sums)
        values["problems"] = ["; ".join(p) or None for p in problems]
        if self.measure.losses is not None:
            self._add_losses(values, plots, sums, scale, problems)
        if self.measure.events is not None:
            lost = np.flatnonzero(values["loss_ha"] > 0)
            values["largest_event_ha"] = np.full(n, np.nan)
            values["largest_event_ha"][lost] = self.measure.events.largest(
                self.adder.placed(plots.shapes[lost])
            )
        return values

    def _add_losses(
        self,
        values: dict[str, Any],
        plots: Plots,
        sums: Sums,
        scale: NDArray[np.float64],
        problems: list[list[str]],
    ) -> None:
        losses = self.measure.losses or ()
        found = sums.codes[-1][:, 2:] * scale[:, None]
        sure = np.array([loss.after is True for loss in losses], np.bool_)
        unsure = np.array([loss.after is None for loss in losses], np.bool_)
        values["loss_ha"] = found.sum(axis=1)
        counted, may = found @ sure, found @ unsure
        values["loss_after_ha"], values["loss_unsure_ha"] = counted, may
        order = sorted(range(len(losses)), key=lambda k: (losses[k].date is None, losses[k].date))
        names = [losses[k].date.text if losses[k].date else None for k in order]  # type: ignore[union-attr]
        there = (found > 0)[:, order] & (sure | unsure)[order]
        first = there.argmax(axis=1)
        last = there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
        some = np.asarray(there.any(axis=1)).tolist()
        values["first_loss"] = [names[k] if s else None for k, s in zip(first.tolist(), some, strict=True)]
        values["last_loss"] = [names[k] if s else None for k, s in zip(last.tolist(), some, strict=True)]
        with np.errstate(invalid="ignore", divide="ignore"):
            pixel = np.nan_to_num(sums.square_metres / sums.pixels) * scale
        is_point = plots.is_point.tolist()
        told = [
            Evidence(
                counted=counted[i],
                unsure=may[i],
                pixel=pixel[i],
                pixels=sums.pixels[i] / max(sums.inside[i], 1e-12),
                inside=sums.inside[i],
                blind=1 - sums.inside[i] + values["unknown"][i],
                is_point=is_point[i],
                problems=problems[i],
            ).verdict(self.job)
            for i in range(len(plots.shapes))
        ]
        values["verdict"], values["reason"] = [v for v, _ in told], [r for _, r in told]

    def _problems(self, plots: Plots, sums: Sums) -> list[list[str]]:
        found = [list(p) for p in plots.problems]
        for k, listed in enumerate(found):
            others = self.survey.overlaps.get(plots.first + k, [])
            if others:
                other, share = max(others, key=lambda each: each[1])
                more = f" and {len(others) - 1} more" if len(others) > 1 else ""
                listed.append(f"overlaps plot {other + 1} ({share:.1%} of the smaller){more}")
        outside = np.flatnonzero((sums.inside == 0) & ~shapely.is_missing(plots.shapes))
        if len(outside):
            turned = np.asarray(shapely.transform(plots.shapes[outside], lambda xy: xy[:, ::-1]), object)
            bounds = shapely.bounds(self.adder.placed(turned))
            height, width = self.measure.grid.shape
            with np.errstate(invalid="ignore"):
                here = (
                    (bounds[:, 2] > 0) & (bounds[:, 0] < width) & (bounds[:, 3] > 0) & (bounds[:, 1] < height)
                )
            for k, swapped in zip(outside.tolist(), here.tolist(), strict=True):
                found[k].append(
                    "axes swapped: outside the map, inside with x and y exchanged"
                    if swapped
                    else "outside the map"
                )
        if self.job.area_field is not None:
            said = declared_point_areas(plots.own, self.job.area_field)
            for k in np.flatnonzero(plots.is_point & (said > POINT_LIMIT)).tolist():
                found[k].append(f"a point for {said[k]:g} ha: a polygon is needed above {POINT_LIMIT:g} ha")
        return found


def _columns(job: ZonesJob, measure: Measure) -> dict[str, pa.DataType]:
    """Our columns."""
    number, text = pa.float64(), pa.string()
    columns = {
        "plot": pa.int64(),
        "plot_ha": number,
        "inside": number,
        "unknown_ha": number,
        "unknown": number,
    }
    columns |= dict.fromkeys(measure.columns, number)
    if measure.losses is not None:
        columns["loss_ha"] = number
        if job.cutoff is not None:
            columns |= {"loss_after_ha": number, "loss_unsure_ha": number}
        columns |= {"first_loss": text, "last_loss": text}
    if measure.events is not None:
        columns["largest_event_ha"] = number
    if measure.confidence is not None:
        columns["conf_mean"] = number
    if measure.losses is not None:
        columns |= {"verdict": text, "reason": text}
    return {**columns, "problems": text}


def _plain(values: Any) -> Any:
    """Values as Arrow takes them: numbers rounded, NaN as null."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return [None if np.isnan(v) else v for v in values.round(_DIGITS).tolist()]
    return values
