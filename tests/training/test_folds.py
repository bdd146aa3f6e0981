"""Cross-validation: every pixel is held out once, from a model of its own; the bundle learns from all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import UsageError
from geoseg.geometry import Window
from geoseg.training.card import split_in_words
from geoseg.training.job import TrainJob
from geoseg.training.prepare import prepare
from geoseg.training.split import deal
from geoseg.training.verb import run_train
from tests.training.makers import job, write_pair


def six_scenes(folder: Path, **fields: Any) -> dict[str, Any]:
    (folder / "data").mkdir()
    for seed in range(6):
        write_pair(folder / "data", height=96, width=96, seed=seed, east=500000 + 2000 * seed)
    scenes = [{"image": "image{id}.tif", "labels": "labels{id}.tif"}]
    return {**job(folder, **fields), "scenes": scenes}


@given(items=st.integers(0, 40), folds=st.integers(2, 9), seed=st.integers(0, 99))
def test_dealt_evenly_over_every_stretch(items: int, folds: int, seed: int) -> None:
    found = deal(items, folds, seed)
    assert len(found) == items
    for start in range(0, items - folds + 1, folds):
        assert sorted(found[start : start + folds]) == list(range(folds))


@pytest.mark.parametrize("by", ["file", "block"])
def test_folds_share_out_all_pixels_and_keep_apart(tmp_path: Path, by: str) -> None:
    fields = six_scenes(tmp_path, split={"by": by, "folds": 3, "block": 32})
    parsed, root = TrainJob.parse(fields), tmp_path / "data"
    whole = prepare(parsed, root=root)
    assert not whole.cores
    seen = np.zeros((6, 96, 96), int)
    identities = {whole.identity}
    for fold in range(3):
        preparation = prepare(parsed, root=root, fold=fold)
        identities.add(preparation.identity)
        for number, source in enumerate(preparation.sources):
            held = source.region.mask(source.scene.grid.window)
            seen[int(source.scene.paths[0].stem.removeprefix("image"))] += held
            mine = preparation.index.source == number
            for row, col in preparation.index.home[mine].tolist():
                assert not held[row : row + 32, col : col + 32].any()
        held_pixels = sum(s.region.mask(s.scene.grid.window).sum() for s in preparation.sources)
        assert preparation.validation_pixels.sum() == held_pixels
    assert (seen == 1).all() and len(identities) == 4
    assert whole.training_pixels.sum() == 6 * 96 * 96


def test_scenes_that_only_teach_are_in_no_fold(tmp_path: Path) -> None:
    """Of six scenes two always teach: with coarse labels, say."""
    fields = six_scenes(tmp_path, split={"by": "file", "folds": 2})
    scenes = [{"image": f"image{n}.tif", "labels": f"labels{n}.tif"} for n in range(6)]
    parsed = TrainJob.parse(
        {**fields, "scenes": [*scenes[:4], *({**s, "use": "training"} for s in scenes[4:])]}
    )
    held, teaching = [], []
    for fold in range(2):
        preparation = prepare(parsed, root=tmp_path / "data", fold=fold)
        names = [source.scene.paths[0].stem for source in preparation.sources]
        held += [
            name
            for name, s in zip(names, preparation.sources, strict=True)
            if s.region.mask(Window(0, 0, 96, 96)).any()
        ]
        teaching.append({names[number] for number in np.unique(preparation.index.source)})
        assert preparation.validation_pixels.sum() == 2 * 96 * 96
        assert (
            split_in_words(preparation) == "4 scenes in 2 folds, each held out once; 2 more teach every time"
        )
    assert sorted(held) == [f"image{n}" for n in range(4)]
    assert all({"image4", "image5"} <= names for names in teaching)


def test_cross_validated_bundle_and_its_card(tmp_path: Path) -> None:
    split = {"by": "file", "folds": 3}
    fields = six_scenes(tmp_path, split=split, tta=True, light_windows=1, limits=["synthetic blobs only"])
    rows: list[Any] = []
    parsed = TrainJob.parse(fields)
    result = run_train(parsed, root=tmp_path / "data", device="cpu", threads=1, progress=rows.append)
    assert [r["part"].split()[0] for r in rows] == ["fold"] * 6 + ["all"] * 2
    assert rows[-1]["figures"]["mean IoU"] is None and result.bundle is not None
    scores = result.bundle.scores
    assert scores["mean_iou"] > 0.9 and "6 scenes in 3 folds" in scores["data"]
    assert f"{6 * 96 * 96} cross-validated pixels" in scores["data"]
    card = (tmp_path / "model" / "README.md").read_text()
    for word in ("| image5 | 9,216 |", "--tta d4", "synthetic blobs only", "learnt from everything"):
        assert word in card
    assert str(tmp_path) not in card

    again = run_train(parsed, root=tmp_path / "data", device="cpu", threads=1)
    assert not again.fresh


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split": {"by": "file", "folds": 7}}, "6 scenes cannot make 7 folds"),
        ({"split": {"by": "region", "folds": 2, "rows": [0, 9]}}, "folds are made of blocks or files"),
        ({"split": {"by": "file", "folds": 2}, "patience": 3}, "leave out patience"),
        ({"split": {"by": "file", "folds": 2}, "use": "validation"}, "folds decide what is for validation"),
        ({"split": {"by": "file", "folds": 2}, "use": "training"}, "folds decide what is for validation"),
    ],
)
def test_folds_that_cannot_be_made(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    use = {k: fields[k] for k in ("use",) if k in fields}
    given_fields = six_scenes(tmp_path, **{k: v for k, v in fields.items() if k != "use"})
    given_fields["scenes"] = [{**scene, **use} for scene in given_fields["scenes"]]
    with pytest.raises(UsageError, match=message):
        prepare(TrainJob.parse(given_fields), root=tmp_path / "data")
