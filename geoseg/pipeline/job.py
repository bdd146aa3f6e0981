"""What a pipeline is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from geoseg.job import Job

Section = dict[str, Any]


class PipelineJob(Job):
    """Steps to run in order; each section holds the keys of its own job, or a list of such sections.

    Attributes
    ----------
    predict
        One prediction, or several (dates).
    clean
        One, or a list; `classes` may be left out and is then the prediction at the same position.
    vectorize, evaluate
        One each, or a list; `classes` may be left out and is then the map cleaned at the same position, else
        the prediction there.
    change
        `before` and `after` may be left out and are then the first two predictions, cleaned where they are.
    series
        `maps` may be left out and are then all predictions, cleaned where they are.
    zones
        `source` may be left out and is then the change at the same position, else the series, else the map.
    sample
        `classes` and `strata` may be left out and are then those of the change at the same position, else the
        map there. A sample that is there is kept, with what people said of it.
    estimate
        `sample` may be left out and is then the one at the same position, and `out` then lies beside it. It
        waits until two units of every stratum have labels.
    report
        `results` may be left out and are then all of the steps before, as far as they are there.
    """

    predict: tuple[Section, ...] = ()
    clean: tuple[Section, ...] = ()
    vectorize: tuple[Section, ...] = ()
    evaluate: tuple[Section, ...] = ()
    change: tuple[Section, ...] = ()
    series: tuple[Section, ...] = ()
    zones: tuple[Section, ...] = ()
    sample: tuple[Section, ...] = ()
    estimate: tuple[Section, ...] = ()
    report: tuple[Section, ...] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, Mapping) else value
