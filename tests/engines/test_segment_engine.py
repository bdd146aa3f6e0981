"""Engines of objects, opened from a bundle on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import open_engine, open_segment_engine
from geoseg.errors import UsageError
from geoseg.models.bundle import load_bundle
from tests.objects.blobs import save_blobs

CHOICE = EngineChoice(device="cpu", precision="fp32", threads=1)


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")


def test_segments_of_known_areas(tmp_path: Path) -> None:
    engine = open_segment_engine(load_bundle(save_blobs(tmp_path / "blobs", panoptic=True)), CHOICE)
    raw = np.zeros((2, 2, 32, 32), np.uint16)
    raw[0, 0, 3:9, 4:20], raw[0, 0, 10:12, :] = 6, 3
    raw[:, 1] = np.arange(32)
    valid = np.ones((2, 32, 32), bool)
    valid[0, :, 18:] = False
    one, other = engine.segments(raw, valid)
    assert one.table["class_id"].tolist() == [4, 9]
    assert one.table["pixels"].tolist() == [6 * 14, 2 * 18]
    assert len(other.table) == 0 and not other.ids.any()
    assert one.stuff is not None
    assert set(np.unique(one.stuff)) == {1, 2, 255}
    assert engine.identity["engine"] == "torch" and engine.legend.names == ("grass", "road", "house", "tree")
    (alone,) = engine.segments(raw[:1], valid[:1])
    np.testing.assert_array_equal(alone.ids, one.ids)


def test_a_model_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not give every pixel a class"):
        open_engine(load_bundle(save_blobs(tmp_path / "blobs")), CHOICE)
    with pytest.raises(UsageError, match="finds no objects"):
        open_segment_engine(load_bundle("forest-s2-rgb"), CHOICE)
    with pytest.raises(UsageError, match="runs no networks of objects"):
        open_segment_engine(load_bundle(tmp_path / "blobs"), EngineChoice(name="onnx"))
