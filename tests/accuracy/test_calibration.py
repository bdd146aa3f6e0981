"""Calibration against scikit-learn and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from geoseg.accuracy.calibration import (
    HONEST,
    CalibrationSample,
    ConfidenceCounts,
    calibrate,
    fit_temperature,
    reliability,
    sureness,
)


def calibrated(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits too sharp by `temperature`, and truth drawn from the honest probabilities."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (n, 3))
    p = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).astype(np.uint8)
    return (honest * temperature).astype(np.float32), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    logits, truth = calibrated(40_000, temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_has_the_smallest_log_loss() -> None:
    logits, truth = calibrated(5_000, 2.2, seed=3)

    def loss(t: float) -> float:
        scaled = np.exp(logits.astype(float) / t)
        return float(log_loss(truth, scaled / scaled.sum(axis=1, keepdims=True), labels=range(3)))

    best = fit_temperature(logits, truth)
    assert loss(best) < min(loss(best * 1.1), loss(best / 1.1))


def test_calibration_halves_see_each_other_only() -> None:
    logits, truth = calibrated(30_000, 4.0)
    sample = CalibrationSample.for_pixels(30_000)
    for window, part in enumerate(np.array_split(np.arange(30_000), 10)):
        sample.add(logits[part].T.reshape(3, 30, 100), truth[part].reshape(30, 100), window=window)
    found = calibrate(sample)
    assert found.temperature == pytest.approx(4.0, rel=0.05)
    assert found.before > 0.1 and found.after < 0.02
    assert found.share.sum() == pytest.approx(1)


def test_a_temperature_of_two_conditions_lies_between_theirs() -> None:
    """Boasting fourfold in one light, honest in the other: the temperature goes as far as that bears."""
    samples = []
    for number, (temperature, pixels) in enumerate(((1.0, 90_000), (4.0, 30_000))):
        logits, truth = calibrated(pixels, temperature, seed=number)
        samples.append(CalibrationSample.for_pixels(pixels))
        for window, part in enumerate(np.array_split(np.arange(pixels), 10)):
            samples[-1].add(logits[part].T.reshape(3, 30, -1), truth[part].reshape(30, -1), window=window)
    found, alone = calibrate(*samples), calibrate(samples[0])
    assert 1.05 < found.temperature < 3.8 and alone.temperature == pytest.approx(1.0, rel=0.05)
    own = np.concatenate(samples[0].logits), np.concatenate(samples[0].truth)
    errors = [
        reliability(*sureness((own[0] / (found.temperature * more)).astype(np.float32), own[1]))[0]
        for more in (1, 1.03)
    ]
    assert errors[0] <= HONEST < errors[1] and found.after < HONEST + 0.01
    assert np.isnan(alone.other)
    assert found.after > 0.02 > alone.after and found.other > 0.02
    assert found.before == alone.before


def test_windows_have_their_mean_confidence_and_share_that_is_right() -> None:
    logits, truth = calibrated(900, 1.0)
    sample = CalibrationSample.for_pixels(900)
    for number in range(3):
        part = slice(300 * number, 300 * number + 300)
        known = truth[part].reshape(15, 20).copy()
        known[:number] = 255
        sample.add(logits[part].T.reshape(3, 15, 20), known, window=number)
    confidence, right = sample.of_windows(2.0)
    for number in range(3):
        part = slice(300 * number + 20 * number, 300 * number + 300)
        odds = np.exp(logits[part].astype(float) / 2)
        sure = (odds / odds.sum(axis=1, keepdims=True)).max(axis=1)
        assert confidence[number] == pytest.approx(sure.mean(), abs=0.001)
        assert right[number] == (logits[part].argmax(axis=1) == truth[part]).mean()


def test_honest_confidence_has_no_error_and_boasting_has() -> None:
    logits, truth = calibrated(40_000, 1.0)
    assert reliability(*sureness(logits, truth))[0] < 0.01
    sure = np.tile(np.array([[20, 0, 0]], np.float32), (1000, 1))
    wrong = np.ones(1000, np.uint8)
    assert reliability(*sureness(sure, wrong))[0] == pytest.approx(1.0)


def test_a_large_sample_is_thinned_evenly() -> None:
    sample = CalibrationSample.for_pixels(4_000_000)
    sample.add(np.zeros((2, 1000, 100), np.float32), np.zeros((1000, 100), np.uint8), window=0)
    assert sum(map(len, sample.truth)) == 10_000


def test_bins_are_closed_on_the_right():
    sure = np.array([0.25, 0.25, 0.55, 0.75, 0.75])
    right = np.array([0, 0, 1, 1, 1], bool)
    error, confidence, accuracy, _ = reliability(sure, right, bins=2)
    assert error == pytest.approx(0.29)
    assert np.abs(confidence - accuracy).max() == pytest.approx(0.316667, abs=5e-7)


@pytest.mark.parametrize("bins", [5, 10])
def test_whole_percents_give_the_error_of_their_pixels(bins):
    percent = np.array([55, 62, 68, 71, 77, 83, 88, 91, 95, 99], np.uint8)
    right = np.array([1, 0, 1, 1, 0, 1, 1, 1, 1, 1], bool)
    parts = [ConfidenceCounts.of(percent[cut], right[cut]) for cut in (slice(0, 4), slice(4, 10))]
    found = parts[0] + parts[1]
    assert found.error(bins) == pytest.approx(0.167)
    assert found.gap(bins) == pytest.approx(0.45)
    assert found.error(bins) == pytest.approx(reliability(percent / 100, right, bins=bins)[0])
    assert sum(record["share"] for record in found.records(bins)) == pytest.approx(1)
