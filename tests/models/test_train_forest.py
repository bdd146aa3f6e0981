"""The parts of workflows/train_forest.py that a wrong sign or a wrong flip would spoil silently."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from geoseg.models.bundle import load_bundle

from ..workflows.scripts import load_script


@pytest.fixture(scope="module")
def script():
    return load_script("train_forest")


@pytest.fixture(scope="module")
def card():
    return load_script("forest_card")


def test_pixels_and_labels_are_turned_together(script):
    labels = np.random.default_rng(0).integers(1, 3, (64, 64)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    sample = script.Sample(name="x", pixels=np.stack([labels * 100] * 3).astype(np.uint8), labels=labels)
    rng = np.random.default_rng(1)
    for _ in range(40):
        pixels, drawn = script.draw(sample, 64, rng)
        assert pixels.shape == (3, 64, 64)
        assert ((pixels.mean(0) > 150) == (drawn == 2)).float().mean() > 0.94  # resampled edges are mixed


def test_the_dice_part_of_the_loss_is_one_minus_f1(script):
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (2, 64, 64)))
    guess = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (2, 64, 64)))
    logits = torch.stack(((guess == 0) * 60.0, (guess == 1) * 60.0), dim=1)
    dice = script.loss(logits, labels) - nn.functional.cross_entropy(logits, labels)
    expected = 1 - f1_score(labels.ravel(), guess.ravel(), average="macro")
    assert float(dice) == pytest.approx(expected, abs=1e-3)


def test_the_running_average_forgets_its_start(script):
    update, average = script.running_average(0.99), [torch.zeros(1), torch.zeros(1, dtype=torch.int64)]
    for number in range(100):
        update(average, [torch.ones(1), torch.full((1,), number)], number)
    assert float(average[0]) > 0.99
    assert int(average[1]) == 99


def test_the_split_is_fixed_disjoint_and_spread_over_shares_of_forest(script):
    blank = np.zeros((3, 4, 4), np.uint8)
    samples = [
        script.Sample(name=str(i), pixels=blank, labels=np.where(np.arange(16).reshape(4, 4) < i / 2, 1, 2))
        for i in range(30)
    ]
    training, held_out = script.split(samples, 7)
    names = [[s.name for s in part] for part in (training, held_out)]
    assert (len(training), len(held_out)) == (24, 6)
    assert sorted(names[0] + names[1], key=int) == [str(i) for i in range(30)]
    assert names[1] == [s.name for s in script.split(samples, 7)[1]]
    assert [int(name) // 5 for name in names[1]] == list(range(6))


def test_calibration_error_of_known_confidences(card):
    odds = np.log(np.array([0.9] * 10 + [0.6] * 10) / np.array([0.1] * 10 + [0.4] * 10))
    truth = np.array([True] * 9 + [False] + [True] * 10)  # right 9 of 10 at 0.9, and 10 of 10 at 0.6
    assert card.calibration_error(odds, truth) == pytest.approx(0.2)


def test_masks_are_read_with_their_polarity_and_the_wide_one_is_cut(script, shared_data):
    samples = {s.name: s for s in script.read_samples(shared_data / "amazon_s2_forest" / "training")}
    assert len(samples) == 30
    wide = samples["Amazon_181.tiff_34"]
    assert wide.labels.shape == (512, 512)
    red = {k: np.concatenate([s.pixels[0][s.labels == k] for s in samples.values()]).mean() for k in (1, 2)}
    assert red[1] < red[2]
    contrast = {}
    for shift in (-2, -1, 0, 1, 2):  # the cut mask lies on the image: any shift weakens the contrast
        moved = np.roll(wide.labels, shift, axis=1)[:, 4:-4]
        inner = wide.pixels[0][:, 4:-4]
        contrast[shift] = inner[moved == 2].mean() - inner[moved == 1].mean()
    assert max(contrast, key=contrast.__getitem__) == 0


@pytest.mark.slow
def test_two_steps_make_a_bundle_and_a_stopped_run_goes_on(script, shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSEG_DATA", str(shared_data))
    job = script.TrainForest(
        out=tmp_path / "forest-s2-rgb", checkpoints=tmp_path / "runs", steps=2, batch=2, crop=64
    )
    made = script.train(job)
    again = script.train(job.model_copy(update={"out": tmp_path / "again"}))  # nothing left but to score
    assert made.weights_sha256 == again.weights_sha256
    assert load_bundle(made.path).scores["images"] == again.scores["images"]
    assert (made.path / "held-out.png").stat().st_size < 300_000
