"""A run's identity: every field of the job is in it, unless it is named as one that cannot matter."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.execution import Where
from geoseg.prediction.job import PredictJob
from geoseg.prediction.plan import OpenedJob, open_job
from geoseg.prediction.run import CANNOT_MATTER, SAID_BETTER, identity_of
from tests.prediction.conftest import make_pixels


@pytest.fixture
def opened(scene_file: Callable[..., Path], linear: Path, tmp_path: Path) -> OpenedJob:
    scene = scene_file(make_pixels(100, 120))
    return open_job(PredictJob(scene=str(scene), model=str(linear), out=tmp_path / "out", tile=96))


def identity(opened: OpenedJob, **fields: Any) -> dict[str, Any]:
    job = opened.job.model_copy(update=fields)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, about values of other types than the fields'
        return identity_of(replace(opened, job=job), Where(threads=1))


def test_every_field_is_in_it_but_those_that_are_named(opened: OpenedJob) -> None:
    named = SAID_BETTER | CANNOT_MATTER
    assert named <= set(PredictJob.model_fields)
    before = identity(opened)
    for name in set(PredictJob.model_fields) - named:
        assert identity(opened, **{name: "something else"}) != before, name
    for name in CANNOT_MATTER:
        assert identity(opened, **{name: "something else"}) == before, name


def test_a_field_that_is_added_later_is_in_it(opened: OpenedJob) -> None:
    class Later(PredictJob):
        sharpness: int = 0

    fields = opened.job.model_dump()
    one, two = (replace(opened, job=Later(**fields, sharpness=s)) for s in (0, 1))
    assert identity_of(one, Where(threads=1)) != identity_of(two, Where(threads=1))


def test_content_decides_and_places_do_not(opened: OpenedJob, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    scene = opened.scene.paths[0]
    (moved / scene.name).write_bytes(scene.read_bytes())
    again = open_job(opened.job.model_copy(update={"scene": str(moved / scene.name), "out": moved}))
    assert identity_of(again, Where(threads=1)) == identity(opened)
    (moved / scene.name).write_bytes(scene.read_bytes() + b"\0")
    changed = open_job(again.job)
    assert identity_of(changed, Where(threads=1)) != identity(opened)
    assert identity_of(opened, Where(threads=2)) != identity(opened)
