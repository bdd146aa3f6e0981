"""What a model has seen is what training drew: many lights, all bands, and no pixel without data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.models.experience import Experience, look_of
from geoseg.training.batches import Batches
from geoseg.training.job import TrainJob
from geoseg.training.light import Light
from geoseg.training.prepare import Preparation, prepare
from geoseg.training.seen import experience_of
from tests.training.makers import image_of, job, stripes, write

NONE = {"flips": False, "scale": 0, "gain": 0, "offset": 0}


def _seen(folder: Path, **augment: Any) -> tuple[Preparation, Experience]:
    preparation = prepare(TrainJob.parse(job(folder, augment={**NONE, **augment})))
    return preparation, experience_of(preparation)


def test_a_light_that_was_drawn_is_not_beyond_what_was_seen(tmp_path: Path) -> None:
    preparation, narrow = _seen(tmp_path)
    _, wide = _seen(tmp_path, contrast=1.5)
    flat = Batches(preparation).core(preparation.cores[0], Light(contrast=0.25))[0][0]
    looks = look_of(flat.reshape(len(flat), -1).numpy())[None]
    assert narrow.beyond(looks) == 1 and wide.beyond(looks) == 0


def test_a_band_that_was_taken_away_in_training_is_not_what_a_scene_looks_like(tmp_path: Path) -> None:
    _, whole = _seen(tmp_path)
    _, often = _seen(tmp_path, drop_band=0.5)
    assert np.allclose(whole.center, often.center) and np.allclose(whole.spread, often.spread)


def test_pixels_without_data_are_not_looked_at(tmp_path: Path) -> None:
    fields = job(tmp_path, augment=NONE)
    labels = stripes(160, 240)
    image = image_of(labels)
    image[:, ::2] = 0
    write(Path(fields["scenes"][0]["image"]), image, nodata=0)
    found = experience_of(prepare(TrainJob.parse(fields)))
    # of normalised values that are there the deviation is 1, with as many zeros less
    assert (
        np.exp(found.center[2:]) == pytest.approx([1, 1], abs=0.3) and (np.exp(found.center[2:]) > 0.8).all()
    )
