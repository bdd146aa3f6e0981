"""What a job says of a raster that its file does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from affine import Affine

from geoseg.baselines.job import FitJob
from geoseg.changes.job import AFTER_NAMES, BEFORE_NAMES, ChangeJob
from geoseg.errors import InputError, UsageError
from geoseg.evaluation.job import REFERENCE_NAMES, EvaluateJob
from geoseg.geometry import pixel_areas
from geoseg.prediction.job import PredictJob
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import Reading, called
from geoseg.training.job import LabelledScene
from geoseg.vectorization.job import VectorizeJob
from tests.raster.makers import write

SAID = {"nodata": 0.0, "assume_crs": "EPSG:32720", "assume_transform": "10,0,0,0,-10,0", "allow_vrt": True}


@pytest.mark.parametrize(
    ("job", "needed"),
    [
        (PredictJob, {"scene": "a.tif", "model": "m", "out": "out"}),
        (VectorizeJob, {"classes": "a.tif", "out": "a.gpkg"}),
        (FitJob, {"method": "kmeans", "scene": "a.tif", "out": "out"}),
        (LabelledScene, {"image": "a.tif", "labels": "b.tif"}),
        (EvaluateJob, {"classes": "a.tif", "reference": "b.tif"}),
        (ChangeJob, {"before": "a.tif", "after": "b.tif", "out": "out"}),
    ],
)
def test_every_job_that_opens_a_raster_takes_the_same_options(
    job: type[Reading], needed: dict[str, str]
) -> None:
    parsed = job.parse({**needed, **SAID})
    assert parsed.reading == {**SAID, "pixel_size": None, "mask": None, "mask_values": None}
    assert job.parse(yaml.safe_load(parsed.dump())) == parsed
    assert not set(Reading.model_fields) & set(yaml.safe_load(job.parse(needed).dump()))


def test_each_raster_of_a_job_has_its_own() -> None:
    job = EvaluateJob.parse(
        {"classes": "a.tif", "reference": "b.tif", "nodata": 0, "reference_nodata": 9, "allow_vrt": True}
    )
    assert (job.reading["nodata"], job.reference_reading["nodata"]) == (0, 9)
    assert job.reference_reading["allow_vrt"]
    assert job.reference_reading["assume_crs"] is None


def test_a_date_says_its_own_in_the_place_of_what_is_said_for_both() -> None:
    job = ChangeJob.parse(
        {"before": "a.tif", "after": "b.tif", "out": "c", "nodata": 7, "nodata_after": 0, "assume_crs": "x"}
    )
    before, after = job.reading_at(BEFORE_NAMES), job.reading_at(AFTER_NAMES)
    assert (before["nodata"], after["nodata"]) == (7, 0)
    assert before["assume_crs"] == after["assume_crs"] == "x"


def test_an_error_names_the_option_of_its_raster(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((1, 8, 8), np.uint8), crs=None)
    with pytest.raises(InputError, match="`assume_crs=EPSG"):
        open_scene(path)
    with pytest.raises(InputError, match="`reference_crs=EPSG"), called(REFERENCE_NAMES):
        open_scene(path)


def test_a_photograph_needs_one_number(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((3, 40, 60), np.uint8), crs=None, transform=None)
    scene = open_scene(path, pixel_size=0.3)
    assert scene.grid.ground_size == pytest.approx((0.3, 0.3), rel=1e-6)
    areas = pixel_areas(scene.grid, scene.grid.window)
    assert np.asarray(areas) == pytest.approx(0.09, rel=1e-6)
    assert any("lies nowhere" in note for note in scene.notes)
    with pytest.raises(UsageError, match="lies nowhere"):
        open_scene(path, pixel_size=0.3, assume_crs="EPSG:32720")
    with pytest.raises(UsageError, match="no length"):
        open_scene(path, pixel_size=-1)


@pytest.mark.parametrize(
    "transform", [Affine(1, 0, 0, 0, -1, 0), Affine(1, 0, 0, 0, -1, 8), Affine.scale(0.3, -0.3)]
)
def test_a_picture_that_counts_pixels_lies_nowhere(tmp_path: Path, transform: Affine) -> None:
    path = write(tmp_path / "a.tif", np.zeros((8, 9), np.uint8), crs=None, transform=transform)
    assert open_scene(path, pixel_size=0.3).grid.ground_size == pytest.approx((0.3, 0.3))
    with pytest.raises(InputError, match=r"contradicts the file.*pixels are"):
        open_scene(write(path, np.zeros((8, 9), np.uint8), crs=None), pixel_size=0.3)


def test_a_placed_file_takes_no_pixel_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((1, 8, 8), np.uint8))
    with pytest.raises(InputError, match="`pixel_size` contradicts the file"):
        open_scene(path, pixel_size=0.3)
